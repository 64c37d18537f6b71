//! The form of the processor against the definition.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::{DType, Device};

/// Tokens, streams, width: one token; sizes that no vector divides; several tasks.
const SIZES: [[usize; 3]; 5] = [[1, 2, 4], [3, 3, 5], [65, 8, 16], [7, 4, 33], [1100, 4, 64]];
const EPS: f64 = 1e-5;

/// A step of tensors of the same rank.
type Step = fn(&[Tensor<3>]) -> Tensor<3>;

/// A matrix with a third axis, as inputs and outputs here have it.
fn matrix(tensor: &Tensor<3>) -> Tensor<2> {
    tensor.clone().squeeze_dim(0)
}

/// The steps, their definitions, and shapes of their inputs.
fn steps([tokens, streams, width]: [usize; 3]) -> [(Step, Step, Vec<[usize; 3]>); 3] {
    let x = [tokens, streams, width];
    let count = 2 * streams + streams * streams;
    [
        (
            |of| hyper_logits(of[0].clone(), matrix(&of[1]), matrix(&of[2]), EPS).unsqueeze_dim(0),
            |of| reference::hyper_logits(of[0].clone(), matrix(&of[1]), matrix(&of[2]), EPS).unsqueeze_dim(0),
            vec![x, [1, streams * width, count], [1, 1, count]],
        ),
        (
            |of| hyper_read(of[0].clone(), matrix(&of[1])).unsqueeze_dim(0),
            |of| reference::hyper_read(of[0].clone(), matrix(&of[1])).unsqueeze_dim(0),
            vec![x, [1, tokens, streams]],
        ),
        (
            |of| hyper_write(of[0].clone(), of[1].clone(), matrix(&of[2]), matrix(&of[3])),
            |of| reference::hyper_write(of[0].clone(), of[1].clone(), matrix(&of[2]), matrix(&of[3])),
            vec![
                x,
                [tokens, streams, streams],
                [1, tokens, streams],
                [1, tokens, width],
            ],
        ),
    ]
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for sizes in SIZES {
        for (number, (step, definition, shapes)) in steps(sizes).into_iter().enumerate() {
            let of = |step: Step| {
                let inputs = shapes.iter().zip(1..);
                let inputs: Vec<Tensor<3>> = inputs
                    .map(|(shape, seed)| numbers(*shape, seed, 2.0, &device).require_grad())
                    .collect();
                let output = step(&inputs);
                let loss = (output.clone() * numbers(output.dims(), 9, 1.0, &device)).sum();
                let gradients = loss.backward();
                let gradients = inputs.iter().map(|input| values(input.grad(&gradients).unwrap()));
                let found: Vec<Vec<f32>> = gradients.chain([values(output.inner())]).collect();
                found
            };
            for (fast, defined) in of(step).iter().zip(&of(definition)) {
                close(&format!("step {number} of {sizes:?}"), fast, defined);
            }
        }
    }
}

/// The definition is that of the equations: plain loops in f64.
#[test]
fn definitions_are_sums_over_streams() {
    let [tokens, streams, width] = [2, 3, 4];
    for (number, (step, _, shapes)) in steps([tokens, streams, width]).into_iter().enumerate() {
        let inputs = shapes.iter().zip(1..);
        let inputs: Vec<Tensor<3>> = inputs
            .map(|(shape, seed)| numbers(*shape, seed, 2.0, &Device::flex()).cast(DType::F64))
            .collect();
        let of: Vec<Vec<f64>> = inputs
            .iter()
            .map(|input| input.clone().into_data().try_to_vec().unwrap())
            .collect();
        let stream = |t: usize, s: usize, d: usize| of[0][(t * streams + s) * width + d];
        let all = || (0..streams).flat_map(|s| (0..width).map(move |d| (s, d)));
        let expected: Vec<f64> = match number {
            0 => {
                let count = shapes[2][2];
                let entry = |t: usize, k: usize| {
                    let square = all().map(|(s, d)| stream(t, s, d).powi(2)).sum::<f64>();
                    let product = all().map(|(s, d)| stream(t, s, d) * of[1][(s * width + d) * count + k]);
                    product.sum::<f64>() / (square / (streams * width) as f64 + EPS).sqrt() + of[2][k]
                };
                (0..tokens)
                    .flat_map(|t| (0..count).map(move |k| (t, k)))
                    .map(|(t, k)| entry(t, k))
                    .collect()
            }
            1 => {
                let entry = |t: usize, d: usize| {
                    (0..streams)
                        .map(|s| of[1][t * streams + s] * stream(t, s, d))
                        .sum()
                };
                (0..tokens)
                    .flat_map(|t| (0..width).map(move |d| (t, d)))
                    .map(|(t, d)| entry(t, d))
                    .collect()
            }
            _ => {
                let entry = |t: usize, r: usize, d: usize| {
                    let mixed =
                        (0..streams).map(|s| of[1][(t * streams + r) * streams + s] * stream(t, s, d));
                    mixed.sum::<f64>() + of[2][t * streams + r] * of[3][t * width + d]
                };
                (0..tokens)
                    .flat_map(|t| all().map(move |(r, d)| (t, r, d)))
                    .map(|(t, r, d)| entry(t, r, d))
                    .collect()
            }
        };
        let found: Vec<f64> = step(&inputs).into_data().try_to_vec().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-10,
                "step {number}: {found} {expected}"
            );
        }
    }
}

#[test]
fn inputs_stay_as_they_were() {
    let device = Device::flex();
    let [x, res, post, y] =
        [[5, 3, 4], [5, 3, 3], [1, 5, 3], [1, 5, 4]].map(|shape| numbers(shape, 1, 1.0, &device));
    let kept = [&x, &res, &post, &y].map(|input| values(input.clone()));
    let _ = hyper_write(x.clone(), res.clone(), matrix(&post), matrix(&y));
    assert_eq!([x, res, post, y].map(values), kept);
}

#[test]
#[should_panic(expected = "hyper_read: pre has shape [4, 2], expected [4, 3]")]
fn shapes_that_do_not_fit_are_named() {
    let device = Device::flex();
    let _ = hyper_read(
        numbers([4, 3, 2], 1, 1.0, &device),
        numbers([4, 2], 1, 1.0, &device),
    );
}
