//! A level with reads of parts on a GPU: for each partition a [`level`] of its heads, whose lanes are the parts.
//!
//! A part is a stream of its own, and each of its tokens reads all of it: the read of a whole window. So the kernels of the
//! level are those of the parts, two gathers of tokens around them, and no positions: neurons turn by the angle 0. As in
//! `level`, nothing neuron-wide is kept for the gradient. Kernels of their own would save the two gathers and the turn.

use super::Partition;
use super::reference::{int, of_heads, orders};
use crate::backend::{DragonBackend, Operation};
use crate::causal_read::Credit;
use crate::level::{LevelInput, LevelWeights, level};
use crate::matrix::Precision;
use crate::reach::Reach;
use crate::retention::Retention;
use crate::rotation::Rotation;
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;

/// Whether the GPU has the kernels for it: neurons turn in pairs.
pub(super) fn takes(v: &Tensor<4>, weights: &LevelWeights) -> bool {
    let (tokens, neurons) = (v.dims()[2], weights.decoder_x().dims()[2]);
    tokens > 0
        && neurons.is_multiple_of(2)
        && CubeBackend::computes(Operation::Level, v.dtype())
        && CubeBackend::has(v)
}

/// Contribution of a level, `[B, 1, T, D]`; shapes as in [`partition_level`](super::partition_level()).
pub(super) fn partition_level(
    v: Tensor<4>,
    weights: &LevelWeights,
    partitions: &[Partition],
    eps: f64,
) -> Tensor<4> {
    let each = weights.decoder_x().dims()[0] / partitions.len();
    let contributions = partitions.iter().enumerate().map(|(kind, partition)| {
        let heads = match partitions.len() {
            1 => weights.clone(),
            _ => of_heads(weights, kind * each, each),
        };
        by_parts(v.clone(), heads, partition, eps)
    });
    let sum = contributions.reduce(|sum, u| sum + u);
    sum.unwrap_or_else(|| v.zeros_like())
}

/// Contribution of the heads of one partition.
fn by_parts(v: Tensor<4>, weights: LevelWeights, partition: &Partition, eps: f64) -> Tensor<4> {
    let ([lanes, _, tokens, width], size) = (v.dims(), partition.size);
    let (device, dtype) = (v.device().inner(), v.dtype());
    let (gathered, back) = orders(partition);
    let v = v.select(2, int(&gathered, &device)); // [B, 1, T, D], part by part
    let pairs = [1, 1, size, weights.decoder_x().dims()[2] / 2];
    let output = level(LevelInput {
        v: v.reshape([lanes * (tokens / size), 1, size, width]),
        weights,
        rotation: Rotation {
            cos: Tensor::ones(pairs, (&device, dtype)),
            sin: Tensor::zeros(pairs, (&device, dtype)),
        },
        eps,
        dropout: None,
        precision: Precision::F32,
        retention: Retention::default(),
        credit: Credit::Full,
        reach: Reach::Full,
        memory: None,
        chunk: None,
        count: false,
    });
    let u = output.u.reshape([lanes, 1, tokens, width]);
    u.select(2, int(&back, &device))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, Form, by_definition, cases, outcome_on};
    use crate::gpu::tests::{device, near};
    use crate::partition::partition_level;
    use burn::tensor::Device;

    /// Of sums of some thousand f32 in another order, with norms between them.
    const TOLERANCE: f64 = 2e-5;

    fn by_levels(case: &Case) -> Form {
        assert_eq!(case.neurons % 2, 0);
        |v, weights, partitions, eps| super::partition_level(v, weights, partitions, eps)
    }

    #[track_caller]
    fn same(case: &Case, form: Form, device: &Device) {
        let expected = outcome_on(case, by_definition, &Device::flex().autodiff());
        let found = outcome_on(case, form, &device.clone().autodiff());
        for ((what, found), (_, expected)) in found.iter().zip(&expected) {
            near(&format!("{what} of {case:?}"), found, expected, TOLERANCE);
        }
    }

    /// Odd numbers of neurons are left to the definition, for whose products the library tries out kernels for minutes.
    #[test]
    fn values_and_gradients_on_a_gpu_are_those_of_the_definition() {
        let Some(device) = device() else { return };
        for case in cases().into_iter().filter(|case| case.neurons % 2 == 0) {
            same(&case, partition_level, &device);
        }
    }

    #[test]
    fn levels_of_parts_are_those_of_the_definition_on_any_backend() {
        for case in cases().into_iter().filter(|case| case.neurons % 2 == 0) {
            same(&case, by_levels(&case), &Device::flex());
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bits() {
        let Some(device) = device() else { return };
        let here = device.autodiff();
        let case = &cases()[0];
        assert_eq!(
            outcome_on(case, partition_level, &here),
            outcome_on(case, partition_level, &here)
        );
    }
}
