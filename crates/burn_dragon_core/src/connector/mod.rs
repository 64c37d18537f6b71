//! Kinds of connector: how the output of a level enters the stream.
//!
//! | connector | equation | where |
//! |---|---|---|
//! | `plain` | `v = norm(v + norm(u))` | `plain.rs` |
//! | `attention_residual`, `block_attention_residual` | a level sees a weighted mean of the outputs before it | `attention_residual.rs` |
//! | `mhc` | streams that are mixed before and after a level | `hyper/` |
//! | `attention_residual_upstream`, `block_upstream` | the public implementation's own forms | `upstream.rs` |

mod attention_residual;
mod config;
mod cost;
mod hyper;
mod plain;
mod upstream;
mod weights;

pub use config::Connector;
pub use hyper::{HyperCoefficients, HyperConfig};
pub use weights::ConnectorWeights;

use crate::norm::Norm;
use attention_residual::AttentionResidual;
use burn::tensor::Tensor;
use hyper::Hyper;
use plain::Plain;
use upstream::{UpstreamConfig, UpstreamResidual};

/// The stream of a pass between the levels.
///
/// `v`, `u`: `[B, 1, T, D]`.
///
/// **To add a connector**: a variant of [`Connector`] and an implementation of this trait, in a file beside this one; its
/// arm in [`Connector::enter`]; the tensors that it learns in [`Connector::tensors`] and their initial values in
/// [`Connector::initial`].
pub(crate) trait Stream {
    /// Input of the next level.
    fn input(&mut self) -> Tensor<4>;

    /// Takes the output of that level.
    fn join(&mut self, u: Tensor<4>);

    /// Output of the trunk, if no level follows; also computed between levels for probes.
    fn output(&self) -> Tensor<4>;
}

/// What streams of a trunk have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    /// What the connector learns.
    pub(crate) weights: Option<&'a ConnectorWeights>,
    /// Norm of the trunk.
    pub(crate) norm: &'a Norm,
}

impl Setting<'_> {
    /// A tensor that the connector learns.
    ///
    /// # Panics
    /// If it is not there.
    fn learnt<T>(&self, name: &str, of: impl Fn(&ConnectorWeights) -> Option<T>) -> T {
        self.weights
            .and_then(of)
            .unwrap_or_else(|| panic!("Trunk: the connector has no weight `{name}`"))
    }
}

impl Connector {
    /// Stream that begins with the trunk's input: the one place that distinguishes the kinds.
    pub(crate) fn enter(&self, v: Tensor<4>, setting: Setting<'_>) -> Box<dyn Stream> {
        let upstream = |v, n_heads, recency_bias, levels_per_block| -> Box<dyn Stream> {
            let config = UpstreamConfig {
                n_heads,
                recency_bias,
                levels_per_block,
            };
            Box::new(UpstreamResidual::new(v, config, setting))
        };
        match self {
            Self::Plain {} => Box::new(Plain::new(v, setting)),
            Self::AttentionResidual {} => Box::new(AttentionResidual::new(v, 1, setting)),
            Self::BlockAttentionResidual { levels_per_block } => {
                Box::new(AttentionResidual::new(v, *levels_per_block, setting))
            }
            Self::Mhc(config) => Box::new(Hyper::new(v, config, setting)),
            Self::AttentionResidualUpstream {
                n_heads,
                recency_bias,
            } => upstream(v, *n_heads, *recency_bias, None),
            Self::BlockUpstream {
                levels_per_block,
                n_heads,
                recency_bias,
            } => upstream(v, *n_heads, *recency_bias, Some(*levels_per_block)),
        }
    }
}
