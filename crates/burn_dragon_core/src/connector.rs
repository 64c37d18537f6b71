//! Connectors: how what a level adds enters the stream.

use burn::tensor::Tensor;
use burn_dragon_kernel::api::join;
use serde::{Deserialize, Serialize};

/// The kind of connector, `model.connector`.
///
/// Between levels runs a stream of one or more tensors of the model's width, `[B, S, T, D]`. A connector makes it of what
/// enters the trunk, says what of it each level sees, what becomes of what the level adds, and what leaves the trunk.
///
/// **To add one** (hyper-connections: S streams that are mixed before and after each level; attention residuals: S grows by
/// one a level, and a level sees a weighted sum of them): a variant, a `Wiring` in this file or one beside it, and its arm in
/// this file's one `match`. What it learns is listed in [`TrunkConfig::tensors`](crate::config::TrunkConfig::tensors), held by
/// the [`Trunk`](crate::trunk::Trunk), and given to the wiring when a pass makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connector {
    /// One stream, `norm(v + norm(u))` after each level: the paper's.
    #[default]
    Plain,
}

impl Connector {
    /// The wiring of a pass: the one place that tells the kinds apart. `eps` is what norms add to the variance.
    pub(crate) fn wiring(self, eps: f64) -> Box<dyn Wiring> {
        match self {
            Self::Plain => Box::new(Plain { eps }),
        }
    }
}

/// What runs between the levels of a pass.
///
/// `v`, `u`: `[B, 1, T, D]`; `stream`: `[B, S, T, D]`.
pub(crate) trait Wiring {
    /// The stream before the first level, of what enters the trunk.
    fn enter(&self, v: Tensor<4>) -> Tensor<4>;

    /// What a level sees of the stream.
    fn input(&self, stream: &Tensor<4>, level: usize) -> Tensor<4>;

    /// The stream after a level that adds `u`.
    fn join(&self, stream: Tensor<4>, u: Tensor<4>, level: usize) -> Tensor<4>;

    /// What leaves the trunk, or is looked at between levels.
    fn leave(&self, stream: Tensor<4>) -> Tensor<4>;
}

/// [`Connector::Plain`].
struct Plain {
    eps: f64,
}

impl Wiring for Plain {
    fn enter(&self, v: Tensor<4>) -> Tensor<4> {
        v
    }

    fn input(&self, stream: &Tensor<4>, _level: usize) -> Tensor<4> {
        stream.clone()
    }

    fn join(&self, stream: Tensor<4>, u: Tensor<4>, _level: usize) -> Tensor<4> {
        join(stream, u, self.eps)
    }

    fn leave(&self, stream: Tensor<4>) -> Tensor<4> {
        stream
    }
}
