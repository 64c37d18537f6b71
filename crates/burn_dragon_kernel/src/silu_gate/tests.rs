//! The form of the processor against the definition.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::Device;

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for shape in [[1, 1], [3, 7], [70, 300]] {
        let of = |gate: fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
            let [y, z] = [1, 2].map(|seed| numbers(shape, seed, 8.0, &device).require_grad());
            let output = gate(y.clone(), z.clone());
            let gradients = (output.clone() * numbers(shape, 3, 1.0, &device))
                .sum()
                .backward();
            [Some(output.inner()), y.grad(&gradients), z.grad(&gradients)].map(|all| values(all.unwrap()))
        };
        let (fast, defined) = (of(silu_gate), of(reference::silu_gate));
        for (what, (fast, defined)) in ["value", "y", "z"].into_iter().zip(fast.iter().zip(&defined)) {
            close(what, fast, defined);
        }
    }
}
