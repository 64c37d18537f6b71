//! Fan-out of the levels: how many neurons of each head a level has.
//!
//! A level with fewer neurons has the first of each head, of all three matrices, so that every level's neurons are those of the
//! later levels too. Its memory keeps the shape of the others'; the rows of the neurons that it lacks stay as they are.

use crate::config::ConfigError;
use crate::level::{Contribution, Level, View};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{DropoutMask, LevelWeights, Rotation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Number of neurons by level, `[model.fanout]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fanout {
    /// From `least` neurons at the first level to all at the last, by equal factors.
    Geometric {
        /// Number of neurons of the first level in all heads together, `2 n_heads` to `n_neurons`.
        least: usize,
    },
    /// All neurons in the last levels, and fewer in those before.
    Late {
        /// Number of neurons of the earlier levels in all heads together, `2 n_heads` to `n_neurons`.
        base: usize,
        /// Number of levels with all neurons, 1 to `n_levels`.
        #[serde(default = "one")]
        last_levels: usize,
    },
}

fn one() -> usize {
    1
}

impl Fanout {
    /// Number of neurons of a head at a level of so many, for heads of `neurons` neurons: even, at least 2. Levels beyond the
    /// last have as many as the last.
    pub fn neurons_per_head(&self, level: usize, levels: usize, heads: usize, neurons: usize) -> usize {
        let level = level.min(levels - 1);
        let wanted = match *self {
            Self::Geometric { least } => {
                let (least, all) = (least as f64 / heads as f64, neurons as f64);
                let way = match levels {
                    1 => 1.0,
                    levels => level as f64 / (levels - 1) as f64,
                };
                least * (all / least).powf(way)
            }
            Self::Late { last_levels, .. } if level + last_levels >= levels => neurons as f64,
            Self::Late { base, .. } => base as f64 / heads as f64,
        };
        (2 * (wanted / 2.0).round() as usize).clamp(2, neurons)
    }

    /// Checks the keys for a trunk of so many levels, heads and neurons in all heads together.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub(crate) fn validate(&self, levels: usize, heads: usize, neurons: usize) -> Result<(), ConfigError> {
        let within = |name, value: usize, [least, most]: [usize; 2], expected| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::Range {
                name,
                value: value as f64,
                expected,
            })
        };
        let few = [2 * heads, neurons];
        let words = "a whole number from 2 model.n_heads to model.n_neurons";
        match *self {
            Self::Geometric { least } => within("fanout.least", least, few, words),
            Self::Late { base, last_levels } => {
                within("fanout.base", base, few, words)?;
                let words = "a whole number from 1 to model.n_levels";
                within("fanout.last_levels", last_levels, [1, levels], words)
            }
        }
    }
}

impl Level {
    /// Output of the level with the first `neurons` of each head alone; the shapes are those of [`run`](Level::run).
    pub(crate) fn run_of_first(
        &self,
        neurons: usize,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
        dropout: Option<DropoutMask>,
        view: View,
    ) -> Contribution {
        let all = self.weights.decoder_x().dims()[2];
        if neurons == all {
            return self.run(v, rho, dropout, view);
        }
        let (first, rest) = match rho {
            None => (None, None),
            Some(rho) => {
                let rows = rho.dims()[2];
                let keys = rows * neurons / all;
                let rest = rho.clone().narrow(2, keys, rows - keys);
                (Some(rho.narrow(2, 0, keys)), Some(rest))
            }
        };
        let contribution = self.of_first(neurons).run(v, first, dropout, view);
        let whole = contribution.rho.into_iter().chain(rest).collect::<Vec<_>>();
        Contribution {
            rho: (!whole.is_empty()).then(|| Tensor::cat(whole, 2)),
            ..contribution
        }
    }

    /// The level with the first `neurons` of each head alone.
    fn of_first(&self, neurons: usize) -> Self {
        let [heads, width, all] = self.weights.decoder_x().dims();
        let first = |matrix: &Tensor<3>| matrix.clone().narrow(2, 0, neurons);
        let rows = self.weights.encoder().clone().reshape([heads, all, width]);
        let encoder = rows.narrow(1, 0, neurons).reshape([heads * neurons, width]);
        let turned = |table: &Tensor<4>| {
            let pairs = table.dims()[3];
            table.clone().narrow(3, 0, pairs * neurons / all)
        };
        Self {
            weights: LevelWeights::new(
                first(self.weights.decoder_x()),
                first(self.weights.decoder_y()),
                encoder,
            ),
            rotation: Rotation {
                cos: turned(&self.rotation.cos),
                sin: turned(&self.rotation.sin),
            },
            keys: self.keys.of_first(neurons),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_even_numbers_of_neurons_that_grow_to_all() {
        let of = |fanout: &Fanout, levels: usize| -> Vec<usize> {
            (0..=levels)
                .map(|level| fanout.neurons_per_head(level, levels, 4, 256))
                .collect()
        };
        let geometric = Fanout::Geometric { least: 64 };
        assert_eq!(of(&geometric, 5), [16, 32, 64, 128, 256, 256]);
        assert_eq!(of(&geometric, 4), [16, 40, 102, 256, 256]);
        assert_eq!(of(&geometric, 1), [256, 256]);
        let late = Fanout::Late {
            base: 256,
            last_levels: 2,
        };
        assert_eq!(of(&late, 4), [64, 64, 256, 256, 256]);
    }

    #[test]
    fn what_a_trunk_cannot_have_is_refused() {
        for (fanout, key) in [
            (Fanout::Geometric { least: 7 }, "model.fanout.least = 7"),
            (Fanout::Geometric { least: 1025 }, "model.fanout.least = 1025"),
            (
                Fanout::Late {
                    base: 8,
                    last_levels: 0,
                },
                "model.fanout.last_levels = 0",
            ),
        ] {
            let error = fanout.validate(4, 4, 1024).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        assert!(Fanout::Geometric { least: 8 }.validate(4, 4, 1024).is_ok());
    }
}
