//! f32 products by AVX-512.
//!
//! The right factor is cut into panels of 32 columns, each copied so that entries that are read together are
//! contiguous: an entry of the inner axis, over which is summed, is two lines. The left factor is read in its own
//! memory, one number at a time.

use super::super::factor::{Factor, Matrix};
use super::super::layout::{DEPTH, PANEL, STEP, Side};
use super::transpose::transposed;
use crate::buffer::{Buffer, LINE, Line};
use crate::instructions::Instructions;
use std::arch::x86_64::*;
use std::cell::RefCell;

/// Lines of 32 inner entries of a panel.
pub(super) const STEP_LINES: usize = STEP * PANEL / LINE;

/// Whether the processor has what is needed.
pub(crate) fn available() -> bool {
    Instructions::Avx512.usable()
}

/// Packs a panel: 32 columns of the right factor, zeros where it has fewer; `by_outer` is its transpose.
///
/// # Panics
/// If the processor cannot.
pub(super) fn pack(by_outer: Matrix<'_>, outer: usize, inner: usize, depth: usize, into: &mut [Line]) {
    assert!(available());
    // SAFETY: the processor has AVX-512.
    unsafe { panel(by_outer, outer, inner, depth, into) };
}

thread_local! {
    /// Room for a panel.
    static ROOM: RefCell<Buffer> = RefCell::default();
}

/// `into = left right`, or `into += left right`.
pub(super) fn multiply(into: &mut [f32], stride: usize, left: Matrix<'_>, right: Factor<'_>, add: bool) {
    assert!(available());
    let [inner, columns] = right.size();
    assert!(left.columns == inner && (left.rows - 1) * stride + columns <= into.len());
    ROOM.with_borrow_mut(|room| {
        for k in (0..inner).step_by(DEPTH) {
            let depth = DEPTH.min(inner - k);
            for j in (0..columns).step_by(PANEL) {
                let right = match right {
                    Factor::Plain(right) => {
                        let room = room.lines(depth.div_ceil(STEP) * STEP_LINES);
                        pack(right.transposed(), j, k, depth, room);
                        &*room
                    }
                    Factor::Packed(packed) => packed.panel(STEP_LINES, Side::Right, j, k),
                };
                let strip = Strip {
                    left,
                    first: k,
                    right: &right.as_chunks::<2>().0[..depth],
                };
                let into = &mut into[j..];
                let width = PANEL.min(columns - j);
                // SAFETY: the processor has AVX-512.
                unsafe {
                    if left.column_stride == 1 {
                        strip.multiply::<true>(into, stride, width, add || k > 0);
                    } else {
                        strip.multiply::<false>(into, stride, width, add || k > 0);
                    }
                }
            }
        }
    });
}

#[target_feature(enable = "avx512f")]
fn panel(by_outer: Matrix<'_>, outer: usize, inner: usize, depth: usize, into: &mut [Line]) {
    let outers = PANEL.min(by_outer.rows - outer);
    assert!(inner + depth <= by_outer.columns && 2 * depth <= into.len());
    for half in 0..2 {
        let outers = outers.saturating_sub(half * LINE).min(LINE);
        let mask = ((1_u32 << outers) - 1) as u16;
        let place = (outer + half * LINE) * by_outer.row_stride + inner * by_outer.column_stride;
        let from = by_outer.data.as_ptr().wrapping_add(place);
        if by_outer.column_stride == 1 {
            for start in (0..depth).step_by(LINE) {
                let inners = LINE.min(depth - start);
                let from = |row: usize| from.wrapping_add(row * by_outer.row_stride + start).cast::<i32>();
                let into = &mut into[2 * start..];
                if outers == LINE && inners == LINE {
                    // SAFETY: 16 rows of 16 entries.
                    let rows =
                        std::array::from_fn(|row| unsafe { _mm512_loadu_si512(from(row).cast::<__m512i>()) });
                    for (entry, line) in transposed(rows).into_iter().enumerate() {
                        store(&mut into[2 * entry + half], line);
                    }
                    continue;
                }
                let mut lines = [_mm512_setzero_si512(); LINE];
                for (row, line) in lines.iter_mut().enumerate().take(outers) {
                    // SAFETY: the mask keeps the load within the row.
                    *line = unsafe { _mm512_maskz_loadu_epi32(((1_u32 << inners) - 1) as u16, from(row)) };
                }
                for (entry, line) in transposed(lines).into_iter().enumerate().take(inners) {
                    store(&mut into[2 * entry + half], line);
                }
            }
        } else {
            for entry in 0..depth {
                let from = from.wrapping_add(entry * by_outer.column_stride);
                // SAFETY: the mask keeps the load within the row.
                let line = unsafe { _mm512_maskz_loadu_epi32(mask, from.cast()) };
                store(&mut into[2 * entry + half], line);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(into: &mut Line, line: __m512i) {
    // SAFETY: a line is 64 bytes on a boundary of 64.
    unsafe { _mm512_store_si512((&raw mut *into).cast(), line) };
}

/// All rows of the left factor against a panel of the right one.
struct Strip<'a> {
    left: Matrix<'a>,
    /// The inner entry that the panel starts with.
    first: usize,
    right: &'a [[Line; 2]],
}

impl Strip<'_> {
    /// The product of the strip; `BY_ROWS`: the left factor's rows are contiguous, else its columns are.
    #[target_feature(enable = "avx512f")]
    fn multiply<const BY_ROWS: bool>(&self, into: &mut [f32], stride: usize, width: usize, add: bool) {
        let mut row = 0;
        while row < self.left.rows {
            let target = Target {
                into: &mut into[row * stride..],
                stride,
                width,
                add,
            };
            row += match self.left.rows - row {
                12.. => self.rows::<12, BY_ROWS>(row, target),
                8.. => self.rows::<8, BY_ROWS>(row, target),
                4.. => self.rows::<4, BY_ROWS>(row, target),
                2.. => self.rows::<2, BY_ROWS>(row, target),
                _ => self.rows::<1, BY_ROWS>(row, target),
            };
        }
    }

    /// `R` rows from `row` on; returns `R`.
    #[target_feature(enable = "avx512f")]
    fn rows<const R: usize, const BY_ROWS: bool>(&self, row: usize, mut target: Target<'_>) -> usize {
        let (along, across) = match BY_ROWS {
            true => (1, self.left.row_stride),
            false => (self.left.column_stride, 1),
        };
        let start = row * self.left.row_stride + self.first * self.left.column_stride;
        let start = self.left.data[start..].as_ptr();
        let left: [*const f32; R] = std::array::from_fn(|row| start.wrapping_add(row * across));
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        for (entry, [low, high]) in self.right.iter().enumerate() {
            let right = [load(low), load(high)];
            for (sums, left) in sums.iter_mut().zip(left) {
                // SAFETY: R rows and all inner entries of the panel lie within the left factor.
                let left = unsafe { _mm512_set1_ps(*left.wrapping_add(entry * along)) };
                sums[0] = _mm512_fmadd_ps(left, right[0], sums[0]);
                sums[1] = _mm512_fmadd_ps(left, right[1], sums[1]);
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            target.row(row, sums);
        }
        R
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line) -> __m512 {
    // SAFETY: a line is 64 bytes on a boundary of 64.
    unsafe { _mm512_load_ps((&raw const *line).cast()) }
}

/// Where sums go: rows of at most 32.
struct Target<'a> {
    into: &'a mut [f32],
    stride: usize,
    width: usize,
    add: bool,
}

impl Target<'_> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn row(&mut self, row: usize, sums: [__m512; 2]) {
        let into = &mut self.into[row * self.stride..][..self.width];
        let mask = ((1_u64 << self.width) - 1) as u32;
        for ((into, mask), sum) in [into.as_mut_ptr(), into.as_mut_ptr().wrapping_add(LINE)]
            .into_iter()
            .zip([mask as u16, (mask >> LINE) as u16])
            .zip(sums)
        {
            // SAFETY: the mask keeps load and store within the row.
            unsafe {
                let sum = if self.add {
                    _mm512_add_ps(_mm512_maskz_loadu_ps(mask, into), sum)
                } else {
                    sum
                };
                _mm512_mask_storeu_ps(into, mask, sum);
            }
        }
    }
}
