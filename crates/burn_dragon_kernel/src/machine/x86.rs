//! The loops for x86-64: AVX-512, AVX2 with FMA; AVX-512 and AMX for bf16.

use super::{Arithmetic, FACTOR, TERM, starts, sum_in_lanes};
use crate::instructions::Instructions;
use crate::matrix::native::{amx, dot};
use std::arch::asm;
use std::arch::x86_64::*;
use std::hint::black_box;

/// The widest f32 multiply-add that the processor has.
pub(super) fn f32_arithmetic() -> Option<Arithmetic> {
    if Instructions::Avx512.usable() {
        return Some(Arithmetic {
            instructions: "avx512f",
            chains: 16,
            flops: 2 * 16,
            // SAFETY: the processor has the feature that the function is compiled for.
            run: |rounds| unsafe { multiply_add_512(rounds) },
        });
    }
    Instructions::Avx2.usable().then_some(Arithmetic {
        instructions: "avx2, fma",
        chains: 12,
        flops: 2 * 8,
        // SAFETY: the processor has the features that the function is compiled for.
        run: |rounds| unsafe { multiply_add_256(rounds) },
    })
}

/// The fastest bf16 product that the processor has.
pub(super) fn bf16_arithmetic() -> Option<Arithmetic> {
    if amx::available() {
        return Some(Arithmetic {
            instructions: "amx_bf16",
            chains: 4,
            flops: 2 * 16 * 16 * 32,
            // SAFETY: the processor has AMX for bf16 and the system lets this process use it.
            run: |rounds| unsafe { tile_products(rounds) },
        });
    }
    dot::available().then_some(Arithmetic {
        instructions: "avx512_bf16",
        chains: 16,
        flops: 2 * 32,
        // SAFETY: the processor has the features that the function is compiled for.
        run: |rounds| unsafe { dot_products_512(rounds) },
    })
}

/// The sum of some words, where the processor has wide vectors.
pub(super) fn sum(words: &[u32]) -> Option<u32> {
    #[target_feature(enable = "avx512f")]
    fn avx512(words: &[u32]) -> u32 {
        sum_in_lanes(words)
    }

    #[target_feature(enable = "avx2")]
    fn avx2(words: &[u32]) -> u32 {
        sum_in_lanes(words)
    }

    if Instructions::Avx512.usable() {
        // SAFETY: the processor has the feature that the function is compiled for.
        return Some(unsafe { avx512(words) });
    }
    if Instructions::Avx2.usable() {
        // SAFETY: the processor has the feature that the function is compiled for.
        return Some(unsafe { avx2(words) });
    }
    None
}

/// 16 chains: two units of four cycles each need eight, and all fit in the 32 registers.
#[target_feature(enable = "avx512f")]
fn multiply_add_512(rounds: u32) -> f32 {
    let (factor, term) = (_mm512_set1_ps(black_box(FACTOR)), _mm512_set1_ps(black_box(TERM)));
    let mut sums = starts::<16>().map(|start| _mm512_set1_ps(start));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, term);
        }
    }
    sums.iter().map(|sum| _mm512_reduce_add_ps(*sum)).sum()
}

/// 12 chains: two units of five cycles each need ten, and all fit in the 16 registers.
#[target_feature(enable = "avx2,fma")]
fn multiply_add_256(rounds: u32) -> f32 {
    let (factor, term) = (_mm256_set1_ps(black_box(FACTOR)), _mm256_set1_ps(black_box(TERM)));
    let mut sums = starts::<12>().map(|start| _mm256_set1_ps(start));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, term);
        }
    }
    let all = sums
        .into_iter()
        .fold(_mm256_setzero_ps(), |a, b| _mm256_add_ps(a, b));
    let half = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
    let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
    _mm_cvtss_f32(quarter) + _mm_cvtss_f32(_mm_shuffle_ps::<1>(quarter, quarter))
}

/// 16 chains of sums of products of ones.
#[target_feature(enable = "avx512f,avx512bf16")]
fn dot_products_512(rounds: u32) -> f32 {
    let one = _mm512_set1_ps(black_box(1.0));
    let ones = _mm512_cvtne2ps_pbh(one, one); // 32 ones
    let mut sums = [0.0; 16].map(|zero| _mm512_set1_ps(black_box(zero)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, ones, ones);
        }
    }
    sums.iter().map(|sum| _mm512_reduce_add_ps(*sum)).sum()
}

/// Four chains of products of tiles of ones, 16 x 32 by 32 x 16.
///
/// # Safety
/// The processor must have AMX for bf16, and the process the permission to use it.
unsafe fn tile_products(rounds: u32) -> f32 {
    let ones = [0x3F80_u16; 16 * 32]; // 1.0 in bf16
    let mut sums = [0f32; 4 * 16 * 16];
    // SAFETY: the caller grants the instructions. The loads read the 64 bytes of the configuration and the 1024 of `ones`, the
    // stores write the 4096 of `sums`, in rows of 64. The tiles are released before the block ends.
    unsafe {
        asm!(
            "ldtilecfg [{shapes}]",
            "tileloadd tmm4, [{ones} + {row}]",
            "tileloadd tmm5, [{ones} + {row}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "test {rounds:e}, {rounds:e}",
            "jz 3f",
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm5",
            "tdpbf16ps tmm1, tmm4, tmm5",
            "tdpbf16ps tmm2, tmm4, tmm5",
            "tdpbf16ps tmm3, tmm4, tmm5",
            "dec {rounds:e}",
            "jnz 2b",
            "3:",
            "tilestored [{sums} + {row}], tmm0",
            "tilestored [{sums} + {row} + 1024], tmm1",
            "tilestored [{sums} + {row} + 2048], tmm2",
            "tilestored [{sums} + {row} + 3072], tmm3",
            "tilerelease",
            shapes = in(reg) &raw const amx::EIGHT_TILES,
            ones = in(reg) ones.as_ptr(),
            sums = in(reg) sums.as_mut_ptr(),
            row = in(reg) 64usize,
            rounds = inout(reg) rounds => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _,
            options(nostack),
        );
    }
    sums.iter().sum()
}
