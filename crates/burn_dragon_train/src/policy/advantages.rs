//! Advantages of rollouts from their rewards, in f64.

use super::error::PolicyError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest size of a reward: about the largest number in f32.
const MOST: f64 = 3.4e38;

/// Method that turns rewards into advantages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdvantageMethod {
    /// The weighted sum of the rewards, normalised in its group.
    Grpo,
    /// Each reward normalised in its group, their weighted sum normalised over the batch.
    #[default]
    Gdpo,
}

/// Rewards of all rollouts of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewards {
    groups: usize,
    rollouts: usize,
    kinds: usize,
    values: Vec<f64>,
}

impl Rewards {
    /// Rewards in the order `[groups, rollouts, kinds]`: rollout `r` of group `g` has `values[(g * rollouts + r) * kinds ..]`.
    ///
    /// # Errors
    /// If the number of values is another, or one of them is not finite in f32.
    pub fn new([groups, rollouts, kinds]: [usize; 3], values: Vec<f64>) -> Result<Self, PolicyError> {
        let expected = groups.saturating_mul(rollouts).saturating_mul(kinds);
        if values.len() != expected {
            return Err(PolicyError::Shape {
                groups,
                rollouts,
                kinds,
                expected,
                given: values.len(),
            });
        }
        let is_no_number = |value: &f64| value.is_nan() || value.abs() > MOST;
        if let Some(place) = values.iter().position(is_no_number) {
            return Err(PolicyError::NotFinite {
                kind: place % kinds,
                rollout: place / kinds % rollouts,
                group: place / kinds / rollouts,
                value: values[place],
            });
        }
        Ok(Self {
            groups,
            rollouts,
            kinds,
            values,
        })
    }

    /// Number of rewards of a rollout.
    pub fn kinds(&self) -> usize {
        self.kinds
    }

    /// Means over all rollouts, one for each kind of reward; 0 without rollouts.
    pub fn means(&self) -> Vec<f64> {
        let rollouts = self.groups * self.rollouts;
        let of_kind = |kind: usize| self.of(kind).sum::<f64>() / rollouts.max(1) as f64;
        (0..self.kinds).map(of_kind).collect()
    }

    /// Rewards of a kind, of all rollouts.
    fn of(&self, kind: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(kind).step_by(self.kinds.max(1)).copied()
    }

    /// Rewards of a kind under a condition: 0 where the other reward is too small.
    fn under(&self, kind: usize, condition: Option<Condition>) -> Vec<f64> {
        let Some(Condition { reward, at_least }) = condition else {
            return self.of(kind).collect();
        };
        let pairs = self.of(kind).zip(self.of(reward));
        pairs
            .map(|(value, other)| if other >= at_least { value } else { 0.0 })
            .collect()
    }
}

/// Condition of a reward: it counts as 0 where another reward is below a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// Place of the other reward, from 0. Its value before any condition counts.
    pub reward: usize,
    /// Threshold: the smallest value with which the condition holds.
    pub at_least: f64,
}

/// Term of an advantage: the use of a reward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Weight of the reward, or of its advantage in GDPO.
    pub weight: f64,
    /// Condition under which the reward counts.
    pub condition: Option<Condition>,
}

impl Term {
    /// A term without a condition.
    pub fn weighted(weight: f64) -> Self {
        Self {
            weight,
            condition: None,
        }
    }
}

/// Estimator of advantages.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimator {
    /// Method.
    pub method: AdvantageMethod,
    /// Term of each reward; `None` for a reward that does not count.
    pub terms: Vec<Option<Term>>,
    /// Constant that is added to every deviation, above 0.
    pub eps: f64,
    /// Minimum of the deviation of a group; 0 for none.
    pub min_deviation: f64,
    /// Limit on the size of an advantage.
    pub clip: Option<f64>,
}

impl Estimator {
    /// An estimator with an eps of 1e-4, no minimum of the deviation, and no limit.
    pub fn new(method: AdvantageMethod, terms: Vec<Term>) -> Self {
        Self {
            method,
            terms: terms.into_iter().map(Some).collect(),
            eps: 1e-4,
            min_deviation: 0.0,
            clip: None,
        }
    }

    /// Advantages of all rollouts, in the order of the rewards, `[groups * rollouts]`.
    ///
    /// A group in which every reward that counts is the same for all rollouts has advantages of exactly 0; so has a group of one.
    ///
    /// # Errors
    /// If there are not as many terms as rewards, or a condition names a reward that there is not.
    pub fn advantages(&self, rewards: &Rewards) -> Result<Vec<f64>, PolicyError> {
        let named = self.terms.iter().flatten().filter_map(|term| term.condition);
        let least = named.map(|condition| condition.reward + 1).max().unwrap_or(0);
        if self.terms.len() != rewards.kinds || least > rewards.kinds {
            return Err(PolicyError::Kinds {
                expected: self.terms.len().max(least),
                given: rewards.kinds,
            });
        }
        let mut advantages = match self.method {
            AdvantageMethod::Grpo => self.in_groups(&self.weighted_rewards(rewards), rewards.rollouts),
            AdvantageMethod::Gdpo => {
                let sums = self.weighted_advantages(rewards);
                self.in_batch(&sums, rewards.rollouts)
            }
        };
        if let Some(most) = self.clip {
            advantages
                .iter_mut()
                .for_each(|advantage| *advantage = advantage.clamp(-most, most));
        }
        Ok(advantages)
    }

    /// Weighted sums of rewards.
    fn weighted_rewards(&self, rewards: &Rewards) -> Vec<f64> {
        self.sum(rewards, |values| values)
    }

    /// Weighted sums of the advantages of each reward: GDPO before the normalisation over the batch.
    pub(super) fn weighted_advantages(&self, rewards: &Rewards) -> Vec<f64> {
        self.sum(rewards, |values| self.in_groups(&values, rewards.rollouts))
    }

    /// Weighted sum over the rewards that count, each taken through `each`.
    fn sum(&self, rewards: &Rewards, each: impl Fn(Vec<f64>) -> Vec<f64>) -> Vec<f64> {
        let mut sums = vec![0.0; rewards.groups * rewards.rollouts];
        for (kind, term) in self.terms.iter().enumerate() {
            let Some(Term { weight, condition }) = *term else {
                continue;
            };
            let values = each(rewards.under(kind, condition));
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += weight * value);
        }
        sums
    }

    /// Values normalised in their groups.
    fn in_groups(&self, values: &[f64], rollouts: usize) -> Vec<f64> {
        let groups = values.chunks(rollouts.max(1));
        groups
            .flat_map(|group| normalised(group, self.eps, self.min_deviation))
            .collect()
    }

    /// Sums normalised over the batch. In exact arithmetic their mean is 0, since that of each group is. So a group of zeros stays
    /// one: rounding of the mean is no advantage.
    fn in_batch(&self, sums: &[f64], rollouts: usize) -> Vec<f64> {
        let normalised = normalised(sums, self.eps, 0.0);
        let groups = sums
            .chunks(rollouts.max(1))
            .zip(normalised.chunks(rollouts.max(1)));
        groups
            .flat_map(|(sums, advantages)| {
                let says_nothing = sums.iter().all(|sum| *sum == 0.0);
                let advantage = move |advantage: &f64| if says_nothing { 0.0 } else { *advantage };
                advantages.iter().map(advantage)
            })
            .collect()
    }
}

/// Values minus their mean, over their deviation, which divides by n - 1. Zeros if all values are the same.
fn normalised(values: &[f64], eps: f64, min_deviation: f64) -> Vec<f64> {
    // The mean of equal values may differ from them by a rounding.
    if values.iter().all(|value| *value == values[0]) {
        return vec![0.0; values.len()];
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = (squares / (values.len() - 1) as f64).sqrt();
    let scale = deviation.max(min_deviation) + eps;
    values.iter().map(|value| (value - mean) / scale).collect()
}

#[cfg(test)]
#[path = "advantages_tests.rs"]
mod tests;
