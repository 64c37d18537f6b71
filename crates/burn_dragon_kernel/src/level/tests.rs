//! The fast level against its definition: values, gradients, activity, over odd shapes.

use super::*;
use crate::rotation::Frequencies;
pub(super) use crate::testing::values;
use burn::backend::Flex;
use burn::tensor::{DType, Device, TensorData};

/// The level on the processor, which has to take it.
pub(super) fn fast(mut input: LevelInput) -> LevelOutput {
    graph::level::<Flex>(&mut input).expect("the processor takes f32")
}

/// The level in windows of `chunk` tokens.
pub(super) fn in_chunks(input: LevelInput, chunk: usize) -> Tensor<4> {
    let chunk = Some(chunk);
    level(LevelInput { chunk, ..input }).u
}

/// The level of a window that reads and extends a memory.
pub(super) fn with_memory(input: LevelInput, rho: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let memory = Some(rho);
    let output = level(LevelInput { memory, ..input });
    (output.u, output.memory.expect("a memory was given"))
}

/// [`with_memory`] in windows of `chunk` tokens.
pub(super) fn with_memory_in_chunks(
    input: LevelInput,
    rho: Tensor<4>,
    chunk: usize,
) -> (Tensor<4>, Tensor<4>) {
    let chunk = Some(chunk);
    with_memory(LevelInput { chunk, ..input }, rho)
}

/// The definition of [`with_memory`].
pub(super) fn definition_with_memory(input: &LevelInput, rho: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let input = LevelInput {
        memory: Some(rho),
        ..input.clone()
    };
    let defined = reference::level(input);
    (defined.u, defined.memory.expect("a memory was given"))
}

/// A deterministic tensor of numbers around zero.
pub(super) fn numbers<const R: usize>(
    shape: [usize; R],
    seed: u64,
    scale: f64,
    device: &Device,
) -> Tensor<R> {
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
pub(super) struct Case {
    pub(super) lanes: usize,
    pub(super) heads: usize,
    pub(super) tokens: usize,
    pub(super) neurons: usize,
    pub(super) width: usize,
    pub(super) dropout: Option<f64>,
    /// Whether the lanes start at positions of their own.
    pub(super) apart: bool,
    /// How far the neurons are held down: 0 lets half of x fire, 1 almost nothing; -1 all of it.
    pub(super) quiet: f64,
}

const CASE: Case = Case {
    lanes: 1,
    heads: 1,
    tokens: 1,
    neurons: 2,
    width: 1,
    dropout: None,
    apart: false,
    quiet: 0.0,
};

/// Shapes with an edge each, then one of every kind of density where skipping zeros pays.
#[rustfmt::skip]
const CASES: [Case; 12] = [
    CASE,
    Case { lanes: 2, heads: 3, tokens: 5, neurons: 6, width: 7, ..CASE },
    Case { heads: 2, tokens: 64, neurons: 34, width: 16, dropout: Some(0.3), ..CASE },
    Case { lanes: 3, heads: 2, tokens: 65, neurons: 40, width: 8, apart: true, ..CASE },
    Case { lanes: 2, tokens: 130, neurons: 1030, width: 12, dropout: Some(0.1), ..CASE },
    Case { lanes: 9, heads: 4, tokens: 17, neurons: 22, width: 5, dropout: Some(0.5), apart: true, ..CASE },
    Case { heads: 5, tokens: 300, neurons: 258, width: 24, ..CASE },
    Case { lanes: 4, heads: 2, tokens: 2, neurons: 2, width: 3, ..CASE },
    Case { lanes: 2, heads: 2, tokens: 70, neurons: 130, width: 64, dropout: Some(0.2), quiet: 0.3, ..CASE },
    Case { lanes: 2, heads: 3, tokens: 129, neurons: 66, width: 144, quiet: 0.5, ..CASE },
    Case { lanes: 2, heads: 2, tokens: 65, neurons: 66, width: 32, quiet: 1.5, ..CASE },
    Case { lanes: 2, heads: 2, tokens: 65, neurons: 66, width: 32, quiet: -1.5, ..CASE },
];

impl Case {
    pub(super) fn input(&self, device: &Device) -> LevelInput {
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
        // A stream that leans one way and weights that lean against it keep the neurons down.
        let v = numbers([lanes, 1, tokens, width], 1, 2.0, device) + self.quiet.abs();
        let decoder_x = numbers([heads, width, neurons], 2, 2.0, device) - self.quiet;
        let weights = LevelWeights::new(
            leaf(decoder_x),
            leaf(numbers([heads, width, neurons], 3, 2.0, device)),
            leaf(numbers([heads * neurons, width], 4, 2.0, device)),
        );
        LevelInput {
            v: leaf(v),
            weights,
            rotation: Frequencies::new(100.0, neurons).rotation(&starts, tokens, DType::F32, device),
            eps: 1e-5,
            dropout: self.dropout.map(|probability| DropoutMask::new(11, probability)),
            precision: Precision::F32,
            retention: Retention::default(),
            credit: Credit::Full,
            reach: Reach::Causal,
            memory: None,
            chunk: None,
            count: false,
        }
    }

    /// A case drawn from a seed.
    pub(super) fn drawn(seed: u64) -> Self {
        let mut word = seed;
        let mut below = |n: u64| {
            word = crate::mix::mix(word.wrapping_add(0x9E37_79B9_7F4A_7C15));
            (word % n) as usize
        };
        Self {
            lanes: 1 + below(3),
            heads: 1 + below(4),
            tokens: 1 + below(140),
            neurons: 2 + 2 * below(100),
            width: [1 + below(40), 16 * (1 + below(9))][below(2)],
            dropout: [None, Some(0.4)][below(2)],
            apart: below(2) == 1,
            quiet: [0.0, 0.1, 0.4, 2.0, -1.0][below(5)],
        }
    }
}

/// The tensor as a leaf whose gradient is kept, where there are gradients.
pub(super) fn leaf<const R: usize>(tensor: Tensor<R>) -> Tensor<R> {
    if tensor.is_autodiff() {
        tensor.require_grad()
    } else {
        tensor
    }
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
    for case in CASES.into_iter().chain((0..60).map(Case::drawn)) {
        let case = &case;
        let input = case.input(&Device::flex());
        let slow = reference::level(input.clone());
        let output = fast(LevelInput { count: true, ..input });
        close("u", case, &values(output.u), &values(slow.u));
        let defined = reference::activity(&slow.x, &slow.y);
        let (activity, [x, y]) = (output.activity.unwrap(), defined.shares());
        assert_eq!(activity.entries, defined.entries);
        assert!((activity.shares()[0] - x).abs() < 1e-5, "{case:?}");
        assert!((activity.shares()[1] - y).abs() < 2e-3, "{case:?}");
    }
}

#[test]
fn gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for case in CASES.into_iter().chain((0..40).map(Case::drawn)) {
        let case = &case;
        let gradients = |level: &dyn Fn(LevelInput) -> Tensor<4>| {
            let input = case.input(&device);
            let u = level(input.clone());
            let weights = numbers(u.dims(), 5, 2.0, &device);
            let gradients = (u * weights).sum().backward();
            [
                ("dv", values(input.v.grad(&gradients).unwrap())),
                (
                    "d decoder_x",
                    values(input.weights.decoder_x().grad(&gradients).unwrap()),
                ),
                (
                    "d decoder_y",
                    values(input.weights.decoder_y().grad(&gradients).unwrap()),
                ),
                (
                    "d encoder",
                    values(input.weights.encoder().grad(&gradients).unwrap()),
                ),
            ]
        };
        let fast = gradients(&|input| fast(input).u);
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
        let u = level(input.clone()).u;
        let gradients = u.clone().sum().backward();
        (
            values(u),
            values(input.weights.decoder_x().grad(&gradients).unwrap()),
        )
    };
    assert_eq!(once(), once());
}
