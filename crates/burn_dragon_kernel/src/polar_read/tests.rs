//! The form of the processor against the definition.

use super::*;
use crate::retention::{Decay, Resets};
use crate::rotation::Frequencies;
use crate::testing::{close, numbers, values};
use burn::tensor::{DType, Device, TensorData};

/// Lanes, heads, tokens, neurons: one token; sizes that no vector or block divides; several blocks and tiles.
const SIZES: [[usize; 4]; 5] = [
    [1, 1, 1, 3],
    [2, 2, 5, 7],
    [1, 3, 70, 20],
    [2, 1, 130, 40],
    [1, 2, 64, 1100],
];

fn rotation(starts: &[u64], [_, _, tokens, neurons]: [usize; 4], dtype: DType) -> Rotation {
    Frequencies::new(100.0, 2 * neurons).rotation(starts, tokens, dtype, &Device::flex())
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for sizes in SIZES {
        let [lanes, heads, tokens, neurons] = sizes;
        for starts in [vec![3], (0..lanes as u64).map(|lane| 10 * lane).collect()] {
            let rotation = rotation(&starts, sizes, DType::F32);
            let of = |scores: fn(Tensor<4>, Tensor<4>, &Rotation) -> Tensor<4>| {
                let lengths = numbers(sizes, 1, 2.0, &device).require_grad();
                let phase = numbers([1, heads, 1, neurons], 2, 6.0, &device).require_grad();
                let output = scores(lengths.clone(), phase.clone(), &rotation);
                let gradients = (output.clone() * numbers([lanes, heads, tokens, tokens], 3, 1.0, &device))
                    .sum()
                    .backward();
                let [lengths, phase] = [lengths, phase].map(|input| values(input.grad(&gradients).unwrap()));
                [values(output.inner()), lengths, phase]
            };
            let fast = of(|lengths, phase, rotation| scores(lengths, Some(phase), rotation));
            for (fast, defined) in fast.iter().zip(&of(reference::polar_scores)) {
                close(&format!("{sizes:?}"), fast, defined);
            }
        }
    }
}

/// Plain loops in f64, with the angle of each neuron.
#[test]
fn a_read_is_the_sum_of_the_equation() {
    let (sizes, width) = ([2, 2, 6, 3], 4);
    let [lanes, heads, tokens, neurons] = sizes;
    let drawn = |shape: [usize; 4], seed| numbers(shape, seed, 2.0, &Device::flex()).cast(DType::F64);
    let (lengths, phase, v) = (
        drawn(sizes, 1),
        drawn([1, heads, 1, neurons], 2),
        drawn([lanes, 1, tokens, width], 3),
    );
    let decay = Tensor::from_data(
        TensorData::new(vec![0.0, 0.3], [heads]),
        (&Device::flex(), DType::F64),
    );
    let retention = Retention {
        decay: Some(Decay::new(decay)),
        resets: Resets::default(),
    };
    let numbers = |tensor: &Tensor<4>| tensor.to_data().try_to_vec::<f64>().unwrap();
    let (l, p, w) = (numbers(&lengths), numbers(&phase), numbers(&v));
    let length = |b: usize, h: usize, t: usize, c: usize| l[((b * heads + h) * tokens + t) * neurons + c];
    for phased in [true, false] {
        let rotation = rotation(&[4], sizes, DType::F64);
        let found = polar_read(
            lengths.clone(),
            phased.then(|| phase.clone()),
            &rotation,
            v.clone(),
            &retention,
        );
        let found = numbers(&found);
        for (index, found) in found.iter().enumerate() {
            let (b, h) = (index / (heads * tokens * width), index / (tokens * width) % heads);
            let (t, d) = (index / width % tokens, index % width);
            let score = |s: usize| -> f64 {
                let terms = (0..neurons).map(|c| {
                    let angle = (s as f64 - t as f64) * 100f64.powf(-(c as f64) / neurons as f64);
                    let angle = angle + if phased { p[h * neurons + c] } else { 0.0 };
                    length(b, h, t, c) * length(b, h, s, c) * angle.cos()
                });
                terms.sum()
            };
            let slope = [0.0, 0.3][h];
            let terms =
                (0..t).map(|s| (-slope * (t - s) as f64).exp() * score(s) * w[(b * tokens + s) * width + d]);
            let expected: f64 = terms.sum();
            assert!((found - expected).abs() < 1e-10, "{found} {expected}");
        }
    }
}

#[test]
#[should_panic(expected = "polar_read: phase has shape [1, 2, 1, 4], expected [1, 2, 1, 3]")]
fn shapes_that_do_not_fit_are_named() {
    let (sizes, device) = ([1, 2, 5, 3], Device::flex());
    let phase = numbers([1, 2, 1, 4], 1, 1.0, &device);
    let v = numbers([1, 1, 5, 2], 1, 1.0, &device);
    let rotation = rotation(&[0], sizes, DType::F32);
    let _ = polar_read(
        numbers(sizes, 1, 1.0, &device),
        Some(phase),
        &rotation,
        v,
        &Retention::default(),
    );
}
