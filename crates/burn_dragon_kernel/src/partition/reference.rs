//! Definition of a level with reads of parts, on gathered tokens.

use super::Partition;
use crate::level::LevelWeights;
use crate::norm::norm;
use burn::tensor::{Int, Tensor, TensorData, activation::relu};

/// Contribution of a level, `[B, 1, T, D]`; shapes as in [`partition_level`](super::partition_level()).
pub fn partition_level(
    v: Tensor<4>,
    weights: &LevelWeights,
    partitions: &[Partition],
    eps: f64,
) -> Tensor<4> {
    let [heads, ..] = weights.decoder_x().dims();
    let each = heads / partitions.len();
    let contributions = partitions.iter().enumerate().map(|(kind, partition)| {
        let heads = of_heads(weights, kind * each, each);
        by_parts(v.clone(), &heads, partition, eps)
    });
    let sum = contributions.reduce(|sum, u| sum + u);
    sum.unwrap_or_else(|| v.zeros_like())
}

/// Contribution of the heads of one partition.
fn by_parts(v: Tensor<4>, weights: &LevelWeights, partition: &Partition, eps: f64) -> Tensor<4> {
    let ([lanes, _, tokens, width], [heads, _, neurons]) = (v.dims(), weights.decoder_x().dims());
    let (size, device) = (partition.size, v.device().inner());
    let (gathered, back) = orders(partition);
    let parts = tokens / size;
    let v = v.select(2, int(&gathered, &device)); // [B, 1, T, D], part by part
    let x = relu(v.clone().matmul(weights.decoder_x().clone().unsqueeze())); // [B, H, T, N]
    let split = x.clone().reshape([lanes, heads, parts, size, neurons]);
    let values = v.reshape([lanes, 1, parts, size, width]);
    let rho = split
        .clone()
        .swap_dims(3, 4)
        .matmul(values.expand([lanes, heads, parts, size, width])); // [B, H, P, N, D]
    let a = norm(split.matmul(rho).reshape([lanes, heads, tokens, width]), eps);
    let y = relu(a.matmul(weights.decoder_y().clone().unsqueeze())) * x; // [B, H, T, N]
    let y = y.swap_dims(1, 2).reshape([lanes, 1, tokens, heads * neurons]);
    let u = y.matmul(weights.encoder().clone().unsqueeze()); // [B, 1, T, D]
    u.select(2, int(&back, &device))
}

/// Weights of some heads.
pub(super) fn of_heads(weights: &LevelWeights, first: usize, heads: usize) -> LevelWeights {
    let neurons = weights.decoder_x().dims()[2];
    LevelWeights::new(
        weights.decoder_x().clone().narrow(0, first, heads),
        weights.decoder_y().clone().narrow(0, first, heads),
        weights
            .encoder()
            .clone()
            .narrow(0, first * neurons, heads * neurons),
    )
}

/// The tokens part by part, and the place of each token in that order.
pub(super) fn orders(partition: &Partition) -> (Vec<i32>, Vec<i32>) {
    let gathered: Vec<i32> = partition.tokens.iter().map(|&token| token as i32).collect();
    let mut back = vec![0; gathered.len()];
    (0..)
        .zip(&gathered)
        .for_each(|(place, &token)| back[token as usize] = place);
    (gathered, back)
}

pub(super) fn int(numbers: &[i32], device: &burn::tensor::Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), device)
}
