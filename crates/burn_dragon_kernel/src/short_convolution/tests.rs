//! The form of the processor against the definition, and windows against the whole.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::Device;

const SHAPES: [([usize; 3], usize); 5] = [
    ([1, 1, 1], 4),
    ([2, 2, 5], 4),
    ([3, 9, 20], 2),
    ([2, 200, 100], 4),
    ([1, 5, 3], 7),
];

fn operands(
    [lanes, tokens, channels]: [usize; 3],
    taps: usize,
    resets: &Resets,
    device: &Device,
) -> ShortConvolution {
    ShortConvolution {
        x: numbers([lanes, tokens, channels], 1, 2.0, device).require_grad(),
        taps: numbers([taps, channels], 2, 2.0, device).require_grad(),
        bias: numbers([channels], 3, 1.0, device).require_grad(),
        tail: Some(numbers([lanes, taps - 1, channels], 4, 2.0, device).require_grad()),
        resets: resets.clone(),
    }
}

fn resets(lanes: usize, tokens: usize) -> [Resets; 3] {
    let mut lists = vec![vec![]; lanes];
    lists[lanes - 1] = (tokens / 2..tokens.min(tokens / 2 + 2)).collect();
    let mut first = vec![vec![]; lanes];
    first[0] = vec![0];
    [Resets::default(), Resets::new(lists), Resets::new(first)]
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for (shape, taps) in SHAPES {
        for resets in resets(shape[0], shape[1]) {
            let of = |convolve: fn(ShortConvolution) -> Tensor<3>| {
                let operands = operands(shape, taps, &resets, &device);
                let output = convolve(operands.clone());
                let gradients = (output.clone() * numbers(shape, 5, 1.0, &device))
                    .sum()
                    .backward();
                let tail = operands.tail.unwrap().grad(&gradients).unwrap();
                [
                    values(output.inner()),
                    values(operands.x.grad(&gradients).unwrap()),
                    values(operands.taps.grad(&gradients).unwrap()),
                    values(operands.bias.grad(&gradients).unwrap()),
                    values(tail),
                ]
            };
            let (fast, defined) = (
                of(|all| short_convolution(all).0),
                of(reference::short_convolution),
            );
            let names = ["value", "x", "taps", "bias", "tail"];
            for (what, (fast, defined)) in names.into_iter().zip(fast.iter().zip(&defined)) {
                close(what, fast, defined);
            }
        }
    }
}

#[test]
fn windows_give_what_the_whole_gives() {
    let (shape, device) = ([2, 12, 20], Device::flex().autodiff());
    for resets in resets(2, 12) {
        let whole = operands(shape, 4, &resets, &device);
        let (y, tail) = short_convolution(whole.clone());
        let (mut parts, mut carried) = (Vec::new(), whole.tail.clone());
        for (first, size) in [(0, 1), (1, 2), (3, 6), (9, 3)] {
            let (part, next) = short_convolution(ShortConvolution {
                x: whole.x.clone().narrow(1, first, size),
                tail: carried,
                resets: resets.window(first..first + size),
                ..whole.clone()
            });
            parts.push(part);
            carried = next;
        }
        assert_eq!(values(y), values(Tensor::cat(parts, 1)));
        assert_eq!(values(tail.unwrap()), values(carried.unwrap()));
    }
}
