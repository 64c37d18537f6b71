//! Optimisers: how a gradient moves a parameter.
//!
//! [`Optimizer`] is one method, a file each:
//!
//! | `method` | file | state of a parameter |
//! |---|---|---|
//! | `adamw` | `adamw.rs` | first and second moment |
//! | `muon` | `muon.rs` | momentum of matrices; the moments of AdamW for everything else |
//! | `schedule_free_adamw` | `schedule_free.rs` | average, base point, second moment |
//! | `lion` | `lion.rs` | momentum |
//! | `sgd` | `sgd.rs` | momentum, where there is any |
//!
//! [`ModelOptimizer`] applies a method to a model: it holds the state of every parameter under the parameter's name, knows
//! the groups, and is saved and restored. [`Ema`] averages the weights that any method leaves.
//!
//! A new method is a file with its table of keys and its [`Optimizer`], an arm of [`Method`] and an arm of its `build`.

mod adamw;
mod config;
pub(crate) mod ema;
pub(crate) mod file;
mod groups;
mod lion;
mod model;
mod muon;
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

/// A parameter, as a method sees it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter<'a> {
    /// Its dotted name.
    pub name: &'a str,
    /// Its sizes; values, gradients and states come flattened.
    pub shape: &'a [usize],
}

/// How far a parameter moves in a step, and how fast it decays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Step size.
    pub learning: f64,
    /// Decoupled weight decay: a step multiplies the value by `1 - learning * decay`.
    pub decay: f64,
}

/// The tensors that a method remembers of a parameter, `[P]` each, in the order of its [`slots`](Optimizer::slots).
pub type Slots = Vec<Tensor<1>>;

/// Numbers that a method remembers beside those of parameters, by name.
pub type Scalars = BTreeMap<String, f64>;

/// A method of moving parameters along their gradients.
///
/// Everything is flat, f32 and without autodiff. A step of a parameter depends on that parameter alone, and on the number
/// of the step.
pub trait Optimizer: Debug {
    /// Rates of a parameter before the schedule, and before groups have their say.
    fn rates(&self, parameter: Parameter<'_>) -> Rates;

    /// Names of the tensors that are remembered of a parameter: what a checkpoint calls them.
    fn slots(&self, parameter: Parameter<'_>) -> &'static [&'static str];

    /// What is remembered of a parameter before its first step: zeros, or copies of its value.
    fn initial(&self, parameter: Parameter<'_>, value: &Tensor<1>) -> Slots {
        let slots = self.slots(parameter).iter();
        slots.map(|_| value.zeros_like()).collect()
    }

    /// Begins step `count` (1 for the first), at this factor of the schedule; before the first parameter's
    /// [`step`](Self::step).
    fn advance(&mut self, _count: i32, _factor: f64) {}

    /// The new value of a parameter, and what is remembered of it from now on.
    fn step(
        &self,
        parameter: Parameter<'_>,
        value: Tensor<1>,
        gradient: ScaledGradient,
        state: Slots,
        at: StepAt,
    ) -> (Tensor<1>, Slots);

    /// Whether the weights that are evaluated are others than those that are trained.
    fn averages(&self) -> bool {
        false
    }

    /// The value that is evaluated and saved, where it is another than the one that is trained.
    fn evaluated(&self, _state: &[Tensor<1>]) -> Option<Tensor<1>> {
        None
    }

    /// The value that is trained, where it is another than the one that is evaluated.
    fn trained(&self, _state: &[Tensor<1>]) -> Option<Tensor<1>> {
        None
    }

    /// What is remembered beside parameters.
    fn scalars(&self) -> Scalars {
        Scalars::new()
    }

    /// Takes back what [`scalars`](Self::scalars) gave; `None` if it is not that.
    fn recall(&mut self, scalars: &Scalars) -> Option<()> {
        scalars.is_empty().then_some(())
    }
}

/// Where in a run a parameter's step is, and its rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepAt {
    /// Steps taken, this one included: 1 for the first.
    pub count: i32,
    /// The parameter's rates, with the schedule's factor in them.
    pub rates: Rates,
}

/// Refuses a number that a key of `[optimizer]` cannot have.
fn within(key: &str, value: f64, range: Range) -> Result<(), TrainError> {
    check(format!("optimizer.{key}"), value, range)
}

/// The state of a parameter as so many tensors.
///
/// # Panics
/// If it is another number: states are made by [`initial`](Optimizer::initial), or checked against the slots when they are
/// read.
#[allow(clippy::expect_used)]
fn exactly<const N: usize>(state: Slots) -> [Tensor<1>; N] {
    state.try_into().expect("as many tensors as slots")
}
