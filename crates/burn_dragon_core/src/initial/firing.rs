//! Thresholds of neurons before training, from the shares of neurons that are to be active.
//!
//! A row of a normed stream has the mean square 1, so that the drive of a neuron whose weights have the size s is about
//! `N(0, D s^2)`. It exceeds `theta = sqrt(D) s z` with the probability p, where z is the number that `N(0, 1)` exceeds with p.

use super::config::number;
use super::matrix::Matrix;
use crate::config::{ConfigError, TrunkConfig};
use crate::range::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Thresholds of neurons: `x = relu(v decoder_x - theta_x)`, `y = relu(a decoder_y - theta_y) * x`.
///
/// They are constants, a function of the configuration alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Firing {
    /// Thresholds that these shares of the neurons exceed before training, if their drives are normally distributed. With
    /// `gains` shares are of neurons of the mean size.
    Gaussian(FiringShares),
    /// Thresholds as they are, -1000 to 1000.
    Explicit {
        /// Threshold of `v decoder_x`.
        x: f64,
        /// Threshold of `a decoder_y`.
        y: f64,
    },
}

/// Shares of neurons above their thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FiringShares {
    /// Share of the neurons with `v decoder_x` above its threshold, 1e-6 to 0.999999.
    pub x: f64,
    /// Share of the neurons with `a decoder_y` above its threshold, 1e-6 to 0.999999; of these y is active where x is.
    pub y: f64,
}

impl Default for FiringShares {
    fn default() -> Self {
        Self { x: 0.15, y: 0.05 }
    }
}

/// Thresholds of the neurons of all levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Of the drive of x, `v decoder_x`.
    pub x: f64,
    /// Of the gate of y, `a decoder_y`.
    pub y: f64,
}

const SHARE: Range = Range {
    least: 1e-6,
    most: 0.999_999,
    zero: false,
    words: "a number from 1e-6 to 0.999999",
};

/// Largest size of a threshold.
const MOST: f64 = 1000.0;

impl Firing {
    pub(super) fn validate(&self, trunk: &TrunkConfig) -> Result<(), ConfigError> {
        match *self {
            Self::Gaussian(FiringShares { x, y }) => {
                number("init.firing.x", x, SHARE)?;
                number("init.firing.y", y, SHARE)?;
                let norm = trunk.norm.kind;
                match norm.is_of_size_one() {
                    true => Ok(()),
                    false => Err(ConfigError::FiringOfNorm { norm: norm.name() }),
                }
            }
            Self::Explicit { x, y } => [("init.firing.x", x), ("init.firing.y", y)]
                .into_iter()
                .try_for_each(|(name, value)| match value.abs() <= MOST {
                    true => Ok(()),
                    false => Err(ConfigError::Range {
                        name,
                        value,
                        expected: "a number from -1000 to 1000",
                    }),
                }),
        }
    }

    /// Thresholds in a trunk.
    pub(crate) fn thresholds(&self, trunk: &TrunkConfig) -> Thresholds {
        match *self {
            Self::Explicit { x, y } => Thresholds { x, y },
            Self::Gaussian(shares) => {
                let deviation = (trunk.d_model as f64).sqrt() * Matrix::decoder(trunk).size(trunk);
                Thresholds {
                    x: deviation * exceeded(shares.x),
                    y: deviation * exceeded(shares.y),
                }
            }
        }
    }
}

/// Number that a standard normal variable exceeds with this probability, by bisection.
fn exceeded(probability: f64) -> f64 {
    let [mut low, mut high] = [-9.0, 9.0];
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        match 0.5 - below(middle) > probability {
            true => low = middle,
            false => high = middle,
        }
    }
    (low + high) / 2.0
}

/// Probability that a standard normal variable is between 0 and z: `density(z) (z + z^3 / 3 + z^5 / (3 * 5) + ...)`.
fn below(z: f64) -> f64 {
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    sum * (-z * z / 2.0).exp() / TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From tables of the normal distribution.
    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (probability, z) in [
            (0.5, 0.0),
            (0.15, 1.036_433_389_493_789_8),
            (0.05, 1.644_853_626_951_472_2),
            (0.975, -1.959_963_984_540_054),
            (1e-6, 4.753_424_308_822_899),
        ] {
            let found = exceeded(probability);
            assert!((found - z).abs() < 1e-9, "{probability}: {found} {z}");
        }
    }
}
