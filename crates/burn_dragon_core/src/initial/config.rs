//! Table `[model.init]`: kinds, keys and their ranges.

use super::firing::Firing;
use crate::config::{ConfigError, TrunkConfig};
use crate::range::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Initial weights, `[model.init]`, and thresholds of the neurons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InitConfig {
    /// Distribution of the weights.
    #[serde(rename = "type")]
    pub kind: InitKind,
    /// Factor of the matrices of the levels.
    pub residual: Residual,
    /// Gains of the neurons in each matrix of the levels. If absent, all 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gains: Option<Gains>,
    /// Structure of the matrices of the levels. If absent, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// Thresholds of the neurons, which are not learnt. If absent, all 0. With thresholds levels run by their definition in
    /// plain tensor operations, in f32 and without kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firing: Option<Firing>,
}

/// Distribution of initial weights.
///
/// D is the model width, n the number of all neurons, N of those of a head, V the vocabulary. Other tensors than those named
/// are normal with `init_std`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitKind {
    /// The official release's: normal, with the standard deviation `init_std`.
    #[default]
    Normal,
    /// Normal, with `1 / sqrt(D + n)` for the matrices of the levels, `1 / sqrt(D + V)` for `lm_head` and `1 / sqrt(D)` for
    /// `embed`, each at most `init_std`.
    NearCritical,
    /// Normal, with He's `sqrt(2 / D)` for `decoder_x` and `decoder_y`, which relus follow, and Glorot's `sqrt(2 / (in + out))`
    /// for `encoder` and `lm_head`.
    HeGlorot,
    /// Blocks of heads in the matrices of the levels, D by N, with orthonormal rows or columns, whichever are fewer, times
    /// `init_std sqrt(max(D, N))`: entries then have the size `init_std`.
    SemiOrthogonal,
}

/// Factor of `decoder_x`, `decoder_y` and `encoder`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Residual {
    /// 1.
    #[default]
    None,
    /// `1 / sqrt(n_levels)`.
    DepthScaled,
}

/// Gains of neurons: a factor of each neuron in each of the three matrices, drawn for each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Gains {
    /// `exp(N(0, sigma^2))`, at most `most`, all divided by their root mean square.
    LogNormal(LogNormal),
}

/// Keys of log-normal gains.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogNormal {
    /// Standard deviation of their logarithms, 0 to 3.
    pub sigma: f64,
    /// Largest gain before the division, 1 to 1000.
    pub most: f64,
}

impl Default for LogNormal {
    fn default() -> Self {
        Self {
            sigma: 0.75,
            most: 4.0,
        }
    }
}

/// Structure of the matrices of the levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Topology {
    /// Communities of neurons and dimensions, and neurons that bridge them.
    Modular(Modular),
}

/// Keys of modular matrices. Community c of C has the neurons of each head from `c N / C` to `(c + 1) N / C`, and the dimensions
/// from `c D / C` on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Modular {
    /// Number of communities (C), at most the dimensions and the neurons of a head.
    pub communities: usize,
    /// Share of the neurons of a head that are bridges, the same neurons in all matrices; 0 to 1.
    pub bridge_fraction: f64,
    /// Factor of weights within a community, 0 to 100.
    pub within: f64,
    /// Factor of weights between communities, 0 to 100.
    pub between: f64,
    /// Factor of all weights of a bridge, 0 to 100.
    pub bridge: f64,
}

impl Default for Modular {
    fn default() -> Self {
        Self {
            communities: 4,
            bridge_fraction: 0.05,
            within: 1.5,
            between: 0.5,
            bridge: 1.0,
        }
    }
}

const SIGMA: Range = Range {
    most: 3.0,
    words: "0, or a number from 1.2e-38 to 3: with larger ones most gains are near 0",
    ..Range::FROM_ZERO
};

const MOST_GAIN: Range = Range {
    least: 1.0,
    most: 1000.0,
    zero: false,
    words: "a number from 1 to 1000",
};

const FACTOR: Range = Range {
    most: 100.0,
    words: "0, or a number from 1.2e-38 to 100",
    ..Range::FROM_ZERO
};

impl InitConfig {
    /// Kind and options, in words.
    pub fn in_words(&self) -> String {
        let kind = match self.kind {
            InitKind::Normal => "normal",
            InitKind::NearCritical => "near_critical",
            InitKind::HeGlorot => "he_glorot",
            InitKind::SemiOrthogonal => "semi_orthogonal",
        };
        let options = [
            (self.residual == Residual::DepthScaled).then_some("depth_scaled"),
            self.gains.map(|Gains::LogNormal(_)| "log-normal gains"),
            self.topology.map(|Topology::Modular(_)| "modular"),
        ];
        [Some(kind)]
            .into_iter()
            .chain(options)
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Checks the keys for a trunk.
    ///
    /// # Errors
    /// The first key that is wrong, or the keys that exclude each other.
    pub(crate) fn validate(&self, trunk: &TrunkConfig) -> Result<(), ConfigError> {
        if self.kind == InitKind::SemiOrthogonal {
            let key = (self.gains.map(|_| "gains")).or(self.topology.map(|_| "topology"));
            if let Some(key) = key {
                return Err(ConfigError::OrthogonalFactors { key });
            }
        }
        if let Some(Gains::LogNormal(gains)) = self.gains {
            number("init.gains.sigma", gains.sigma, SIGMA)?;
            number("init.gains.most", gains.most, MOST_GAIN)?;
        }
        if let Some(Topology::Modular(modular)) = self.topology {
            modular.validate(trunk)?;
        }
        self.firing.map_or(Ok(()), |firing| firing.validate(trunk))
    }
}

impl Modular {
    fn validate(&self, trunk: &TrunkConfig) -> Result<(), ConfigError> {
        if !(1..=trunk.d_model.min(trunk.neurons_per_head())).contains(&self.communities) {
            return Err(ConfigError::Range {
                name: "init.topology.communities",
                value: self.communities as f64,
                expected: "a whole number from 1 to model.d_model and to the neurons of a head",
            });
        }
        number(
            "init.topology.bridge_fraction",
            self.bridge_fraction,
            Range::SHARE_OR_NONE,
        )?;
        number("init.topology.within", self.within, FACTOR)?;
        number("init.topology.between", self.between, FACTOR)?;
        number("init.topology.bridge", self.bridge, FACTOR)
    }
}

/// Refuses a number outside its range.
pub(super) fn number(name: &'static str, value: f64, range: Range) -> Result<(), ConfigError> {
    range.check(value).map_err(|expected| ConfigError::Range {
        name,
        value,
        expected,
    })
}
