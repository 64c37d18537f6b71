//! Solution and gradient on the processor: substitution, row by row; a matrix is a task.

use crate::flex::tensor;
use crate::parallel::*;
use crate::simd::{dot, vectorized};
use burn_flex::FlexTensor;

/// Solution X of `(I + M) X = R`, all in contiguous memory.
pub(crate) fn triangular_solve(matrix: &FlexTensor, right: &FlexTensor) -> FlexTensor {
    let shape = right.layout().shape().clone();
    let (size, width) = (shape[1], shape[2]);
    let mut solution = right.storage::<f32>().to_vec();
    solution
        .par_chunks_mut(size * width)
        .zip(matrix.storage::<f32>().par_chunks(size * size))
        .for_each(|(solution, matrix)| forward(matrix, solution, size, width));
    tensor(solution, shape)
}

/// Gradients of the matrix and of the right side: `(I + M)^T dR = dX`, and `dM = -dR X^T` below the diagonal.
pub(crate) fn triangular_solve_back(
    matrix: &FlexTensor,
    solution: &FlexTensor,
    d: &FlexTensor,
) -> [FlexTensor; 2] {
    let shape = solution.layout().shape().clone();
    let (size, width) = (shape[1], shape[2]);
    let mut right = d.storage::<f32>().to_vec();
    let mut below = vec![0.0; matrix.storage::<f32>().len()];
    right
        .par_chunks_mut(size * width)
        .zip(below.par_chunks_mut(size * size))
        .zip(matrix.storage::<f32>().par_chunks(size * size))
        .zip(solution.storage::<f32>().par_chunks(size * width))
        .for_each(|(((right, below), matrix), solution)| {
            backward(matrix, right, size, width);
            of_matrix(right, solution, below, size, width);
        });
    [
        tensor(below, matrix.layout().shape().clone()),
        tensor(right, shape),
    ]
}

/// Subtracts factors times rows from a row.
#[inline(always)]
fn subtract(row: &mut [f32], others: &[f32], factors: impl Iterator<Item = f32>) {
    for (factor, other) in factors.zip(others.chunks_exact(row.len())) {
        for (x, other) in row.iter_mut().zip(other) {
            *x -= factor * other;
        }
    }
}

vectorized! {
    /// Forward substitution, in place of the right side.
    forward(matrix: &[f32], rows: &mut [f32], size: usize, width: usize) {
        for (i, factors) in matrix.chunks_exact(size).enumerate() {
            let (before, rest) = rows.split_at_mut(i * width);
            subtract(&mut rest[..width], before, factors.iter().copied());
        }
    }

    /// Backward substitution with the transposed matrix, in place of the right side.
    backward(matrix: &[f32], rows: &mut [f32], size: usize, width: usize) {
        for i in (0..size).rev() {
            let (rest, after) = rows.split_at_mut((i + 1) * width);
            let factors = (i + 1..size).map(|j| matrix[j * size + i]);
            subtract(&mut rest[i * width..], after, factors);
        }
    }

    /// Minus the products of the rows of two sides, below the diagonal.
    of_matrix(right: &[f32], solution: &[f32], below: &mut [f32], size: usize, width: usize) {
        for (i, (right, below)) in right.chunks_exact(width).zip(below.chunks_exact_mut(size)).enumerate() {
            for (below, solution) in below[..i].iter_mut().zip(solution.chunks_exact(width)) {
                *below = -dot(right, solution);
            }
        }
    }
}
