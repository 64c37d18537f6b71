//! Integer operations on rows of trits and of bytes. All of them equal their definition, `low_bit/product.rs`, exactly.

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::{Bytes, LINE};
use crate::low_bit::{Codes, Trits, add_bytes, add_codes, code_dot};

/// Sixteen whole numbers, one cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Sums(pub(crate) [i32; LINE]);

/// Products of whole numbers. A row and its activations have the same number of blocks, and sums are filled to whole
/// blocks. The caller must ensure that sums fit i32.
pub(crate) trait Whole: Copy {
    /// `sum u q` of a row, where u is a trit's code 0, 1 or 2.
    #[inline(always)]
    fn code_dot(self, row: &[Trits], q: &[Codes]) -> i32 {
        code_dot(row, q)
    }
    /// `from + sum u q` of sixteen rows, each of which begins at a block.
    ///
    /// # Panics
    /// If a row is not within the rows.
    #[inline(always)]
    fn code_dots(self, rows: &[Trits], starts: [usize; LINE], q: &[Codes], from: i32) -> Sums {
        let mut sums = Sums([from; LINE]);
        for (sum, start) in sums.0.iter_mut().zip(starts) {
            *sum += self.code_dot(&rows[start..][..q.len()], q);
        }
        sums
    }
    /// `sum += y u` with a row's codes u.
    #[inline(always)]
    fn add_codes(self, y: u8, row: &[Trits], sum: &mut [Sums]) {
        add_codes(y, row, sum);
    }
    /// `sum += y w` with a row of bytes.
    #[inline(always)]
    fn add_bytes(self, y: u8, row: &[Bytes], sum: &mut [Sums]) {
        add_bytes(y, row, sum);
    }
}
