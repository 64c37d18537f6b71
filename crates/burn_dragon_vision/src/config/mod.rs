//! Configuration of a vision run. `config/vision/base.toml` documents every key.

mod clips;
mod objective;

pub use clips::{TargetNorm, VideoLejepaConfig, Vjepa21Config};
pub use objective::{
    DistillConfig, LejepaConfig, LevelsWithLoss, MaeConfig, MaeHiding, ObjectiveConfig, SupervisedConfig,
};

use crate::data::{AugmentConfig, DatasetConfig};
use crate::encoder::ModelConfig;
use crate::error::VisionError;
use crate::probe::ProbeConfig;
use burn_dragon_train::api::{
    CheckpointConfig, EmaConfig, EvaluationConfig, OptimizerConfig, Plan, Schedule, TrainingConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of a vision run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VisionConfig {
    /// Table `[dataset]`: pictures, and their classes.
    pub dataset: DatasetConfig,
    /// Table `[augment]`: random changes of the pictures in training. Clips stay as they are.
    pub augment: AugmentConfig,
    /// Table `[model]`: the backbone and the sizes of the encoder.
    pub model: ModelConfig,
    /// Table `[objective]`: what the encoder learns from.
    pub objective: ObjectiveConfig,
    /// Table `[probe]`: what is measured on frozen features.
    pub probe: ProbeConfig,
    /// Table `[training]`: seed, batch, steps.
    pub training: TrainingConfig,
    /// Table `[optimizer]`: updates of the weights.
    pub optimizer: OptimizerConfig,
    /// Table `[ema]`: average of the weights, which is evaluated and saved. If absent, the weights themselves are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Table `[schedule]`: learning rate over the steps.
    pub schedule: Schedule,
    /// Table `[evaluation]`: frequency and amount of evaluation.
    pub evaluation: EvaluationConfig,
    /// Table `[checkpoint]`: frequency of checkpoints.
    pub checkpoint: CheckpointConfig,
}

impl VisionConfig {
    /// Tables that the trainer reads.
    pub fn plan(&self) -> Plan {
        Plan {
            training: self.training.clone(),
            optimizer: self.optimizer.clone(),
            ema: self.ema,
            schedule: self.schedule,
            evaluation: self.evaluation.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }

    /// The configuration without the folders of this machine: paths are reduced to file names.
    pub(crate) fn without_places(&self) -> Self {
        let mut config = self.clone();
        config.dataset.name_files_only();
        config.objective.name_files_only();
        config
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] or [`VisionError::Model`], with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        self.dataset.validate()?;
        self.model.validate()?;
        self.augment.validate()?;
        self.objective.validate(self)?;
        self.probe.validate()
    }
}

#[cfg(test)]
mod tests {
    use crate::encoder::BackboneKind;
    use crate::family::{BASE, Vision};
    use crate::picture::Colours;
    use burn_dragon_train::api::{Layers, resolve};

    #[test]
    fn the_base_file_says_every_key_there_is() {
        let layers = Layers::new().embedded(BASE.path, BASE.text).unwrap();
        let resolved = resolve::<Vision>(layers).unwrap();
        let explained = resolved.explain();
        let unsaid: Vec<_> = explained
            .lines()
            .filter(|line| line.ends_with("# default"))
            .collect();
        assert!(unsaid.is_empty(), "{unsaid:#?}");
        resolved.value.validate().unwrap();
    }

    /// A table whose `type` changes is replaced as a whole. The backbone is one key among others.
    #[test]
    fn another_backbone_leaves_the_pictures_of_a_file_below_as_they_are() {
        let layers = Layers::new()
            .embedded(BASE.path, BASE.text)
            .unwrap()
            .embedded(
                "cifar10.toml",
                "[model]\ncolours = 'rgb'\nimage_size = 64\nd_model = 96",
            )
            .unwrap()
            .embedded("teacher.toml", "[model]\nbackbone = 'convolution'")
            .unwrap();
        let model = resolve::<Vision>(layers).unwrap().value.model;
        assert_eq!(model.kind, BackboneKind::Convolution);
        assert_eq!(
            (model.colours, model.image_size, model.d_model),
            (Colours::Rgb, 64, 96)
        );
    }

    #[test]
    fn what_no_run_can_have_is_refused_by_its_key() {
        let of = |settings: &[&str]| {
            let layers = Layers::new().embedded(BASE.path, BASE.text).unwrap();
            let layers = settings
                .iter()
                .try_fold(layers, |layers, setting| layers.assignment(setting));
            let config = resolve::<Vision>(layers.unwrap()).unwrap().value;
            config.validate().unwrap_err().to_string()
        };
        let mae = "objective={ type = \"mae\" }";
        for (settings, key) in [
            (
                &["objective={ label_smoothing = 1.0 }"][..],
                "objective.label_smoothing",
            ),
            (
                &["objective={ type = \"mae\", hidden = 0.0 }", "model.stem=linear"],
                "objective.hidden",
            ),
            (
                &[mae, "model.stem=linear", "model.backbone=cellular"],
                "objective.hiding",
            ),
            (
                &["objective={ type = \"mae\", hiding = \"token\" }"],
                "model.stem",
            ),
            (
                &["objective={ type = \"lejepa\", lambda = 2.0 }"],
                "objective.lambda",
            ),
            (
                &["objective={ type = \"lejepa\", views = { global = 1 } }"],
                "objective.views",
            ),
            (&["objective={ type = \"distill\" }"], "objective.teacher"),
            (&["model.backbone=cellular", "model.summary=cls"], "model.summary"),
            (
                &["model.backbone=pyramid", "model.positions=rope_2d"],
                "model.positions",
            ),
            (&["model.cellular={}"], "model.cellular"),
            (&["probe.pictures=1"], "probe.pictures"),
            (&["augment.flip=2.0"], "augment.flip"),
        ] {
            let error = of(settings);
            assert!(error.starts_with(key), "{settings:?}: {error}");
        }
    }
}
