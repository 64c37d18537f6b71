//! Table `[model.cellular]`, the tensors of a cellular backbone, and its cost.

use crate::encoder::memory_use::Order;
use crate::encoder::modes::{MODES, Modes};
use crate::encoder::near::NearConfig;
use crate::error::VisionError;
use burn_dragon_core::api::{TensorShape, TrunkConfig};
use burn_dragon_kernel::api::Grid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::Saturating;

/// Least factor of a memory in a unit of time.
const LEAST_DECAY: f64 = 1e-6;

/// Table `[model.cellular]`: memories of the patches, and who reads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CellularConfig {
    /// Table `[model.cellular.near]`: neighbours whose memories a patch reads.
    pub near: NearConfig,
    /// Factor of the memories in a unit of time, which is a step in mode predict; 1e-6 to 1. One number for all heads, or
    /// one for each head. Steps in the modes observe and refine take no time.
    pub decay: Vec<f64>,
    /// Order of the writes and reads of a step.
    pub order: Order,
    /// What the backbone is told of the mode of a step.
    pub modes: Modes,
    /// Gains of what is written and read, by the mode of the step.
    pub gains: Gains,
}

/// Gains of what is written and read, by the mode of the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gains {
    /// None: a patch writes and reads with x.
    #[default]
    None,
    /// A learnt factor of each neuron of x and of each column of what is written. Initially uniform from 0.95 to 1.05.
    Learnt,
}

impl Default for CellularConfig {
    fn default() -> Self {
        Self {
            near: NearConfig::default(),
            decay: vec![0.9],
            order: Order::default(),
            modes: Modes::default(),
            gains: Gains::default(),
        }
    }
}

impl CellularConfig {
    /// Tensors that the backbone learns beside those of the trunk, by their names in [`Cellular`](super::Cellular).
    pub fn tensors(&self, trunk: &TrunkConfig) -> Vec<TensorShape> {
        let mut tensors = Vec::new();
        if self.modes == Modes::Embedded {
            tensors.push(TensorShape::new("modes", [MODES, trunk.d_model]));
        }
        if self.gains == Gains::Learnt {
            tensors.push(TensorShape::new("query_gains", [MODES, trunk.n_neurons]));
            tensors.push(TensorShape::new("value_gains", [MODES, trunk.d_model]));
        }
        tensors
    }

    /// Checks that a backbone of these settings can exist.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self, trunk: &TrunkConfig) -> Result<(), VisionError> {
        self.near.validate("model.cellular.near")?;
        let refuse = |reason| {
            let key = "model.cellular.decay";
            Err(VisionError::Config { key, reason })
        };
        if ![1, trunk.n_heads].contains(&self.decay.len()) {
            let (given, heads) = (self.decay.len(), trunk.n_heads);
            return refuse(format!(
                "has {given} numbers; expected 1, or {heads}: one for each head"
            ));
        }
        match self
            .decay
            .iter()
            .find(|decay| !(LEAST_DECAY..=1.0).contains(*decay))
        {
            Some(decay) => refuse(format!("has {decay}; expected numbers from {LEAST_DECAY} to 1")),
            None => Ok(()),
        }
    }

    /// Slopes of the heads, `-ln` of their factors, in 1/units of time.
    pub(super) fn slopes(&self, heads: usize) -> Vec<f32> {
        let of = |head: usize| self.decay.get(head).or(self.decay.first());
        let slope = |decay: &f64| (0.0 - decay.ln()) as f32;
        (0..heads).map(|head| of(head).map_or(0.0, slope)).collect()
    }

    /// Bytes of the whole memories of a picture, f32: N D numbers for each head of each patch.
    pub fn whole_bytes(&self, trunk: &TrunkConfig, grid: Grid) -> u64 {
        (Saturating(4) * of(grid.places()) * of(trunk.n_neurons) * of(trunk.d_model)).0
    }

    /// Bytes of `writes` writes of a picture, f32: x and the stream for each patch.
    pub fn write_bytes(&self, trunk: &TrunkConfig, grid: Grid, writes: usize) -> u64 {
        (Saturating(4) * of(writes) * of(grid.places()) * (of(trunk.n_neurons) + of(trunk.d_model))).0
    }

    /// FLOPs of a forward step of a picture that reads `writes` writes: three products of every neuron with the width for
    /// each patch; and for each neighbour, head and write a score and its multiple of a value.
    pub fn step_flops(&self, trunk: &TrunkConfig, grid: Grid, writes: usize) -> u64 {
        let (n, d) = (of(trunk.n_neurons), of(trunk.d_model));
        let edges = of(self.near.pairs(grid).len());
        let reads = Saturating(2) * edges * of(writes) * (n + of(trunk.n_heads) * d);
        (Saturating(6) * of(grid.places()) * n * d + reads).0
    }
}

fn of(size: usize) -> Saturating<u64> {
    Saturating(size as u64)
}
