//! Change of a memory in few directions of the width.
//!
//! ```text
//! rho' = base + (rho - base) Q Q^T      Q the 8 directions of the width in which the change is largest
//! ```
//!
//! The base is the memory before the edge, or nothing where the memory itself is smaller than its change, as after a reset. Q comes
//! from steps of orthogonal iteration on the Gram matrix of the change, `[D, D]`.

use burn::tensor::{Tensor, TensorData};

/// Number of directions.
const RANK: usize = 8;

/// Steps of the iteration.
const STEPS: usize = 8;

/// Share of its square that a direction must keep beside those before it.
const LEAST_NEW: f64 = 1e-9;

/// A memory, `[B, H, K, D]`, with what it changed from `before` in few directions.
pub(super) fn of_change(rho: Tensor<4>, before: Option<Tensor<4>>) -> Tensor<4> {
    let Some(before) = before else {
        return in_few_directions(rho);
    };
    let size = |x: Tensor<4>| x.square().sum_dim(3).sum_dim(2); // [B, H, 1, 1]
    let change = rho.clone() - before.clone();
    let is_smaller = size(change).lower(size(rho.clone())).float().cast(rho.dtype());
    let base = before * is_smaller;
    base.clone() + in_few_directions(rho - base)
}

/// `change Q Q^T`.
fn in_few_directions(change: Tensor<4>) -> Tensor<4> {
    let [lanes, heads, _, width] = change.dims();
    let rank = RANK.min(width);
    let gram = change.clone().swap_dims(2, 3).matmul(change.clone()); // [B, H, D, D]
    let largest = gram.clone().abs().max_dim(3).max_dim(2).clamp_min(1e-30);
    let gram = gram / largest;
    let start = |index: usize| ((1 + index / rank) as f64 * (1 + index % rank) as f64 * 1.7).cos();
    let start: Vec<f64> = (0..width * rank).map(start).collect();
    let data = TensorData::new(start, [1, 1, width, rank]).convert_dtype(change.dtype());
    let start: Tensor<4> = Tensor::from_data(data, (&change.device(), change.dtype()));
    let mut directions = orthonormal(&start.expand([lanes, heads, width, rank]));
    for _ in 0..STEPS {
        directions = orthonormal(&gram.clone().matmul(directions));
    }
    let along = change.matmul(directions.clone()); // [B, H, K, rank]
    along.matmul(directions.swap_dims(2, 3))
}

/// Columns made orthonormal one after the other; those that are none beside the ones before them become 0.
fn orthonormal(columns: &Tensor<4>) -> Tensor<4> {
    let rank = columns.dims()[3];
    let mut made: Vec<Tensor<4>> = Vec::with_capacity(rank);
    for index in 0..rank {
        let column = columns.clone().narrow(3, index, 1); // [B, H, D, 1]
        let square = |x: &Tensor<4>| x.clone().square().sum_dim(2); // [B, H, 1, 1]
        let whole = square(&column);
        // Twice, since once leaves rounding errors along the columns before it.
        let mut rest = column;
        for _ in 0..2 {
            for other in &made {
                let along = (rest.clone() * other.clone()).sum_dim(2);
                rest = rest - other.clone() * along;
            }
        }
        let left = square(&rest);
        let is_new = left.clone().greater(whole * LEAST_NEW).float().cast(rest.dtype());
        made.push(rest * (left.clamp_min(1e-30).sqrt().recip() * is_new));
    }
    Tensor::cat(made, 3)
}
