//! Kinds of connector: how the output of a level enters the stream.

use burn::tensor::Tensor;
use burn_dragon_kernel::api::join;
use serde::{Deserialize, Serialize};

/// Kind of connector between levels, `model.connector`.
///
/// The stream between levels has one or more tensors of the model's width, `[B, S, T, D]`. A connector makes it from
/// the trunk's input, gives each level its input, adds the output of each level to it, and makes the trunk's output
/// from it.
///
/// **To add one** (hyper-connections: S streams that are mixed before and after each level; attention residuals: S
/// grows by one a level, and a level sees a weighted sum of them): a variant, a `Wiring` in this file or one beside it,
/// and its arm in this file's one `match`. The tensors that it learns are listed in
/// [`TrunkConfig::tensors`](crate::config::TrunkConfig::tensors), are fields of the [`Trunk`](crate::trunk::Trunk), and
/// are given to the wiring when a pass makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connector {
    /// The paper's connector: one stream, `norm(v + norm(u))` after each level.
    #[default]
    Plain,
}

impl Connector {
    /// Wiring of a pass: the one place that distinguishes the kinds. `eps` is the epsilon of the norms.
    pub(crate) fn wiring(self, eps: f64) -> Box<dyn Wiring> {
        match self {
            Self::Plain => Box::new(Plain { eps }),
        }
    }
}

/// Connections between the levels of a pass.
///
/// `v`, `u`: `[B, 1, T, D]`; `stream`: `[B, S, T, D]`.
pub(crate) trait Wiring {
    /// Stream before the first level, made from the trunk's input.
    fn enter(&self, v: Tensor<4>) -> Tensor<4>;

    /// Input of a level, made from the stream.
    fn input(&self, stream: &Tensor<4>, level: usize) -> Tensor<4>;

    /// Stream after a level whose output is `u`.
    fn join(&self, stream: Tensor<4>, u: Tensor<4>, level: usize) -> Tensor<4>;

    /// Output of the trunk, made from the stream; also computed between levels for probes.
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
