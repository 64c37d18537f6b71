//! One pass through the shared block.

use crate::norm::norm;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{
    DropoutMask, Rotation, causal_read, causal_read_with_memory, gated_projection, projection,
};

/// The three weight matrices that all levels share.
#[derive(Clone, Debug)]
pub struct LevelWeights {
    /// `[H, D, N]`: model width to neurons, drives x.
    pub decoder_x: Tensor<3>,
    /// `[H, D, N]`: what was read to neurons, drives y.
    pub decoder_y: Tensor<3>,
    /// `[H*N, D]`: neurons to model width, rows head by head.
    pub encoder: Tensor<2>,
}

/// A level: weights, positions of the window, norm epsilon.
#[derive(Debug)]
pub struct Level<'a> {
    /// The shared weights.
    pub weights: &'a LevelWeights,
    /// Angles of the window's positions.
    pub rotation: &'a Rotation,
    /// What the norms add to the variance.
    pub eps: f64,
}

/// What a level computed.
#[derive(Debug)]
pub struct LevelOutput {
    /// The model stream after the level, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// Neuron activity driven by the stream, `[B, H, T, N]`.
    pub x: Tensor<4>,
    /// Neuron activity driven by memory and gated by x, before dropout, `[B, H, T, N]`.
    pub y: Tensor<4>,
    /// The memory after the window, where one was given, `[B, H, N, D]`.
    pub rho: Option<Tensor<4>>,
}

impl Level<'_> {
    /// One pass. Reads and extends `rho` where it is given, else reads the window alone.
    ///
    /// # Shapes
    /// - `v`: `[B, 1, T, D]`
    /// - `rho`: `[B, H, N, D]`
    pub fn forward(&self, v: Tensor<4>, rho: Option<Tensor<4>>, dropout: Option<DropoutMask>) -> LevelOutput {
        let x = projection(v.clone(), self.weights.decoder_x.clone()); // [B, H, T, N]
        let q = self.rotation.rotate(x.clone());
        let (read, rho) = match rho {
            None => (causal_read(q, v.clone()), None),
            Some(rho) => {
                let (read, rho) = causal_read_with_memory(q, v.clone(), rho);
                (read, Some(rho))
            }
        };
        let a = norm(read, self.eps); // [B, H, T, D]
        let y = gated_projection(a, self.weights.decoder_y.clone(), x.clone()); // [B, H, T, N]
        let kept = match dropout {
            None => y.clone(),
            Some(mask) => mask.apply(y.clone()),
        };
        let u = self.to_width(kept); // [B, 1, T, D]
        let v = norm(v + norm(u, self.eps), self.eps);
        LevelOutput { v, x, y, rho }
    }

    /// `y encoder`, summed over heads: `[B, H, T, N]` to `[B, 1, T, D]`.
    ///
    /// Head by head and then summed, so that no N-wide tensor is laid out anew.
    fn to_width(&self, y: Tensor<4>) -> Tensor<4> {
        let [_, heads, _, neurons] = y.dims();
        let [_, d_model] = self.weights.encoder.dims();
        let encoder = self.weights.encoder.clone().reshape([1, heads, neurons, d_model]);
        y.matmul(encoder).sum_dim(1)
    }
}
