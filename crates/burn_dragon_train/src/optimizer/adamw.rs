//! AdamW (Loshchilov and Hutter, 2019); the equation is the kernel's ([`burn_dragon_kernel::api::adamw`]).
//!
//! Ours rather than Burn's because the moments are kept and saved under parameter names, which survive a change of
//! the program, and because learning rate and decay differ by group.

use super::{Optimizer, Parameter, Rates, ScaledGradient, Slots, StepAt, exactly, within};
use crate::error::TrainError;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Range;
use burn_dragon_kernel::api::{AdamWStep, Moments, adamw};
use serde::{Deserialize, Serialize};

/// `method = "adamw"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Step size before the schedule's factor.
    pub learning_rate: f64,
    /// Memory of the first moment.
    pub beta_1: f64,
    /// Memory of the second moment.
    pub beta_2: f64,
    /// What is added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay of matrices; vectors, for which zero means nothing special, have none unless a group
    /// says so.
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

    /// Refuses numbers that vanish in f32; `table` stands before each key.
    pub(super) fn validate(&self, table: &str) -> Result<(), TrainError> {
        let within = |key: &str, value, range| within(&format!("{table}{key}"), value, range);
        within("learning_rate", self.learning_rate, Range::POSITIVE)?;
        within("beta_1", self.beta_1, Range::BELOW_ONE)?;
        within("beta_2", self.beta_2, Range::BELOW_ONE)?;
        // Below, a gradient whose square vanishes would be divided by less than itself.
        within("eps", self.eps, Range::SQUARED)?;
        within("weight_decay", self.weight_decay, Range::FROM_ZERO)
    }

    /// The rates before the schedule.
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
