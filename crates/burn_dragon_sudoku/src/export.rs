//! Sudoku models as files: tensors, companion files, probe and descriptions.

use crate::config::ModelConfig;
use crate::data::{GeneratorConfig, Split};
use crate::evaluate::answers;
use crate::family::Sudoku;
use crate::model::{SudokuModel, SudokuPass};
use crate::trm;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{
    CardText, CheckpointError, Companion, Figure, Kinds, ModelFile, ModelInfo, ModelKind, RunWords,
    TensorSpec,
};
use burn_dragon_core::api::expert::{load, snapshot};
use burn_dragon_train::api::expert::companions;
use burn_dragon_train::api::{config_text, run_config};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The family's name in files.
pub(crate) const FAMILY: &str = "sudoku";

/// Model kind of sudoku models.
pub static SUDOKU: SudokuKind = SudokuKind;

/// Model kind of the sudoku family.
#[derive(Clone, Copy, Debug)]
pub struct SudokuKind;

/// Model file of a model.
pub(crate) fn model_file(model: &SudokuModel, step: u64, units: u64) -> ModelFile {
    let info = ModelInfo {
        step,
        units,
        version: env!("CARGO_PKG_VERSION").into(),
        ..ModelInfo::default()
    };
    match ModelFile::new(FAMILY, model.config(), info, snapshot(model)) {
        Ok(file) => file,
        Err(error) => unreachable!("a checked configuration is JSON and weights are floats: {error}"),
    }
}

/// Builds the model of a file that was read from `path`.
///
/// # Errors
/// If the file is of another family, or its tensors do not match its configuration.
pub fn model_of(file: ModelFile, path: &Path, device: &Device) -> Result<SudokuModel, CheckpointError> {
    let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
    Kinds::new([&SUDOKU as &dyn ModelKind]).check(&file, path)?;
    let config = config_of(file.config.value()).map_err(corrupt)?;
    let mut weights = file.into_floats();
    let weight = |name: &str, _: &[usize]| match weights.remove(name) {
        Some(data) => data,
        None => unreachable!("`{name}` is one of the tensors that were checked"),
    };
    SudokuModel::from_weights(&config, device, weight).map_err(|error| corrupt(error.to_string()))
}

/// Loads the weights of a file into a model of the same shape.
///
/// # Errors
/// If the file is damaged or holds another model.
pub(crate) fn restore(model: SudokuModel, path: &Path) -> Result<SudokuModel, CheckpointError> {
    let file = ModelFile::read(path)?;
    let same = config_of(file.config.value()).is_ok_and(|config| config == *model.config());
    if file.family != FAMILY || !same {
        let (family, given) = (&file.family, file.config.text());
        let reason = format!(
            "it holds a model of {family} {given}, but the run has {FAMILY} {:?}",
            model.config()
        );
        return Err(CheckpointError::corrupt(path, reason));
    }
    file.check(&SUDOKU, path)?;
    let mut weights = file.into_floats();
    Ok(load(model, |name, _| weights.remove(name)))
}

/// A configuration of this family.
fn config_of(config: &Value) -> Result<ModelConfig, String> {
    if !config.is_object() {
        return Err("config: expected an object".into()); // of which serde would take a list, too
    }
    let config: ModelConfig = serde_json::from_value(config.clone()).map_err(|error| error.to_string())?;
    config.validate().map_err(|error| error.to_string())?;
    Ok(config)
}

impl ModelKind for SudokuKind {
    fn family(&self) -> &'static str {
        FAMILY
    }

    fn unit(&self) -> &'static str {
        "puzzles"
    }

    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String> {
        let tensors = config_of(config)?.tensors().into_iter();
        Ok(tensors
            .map(|tensor| TensorSpec::float(tensor.name, tensor.shape))
            .collect())
    }

    fn shape(&self, config: &Value) -> String {
        match config_of(config) {
            Ok(c) => c.in_words(),
            Err(error) => error,
        }
    }

    fn companions(&self, config: &Value) -> Vec<Companion> {
        let mut companions = companions(&self.tensors(config).unwrap_or_default());
        let config = config_of(config).unwrap_or_default();
        companions.extend(config.recursion().map(|_| trm::companion(&config)));
        companions
    }

    /// Probe: a held-out puzzle of the generator must get the same answer alone and in a batch.
    fn probe(&self, file: ModelFile, path: &Path, device: &Device) -> Result<String, CheckpointError> {
        let model = model_of(file, path, device)?;
        let generator = GeneratorConfig::default();
        let puzzles: Vec<_> = (0..2)
            .map(|index| generator.puzzle(Split::Validation, index).puzzle)
            .collect();
        let logits = model.logits_by_level(&puzzles, SudokuPass::default()).pop();
        let finite = logits.is_some_and(|logits| {
            let values = logits.into_data().convert::<f32>();
            values.iter::<f32>().all(f32::is_finite)
        });
        if !finite {
            return Err(CheckpointError::corrupt(
                path,
                "its logits on a puzzle are not finite".to_string(),
            ));
        }
        let levels = model.config().evaluated();
        let (alone, together) = (
            answers(&model, &puzzles[1..], levels),
            answers(&model, &puzzles, levels),
        );
        if alone[0] != together[1] {
            let reason = "its answer to a puzzle changes when another puzzle is in the batch".to_string();
            return Err(CheckpointError::corrupt(path, reason));
        }
        let answer = alone[0];
        let right = match (answer.is_solved(), answer.conflict()) {
            (true, _) => "solved".to_string(),
            (false, Some(conflict)) => format!("not solved, {conflict}"),
            (false, None) => "not solved".to_string(),
        };
        Ok(format!(
            "a puzzle of the generator ({} givens): {right}",
            answer.puzzle.filled()
        ))
    }

    fn figures(&self, file: &ModelFile) -> Map<String, Value> {
        let Ok(config) = config_of(file.config.value()) else {
            return Map::new();
        };
        let flops = json!(config.forward_flops(config.trained()));
        [
            ("parameters".to_string(), json!(config.parameters())),
            ("forward_flops_per_puzzle".to_string(), flops),
        ]
        .into_iter()
        .collect()
    }

    fn words(&self, file: &ModelFile) -> Vec<(String, String)> {
        let Ok(config) = config_of(file.config.value()) else {
            return Vec::new();
        };
        let flops = config.forward_flops(config.trained()) as f64 / 1e6;
        vec![(
            "forward".into(),
            format!(
                "{flops:.1} MFLOP a puzzle, {} {}",
                config.trained(),
                config.steps_in_words()
            ),
        )]
    }

    fn run(&self, folder: &Path) -> Option<RunWords> {
        let config = run_config::<Sudoku>(folder).ok()?;
        let training = &config.training;
        Some(RunWords {
            data: config.dataset.in_words(),
            config: config_text::<Sudoku>(&config.without_places()).ok(),
            lines: vec![format!(
                "{} puzzles a batch, {} a step, seed {}",
                training.batch_size, training.accumulate, training.seed
            )],
        })
    }

    fn card(&self, file: &ModelFile, id: &str) -> CardText {
        let config = config_of(file.config.value()).unwrap_or_default();
        let (levels, reads, steps) = (config.evaluated(), config.reads(), config.steps_in_words());
        let share = |key, label| Figure {
            key,
            label,
            digits: 3,
        };
        CardText {
            pipeline_tag: None,
            noun: "sudoku model".into(),
            about: format!(
                "It fills all empty cells of a puzzle at once. In each of {levels} {steps} with shared weights, {reads}."
            ),
            rows: vec![(steps.into(), levels.to_string())],
            figures: vec![
                share("cell_accuracy", "share of empty cells right"),
                share("solved", "share of puzzles solved"),
                share("control_naked_solved", "share that naked singles solve"),
            ],
            usage: format!("```sh\ndragon pull {id}\ndragon predict {id} puzzles.txt\n```"),
            limits: "Measured only on puzzles like the training puzzles, all of which an exact solver solves; not on \
                     harder ones."
                .into(),
            imported_limits: "Nothing is known of how it was trained.".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GlimpseConfig, ModelType, Tokens};
    use burn_dragon_core::api::expert::snapshot;

    fn model() -> SudokuModel {
        let config = ModelConfig {
            d_model: 16,
            n_neurons: 32,
            n_levels: 2,
            ..ModelConfig::default()
        };
        SudokuModel::new(&config, 1, &Device::flex()).unwrap()
    }

    #[test]
    fn a_model_comes_back_from_its_file_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (model, path) = (model(), folder.path().join("model.bpk"));
        model_file(&model, 3, 96).write(&path).unwrap();
        let file = ModelFile::read(&path).unwrap();
        assert_eq!(
            (file.family.as_str(), file.info.step, file.info.units),
            ("sudoku", 3, 96)
        );
        let again = model_of(file, &path, &Device::flex()).unwrap();
        assert_eq!(
            (again.config(), snapshot(&again)),
            (model.config(), snapshot(&model))
        );
        let other = SudokuModel::new(model.config(), 2, &Device::flex()).unwrap();
        assert_ne!(snapshot(&other), snapshot(&model));
        assert_eq!(snapshot(&restore(other, &path).unwrap()), snapshot(&model));
    }

    #[test]
    fn a_policy_is_in_the_file_and_a_file_without_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bpk");
        let config = ModelConfig {
            kind: ModelType::Saccade,
            tokens: Tokens::Candidates,
            glimpse: Some(GlimpseConfig { levels: 2, cells: 9 }),
            ..model().config().clone()
        };
        let model = SudokuModel::new(&config, 1, &Device::flex()).unwrap();
        model_file(&model, 3, 96).write(&path).unwrap();
        let again = model_of(ModelFile::read(&path).unwrap(), &path, &Device::flex()).unwrap();
        assert_eq!((again.config(), snapshot(&again)), (&config, snapshot(&model)));
        assert!(
            SUDOKU
                .shape(ModelFile::read(&path).unwrap().config.value())
                .contains("9 cells every 2 levels")
        );
        assert!(
            SUDOKU
                .probe(model_file(&model, 0, 0), &path, &Device::flex())
                .is_ok()
        );
        let mut file = ModelFile::read(&path).unwrap();
        file.tensors.remove("policy");
        let error = model_of(file, &path, &Device::flex()).unwrap_err().to_string();
        assert!(error.contains("policy"), "{error}");
    }

    #[test]
    fn another_model_is_refused_with_both() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bpk");
        let model = model();
        model_file(&model, 3, 96).write(&path).unwrap();
        let deeper = ModelConfig {
            n_levels: 3,
            ..model.config().clone()
        };
        let deeper = SudokuModel::new(&deeper, 1, &Device::flex()).unwrap();
        let error = restore(deeper, &path).unwrap_err().to_string();
        assert!(
            error.contains("\"n_levels\":2") && error.contains("n_levels: 3"),
            "{error}"
        );
        let mut file = ModelFile::read(&path).unwrap();
        file.family = "language".into();
        let error = model_of(file, &path, &Device::flex()).unwrap_err().to_string();
        assert!(error.contains("language") && error.contains("sudoku"), "{error}");
        let mut file = ModelFile::read(&path).unwrap();
        file.tensors.remove("boxes");
        let error = model_of(file, &path, &Device::flex()).unwrap_err().to_string();
        assert!(error.contains("boxes"), "{error}");
    }

    #[test]
    fn a_stranger_s_configuration_is_refused_and_never_panics() {
        for config in [
            json!({}),
            json!({ "d_model": 16, "n_heads": 0 }),
            json!({ "n_neurons": 33 }),
            json!({ "n_levels": u64::MAX }),
            json!({ "vocab_size": 256 }),
            json!([]),
            json!({ "d_model": usize::MAX, "n_neurons": usize::MAX }),
        ] {
            let tensors = SUDOKU.tensors(&config);
            assert!(tensors.is_err() || config == json!({}), "{config}: {tensors:?}");
            SUDOKU.shape(&config);
            SUDOKU.companions(&config);
        }
    }

    #[test]
    fn the_probe_reads_a_puzzle_and_finds_what_is_not_finite() {
        let path = Path::new("model.bpk");
        let words = SUDOKU
            .probe(model_file(&model(), 0, 0), path, &Device::flex())
            .unwrap();
        assert!(
            words.contains("givens") && words.contains("not solved"),
            "{words}"
        );
        // Finite weights whose products are not.
        let huge = load(model(), |_, shape| {
            let size = shape.iter().product();
            Some(burn::tensor::TensorData::new(vec![3e38f32; size], shape.to_vec()))
        });
        let error = SUDOKU
            .probe(model_file(&huge, 0, 0), path, &Device::flex())
            .unwrap_err();
        assert!(error.to_string().contains("finite"), "{error}");
    }
}
