//! Table `[model.pyramid]`, and the tensors of a pyramid backbone.

use super::schedule::{BankLink, ModeLinks, Schedule};
use crate::encoder::memory_use::Order;
use crate::encoder::modes::{MODES, Modes};
use crate::encoder::near::NearConfig;
use crate::error::VisionError;
use burn_dragon_core::api::TensorShape;
use burn_dragon_kernel::api::{Grid, Neighbourhood};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Least factor of a memory in a unit of time.
const LEAST_DECAY: f64 = 1e-6;

/// Largest stride, number of hubs, rank and value width: nothing that is computed with them overflows.
const MOST: usize = 1 << 16;

/// Largest number of further steps within a predicted step.
const MOST_SUBSTEPS: usize = 64;

/// Table `[model.pyramid]`: three banks of memories, of patches, coarse cells and hubs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PyramidConfig {
    /// Number of patches along a side of a coarse cell, 1 to 65536.
    pub stride: usize,
    /// Number of hubs (M), 1 to 65536. Without learnt gates 1, since all would hold the same.
    pub hubs: usize,
    /// Rank of a patch's memory, its neurons, 1 to 65536.
    pub patch_rank: usize,
    /// Rank of a coarse cell's memory, 1 to 65536.
    pub coarse_rank: usize,
    /// Rank of a hub's memory, 1 to 65536.
    pub hub_rank: usize,
    /// Number of columns of all memories (V), 1 to 65536.
    pub value_width: usize,
    /// Table `[model.pyramid.near_patch]`: neighbours whose memories a patch reads.
    pub near_patch: NearConfig,
    /// Table `[model.pyramid.near_cell]`: neighbours whose memories a coarse cell reads.
    pub near_cell: NearConfig,
    /// Gates of the hubs, for reads and writes.
    pub hub_gates: HubGates,
    /// Table `[model.pyramid.decay]`: factors of the banks in a unit of time.
    pub decay: BankDecay,
    /// Order of the writes and reads of a step.
    pub order: Order,
    /// What the backbone is told of the mode of a step.
    pub modes: Modes,
    /// Number of further steps within a step in mode predict, 0 to 64. They take no time.
    pub predict_substeps: usize,
    /// Links that the further steps use.
    pub substep: Substep,
    /// Table `[model.pyramid.schedule]`: links of each mode.
    pub schedule: Schedule,
    /// What a picture is as one vector.
    pub readout: Readout,
}

/// Gates of the hubs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HubGates {
    /// A softmax over the hubs, of each patch and cell.
    #[default]
    Learnt,
    /// The same for all hubs. There is then one hub.
    Even,
}

/// Table `[model.pyramid.decay]`: factors of the banks in a unit of time, which is a step in mode predict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BankDecay {
    /// Factor of the patches' memories, 1e-6 to 1.
    pub patch: f64,
    /// Factor of the coarse cells' memories, 1e-6 to 1.
    pub coarse: f64,
    /// Factor of the hubs' memories, 1e-6 to 1.
    pub hub: f64,
}

impl Default for BankDecay {
    fn default() -> Self {
        Self {
            patch: 0.9,
            coarse: 0.9,
            hub: 0.9,
        }
    }
}

/// Links that the further steps of a predicted step use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Substep {
    /// Those of the coarse cells, among each other and with the hubs. Patches and their memories stay.
    #[default]
    CoarseOnly,
    /// Those within the banks: patches with patches, and cells with cells.
    LocalBridge,
}

/// What a picture is as one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Readout {
    /// The mean of the patches.
    #[default]
    PatchMean,
    /// What the mean of the patches reads in the hubs, mapped to the model width.
    Hub,
    /// The same, and the mean of the coarse cells.
    HubAndCoarse,
}

impl Default for PyramidConfig {
    fn default() -> Self {
        Self {
            stride: 2,
            hubs: 8,
            patch_rank: 8,
            coarse_rank: 8,
            hub_rank: 8,
            value_width: 32,
            near_patch: NearConfig::default(),
            near_cell: NearConfig::default(),
            hub_gates: HubGates::default(),
            decay: BankDecay::default(),
            order: Order::default(),
            modes: Modes::default(),
            predict_substeps: 0,
            substep: Substep::default(),
            schedule: Schedule::default(),
            readout: Readout::default(),
        }
    }
}

impl PyramidConfig {
    /// Scene slots: 8 hubs of rank 8. In mode predict patches read hubs alone, as in the public implementation's preset.
    pub fn scene_slots() -> Self {
        let mut predict = ModeLinks::default();
        let others = |link: &BankLink| ![BankLink::PatchPatch, BankLink::PatchCoarse].contains(link);
        predict.reads.retain(others);
        Self {
            schedule: Schedule {
                predict,
                ..Schedule::default()
            },
            ..Self::default()
        }
    }

    /// Graph bridge: scene slots with one further step within a predicted one, along the links within the banks.
    pub fn graph_bridge() -> Self {
        Self {
            predict_substeps: 1,
            substep: Substep::LocalBridge,
            ..Self::scene_slots()
        }
    }

    /// Tensors of a backbone of model width `d`, by their names in [`PyramidBackbone`](super::PyramidBackbone).
    pub fn tensors(&self, d: usize) -> Vec<TensorShape> {
        let (patch, coarse, hub) = (self.patch_rank, self.coarse_rank, self.hub_rank);
        let mut tensors = vec![
            TensorShape::new("patch_query", [d, patch]),
            TensorShape::new("patch_coarse_query", [d, coarse]),
            TensorShape::new("patch_hub_query", [d, hub]),
            TensorShape::new("coarse_query", [d, coarse]),
            TensorShape::new("coarse_hub_query", [d, hub]),
            TensorShape::new("value", [d, self.value_width]),
            TensorShape::new("patch_decoder", [self.value_width, patch]),
            TensorShape::new("coarse_decoder", [self.value_width, coarse]),
            TensorShape::new("patch_encoder", [patch, d]),
            TensorShape::new("coarse_encoder", [coarse, d]),
        ];
        if self.hub_gates == HubGates::Learnt {
            tensors.push(TensorShape::new("patch_gates", [d, self.hubs]));
            tensors.push(TensorShape::new("coarse_gates", [d, self.hubs]));
        }
        if self.modes == Modes::Embedded {
            tensors.push(TensorShape::new("modes", [MODES, d]));
        }
        if self.readout != Readout::PatchMean {
            tensors.push(TensorShape::new("hub_readout", [self.value_width, d]));
        }
        tensors
    }

    /// Checks that a backbone of these settings can exist.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        let refuse = |key, reason: String| Err(VisionError::Config { key, reason });
        for (key, size) in [
            ("model.pyramid.stride", self.stride),
            ("model.pyramid.hubs", self.hubs),
            ("model.pyramid.patch_rank", self.patch_rank),
            ("model.pyramid.coarse_rank", self.coarse_rank),
            ("model.pyramid.hub_rank", self.hub_rank),
            ("model.pyramid.value_width", self.value_width),
        ] {
            if !(1..=MOST).contains(&size) {
                return refuse(key, format!("is {size}; expected a number from 1 to {MOST}"));
            }
        }
        for (key, decay) in [
            ("model.pyramid.decay.patch", self.decay.patch),
            ("model.pyramid.decay.coarse", self.decay.coarse),
            ("model.pyramid.decay.hub", self.decay.hub),
        ] {
            if !(LEAST_DECAY..=1.0).contains(&decay) {
                return refuse(
                    key,
                    format!("is {decay}; expected a number from {LEAST_DECAY} to 1"),
                );
            }
        }
        if self.hub_gates == HubGates::Even && self.hubs > 1 {
            let reason = format!(
                "is {}; expected 1 with model.pyramid.hub_gates = \"even\": all hubs would hold the same",
                self.hubs
            );
            return refuse("model.pyramid.hubs", reason);
        }
        if self.predict_substeps > MOST_SUBSTEPS {
            let reason = format!(
                "is {}; expected a number from 0 to {MOST_SUBSTEPS}",
                self.predict_substeps
            );
            return refuse("model.pyramid.predict_substeps", reason);
        }
        self.near_patch.validate("model.pyramid.near_patch")?;
        self.near_cell.validate("model.pyramid.near_cell")
    }

    /// The links of the further steps, in all modes.
    pub(super) fn substep_links(&self) -> Schedule {
        Schedule::always(ModeLinks::of(match self.substep {
            Substep::CoarseOnly => &[BankLink::CoarseCoarse, BankLink::CoarseHub],
            Substep::LocalBridge => &BankLink::LOCAL,
        }))
    }

    /// Neighbours of patches and cells; those of a larger radius than the grid are those in the grid.
    pub(super) fn near(&self) -> [Neighbourhood; 2] {
        [self.near_patch, self.near_cell].map(|near| near.neighbourhood())
    }

    /// Grid of the coarse cells.
    pub fn coarse(&self, grid: Grid) -> Grid {
        super::schedule::coarse(grid, self.stride)
    }
}
