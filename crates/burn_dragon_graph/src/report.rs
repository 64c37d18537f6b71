//! Report of a finished run: figures beside their controls.

use crate::evaluate::Score;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Score of a model by name, on the validation part and, if there is one, on the test part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    /// Name in metrics.
    pub(crate) name: String,
    pub(crate) validation: Score,
    pub(crate) test: Option<Score>,
}

/// Report: figures that are measured once, at the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// What has a label: nodes or graphs.
    pub(crate) noun: &'static str,
    /// Number of levels in training.
    pub(crate) trained: usize,
    /// Scores on the validation part after 1, 2, ... levels.
    pub(crate) curve: Vec<Score>,
    /// The same on the test part; empty if there is none.
    pub(crate) test_curve: Vec<Score>,
    /// Share of the most frequent class of the training part.
    pub(crate) majority: f64,
    pub(crate) test_majority: f64,
    /// The model with other uses of its memories.
    pub(crate) memories: Vec<Named>,
    /// Untrained model and baselines.
    pub(crate) controls: Vec<Named>,
}

/// Names of the metrics of the curves, without the number of levels.
const CURVE: &str = "label_accuracy_at_level_";
const TEST_CURVE: &str = "test_label_accuracy_at_level_";
/// Beginnings of the metrics of controls, and of the model with other uses of its memories. What begins with `control_` is
/// not on the line of an evaluation.
pub(crate) const CONTROL: &str = "control_";
pub(crate) const MEMORY: &str = "control_memory_";

impl Report {
    /// Metrics by name.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        let mut put = |name: String, value: f64| {
            metrics.insert(name, value);
        };
        put("control_majority_label_accuracy".into(), self.majority);
        let groups = [(CONTROL, &self.controls), (MEMORY, &self.memories)];
        for (group, named) in groups
            .into_iter()
            .flat_map(|(group, all)| all.iter().map(move |n| (group, n)))
        {
            let name = &named.name;
            put(format!("{group}{name}_label_accuracy"), named.validation.accuracy);
            put(
                format!("{group}{name}_graphs_right"),
                named.validation.graphs_right,
            );
            if let Some(test) = named.test {
                put(format!("{group}{name}_test_label_accuracy"), test.accuracy);
                put(format!("{group}{name}_test_graphs_right"), test.graphs_right);
            }
        }
        for (index, score) in self.curve.iter().enumerate() {
            put(format!("{CURVE}{:02}", index + 1), score.accuracy);
        }
        for (index, score) in self.test_curve.iter().enumerate() {
            put(format!("{TEST_CURVE}{:02}", index + 1), score.accuracy);
        }
        if let Some(score) = self.test_curve.get(self.trained - 1) {
            put("control_majority_test_label_accuracy".into(), self.test_majority);
            put("test_label_accuracy".into(), score.accuracy);
            put("test_graphs_right".into(), score.graphs_right);
            put("test_loss".into(), score.loss);
        }
        metrics
    }

    /// Report as lines of text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let has_test = !self.test_curve.is_empty();
        let cell = |score: Option<Score>| match score {
            Some(score) => format!(
                "{:>9} {:>7}",
                percent(score.accuracy),
                percent(score.graphs_right)
            ),
            None => String::new(),
        };
        let row = |name: &str, score: Score, test: Option<Score>| {
            format!("{name:<42}{}{}", cell(Some(score)), cell(test))
        };
        let head = format!("{:<42}{:>9} {:>7}", "share right", self.noun, "graphs");
        let mut lines = vec![if has_test {
            format!("{head}{:>9} {:>7}", "on test:", "graphs")
        } else {
            head
        }];
        let at = |curve: &[Score], level: usize| curve.get(level).copied();
        let own = at(&self.curve, self.trained - 1).unwrap_or_default();
        lines.push(row("the model", own, at(&self.test_curve, self.trained - 1)));
        let named = |named: &Named| row(&in_words(&named.name), named.validation, named.test);
        lines.extend(self.controls.iter().map(named));
        let share = |share: f64| format!("{:>9} {:>7}", percent(share), "-");
        let test_share = if has_test {
            share(self.test_majority)
        } else {
            String::new()
        };
        let majority = "always the most frequent class";
        lines.push(format!("{majority:<42}{}{test_share}", share(self.majority)));
        lines.extend(self.memories.iter().map(named));
        lines.push(format!("levels run (trained with {})", self.trained));
        let shown = |level: usize| {
            level < 5 || level.is_multiple_of(self.trained.div_ceil(4)) || level == self.trained
        };
        let curve = self
            .curve
            .iter()
            .enumerate()
            .filter(|(index, _)| shown(index + 1));
        for (index, score) in curve {
            lines.push(row(
                &format!("  {}", index + 1),
                *score,
                at(&self.test_curve, index),
            ));
        }
        lines
    }
}

pub(crate) fn in_words(name: &str) -> String {
    match name {
        "untrained" => "the model before its first step".into(),
        "reset" => "its memories emptied at each level".into(),
        "wiped" => "its memories emptied once, half-way".into(),
        "never_written" => "its memories never written".into(),
        "gcn" => "graph convolution (GCN)".into(),
        "gru" => "gated recurrent units (GRU)".into(),
        "mlp" => "features alone (MLP)".into(),
        name => name.into(),
    }
}

/// Metrics of a report as a JSON object: the curves as lists, controls and memories by name.
pub(crate) fn object(metrics: &BTreeMap<String, f64>) -> Map<String, Value> {
    let curves = [
        ("label_accuracy_by_levels", CURVE),
        ("test_label_accuracy_by_levels", TEST_CURVE),
    ];
    object_of(metrics, &curves)
}

/// Metrics as a JSON object: lists of the given names, each of the metrics that begin with its prefix; controls and memories
/// by name.
pub(crate) fn object_of(metrics: &BTreeMap<String, f64>, curves: &[(&str, &str)]) -> Map<String, Value> {
    let curve = |prefix: &str| -> Vec<f64> {
        let values = metrics.iter().filter(|(name, _)| name.starts_with(prefix));
        values.map(|(_, value)| *value).collect()
    };
    let group = |prefix: &str| -> Map<String, Value> {
        let named = metrics.iter();
        named
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_string(), json!(value))))
            .collect()
    };
    let mut controls = group(CONTROL);
    controls.retain(|name, _| !name.starts_with("memory_"));
    let curves = curves.iter().map(|(name, prefix)| (*name, json!(curve(prefix))));
    curves
        .chain([
            ("controls", Value::Object(controls)),
            ("memories", Value::Object(group(MEMORY))),
        ])
        .map(|(name, value)| (name.to_string(), value))
        .collect()
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(accuracy: f64) -> Score {
        Score {
            loss: 1.0,
            accuracy,
            graphs_right: accuracy / 2.0,
        }
    }

    fn report(test: bool) -> Report {
        let named = |name: &str, accuracy| Named {
            name: name.into(),
            validation: score(accuracy),
            test: test.then(|| score(accuracy / 2.0)),
        };
        Report {
            noun: "nodes",
            trained: 6,
            curve: (1..=12).map(|level| score(f64::from(level) / 20.0)).collect(),
            test_curve: (1..=12)
                .filter(|_| test)
                .map(|level| score(f64::from(level) / 40.0))
                .collect(),
            majority: 0.18,
            test_majority: 0.16,
            memories: vec![named("reset", 0.25)],
            controls: vec![named("untrained", 0.01), named("gcn", 0.5)],
        }
    }

    #[test]
    fn curves_are_in_the_order_of_their_levels() {
        let object = object(&report(true).metrics());
        let values = |key: &str| -> Vec<f64> {
            object[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect()
        };
        let expected: Vec<f64> = (1..=12).map(|level| f64::from(level) / 20.0).collect();
        assert_eq!(values("label_accuracy_by_levels"), expected);
        assert_eq!(values("test_label_accuracy_by_levels")[11], 0.3);
        assert_eq!(object["controls"]["gcn_label_accuracy"], 0.5);
        assert_eq!(object["memories"]["reset_test_label_accuracy"], 0.125);
    }

    #[test]
    fn figures_of_the_test_part_are_there_with_one_alone() {
        let metrics = report(true).metrics();
        assert_eq!(
            (metrics["test_label_accuracy"], metrics["test_graphs_right"]),
            (0.15, 0.075)
        );
        let without = report(false).metrics();
        assert!(without.keys().all(|key| !key.contains("test")), "{without:?}");
    }

    #[test]
    fn lines_show_the_model_beside_every_control() {
        let lines = report(true).lines();
        assert!(lines[1].starts_with("the model") && lines[1].contains("30.0%") && lines[1].contains("7.5%"));
        assert!(lines[3].contains("GCN") && lines[3].contains("50.0%") && lines[4].contains("16.0%"));
        assert_eq!(lines.len(), 6 + 1 + 8); // levels 1 to 4, 6, 8, 10, 12
        assert!(report(false).lines()[3].ends_with("25.0%"));
    }
}
