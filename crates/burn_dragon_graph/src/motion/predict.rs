//! Prediction of frames for `dragon predict`: a roll-out from given ones.

use super::{FrameModel, Frames, Motion};
use crate::data::{JsonGraph, Numbered};
use crate::error::GraphError;
use crate::graph::Graph;
use crate::model::{GraphDragon, PlaceMemory};
use burn_dragon_train::api::Predictions;
use serde_json::{Value, json};

/// Predicted frames of a graph: of each frame, of each body, its numbers.
type Predicted = Vec<Vec<Vec<f32>>>;

/// Predicts `count` frames after those of each graph that has some.
pub(crate) fn predict(
    model: &GraphDragon,
    motion: &Motion,
    lines: Numbered<JsonGraph>,
    count: usize,
) -> Predictions {
    let mut predictions = Predictions::default();
    let (mut answers, mut problems) = (Vec::new(), Vec::new());
    for (line, graph) in lines {
        let bodies = graph.and_then(|graph| graph.bodies(motion.inputs).map_err(|error| error.to_string()));
        let frames = bodies.and_then(|(graph, frames)| {
            following(model, motion, &graph, &frames, count).map_err(|error| error.to_string())
        });
        match frames {
            Ok(frames) => {
                predictions.lines.push(json!(frames).to_string());
                answers.push(json!({ "line": line, "frames": frames }));
            }
            Err(problem) => {
                predictions.refused.push(format!("line {line}: {problem}"));
                problems.push(json!({ "line": line, "problem": problem }));
            }
        }
    }
    let object = [("graphs", answers), ("refused", problems)];
    let object = object.map(|(key, values)| (key.to_string(), Value::Array(values)));
    predictions.object = object.into_iter().collect();
    predictions
}

/// Frames after the given ones.
fn following(
    model: &GraphDragon,
    motion: &Motion,
    graph: &Graph,
    frames: &Frames,
    count: usize,
) -> Result<Predicted, GraphError> {
    let (given, least) = (frames.count(), motion.observed_frames);
    if given < least {
        return Err(GraphError::Graph(format!(
            "it has {given} frames; expected at least {least}, as many as the model observed in training"
        )));
    }
    let observed: Vec<Vec<f32>> = (0..given).map(|index| frames.frame(index).to_vec()).collect();
    let next = model.rollout(&[graph], &observed, motion, count, PlaceMemory::Carried)?;
    let bodies = |frame: Vec<f32>| frame.chunks(motion.inputs.width()).map(<[f32]>::to_vec).collect();
    Ok(next.into_iter().map(bodies).collect())
}
