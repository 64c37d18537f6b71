//! Lion (Chen et al., 2023): the sign of an interpolated momentum.
//!
//! ```text
//! w = w (1 - rate decay) - rate sign(beta_1 m + (1 - beta_1) g)
//! m = beta_2 m + (1 - beta_2) g
//! ```
//!
//! Every entry moves by the learning rate, whatever the size of its gradient. An entry with momentum 0 and gradient 0
//! only decays.

use super::{Optimizer, Parameter, Rates, ScaledGradient, Slots, StepAt, exactly, within};
use crate::error::TrainError;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `method = "lion"`. Usual are a third to a tenth of AdamW's learning rate, and three to ten times its
/// decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// Learning rate before the schedule's factor.
    pub learning_rate: f64,
    /// Share of the momentum in the direction of a step.
    pub beta_1: f64,
    /// Decay rate of the momentum.
    pub beta_2: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            beta_1: 0.9,
            beta_2: 0.99,
            weight_decay: 1.0,
        }
    }
}

impl Lion {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        within("learning_rate", self.learning_rate, Range::POSITIVE)?;
        within("beta_1", self.beta_1, Range::BELOW_ONE)?;
        within("beta_2", self.beta_2, Range::BELOW_ONE)?;
        within("weight_decay", self.weight_decay, Range::FROM_ZERO)
    }
}

impl Optimizer for Lion {
    fn rates(&self, _: Parameter<'_>) -> Rates {
        Rates {
            learning: self.learning_rate,
            decay: self.weight_decay,
        }
    }

    fn slots(&self, _: Parameter<'_>) -> &'static [&'static str] {
        &["momentum"]
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
        let ([momentum], gradient) = (exactly(state), gradient.value());
        let mixed = momentum.clone() * self.beta_1 + gradient.clone() * (1.0 - self.beta_1);
        let value = value * (1.0 - learning * decay) - mixed.sign() * learning;
        let momentum = momentum * self.beta_2 + gradient * (1.0 - self.beta_2);
        (value, vec![momentum])
    }
}
