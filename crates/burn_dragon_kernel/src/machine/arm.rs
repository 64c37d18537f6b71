//! The loop for 64-bit ARM, where every processor has NEON.

use super::{Arithmetic, FACTOR, TERM, starts};
use std::arch::aarch64::*;
use std::hint::black_box;

/// f32 multiply-adds of four lanes.
pub(super) const NEON: Arithmetic = Arithmetic {
    instructions: "neon",
    chains: 24,
    flops: 2 * 4,
    // SAFETY: NEON is part of every target of this architecture that has a standard library.
    run: |rounds| unsafe { multiply_add(rounds) },
};

/// 24 chains: four units of four cycles each need sixteen, and all fit in the 32 registers.
#[target_feature(enable = "neon")]
fn multiply_add(rounds: u32) -> f32 {
    let (factor, term) = (vdupq_n_f32(black_box(FACTOR)), vdupq_n_f32(black_box(TERM)));
    let mut sums = starts::<24>().map(|start| vdupq_n_f32(start));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = vfmaq_f32(term, *sum, factor);
        }
    }
    sums.iter().map(|sum| vaddvq_f32(*sum)).sum()
}
