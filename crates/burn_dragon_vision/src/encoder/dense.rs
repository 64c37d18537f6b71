//! Dense backbone: every patch reads every patch. Nothing is carried from level to level but the stream.
//!
//! ```text
//! x = relu(v decoder_x);  q = rotate(x)
//! full      a = norm(q (sum over s of q_s (outer) v_s))               one memory, T N D
//! softmax   a = norm(softmax(q q^T / sqrt(N) + bias) v)               scores, T x T
//! row_l1    a = norm(S v), S = s / (sum |s| + 1e-6), s = q q^T / sqrt(N) + bias
//! y = relu(a decoder_y) * x;  v = norm(v + norm(y encoder))
//! ```

use super::config::{DenseRead, GridPositions, ModelConfig, Summary};
use super::positions;
use super::step::{Backbone, State, StepPass};
use crate::error::VisionError;
use burn::tensor::{Tensor, activation};
use burn_dragon_core::api::expert::{Keys, Level, Norm, Quantisers, Reader, View, derive};
use burn_dragon_core::api::structured::StepMode;
use burn_dragon_core::api::{Credit, Trunk};
use burn_dragon_kernel::api::{
    DropoutMask, LevelWeights, Precision, Retention, Rotation, SpeakInput, join, perceive, speak,
};

/// Constant added to the sums of the sizes of scores.
const ROW_EPS: f64 = 1e-6;

/// A dense backbone with the weights of a pass.
#[derive(Debug)]
pub struct DenseSteps<'a> {
    config: &'a ModelConfig,
    level: Level,
    /// Bias of the scores, `[1, H, T, T]`.
    bias: Option<Tensor<4>>,
}

impl<'a> DenseSteps<'a> {
    /// Steps of streams like `v`, `[B, 1, T, D]`. Without a rotation, nothing turns.
    pub(super) fn new(
        config: &'a ModelConfig,
        trunk: &Trunk,
        v: &Tensor<4>,
        rotation: Option<Rotation>,
    ) -> Self {
        let (tokens, dtype, device) = (v.dims()[2], v.dtype(), v.device().inner());
        let rotation = rotation.unwrap_or_else(|| positions::no_rotation(config, tokens, dtype, &device));
        let bias = (config.positions == GridPositions::AlibiRaster)
            .then(|| positions::raster_bias(config.n_heads, tokens, &device));
        Self {
            config,
            level: Level {
                weights: trunk.weights(),
                rotation,
                keys: Keys::default(),
                read: Reader::full(),
                retention: Retention::default(),
                norm: Norm::layer(config.norm_eps),
                thresholds: None,
                quantisers: Quantisers::default(),
                precision: Precision::F32,
                credit: Credit::Full,
            },
            bias,
        }
    }

    /// Contribution of a level whose tokens are read by scores.
    fn by_scores(&self, v: Tensor<4>, dropout: Option<DropoutMask>, precision: Precision) -> Tensor<4> {
        let Level {
            weights, rotation, ..
        } = &self.level;
        let x = perceive(v.clone(), weights, precision); // [B, H, T, N]
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
            norm: Some(self.config.norm_eps),
            levels: None,
            dropout,
            precision,
            count: false,
        })
        .u
    }
}

impl Backbone for DenseSteps<'_> {
    fn start(&self, v: Tensor<4>) -> State {
        State::of_patches(v)
    }

    fn step(&self, state: &mut State, mode: StepMode, pass: StepPass) -> Result<(), VisionError> {
        let (v, eps) = (state.stream(), self.config.norm_eps);
        let seed = pass.dropout_seed.filter(|_| self.config.dropout > 0.0);
        let mask = |seed| {
            DropoutMask::new(
                derive(seed, "level", 0, state.steps() as u64),
                self.config.dropout,
            )
        };
        let (dropout, precision) = (seed.map(mask), pass.precision);
        let u = match self.config.read {
            DenseRead::Full => {
                let level = Level {
                    precision,
                    ..self.level.clone()
                };
                level.run(v.clone(), None, dropout, View::Nothing).u
            }
            DenseRead::Softmax | DenseRead::RowL1 => self.by_scores(v.clone(), dropout, precision),
        };
        state.advance(join(v, u, eps), mode);
        Ok(())
    }

    fn summary(&self, state: &State) -> Result<Tensor<2>, VisionError> {
        let v = state.stream();
        let [lanes, _, _, d] = v.dims();
        Ok(match self.config.summary {
            Summary::Mean => state.mean(),
            Summary::Cls => v.narrow(2, 0, 1).reshape([lanes, d]),
        })
    }
}

/// Scores divided by the sum of their sizes, row by row.
fn row_l1(scores: Tensor<4>) -> Tensor<4> {
    let sums = scores.clone().abs().sum_dim(3) + ROW_EPS;
    scores / sums
}
