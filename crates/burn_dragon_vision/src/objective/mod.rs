//! Objectives: what an encoder learns from.
//!
//! Each has a file with its equation. [`loss`] is the one place that distinguishes them.

mod distill;
mod lejepa;
mod mae;
mod masks;
mod sigreg;
mod supervised;

pub use masks::{BlockMasks, IndexLists, Mask, PatchGrid, random_masks, stacked};
pub use sigreg::{SigReg, invariance};
pub(crate) use supervised::accuracy;

use crate::batch::Batch;
use crate::config::ObjectiveConfig;
use crate::encoder::VisionPass;
use crate::error::VisionError;
use crate::model::VisionModel;
use burn_dragon_train::api::Loss;

/// Circumstances of a loss.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Learning {
    /// Options of the encoder's pass.
    pub(crate) pass: VisionPass,
    /// Seed of what is drawn in this step: masks, directions.
    pub(crate) seed: u64,
    /// Whether to measure figures on the way.
    pub(crate) watch: bool,
}

/// Mean loss of a batch. `teacher` is a model without autodiff, for objectives that have one.
///
/// # Errors
/// If the model has not the heads of the objective.
pub(crate) fn loss(
    objective: &ObjectiveConfig,
    model: &VisionModel,
    teacher: Option<&VisionModel>,
    batch: &Batch,
    learning: Learning,
) -> Result<Loss, VisionError> {
    match objective {
        ObjectiveConfig::Supervised(config) => supervised::loss(config, model, batch, learning),
        ObjectiveConfig::Mae(config) => mae::loss(config, model, batch, learning),
        ObjectiveConfig::Lejepa(config) => lejepa::loss(config, model, batch, learning),
        ObjectiveConfig::Distill(config) => {
            let teacher = teacher.ok_or(VisionError::NoHead { head: "teacher" })?;
            distill::loss(config, model, teacher, batch, learning)
        }
    }
}
