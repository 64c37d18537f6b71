//! Peak speed of the machine that a figure was measured on.

use super::report::{bytes, rate};
use burn_dragon::api::kernel::machine::{self, Peak};
use burn_dragon_train::api::RunInfo;
use serde::Serialize;
use std::fmt;

/// Bytes of the buffer that stands for memory: more than the last cache of most machines.
const MEMORY: usize = 256 << 20;

/// Bytes a thread of the buffer that stands for a core's own cache.
const CACHE: usize = 1 << 20;

/// The processor, and what its threads can do together.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// Its name, where the system tells it.
    pub(super) cpu: Option<String>,
    pub(super) threads: usize,
    /// f32 multiply-adds.
    pub(super) flops_per_second: f64,
    instructions: &'static str,
    /// Products of bf16 summed in f32.
    bf16_flops_per_second: Option<f64>,
    bf16_instructions: Option<&'static str>,
    memory_bytes_per_second: f64,
    cache_bytes_per_second: f64,
}

impl Machine {
    /// Measures it, in about a second.
    pub(super) fn measure() -> Self {
        let threads = machine::threads();
        let Peak {
            flops_per_second,
            instructions,
        } = machine::peak_flops(threads);
        let bf16 = machine::peak_bf16_flops(threads);
        Self {
            cpu: RunInfo::now("language", "cpu", "", 0).cpu,
            threads,
            flops_per_second,
            instructions,
            bf16_flops_per_second: bf16.map(|peak| peak.flops_per_second),
            bf16_instructions: bf16.map(|peak| peak.instructions),
            memory_bytes_per_second: machine::read_bandwidth(MEMORY, threads),
            cache_bytes_per_second: machine::read_bandwidth(CACHE * threads, threads),
        }
    }

    /// Bytes a second that a buffer of this size is read with; of one beyond the caches, memory's.
    pub(super) fn bandwidth_of(&self, size: u64) -> f64 {
        match usize::try_from(size) {
            Ok(size) if size < MEMORY => machine::read_bandwidth(size, self.threads),
            _ => self.memory_bytes_per_second,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.cpu.as_deref().unwrap_or("an unnamed processor");
        writeln!(
            f,
            "machine  {cpu}, {} threads; measured now, at best:",
            self.threads
        )?;
        let flops = rate(self.flops_per_second, "FLOP/s");
        write!(f, "         {flops} f32 ({})", self.instructions)?;
        if let (Some(peak), Some(by)) = (self.bf16_flops_per_second, self.bf16_instructions) {
            write!(f, ", {} bf16 ({by})", rate(peak, "FLOP/s"))?;
        }
        let (memory, cache) = (self.memory_bytes_per_second, self.cache_bytes_per_second);
        write!(
            f,
            "\n         {} read from memory ({} buffer), {} from a core's cache ({} a thread)",
            rate(memory, "B/s"),
            bytes(MEMORY as u64),
            rate(cache, "B/s"),
            bytes(CACHE as u64),
        )
    }
}
