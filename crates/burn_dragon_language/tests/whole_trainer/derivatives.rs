//! The definition's own gradient against finite differences of its loss.

use crate::model::{Model, Parameter, Pass, Weights};
use crate::randomness::{Masks, derive};
use crate::settings::{Decay, Settings, Shape};
use crate::tape::Tape;
use std::collections::BTreeMap;

/// Two windows with dropout, memory that fades, and a reset in the second.
fn loss(shape: &Shape, weights: &Weights) -> (f64, BTreeMap<String, Vec<f64>>) {
    let tape = Tape::default();
    let model = Model::new(&tape, shape, weights);
    let tokens = [0, 3, 1, 4, 1, 5, 2, 6, 5, 3, 5];
    let pass = |start, resets| Pass {
        row: 1,
        start,
        resets,
        masks: Some(Masks {
            seed: start as u64,
            probability: shape.dropout,
        }),
        ..Pass::plain()
    };
    let first = model.read(&tokens[..5], &pass(0, &[]));
    let second = model.read_on(&tokens[5..10], &pass(5, &[3]), &first.memory);
    let loss = tape.mean(&[
        tape.cross_entropy(first.logits, &tokens[1..6]),
        tape.cross_entropy(second.logits, &tokens[6..]),
    ]);
    (tape.value(loss).at(0, 0), model.gradients(&tape.gradients(loss)))
}

#[test]
fn the_gradient_by_definition_is_what_finite_differences_find() {
    let shape = Shape {
        d_model: 5,
        n_heads: 2,
        n_neurons: 12,
        decay: Some(Decay {
            slopes: vec![0.5, 0.1],
            learnable: true,
        }),
        ..Settings::base().shape
    };
    let parameter = |(name, sizes): (&str, &[usize])| {
        let count: usize = sizes.iter().product();
        let draw = |i| derive(1, name, 0, i) as f64 / u64::MAX as f64 - 0.5;
        let values = (0..count as u64).map(draw).collect();
        let shape = sizes.to_vec();
        (name.to_string(), Parameter { shape, values })
    };
    let shapes: [(&str, &[usize]); 6] = [
        ("embed", &[7, 5]),
        ("decoder_x", &[2, 5, 6]),
        ("decoder_y", &[2, 5, 6]),
        ("encoder", &[12, 5]),
        ("lm_head", &[5, 7]),
        ("decay", &[2]),
    ];
    let weights: Weights = shapes.map(parameter).into();
    let (_, gradients) = loss(&shape, &weights);
    for (name, gradient) in gradients {
        for (i, &gradient) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut weights = weights.clone();
                weights.get_mut(&name).unwrap().values[i] += by;
                loss(&shape, &weights).0
            };
            // An error of h^2 beside one of 1e-16 / h.
            let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!(
                (gradient - difference).abs() < 1e-7 * (1.0 + gradient.abs()),
                "{name}[{i}]: {gradient} {difference}"
            );
        }
    }
}
