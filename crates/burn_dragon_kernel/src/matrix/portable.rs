//! Products on any machine.

use super::factor::Matrix;
use crate::buffer::Buffer;
use gemm::{Parallelism, gemm};
use std::cell::RefCell;

/// The product of the factors as they are.
pub(super) fn exact(into: &mut [f32], stride: usize, left: Matrix<'_>, right: Matrix<'_>, add: bool) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    assert!(inner == right.rows && (rows - 1) * stride + columns <= into.len());
    // SAFETY: `Matrix::new` and the assertion above keep every entry that the strides reach within its slice; `into`
    // is a unique borrow, so it overlaps neither factor.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            into.as_mut_ptr(),
            1,
            stride as isize,
            add,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

thread_local! {
    static ROUNDED: RefCell<[Buffer; 2]> = RefCell::default();
}

/// Calls `multiply` with the factors rounded to bf16.
pub(super) fn with_rounded(
    left: Matrix<'_>,
    right: Matrix<'_>,
    multiply: impl FnOnce(Matrix<'_>, Matrix<'_>),
) {
    ROUNDED.with_borrow_mut(|[left_room, right_room]| {
        multiply(round(left, left_room), round(right, right_room));
    });
}

/// A rounded copy without gaps, in the same order.
fn round<'a>(factor: Matrix<'_>, room: &'a mut Buffer) -> Matrix<'a> {
    let by_rows = factor.column_stride == 1;
    let from = if by_rows { factor } else { factor.transposed() };
    let (rows, columns) = (from.rows, from.columns);
    let room = room.sized(rows * columns);
    for (row, into) in room.chunks_exact_mut(columns).enumerate() {
        let from = &from.data[row * from.row_stride..][..columns];
        into.iter_mut()
            .zip(from)
            .for_each(|(into, from)| *into = nearest(*from));
    }
    let copy = Matrix::new(room, rows, columns, columns);
    if by_rows { copy } else { copy.transposed() }
}

/// The nearest bf16, ties to even.
pub(super) fn nearest(number: f32) -> f32 {
    let bits = number.to_bits();
    let carry = 0x7fff + ((bits >> 16) & 1);
    if number.is_nan() {
        number
    } else {
        f32::from_bits(bits.wrapping_add(carry) & 0xffff_0000)
    }
}
