//! The Newton-Schulz iterations on the processor: matrices in parallel, and blocks of rows within each.

use super::{COEFFICIENTS, EPSILON};
use crate::buffer::Buffer;
use crate::matrix::{Matrix, Precision};
use crate::parallel::*;
use burn_flex::FlexTensor;

/// Number of rows of a product that one task computes: fixed, so that the bits do not depend on the threads.
const ROWS: usize = 64;

/// The iterations on contiguous numbers, `[M, R, C]`.
pub(crate) fn newton_schulz(mut matrices: FlexTensor, iterations: usize) -> FlexTensor {
    let [rows, columns] = [1, 2].map(|axis| matrices.layout().shape()[axis]);
    if rows * columns > 0 {
        matrices
            .storage_mut()
            .par_chunks_mut(rows * columns)
            .for_each(|matrix| iterate(matrix, [rows, columns], iterations));
    }
    matrices
}

/// The iterations on one matrix, in place.
fn iterate(matrix: &mut [f32], [rows, columns]: [usize; 2], iterations: usize) {
    let [short, long] = [rows.min(columns), rows.max(columns)];
    let squares = matrix.iter().map(|entry| f64::from(*entry) * f64::from(*entry));
    let factor = (1.0 / (squares.sum::<f64>().sqrt() + EPSILON)) as f32;
    let [mut x, mut next] = [Buffer::zeros(short * long), Buffer::zeros(short * long)];
    let [mut square, mut polynomial] = [Buffer::zeros(short * short), Buffer::zeros(short * short)];
    turn(matrix, &mut x, [rows, columns]);
    x.iter_mut().for_each(|entry| *entry *= factor);
    for _ in 0..iterations {
        let stream = Matrix::new(&x, short, long, long);
        product(&mut square, short, stream, stream.transposed());
        let symmetric = Matrix::new(&square, short, short, short);
        product(&mut polynomial, short, symmetric, symmetric);
        combine(&mut polynomial, &square, short);
        product(
            &mut next,
            long,
            Matrix::new(&polynomial, short, short, short),
            stream,
        );
        std::mem::swap(&mut x, &mut next);
    }
    turn_back(&x, matrix, [rows, columns]);
}

/// `a I + b A + c A^2`, from `A^2` and `A`.
fn combine(polynomial: &mut [f32], square: &[f32], size: usize) {
    let [a, b, c] = COEFFICIENTS.map(|coefficient| coefficient as f32);
    for (entry, first) in polynomial.iter_mut().zip(square) {
        *entry = *entry * c + first * b;
    }
    polynomial
        .iter_mut()
        .step_by(size + 1)
        .for_each(|entry| *entry += a);
}

/// `into = left right`, rows of `into` lying `stride` apart without gaps.
fn product(into: &mut [f32], stride: usize, left: Matrix<'_>, right: Matrix<'_>) {
    into.par_chunks_mut(ROWS * stride)
        .enumerate()
        .for_each(|(block, into)| {
            let rows = into.len() / stride;
            let from = &left.data[block * ROWS * left.row_stride..];
            let left = Matrix::new(from, rows, left.columns, left.row_stride);
            Precision::F32.multiply(into, stride, left, right, false);
        });
}

/// A copy of a matrix, or of its transpose where that has fewer rows.
fn turn(from: &[f32], into: &mut [f32], [rows, columns]: [usize; 2]) {
    if rows <= columns {
        into.copy_from_slice(from);
    } else {
        transpose(from, into, [rows, columns]);
    }
}

/// Inverse of [`turn`].
fn turn_back(from: &[f32], into: &mut [f32], [rows, columns]: [usize; 2]) {
    if rows <= columns {
        into.copy_from_slice(from);
    } else {
        transpose(from, into, [columns, rows]);
    }
}

/// The transpose of a matrix of `[rows, columns]`.
fn transpose(from: &[f32], into: &mut [f32], [rows, columns]: [usize; 2]) {
    for (column, into) in into.chunks_exact_mut(rows).enumerate() {
        let entries = from[column..].iter().step_by(columns);
        into.iter_mut()
            .zip(entries)
            .for_each(|(into, from)| *into = *from);
    }
}
