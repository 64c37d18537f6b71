//! Report of a run: lines for the user, an object for a program.

use crate::amounts::{count, duration};
use crate::command::dragon;
use crate::error::TrainError;
use crate::family::{Family, Next};
use crate::outcome::{Ending, Outcome};
use crate::progress::Output;
use crate::run::RunFolder;
use crate::sample::Sample;
use crate::task::{Evaluation, Task};
use serde_json::{Map, Value, json};

/// Prints the result of a run.
pub(super) fn show<F: Family>(
    task: &F::Task,
    run: &RunFolder,
    outcome: &Outcome,
    total_steps: u64,
    sample: Option<Sample>,
    next: Option<Next>,
    output: Output,
) -> Result<(), TrainError> {
    let (path, steps) = (run.path().display(), outcome.steps);
    match outcome.ending {
        Ending::Interrupted if steps == 0 => output.say(&format!(
            "interrupted before the first step: {path} holds no trained model; start it again with\n  {} train \
             --resume {path}",
            dragon()
        )),
        Ending::Interrupted => output.say(&format!(
            "interrupted and saved after step {steps} of {total_steps}; go on with\n  {} train --resume {path}",
            dragon()
        )),
        Ending::TimeIsUp => output.say(&format!("time is up after step {steps} of {total_steps}")),
        Ending::Complete => {}
    }
    let Some(after) = outcome
        .after
        .as_ref()
        .filter(|_| outcome.ending != Ending::Interrupted)
    else {
        return Ok(());
    };
    output.say("\nwhat it learnt");
    output.say(&format!("  {}", learnt(task, outcome, after)));
    if let Some(skipped) = outcome.skipped {
        output.say(&format!("  steps skipped  {skipped} of {steps}"));
    }
    let notes = after.notes.iter();
    notes.for_each(|note| output.say(&format!("  {note}")));
    if let Some(sample) = sample {
        show_sample::<F>(&sample, run, steps, output)?;
    }
    output.say(&format!("\nthe run is in {path}"));
    if let Some(next) = next {
        output.say(&format!("now try\n  {} {}", dragon(), next.command));
        let answer = next.answer.map(|answer| format!("which answers\n  {answer}"));
        answer.iter().for_each(|answer| output.say(answer));
    }
    Ok(())
}

fn show_sample<F: Family>(
    sample: &Sample,
    run: &RunFolder,
    step: u64,
    output: Output,
) -> Result<(), TrainError> {
    output.say(&format!("\n{}", F::SAMPLE));
    let lines = sample.text.iter().flat_map(|text| text.lines());
    lines.for_each(|line| output.say(&format!("  | {line}")));
    for path in sample.save(run, step)? {
        output.say(&format!("  {}", path.display()));
    }
    Ok(())
}

/// Text of the first loss figure that both evaluations have, or of the loss itself; with the amount of data and the
/// speed.
fn learnt<T: Task>(task: &T, outcome: &Outcome, after: &Evaluation) -> String {
    let figures: Vec<_> = task
        .figures()
        .into_iter()
        .filter(|figure| figure.factor.is_some())
        .collect();
    let both = figures.iter().find_map(|figure| {
        let of = |evaluation: &Evaluation| evaluation.metrics.get(figure.key).copied();
        Some((figure.name, of(&outcome.before)?, of(after)?))
    });
    let (name, before, now) = both.unwrap_or((task.loss_name(), outcome.before.loss, after.loss));
    let width = figures.first().map_or(0, |figure| figure.name.len());
    let units = task.unit().many;
    let learnt = format!(
        "{name:width$}  {before:.3} before, {now:.3} after {} {units}",
        count(outcome.units)
    );
    let rate = count(outcome.units_per_second.round() as u64);
    let (seconds, total) = (duration(outcome.seconds), duration(outcome.total_seconds));
    match outcome.session_units {
        0 => format!("{learnt}, in {total} of training"), // it was complete when it was resumed
        session if session == outcome.units => format!("{learnt} in {seconds} ({rate} {units} a second)"),
        session => format!(
            "{learnt}, {} of them now, in {seconds} ({rate} {units} a second), and {total} in all",
            count(session)
        ),
    }
}

/// Object of `--json`: the values of every run, then those of the family.
pub(super) fn summary<F: Family>(task: &F::Task, run: &RunFolder, outcome: &Outcome) -> Value {
    let mut summary = json!({
        "run_dir": run.path(),
        "family": F::NAME,
        "ending": match outcome.ending {
            Ending::Complete => "complete",
            Ending::TimeIsUp => "time_is_up",
            Ending::Interrupted => "interrupted",
        },
        "steps": outcome.steps,
        "units": outcome.units,
        "train_loss": outcome.train_loss,
        "val_loss": outcome.after.as_ref().map(|after| after.loss),
        "score": outcome.score,
        "seconds": outcome.seconds,
        "total_seconds": outcome.total_seconds,
        "units_per_second": outcome.units_per_second,
        "checkpoints": outcome.saving.checkpoints,
        "checkpoint_seconds_blocked": outcome.saving.blocked_seconds,
        "checkpoint_seconds_writing": outcome.saving.writing_seconds,
    });
    if let Some(skipped) = outcome.skipped {
        summary["skipped"] = skipped.into();
    }
    with(with(summary, F::facts(task)), F::summary(task, outcome))
}

/// Object with the entries of another one added.
pub(super) fn with(mut object: Value, more: Map<String, Value>) -> Value {
    if let Some(entries) = object.as_object_mut() {
        entries.extend(more);
    }
    object
}
