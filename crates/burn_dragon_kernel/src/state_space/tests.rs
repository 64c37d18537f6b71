//! Chunks against the definition, in f64 and in f32, with resets and without.

use super::*;
use burn::tensor::{DType, Device};

/// Lanes, groups, heads, tokens, states, width.
const SHAPES: [[usize; 6]; 6] = [
    [1, 1, 1, 2, 1, 1],
    [2, 1, 3, 5, 2, 4],
    [2, 4, 4, 64, 3, 2],
    [1, 2, 2, 65, 4, 3],
    [2, 1, 2, 150, 3, 5],
    [1, 3, 3, 192, 2, 2],
];

fn operands(
    [lanes, groups, heads, tokens, states, width]: [usize; 6],
    dtype: DType,
    resets: &Resets,
) -> StateSpace {
    let device = Device::flex().autodiff();
    let four = |shape: [usize; 4], seed| {
        let all = crate::testing::numbers(shape, seed, 2.0, &device).cast(dtype);
        all.inner().autodiff()
    };
    let decays = crate::testing::numbers([lanes, heads, tokens], 4, 4.0, &device).cast(dtype);
    StateSpace {
        c: four([lanes, groups, tokens, states], 1).require_grad(),
        b: four([lanes, groups, tokens, states], 2).require_grad(),
        x: four([lanes, heads, tokens, width], 3).require_grad(),
        log_decay: (decays - 1.5).clamp_max(0.0).inner().autodiff().require_grad(),
        memory: four([lanes, heads, states, width], 5).require_grad(),
        resets: resets.clone(),
    }
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

fn values_and_gradients(
    form: fn(StateSpace) -> (Tensor<4>, Tensor<4>),
    shape: [usize; 6],
    dtype: DType,
    resets: &Resets,
) -> [Vec<f64>; 7] {
    let (operands, device) = (operands(shape, dtype, resets), Device::flex().autodiff());
    let (reads, memory) = form(operands.clone());
    let weighed = |all: Tensor<4>, seed| {
        (all.clone() * crate::testing::numbers(all.dims(), seed, 1.0, &device).cast(dtype)).sum()
    };
    let found = (weighed(reads.clone(), 6) + weighed(memory.clone(), 7)).backward();
    [
        values(reads),
        values(memory),
        values(operands.c.grad(&found).unwrap()),
        values(operands.b.grad(&found).unwrap()),
        values(operands.x.grad(&found).unwrap()),
        values(operands.log_decay.grad(&found).unwrap()),
        values(operands.memory.grad(&found).unwrap()),
    ]
}

#[test]
fn chunks_give_what_tokens_give() {
    for shape in SHAPES {
        let [lanes, .., tokens, _, _] = shape;
        let mut lists = vec![vec![]; lanes];
        lists[lanes - 1] = vec![0, tokens / 2, tokens - 1]
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        for resets in [Resets::default(), Resets::new(lists)] {
            for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 1e-5)] {
                let of = |form| values_and_gradients(form, shape, dtype, &resets);
                let (fast, defined) = (of(state_space), of(reference::state_space));
                for (number, (fast, defined)) in fast.iter().zip(&defined).enumerate() {
                    let size = defined.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
                    for (fast, defined) in fast.iter().zip(defined) {
                        let apart = (fast - defined).abs();
                        assert!(
                            apart <= tolerance * size,
                            "{shape:?} {dtype:?} {number}: {fast} {defined}"
                        );
                    }
                }
            }
        }
    }
}
