//! The pass against the definition: values and gradients.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::Device;

const SHAPES: [[usize; 4]; 5] = [
    [1, 1, 1, 3],
    [2, 1, 3, 5],
    [1, 1, 7, 16],
    [3, 1, 33, 65],
    [1, 1, 1100, 128],
];
const EPS: f64 = 1e-5;

#[test]
fn values_are_those_of_the_definition() {
    for shape in SHAPES {
        let (v, u) = (
            numbers(shape, 1, 3.0, &Device::flex()),
            numbers(shape, 2, 0.1, &Device::flex()),
        );
        let kept = [values(v.clone()), values(u.clone())];
        let joined = join(v.clone(), u.clone(), EPS);
        close(
            "join",
            &values(joined),
            &values(reference::join(v.clone(), u.clone(), EPS)),
        );
        assert_eq!([values(v), values(u)], kept, "what others hold stays as it was");
    }
}

#[test]
fn gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for shape in SHAPES {
        let gradients = |join: fn(Tensor<4>, Tensor<4>, f64) -> Tensor<4>| {
            let v = numbers(shape, 1, 3.0, &device).require_grad();
            let u = numbers(shape, 2, 0.1, &device).require_grad();
            // v twice, as in the model, where it also goes into the level.
            let stream = join(v.clone(), u.clone() * v.clone(), EPS);
            let gradients = (stream * numbers(shape, 3, 1.0, &device)).sum().backward();
            [
                values(v.grad(&gradients).unwrap()),
                values(u.grad(&gradients).unwrap()),
            ]
        };
        let (fast, slow) = (gradients(join), gradients(reference::join));
        close("dv", &fast[0], &slow[0]);
        close("du", &fast[1], &slow[1]);
    }
}
