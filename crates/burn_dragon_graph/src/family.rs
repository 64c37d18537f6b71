//! The graph family as a family of models.

use crate::config::GraphConfig;
use crate::data::{DatasetConfig, Target};
use crate::export::{self, GRAPH};
use crate::model::GraphDragon;
use crate::motion::{self, Motion};
use crate::predict;
use crate::report;
use crate::task::GraphTask;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{ModelFile, ModelKind};
use burn_dragon_core::api::{FreeMemory, MemoryError};
use burn_dragon_train::api::expert::{bytes, count};
use burn_dragon_train::api::{
    At, Base, Evaluation, Family, Next, Outcome, Plan, PredictRequest, Predictions, Preset, RunFolder, Task,
    TrainError,
};
use serde_json::{Map, Value, json};

/// Default run.
pub(crate) const BASE: Base = Base {
    path: "config/graph/base.toml",
    text: include_str!("../config/base.toml"),
    minutes: 1.5,
    first: &[],
};

/// Example graph for the first prediction.
const EXAMPLE: &str = "'{\"edges\": [[0, 1], [1, 2], [2, 3], [0, 4]], \"source\": 0}'";

/// Experiment with a name.
const PRESETS: &[Preset] = &[Preset {
    name: "nbody",
    about: "bodies joined by springs: the next frame, and roll-outs of 50",
    path: "config/graph/nbody.toml",
    text: include_str!("../config/nbody.toml"),
}];

/// Two bodies at rest as an example for the first prediction.
fn two_bodies(motion: &Motion) -> String {
    let body = |x: f32| {
        let mut numbers = vec![0.0; motion.inputs.width()];
        numbers[0] = x;
        numbers
    };
    let frames = vec![[body(-1.0), body(1.0)]; motion.observed_frames];
    format!("'{}' --steps 3", json!({ "edges": [[0, 1]], "frames": frames }))
}

/// Names in a summary, and the metrics that they are.
const LABELS: [(&str, &str); 4] = [
    ("val_accuracy", "label_accuracy"),
    ("val_graphs_right", "graphs_right"),
    ("test_accuracy", "test_label_accuracy"),
    ("test_graphs_right", "test_graphs_right"),
];
/// The same for bodies.
const MOTION: [(&str, &str); 4] = [
    ("val_step_mse", "mse_at_frame_0001"),
    ("val_rollout_mse", "rollout_mse"),
    ("test_step_mse", "test_mse_at_frame_0001"),
    ("test_rollout_mse", "test_rollout_mse"),
];

/// Graph models.
#[derive(Clone, Copy, Debug)]
pub struct GraphFamily;

impl Family for GraphFamily {
    const NAME: &'static str = "graph";
    const BASE: Base = BASE;
    const PRESETS: &'static [Preset] = PRESETS;
    type Config = GraphConfig;
    type Task = GraphTask;

    fn kind() -> &'static dyn ModelKind {
        &GRAPH
    }

    fn plan(config: &GraphConfig) -> Plan {
        config.plan()
    }

    fn faults(config: &GraphConfig) -> Vec<TrainError> {
        let mut faults = config.plan().faults();
        faults.extend(config.validate().err().map(TrainError::from));
        faults
    }

    fn task(config: &mut GraphConfig, at: &At<'_>) -> Result<GraphTask, TrainError> {
        config.dataset.make_absolute(at.folder);
        if let Some(line) = config.training.precision.settle(at.device, None) {
            at.output.tell(&line);
        }
        Ok(GraphTask::new(config, at.device)?)
    }

    fn settings_of(model: &ModelFile) -> Result<Map<String, Value>, String> {
        export::settings(model.config.value())
    }

    fn check_memory(_config: &GraphConfig, _device: &Device, _memory: FreeMemory) -> Result<(), MemoryError> {
        Ok(()) // it depends on the sizes of the graphs
    }

    fn introduce(task: &GraphTask) -> Vec<String> {
        let (config, data) = (task.config(), task.data());
        let (model, training) = (&config.model, &config.training);
        let sizes = [&data.train, &data.validation, &data.test].map(|part| {
            let labels = part.iter().map(|example| example.labels.count() as u64).sum();
            count(labels)
        });
        let [train, validation, test] = sizes;
        let noun = data.schema.target.noun();
        vec![
            format!(
                "model  {} levels, width {}, {} heads, {} neurons: {} parameters",
                model.n_levels,
                model.d_model,
                model.n_heads,
                model.n_neurons,
                count(task.model_config().parameters())
            ),
            format!(
                "data   {} graphs; {noun} with a label: {train} for training, {validation} for validation, {test} for \
                 test; {} {}: {}",
                count(data.train.len() as u64),
                data.schema.classes.len(),
                data.schema.target.outputs(),
                config.dataset.in_words()
            ),
            format!(
                "steps  {} graphs a batch, {} a step, about {} of memory a step",
                training.batch_size,
                training.accumulate,
                bytes(task.bytes_per_step())
            ),
        ]
    }

    fn facts(task: &GraphTask) -> Map<String, Value> {
        let data = task.data();
        let parts = [
            ("train", &data.train),
            ("validation", &data.validation),
            ("test", &data.test),
        ];
        let mut facts = Map::new();
        for (part, examples) in parts {
            let labels: usize = examples.iter().map(|example| example.labels.count()).sum();
            facts.insert(format!("{part}_graphs"), json!(examples.len()));
            facts.insert(format!("{part}_labels"), json!(labels));
        }
        facts.insert(
            data.schema.target.outputs().into(),
            json!(data.schema.classes.len()),
        );
        facts
    }

    fn measured(task: &GraphTask, evaluation: Option<&Evaluation>) -> Map<String, Value> {
        let metrics = evaluation.map(|evaluation| &evaluation.metrics);
        let value = |key: &str| json!(metrics.and_then(|metrics| metrics.get(key).copied()));
        let (mut summary, names) = match task.data().schema.target {
            Target::Motion(_) => (metrics.map(motion::object).unwrap_or_default(), MOTION),
            _ => (metrics.map(report::object).unwrap_or_default(), LABELS),
        };
        summary.extend(names.map(|(name, key)| (name.to_string(), value(key))));
        summary
    }

    fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
        predict::predict(file, request)
    }

    fn next(
        task: &GraphTask,
        _model: &GraphDragon,
        _outcome: &Outcome,
        run: &RunFolder,
    ) -> Result<Option<Next>, TrainError> {
        let input = match (task.data().schema.target.motion(), &task.config().dataset) {
            (Some(motion), _) => two_bodies(&motion),
            (None, DatasetConfig::Embedded(_)) => EXAMPLE.into(),
            _ => "graph.json".into(),
        };
        Ok(Some(Next {
            command: format!("predict {} {input}", run.path().display()),
            answer: None,
        }))
    }
}
