//! Products of strided matrices in plain memory, on one thread.

use gemm::{Parallelism, gemm};

/// A matrix within a slice: entry `(i, j)` is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` entries each, `stride` apart.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        let matrix = Self {
            data,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        };
        assert!(
            matrix.end() <= data.len(),
            "{rows} x {columns} by {stride} does not fit {} entries",
            data.len()
        );
        matrix
    }

    /// The same entries with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// One past the last entry.
    fn end(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// `into = left right`, or `into += left right`; rows of `into` are `stride` apart.
pub(crate) fn multiply(into: &mut [f32], stride: usize, left: Matrix<'_>, right: Matrix<'_>, add: bool) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    assert_eq!(inner, right.rows, "inner sizes of a product");
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(
        (rows - 1) * stride + columns <= into.len(),
        "the product does not fit its place"
    );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_transposes_are_honoured() {
        // a = [[1, 2], [3, 4]] in rows of 3; b = a transposed.
        let a = Matrix::new(&[1.0, 2.0, 9.0, 3.0, 4.0], 2, 2, 3);
        let mut c = [0.0, 0.0, 7.0, 0.0, 0.0];
        multiply(&mut c, 3, a, a.transposed(), false);
        assert_eq!(c, [5.0, 11.0, 7.0, 11.0, 25.0]);
        multiply(&mut c, 3, a, a.transposed(), true);
        assert_eq!(c, [10.0, 22.0, 7.0, 22.0, 50.0]);
    }
}
