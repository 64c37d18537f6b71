//! The vision family as a family of models.

use crate::config::VisionConfig;
use crate::export::{ENCODERS, VISION};
use crate::look;
use crate::model::VisionModel;
use crate::predict;
use crate::report;
use crate::task::{ONE, VisionTask};
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{ModelFile, ModelKind};
use burn_dragon_core::api::{FreeMemory, MemoryError, Need, TensorShape};
use burn_dragon_train::api::expert::{bytes, count};
use burn_dragon_train::api::{
    At, Base, Evaluation, Family, Look, LookRequest, Next, Outcome, Plan, PredictRequest, Predictions,
    RunFolder, Task, TrainError,
};
use serde_json::{Map, Value, json};

/// Default run.
pub(crate) const BASE: Base = Base {
    path: "config/vision/base.toml",
    text: include_str!("../config/base.toml"),
    minutes: 3.8,
    first: &[],
};

/// Vision models.
#[derive(Clone, Copy, Debug)]
pub struct Vision;

impl Family for Vision {
    const NAME: &'static str = "vision";
    const BASE: Base = BASE;
    const FILES: &'static [&'static str] = &[ENCODERS];
    const SAMPLE: &'static str = "held-out pictures: class, and the answer of the model";
    type Config = VisionConfig;
    type Task = VisionTask;

    fn kind() -> &'static dyn ModelKind {
        &VISION
    }

    fn plan(config: &VisionConfig) -> Plan {
        config.plan()
    }

    fn faults(config: &VisionConfig) -> Vec<TrainError> {
        let mut faults = config.plan().faults();
        faults.extend(config.validate().err().map(TrainError::from));
        faults
    }

    fn task(config: &mut VisionConfig, at: &At<'_>) -> Result<VisionTask, TrainError> {
        config.dataset.make_absolute(at.folder);
        config.objective.make_absolute(at.folder);
        if let Some(line) = config.training.precision.settle(at.device, None) {
            at.output.tell(&line);
        }
        Ok(VisionTask::new(config, at.device)?)
    }

    fn settings_of(model: &ModelFile) -> Result<Map<String, Value>, String> {
        let config = model.config.value().get("encoder").and_then(Value::as_object);
        config
            .cloned()
            .ok_or_else(|| "config: expected a table `encoder`".into())
    }

    fn least_tensors(config: &VisionConfig) -> Vec<TensorShape> {
        config.model.tensors()
    }

    fn check_memory(config: &VisionConfig, _device: &Device, memory: FreeMemory) -> Result<(), MemoryError> {
        let pictures = config.training.batch_size;
        let need = Need::of("a training step").with("in all", config.step_bytes(pictures));
        memory.check(&need, || {
            let bytes = |pictures: u64| config.step_bytes(pictures as usize);
            match memory.largest(pictures as u64, bytes) {
                Some(fits) => format!("training.batch_size = {fits} fits"),
                None => "use a smaller model".into(),
            }
        })
    }

    fn introduce(task: &VisionTask) -> Vec<String> {
        let (config, data) = (task.config(), task.data());
        let ([train, validation], things) = (data.sizes(), data.things());
        let training = &config.training;
        vec![
            format!(
                "model  {}: {} parameters",
                config.model.in_words(),
                count(task.model().parameters())
            ),
            format!(
                "data   {} {things} for training, {} for validation, {} classes: {}",
                count(train as u64),
                count(validation as u64),
                data.classes().len(),
                config.dataset.in_words()
            ),
            format!(
                "steps  {}: {} {things} a batch, {} a step, about {} of memory a step",
                config.objective.name(),
                training.batch_size,
                training.accumulate,
                bytes(task.bytes_per_step())
            ),
        ]
    }

    fn notes(task: &VisionTask) -> Vec<String> {
        task.data().notes().to_vec()
    }

    fn facts(task: &VisionTask) -> Map<String, Value> {
        let ([train, validation], things) = (task.data().sizes(), task.data().things());
        [
            (format!("train_{things}"), json!(train)),
            (format!("validation_{things}"), json!(validation)),
            ("classes".to_string(), json!(task.data().classes())),
        ]
        .into_iter()
        .collect()
    }

    fn measured(_task: &VisionTask, evaluation: Option<&Evaluation>) -> Map<String, Value> {
        let metrics = evaluation.map(|evaluation| &evaluation.metrics);
        let mut summary = metrics.map(report::object).unwrap_or_default();
        for key in [report::ACCURACY, report::NEIGHBOURS] {
            summary.entry(key).or_insert(Value::Null);
        }
        summary
    }

    fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
        predict::predict(file, request)
    }

    fn look(file: ModelFile, request: &LookRequest) -> Result<Look, TrainError> {
        look::look(file, request)
    }

    fn next(
        task: &VisionTask,
        _model: &VisionModel,
        outcome: &Outcome,
        run: &RunFolder,
    ) -> Result<Option<Next>, TrainError> {
        let is_classifier = task.model().heads.classes.is_some();
        let (folder, step) = (run.path().display(), outcome.steps);
        Ok(is_classifier.then(|| Next {
            command: format!("predict {folder} {folder}/samples/step-{step:06}/{ONE}"),
            answer: None,
        }))
    }
}
