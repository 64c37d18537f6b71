//! Decay of memory: what token s wrote reaches token t multiplied by `exp(-slope_h (t - s))`, head by head.
//!
//! This is the multiplicative form of ALiBi for a linear read: a constant factor on the memory after every
//! token (arXiv:2509.26507, section 6.1 and equation 6, `U` diagonal).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Decay of memory, `[model.decay]`: the slopes, and whether they are learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum DecayConfig {
    /// Slopes `2^(-8 h / H)` for the heads h = 1 ..= H, as in ALiBi. With 4 heads, memory halves every 3 tokens in the
    /// first head and every 180 tokens in the last.
    Standard {
        /// Whether the slopes are trained. Their logarithms are the parameter `decay`, which has no weight decay. In f32 only.
        #[serde(default)]
        learnable: bool,
    },
    /// Slopes `2^(-h / H)` for the heads h = 0 ..= H - 1, those of the public implementation: with 4 heads, memory halves every
    /// 0.7 to 1.2 tokens.
    Upstream {
        /// Whether the slopes are trained. Their logarithms are the parameter `decay`, which has no weight decay. In f32 only.
        #[serde(default)]
        learnable: bool,
    },
    /// One slope for each head, in 1/tokens, at most 100; memory with slope 0 does not fade.
    Custom {
        /// One slope for each head, in 1/tokens: 0, or 1.2e-38 to 100; learnt ones 1e-30 to 100.
        slopes: Vec<f64>,
        /// Whether the slopes are trained. Their logarithms are the parameter `decay`, which has no weight decay. In f32 only.
        #[serde(default)]
        learnable: bool,
    },
}

impl DecayConfig {
    /// Slopes of `n_heads` heads, in 1/tokens, before training.
    pub fn slopes(&self, n_heads: usize) -> Vec<f64> {
        match self {
            Self::Standard { .. } => (1..=n_heads)
                .map(|head| (-8.0 * head as f64 / n_heads as f64).exp2())
                .collect(),
            Self::Upstream { .. } => (0..n_heads)
                .map(|head| (-(head as f64) / n_heads as f64).exp2())
                .collect(),
            Self::Custom { slopes, .. } => slopes.clone(),
        }
    }

    /// Decay of the first `n_heads` heads alone.
    #[must_use]
    pub fn of_heads(&self, n_heads: usize) -> Self {
        let mut decay = self.clone();
        if let Self::Custom { slopes, .. } = &mut decay {
            slopes.truncate(n_heads);
        }
        decay
    }

    /// Whether training changes the slopes.
    pub fn learnable(&self) -> bool {
        let (Self::Standard { learnable } | Self::Upstream { learnable } | Self::Custom { learnable, .. }) =
            self;
        *learnable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DragonConfig;

    fn custom(slopes: Vec<f64>, learnable: bool) -> DragonConfig {
        DragonConfig {
            decay: Some(DecayConfig::Custom { slopes, learnable }),
            ..DragonConfig::tiny()
        }
    }

    #[test]
    fn standard_slopes_are_those_of_alibi() {
        let standard = DecayConfig::Standard { learnable: false };
        assert_eq!(standard.slopes(4), [0.25, 0.0625, 0.015625, 0.00390625]);
    }

    #[test]
    fn a_part_of_the_heads_has_their_slopes() {
        let Some(decay) = custom(vec![0.1, 0.2, 0.3], true).decay else {
            unreachable!("it was given")
        };
        assert_eq!(decay.of_heads(2).slopes(2), [0.1, 0.2]);
        assert!(decay.of_heads(2).learnable());
    }

    #[test]
    fn slopes_that_cannot_be_are_refused_with_their_value() {
        assert!(custom(vec![0.0, 0.1, 1.0, 3.0], false).validate().is_ok());
        for (config, said) in [
            (custom(vec![0.1; 3], false), "3 slopes"),
            (custom(vec![0.1, -0.5, 0.1, 0.1], false), "-0.5"),
            (custom(vec![0.1, 0.0, 0.1, 0.1], true), "logarithm"),
            (custom(vec![0.1, 1e39, 0.1, 0.1], false), "to 100"),
            (
                custom(vec![0.1, 1e-50, 0.1, 0.1], false),
                "0, or a number from 1.2e-38",
            ),
            (custom(vec![0.1, f64::NAN, 0.1, 0.1], false), "NaN"),
        ] {
            let text = config.validate().unwrap_err().to_string();
            assert!(text.contains(said), "{text}");
        }
    }
}
