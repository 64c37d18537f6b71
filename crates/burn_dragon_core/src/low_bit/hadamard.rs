//! Hadamard matrix by which vectors of the width are turned before they are quantised (BitNet v2, arXiv:2504.18415).
//!
//! ```text
//! turn(x) = x H / sqrt D      H[i, j] = (-1)^(number of ones that i and j share), D a power of 2
//! ```
//!
//! It is orthonormal and its own inverse, so its gradient is the turn of the gradient. A turn spreads what stands out in one
//! dimension over all; it is never applied to neurons, whose zeros it would fill. D is small beside the number of neurons, so a
//! product with the matrix costs less than the passes of a fast transform.

use crate::tracking::alike;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Hadamard matrix of a width.
#[derive(Clone, Debug)]
pub(super) struct Hadamard(Tensor<2>);

impl Hadamard {
    /// The matrix of a width, a power of 2.
    pub(super) fn new(width: usize, dtype: DType, device: &Device) -> Self {
        let entry = |index: usize| match ((index / width) & (index % width)).count_ones() % 2 {
            0 => 1.0f32,
            _ => -1.0,
        };
        let signs: Vec<f32> = (0..width * width).map(entry).collect();
        let data = TensorData::new(signs, [width, width]).convert_dtype(dtype);
        Self(Tensor::from_data(data, (device, dtype)))
    }

    /// Rows after the turn.
    ///
    /// # Shapes
    /// - `x`, output: `[B, H, T, D]`
    pub(super) fn turn(&self, x: Tensor<4>) -> Tensor<4> {
        let dims = x.dims();
        let width = dims[3];
        let signs = alike(self.0.clone().unsqueeze(), &x).reshape([width, width]);
        let rows: Tensor<2> = x.reshape([dims[0] * dims[1] * dims[2], width]);
        (rows.matmul(signs) * (width as f64).sqrt().recip()).reshape(dims)
    }
}
