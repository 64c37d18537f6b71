//! Definition of retention: factors of reads and writes, in plain tensor operations.

use super::{Resets, Retention};
use burn::tensor::{DType, Tensor, TensorData};

/// Factors of retention within a window; an axis of lanes or heads has size 1 if all have the same factors.
#[derive(Clone, Debug)]
pub struct Factors {
    /// Factor for token t (row) of the write of token s (column): `[B or 1, H or 1, T, T]`, strictly lower triangular.
    pub between: Tensor<4>,
    /// Factor for each token of the memory before the window: `[B or 1, H or 1, T, 1]`.
    pub recalled: Tensor<4>,
    /// Factor in the memory after the window of the write of each token: `[B or 1, H or 1, T, 1]`.
    pub written: Tensor<4>,
    /// Factor in the memory after the window of the memory before it: `[B or 1, H or 1, 1, 1]`.
    pub kept: Tensor<4>,
}

/// Factors of a window of `tokens`, in the type and on the device of `like`; differentiable in the slopes.
pub fn factors(retention: &Retention, tokens: usize, like: &Tensor<4>) -> Factors {
    let all = 0..tokens;
    let left = |reader: &[usize], writer: &[Option<usize>]| left(retention, reader, writer, like);
    let (readers, writers): (Vec<_>, Vec<_>) = all.map(|token| (token, Some(token))).unzip();
    // The memory after the window is the one that token T would read.
    Factors {
        between: left(&readers, &writers).tril(-1),
        recalled: left(&readers, &[None]),
        written: left(&[tokens], &writers).swap_dims(2, 3),
        kept: left(&[tokens], &[None]),
    }
}

/// Factors for readers of the writes of writers: `[B or 1, H or 1, R, W]`. The writer `None` is the memory before the
/// window. The decay factor is 1 where a reader is not later than the writer.
fn left(retention: &Retention, readers: &[usize], writers: &[Option<usize>], like: &Tensor<4>) -> Tensor<4> {
    let pairs = || readers.iter().flat_map(|&t| writers.iter().map(move |&s| (t, s)));
    let (rows, columns) = (readers.len(), writers.len());
    // Distances are whole in f32, and not in types of fewer bits.
    let dtype = if like.dtype() == DType::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let table = |values: Vec<f64>, lanes: usize| {
        let data = TensorData::new(values, [lanes, 1, rows, columns]).convert_dtype(dtype);
        Tensor::<4>::from_data(data, (&like.device(), dtype))
    };
    let left = match &retention.decay {
        None => table(vec![1.0; rows * columns], 1),
        Some(decay) => {
            let distances = pairs().map(|(t, s)| t.saturating_sub(s.unwrap_or(0)) as f64);
            let slopes: Tensor<4> = decay.slopes().clone().cast(dtype).reshape([1, -1, 1, 1]);
            (slopes * table(distances.collect(), 1)).neg().exp()
        }
    };
    let Some(lanes) = &retention.resets.0 else {
        return left.cast(like.dtype());
    };
    let open = lanes.iter().flat_map(|resets| {
        pairs().map(move |(t, s)| {
            let reset = |&r: &usize| s.is_none_or(|s| r > s) && r <= t;
            f64::from(u8::from(!resets.iter().any(reset)))
        })
    });
    (left * table(open.collect(), lanes.len())).cast(like.dtype())
}

/// 0 for lanes that are emptied before a token, 1 for others, `[B, 1, 1, 1]`; `None` if there is no such lane.
pub fn open_at(resets: &Resets, token: usize, like: &Tensor<4>) -> Option<Tensor<4>> {
    let lanes = like.dims()[0];
    let open: Vec<f64> = (0..lanes)
        .map(|lane| f64::from(u8::from(!resets.of_lane(lane).contains(&token))))
        .collect();
    if !open.contains(&0.0) {
        return None;
    }
    let data = TensorData::new(open, [lanes, 1, 1, 1]).convert_dtype(like.dtype());
    Some(Tensor::from_data(data, (&like.device(), like.dtype())))
}
