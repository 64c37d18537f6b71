//! Schedule-free AdamW (Defazio et al., 2024): an average of the weights instead of a decaying learning rate.
//!
//! ```text
//! y = x + (1 - beta_1) (z - x)            where gradients are taken: the weights of the model in training
//! v = beta_2 v + (1 - beta_2) g^2
//! z = z - rate (g / (sqrt(v / (1 - beta_2^t)) + eps) + decay y)
//! x = x + c (z - x)                       what is evaluated and saved; c = s_t / (s_1 + ... + s_t)
//! s_t = t^power (largest factor of the schedule so far)^2
//! ```
//!
//! A schedule should warm up and then stay: `type = "constant"` with `warmup_steps`.

use super::{Optimizer, Parameter, Rates, Scalars, ScaledGradient, Slots, StepAt, exactly, within};
use crate::error::TrainError;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `method = "schedule_free_adamw"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleFreeAdamW {
    /// Learning rate before the schedule's factor: 1 to 10 times that of AdamW.
    pub learning_rate: f64,
    /// Share of the average in the point at which gradients are taken; 0.95 to 0.98 for long runs.
    pub beta_1: f64,
    /// Decay rate of the second moment.
    pub beta_2: f64,
    /// Epsilon, added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay of matrices, at the point at which gradients are taken.
    pub weight_decay: f64,
    /// Exponent of the step number in the weight of the average; 0 for the plain mean.
    pub power: f64,
}

impl Default for ScheduleFreeAdamW {
    fn default() -> Self {
        Self {
            learning_rate: 2.5e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            eps: 1e-8,
            weight_decay: 0.1,
            power: 0.0,
        }
    }
}

/// Range of exponents whose weights f64 can sum over any run.
const POWERS: Range = Range {
    most: 16.0,
    words: "0, or a number up to 16",
    ..Range::FROM_ZERO
};

impl ScheduleFreeAdamW {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        within("learning_rate", self.learning_rate, Range::POSITIVE)?;
        within("beta_1", self.beta_1, Range::BELOW_ONE)?;
        within("beta_2", self.beta_2, Range::BELOW_ONE)?;
        within("eps", self.eps, Range::SQUARED)?;
        within("weight_decay", self.weight_decay, Range::FROM_ZERO)?;
        within("power", self.power, POWERS)
    }
}

/// Optimiser, with the weights of its average so far.
#[derive(Clone, Debug)]
pub(super) struct Running {
    config: ScheduleFreeAdamW,
    /// Largest factor of the schedule so far.
    largest: f64,
    /// Sum of the weights of all steps so far.
    sum: f64,
    /// Share of the point of this step in the average.
    share: f64,
}

impl Running {
    pub(super) fn new(config: ScheduleFreeAdamW) -> Self {
        Self {
            config,
            largest: 0.0,
            sum: 0.0,
            share: 0.0,
        }
    }

    /// Point at which gradients are taken.
    fn between(&self, average: Tensor<1>, base: Tensor<1>) -> Tensor<1> {
        average.clone() + (base - average) * (1.0 - self.config.beta_1)
    }
}

impl Optimizer for Running {
    fn rates(&self, _: Parameter<'_>) -> Rates {
        Rates {
            learning: self.config.learning_rate,
            decay: self.config.weight_decay,
        }
    }

    fn slots(&self, _: Parameter<'_>) -> &'static [&'static str] {
        &["average", "base", "second"]
    }

    fn initial(&self, _: Parameter<'_>, value: &Tensor<1>) -> Slots {
        vec![value.clone(), value.clone(), value.zeros_like()]
    }

    fn advance(&mut self, count: i32, factor: f64) {
        self.largest = self.largest.max(factor);
        let weight = f64::from(count).powf(self.config.power) * self.largest.powi(2);
        self.sum += weight;
        self.share = weight / self.sum;
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
        let ([average, base, second], gradient) = (exactly(state), gradient.value());
        let beta_2 = self.config.beta_2;
        let second = second * beta_2 + gradient.clone().square() * (1.0 - beta_2);
        let unbias = 1.0 / (1.0 - beta_2.powi(at.count));
        let root = (second.clone() * unbias).sqrt() + self.config.eps;
        let base = base - (gradient / root + value * decay) * learning;
        let average = average.clone() + (base.clone() - average) * self.share;
        let value = self.between(average.clone(), base.clone());
        (value, vec![average, base, second])
    }

    fn averages(&self) -> bool {
        true
    }

    fn evaluated(&self, state: &[Tensor<1>]) -> Option<Tensor<1>> {
        state.first().cloned()
    }

    fn trained(&self, state: &[Tensor<1>]) -> Option<Tensor<1>> {
        let [average, base, _] = state else {
            return None;
        };
        Some(self.between(average.clone(), base.clone()))
    }

    fn scalars(&self) -> Scalars {
        [("largest".into(), self.largest), ("sum".into(), self.sum)].into()
    }

    fn recall(&mut self, scalars: &Scalars) -> Option<()> {
        let sound = |name: &str| {
            scalars
                .get(name)
                .copied()
                .filter(|value| *value >= 0.0 && value.is_finite())
        };
        let (largest, sum) = (sound("largest")?, sound("sum")?);
        (self.largest, self.sum) = (largest, sum);
        Some(())
    }
}
