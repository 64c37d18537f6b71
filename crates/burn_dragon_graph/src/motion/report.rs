//! Report of a finished run on bodies: squared errors beside their controls.

use super::MotionScore;
use crate::report::{CONTROL, MEMORY, object_of};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Errors of a model by name, on the validation part and, if there is one, on the test part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedMotion {
    /// Name in metrics.
    pub(crate) name: String,
    pub(crate) validation: MotionScore,
    pub(crate) test: Option<MotionScore>,
}

/// Report: errors that are measured once, at the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MotionReport {
    /// Number of levels in training.
    pub(crate) trained: usize,
    /// The model; losses after 1, 2, ... levels.
    pub(crate) model: NamedMotion,
    /// The model with other uses of its memories.
    pub(crate) memories: Vec<NamedMotion>,
    /// Constant velocity, the untrained model and the baselines.
    pub(crate) controls: Vec<NamedMotion>,
}

/// Names of the metrics of the curves, without the number of the frame or of levels.
const FRAMES: &str = "mse_at_frame_";
const TEST_FRAMES: &str = "test_mse_at_frame_";
const LEVELS: &str = "loss_at_level_";

impl MotionReport {
    /// Metrics by name.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        metrics.insert("rollout_mse".into(), self.model.validation.last());
        let groups = [(CONTROL, &self.controls), (MEMORY, &self.memories)];
        for (group, all) in groups {
            for named in all {
                put(&mut metrics, &format!("{group}{}_", named.name), named);
            }
        }
        let mut curve = |name: &str, values: &[f64]| {
            let named = values.iter().enumerate();
            metrics.extend(named.map(|(index, value)| (format!("{name}{:04}", index + 1), *value)));
        };
        curve(FRAMES, &self.model.validation.by_frame);
        curve(LEVELS, &self.model.validation.losses);
        if let Some(test) = &self.model.test {
            curve(TEST_FRAMES, &test.by_frame);
            metrics.insert("test_rollout_mse".into(), test.last());
        }
        metrics
    }

    /// Report as lines of text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let frames = self.model.validation.by_frame.len();
        let last = format!("{frames} on");
        let head = format!(
            "{:<42}{:>10} {last:>10}",
            "squared error of positions", "next frame"
        );
        let mut lines = vec![match &self.model.test {
            Some(_) => format!("{head}{:>10} {last:>10}", "on test:"),
            None => head,
        }];
        let cell = |score: &MotionScore| format!("{:>10.2e} {:>10.2e}", score.first(), score.last());
        let row = |title: &str, named: &NamedMotion| {
            let test = named.test.as_ref().map(cell).unwrap_or_default();
            format!("{title:<42}{}{test}", cell(&named.validation))
        };
        lines.push(row("the model", &self.model));
        let others = self.controls.iter().chain(&self.memories);
        lines.extend(others.map(|named| row(&in_words(&named.name), named)));
        lines.push(format!(
            "levels run (trained with {}), squared error of the outputs",
            self.trained
        ));
        let curve = self.model.validation.losses.iter().enumerate();
        lines.extend(curve.map(|(index, loss)| format!("  {:<40}{loss:>10.2e}", index + 1)));
        lines
    }
}

/// Errors of a model under names that begin with `before`.
fn put(metrics: &mut BTreeMap<String, f64>, before: &str, named: &NamedMotion) {
    let mut score = |part: &str, score: &MotionScore| {
        metrics.insert(format!("{before}{part}step_mse"), score.first());
        metrics.insert(format!("{before}{part}rollout_mse"), score.last());
    };
    score("", &named.validation);
    if let Some(test) = &named.test {
        score("test_", test);
    }
}

fn in_words(name: &str) -> String {
    match name {
        "constant_velocity" => "constant velocity".into(),
        "reset" => "its memories emptied at each frame".into(),
        "wiped" => "its memories emptied at the last seen frame".into(),
        name => crate::report::in_words(name),
    }
}

/// Metrics of a report as a JSON object: the curves as lists, controls and memories by name.
pub(crate) fn object(metrics: &BTreeMap<String, f64>) -> Map<String, Value> {
    let curves = [
        ("mse_by_frame", FRAMES),
        ("test_mse_by_frame", TEST_FRAMES),
        ("loss_by_levels", LEVELS),
    ];
    object_of(metrics, &curves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, size: f64, test: bool) -> NamedMotion {
        let score = |size: f64| MotionScore {
            losses: vec![3.0 * size, 2.0 * size],
            by_frame: (1..=12).map(|frame| size * f64::from(frame)).collect(),
        };
        NamedMotion {
            name: name.into(),
            validation: score(size),
            test: test.then(|| score(10.0 * size)),
        }
    }

    fn report(test: bool) -> MotionReport {
        MotionReport {
            trained: 1,
            model: named("model", 0.01, test),
            memories: vec![named("never_written", 0.5, test)],
            controls: vec![named("constant_velocity", 0.2, test), named("gru", 0.03, test)],
        }
    }

    #[test]
    fn errors_of_the_next_frame_and_of_the_last_stand_beside_their_controls() {
        let metrics = report(true).metrics();
        let own = (metrics["mse_at_frame_0001"], metrics["rollout_mse"]);
        assert_eq!(own, (0.01, 0.12));
        assert_eq!(metrics["control_constant_velocity_rollout_mse"], 0.2 * 12.0);
        assert_eq!(metrics["control_memory_never_written_test_step_mse"], 5.0);
        let object = object(&metrics);
        let curve = object["mse_by_frame"].as_array().unwrap();
        let values: Vec<f64> = curve.iter().filter_map(Value::as_f64).collect();
        assert_eq!(values, report(true).model.validation.by_frame);
        assert_eq!(object["controls"]["gru_step_mse"], 0.03);
        assert!(object["controls"].get("memory_never_written_step_mse").is_none());
        assert_eq!(object["memories"]["never_written_step_mse"], 0.5);
    }

    #[test]
    fn figures_of_the_test_part_are_there_with_one_alone() {
        let without = report(false);
        assert!(without.metrics().keys().all(|key| !key.contains("test")));
        let lines = without.lines();
        assert!(lines[1].starts_with("the model") && lines[1].ends_with("1.00e-2    1.20e-1"));
        assert!(report(true).lines()[0].ends_with("on test:      12 on"));
        assert_eq!(lines.len(), 1 + 4 + 1 + 2);
    }
}
