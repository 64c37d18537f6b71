//! Blocks by the dot products of AVX-512 (`vdpbf16ps`).

use super::super::layout::PANEL;
use super::bf16::{Blocks, STEP_LINES};
use super::pack;
use crate::buffer::{LINE, Line};
use std::arch::x86_64::*;

/// Whether the processor has them.
pub(crate) fn available() -> bool {
    pack::available()
}

/// Rows of a block that are computed together: two vectors of sums each.
const ROWS: usize = 8;

/// The vectors, which need no preparation.
pub(crate) struct Vectors(());

impl Blocks for Vectors {
    fn new() -> Self {
        assert!(available());
        Self(())
    }

    fn block(&self, left: &[Line], right: &[Line], into: &mut [f32], stride: usize, add: bool) {
        assert!(left.len() == right.len() && left.len().is_multiple_of(STEP_LINES));
        assert!(into.len() >= (PANEL - 1) * stride + PANEL);
        for row in (0..PANEL).step_by(ROWS) {
            // SAFETY: there is a value, so the processor has what `available` asks for.
            unsafe { rows(&left[row..], right, &mut into[row * stride..], stride, add) };
        }
    }
}

/// `ROWS` rows of a block; `left` starts with the first of them.
#[target_feature(enable = "avx512f,avx512bf16")]
fn rows(left: &[Line], right: &[Line], into: &mut [f32], stride: usize, add: bool) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (step, right) in right.as_chunks::<STEP_LINES>().0.iter().enumerate() {
        let left = &left[step * STEP_LINES..][..ROWS];
        for pair in 0..LINE {
            let columns = [bf16(&right[pair]), bf16(&right[LINE + pair])];
            for (sums, left) in sums.iter_mut().zip(left) {
                // SAFETY: a line has 16 pairs of 4 bytes.
                let row = unsafe { _mm512_set1_epi32(*(&raw const *left).cast::<i32>().add(pair)) };
                // SAFETY: both types are 64 plain bytes.
                let row = unsafe { std::mem::transmute::<__m512i, __m512bh>(row) };
                sums[0] = _mm512_dpbf16_ps(sums[0], row, columns[0]);
                sums[1] = _mm512_dpbf16_ps(sums[1], row, columns[1]);
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (into, sum) in into[row * stride..][..PANEL]
            .as_chunks_mut::<LINE>()
            .0
            .iter_mut()
            .zip(sums)
        {
            // SAFETY: 16 numbers.
            unsafe {
                let sum = if add {
                    _mm512_add_ps(_mm512_loadu_ps(into.as_ptr()), sum)
                } else {
                    sum
                };
                _mm512_storeu_ps(into.as_mut_ptr(), sum);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16(line: &Line) -> __m512bh {
    // SAFETY: a line is 64 bytes on a boundary of 64; both types are 64 plain bytes.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_load_si512((&raw const *line).cast())) }
}
