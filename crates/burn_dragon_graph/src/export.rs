//! Graph models as files: tensors, companion files, probe and descriptions.

use crate::config::ModelConfig;
use crate::data::{GeneratorConfig, Part, Schema};
use crate::evaluate::{NodeModel, likeliest};
use crate::family::GraphFamily;
use crate::graph::Graph;
use crate::model::{GraphDragon, GraphDragonConfig, GraphPass};
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
pub(crate) const FAMILY: &str = "graph";
/// Keys of the schema among those of the model.
const OF_DATA: [&str; 4] = ["features", "classes", "target", "coding"];
/// Largest number of features or classes.
const MOST: usize = 1 << 24;

/// Model kind of graph models.
pub static GRAPH: GraphKind = GraphKind;

/// Model kind of the graph family.
#[derive(Clone, Copy, Debug)]
pub struct GraphKind;

/// Configuration as in a file: the sizes of the model, and `features`, `classes` and `target` of its data.
fn object_of(config: &GraphDragonConfig) -> Value {
    let object = |value: Result<Value, serde_json::Error>| match value {
        Ok(Value::Object(object)) => object,
        other => unreachable!("a table of the configuration is an object: {other:?}"),
    };
    let mut all = object(serde_json::to_value(&config.model));
    all.extend(object(serde_json::to_value(&config.schema)));
    Value::Object(all)
}

/// Table `[model]` of a configuration in a file.
pub(crate) fn settings(config: &Value) -> Result<Map<String, Value>, String> {
    let object = config.as_object().ok_or("config: expected an object")?;
    let own = object.iter().filter(|(key, _)| !OF_DATA.contains(&key.as_str()));
    Ok(own.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// A configuration of this family.
fn config_of(config: &Value) -> Result<GraphDragonConfig, String> {
    let model: ModelConfig =
        serde_json::from_value(Value::Object(settings(config)?)).map_err(|e| e.to_string())?;
    let data = OF_DATA.map(|key| (key.to_string(), config[key].clone()));
    let schema: Schema =
        serde_json::from_value(Value::Object(data.into_iter().collect())).map_err(|e| e.to_string())?;
    let (features, classes) = (schema.features, schema.classes.len());
    if !(1..=MOST).contains(&features) || !(1..=MOST).contains(&classes) {
        return Err(format!(
            "{features} features and {classes} classes; expected from 1 to {MOST} of each"
        ));
    }
    if let Some(motion) = schema.target.motion() {
        motion.check(features, &schema.classes)?;
    }
    if let Some(coding) = &schema.coding {
        coding.check(features)?;
    }
    model.validate().map_err(|error| error.to_string())?;
    Ok(GraphDragonConfig { model, schema })
}

/// Model file of a model.
pub(crate) fn model_file(model: &GraphDragon, step: u64, units: u64) -> ModelFile {
    let info = ModelInfo {
        step,
        units,
        version: env!("CARGO_PKG_VERSION").into(),
        ..ModelInfo::default()
    };
    match ModelFile::new(FAMILY, &object_of(model.config()), info, snapshot(model)) {
        Ok(file) => file,
        Err(error) => unreachable!("a checked configuration is JSON and weights are floats: {error}"),
    }
}

/// Builds the model of a file that was read from `path`.
///
/// # Errors
/// If the file is of another family, or its tensors do not match its configuration.
pub fn model_of(file: ModelFile, path: &Path, device: &Device) -> Result<GraphDragon, CheckpointError> {
    let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
    Kinds::new([&GRAPH as &dyn ModelKind]).check(&file, path)?;
    let config = config_of(file.config.value()).map_err(corrupt)?;
    let mut weights = file.into_floats();
    let weight = |name: &str, _: &[usize]| match weights.remove(name) {
        Some(data) => data,
        None => unreachable!("`{name}` is one of the tensors that were checked"),
    };
    GraphDragon::from_weights(&config, device, weight).map_err(|error| corrupt(error.to_string()))
}

/// Loads the weights of a file into a model of the same shape.
///
/// # Errors
/// If the file is damaged or holds another model.
pub(crate) fn restore(model: GraphDragon, path: &Path) -> Result<GraphDragon, CheckpointError> {
    let file = ModelFile::read(path)?;
    let same = config_of(file.config.value()).is_ok_and(|config| config == *model.config());
    if file.family != FAMILY || !same {
        let (family, given) = (&file.family, file.config.text());
        let own = object_of(model.config());
        let reason = format!("it holds a model of {family} {given}, but the run has {FAMILY} {own}");
        return Err(CheckpointError::corrupt(path, reason));
    }
    file.check(&GRAPH, path)?;
    let mut weights = file.into_floats();
    Ok(load(model, |name, _| weights.remove(name)))
}

/// Two random graphs with features that the model knows.
fn probes(schema: &Schema) -> [Graph; 2] {
    let generator = GeneratorConfig::default();
    [0, 1].map(|index| {
        let graph = generator.example(Part::Validation, index).graph;
        let feature = |node: usize| vec![(node % schema.features) as u32];
        graph.with_features((0..graph.nodes()).map(feature).collect())
    })
}

impl ModelKind for GraphKind {
    fn family(&self) -> &'static str {
        FAMILY
    }

    fn unit(&self) -> &'static str {
        "graphs"
    }

    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String> {
        let tensors = config_of(config)?.tensors().into_iter();
        Ok(tensors
            .map(|tensor| TensorSpec::float(tensor.name, tensor.shape))
            .collect())
    }

    fn shape(&self, config: &Value) -> String {
        match config_of(config) {
            Ok(GraphDragonConfig { model, schema }) => format!(
                "{} levels, width {}, {} heads, {} neurons, {} features, {} {} of {}",
                model.n_levels,
                model.d_model,
                model.n_heads,
                model.n_neurons,
                schema.features,
                schema.classes.len(),
                schema.target.outputs(),
                schema.target.noun()
            ),
            Err(error) => error,
        }
    }

    fn companions(&self, config: &Value) -> Vec<Companion> {
        companions(&self.tensors(config).unwrap_or_default())
    }

    /// Probe: a random graph must get the same answer alone and beside another one.
    fn probe(&self, file: ModelFile, path: &Path, device: &Device) -> Result<String, CheckpointError> {
        let corrupt = |reason: &str| CheckpointError::corrupt(path, reason.to_string());
        let model = model_of(file, path, device)?;
        let [first, second] = probes(&model.config().schema);
        let logits = |graphs: &[&Graph]| {
            let input = model.input(graphs).map_err(|error| corrupt(&error.to_string()))?;
            let last = model.logits_by_level(&input, GraphPass::default()).pop();
            last.ok_or_else(|| corrupt("it has no level"))
        };
        let (alone, together) = (logits(&[&second])?, logits(&[&first, &second])?);
        let values = together.clone().into_data().convert::<f32>();
        if !values.iter::<f32>().all(f32::is_finite) {
            return Err(corrupt("its logits on a graph are not finite"));
        }
        let outputs = model.config().schema.target.outputs();
        let (alone, together) = (likeliest(alone), likeliest(together));
        if !together.ends_with(&alone) {
            return Err(corrupt(
                "its answer to a graph changes when another graph is in the batch",
            ));
        }
        let classes: std::collections::BTreeSet<u32> = alone.into_iter().collect();
        Ok(format!(
            "a random graph of {} nodes: {} different {outputs}",
            second.nodes(),
            classes.len()
        ))
    }

    fn figures(&self, file: &ModelFile) -> Map<String, Value> {
        let Ok(config) = config_of(file.config.value()) else {
            return Map::new();
        };
        let flops = json!(config.forward_flops(config.model.n_levels, 1, 0));
        [
            ("parameters".to_string(), json!(config.parameters())),
            ("forward_flops_per_node".to_string(), flops),
        ]
        .into_iter()
        .collect()
    }

    fn words(&self, file: &ModelFile) -> Vec<(String, String)> {
        let Ok(config) = config_of(file.config.value()) else {
            return Vec::new();
        };
        let levels = config.model.n_levels;
        let of = |nodes, edges| config.forward_flops(levels, nodes, edges) as f64 / 1e3;
        let (node, edge) = (of(1, 0), of(0, 1));
        vec![(
            "forward".into(),
            format!("{node:.1} kFLOP a node and {edge:.1} kFLOP an edge, {levels} levels"),
        )]
    }

    fn run(&self, folder: &Path) -> Option<RunWords> {
        let config = run_config::<GraphFamily>(folder).ok()?;
        let training = &config.training;
        Some(RunWords {
            data: config.dataset.in_words(),
            config: config_text::<GraphFamily>(&config.without_places()).ok(),
            lines: vec![format!(
                "{} graphs a batch, {} a step, seed {}",
                training.batch_size, training.accumulate, training.seed
            )],
        })
    }

    fn card(&self, file: &ModelFile, id: &str) -> CardText {
        let levels = config_of(file.config.value()).map_or(0, |config| config.model.n_levels);
        let share = |key, label| Figure {
            key,
            label,
            digits: 3,
        };
        CardText {
            pipeline_tag: None,
            noun: "graph model".into(),
            about: format!(
                "Each node of a graph has a memory. In each of {levels} levels with shared weights, a node writes into its \
                 memory and reads those of its neighbours."
            ),
            rows: vec![("levels".into(), levels.to_string())],
            figures: vec![
                share("label_accuracy", "share of labels right"),
                share("test_label_accuracy", "share of labels right on the test part"),
                share(
                    "control_majority_label_accuracy",
                    "share of the most frequent class",
                ),
                share(
                    "step_mse_of_constant_velocity",
                    "squared error of the next frame, of that of constant velocity",
                ),
            ],
            usage: format!("```sh\ndragon pull {id}\ndragon predict {id} graph.json\n```"),
            limits: "Measured only on graphs like the training graphs.".into(),
            imported_limits: "Nothing is known of how it was trained.".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    fn model() -> GraphDragon {
        let config = GraphDragonConfig {
            model: ModelConfig {
                d_model: 16,
                n_neurons: 32,
                n_levels: 2,
                ..ModelConfig::default()
            },
            schema: GeneratorConfig::default().schema(),
        };
        GraphDragon::new(&config, 1, &Device::flex()).unwrap()
    }

    #[test]
    fn a_model_comes_back_from_its_file_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (model, path) = (model(), folder.path().join("model.bpk"));
        model_file(&model, 3, 96).write(&path).unwrap();
        let file = ModelFile::read(&path).unwrap();
        assert_eq!(
            (file.family.as_str(), file.info.step, file.info.units),
            ("graph", 3, 96)
        );
        assert_eq!(settings(file.config.value()).unwrap()["d_model"], 16);
        let again = model_of(file, &path, &Device::flex()).unwrap();
        assert_eq!(
            (again.config(), snapshot(&again)),
            (model.config(), snapshot(&model))
        );
        let other = GraphDragon::new(model.config(), 2, &Device::flex()).unwrap();
        assert_ne!(snapshot(&other), snapshot(&model));
        assert_eq!(snapshot(&restore(other, &path).unwrap()), snapshot(&model));
    }

    #[test]
    fn another_model_is_refused_with_both() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bpk");
        model_file(&model(), 3, 96).write(&path).unwrap();
        let mut config = model().config().clone();
        config.model.n_levels = 3;
        let deeper = GraphDragon::new(&config, 1, &Device::flex()).unwrap();
        let error = restore(deeper, &path).unwrap_err().to_string();
        assert!(
            error.contains("\"n_levels\":2") && error.contains("\"n_levels\":3"),
            "{error}"
        );
        let mut file = ModelFile::read(&path).unwrap();
        file.tensors.remove("readout");
        let error = model_of(file, &path, &Device::flex()).unwrap_err().to_string();
        assert!(error.contains("readout"), "{error}");
    }

    #[test]
    fn a_stranger_s_configuration_is_refused_and_never_panics() {
        let schema = json!({ "features": 2, "classes": ["a"], "target": "nodes" });
        assert!(GRAPH.tensors(&schema).is_ok());
        for (key, value) in [
            ("features", json!(0)),
            ("features", json!(u64::MAX)),
            ("classes", json!([])),
            ("classes", json!(3)),
            ("target", json!("edges")),
            ("n_heads", json!(0)),
            ("n_levels", json!(u64::MAX)),
            ("decay", json!(2)),
            ("vocab_size", json!(256)),
        ] {
            let mut config = schema.clone();
            config[key] = value;
            assert!(GRAPH.tensors(&config).is_err(), "{config}");
            GRAPH.shape(&config);
            GRAPH.companions(&config);
        }
        assert!(GRAPH.tensors(&json!([])).is_err() && GRAPH.tensors(&json!({})).is_err());
    }

    #[test]
    fn the_probe_reads_a_graph_and_finds_what_is_not_finite() {
        let path = Path::new("model.bpk");
        let words = GRAPH
            .probe(model_file(&model(), 0, 0), path, &Device::flex())
            .unwrap();
        assert!(words.contains("different classes"), "{words}");
        let huge = load(model(), |_, shape| {
            let size = shape.iter().product();
            Some(TensorData::new(vec![3e38f32; size], shape.to_vec()))
        });
        let error = GRAPH
            .probe(model_file(&huge, 0, 0), path, &Device::flex())
            .unwrap_err();
        assert!(error.to_string().contains("finite"), "{error}");
    }
}
