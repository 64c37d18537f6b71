//! The pass against the definition: values and gradients.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::{DType, Device};

const SHAPES: [[usize; 3]; 6] = [
    [1, 1, 3], // two entries norm to +1 and -1: no gradient but rounding
    [2, 3, 5],
    [1, 7, 16],
    [3, 1, 33],
    [2, 1100, 64],
    [1, 2, 20_000],
];
const EPS: f64 = 1e-5;

#[test]
fn values_are_those_of_the_definition() {
    for shape in SHAPES {
        let v = numbers(shape, 1, 3.0, &Device::flex());
        let kept = values(v.clone());
        close(
            "norm",
            &values(norm(v.clone(), EPS)),
            &values(reference::norm(v.clone(), EPS)),
        );
        assert_eq!(values(v), kept, "what others hold stays as it was");
    }
}

#[test]
fn gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for shape in SHAPES {
        let gradient = |norm: fn(Tensor<3>, f64) -> Tensor<3>| {
            let v = numbers(shape, 2, 3.0, &device).require_grad();
            let loss = (norm(v.clone(), EPS) * numbers(shape, 3, 1.0, &device)).sum();
            values(v.grad(&loss.backward()).unwrap())
        };
        close("gradient", &gradient(norm), &gradient(reference::norm));
    }
}

#[test]
fn a_constant_row_becomes_zero_and_other_precisions_take_the_definition() {
    let v = Tensor::<2>::full([2, 40], 7.0, &Device::flex());
    assert!(values(norm(v.clone(), EPS)).into_iter().all(|a| a == 0.0));
    assert_eq!(norm(v.cast(DType::F64), EPS).dtype(), DType::F64);
}
