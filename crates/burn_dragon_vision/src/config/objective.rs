//! Table `[objective]`: what an encoder learns from.

use super::VisionConfig;
use super::clips::{VideoLejepaConfig, Vjepa21Config};
use crate::data::ViewsConfig;
use crate::encoder::{BackboneKind, GridPositions};
use crate::encoder::{DenseRead, ModelConfig, refuse};
use crate::error::VisionError;
use crate::heads::{DecoderConfig, HeadsConfig, MlpConfig, MlpNorm};
use crate::objective::SigReg;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Table `[objective]`: what an encoder learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ObjectiveConfig {
    /// The classes of pictures.
    Supervised(SupervisedConfig),
    /// The pixels of hidden patches (MAE, arXiv:2111.06377).
    Mae(MaeConfig),
    /// Agreement of views with an isotropic distribution (LeJEPA, arXiv:2511.08544).
    Lejepa(LejepaConfig),
    /// The features of a teacher.
    Distill(DistillConfig),
    /// A teacher's tokens of hidden blocks of a clip (V-JEPA 2.1, arXiv:2603.14482).
    Vjepa21(Vjepa21Config),
    /// Projections of frames to come, with an isotropic distribution (LeJEPA on clips).
    VideoLejepa(VideoLejepaConfig),
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self::Supervised(SupervisedConfig::default())
    }
}

/// Objective `supervised`: the classes of pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisedConfig {
    /// Levels with a loss.
    pub levels: LevelsWithLoss,
    /// Share of the target that is spread over all classes, 0 to below 1.
    pub label_smoothing: f64,
}

/// Levels with a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LevelsWithLoss {
    /// Each level, with the same head and the same weight.
    #[default]
    All,
    /// The last level alone.
    Last,
}

/// Objective `mae`: the pixels of hidden patches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaeConfig {
    /// Share of the patches that are hidden, above 0 and below 1.
    pub hidden: f64,
    /// What stands in place of a hidden patch.
    pub hiding: MaeHiding,
    /// Whether targets are the pixels of a patch with mean 0 and variance 1.
    pub norm_pixels: bool,
    /// Table `[objective.decoder]`: sizes of the decoder.
    pub decoder: DecoderConfig,
}

/// What stands in place of a hidden patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaeHiding {
    /// Nothing: the encoder reads the visible patches alone, for `model.backbone = "dense"` with a linear stem.
    #[default]
    Dropped,
    /// A learnt token.
    Token,
}

/// Objective `lejepa`: agreement of views, with an isotropic distribution of the projections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LejepaConfig {
    /// Table `[objective.views]`: number and scales of the views of a picture.
    pub views: ViewsConfig,
    /// Weight of the regularisation, 0 to 1; that of the agreement is 1 minus it.
    pub lambda: f64,
    /// Table `[objective.sigreg]`: the regularisation.
    pub sigreg: SigReg,
    /// Table `[objective.projector]`: sizes of the projector behind the summary.
    pub projector: MlpConfig,
}

/// Objective `distill`: the features of a teacher.
///
/// ```text
/// patch     mean of (norm(s) - norm(t))^2 over the patches
/// summary   the same of the summaries;   cosine   1 - cos(s, t) of the summaries
/// relation  KL(softmax(t t^T / tau) || softmax(s s^T / tau)) of the patches of a picture
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistillConfig {
    /// Run folder or model file of a vision model, the teacher. It sees the same views as the student.
    pub teacher: PathBuf,
    /// Weight of the patches.
    pub patch: f64,
    /// Weight of the summary.
    pub summary: f64,
    /// Weight of the cosine of the summaries.
    pub cosine: f64,
    /// Weight of the relations between patches.
    pub relation: f64,
    /// Temperature of the relations (tau).
    pub temperature: f64,
    /// Levels with a loss.
    pub levels: LevelsWithLoss,
    /// Power of the level number by which its loss is weighted: 0 for equal weights, 1 for later levels to matter more.
    pub level_power: f64,
    /// Weight of `relu(loss of a level - loss of the level before)`: later levels should be better.
    pub improvement: f64,
}

impl Default for SupervisedConfig {
    fn default() -> Self {
        Self {
            levels: LevelsWithLoss::All,
            label_smoothing: 0.0,
        }
    }
}

impl Default for MaeConfig {
    fn default() -> Self {
        Self {
            hidden: 0.5,
            hiding: MaeHiding::Dropped,
            norm_pixels: true,
            decoder: DecoderConfig::default(),
        }
    }
}

impl Default for LejepaConfig {
    fn default() -> Self {
        Self {
            views: ViewsConfig::default(),
            lambda: 0.05,
            sigreg: SigReg::default(),
            projector: MlpConfig {
                hidden: vec![256],
                output: 64,
                norm: MlpNorm::Batch,
            },
        }
    }
}

impl Default for DistillConfig {
    fn default() -> Self {
        Self {
            teacher: PathBuf::new(),
            patch: 1.0,
            summary: 0.25,
            cosine: 1.0,
            relation: 0.0,
            temperature: 0.07,
            levels: LevelsWithLoss::All,
            level_power: 1.0,
            improvement: 0.0,
        }
    }
}

impl ObjectiveConfig {
    /// Name of the objective.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Supervised(_) => "supervised",
            Self::Mae(_) => "mae",
            Self::Lejepa(_) => "lejepa",
            Self::Distill(_) => "distill",
            Self::Vjepa21(_) => "vjepa21",
            Self::VideoLejepa(_) => "video_lejepa",
        }
    }

    /// Whether the objective learns from clips, not from pictures.
    pub fn is_of_clips(&self) -> bool {
        matches!(self, Self::Vjepa21(_) | Self::VideoLejepa(_))
    }

    /// Whether the model is its own teacher: its targets are constants of its own.
    pub(crate) fn is_its_own_teacher(&self) -> bool {
        matches!(self, Self::VideoLejepa(lejepa) if lejepa.teacher_decay.is_none())
    }

    /// Factor of the old weights in an update of a teacher that is an average of the model; `None` without such a teacher.
    pub fn teacher_decay(&self) -> Option<f64> {
        match self {
            Self::Vjepa21(vjepa) => Some(vjepa.teacher_decay),
            Self::VideoLejepa(lejepa) => lejepa.teacher_decay,
            _ => None,
        }
    }

    /// Heads that the objective needs behind a backbone, for so many classes and a teacher of this width.
    pub fn heads(&self, backbone: BackboneKind, classes: usize, teacher: Option<usize>) -> HeadsConfig {
        let none = HeadsConfig::default();
        match self {
            Self::Supervised(_) => HeadsConfig {
                classes: Some(classes),
                ..none
            },
            Self::Mae(mae) => HeadsConfig {
                decoder: Some(mae.decoder.clone()),
                mask_token: mae.hiding == MaeHiding::Token,
                ..none
            },
            Self::Lejepa(lejepa) => HeadsConfig {
                projector: Some(lejepa.projector.clone()),
                ..none
            },
            Self::Vjepa21(vjepa) => vjepa.heads(vjepa.drops_patches(backbone)),
            Self::VideoLejepa(lejepa) => lejepa.heads(),
            Self::Distill(_) => {
                let to_teacher = teacher.map(|output| MlpConfig {
                    hidden: Vec::new(),
                    output,
                    norm: MlpNorm::Rows,
                });
                HeadsConfig {
                    projector: to_teacher.clone(),
                    patch_projector: to_teacher,
                    ..none
                }
            }
        }
    }

    /// Makes relative paths absolute, from a folder.
    pub(crate) fn make_absolute(&mut self, folder: &Path) {
        if let Self::Distill(distill) = self
            && !distill.teacher.as_os_str().is_empty()
        {
            distill.teacher = folder.join(&distill.teacher);
        }
    }

    /// Reduces paths to file names.
    pub(crate) fn name_files_only(&mut self) {
        if let Self::Distill(distill) = self
            && let Some(name) = distill.teacher.file_name()
        {
            distill.teacher = name.into();
        }
    }

    pub(super) fn validate(&self, config: &VisionConfig) -> Result<(), VisionError> {
        if config.dataset.has_clips() != self.is_of_clips() {
            let (expected, types) = match self.is_of_clips() {
                true => ("clips", "dataset.type = \"moving_glyphs\" or \"moving_mnist\""),
                false => ("pictures", "another dataset.type, or an objective on clips"),
            };
            let reason = format!(
                "is \"{}\", which learns from {expected}; expected {types}",
                self.name()
            );
            return refuse("objective.type", reason);
        }
        match self {
            Self::Vjepa21(vjepa) => vjepa.validate(config),
            Self::VideoLejepa(lejepa) => lejepa.validate(config),
            Self::Supervised(supervised) => {
                let share = 0.0..1.0;
                if !share.contains(&supervised.label_smoothing) {
                    let reason = format!(
                        "is {}; expected a number from 0 to below 1",
                        supervised.label_smoothing
                    );
                    return refuse("objective.label_smoothing", reason);
                }
                Ok(())
            }
            Self::Mae(mae) => mae.validate(&config.model),
            Self::Lejepa(lejepa) => lejepa.validate(),
            Self::Distill(distill) => distill.validate(),
        }
    }
}

impl MaeConfig {
    /// Number of hidden patches of so many.
    pub fn hidden_patches(&self, patches: usize) -> usize {
        ((self.hidden * patches as f64).round() as usize).clamp(1, patches.saturating_sub(1).max(1))
    }

    fn validate(&self, model: &ModelConfig) -> Result<(), VisionError> {
        if !(self.hidden > 0.0 && self.hidden < 1.0) {
            let reason = format!("is {}; expected a share above 0 and below 1", self.hidden);
            return refuse("objective.hidden", reason);
        }
        if model.patches() < 2 {
            return refuse(
                "model.patch_size",
                "leaves one patch; expected at least two, one to hide".into(),
            );
        }
        let mixes = model.stem.mixes_patches();
        if self.hiding == MaeHiding::Dropped && (model.kind != BackboneKind::Dense || mixes) {
            let reason = "is \"dropped\", which is for model.backbone = \"dense\" with a linear or identity stem, whose patches know \
                          nothing of each other; set it to \"token\"";
            return refuse("objective.hiding", reason.into());
        }
        if mixes {
            let reason = "is \"conv\", by which visible patches would know pixels of hidden ones; expected \"linear\" or \"identity\"";
            return refuse("model.stem", reason.into());
        }
        let scores = model.read != DenseRead::Full && model.positions == GridPositions::AlibiRaster;
        if self.hiding == MaeHiding::Dropped && scores {
            let reason = "is \"alibi_raster\", a distance in the whole raster; expected other positions where patches are dropped";
            return refuse("model.positions", reason.into());
        }
        Ok(())
    }
}

impl LejepaConfig {
    fn validate(&self) -> Result<(), VisionError> {
        if !(0.0..=1.0).contains(&self.lambda) {
            let reason = format!("is {}; expected a number from 0 to 1", self.lambda);
            return refuse("objective.lambda", reason);
        }
        if self.views.count() < 2 {
            let reason = format!("are {}; expected at least 2, which can agree", self.views.count());
            return refuse("objective.views", reason);
        }
        self.views.validate()?;
        self.sigreg.validate()
    }
}

impl DistillConfig {
    fn validate(&self) -> Result<(), VisionError> {
        if self.teacher.as_os_str().is_empty() {
            let reason = "is not given; expected the run folder or the model file of a vision model";
            return refuse("objective.teacher", reason.into());
        }
        for (key, weight) in [
            ("objective.patch", self.patch),
            ("objective.summary", self.summary),
            ("objective.cosine", self.cosine),
            ("objective.relation", self.relation),
            ("objective.level_power", self.level_power),
            ("objective.improvement", self.improvement),
        ] {
            if !(weight >= 0.0 && weight.is_finite()) {
                return refuse(
                    key,
                    format!("is {weight}; expected a finite number of at least 0"),
                );
            }
        }
        if self.patch + self.summary + self.cosine + self.relation == 0.0 {
            return refuse(
                "objective.patch",
                "and all other weights are 0; expected one above 0".into(),
            );
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            let reason = format!("is {}; expected a finite number above 0", self.temperature);
            return refuse("objective.temperature", reason);
        }
        Ok(())
    }
}
