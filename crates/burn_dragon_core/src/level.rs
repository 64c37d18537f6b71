//! One pass through the shared block.

use burn::tensor::Tensor;
use burn_dragon_kernel::api::expert::level_reference;
use burn_dragon_kernel::api::{
    Credit, DropoutMask, LevelInput, LevelWeights, Precision, Retention, Rotation, join, level,
    level_with_activity, level_with_memory,
};

/// A level: weights, positions of the window, norm epsilon.
#[derive(Debug)]
pub struct Level {
    /// The shared weights.
    pub weights: LevelWeights,
    /// Angles of the window's positions.
    pub rotation: Rotation,
    /// What is left of memory from token to token.
    pub retention: Retention,
    /// What the norms add to the variance.
    pub eps: f64,
    /// How factors enter the products, on the processor.
    pub precision: Precision,
    /// How gradients go back.
    pub credit: Credit,
}

/// What a level computed, with its activities in full.
#[derive(Debug)]
pub struct Watched {
    /// The stream after the level, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// Neuron activity driven by the stream, `[B, H, T, N]`.
    pub x: Tensor<4>,
    /// Neuron activity driven by memory and gated by x, before dropout, `[B, H, T, N]`.
    pub y: Tensor<4>,
}

impl Level {
    /// One pass over a window that starts from an empty memory: the stream after the level.
    ///
    /// # Shapes
    /// - `v`, output: `[B, 1, T, D]`
    pub fn forward(&self, v: Tensor<4>, dropout: Option<DropoutMask>) -> Tensor<4> {
        let u = level(self.input(v.clone(), dropout));
        self.join(v, u)
    }

    /// [`forward`](Self::forward) without autodiff, and the shares of active x and y.
    pub fn forward_counted(&self, v: Tensor<4>, dropout: Option<DropoutMask>) -> (Tensor<4>, [f64; 2]) {
        let output = level_with_activity(self.input(v.clone(), dropout));
        (self.join(v, output.u), [output.x_density, output.y_density])
    }

    /// [`forward`](Self::forward) through the definition, which lays out every activity.
    pub fn forward_watched(&self, v: Tensor<4>, dropout: Option<DropoutMask>) -> Watched {
        let level_reference::Level { u, x, y } = level_reference::level(self.input(v.clone(), dropout));
        Watched {
            v: self.join(v, u),
            x,
            y,
        }
    }

    /// One pass that reads and extends a memory: the stream after the level, and the memory after the window.
    ///
    /// # Shapes
    /// - `v`: `[B, 1, T, D]`
    /// - `rho`: `[B, H, N, D]`
    pub fn forward_with_memory(
        &self,
        v: Tensor<4>,
        rho: Tensor<4>,
        dropout: Option<DropoutMask>,
    ) -> (Tensor<4>, Tensor<4>) {
        let (u, rho) = level_with_memory(self.input(v.clone(), dropout), rho);
        (self.join(v, u), rho)
    }

    /// `norm(v + norm(u))`.
    fn join(&self, v: Tensor<4>, u: Tensor<4>) -> Tensor<4> {
        join(v, u, self.eps)
    }

    fn input(&self, v: Tensor<4>, dropout: Option<DropoutMask>) -> LevelInput {
        LevelInput {
            v,
            weights: self.weights.clone(),
            rotation: self.rotation.clone(),
            retention: self.retention.clone(),
            eps: self.eps,
            dropout,
            precision: self.precision,
            credit: self.credit,
        }
    }
}
