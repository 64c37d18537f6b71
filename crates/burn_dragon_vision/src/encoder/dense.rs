//! Dense backbone: every patch reads every patch. Nothing is carried from level to level but the stream.
//!
//! ```text
//! x = relu(v decoder_x);  q = rotate(x)
//! full      a = norm(q (sum over s of q_s (outer) v_s))               one memory, T N D
//! softmax   a = norm(softmax(q q^T / sqrt(N) + bias) v)               scores, T x T
//! row_l1    a = norm(S v), S = s / (sum |s| + 1e-6), s = q q^T / sqrt(N) + bias
//! y = relu(a decoder_y) * x;  v = norm(v + norm(y encoder))
//! ```

use super::config::{DenseRead, GridPositions, ModelConfig};
use super::{VisionPass, positions};
use burn::tensor::{Tensor, activation};
use burn_dragon_core::api::expert::{Level, View, derive};
use burn_dragon_core::api::{Credit, Read, Trunk};
use burn_dragon_kernel::api::{DropoutMask, LevelWeights, Retention, Rotation, SpeakInput, join, perceive, speak};

/// Constant added to the sums of the sizes of scores.
const ROW_EPS: f64 = 1e-6;

/// Levels of a pass of a dense backbone.
pub(super) struct Dense<'a> {
    config: &'a ModelConfig,
    level: Level,
    /// Bias of the scores, `[1, H, T, T]`.
    bias: Option<Tensor<4>>,
    pass: VisionPass,
}

impl<'a> Dense<'a> {
    /// Levels for streams of `tokens` tokens, in the precision and on the device of `v`.
    ///
    /// If some patches are left out, their places are given: `rotation` then is that of each lane.
    pub(super) fn new(config: &'a ModelConfig, trunk: &Trunk, v: &Tensor<4>, rotation: Option<Rotation>, pass: VisionPass) -> Self {
        let (tokens, dtype, device) = (v.dims()[2], v.dtype(), v.device().inner());
        let rotation = rotation.unwrap_or_else(|| positions::no_rotation(config, tokens, dtype, &device));
        let bias = (config.positions == GridPositions::AlibiRaster)
            .then(|| positions::raster_bias(config.n_heads, tokens, &device));
        Self {
            config,
            level: Level {
                weights: trunk.weights(),
                rotation,
                read: Read::Full,
                retention: Retention::default(),
                eps: config.norm_eps,
                precision: pass.precision,
                credit: Credit::Full,
            },
            bias,
            pass,
        }
    }

    /// The stream after level number `index`, counted from 0.
    pub(super) fn step(&self, v: Tensor<4>, index: usize) -> Tensor<4> {
        let seed = self.pass.dropout_seed.filter(|_| self.config.dropout > 0.0);
        let dropout = seed.map(|seed| DropoutMask::new(derive(seed, "level", 0, index as u64), self.config.dropout));
        let u = match self.config.read {
            DenseRead::Full => self.level.run(v.clone(), None, dropout, View::Nothing).u,
            DenseRead::Softmax | DenseRead::RowL1 => self.by_scores(v.clone(), dropout),
        };
        join(v, u, self.config.norm_eps)
    }

    /// Contribution of a level whose tokens are read by scores.
    fn by_scores(&self, v: Tensor<4>, dropout: Option<DropoutMask>) -> Tensor<4> {
        let Level {
            weights,
            rotation,
            eps,
            precision,
            ..
        } = &self.level;
        let x = perceive(v.clone(), weights, *precision); // [B, H, T, N]
        let q = rotation.rotate(x);
        let neurons = q.dims()[3];
        let scores = q.clone().matmul(q.transpose()) / (neurons as f64).sqrt(); // [B, H, T, T]
        let scores = match &self.bias {
            Some(bias) if scores.is_autodiff() => scores + bias.clone().autodiff(),
            Some(bias) => scores + bias.clone(),
            None => scores,
        };
        let shares = match self.config.read {
            DenseRead::Softmax => activation::softmax(scores, 3),
            DenseRead::RowL1 | DenseRead::Full => row_l1(scores),
        };
        speak(SpeakInput {
            read: shares.matmul(v.clone()),
            v,
            weights: LevelWeights::clone(weights),
            eps: *eps,
            dropout,
            precision: *precision,
            count: false,
        })
        .u
    }
}

/// Scores divided by the sum of their sizes, row by row.
fn row_l1(scores: Tensor<4>) -> Tensor<4> {
    let sums = scores.clone().abs().sum_dim(3) + ROW_EPS;
    scores / sums
}
