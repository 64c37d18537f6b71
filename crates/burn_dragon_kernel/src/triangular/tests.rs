//! The form of the processor against the definition, and the definition against the equation.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::{DType, Device};

/// Matrices, their size, and the width of the right side.
const SHAPES: [[usize; 3]; 6] = [
    [1, 1, 1],
    [3, 2, 5],
    [2, 7, 16],
    [2, 64, 33],
    [5, 33, 8],
    [3, 64, 128],
];

#[test]
fn the_definition_solves_the_equation_also_where_entries_are_large_and_alike() {
    for [count, size, width] in SHAPES {
        let of = |shape, seed| numbers(shape, seed, 2.0, &Device::flex()).cast(DType::F64);
        for alike in [0.0, 0.9] {
            let matrix = (of([count, size, size], 1) * (1.0 - alike) + alike).tril(-1);
            let right = of([count, size, width], 2);
            let solution = reference::triangular_solve(matrix.clone(), right.clone());
            let back = solution.clone() + matrix.matmul(solution.clone());
            let off = (back - right).abs().max().into_scalar::<f64>();
            let largest = solution.abs().max().into_scalar::<f64>();
            assert!(off <= 1e-12 * largest.max(1.0), "{size}: {off:e} of {largest:e}");
        }
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for [count, size, width] in SHAPES.into_iter().filter(|[_, size, _]| *size > 1) {
        let of = |solve: fn(Tensor<3>, Tensor<3>) -> Tensor<3>| {
            let matrix = numbers([count, size, size], 1, 0.5, &device).require_grad();
            let right = numbers([count, size, width], 2, 1.0, &device).require_grad();
            let solution = solve(matrix.clone(), right.clone());
            let found = (solution.clone() * numbers([count, size, width], 3, 1.0, &device))
                .sum()
                .backward();
            let [matrix, right] = [matrix, right].map(|leaf| values(leaf.grad(&found).unwrap()));
            [values(solution.inner()), right, matrix]
        };
        let (fast, defined) = (of(triangular_solve), of(reference::triangular_solve));
        for (what, (fast, defined)) in ["solution", "right", "matrix"]
            .into_iter()
            .zip(fast.iter().zip(&defined))
        {
            close(what, fast, defined);
        }
    }
}

#[test]
fn a_constant_has_no_gradient_and_entries_on_and_above_the_diagonal_are_not_read() {
    let device = Device::flex();
    let matrix = numbers([2, 9, 9], 1, 0.5, &device);
    let right = numbers([2, 9, 4], 2, 1.0, &device).autodiff().require_grad();
    let solution = triangular_solve(matrix.clone(), right.clone());
    let found = solution.clone().sum().backward();
    assert_eq!(values(right.grad(&found).unwrap()).len(), 72);
    let plain = triangular_solve(matrix.tril(-1), right.inner());
    assert_eq!(values(solution.inner()), values(plain));
}
