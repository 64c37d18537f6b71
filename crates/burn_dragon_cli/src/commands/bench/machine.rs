//! Peak speed of the machine that a figure was measured on: of the processor, or of the device that did the work.

use super::device;
use super::report::{bytes, rate};
use burn_dragon::api::core::SelectedBackend;
use burn_dragon::api::kernel::machine::{self, Peak};
use burn_dragon_train::api::RunInfo;
use serde::Serialize;
use std::fmt;

/// Bytes of the buffer that stands for memory: more than the last cache of most machines.
const MEMORY: usize = 256 << 20;

/// Bytes a thread of the buffer that stands for a core's own cache.
const CACHE: usize = 1 << 20;

/// The processor, and what the device of the benchmark does at best: the threads of the processor together, or a GPU.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// Name of the processor, where the system tells it.
    pub(super) cpu: Option<String>,
    pub(super) threads: usize,
    /// The device, as its backend describes it; none where it is the processor.
    device: Option<String>,
    /// f32 multiply-adds.
    pub(super) flops_per_second: f64,
    instructions: &'static str,
    /// Products of bf16 summed in f32.
    pub(super) bf16_flops_per_second: Option<f64>,
    bf16_instructions: Option<&'static str>,
    /// Bytes read from the processor's memory; bytes read and written by a copy in a GPU's.
    memory_bytes_per_second: f64,
    cache_bytes_per_second: Option<f64>,
}

impl Machine {
    /// Measures it, in about a second.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn measure(selected: &SelectedBackend) -> anyhow::Result<Self> {
        if selected.name == "cpu" {
            Self::processor()
        } else {
            Self::gpu(selected)
        }
    }

    fn processor() -> anyhow::Result<Self> {
        let threads = machine::threads();
        let Peak {
            flops_per_second,
            instructions,
        } = machine::peak_flops(threads)?;
        let bf16 = machine::peak_bf16_flops(threads)?;
        Ok(Self {
            cpu: name_of_processor(),
            threads,
            device: None,
            flops_per_second,
            instructions,
            bf16_flops_per_second: bf16.map(|peak| peak.flops_per_second),
            bf16_instructions: bf16.map(|peak| peak.instructions),
            memory_bytes_per_second: machine::read_bandwidth(MEMORY, threads)?,
            cache_bytes_per_second: Some(machine::read_bandwidth(CACHE * threads, threads)?),
        })
    }

    fn gpu(selected: &SelectedBackend) -> anyhow::Result<Self> {
        let peaks = device::peaks(&selected.device)?;
        Ok(Self {
            cpu: name_of_processor(),
            threads: machine::threads(),
            device: Some(format!("{:?}", selected.device)),
            flops_per_second: peaks.f32_flops_per_second,
            instructions: device::PRODUCT,
            bf16_flops_per_second: peaks.bf16_flops_per_second,
            bf16_instructions: peaks.bf16_flops_per_second.map(|_| device::PRODUCT),
            memory_bytes_per_second: peaks.memory_bytes_per_second,
            cache_bytes_per_second: None,
        })
    }

    /// Bytes a second that a buffer of this size is read with; of one beyond the caches, and on a GPU, memory's.
    pub(super) fn bandwidth_of(&self, size: u64) -> f64 {
        match usize::try_from(size) {
            Ok(size) if size < MEMORY && self.device.is_none() => {
                machine::read_bandwidth(size, self.threads).unwrap_or(self.memory_bytes_per_second)
            }
            _ => self.memory_bytes_per_second,
        }
    }

    /// What [`Machine::bandwidth_of`] is the rate of, in words.
    pub(super) fn reads(&self, size: u64) -> String {
        match self.device {
            None => format!("read from {}", bytes(size)),
            Some(_) => "copied in its memory".into(),
        }
    }
}

fn name_of_processor() -> Option<String> {
    RunInfo::now("language", "cpu", "", 0).cpu
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.cpu.as_deref().unwrap_or("an unnamed processor");
        let device = self.device.as_ref().map(|device| format!(", {device}"));
        writeln!(
            f,
            "machine  {cpu}, {} threads{}; measured now, at best:",
            self.threads,
            device.unwrap_or_default()
        )?;
        let flops = rate(self.flops_per_second, "FLOP/s");
        write!(f, "         {flops} f32 ({})", self.instructions)?;
        if let (Some(peak), Some(by)) = (self.bf16_flops_per_second, self.bf16_instructions) {
            write!(f, ", {} bf16 ({by})", rate(peak, "FLOP/s"))?;
        }
        let memory = rate(self.memory_bytes_per_second, "B/s");
        let Some(cache) = self.cache_bytes_per_second else {
            return write!(f, "\n         {memory} read and written by a copy in its memory");
        };
        write!(
            f,
            "\n         {memory} read from memory ({} buffer), {} from a core's cache ({} a thread)",
            bytes(MEMORY as u64),
            rate(cache, "B/s"),
            bytes(CACHE as u64),
        )
    }
}
