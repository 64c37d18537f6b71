//! Vision models as files: tensors, classes, probe and descriptions.

use crate::config::ObjectiveConfig;
use crate::data::{Data, DatasetConfig, GlyphsConfig, PictureShape};
use crate::encoder::{Hidden, ModelConfig};
use crate::error::VisionError;
use crate::evaluate::evaluated;
use crate::family::Vision;
use crate::heads::HeadsConfig;
use crate::model::{ENCODER, VisionModel, VisionModelConfig};
use crate::objective;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_dragon_checkpoint::api::{
    CardText, CheckpointError, Checkpoints, Companion, Figure, Kinds, ModelFile, ModelInfo, ModelKind,
    Pointer, RunWords, StoredConfig, TensorSpec,
};
use burn_dragon_core::api::expert::snapshot;
use burn_dragon_train::api::expert::companions;
use burn_dragon_train::api::{RunFolder, config_text, run_config};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The family's name in files.
pub(crate) const FAMILY: &str = "vision";

/// Name of a model's file in a checkpoint.
pub(crate) const FILE: &str = "model.bpk";

/// Name of the asset with the names of the classes, a JSON list.
pub(crate) const CLASSES: &str = "classes.json";

/// Name of encoders without heads in files.
pub(crate) const ENCODERS: &str = "vision-encoder";

/// Model kind of vision models.
pub static VISION: VisionKind = VisionKind { family: FAMILY };

/// Model kind of encoders without heads.
pub static VISION_ENCODER: VisionKind = VisionKind { family: ENCODERS };

/// Model kind of the vision family: of whole models, or of encoders.
#[derive(Clone, Copy, Debug)]
pub struct VisionKind {
    family: &'static str,
}

/// Model file of a model, with the names of its classes.
pub(crate) fn model_file(model: &VisionModel, classes: &[String], (step, units): (u64, u64)) -> ModelFile {
    let info = ModelInfo {
        step,
        units,
        version: env!("CARGO_PKG_VERSION").into(),
        ..ModelInfo::default()
    };
    let mut file = match ModelFile::new(FAMILY, model.config(), info, snapshot(model)) {
        Ok(file) => file,
        Err(error) => unreachable!("a checked configuration is JSON and weights are floats: {error}"),
    };
    if !classes.is_empty() {
        file.assets.insert(CLASSES.into(), json!(classes).to_string());
    }
    file
}

/// Builds the model of a file that was read from `path`.
///
/// # Errors
/// If the file is of another family, or its tensors do not match its configuration.
pub fn model_of(file: ModelFile, path: &Path, device: &Device) -> Result<VisionModel, CheckpointError> {
    let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
    Kinds::new([&VISION as &dyn ModelKind, &VISION_ENCODER]).check(&file, path)?;
    let config = config_of(file.config.value()).map_err(corrupt)?;
    let mut weights = file.into_floats();
    let weight = |name: &str, _: &[usize]| match weights.remove(name) {
        Some(data) => data,
        None => unreachable!("`{name}` is one of the tensors that were checked"),
    };
    VisionModel::from_weights(&config, device, weight).map_err(|error| corrupt(error.to_string()))
}

/// The encoder of a vision model, without heads and classes. A file of another family is returned as it is.
pub fn encoder_of(mut file: ModelFile) -> ModelFile {
    let Ok(config) = config_of(file.config.value()) else {
        return file;
    };
    if file.family != FAMILY {
        return file;
    }
    let encoder = VisionModelConfig {
        encoder: config.encoder,
        heads: HeadsConfig::default(),
    };
    file.config = match StoredConfig::of(&encoder) {
        Ok(config) => config,
        Err(error) => unreachable!("a checked configuration is JSON: {error}"),
    };
    file.family = ENCODERS.into();
    file.tensors.retain(|name, _| name.starts_with(ENCODER));
    file.assets.clear();
    file
}

/// Names of the classes in a file; empty without.
pub(crate) fn classes_of(file: &ModelFile) -> Result<Vec<String>, String> {
    let Some(text) = file.assets.get(CLASSES) else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|error| format!("{CLASSES}: {error}"))
}

/// A trained model as a teacher of students of this shape, without autodiff.
///
/// # Errors
/// If it cannot be read, or it reads other pictures.
pub(crate) fn teacher(
    path: &Path,
    student: &ModelConfig,
    device: &Device,
) -> Result<VisionModel, VisionError> {
    let file = file_of(path)?;
    let teacher = model_of(ModelFile::read(&file)?, &file, &device.clone().inner())?.valid();
    let shape = |config: &ModelConfig| (config.image_size, config.colours, config.grid());
    let config = teacher.encoder.config();
    if shape(config) != shape(student) {
        let reason = format!(
            "is {}, of pictures of {} pixels in {:?}; expected the pictures and patches of the student: {} pixels in {:?}, {}",
            config.in_words(),
            config.image_size,
            config.colours,
            student.image_size,
            student.colours,
            student.in_words()
        );
        return Err(VisionError::Config {
            key: "objective.teacher",
            reason,
        });
    }
    Ok(teacher)
}

/// File of a model: the path itself, or the last checkpoint of a run.
fn file_of(path: &Path) -> Result<PathBuf, VisionError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let run = RunFolder::open(path).map_err(|error| VisionError::Config {
        key: "objective.teacher",
        reason: format!("cannot be read: {error}"),
    })?;
    match Checkpoints::new(run.checkpoints()).pointed(Pointer::Last)? {
        Some(folder) => Ok(folder.path().join(FILE)),
        None => Err(VisionError::Config {
            key: "objective.teacher",
            reason: format!(
                "is {}, which has no checkpoint; expected a trained model",
                path.display()
            ),
        }),
    }
}

/// A configuration of this family.
fn config_of(config: &Value) -> Result<VisionModelConfig, String> {
    if !config.is_object() {
        return Err("config: expected an object".into()); // of which serde would take a list, too
    }
    let config: VisionModelConfig =
        serde_json::from_value(config.clone()).map_err(|error| error.to_string())?;
    config.validate().map_err(|error| error.to_string())?;
    Ok(config)
}

impl ModelKind for VisionKind {
    fn family(&self) -> &'static str {
        self.family
    }

    fn unit(&self) -> &'static str {
        "pictures"
    }

    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String> {
        let tensors = config_of(config)?.tensors().into_iter();
        Ok(tensors
            .map(|tensor| TensorSpec::float(tensor.name, tensor.shape))
            .collect())
    }

    fn shape(&self, config: &Value) -> String {
        match config_of(config) {
            Ok(config) => config.encoder.in_words(),
            Err(error) => error,
        }
    }

    fn companions(&self, config: &Value) -> Vec<Companion> {
        let tensors = self.tensors(config).unwrap_or_default();
        let mut companions = companions(&tensors);
        companions.push(objective::companion(&tensors));
        companions
    }

    fn assets(&self, file: &ModelFile) -> Result<String, String> {
        let other = file.assets.keys().find(|name| name.as_str() != CLASSES);
        if let Some(name) = other {
            return Err(format!("{name}: this family has no such asset"));
        }
        let (classes, config) = (classes_of(file)?, config_of(file.config.value())?);
        match config.heads.classes {
            Some(expected) if !classes.is_empty() && classes.len() != expected => Err(format!(
                "{CLASSES}: {} names for {expected} classes",
                classes.len()
            )),
            _ if classes.is_empty() => Ok("no names of classes".into()),
            _ => Ok(format!("names of {} classes", classes.len())),
        }
    }

    /// Probe: a glyph must get the same features alone and in a batch.
    fn probe(&self, file: ModelFile, path: &Path, device: &Device) -> Result<String, CheckpointError> {
        let model = model_of(file, path, device)?;
        let shape = PictureShape {
            size: model.encoder.config().image_size,
            colours: model.encoder.config().colours,
        };
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        let glyphs = DatasetConfig::Embedded(GlyphsConfig {
            count: 1,
            validation_count: 2,
            ..GlyphsConfig::default()
        });
        let examples = match glyphs.load(shape) {
            Ok(Data::Pictures(pictures)) => pictures.validation.batch(&[0, 1]),
            Ok(Data::Clips(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let pixels = examples.map_err(|error| corrupt(error.to_string()))?;
        let pixels: Tensor<4> = crate::evaluate::pixels(&pixels, &model);
        let look = |pixels| {
            let seen = model
                .encoder
                .look_last(pixels, &Hidden::Nothing, evaluated(&model));
            let data = seen.map(|seen| seen.summary.into_data().convert::<f32>());
            data.map(|data| data.iter::<f32>().collect::<Vec<f32>>())
                .map_err(|error| corrupt(error.to_string()))
        };
        let (alone, together) = (look(pixels.clone().narrow(0, 1, 1))?, look(pixels)?);
        if !together.iter().all(|value| value.is_finite()) {
            return Err(corrupt("its features of a picture are not finite".into()));
        }
        let width = alone.len();
        let off = alone
            .iter()
            .zip(&together[width..])
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        if off > 1e-3 {
            return Err(corrupt(format!(
                "its features of a picture change by {off} when another one is in the batch"
            )));
        }
        Ok(format!(
            "{width} features of a glyph, the same alone and in a batch"
        ))
    }

    fn figures(&self, file: &ModelFile) -> Map<String, Value> {
        let Ok(config) = config_of(file.config.value()) else {
            return Map::new();
        };
        let encoder = &config.encoder;
        let flops = encoder.forward_flops(encoder.tokens(), encoder.n_levels);
        [
            ("parameters".to_string(), json!(config.parameters())),
            ("forward_flops_per_picture".to_string(), json!(flops)),
        ]
        .into_iter()
        .collect()
    }

    fn words(&self, file: &ModelFile) -> Vec<(String, String)> {
        let Ok(config) = config_of(file.config.value()) else {
            return Vec::new();
        };
        let encoder = &config.encoder;
        let flops = encoder.forward_flops(encoder.tokens(), encoder.n_levels) as f64 / 1e6;
        vec![(
            "forward".into(),
            format!("{flops:.1} MFLOP a picture, {} levels", encoder.n_levels),
        )]
    }

    fn run(&self, folder: &Path) -> Option<RunWords> {
        let config = run_config::<Vision>(folder).ok()?;
        let training = &config.training;
        Some(RunWords {
            data: config.dataset.in_words(),
            config: config_text::<Vision>(&config.without_places()).ok(),
            lines: vec![
                format!("objective: {}", ObjectiveConfig::name(&config.objective)),
                format!(
                    "{} pictures a batch, {} a step, seed {}",
                    training.batch_size, training.accumulate, training.seed
                ),
            ],
        })
    }

    fn card(&self, file: &ModelFile, id: &str) -> CardText {
        let config = config_of(file.config.value()).unwrap_or_default();
        let encoder = &config.encoder;
        let share = |key, label| Figure {
            key,
            label,
            digits: 3,
        };
        let (size, levels) = (encoder.image_size, encoder.evaluated());
        CardText {
            pipeline_tag: Some(match config.heads.classes {
                Some(_) => "image-classification",
                None => "image-feature-extraction",
            }),
            noun: "vision model".into(),
            about: format!(
                "It reads pictures of {size} x {size} pixels as a grid of patches. In each of {levels} levels with shared \
                 weights, patches read what patches have written."
            ),
            rows: vec![("levels".into(), levels.to_string())],
            figures: vec![
                share("val_accuracy", "share of held-out pictures right"),
                share(
                    "knn_accuracy",
                    "share right by nearest neighbours in its features",
                ),
                share(
                    "control_raw_pixels_knn",
                    "share right by nearest neighbours in pixels",
                ),
            ],
            usage: format!("```sh\ndragon pull {id}\ndragon predict {id} picture.png\n```"),
            limits: "Measured only on pictures like those of its training.".into(),
            imported_limits: "Nothing is known of how it was trained.".into(),
        }
    }
}
