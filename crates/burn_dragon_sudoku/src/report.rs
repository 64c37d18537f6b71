//! Report of a finished run: figures beside their controls.

use crate::evaluate::{Controls, Score};
use crate::rating::Difficulty;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Report: figures that are measured once, at the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// Scores after 1, 2, ... levels.
    pub(crate) curve: Vec<Score>,
    /// What an answer follows, in the plural: levels.
    pub(crate) steps: &'static str,
    /// Number of levels in training.
    pub(crate) trained: usize,
    /// Number of levels in evaluation.
    pub(crate) evaluated: usize,
    /// Score of the model before its first step.
    pub(crate) untrained: Score,
    /// Scores of the controls.
    pub(crate) controls: Controls,
    /// Shares of solved puzzles by rating.
    pub(crate) by_rating: Vec<ByRating>,
}

/// Shares of the puzzles of a class that are solved within the levels of evaluation: the first answer that keeps givens and
/// rules counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ByRating {
    pub(crate) difficulty: Difficulty,
    /// Number of puzzles of the class.
    pub(crate) puzzles: usize,
    /// Shares by name: the model, its ablations, singles.
    pub(crate) solved: Vec<(&'static str, f64)>,
}

impl ByRating {
    /// Metrics by name.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let key = self.difficulty.key();
        let shares = self.solved.iter();
        let mut metrics: BTreeMap<String, f64> = shares
            .map(|(name, share)| (format!("control_{name}_within_{key}"), *share))
            .collect();
        metrics.insert(format!("control_puzzles_{key}"), self.puzzles as f64);
        metrics
    }
}

/// Names of the metrics of the curve, without the number of levels.
const CURVE: [&str; 2] = ["cell_accuracy_at_level_", "solved_at_level_"];

impl Report {
    /// Metrics by name.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let named = |(name, value): (&str, f64)| (name.to_string(), value);
        let controls = &self.controls;
        let mut metrics: BTreeMap<String, f64> = [
            ("control_chance_cell_accuracy", controls.chance),
            ("control_candidates_cell_accuracy", controls.candidates),
            ("control_untrained_cell_accuracy", self.untrained.cell_accuracy),
            ("control_untrained_solved", self.untrained.solved),
            (
                "control_naked_at_once_cell_accuracy",
                controls.naked_at_once.cell_accuracy,
            ),
            ("control_naked_cell_accuracy", controls.naked.cell_accuracy),
            ("control_naked_solved", controls.naked.solved),
            ("control_singles_cell_accuracy", controls.singles.cell_accuracy),
            ("control_singles_solved", controls.singles.solved),
        ]
        .map(named)
        .into();
        for (index, score) in self.curve.iter().enumerate() {
            for (name, value) in CURVE.into_iter().zip([score.cell_accuracy, score.solved]) {
                metrics.insert(format!("{name}{:02}", index + 1), value);
            }
        }
        for class in &self.by_rating {
            metrics.extend(class.metrics());
        }
        metrics
    }

    /// Report as lines of text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let controls = &self.controls;
        let row = |name: &str, score: Score| {
            format!(
                "{name:<42} {:>6} {:>7}",
                percent(score.cell_accuracy),
                percent(score.solved)
            )
        };
        let cells = |name: &str, share: f64| format!("{name:<42} {:>6} {:>7}", percent(share), "-");
        let mut lines = vec![
            format!(
                "{:<42} {:>6} {:>7}",
                "on held-out puzzles, share of", "cells", "solved"
            ),
            row("the model", self.curve[self.evaluated - 1]),
            row("the model before its first step", self.untrained),
            cells("a digit at random", controls.chance),
            cells("a digit at random that the givens allow", controls.candidates),
            row("naked singles that the givens show", controls.naked_at_once),
            row("naked singles to the end", controls.naked),
            row("naked and hidden singles to the end", controls.singles),
        ];
        let within = format!("{} {}", self.evaluated, self.steps);
        lines.extend(lines_by_rating(&within, &self.by_rating));
        lines.push(format!(
            "{} run (trained with {}), cells and solved",
            self.steps, self.trained
        ));
        let marks = [self.trained, self.evaluated, self.curve.len()];
        let shown =
            |level: usize| self.curve.len() <= 12 || level.is_power_of_two() || marks.contains(&level);
        let curve = (1..).zip(&self.curve).filter(|(level, _)| shown(*level));
        lines.extend(curve.map(|(level, score)| row(&format!("  {level}"), *score)));
        lines
    }
}

/// Table of the shares of puzzles by rating that are solved within so much: `32 levels`.
pub(crate) fn lines_by_rating(within: &str, by_rating: &[ByRating]) -> Vec<String> {
    let Some(first) = by_rating.first() else {
        return Vec::new();
    };
    let names: String = first
        .solved
        .iter()
        .map(|(name, _)| format!(" {:>13}", name.replace('_', " ")))
        .collect();
    let head = format!("solved within {within}, by rating");
    let row = |class: &ByRating| {
        let shares: String = class
            .solved
            .iter()
            .map(|(_, share)| format!(" {:>13}", percent(*share)))
            .collect();
        let words = format!("  {} ({})", class.difficulty.in_words(), class.puzzles);
        format!("{words:<42}{shares}")
    };
    let head = format!("{head:<42}{names}");
    std::iter::once(head).chain(by_rating.iter().map(row)).collect()
}

/// Metrics of a report as a JSON object: the curve as lists, the controls by name.
pub(crate) fn object(metrics: &BTreeMap<String, f64>) -> Map<String, Value> {
    let curve = |prefix: &str| -> Vec<f64> {
        let level = |name: &String| name.strip_prefix(prefix)?.parse::<usize>().ok();
        let values = metrics
            .iter()
            .filter_map(|(name, value)| Some((level(name)?, *value)));
        let values: BTreeMap<usize, f64> = values.collect();
        values.into_values().collect()
    };
    let controls: Map<String, Value> = metrics
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("control_")?.to_string(), json!(value))))
        .collect();
    [
        ("cell_accuracy_by_levels".to_string(), json!(curve(CURVE[0]))),
        ("solved_by_levels".to_string(), json!(curve(CURVE[1]))),
        ("controls".to_string(), Value::Object(controls)),
    ]
    .into_iter()
    .collect()
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let score = |cell_accuracy, solved| Score {
            cell_accuracy,
            solved,
        };
        Report {
            curve: (1..=102)
                .map(|level| score(f64::from(level) / 20.0, f64::from(level) / 40.0))
                .collect(),
            steps: "levels",
            trained: 6,
            evaluated: 6,
            by_rating: vec![ByRating {
                difficulty: Difficulty::Medium,
                puzzles: 7,
                solved: vec![("model", 0.5), ("never_written", 0.0)],
            }],
            untrained: score(0.11, 0.0),
            controls: Controls {
                chance: 1.0 / 9.0,
                candidates: 0.4,
                naked_at_once: score(0.25, 0.01),
                naked: score(0.9, 0.75),
                singles: score(1.0, 1.0),
            },
        }
    }

    #[test]
    fn the_curve_is_in_the_order_of_its_levels() {
        let object = object(&report().metrics());
        let curve = object["cell_accuracy_by_levels"].as_array().unwrap();
        // Levels of more digits are behind those of fewer.
        let expected: Vec<f64> = (1..=102).map(|level| f64::from(level) / 20.0).collect();
        assert_eq!(
            curve.iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>(),
            expected
        );
        assert_eq!(object["solved_by_levels"][11], 0.3);
        assert_eq!(object["controls"]["naked_solved"], 0.75);
        assert_eq!(object["controls"].as_object().unwrap().len(), 9 + 3);
        assert_eq!(object["controls"]["model_within_medium"], 0.5);
    }

    #[test]
    fn lines_show_the_model_beside_every_control() {
        let lines = report().lines();
        assert!(
            lines[1].starts_with("the model") && lines[1].contains("30.0%") && lines[1].contains("15.0%")
        );
        // Of 102 levels those of training and evaluation, the last, and powers of two.
        assert_eq!(lines.len(), 8 + 2 + 1 + 9, "{lines:#?}");
        assert!(lines[8].contains("within 6 levels") && lines[8].contains("never written"));
        assert!(lines[9].contains("fewer givens (7)") && lines[9].contains("50.0%"));
        assert!(
            lines[3].contains("11.1%") && lines[6].contains("75.0%"),
            "{lines:#?}"
        );
    }
}
