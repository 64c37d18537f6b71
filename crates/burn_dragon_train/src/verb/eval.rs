//! Implementation of `dragon eval` for families whose held-out data is that of their runs: the figures at the end of a
//! run, computed again for any of its checkpoints.

use super::report::with;
use crate::error::TrainError;
use crate::family::{At, Family, run_config};
use crate::progress::Output;
use crate::pulse::Pulse;
use crate::resume_point::ResumePoint;
use crate::task::{Evaluation, Scope, Task};
use burn::module::Module;
use burn::tensor::Device;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Request for the figures of a trained model on the held-out data of its run.
#[derive(Clone, Debug)]
pub struct EvalRequest {
    /// Folder of the run.
    pub run: PathBuf,
    /// File of the model, in a checkpoint of the run.
    pub model: PathBuf,
    /// Device to run on.
    pub device: Device,
    /// Output for warnings, and for a sign of life.
    pub output: Output,
}

/// Figures of a model on held-out data, beside their controls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluated {
    /// Lines of text.
    pub lines: Vec<String>,
    /// The same as a JSON object, with the keys of `dragon train --json`.
    pub object: Map<String, Value>,
}

/// Evaluates a model of a family on all held-out data of its run, and measures all that the end of a run measures.
///
/// # Errors
/// If the run has no valid configuration, its data cannot be read, the model is not of this run, or its loss is not
/// finite.
pub fn eval<F: Family>(request: &EvalRequest) -> Result<Evaluated, TrainError> {
    let output = request.output;
    let mut config = run_config::<F>(&request.run)?;
    let here = std::env::current_dir().map_err(TrainError::file("find", Path::new(".")))?;
    let device = request.device.clone().autodiff();
    let pulse = Pulse::start(output, "reading the data of the run");
    let at = At {
        output,
        ..At::new(&device, &here)
    };
    let task = F::task(&mut config, &at)?;
    drop(pulse);
    let notes: Vec<String> = changed_data(&task, &request.model)?.into_iter().collect();
    notes.iter().for_each(|note| output.tell(note));
    let folder = request.model.parent().unwrap_or(Path::new("."));
    let model = task.restore(task.new_model()?, folder)?.valid();
    let _pulse = Pulse::start(output, "evaluating on all held-out data");
    let evaluation = task.evaluate(&model, Scope::Full)?;
    if !evaluation.loss.is_finite() {
        let (loss, run) = (evaluation.loss, request.run.display());
        return Err(TrainError::BadInput(format!(
            "the loss is {loss}: numbers of the model exceed the range of f32 on this data, so there are no figures; check \
             the model with `dragon verify {run} --deep`"
        )));
    }
    Ok(Evaluated {
        lines: lines(&task, &evaluation),
        object: object::<F>(&task, &evaluation, &notes),
    })
}

/// Warning about data that is not that of the run when the checkpoint of the model was written.
fn changed_data<T: Task>(task: &T, model: &Path) -> Result<Option<String>, TrainError> {
    let then = ResumePoint::beside(model)?;
    let changed = then.and_then(|then| then.identity.changed_data(&task.identity().data));
    Ok(changed.map(|changed| {
        format!(
            "warning: {changed}: these figures are not comparable with those of the training, and some of the held-out \
             data may be training data"
        )
    }))
}

/// The loss, the figures of the task, and what it measures once.
fn lines<T: Task>(task: &T, evaluation: &Evaluation) -> Vec<String> {
    let figures = task.figures().into_iter().filter_map(|figure| {
        let value = match figure.factor {
            Some(factor) => evaluation.loss * factor,
            None => *evaluation.metrics.get(figure.key)?,
        };
        Some((figure.name, figure.format.write(value)))
    });
    let loss = (task.loss_name(), format!("{:.4}", evaluation.loss));
    let rows: Vec<_> = std::iter::once(loss).chain(figures).collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let rows = rows.iter().map(|(name, value)| format!("{name:width$}  {value}"));
    rows.chain(evaluation.notes.iter().cloned()).collect()
}

/// Values under the names that they have in the summary of a run.
fn object<F: Family>(task: &F::Task, evaluation: &Evaluation, notes: &[String]) -> Map<String, Value> {
    let common = json!({
        "family": F::NAME,
        "val_loss": evaluation.loss,
        "score": task.score(evaluation),
        "notes": notes,
    });
    let all = with(with(common, F::facts(task)), F::measured(task, Some(evaluation)));
    match all {
        Value::Object(object) => object,
        other => unreachable!("an object with more entries is an object: {other}"),
    }
}
