//! Report at the end of a run: accuracy by level, and probes beside their anchors.

use crate::probe::{Probe, table};
use burn_dragon_train::api::Metrics;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Name of the accuracy of the classifier on held-out pictures, or of the linear probe if there is no classifier.
pub(crate) const ACCURACY: &str = "val_accuracy";

/// Name of the accuracy of nearest neighbours on held-out pictures.
pub(crate) const NEIGHBOURS: &str = "knn_accuracy";

/// Prefix of the accuracy after a level.
const CURVE: &str = "accuracy_after_level_";

/// Figures of a model beside its anchors.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) objective: &'static str,
    /// What is judged: pictures, or clips.
    pub(crate) things: &'static str,
    /// Number of classes.
    pub(crate) classes: usize,
    /// Number of held-out ones.
    pub(crate) held_out: usize,
    /// Number of training ones that the probes know.
    pub(crate) known: usize,
    /// Number of levels in evaluation.
    pub(crate) levels: usize,
    /// Accuracy of the classifier after each level; empty without one.
    pub(crate) right: Vec<f64>,
    /// Accuracy of the classifier with other uses of the memories that levels carry, by name.
    pub(crate) ablations: Vec<(&'static str, f64)>,
    /// Probes by the name of their features, those of the model last.
    pub(crate) probes: Vec<(&'static str, Probe)>,
}

impl Report {
    /// Figures by name.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::new();
        for (level, right) in self.right.iter().enumerate() {
            metrics.insert(format!("{CURVE}{}", level + 1), *right);
        }
        let own = self.probes.last().map(|(_, probe)| probe);
        let linear = own.and_then(|probe| probe.get("linear"));
        let accuracy = self.right.get(self.levels.saturating_sub(1)).copied().or(linear);
        metrics.extend(accuracy.map(|accuracy| (ACCURACY.into(), accuracy)));
        if let Some(neighbours) = own.and_then(|probe| probe.get("knn")) {
            metrics.insert(NEIGHBOURS.into(), neighbours);
        }
        for (name, right) in &self.ablations {
            metrics.insert(format!("control_memory_{name}"), *right);
        }
        for (name, probe) in &self.probes {
            let prefix = match *name {
                "this encoder" => "probe".into(),
                name => format!("control_{}", name.replace([' ', ','], "_").replace("__", "_")),
            };
            for figure in &probe.figures {
                metrics.insert(format!("{prefix}_{}", figure.name), figure.value);
            }
        }
        metrics
    }

    /// Lines for a person.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(right) = self.right.get(self.levels.saturating_sub(1)) {
            lines.push(format!(
                "{} of {} held-out {} right; chance {}",
                percent(*right),
                self.held_out,
                self.things,
                percent(1.0 / self.classes.max(1) as f64)
            ));
            let shown = self.right.iter().enumerate().filter(|(level, _)| {
                let level = level + 1;
                level.is_power_of_two() || level == self.levels || level == self.right.len()
            });
            let curve: Vec<String> = shown
                .map(|(level, right)| format!("{} {}", level + 1, percent(*right)))
                .collect();
            lines.push(format!("by number of levels: {}", curve.join(", ")));
        }
        if !self.ablations.is_empty() {
            let words =
                |(name, right): &(&str, f64)| format!("{} {}", name.replace('_', " "), percent(*right));
            let words: Vec<String> = self.ablations.iter().map(words).collect();
            lines.push(format!("with memories otherwise: {}", words.join(", ")));
        }
        if !self.probes.is_empty() {
            lines.push(format!(
                "probes of frozen features, {} training {} ({}):",
                self.known, self.things, self.objective
            ));
            let probes: Vec<(&str, &Probe)> =
                self.probes.iter().map(|(name, probe)| (*name, probe)).collect();
            lines.extend(table(&probes));
        }
        lines
    }
}

/// Metrics of a report as a JSON object: the curve as a list, the others by name.
pub(crate) fn object(metrics: &BTreeMap<String, f64>) -> Map<String, Value> {
    let level = |name: &String| name.strip_prefix(CURVE)?.parse::<usize>().ok();
    let curve: BTreeMap<usize, f64> = metrics
        .iter()
        .filter_map(|(name, value)| Some((level(name)?, *value)))
        .collect();
    let others = metrics.iter().filter(|(name, _)| level(name).is_none());
    let mut object: Map<String, Value> = others.map(|(name, value)| (name.clone(), json!(value))).collect();
    if !curve.is_empty() {
        let values: Vec<f64> = curve.into_values().collect();
        object.insert("accuracy_by_levels".into(), json!(values));
    }
    object
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Unit;

    fn report() -> Report {
        let probe = |knn: f64| {
            Probe::default()
                .with("knn", knn, Unit::Share)
                .with("linear", knn + 0.1, Unit::Share)
        };
        Report {
            objective: "supervised",
            things: "pictures",
            classes: 4,
            held_out: 200,
            known: 500,
            levels: 3,
            right: vec![0.3, 0.4, 0.5, 0.45, 0.4, 0.35],
            ablations: vec![("wiped", 0.31), ("never_written", 0.26)],
            probes: vec![
                ("raw pixels", probe(0.2)),
                ("this encoder, one level", probe(0.25)),
                ("this encoder", probe(0.6)),
            ],
        }
    }

    #[test]
    fn the_accuracy_is_that_of_the_evaluated_level_or_of_the_linear_probe() {
        let of = |report: &Report| report.metrics()[ACCURACY];
        assert_eq!(of(&report()), 0.5);
        let without = Report {
            right: Vec::new(),
            ..report()
        };
        assert_eq!(of(&without), 0.7);
        assert_eq!(without.metrics()[NEIGHBOURS], 0.6);
    }

    #[test]
    fn lines_and_metrics_show_the_model_beside_its_controls() {
        let (lines, metrics) = (report().lines(), report().metrics());
        assert_eq!(lines[0], "50.0% of 200 held-out pictures right; chance 25.0%");
        assert_eq!(
            lines[1],
            "by number of levels: 1 30.0%, 2 40.0%, 3 50.0%, 4 45.0%, 6 35.0%"
        );
        assert_eq!(
            lines[2],
            "with memories otherwise: wiped 31.0%, never written 26.0%"
        );
        assert!(lines.last().unwrap().starts_with("this encoder  "), "{lines:#?}");
        for (key, value) in [
            ("control_raw_pixels_knn", 0.2),
            ("control_this_encoder_one_level_linear", 0.35),
            ("probe_knn", 0.6),
            ("control_memory_wiped", 0.31),
        ] {
            assert_eq!(metrics[key], value, "{key}");
        }
        let object = object(&metrics);
        assert_eq!(object["accuracy_by_levels"].as_array().unwrap().len(), 6);
        assert!(!object.contains_key("accuracy_after_level_1"));
    }
}
