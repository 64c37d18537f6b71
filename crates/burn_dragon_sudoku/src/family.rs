//! The sudoku family as a family of models.

use crate::config::SudokuConfig;
use crate::export::SUDOKU;
use crate::model::SudokuModel;
use crate::predict;
use crate::report;
use crate::task::SudokuTask;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{ModelFile, ModelKind};
use burn_dragon_core::api::{FreeMemory, MemoryError, Need, TensorShape};
use burn_dragon_train::api::expert::{bytes, count};
use burn_dragon_train::api::{
    At, Base, Evaluation, Family, Next, Outcome, Plan, PredictRequest, Predictions, RunFolder, Task,
    TrainError,
};
use serde_json::{Map, Value, json};

/// Default run.
pub(crate) const BASE: Base = Base {
    path: "config/sudoku/base.toml",
    text: include_str!("../config/base.toml"),
    minutes: 3.8,
    first: &[],
};

/// Example puzzle for the first prediction: the first held-out puzzle of the default run.
const EXAMPLE: &str = "7.4....2.21...46.8..3.2.71...56..1.9621...47..9714.25.9..4.736247.23....1..98...7";

/// Sudoku models.
#[derive(Clone, Copy, Debug)]
pub struct Sudoku;

impl Family for Sudoku {
    const NAME: &'static str = "sudoku";
    const BASE: Base = BASE;
    const SAMPLE: &'static str =
        "a held-out puzzle, and the answer of the model (wrong digits in parentheses)";
    type Config = SudokuConfig;
    type Task = SudokuTask;

    fn kind() -> &'static dyn ModelKind {
        &SUDOKU
    }

    fn plan(config: &SudokuConfig) -> Plan {
        config.plan()
    }

    fn faults(config: &SudokuConfig) -> Vec<TrainError> {
        let mut faults = config.plan().faults();
        let checks = [config.dataset.validate(), config.validate()]
            .into_iter()
            .filter_map(Result::err);
        faults.extend(checks.map(TrainError::from));
        faults
    }

    fn task(config: &mut SudokuConfig, at: &At<'_>) -> Result<SudokuTask, TrainError> {
        config.dataset.make_absolute(at.folder);
        config.policy = config.policy.clone().or_else(|| config.policy());
        if let Some(line) = config.training.precision.settle(at.device, None) {
            at.output.tell(&line);
        }
        Ok(SudokuTask::new(config, at.device)?)
    }

    fn least_tensors(config: &SudokuConfig) -> Vec<TensorShape> {
        config.model.tensors()
    }

    fn check_memory(config: &SudokuConfig, _device: &Device, memory: FreeMemory) -> Result<(), MemoryError> {
        let puzzles = config.training.batch_size;
        let need = Need::of("a training step").with("in all", config.training_bytes(puzzles));
        memory.check(&need, || {
            let bytes = |puzzles: u64| config.training_bytes(puzzles as usize);
            match memory.largest(puzzles as u64, bytes) {
                Some(fits) => format!("training.batch_size = {fits} fits"),
                None => "use a smaller model".into(),
            }
        })
    }

    fn introduce(task: &SudokuTask) -> Vec<String> {
        let (config, puzzles) = (task.config(), task.puzzles());
        let (model, training) = (&config.model, &config.training);
        vec![
            format!(
                "model  {}: {} parameters",
                model.in_words(),
                count(model.parameters())
            ),
            format!(
                "data   {} puzzles for training, {} for validation: {}",
                count(puzzles.train.len() as u64),
                count(puzzles.validation.len() as u64),
                config.dataset.in_words()
            ),
            format!(
                "steps  {} puzzles a batch, {} a step, about {} of memory a step",
                training.batch_size,
                training.accumulate,
                bytes(task.bytes_per_step())
            ),
        ]
    }

    fn notes(task: &SudokuTask) -> Vec<String> {
        match task.puzzles().left_out {
            0 => Vec::new(),
            count => vec![format!(
                "note: {count} training puzzles are left out: a symmetry maps their solutions to held-out ones"
            )],
        }
    }

    fn facts(task: &SudokuTask) -> Map<String, Value> {
        let puzzles = task.puzzles();
        [
            ("train_puzzles", puzzles.train.len()),
            ("validation_puzzles", puzzles.validation.len()),
            ("left_out_puzzles", puzzles.left_out),
        ]
        .map(|(key, count)| (key.to_string(), json!(count)))
        .into_iter()
        .collect()
    }

    fn measured(_task: &SudokuTask, evaluation: Option<&Evaluation>) -> Map<String, Value> {
        let metrics = evaluation.map(|evaluation| &evaluation.metrics);
        let value = |key: &str| metrics.and_then(|metrics| metrics.get(key).copied());
        let mut summary = metrics.map(report::object).unwrap_or_default();
        for key in ["cell_accuracy", "solved"] {
            summary.insert(key.into(), json!(value(key)));
        }
        for key in ["halted", "halted_right", "supervision_steps"] {
            summary.extend(value(key).map(|value| (key.to_string(), json!(value))));
        }
        summary
    }

    fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
        predict::predict(file, request)
    }

    fn next(
        _task: &SudokuTask,
        _model: &SudokuModel,
        _outcome: &Outcome,
        run: &RunFolder,
    ) -> Result<Option<Next>, TrainError> {
        Ok(Some(Next {
            command: format!("predict {} {EXAMPLE}", run.path().display()),
            answer: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DatasetConfig, GeneratorConfig, Split};
    use burn::tensor::Device;
    use burn_dragon_train::api::{Layers, TrainingPrecision, config_text, resolve};
    use std::path::Path;

    #[test]
    fn the_puzzle_to_try_is_held_out_by_the_default_run() {
        let layers = Layers::new().embedded(BASE.path, BASE.text).unwrap();
        let config = resolve::<Sudoku>(layers).unwrap().value;
        let DatasetConfig::Embedded(generator) = config.dataset else {
            panic!("the default run makes its puzzles")
        };
        let pair = generator.puzzle(Split::Validation, 0);
        assert_eq!(format!("{:#}", pair.puzzle), EXAMPLE);
    }

    #[test]
    fn the_configuration_that_a_run_saves_names_a_precision() {
        let mut config = SudokuConfig {
            dataset: DatasetConfig::Embedded(GeneratorConfig {
                puzzles: 10,
                validation_puzzles: 9,
                givens: [50, 60].into(),
                ..GeneratorConfig::default()
            }),
            ..SudokuConfig::default()
        };
        config.training.precision = TrainingPrecision::Auto;
        let device = Device::flex().autodiff();
        let task = Sudoku::task(&mut config, &At::new(&device, Path::new("."))).unwrap();
        let precision = config.training.precision.concrete().unwrap();
        assert_eq!(task.config().training.precision, precision.into());
        let text = config_text::<Sudoku>(&config).unwrap();
        assert!(text.contains(&format!("precision = \"{precision}\"")), "{text}");
    }
}
