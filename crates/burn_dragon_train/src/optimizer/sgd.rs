//! Stochastic gradient descent, with momentum (Polyak, 1964) and Nesterov's look-ahead (as in Sutskever et al., 2013).
//!
//! ```text
//! b = momentum b + g                      b = g before any
//! d = b                                   d = g + momentum b, with nesterov
//! w = w (1 - rate decay) - rate d
//! ```
//!
//! Decay is decoupled, as in the other methods: it does not enter the momentum.

use super::{Optimizer, Parameter, Rates, ScaledGradient, Slots, StepAt, within};
use crate::error::TrainError;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `method = "sgd"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate before the schedule's factor.
    pub learning_rate: f64,
    /// Decay rate of the momentum; 0 for no momentum.
    pub momentum: f64,
    /// Whether to use Nesterov's look-ahead along the momentum.
    pub nesterov: bool,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self {
            learning_rate: 0.1,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
        }
    }
}

impl Sgd {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        within("learning_rate", self.learning_rate, Range::POSITIVE)?;
        within("momentum", self.momentum, Range::BELOW_ONE)?;
        within("weight_decay", self.weight_decay, Range::FROM_ZERO)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(TrainError::Setting {
                key: "optimizer.nesterov".into(),
                given: "true".into(),
                expected: "false, since optimizer.momentum is 0 and Nesterov's look-ahead needs momentum",
            });
        }
        Ok(())
    }
}

impl Optimizer for Sgd {
    fn rates(&self, _: Parameter<'_>) -> Rates {
        Rates {
            learning: self.learning_rate,
            decay: self.weight_decay,
        }
    }

    fn slots(&self, _: Parameter<'_>) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum"] }
    }

    fn step(
        &self,
        _: Parameter<'_>,
        value: Tensor<1>,
        gradient: ScaledGradient,
        mut state: Slots,
        at: StepAt,
    ) -> (Tensor<1>, Slots) {
        let Rates { learning, decay } = at.rates;
        let gradient = gradient.value();
        let kept = value * (1.0 - learning * decay);
        let Some(buffer) = state.pop() else {
            return (kept - gradient * learning, state);
        };
        let buffer = buffer * self.momentum + gradient.clone();
        let direction = match self.nesterov {
            true => gradient + buffer.clone() * self.momentum,
            false => buffer.clone(),
        };
        (kept - direction * learning, vec![buffer])
    }
}
