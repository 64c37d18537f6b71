//! Packing of factors for the kernels, rounded to bf16.
//!
//! A factor is cut into panels of 32 of its outer rows (rows of the left factor, columns of the right one), a panel
//! into steps of 32 entries along the inner axis, over which is summed. A step is two tiles of 16 x 32 numbers, each of
//! 16 lines of 16 pairs; a pair is two neighbours along the inner axis. A line runs along the pairs of one outer row in
//! a left factor, along the outer rows of one pair in a right one. Panels and steps that a factor does not fill are
//! padded with zeros.

use super::super::factor::Matrix;
use super::super::layout::{PANEL, STEP, Side};
use super::transpose::transposed;
use crate::buffer::{LINE, Line};
use crate::instructions::Instructions;
use std::arch::x86_64::*;

/// Lines of a step.
pub(crate) const STEP_LINES: usize = 2 * LINE;

/// Whether the processor has what packing needs.
pub(super) fn available() -> bool {
    Instructions::Avx512.usable()
        && is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("bmi2")
}

/// Packs a panel: at most 32 outer rows from `outer` on, `depth` entries from `inner` on.
///
/// # Safety
/// The processor has what [`available`] asks for.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn panel(
    side: Side,
    by_outer: Matrix<'_>,
    outer: usize,
    inner: usize,
    depth: usize,
    into: &mut [Line],
) {
    let outers = PANEL.min(by_outer.rows - outer);
    assert!(inner + depth <= by_outer.columns);
    let (tiles, _) = into.as_chunks_mut::<LINE>();
    for (index, into) in tiles.iter_mut().enumerate().take(2 * depth.div_ceil(STEP)) {
        let (step, row) = (index / 2 * STEP, index % 2 * LINE);
        let place = (outer + row) * by_outer.row_stride + (inner + step) * by_outer.column_stride;
        let from = Tile {
            from: by_outer.data.as_ptr().wrapping_add(place),
            outers: outers.saturating_sub(row).min(LINE),
            inners: STEP.min(depth - step),
        };
        // SAFETY: the tile lies within the matrix.
        unsafe {
            match (side, by_outer.column_stride) {
                (Side::Left, 1) => {
                    from.rows(by_outer.row_stride, |line, pairs| store(&mut into[line], pairs))
                }
                (Side::Right, 1) => {
                    let mut rows = [_mm512_setzero_si512(); LINE];
                    from.rows(by_outer.row_stride, |line, pairs| rows[line] = pairs);
                    store_all(into, transposed(rows));
                }
                (Side::Right, stride) => from.pairs(stride, |line, pairs| store(&mut into[line], pairs)),
                (Side::Left, stride) => {
                    let mut columns = [_mm512_setzero_si512(); LINE];
                    from.pairs(stride, |line, pairs| columns[line] = pairs);
                    store_all(into, transposed(columns));
                }
            }
        }
    }
}

/// Where a tile's numbers are: at most 16 outer rows of at most 32 entries.
struct Tile {
    from: *const f32,
    outers: usize,
    inners: usize,
}

impl Tile {
    /// Hands over each outer row's pairs; its entries are neighbours in memory, rows are `stride` apart.
    ///
    /// # Safety
    /// The tile's numbers can be read.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn rows(&self, stride: usize, mut each: impl FnMut(usize, __m512i)) {
        let whole = self.inners == STEP && self.outers == LINE;
        let mask = if whole {
            u32::MAX
        } else {
            ((1_u64 << self.inners) - 1) as u32
        };
        for line in 0..LINE {
            let from = self.from.wrapping_add(line * stride);
            let mask = if line < self.outers { mask } else { 0 };
            // SAFETY: the masks keep the loads within the row.
            let (low, high) = unsafe {
                if whole {
                    (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(LINE)))
                } else {
                    (
                        _mm512_maskz_loadu_ps(mask as u16, from),
                        _mm512_maskz_loadu_ps((mask >> LINE) as u16, from.wrapping_add(LINE)),
                    )
                }
            };
            each(line, rounded(low, high));
        }
    }

    /// Hands over each pair's outer rows; these are neighbours in memory, entries are `stride` apart.
    ///
    /// # Safety
    /// The tile's numbers can be read.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pairs(&self, stride: usize, mut each: impl FnMut(usize, __m512i)) {
        #[rustfmt::skip]
        let interleave = _mm512_set_epi16(
            31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
            23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0,
        );
        let whole = self.inners == STEP && self.outers == LINE;
        let mask = ((1_u32 << self.outers) - 1) as u16;
        for line in 0..LINE {
            let from = self.from.wrapping_add(2 * line * stride);
            let mask = |inner: usize| if inner < self.inners { mask } else { 0 };
            // SAFETY: the masks keep the loads within the tile.
            let (low, high) = unsafe {
                if whole {
                    (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(stride)))
                } else {
                    (
                        _mm512_maskz_loadu_ps(mask(2 * line), from),
                        _mm512_maskz_loadu_ps(mask(2 * line + 1), from.wrapping_add(stride)),
                    )
                }
            };
            each(line, _mm512_permutexvar_epi16(interleave, rounded(low, high)));
        }
    }
}

/// 32 numbers as bf16, `low` first.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn rounded(low: __m512, high: __m512) -> __m512i {
    // SAFETY: both types are 64 plain bytes.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(into: &mut Line, line: __m512i) {
    // SAFETY: a line is 64 bytes on a boundary of 64.
    unsafe { _mm512_store_si512((&raw mut *into).cast(), line) };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_all(into: &mut [Line; LINE], lines: [__m512i; LINE]) {
    for (into, line) in into.iter_mut().zip(lines) {
        store(into, line);
    }
}
