//! The fast level against its definition: values, gradients, activity, over odd shapes.

use super::*;
use crate::rotation::Frequencies;
use burn::tensor::{Device, TensorData};

/// A deterministic tensor of numbers around zero.
fn numbers<const R: usize>(shape: [usize; R], seed: u64, scale: f64, device: &Device) -> Tensor<R> {
    let size = shape.iter().product::<usize>() as u64;
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (((state >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * scale) as f32
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[derive(Clone, Copy, Debug)]
struct Case {
    lanes: usize,
    heads: usize,
    tokens: usize,
    neurons: usize,
    width: usize,
    dropout: Option<f64>,
    apart: bool,
}

const CASES: [Case; 8] = [
    Case {
        lanes: 1,
        heads: 1,
        tokens: 1,
        neurons: 2,
        width: 1,
        dropout: None,
        apart: false,
    },
    Case {
        lanes: 2,
        heads: 3,
        tokens: 5,
        neurons: 6,
        width: 7,
        dropout: None,
        apart: false,
    },
    Case {
        lanes: 1,
        heads: 2,
        tokens: 64,
        neurons: 34,
        width: 16,
        dropout: Some(0.3),
        apart: false,
    },
    Case {
        lanes: 3,
        heads: 2,
        tokens: 65,
        neurons: 40,
        width: 8,
        dropout: None,
        apart: true,
    },
    Case {
        lanes: 2,
        heads: 1,
        tokens: 130,
        neurons: 1030,
        width: 12,
        dropout: Some(0.1),
        apart: false,
    },
    Case {
        lanes: 9,
        heads: 4,
        tokens: 17,
        neurons: 22,
        width: 5,
        dropout: Some(0.5),
        apart: true,
    },
    Case {
        lanes: 1,
        heads: 5,
        tokens: 300,
        neurons: 258,
        width: 24,
        dropout: None,
        apart: false,
    },
    Case {
        lanes: 4,
        heads: 2,
        tokens: 2,
        neurons: 2,
        width: 3,
        dropout: None,
        apart: false,
    },
];

impl Case {
    fn input(&self, device: &Device) -> LevelInput {
        let Self {
            lanes,
            heads,
            tokens,
            neurons,
            width,
            ..
        } = *self;
        let starts: Vec<u64> = (0..lanes as u64)
            .map(|lane| if self.apart { lane * 31 } else { 4 })
            .collect();
        let parameter = |seed| tracked(numbers([heads, width, neurons], seed, 2.0, device));
        LevelInput {
            v: tracked(numbers([lanes, 1, tokens, width], 1, 2.0, device)),
            decoder_x: parameter(2),
            decoder_y: parameter(3),
            encoder: tracked(numbers([heads * neurons, width], 4, 2.0, device)),
            rotation: Frequencies::new(100.0, neurons).rotation(&starts, tokens, DType::F32, device),
            eps: 1e-5,
            dropout: self.dropout.map(|probability| DropoutMask::new(11, probability)),
            precision: Precision::F32,
        }
    }
}

/// The tensor as a leaf whose gradient is kept, where there are gradients.
fn tracked<const R: usize>(tensor: Tensor<R>) -> Tensor<R> {
    if tensor.is_autodiff() {
        tensor.require_grad()
    } else {
        tensor
    }
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[track_caller]
fn close(what: &str, case: &Case, fast: &[f32], slow: &[f32]) {
    assert_eq!(fast.len(), slow.len());
    let norm =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let error = norm(&mut fast.iter().zip(slow).map(|(a, b)| a - b));
    let size = norm(&mut slow.iter().copied());
    assert!(
        error <= 2e-5 * size + 1e-9,
        "{what} of {case:?}: off by {error:e} of {size:e}"
    );
}

#[test]
fn values_and_activity_are_those_of_the_definition() {
    for case in &CASES {
        let input = case.input(&Device::flex());
        let slow = reference::level(input.clone());
        let fast = cpu::untracked(&input).expect("the fast path takes f32 on the processor");
        close("u", case, &values(fast.u), &values(slow.u));
        let share = |activity: Tensor<4>| activity.greater_scalar(0.0).float().mean().into_scalar::<f64>();
        assert!((fast.x_density - share(slow.x)).abs() < 1e-5, "{case:?}");
        assert!((fast.y_density - share(slow.y)).abs() < 2e-3, "{case:?}");
    }
}

#[test]
fn gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for case in &CASES {
        let gradients = |level: &dyn Fn(LevelInput) -> Tensor<4>| {
            let input = case.input(&device);
            let u = level(input.clone());
            let weights = numbers(u.dims(), 5, 2.0, &device);
            let gradients = (u * weights).sum().backward();
            [
                ("dv", values(input.v.grad(&gradients).unwrap())),
                ("d decoder_x", values(input.decoder_x.grad(&gradients).unwrap())),
                ("d decoder_y", values(input.decoder_y.grad(&gradients).unwrap())),
                ("d encoder", values(input.encoder.grad(&gradients).unwrap())),
            ]
        };
        let fast =
            gradients(&|input| backward::tracked(&input).expect("the fast path takes f32 with autodiff"));
        let slow = gradients(&|input| reference::level(input).u);
        for ((what, fast), (_, slow)) in fast.iter().zip(&slow) {
            close(what, case, fast, slow);
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let device = Device::flex().autodiff();
    let once = || {
        let input = CASES[4].input(&device);
        let u = level(input.clone());
        let gradients = u.clone().sum().backward();
        (values(u), values(input.decoder_x.grad(&gradients).unwrap()))
    };
    assert_eq!(once(), once());
}
