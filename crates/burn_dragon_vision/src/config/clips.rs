//! Table `[objective]` of objectives on clips.

use super::VisionConfig;
use crate::encoder::{BackboneKind, is_default, refuse};
use crate::error::VisionError;
use crate::heads::{HeadsConfig, MlpConfig, MlpNorm, PredictorConfig, PredictorHeadConfig};
use crate::objective::{BlockMasks, SigReg};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Objective `vjepa21`: a teacher's tokens of hidden blocks of a clip.
///
/// The teacher is a moving average of the encoder, and sees the whole clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vjepa21Config {
    /// Table `[objective.masks]`: the hidden blocks.
    pub masks: BlockMasks,
    /// Levels whose tokens are predicted, rising, from 1 to `model.n_levels`. Training runs as many levels as the last one says.
    pub depths: Vec<usize>,
    /// Factor of the old teacher in an update, 0 to below 1.
    pub teacher_decay: f64,
    /// Weight of the loss of visible patches, at least 0; that of hidden ones is 1.
    pub context_weight: f64,
    /// Steps over which that weight rises from 0: the last step with 0, and the first with the whole weight.
    pub context_warmup: [u64; 2],
    /// What the teacher's tokens are normalised over.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "rows"))]
    pub targets: TargetNorm,
    /// Table `[objective.predictor]`: kind and sizes of the predictor.
    pub predictor: PredictorConfig,
}

/// What the norm of the teacher's tokens is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetNorm {
    /// Each token, as in the paper. What all clips share at a place is most of it.
    #[default]
    Rows,
    /// The clips of a batch: the mean over the clips at each place is removed, and each number has variance 1 over all places and
    /// clips. What all clips share is no target.
    Batch,
}

/// Objective `video_lejepa`: projections of frames to come, with an isotropic distribution.
///
/// For `model.backbone = "cellular"` or `"pyramid"`, whose memories last from frame to frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VideoLejepaConfig {
    /// Number of first frames that are observed, at least 1. The others are predicted.
    pub context: usize,
    /// Factor of the old teacher in an update, 0 to below 1. If absent, the targets are those of the model itself, without
    /// gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_decay: Option<f64>,
    /// Weight of the frames to come.
    pub prediction: f64,
    /// Weight of the observed frames.
    pub observe: f64,
    /// Weight of the cosine of prediction and target, of the frames to come.
    pub cosine: f64,
    /// Weight of the regularisation. With 0, encoder and projector collapse.
    pub sigreg_weight: f64,
    /// Table `[objective.sigreg]`: the regularisation.
    pub sigreg: SigReg,
    /// Table `[objective.projector]`: sizes of the projector behind the summary.
    pub projector: MlpConfig,
    /// Number of frames through which gradients pass back, at least 1. If absent, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backprop_frames: Option<usize>,
}

impl Default for Vjepa21Config {
    fn default() -> Self {
        Self {
            masks: BlockMasks::default(),
            depths: vec![1, 2, 4],
            teacher_decay: 0.99,
            context_weight: 0.5,
            context_warmup: [0, 0],
            targets: TargetNorm::default(),
            predictor: PredictorConfig::default(),
        }
    }
}

impl Default for VideoLejepaConfig {
    fn default() -> Self {
        Self {
            context: 4,
            teacher_decay: None,
            prediction: 1.0,
            observe: 1.0,
            cosine: 0.0,
            sigreg_weight: 0.05,
            sigreg: SigReg::default(),
            projector: MlpConfig {
                hidden: vec![128],
                output: 32,
                norm: MlpNorm::Batch,
            },
            backprop_frames: None,
        }
    }
}

impl Vjepa21Config {
    /// Weight of the loss of visible patches after so many updates.
    pub fn context_weight_after(&self, updates: u64) -> f64 {
        let [first, last] = self.context_warmup;
        if updates >= last {
            return self.context_weight;
        }
        let share = updates.saturating_sub(first) as f64 / (last - first.min(last)).max(1) as f64;
        self.context_weight * share
    }

    /// Number of levels in training: the last of those that are predicted.
    pub fn levels(&self) -> usize {
        self.depths.last().copied().unwrap_or(1)
    }

    pub(super) fn heads(&self, drops_patches: bool) -> HeadsConfig {
        HeadsConfig {
            predictor: Some(PredictorHeadConfig {
                kind: self.predictor.clone(),
                levels: self.depths.len(),
            }),
            mask_token: !drops_patches,
            ..HeadsConfig::default()
        }
    }

    /// Whether hidden patches are left out of the encoder.
    pub(crate) fn drops_patches(&self, backbone: BackboneKind) -> bool {
        matches!(self.predictor, PredictorConfig::Attention(_)) && backbone == BackboneKind::Dense
    }

    pub(super) fn validate(&self, config: &VisionConfig) -> Result<(), VisionError> {
        self.masks.validate()?;
        let levels = config.model.n_levels;
        let rising = self.depths.windows(2).all(|pair| pair[0] < pair[1]);
        let within = self.depths.iter().all(|depth| (1..=levels).contains(depth));
        if self.depths.is_empty() || !rising || !within {
            let reason = format!(
                "is {:?}; expected rising numbers from 1 to model.n_levels = {levels}",
                self.depths
            );
            return refuse("objective.depths", reason);
        }
        decay(self.teacher_decay)?;
        weight("objective.context_weight", self.context_weight)?;
        let [first, last] = self.context_warmup;
        if first > last {
            let reason = format!(
                "is {:?}; expected two steps, the smaller one first",
                self.context_warmup
            );
            return refuse("objective.context_warmup", reason);
        }
        if self.targets == TargetNorm::Batch && config.training.batch_size < 2 {
            let reason = format!(
                "is {}; expected at least 2 for objective.targets = \"batch\", which compares the clips of a batch",
                config.training.batch_size
            );
            return refuse("training.batch_size", reason);
        }
        if config.model.stem.mixes_patches() {
            let reason = "is \"conv\", by which visible patches would know pixels of hidden ones; expected \"linear\" or \"identity\"";
            return refuse("model.stem", reason.into());
        }
        if config.dataset.frames() * config.model.patches() < 2 {
            let reason = "leaves one patch of a clip; expected at least two, one to hide";
            return refuse("model.patch_size", reason.into());
        }
        config.model.check_clips()
    }
}

impl VideoLejepaConfig {
    /// Number of predicted frames of clips of so many.
    pub fn horizon(&self, frames: usize) -> usize {
        frames.saturating_sub(self.context)
    }

    pub(super) fn heads(&self) -> HeadsConfig {
        HeadsConfig {
            projector: Some(self.projector.clone()),
            ..HeadsConfig::default()
        }
    }

    pub(super) fn validate(&self, config: &VisionConfig) -> Result<(), VisionError> {
        let frames = config.dataset.frames();
        if self.context == 0 || self.horizon(frames) == 0 {
            let reason = format!(
                "is {}; expected at least 1, and fewer than the {frames} frames of a clip (dataset.motion.frames)",
                self.context
            );
            return refuse("objective.context", reason);
        }
        if let Some(given) = self.teacher_decay {
            decay(given)?;
        }
        for (key, given) in [
            ("objective.prediction", self.prediction),
            ("objective.observe", self.observe),
            ("objective.cosine", self.cosine),
            ("objective.sigreg_weight", self.sigreg_weight),
        ] {
            weight(key, given)?;
        }
        if self.backprop_frames == Some(0) {
            return refuse("objective.backprop_frames", "is 0; expected at least 1".into());
        }
        if !matches!(config.model.kind, BackboneKind::Cellular | BackboneKind::Pyramid) {
            let reason = "is not \"cellular\" or \"pyramid\", whose memories last from frame to frame and predict the next one";
            return refuse("model.backbone", reason.into());
        }
        self.sigreg.validate()?;
        config.model.check_clips()
    }
}

fn decay(given: f64) -> Result<(), VisionError> {
    if (0.0..1.0).contains(&given) {
        return Ok(());
    }
    let reason = format!("is {given}; expected a number from 0 to below 1");
    refuse("objective.teacher_decay", reason)
}

fn weight(key: &'static str, given: f64) -> Result<(), VisionError> {
    if given >= 0.0 && given.is_finite() {
        return Ok(());
    }
    refuse(key, format!("is {given}; expected a finite number of at least 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_of_visible_patches_rises_between_two_steps() {
        let config = Vjepa21Config {
            context_warmup: [10, 30],
            ..Vjepa21Config::default()
        };
        let weights = [0, 10, 15, 30, u64::MAX].map(|updates| config.context_weight_after(updates));
        assert_eq!(weights, [0.0, 0.0, 0.125, 0.5, 0.5]);
        assert_eq!(Vjepa21Config::default().context_weight_after(0), 0.5);
    }

    #[test]
    fn a_clip_objective_that_cannot_be_is_refused_by_its_key() {
        let clips = "[dataset]\ntype = 'moving_glyphs'\n";
        let linear = "[model]\nstem = 'linear'\n";
        let cellular = "[model]\nbackbone = 'cellular'\nstem = 'linear'\n";
        for (text, key) in [
            (format!("{linear}[objective]\ntype = 'vjepa21'"), "objective.type"),
            (format!("{clips}[objective]\ntype = 'mae'"), "objective.type"),
            (format!("{clips}[objective]\ntype = 'vjepa21'"), "model.stem"),
            (
                format!("{clips}{linear}[objective]\ntype = 'video_lejepa'"),
                "model.backbone",
            ),
            (
                format!("{clips}{linear}[objective]\ntype = 'vjepa21'\ndepths = [2, 1]"),
                "objective.depths",
            ),
            (
                format!("{clips}{linear}[objective]\ntype = 'vjepa21'\nteacher_decay = 1.0"),
                "objective.teacher_decay",
            ),
            (
                format!("{clips}{linear}[objective]\ntype = 'vjepa21'\ncontext_warmup = [3, 2]"),
                "objective.context_warmup",
            ),
            (
                format!(
                    "{clips}{linear}[training]\nbatch_size = 1\n[objective]\ntype = 'vjepa21'\ntargets = 'batch'"
                ),
                "training.batch_size",
            ),
            (
                format!(
                    "{clips}[model]\nbackbone = 'convolution'\nstem = 'linear'\n[objective]\ntype = 'vjepa21'"
                ),
                "model.backbone",
            ),
            (
                format!("{clips}{cellular}[objective]\ntype = 'video_lejepa'\ncontext = 8"),
                "objective.context",
            ),
            (
                format!("{clips}{cellular}[objective]\ntype = 'video_lejepa'\nsigreg_weight = -1.0"),
                "objective.sigreg_weight",
            ),
        ] {
            let config: VisionConfig = toml::from_str(&text).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(key), "{text}: {error}");
        }
        for text in [
            format!("{clips}{linear}[objective]\ntype = 'vjepa21'"),
            format!("{clips}{linear}[objective]\ntype = 'vjepa21'\ntargets = 'batch'"),
            format!("{clips}{cellular}[objective]\ntype = 'vjepa21'\npredictor = {{ type = 'per_token' }}"),
            format!("{clips}{cellular}[objective]\ntype = 'video_lejepa'"),
        ] {
            let config: VisionConfig = toml::from_str(&text).unwrap();
            config.validate().unwrap();
        }
    }
}
