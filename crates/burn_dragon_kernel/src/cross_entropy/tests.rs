//! The pass against the definition: values and gradients.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::{Device, TensorData};

const SHAPES: [[usize; 3]; 6] = [
    [1, 1, 1],
    [1, 1, 2],
    [2, 3, 15],
    [3, 5, 33],
    [2, 270, 256],
    [1, 2, 20_000],
];

fn targets([lanes, tokens, classes]: [usize; 3], device: &Device) -> Tensor<2, Int> {
    let targets: Vec<i32> = (0..lanes * tokens).map(|i| (i * 31 % classes) as i32).collect();
    Tensor::from_data(TensorData::new(targets, [lanes, tokens]), device)
}

#[test]
fn values_are_those_of_the_definition() {
    let device = Device::flex();
    for shape in SHAPES {
        let (logits, targets) = (numbers(shape, 1, 20.0, &device), targets(shape, &device));
        let kept = values(logits.clone());
        let losses = cross_entropy(logits.clone(), targets.clone());
        close(
            "losses",
            &values(losses),
            &values(reference::cross_entropy(logits.clone(), targets)),
        );
        assert_eq!(values(logits), kept, "what others hold stays as it was");
    }
}

#[test]
fn gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for shape in SHAPES {
        let gradient = |cross_entropy: fn(Tensor<3>, Tensor<2, Int>) -> Tensor<2>| {
            let logits = numbers(shape, 1, 20.0, &device).require_grad();
            let weights = numbers([shape[0], shape[1]], 2, 1.0, &device);
            let loss = (cross_entropy(logits.clone() * 1.0, targets(shape, &device)) * weights).sum();
            values(logits.grad(&loss.backward()).unwrap())
        };
        close(
            "gradient",
            &gradient(cross_entropy),
            &gradient(reference::cross_entropy),
        );
    }
}

/// Equal logits know nothing: log V. Logits far apart neither overflow nor become a NaN.
#[test]
fn the_ends_of_the_range_are_right() {
    let device = Device::flex();
    let target = Tensor::<2, Int>::from_data([[1]], &device);
    let loss = |logits: [f32; 3]| {
        let logits = Tensor::<1>::from_floats(logits, &device).reshape([1, 1, 3]);
        values(cross_entropy(logits, target.clone()))[0]
    };
    assert!((loss([5.0; 3]) - 3f32.ln()).abs() < 1e-6);
    assert_eq!(loss([-1e30, 1e30, 0.0]), 0.0);
    assert_eq!(loss([300.0, 0.0, 0.0]), 300.0);
    assert!(loss([0.0, f32::NAN, 0.0]).is_nan());
    assert!(loss([f32::NAN, 1.0, 0.0]).is_nan());
}

#[test]
#[should_panic(expected = "target 3 of 3 classes")]
fn a_target_beyond_the_classes_is_named() {
    let device = Device::flex();
    cross_entropy(
        Tensor::zeros([1, 1, 3], &device),
        Tensor::from_data([[3]], &device),
    );
}
