//! Objectives: what an encoder learns from.
//!
//! Each has a file with its equation. [`loss`] is the one place that distinguishes them.

mod distill;
mod lejepa;
mod mae;
mod masks;
mod sigreg;
mod supervised;
mod teacher;
mod video_lejepa;
mod vjepa;

pub(crate) use masks::hidden;
pub use masks::{BlockMasks, IndexLists, Mask, PatchGrid, random_masks, stacked};
pub use sigreg::{SigReg, invariance};
pub(crate) use supervised::accuracy;
pub(crate) use teacher::{Teacher, companion};
pub(crate) use video_lejepa::alone;

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
    /// Number of updates before, for weights that rise.
    pub(crate) updates: u64,
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
    let teacher = teacher.ok_or(VisionError::NoHead { head: "teacher" });
    match objective {
        ObjectiveConfig::Supervised(config) => supervised::loss(config, model, batch, learning),
        ObjectiveConfig::Mae(config) => mae::loss(config, model, batch, learning),
        ObjectiveConfig::Lejepa(config) => lejepa::loss(config, model, batch, learning),
        ObjectiveConfig::Distill(config) => distill::loss(config, model, teacher?, batch, learning),
        ObjectiveConfig::Vjepa21(config) => vjepa::loss(config, model, teacher?, batch, learning),
        ObjectiveConfig::VideoLejepa(config) => video_lejepa::loss(config, model, teacher?, batch, learning),
    }
}
