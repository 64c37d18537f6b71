//! Modes of a step, as a backbone learns them.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_core::api::structured::StepMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a backbone is told of the mode of a step: observe, refine or predict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Modes {
    /// Nothing.
    None,
    /// An embedding of the mode is added to the stream.
    #[default]
    Embedded,
}

/// Number of modes.
pub(super) const MODES: usize = StepMode::ALL.len();

/// Largest deviation of an initial gain from 1.
const GAIN: f64 = 0.05;

/// Row of a table of modes, `[3, K]`, as `[K]`.
pub(super) fn of_mode(table: &Param<Tensor<2>>, mode: StepMode) -> Tensor<1> {
    table.val().narrow(0, mode as usize, 1).squeeze_dim::<1>(0)
}

/// The stream, `[B, 1, P, D]`, with the embedding of a mode, if there is one.
pub(super) fn in_mode(v: Tensor<4>, modes: Option<&Param<Tensor<2>>>, mode: StepMode) -> Tensor<4> {
    match modes {
        None => v,
        Some(modes) => v + of_mode(modes, mode).reshape([1, 1, 1, -1]),
    }
}

/// Initial offsets of gains: uniform within 0.05 of 0, a function of the seed and the name.
pub(super) fn initial_offsets(name: &str, seed: u64, shape: &[usize]) -> TensorData {
    let mut rng = Rng::new(derive(seed, name, 0, 0));
    let size = shape.iter().product::<usize>();
    let offsets: Vec<f32> = (0..size)
        .map(|_| (GAIN * (2.0 * rng.uniform() - 1.0)) as f32)
        .collect();
    TensorData::new(offsets, shape)
}
