//! Table `[model.connector]`: kinds and keys, the tensors that each learns, their initial values.

use super::hyper::HyperConfig;
use crate::config::ConfigError;
use crate::shapes::TensorShape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kind of connector between levels, `[model.connector]`.
///
/// Each gives levels their inputs, takes their outputs, and makes the trunk's output.
// Kinds without keys have braces: serde takes any keys beside the name of a kind without them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Connector {
    /// The paper's connector: one stream, `norm(v + norm(u))` after each level.
    Plain {},
    /// Attention residuals (arXiv:2603.15031): the input of a level is a weighted mean of the outputs of all levels before it.
    AttentionResidual {},
    /// The same over sums of blocks of levels.
    BlockAttentionResidual {
        /// Number of levels in a block, 1 to `n_levels`.
        #[serde(default = "two")]
        levels_per_block: usize,
    },
    /// Manifold-constrained hyper-connections (mHC, arXiv:2512.24880): several streams, mixed before and after each level.
    Mhc(HyperConfig),
    /// The public implementation's attention residual: heads with keys and values of their own, a bias towards recent levels,
    /// and a gate.
    AttentionResidualUpstream {
        /// Number of heads; divides `d_model`.
        #[serde(default = "four")]
        n_heads: usize,
        /// What a score loses with each level between, 0 to 100.
        #[serde(default = "recent")]
        recency_bias: f64,
    },
    /// The same, with older levels pooled in blocks.
    BlockUpstream {
        /// Number of levels in a block, and of newest levels that are not pooled, 1 to `n_levels`.
        #[serde(default = "two")]
        levels_per_block: usize,
        /// Number of heads; divides `d_model`.
        #[serde(default = "four")]
        n_heads: usize,
        /// What a score loses with each level between, 0 to 100.
        #[serde(default = "recent")]
        recency_bias: f64,
    },
}

impl Default for Connector {
    fn default() -> Self {
        Self::Plain {}
    }
}

fn two() -> usize {
    2
}

fn four() -> usize {
    4
}

fn recent() -> f64 {
    2.0
}

impl Connector {
    /// Name of the kind in configurations.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain {} => "plain",
            Self::AttentionResidual {} => "attention_residual",
            Self::BlockAttentionResidual { .. } => "block_attention_residual",
            Self::Mhc(_) => "mhc",
            Self::AttentionResidualUpstream { .. } => "attention_residual_upstream",
            Self::BlockUpstream { .. } => "block_upstream",
        }
    }

    /// The same connector of a trunk of so many levels, with smaller blocks if there are too few.
    #[must_use]
    pub fn of_levels(&self, levels: usize) -> Self {
        let mut connector = self.clone();
        if let Self::BlockAttentionResidual { levels_per_block }
        | Self::BlockUpstream { levels_per_block, .. } = &mut connector
        {
            *levels_per_block = (*levels_per_block).min(levels);
        }
        connector
    }

    /// Tensors that the connector learns, of a trunk of so many levels and this width.
    pub(crate) fn tensors(&self, levels: usize, width: usize) -> Vec<TensorShape> {
        match self {
            Self::Plain {} => Vec::new(),
            Self::AttentionResidual {} | Self::BlockAttentionResidual { .. } => {
                vec![TensorShape::new("connector.queries", [levels, width])]
            }
            Self::Mhc(config) => config.tensors(levels, width),
            Self::AttentionResidualUpstream { .. } | Self::BlockUpstream { .. } => {
                let square = |name| TensorShape::new(name, [width, width]);
                vec![
                    TensorShape::new("connector.query", [1, width]),
                    square("connector.key"),
                    square("connector.value"),
                    square("connector.output"),
                    TensorShape::new("connector.gate", [1]),
                ]
            }
        }
    }

    /// Initial values of a tensor, named without `connector.`; `None` for those that are drawn.
    pub(crate) fn initial(&self, field: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let zeros = || vec![0.0; shape.iter().product()];
        match self {
            Self::Mhc(config) => config.initial(field, shape),
            _ if matches!(field, "key" | "value" | "output") => {
                let mut identity = zeros();
                identity
                    .iter_mut()
                    .step_by(shape[1] + 1)
                    .for_each(|entry| *entry = 1.0);
                Some(identity)
            }
            _ => Some(zeros()),
        }
    }

    /// Checks the keys for a trunk of so many levels and this width.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub(crate) fn validate(&self, levels: usize, width: usize) -> Result<(), ConfigError> {
        let whole = |name, value: usize, [least, most]: [usize; 2], expected| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            let value = value as f64;
            Err(ConfigError::Range {
                name,
                value,
                expected,
            })
        };
        let blocks = |value| {
            let name = "connector.levels_per_block";
            whole(
                name,
                value,
                [1, levels],
                "a whole number from 1 to model.n_levels",
            )
        };
        let heads = |value: usize, recency_bias: f64| {
            if value == 0 || !width.is_multiple_of(value) {
                return Err(ConfigError::Range {
                    name: "connector.n_heads",
                    value: value as f64,
                    expected: "a divisor of model.d_model",
                });
            }
            if (0.0..=100.0).contains(&recency_bias) {
                return Ok(());
            }
            Err(ConfigError::Range {
                name: "connector.recency_bias",
                value: recency_bias,
                expected: "a number from 0 to 100",
            })
        };
        match self {
            Self::Plain {} | Self::AttentionResidual {} => Ok(()),
            Self::BlockAttentionResidual { levels_per_block } => blocks(*levels_per_block),
            Self::Mhc(config) => {
                let most = config.most_streams();
                let expected = match most {
                    4 => "a whole number from 2 to 4: there are 24 permutations of 4 streams",
                    _ => "a whole number from 2 to 8",
                };
                whole("connector.streams", config.streams, [2, most], expected)
            }
            Self::AttentionResidualUpstream {
                n_heads,
                recency_bias,
            } => heads(*n_heads, *recency_bias),
            Self::BlockUpstream {
                levels_per_block,
                n_heads,
                recency_bias,
            } => {
                blocks(*levels_per_block)?;
                heads(*n_heads, *recency_bias)
            }
        }
    }
}
