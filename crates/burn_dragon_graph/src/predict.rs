//! Prediction: classes of the nodes of given graphs, or of the graphs, for `dragon predict`.

use crate::data::{JsonGraph, Numbered, Schema, Target, TsvConfig, graphs_of, graphs_of_file};
use crate::error::GraphError;
use crate::evaluate::{NodeModel, likeliest};
use crate::export::model_of;
use crate::graph::Graph;
use crate::model::{GraphDragon, GraphPass};
use crate::motion;
use burn_dragon_checkpoint::api::ModelFile;
use burn_dragon_train::api::{PredictRequest, Predictions, TrainError};
use serde_json::{Map, Value, json};
use std::io::{Read, stdin};
use std::path::Path;

/// Maximum number of levels to run.
const MOST_LEVELS: usize = 1 << 16;

/// Predicts the graphs of a request with the model of a file.
///
/// # Errors
/// If the file is not a graph model, the input is neither a file nor a graph, or the number of levels is out of range.
pub(crate) fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
    request.options.refuse("graph")?;
    let model = model_of(file, &request.model, &request.device)?;
    let levels = request.steps.unwrap_or(model.config().model.n_levels);
    if !(1..=MOST_LEVELS).contains(&levels) {
        let what = match model.config().schema.target {
            Target::Motion(_) => "frames",
            _ => "levels",
        };
        let text = format!("--steps {levels}: expected a number of {what} from 1 to {MOST_LEVELS}");
        return Err(TrainError::Usage(text));
    }
    let schema = &model.config().schema;
    let input = input(request.input("graph")?, schema)?;
    if let Some(motion) = schema.target.motion() {
        let count = request.steps.unwrap_or(1);
        return Ok(motion::predict(&model, &motion, input.bodies()?, count));
    }
    let predicted = Predicted::of(&model, input.graphs()?, levels);
    Ok(Predictions {
        lines: predicted.lines(),
        object: predicted.object(),
        refused: predicted
            .refused
            .iter()
            .map(|(line, reason)| format!("line {line}: {reason}"))
            .collect(),
        ..Predictions::default()
    })
}

/// Input that was found.
enum Input {
    /// JSON of a file or of standard input.
    Text(String),
    /// JSON that was typed itself.
    Typed(String),
    /// Graphs of another format.
    Graphs(Numbered<Graph>),
}

impl Input {
    /// Graphs with features.
    fn graphs(self) -> Result<Numbered<Graph>, TrainError> {
        let read = |text: &str| -> Numbered<Graph> {
            let graphs = graphs_of(text).into_iter();
            let graph = |json: JsonGraph| json.graph().map_err(|error| error.to_string());
            graphs.map(|(line, json)| (line, json.and_then(graph))).collect()
        };
        match self {
            Self::Graphs(graphs) => Ok(graphs),
            Self::Text(text) => Ok(read(&text)),
            Self::Typed(text) => only_graphs(&text, read(&text)),
        }
    }

    /// Graphs with frames, which are checked later.
    fn bodies(self) -> Result<Numbered<JsonGraph>, TrainError> {
        match self {
            Self::Text(text) => Ok(graphs_of(&text)),
            Self::Typed(text) => only_graphs(&text, graphs_of(&text)),
            Self::Graphs(_) => {
                let reason = "a model of motion reads JSON with `frames`, and no other format";
                Err(TrainError::BadInput(reason.into()))
            }
        }
    }
}

/// The graphs of typed text; an error if one is none, because the text may be a misspelt path.
fn only_graphs<T>(text: &str, graphs: Numbered<T>) -> Result<Numbered<T>, TrainError> {
    match graphs.iter().find_map(|(_, graph)| graph.as_ref().err()) {
        Some(reason) => Err(TrainError::BadInput(format!(
            "{text} is neither a file nor a graph: {reason}"
        ))),
        None => Ok(graphs),
    }
}

/// Input: standard input, a file, a folder with `nodes.tsv` and `edges.tsv`, or the text itself.
fn input(text: &str, schema: &Schema) -> Result<Input, TrainError> {
    let path = Path::new(text);
    if text == "-" {
        let mut text = String::new();
        let whole = stdin().read_to_string(&mut text);
        whole.map_err(|error| TrainError::BadInput(format!("cannot read standard input: {error}")))?;
        return Ok(Input::Text(text));
    }
    if path.is_dir() {
        let graph = TsvConfig { path: path.into() }.graph()?;
        return Ok(Input::Graphs(vec![(1, Ok(graph))]));
    }
    if path.extension().is_some_and(|ending| ending == "graphml") {
        let Some(coding) = &schema.coding else {
            return Err(TrainError::BadInput(format!(
                "{text}: the model was not trained on GraphML, or by a version that did not store the values of its keys, so \
                 that the numbers of the features are not known; give JSON, with the numbers in `features`"
            )));
        };
        return Ok(Input::Graphs(graphs_of_file(path, coding)?));
    }
    if path.exists() {
        let whole = std::fs::read_to_string(path).map_err(|source| GraphError::Read {
            path: path.into(),
            source,
        })?;
        return Ok(Input::Text(whole));
    }
    Ok(Input::Typed(text.into()))
}

/// Predictions for some graphs, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicted {
    /// Number of levels that were run.
    pub levels: usize,
    /// Names of the classes of each graph's nodes, or its own; each graph with its line.
    pub answers: Vec<(usize, Vec<String>)>,
    /// Lines that are no graphs, with the reasons.
    pub refused: Vec<(usize, String)>,
    of_nodes: bool,
}

impl Predicted {
    /// Predicts each graph that is one.
    pub(crate) fn of(model: &GraphDragon, lines: Numbered<Graph>, levels: usize) -> Self {
        let mut predicted = Self {
            levels,
            answers: Vec::new(),
            refused: Vec::new(),
            of_nodes: model.config().schema.target != Target::Graphs,
        };
        for (line, graph) in lines {
            match graph.and_then(|graph| classes(model, &graph, levels).map_err(|e| e.to_string())) {
                Ok(classes) => predicted.answers.push((line, classes)),
                Err(reason) => predicted.refused.push((line, reason)),
            }
        }
        predicted
    }

    /// Lines with one answer each: the class of the graph, or those of its nodes in order.
    pub fn lines(&self) -> Vec<String> {
        self.answers
            .iter()
            .map(|(_, classes)| classes.join(" "))
            .collect()
    }

    /// Answers as a JSON object.
    pub fn object(&self) -> Map<String, Value> {
        let answer = |(line, classes): &(usize, Vec<String>)| {
            let (key, value) = if self.of_nodes {
                ("classes", json!(classes))
            } else {
                ("class", json!(classes.first()))
            };
            json!({ "line": line, key: value, "steps": self.levels })
        };
        let refused = |(line, problem): &(usize, String)| json!({ "line": line, "problem": problem });
        [
            ("graphs", self.answers.iter().map(answer).collect::<Value>()),
            ("refused", self.refused.iter().map(refused).collect()),
        ]
        .map(|(key, value)| (key.to_string(), value))
        .into_iter()
        .collect()
    }
}

/// Names of the likeliest classes of a graph's nodes, or of the graph.
fn classes(model: &GraphDragon, graph: &Graph, levels: usize) -> Result<Vec<String>, GraphError> {
    if graph.nodes() == 0 {
        return Err(GraphError::Graph("the graph has no node".into()));
    }
    let input = model.input(&[graph])?;
    let pass = GraphPass {
        levels: Some(levels),
        ..GraphPass::default()
    };
    let names = &model.config().schema.classes;
    let logits = model.logits_by_level(&input, pass).pop();
    let classes = logits.map(likeliest).unwrap_or_default();
    Ok(classes
        .into_iter()
        .map(|class| names[class as usize].clone())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::data::GeneratorConfig;
    use crate::export::model_file;
    use crate::model::GraphDragonConfig;
    use burn::tensor::Device;

    const PATH: &str = r#"{"edges": [[0, 1], [1, 2]], "source": 0}"#;

    fn asked(input: &str, steps: Option<usize>) -> Result<Predictions, TrainError> {
        let config = GraphDragonConfig {
            model: ModelConfig {
                n_levels: 2,
                ..ModelConfig::default()
            },
            schema: GeneratorConfig::default().schema(),
        };
        let model = GraphDragon::new(&config, 1, &Device::flex()).unwrap();
        let request = PredictRequest {
            model: "model.bpk".into(),
            inputs: vec![input.into()],
            steps,
            device: Device::flex(),
            options: Default::default(),
        };
        predict(model_file(&model, 1, 4), &request)
    }

    #[test]
    fn each_node_has_a_class_and_a_bad_line_stands_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graphs.json");
        std::fs::write(
            &path,
            format!("{PATH}\nno graph\n{{\"edges\": [[0, 1]], \"features\": [[0], [2]]}}\n"),
        )
        .unwrap();
        let found = asked(path.to_str().unwrap(), None).unwrap();
        assert_eq!(found.lines.len(), 1);
        assert_eq!(found.lines[0].split(' ').count(), 3);
        assert_eq!(found.object["graphs"][0]["classes"].as_array().unwrap().len(), 3);
        assert!(found.refused[0].starts_with("line 2") && found.refused[1].contains("feature 2"));
        assert_eq!(asked(PATH, None).unwrap().lines, found.lines);
    }

    #[test]
    fn input_that_is_nothing_is_refused_and_steps_are_counted() {
        let error = asked("nothing.json", None).unwrap_err();
        assert!(matches!(error, TrainError::BadInput(_)), "{error}");
        assert!(
            error.to_string().contains("neither a file nor a graph"),
            "{error}"
        );
        assert_eq!(asked(PATH, Some(9)).unwrap().object["graphs"][0]["steps"], 9);
        assert!(matches!(asked(PATH, Some(0)), Err(TrainError::Usage(_))));
    }
}
