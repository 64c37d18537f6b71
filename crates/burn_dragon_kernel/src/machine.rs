//! Measured peak speed of the machine, with which the speed of other code is compared.
//!
//! | figure | what is measured |
//! |---|---|
//! | [`peak_flops`] | multiply-adds in f32, limited by the arithmetic units alone |
//! | [`peak_bf16_flops`] | products of bf16 summed in f32: tiles (AMX), else vectors (AVX-512) |
//! | [`read_bandwidth`] | each thread repeatedly sums its own part of a buffer |
//!
//! Each is the best of some short windows, so that other work on the machine has little effect. A multiply-add counts
//! as two FLOPs.

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::instructions::{Instructions, UnknownInstructions};
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Length of a window: less than the time slice of a process on a busy machine.
const WINDOW: Duration = Duration::from_millis(1);

/// Number of windows of a measurement.
const WINDOWS: usize = 40;

/// Number of rounds between two readings of the clock: about ten microseconds.
const ROUNDS: u32 = 2048;

/// Number of words that are summed between two readings of the clock: 256 KiB.
const BLOCK: usize = 1 << 16;

/// Arithmetic peak of some threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// FLOP/s of all threads together.
    pub flops_per_second: f64,
    /// Name of the instructions that reach it.
    pub instructions: &'static str,
}

/// A loop over independent chains of operations, enough to keep every unit busy.
#[derive(Clone, Copy)]
struct Arithmetic {
    instructions: &'static str,
    chains: u64,
    /// FLOPs of one operation of one chain.
    flops: u64,
    /// Runs `rounds` rounds, each one operation of every chain, and returns the sum of all chains.
    run: fn(rounds: u32) -> f32,
}

/// Number of threads that the operations run on.
pub fn threads() -> usize {
    crate::parallel::threads()
}

/// Peak of f32 multiply-adds on `threads` threads at once; the measurement takes a twentieth of a second.
///
/// # Errors
/// If the environment limits the instructions to a set that does not exist.
pub fn peak_flops(threads: usize) -> Result<Peak, UnknownInstructions> {
    Instructions::limit()?;
    Ok(peak(threads, f32_arithmetic()))
}

/// Peak of bf16 products summed in f32 on `threads` threads at once; `None` if the processor has no instructions for
/// them.
///
/// # Errors
/// As for [`peak_flops`].
pub fn peak_bf16_flops(threads: usize) -> Result<Option<Peak>, UnknownInstructions> {
    Instructions::limit()?;
    Ok(bf16_arithmetic().map(|arithmetic| peak(threads, arithmetic)))
}

/// Read bandwidth in bytes a second of `threads` threads, each on its own part of a buffer of `bytes`.
///
/// A buffer that fits a cache gives the cache's bandwidth. For that of main memory, use a buffer larger than the
/// last-level cache. The buffer is allocated and written before the measurement.
///
/// # Errors
/// As for [`peak_flops`].
pub fn read_bandwidth(bytes: usize, threads: usize) -> Result<f64, UnknownInstructions> {
    Instructions::limit()?;
    let part = (bytes / size_of::<u32>() / threads.max(1)).max(1);
    let parts: Vec<Vec<u32>> = parallel(threads, |_| vec![black_box(1); part]);
    let blocks = part.div_ceil(BLOCK);
    let words_per_second = best_rate(threads, |thread, done| {
        let block = done as usize % blocks;
        let words = &parts[thread][block * BLOCK..((block + 1) * BLOCK).min(part)];
        black_box(sum(words));
        words.len() as u64
    });
    Ok(words_per_second * size_of::<u32>() as f64)
}

fn peak(threads: usize, arithmetic: Arithmetic) -> Peak {
    let rate = best_rate(threads, |_, _| {
        black_box((arithmetic.run)(black_box(ROUNDS)));
        u64::from(ROUNDS) * arithmetic.chains * arithmetic.flops
    });
    Peak {
        flops_per_second: rate,
        instructions: arithmetic.instructions,
    }
}

#[cfg(target_arch = "x86_64")]
fn f32_arithmetic() -> Arithmetic {
    x86::f32_arithmetic().unwrap_or(PORTABLE)
}

#[cfg(target_arch = "aarch64")]
fn f32_arithmetic() -> Arithmetic {
    arm::NEON
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn f32_arithmetic() -> Arithmetic {
    PORTABLE
}

#[cfg(target_arch = "x86_64")]
fn bf16_arithmetic() -> Option<Arithmetic> {
    x86::bf16_arithmetic()
}

#[cfg(not(target_arch = "x86_64"))]
fn bf16_arithmetic() -> Option<Arithmetic> {
    None
}

/// Arithmetic of any processor: a multiplication and an addition, in vectors if the compiler uses them.
const PORTABLE: Arithmetic = Arithmetic {
    instructions: "portable",
    chains: 8,
    flops: 2 * 4,
    run: portable,
};

/// Each chain is `s = FACTOR s + TERM`, which goes to 1 wherever it starts.
const FACTOR: f32 = 0.999;
const TERM: f32 = 1.0 - FACTOR;

/// Start values of the chains: different ones, in `[0, 1)`, unknown to the compiler, so that it cannot merge chains.
fn starts<const N: usize>() -> [f32; N] {
    std::array::from_fn(|chain| black_box(chain as f32 / N as f32))
}

fn portable(rounds: u32) -> f32 {
    let (factor, term) = (black_box(FACTOR), black_box(TERM));
    let mut sums: [[f32; 4]; 8] = starts().map(|start| [start; 4]);
    for _ in 0..rounds {
        for lanes in &mut sums {
            *lanes = lanes.map(|sum| sum * factor + term);
        }
    }
    sums.iter().flatten().sum()
}

/// Sum of some words, modulo 2^32, at the speed of memory.
fn sum(words: &[u32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if let Some(sum) = x86::sum(words) {
        return sum;
    }
    sum_in_lanes(words)
}

/// The body of [`sum`], to be compiled for several widths of vectors.
#[inline(always)]
fn sum_in_lanes(words: &[u32]) -> u32 {
    const LANES: usize = 128; // eight of the widest vectors: enough loads in flight
    let (chunks, rest) = words.as_chunks::<LANES>();
    let mut sums = [0u32; LANES];
    for chunk in chunks {
        for (sum, word) in sums.iter_mut().zip(chunk) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.iter()
        .chain(rest)
        .fold(0, |sum, word| sum.wrapping_add(*word))
}

/// Work of one thread in one window.
#[derive(Clone, Copy)]
struct Span {
    start: Instant,
    end: Instant,
    amount: u64,
}

/// Amount per second of all threads together, in the best window. `work(thread, n)` does the thread's n-th piece and
/// returns its amount.
fn best_rate(threads: usize, work: impl Fn(usize, u64) -> u64 + Sync) -> f64 {
    let barrier = Barrier::new(threads.max(1));
    let spans = parallel(threads, |thread| {
        let mut pieces = 0;
        let window = |_| {
            barrier.wait();
            let (start, mut amount) = (Instant::now(), 0);
            loop {
                amount += work(thread, pieces);
                pieces += 1;
                let end = Instant::now();
                if end - start >= WINDOW {
                    return Span { start, end, amount };
                }
            }
        };
        (0..WINDOWS).map(window).collect::<Vec<Span>>()
    });
    (0..WINDOWS)
        .filter_map(|window| rate(spans.iter().map(|spans| spans[window])))
        .fold(0.0, f64::max)
}

/// Amount per second of one window, from when the first thread began to when the last one ended.
fn rate(spans: impl Iterator<Item = Span> + Clone) -> Option<f64> {
    let start = spans.clone().map(|span| span.start).min()?;
    let end = spans.clone().map(|span| span.end).max()?;
    let amount: u64 = spans.map(|span| span.amount).sum();
    Some(amount as f64 / (end - start).as_secs_f64())
}

/// Results of `work` on each of `threads` threads, all at once.
fn parallel<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let mut results: Vec<Option<R>> = (0..threads.max(1)).map(|_| None).collect();
    thread::scope(|scope| {
        for (thread, result) in results.iter_mut().enumerate() {
            let work = &work;
            scope.spawn(move || *result = Some(work(thread)));
        }
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read() {
        let words: Vec<u32> = (0..1000u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        let expected = words.iter().fold(0u32, |sum, word| sum.wrapping_add(*word));
        assert_eq!(sum(&words), expected);
        assert_eq!(sum_in_lanes(&words), expected);
    }

    /// A chain that starts at s is `1 - (1 - s) FACTOR^rounds` in each lane; so what is counted was computed.
    #[test]
    fn every_chain_of_multiply_adds_ran_all_its_rounds() {
        for arithmetic in [PORTABLE, f32_arithmetic()] {
            let (chains, lanes) = (arithmetic.chains as f32, (arithmetic.flops / 2) as f32);
            for rounds in [0, 1, 700] {
                let sum = (arithmetic.run)(rounds as u32);
                let expected = lanes * (chains - FACTOR.powi(rounds) * (chains + 1.0) / 2.0);
                assert!(
                    (sum - expected).abs() < 1e-3 * expected,
                    "{rounds}: {sum} {expected}"
                );
            }
        }
    }

    /// Each sum starts at zero and grows by products of ones.
    #[test]
    fn every_sum_of_bf16_products_is_whole() {
        let Some(Arithmetic {
            chains, flops, run, ..
        }) = bf16_arithmetic()
        else {
            return;
        };
        assert_eq!(2.0 * run(9), (9 * chains * flops) as f32);
    }

    #[test]
    fn a_window_lasts_from_the_first_start_to_the_last_end() {
        let zero = Instant::now();
        let at = |start, end| Span {
            start: zero + Duration::from_secs(start),
            end: zero + Duration::from_secs(end),
            amount: 6,
        };
        assert_eq!(rate([at(0, 3), at(1, 4)].into_iter()), Some(3.0));
    }

    #[test]
    fn a_cache_is_read_at_least_as_fast_as_a_disk() {
        assert!(read_bandwidth(1 << 18, 1).unwrap() > 1e8);
        assert!(peak_flops(1).unwrap().flops_per_second > 1e7);
    }
}
