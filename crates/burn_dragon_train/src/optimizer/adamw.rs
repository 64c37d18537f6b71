//! AdamW (Loshchilov and Hutter, 2019). The equation is in the kernel ([`burn_dragon_kernel::api::adamw`]).
//!
//! It is our own and not Burn's for two reasons: the moments are kept and saved under parameter names, which do not
//! depend on the program's structure; and learning rate and decay differ by group.

use super::{Optimizer, Parameter, Rates, ScaledGradient, Slots, StepAt, exactly, within};
use crate::error::TrainError;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Range;
use burn_dragon_kernel::api::{AdamWStep, Moments, adamw};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `method = "adamw"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate before the schedule's factor.
    pub learning_rate: f64,
    /// Decay rate of the first moment.
    pub beta_1: f64,
    /// Decay rate of the second moment.
    pub beta_2: f64,
    /// Epsilon, added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay of matrices. Vectors have none unless a group sets it, since zero is no natural value for
    /// them.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            eps: 1e-8,
            weight_decay: 0.1,
        }
    }
}

impl AdamW {
    /// Names of the two moments.
    pub(super) const SLOTS: &'static [&'static str] = &["first", "second"];

    /// Refuses numbers that vanish in f32. `table` is the prefix of each key.
    pub(super) fn validate(&self, table: &str) -> Result<(), TrainError> {
        let within = |key: &str, value, range| within(&format!("{table}{key}"), value, range);
        within("learning_rate", self.learning_rate, Range::POSITIVE)?;
        within("beta_1", self.beta_1, Range::BELOW_ONE)?;
        within("beta_2", self.beta_2, Range::BELOW_ONE)?;
        // With a smaller value, a gradient whose square vanishes would be divided by less than itself.
        within("eps", self.eps, Range::SQUARED)?;
        within("weight_decay", self.weight_decay, Range::FROM_ZERO)
    }

    /// Rates before the schedule's factor.
    pub(super) fn usual(&self) -> Rates {
        Rates {
            learning: self.learning_rate,
            decay: self.weight_decay,
        }
    }
}

impl Optimizer for AdamW {
    fn rates(&self, _: Parameter<'_>) -> Rates {
        self.usual()
    }

    fn slots(&self, _: Parameter<'_>) -> &'static [&'static str] {
        Self::SLOTS
    }

    fn step(
        &self,
        _: Parameter<'_>,
        value: Tensor<1>,
        gradient: ScaledGradient,
        state: Slots,
        at: StepAt,
    ) -> (Tensor<1>, Slots) {
        let Rates { learning, decay } = at.rates;
        let step = AdamWStep {
            count: at.count,
            rate: learning,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            eps: self.eps,
            decay,
            scale: gradient.scale,
        };
        let [first, second] = exactly(state);
        let (value, moments) = adamw(value, gradient.sum, Moments { first, second }, &step);
        (value, vec![moments.first, moments.second])
    }
}
