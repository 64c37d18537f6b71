//! Optimisers: updates of parameters from gradients.
//!
//! An [`Optimizer`] is one method, in a file of its own:
//!
//! | `method` | file | state of a parameter |
//! |---|---|---|
//! | `adamw` | `adamw.rs` | first and second moment |
//! | `muon` | `muon.rs` | momentum of matrices; the moments of AdamW for everything else |
//! | `schedule_free_adamw` | `schedule_free.rs` | average, base point, second moment |
//! | `lion` | `lion.rs` | momentum |
//! | `sgd` | `sgd.rs` | momentum, where there is any |
//!
//! [`ModelOptimizer`] applies a method to a model. It holds the state of every parameter under the name of the
//! parameter, applies the groups, and is saved and restored. [`Ema`] averages the weights of any method.
//!
//! A new method is a file with its keys and its [`Optimizer`], a variant of [`Method`], and an arm in its `build`.

mod adamw;
mod config;
pub(crate) mod ema;
pub(crate) mod file;
mod frozen;
mod groups;
mod lion;
mod model;
mod muon;
pub(crate) mod names;
mod schedule_free;
mod sgd;
#[cfg(test)]
mod tests;
mod values;

pub use adamw::AdamW;
pub use config::{Method, OptimizerConfig};
pub use ema::EmaConfig;
pub(crate) use ema::{Ema, FILE as WEIGHTS, read as read_weights};
pub(crate) use file::FILE;
pub use frozen::Frozen;
pub use groups::ParameterGroup;
pub use lion::Lion;
pub use model::ModelOptimizer;
pub use muon::{Muon, MuonScale};
pub use schedule_free::ScheduleFreeAdamW;
pub use sgd::Sgd;

use crate::error::TrainError;
use crate::gradients::ScaledGradient;
use crate::settings::check;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Range;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Parameter, as a method sees it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter<'a> {
    /// Dotted name of the parameter.
    pub name: &'a str,
    /// Shape of the parameter. Values, gradients and states are flattened.
    pub shape: &'a [usize],
}

/// Tensors of several axes that have a vector for each level, head or channel, and are no linear maps.
const TABLES: [&str; 8] = [
    "phase",
    "connector.bias",
    "connector.scale",
    "mixer.log_rates",
    "mixer.decay_logits",
    "mixer.conv",
    "mixer.b_bias",
    "mixer.c_bias",
];

impl Parameter<'_> {
    /// Whether it is a linear map, which decays by default and can be orthogonalised; embeddings count as one.
    pub(crate) fn is_map(&self) -> bool {
        self.shape.len() > 1 && !TABLES.contains(&self.name)
    }
}

/// Rates of a parameter in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate.
    pub learning: f64,
    /// Decoupled weight decay: a step multiplies the value by `1 - learning * decay`.
    pub decay: f64,
}

/// State of a parameter: tensors `[P]`, in the order of its [`slots`](Optimizer::slots).
pub type Slots = Vec<Tensor<1>>;

/// Numbers by name that a method keeps beside the states of parameters.
pub type Scalars = BTreeMap<String, f64>;

/// Method of updating parameters from gradients.
///
/// All tensors are flat, f32 and without autodiff. A step of a parameter depends only on that parameter and on the
/// number of the step.
pub trait Optimizer: Debug {
    /// Rates of a parameter, before the schedule's factor and before groups.
    fn rates(&self, parameter: Parameter<'_>) -> Rates;

    /// Names of the tensors in the state of a parameter, as in a checkpoint.
    fn slots(&self, parameter: Parameter<'_>) -> &'static [&'static str];

    /// State of a parameter before its first step: zeros, or copies of its value.
    fn initial(&self, parameter: Parameter<'_>, value: &Tensor<1>) -> Slots {
        let slots = self.slots(parameter).iter();
        slots.map(|_| value.zeros_like()).collect()
    }

    /// Begins step `count` (1 for the first) with the schedule's factor. It is called before [`step`](Self::step) of
    /// the first parameter.
    fn advance(&mut self, _count: i32, _factor: f64) {}

    /// New value of a parameter, and its new state.
    fn step(
        &self,
        parameter: Parameter<'_>,
        value: Tensor<1>,
        gradient: ScaledGradient,
        state: Slots,
        at: StepAt,
    ) -> (Tensor<1>, Slots);

    /// Whether the evaluated weights differ from the trained weights.
    fn averages(&self) -> bool {
        false
    }

    /// Value for evaluation and saving, if it differs from the trained value.
    fn evaluated(&self, _state: &[Tensor<1>]) -> Option<Tensor<1>> {
        None
    }

    /// Trained value, if it differs from the evaluated value.
    fn trained(&self, _state: &[Tensor<1>]) -> Option<Tensor<1>> {
        None
    }

    /// Numbers that are kept beside the states of parameters.
    fn scalars(&self) -> Scalars {
        Scalars::new()
    }

    /// Restores the numbers of [`scalars`](Self::scalars); `None` if they are not those of the method.
    fn recall(&mut self, scalars: &Scalars) -> Option<()> {
        scalars.is_empty().then_some(())
    }
}

/// Number of a step, and the rates of a parameter in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepAt {
    /// Number of steps taken, this one included: 1 for the first.
    pub count: i32,
    /// Rates of the parameter, with the schedule's factor applied.
    pub rates: Rates,
}

/// Refuses a number out of range for a key of `[optimizer]`.
fn within(key: &str, value: f64, range: Range) -> Result<(), TrainError> {
    check(format!("optimizer.{key}"), value, range)
}

/// State of a parameter as an array of `N` tensors.
///
/// # Panics
/// If the number of tensors differs. States are made by [`initial`](Optimizer::initial), or checked against the slots
/// when they are read.
#[allow(clippy::expect_used)]
fn exactly<const N: usize>(state: Slots) -> [Tensor<1>; N] {
    state.try_into().expect("as many tensors as slots")
}
