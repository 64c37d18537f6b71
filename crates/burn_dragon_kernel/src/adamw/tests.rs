//! The pass against the definition, and what "in place" means.

use super::*;
use burn::tensor::{DType, Device, TensorData};

/// A parameter, its gradient and a few hundred steps of moments, all around the given size.
fn case(size: usize, scale: f64) -> (Tensor<1>, Tensor<1>, Moments) {
    let wave = |phase: f64| {
        let values: Vec<f32> = (0..size)
            .map(|i| ((i as f64 * 0.7 + phase).sin() * scale) as f32)
            .collect();
        Tensor::<1>::from_data(TensorData::new(values, [size]), &Device::flex())
    };
    let moments = Moments {
        first: wave(2.0),
        second: wave(3.0).square(),
    };
    (wave(0.0), wave(1.0), moments)
}

const STEP: AdamWStep = AdamWStep {
    count: 7,
    rate: 3e-3,
    beta_1: 0.9,
    beta_2: 0.999,
    eps: 1e-8,
    decay: 0.1,
    scale: 0.37,
};

fn bits(tensor: &Tensor<1>) -> Vec<u32> {
    let values = tensor.to_data().try_to_vec::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn the_pass_equals_the_definition_bit_by_bit() {
    for (size, scale) in [
        (1, 1.0),
        (15, 1e-3),
        (16 * 1024, 1.0),
        (140_001, 1e-18),
        (33_000, 1e4),
    ] {
        let (value, gradient, moments) = case(size, scale);
        let expected = reference::adamw(value.clone(), gradient.clone(), moments.clone(), &STEP);
        let given = adamw(value, gradient, moments, &STEP);
        assert_eq!(bits(&given.0), bits(&expected.0), "value of {size} at {scale}");
        assert_eq!(
            bits(&given.1.first),
            bits(&expected.1.first),
            "first moment of {size}"
        );
        assert_eq!(
            bits(&given.1.second),
            bits(&expected.1.second),
            "second moment of {size}"
        );
    }
}

#[test]
fn what_others_hold_stays_as_it_was() {
    let (value, gradient, moments) = case(100, 1.0);
    let (before, kept) = (bits(&value), moments.clone());
    let (after, _) = adamw(value.clone(), gradient.clone(), moments, &STEP);
    assert_eq!(bits(&value), before);
    assert_ne!(bits(&after), before);
    assert_eq!(bits(&kept.first), bits(&case(100, 1.0).2.first));
}

#[test]
fn what_nobody_else_holds_is_changed_in_place() {
    let (value, gradient, moments) = case(1000, 1.0);
    let place = |tensor: &Tensor<1>| crate::testing::memory(tensor.clone()).bytes().as_ptr();
    let before = [&value, &moments.first, &moments.second].map(place);
    let (value, moments) = adamw(value, gradient, moments, &STEP);
    assert_eq!([&value, &moments.first, &moments.second].map(place), before);
}

#[test]
fn other_precisions_take_the_definition() {
    let (value, gradient, moments) = case(9, 1.0);
    let wide = |tensor: Tensor<1>| tensor.cast(DType::F64);
    let moments = Moments {
        first: wide(moments.first),
        second: wide(moments.second),
    };
    let (value, _) = adamw(wide(value), wide(gradient), moments, &STEP);
    assert_eq!(value.dtype(), DType::F64);
}

/// One number by hand: the first step moves by the rate against the gradient's sign, whatever its size.
#[test]
fn the_first_step_is_the_rate() {
    let device = Device::flex();
    let value = Tensor::<1>::from_data([1.0, 1.0], &device);
    let gradient = Tensor::<1>::from_data([5.0, -0.01], &device);
    let step = AdamWStep {
        count: 1,
        decay: 0.0,
        ..STEP
    };
    let moments = Moments::zeros_like(&value);
    let (value, _) = adamw(value, gradient, moments, &step);
    let values = value.to_data().try_to_vec::<f32>().unwrap();
    assert!(
        (values[0] - 0.997).abs() < 1e-6 && (values[1] - 1.003).abs() < 1e-6,
        "{values:?}"
    );
}
