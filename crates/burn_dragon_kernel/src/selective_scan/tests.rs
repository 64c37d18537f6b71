//! The form of the processor against the definition, and windows against the whole.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::{Device, activation};

/// Lanes, tokens, channels, states.
const SHAPES: [[usize; 4]; 6] = [
    [1, 1, 1, 1],
    [2, 5, 16, 4],
    [1, 16, 17, 3],
    [3, 33, 40, 2],
    [2, 50, 200, 16],
    [9, 17, 5, 5],
];

fn operands(
    [lanes, tokens, channels, states]: [usize; 4],
    resets: &Resets,
    device: &Device,
) -> SelectiveScan {
    let rates = numbers([states, channels], 3, 4.0, device);
    SelectiveScan {
        x: numbers([lanes, tokens, channels], 1, 2.0, device).require_grad(),
        logits: numbers([lanes, tokens, channels], 2, 6.0, device).require_grad(),
        rates: activation::softplus(rates.inner(), 1.0).autodiff().require_grad(),
        b: numbers([lanes, tokens, states], 4, 2.0, device).require_grad(),
        c: numbers([lanes, tokens, states], 5, 2.0, device).require_grad(),
        skip: numbers([channels], 6, 2.0, device).require_grad(),
        memory: numbers([lanes, states, channels], 7, 2.0, device).require_grad(),
        resets: resets.clone(),
    }
}

fn resets(lanes: usize, tokens: usize) -> [Resets; 3] {
    let mut lists = vec![vec![]; lanes];
    lists[lanes - 1] = (tokens / 3..tokens.min(tokens / 3 + 2)).collect();
    let mut first = vec![vec![]; lanes];
    first[0] = vec![0];
    [Resets::default(), Resets::new(lists), Resets::new(first)]
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for shape in SHAPES {
        let [lanes, tokens, channels, states] = shape;
        for resets in resets(lanes, tokens) {
            let of = |scan: fn(SelectiveScan) -> (Tensor<3>, Tensor<3>)| {
                let operands = operands(shape, &resets, &device).lifted();
                let (y, memory) = scan(operands.clone());
                let loss = (y.clone() * numbers([lanes, tokens, channels], 8, 1.0, &device)).sum()
                    + (memory.clone() * numbers([lanes, states, channels], 9, 1.0, &device)).sum();
                let found = loss.backward();
                [
                    values(y.inner()),
                    values(memory.inner()),
                    values(operands.x.grad(&found).unwrap()),
                    values(operands.logits.grad(&found).unwrap()),
                    values(operands.rates.grad(&found).unwrap()),
                    values(operands.b.grad(&found).unwrap()),
                    values(operands.c.grad(&found).unwrap()),
                    values(operands.skip.grad(&found).unwrap()),
                    values(operands.memory.grad(&found).unwrap()),
                ]
            };
            let (fast, defined) = (of(selective_scan), of(reference::selective_scan));
            let names = [
                "value", "memory", "x", "logits", "rates", "b", "c", "skip", "before",
            ];
            for (what, (fast, defined)) in names.into_iter().zip(fast.iter().zip(&defined)) {
                close(&format!("{what} {shape:?}"), fast, defined);
            }
        }
    }
}

#[test]
fn windows_give_what_the_whole_gives() {
    let (shape, device) = ([2, 40, 20, 3], Device::flex().autodiff());
    for resets in resets(2, 40) {
        let whole = operands(shape, &resets, &device);
        let (y, memory) = selective_scan(whole.clone());
        let (mut parts, mut carried) = (Vec::new(), whole.memory.clone());
        for (first, size) in [(0, 1), (1, 20), (21, 19)] {
            let at = |all: &Tensor<3>| all.clone().narrow(1, first, size);
            let (part, next) = selective_scan(SelectiveScan {
                x: at(&whole.x),
                logits: at(&whole.logits),
                b: at(&whole.b),
                c: at(&whole.c),
                memory: carried,
                resets: resets.window(first..first + size),
                ..whole.clone()
            });
            parts.push(part);
            carried = next;
        }
        assert_eq!(values(y), values(Tensor::cat(parts, 1)));
        assert_eq!(values(memory), values(carried));
    }
}
