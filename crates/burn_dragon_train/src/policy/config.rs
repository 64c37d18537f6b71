//! Table `[policy]`: how a policy learns from rewards.

use super::advantages::{AdvantageMethod, Condition, Estimator, Term};
use crate::error::TrainError;
use crate::settings::{at_least_one, check};
use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upper limit of the number of rollouts in a group.
const MOST_ROLLOUTS: usize = 1 << 16;

/// Table `[policy]`: how a policy learns from the rewards of several rollouts of the same input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Number of rollouts of an input in training: the group in which rewards are compared, 1 to 65536. From a group of one
    /// nothing is learnt.
    pub rollouts: usize,
    /// Number of inputs of a batch with rollouts: its first ones. If absent, all have rollouts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<usize>,
    /// Method that turns rewards into advantages.
    pub method: AdvantageMethod,
    /// Rewards that count. If absent, all rewards of the family, as it weighs them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub rewards: Vec<RewardConfig>,
    /// Constant that is added to the deviations by which advantages are divided, 1.1e-19 to 1.8e19.
    pub eps: f64,
    /// Minimum of the deviation of a reward in a group. A group whose rewards are nearly the same is then not blown up beside the
    /// others. With 0 there is no minimum.
    pub min_deviation: f64,
    /// Limit on the size of an advantage. If absent, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advantage_clip: Option<f64>,
    /// Clipping of the ratio of probabilities: from 1 - c to 1 + c. Above 0, up to 1.
    pub ratio_clip: f64,
    /// Weight of the policy's loss beside the others.
    pub weight: f64,
    /// Weight of the entropy of the choices, which is added to the aim. With 0 it is not.
    pub entropy_weight: f64,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            rollouts: 4,
            inputs: None,
            method: AdvantageMethod::Gdpo,
            rewards: Vec::new(),
            eps: 1e-4,
            min_deviation: 0.0,
            advantage_clip: None,
            ratio_clip: 0.2,
            weight: 1.0,
            entropy_weight: 0.0,
        }
    }
}

/// Table `[[policy.rewards]]`: a reward that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardConfig {
    /// Name of the reward.
    pub name: String,
    /// Weight of the reward, or of its advantage with `method = "gdpo"`.
    #[serde(default = "one")]
    #[schemars(extend("default" = 1.0))]
    pub weight: f64,
    /// Condition on another reward. If it does not hold, the reward counts as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
}

/// Table `[policy.rewards.when]`: condition on another reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Name of the other reward. It need not count itself.
    pub reward: String,
    /// Smallest value of the other reward with which the condition holds.
    pub at_least: f64,
}

fn one() -> f64 {
    1.0
}

impl RewardConfig {
    /// A reward with a weight, and no condition.
    pub fn weighted(name: &str, weight: f64) -> Self {
        Self {
            name: name.into(),
            weight,
            when: None,
        }
    }

    /// The same reward, given that another one is at least so large.
    #[must_use]
    pub fn when(mut self, reward: &str, at_least: f64) -> Self {
        self.when = Some(When {
            reward: reward.into(),
            at_least,
        });
        self
    }
}

impl PolicyConfig {
    /// Checks the values. `names` are the rewards of the family.
    ///
    /// # Errors
    /// If a value is out of range, or a reward is unknown or named twice; with the key, the value, and what may stand there.
    pub fn validate(&self, names: &[&str]) -> Result<(), TrainError> {
        at_least_one("policy.rollouts", self.rollouts as u64)?;
        at_least_one("policy.inputs", self.inputs.unwrap_or(1) as u64)?;
        if self.rollouts > MOST_ROLLOUTS {
            return Err(TrainError::Setting {
                key: "policy.rollouts".into(),
                given: self.rollouts.to_string(),
                expected: "a number from 1 to 65536",
            });
        }
        for (key, value, range) in [
            ("eps", self.eps, Range::SQUARED),
            ("min_deviation", self.min_deviation, Range::FROM_ZERO),
            (
                "advantage_clip",
                self.advantage_clip.unwrap_or(1.0),
                Range::POSITIVE,
            ),
            ("ratio_clip", self.ratio_clip, Range::SHARE),
            ("weight", self.weight, Range::FROM_ZERO),
            ("entropy_weight", self.entropy_weight, Range::FROM_ZERO),
        ] {
            check(format!("policy.{key}"), value, range)?;
        }
        self.terms(names).map(|_| ())
    }

    /// Estimator of advantages for rewards in the order of `names`.
    ///
    /// # Errors
    /// As for [`validate`](Self::validate).
    pub fn estimator(&self, names: &[&str]) -> Result<Estimator, TrainError> {
        self.validate(names)?;
        Ok(Estimator {
            method: self.method,
            terms: self.terms(names)?,
            eps: self.eps,
            min_deviation: self.min_deviation,
            clip: self.advantage_clip,
        })
    }

    /// Terms of the rewards in the order of `names`.
    fn terms(&self, names: &[&str]) -> Result<Vec<Option<Term>>, TrainError> {
        let mut terms = vec![None; names.len()];
        for (index, reward) in self.rewards.iter().enumerate() {
            let key = |key: &str| format!("policy.rewards[{index}].{key}");
            let place = place(&key("name"), &reward.name, names)?;
            if terms[place].is_some() {
                let name = &reward.name;
                return Err(TrainError::Usage(format!(
                    "{} = \"{name}\" is named before; expected each reward once",
                    key("name")
                )));
            }
            check(key("weight"), reward.weight, Range::FROM_ZERO)?;
            let when = reward.when.as_ref();
            let condition = when.map(|when| condition(when, &key("when"), &reward.name, names));
            terms[place] = Some(Term {
                weight: reward.weight,
                condition: condition.transpose()?,
            });
        }
        Ok(terms)
    }
}

/// Condition on the reward of a name.
fn condition(when: &When, key: &str, own: &str, names: &[&str]) -> Result<Condition, TrainError> {
    if when.reward == own {
        return Err(TrainError::Usage(format!(
            "{key}.reward = \"{own}\" is the reward itself; expected another one"
        )));
    }
    if !when.at_least.is_finite() {
        return Err(TrainError::Setting {
            key: format!("{key}.at_least"),
            given: format!("{:?}", when.at_least),
            expected: "a finite number",
        });
    }
    Ok(Condition {
        reward: place(&format!("{key}.reward"), &when.reward, names)?,
        at_least: when.at_least,
    })
}

/// Place of a reward among those of the family.
fn place(key: &str, name: &str, names: &[&str]) -> Result<usize, TrainError> {
    names.iter().position(|known| *known == name).ok_or_else(|| {
        TrainError::Usage(format!(
            "{key} = \"{name}\" is no reward of the family; expected one of {}",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["valid", "solved", "few_steps"];

    fn of(text: &str) -> PolicyConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn rewards_become_terms_in_the_order_of_the_family() {
        let config = of(
            "rewards = [{ name = 'few_steps', weight = 0.5, when = { reward = 'solved', at_least = 1.0 } }, \
             { name = 'valid' }]",
        );
        let estimator = config.estimator(&NAMES).unwrap();
        let condition = Condition {
            reward: 1,
            at_least: 1.0,
        };
        let few_steps = Term {
            weight: 0.5,
            condition: Some(condition),
        };
        assert_eq!(
            estimator.terms,
            [Some(Term::weighted(1.0)), None, Some(few_steps)]
        );
        assert_eq!(
            (estimator.method, estimator.eps, estimator.clip),
            (AdvantageMethod::Gdpo, 1e-4, None)
        );
        let built = RewardConfig::weighted("few_steps", 0.5).when("solved", 1.0);
        assert_eq!(config.rewards[0], built);
        assert_eq!(of(&toml::to_string(&config).unwrap()), config);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        for (text, key, expected) in [
            ("rollouts = 0", "policy.rollouts = 0", "at least 1"),
            ("rollouts = 65537", "policy.rollouts = 65537", "65536"),
            ("inputs = 0", "policy.inputs = 0", "at least 1"),
            ("eps = 0.0", "policy.eps", "1.1e-19"),
            ("min_deviation = -1.0", "policy.min_deviation", "0, or"),
            ("advantage_clip = 0.0", "policy.advantage_clip", "1.2e-38"),
            ("ratio_clip = 1.5", "policy.ratio_clip = 1.5", "to 1"),
            ("weight = nan", "policy.weight = NaN", "0, or"),
            ("entropy_weight = inf", "policy.entropy_weight = inf", "0, or"),
            (
                "rewards = [{ name = 'sovled' }]",
                "policy.rewards[0].name = \"sovled\"",
                "valid, solved, few_steps",
            ),
            (
                "rewards = [{ name = 'valid' }, { name = 'valid' }]",
                "policy.rewards[1].name",
                "each reward once",
            ),
            (
                "rewards = [{ name = 'valid', weight = -1.0 }]",
                "policy.rewards[0].weight",
                "0, or",
            ),
            (
                "rewards = [{ name = 'valid', when = { reward = 'valid', at_least = 1.0 } }]",
                "policy.rewards[0].when.reward = \"valid\"",
                "another one",
            ),
            (
                "rewards = [{ name = 'valid', when = { reward = 'x', at_least = 1.0 } }]",
                "policy.rewards[0].when.reward = \"x\"",
                "valid, solved",
            ),
            (
                "rewards = [{ name = 'valid', when = { reward = 'solved', at_least = inf } }]",
                "policy.rewards[0].when.at_least",
                "finite",
            ),
        ] {
            let error = of(text).validate(&NAMES).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(expected), "{text}: {error}");
        }
        of("").validate(&NAMES).unwrap();
        let error = toml::from_str::<PolicyConfig>("method = 'ppo'").unwrap_err();
        assert!(error.to_string().contains("gdpo"), "{error}");
    }
}
