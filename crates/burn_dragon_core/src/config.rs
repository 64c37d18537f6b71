//! The shape of a model.

use crate::decay::DecayConfig;
use crate::free_memory::MemoryError;
use crate::range::Range;
use burn_dragon_kernel::rotation::Frequencies;
use serde::{Deserialize, Serialize};

/// Largest vocabulary, width and number of neurons: what is computed with sizes that a file gives does not overflow.
const MAX_SIZE: usize = 1 << 28;

/// Most heads, and most levels: what is made one a head or a level is made at once.
const MAX_COUNT: usize = 1024;

/// What norms add to a variance: beside more than 1 nothing would be left of it.
const NORM_EPS: Range = Range {
    most: 1.0,
    words: "a number from 1.2e-38 to 1: it is added to variances of about 1, and f32 holds none above 0 that is smaller",
    ..Range::POSITIVE
};

/// Deviations of initial weights: what levels make of larger ones, products of four and their squares, f32 does not hold.
const INIT_STD: Range = Range {
    most: 1000.0,
    words: "a number from 1.1e-19 to 1000: f32 does not hold the squares of smaller ones, nor what levels make of larger \
            ones",
    ..Range::SQUARED
};

/// Slopes of a decay: with more than 100 nothing is left after a token.
const SLOPES: Range = Range {
    most: 100.0,
    words: "0, or a number from 1.2e-38 to 100",
    ..Range::FROM_ZERO
};

/// Slopes of a decay that are learnt.
const LEARNT_SLOPES: Range = Range {
    least: 1e-30,
    most: 100.0,
    zero: false,
    words: "a number from 1e-30 to 100, since its logarithm is learnt",
};

/// The shape of a Dragon Hatchling model: all that its weights cannot say by themselves.
///
/// [`validate`](Self::validate) is called wherever a model is made from one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DragonConfig {
    /// Tokens in the vocabulary (V).
    pub vocab_size: usize,
    /// Model width (D).
    pub d_model: usize,
    /// Heads that the neurons are split into (H).
    pub n_heads: usize,
    /// Neurons in all heads together (n = H N).
    pub n_neurons: usize,
    /// Passes through the one shared block (L).
    pub n_levels: usize,
    /// Share of y that is dropped in training: 0, or 1.6e-5 to 0.99998.
    pub dropout: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// What the norms add to the variance.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights.
    pub init_std: f64,
    /// How memory fades; absent, it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<DecayConfig>,
}

impl Default for DragonConfig {
    fn default() -> Self {
        Self::small()
    }
}

impl DragonConfig {
    fn preset(n_levels: usize, d_model: usize, n_neurons: usize) -> Self {
        Self {
            vocab_size: 256,
            d_model,
            n_heads: 4,
            n_neurons,
            n_levels,
            dropout: 0.1,
            rope_theta: 65536.0,
            norm_eps: 1e-5,
            init_std: 0.02,
            decay: None,
        }
    }

    /// 4 levels, D64, n2048: 0.4 M parameters, minutes on a laptop.
    pub fn tiny() -> Self {
        Self::preset(4, 64, 2048)
    }

    /// 4 levels, D128, n4096: 1.6 M parameters, an hour on a laptop.
    pub fn small() -> Self {
        Self::preset(4, 128, 4096)
    }

    /// 6 levels, D192, n12288: 7.2 M parameters.
    pub fn base() -> Self {
        Self::preset(6, 192, 12_288)
    }

    /// 6 levels, D256, n16384: 12.7 M parameters.
    pub fn large() -> Self {
        Self::preset(6, 256, 16_384)
    }

    /// The official release's default: 6 levels, D256, n32768, 25,296,896 parameters.
    pub fn paper() -> Self {
        Self::preset(6, 256, 32_768)
    }

    /// The preset of that name, if there is one: `tiny`, `small`, `base`, `large`, `paper`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "tiny" => Self::tiny(),
            "small" => Self::small(),
            "base" => Self::base(),
            "large" => Self::large(),
            "paper" => Self::paper(),
            _ => return None,
        })
    }

    /// Neurons per head (N).
    pub fn neurons_per_head(&self) -> usize {
        self.n_neurons / self.n_heads
    }

    /// The rotary frequencies of a head.
    pub fn frequencies(&self) -> Frequencies {
        Frequencies::new(self.rope_theta, self.neurons_per_head())
    }

    /// Refuses a shape that no model can have, with the values that are wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (name, value, most) in [
            ("vocab_size", self.vocab_size, MAX_SIZE),
            ("d_model", self.d_model, MAX_SIZE),
            ("n_heads", self.n_heads, MAX_COUNT),
            ("n_neurons", self.n_neurons, MAX_SIZE),
            ("n_levels", self.n_levels, MAX_COUNT),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero { name });
            }
            if value > most {
                return Err(ConfigError::TooLarge { name, value, most });
            }
        }
        if !self.n_neurons.is_multiple_of(2 * self.n_heads) {
            return Err(ConfigError::Heads {
                n_neurons: self.n_neurons,
                n_heads: self.n_heads,
            });
        }
        let within = |name, value: f64, range: Range| {
            range.check(value).map_err(|expected| ConfigError::Range {
                name,
                value,
                expected,
            })
        };
        within("dropout", self.dropout, Range::DROPPED)?;
        if !(self.rope_theta > 1.0 && self.rope_theta.is_finite()) {
            return Err(ConfigError::Range {
                name: "rope_theta",
                value: self.rope_theta,
                expected: "a finite number above 1",
            });
        }
        within("norm_eps", self.norm_eps, NORM_EPS)?;
        within("init_std", self.init_std, INIT_STD)?;
        self.decay
            .as_ref()
            .map_or(Ok(()), |decay| self.check_decay(decay))
    }

    /// Refuses slopes that are not one a head, or that f32 cannot tell from nothing, or from everything at once.
    fn check_decay(&self, decay: &DecayConfig) -> Result<(), ConfigError> {
        let (slopes, n_heads) = (decay.slopes(self.n_heads), self.n_heads);
        if slopes.len() != n_heads {
            return Err(ConfigError::Slopes {
                given: slopes.len(),
                n_heads,
            });
        }
        let range = if decay.learnable() { LEARNT_SLOPES } else { SLOPES };
        for value in slopes {
            range.check(value).map_err(|expected| ConfigError::Range {
                name: "decay.slopes",
                value,
                expected,
            })?;
        }
        Ok(())
    }
}

/// A shape that no model can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A size is zero.
    #[error("model.{name} is 0; every size of a model is at least 1")]
    Zero {
        /// The key.
        name: &'static str,
    },
    /// A size is beyond what any model has.
    #[error("model.{name} = {value}; it can be {most} at most")]
    TooLarge {
        /// The key.
        name: &'static str,
        /// The value given.
        value: usize,
        /// The largest.
        most: usize,
    },
    /// The neurons cannot be split into heads of pairs.
    #[error(
        "model.n_neurons = {n_neurons} does not split into model.n_heads = {n_heads} heads of neuron pairs; \
         use a multiple of {}", 2 * n_heads
    )]
    Heads {
        /// Neurons in all.
        n_neurons: usize,
        /// Heads.
        n_heads: usize,
    },
    /// A number is out of its range.
    #[error("model.{name} = {value:?}; expected {expected}")]
    Range {
        /// The key.
        name: &'static str,
        /// The value given.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// A model that the machine has no memory for.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Not as many slopes as heads.
    #[error("model.decay.slopes has {given} slopes, expected one for each of model.n_heads = {n_heads}")]
    Slopes {
        /// Slopes given.
        given: usize,
        /// Heads.
        n_heads: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid() {
        for name in ["tiny", "small", "base", "large", "paper"] {
            DragonConfig::named(name).expect(name).validate().expect(name);
        }
    }

    #[test]
    fn an_error_shows_the_values() {
        let config = DragonConfig {
            n_neurons: 100,
            n_heads: 3,
            ..DragonConfig::tiny()
        };
        let text = config.validate().unwrap_err().to_string();
        assert!(
            text.contains("100") && text.contains('3') && text.contains("multiple of 6"),
            "{text}"
        );
        let config = DragonConfig {
            dropout: 1.0,
            ..DragonConfig::tiny()
        };
        assert!(config.validate().unwrap_err().to_string().contains("dropout = 1"));
        let config = DragonConfig {
            d_model: 0,
            ..DragonConfig::tiny()
        };
        assert!(config.validate().unwrap_err().to_string().contains("d_model"));
        let config = DragonConfig {
            n_heads: usize::MAX,
            decay: Some(DecayConfig::Standard { learnable: false }),
            ..DragonConfig::tiny()
        };
        assert!(
            config
                .validate()
                .unwrap_err()
                .to_string()
                .contains("1024 at most")
        );
        let config = DragonConfig {
            norm_eps: f64::NAN,
            ..DragonConfig::tiny()
        };
        assert!(config.validate().is_err());
    }
}
