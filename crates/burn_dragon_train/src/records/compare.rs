//! Comparison of runs: settings that differ, figures side by side, and figures over seeds.

use super::{RunRecord, SEED, Spread, Table};
use crate::amounts::duration;
use crate::figures::figure;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Comparison of runs.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The runs, as given.
    pub runs: Vec<RunRecord>,
}

/// Runs that differ only by their seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Their places among the runs of the comparison.
    pub runs: Vec<usize>,
    /// Mean and deviation of each figure that all of them have.
    pub figures: BTreeMap<String, Spread>,
}

/// What runs of one group have in common.
#[derive(PartialEq)]
struct Kind<'a> {
    settings: BTreeMap<&'a str, &'a str>,
    steps: u64,
    is_final: bool,
}

impl<'a> Kind<'a> {
    fn of(run: &'a RunRecord) -> Self {
        let settings = run.settings.iter().filter(|(key, _)| *key != SEED);
        Self {
            settings: settings
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
            steps: run.steps(),
            is_final: run.is_final(),
        }
    }
}

impl Comparison {
    /// A comparison of these runs.
    pub fn of(runs: Vec<RunRecord>) -> Self {
        Self { runs }
    }

    /// Settings whose values differ: the key, and the value of each run as JSON; `None` where it is not set.
    pub fn differences(&self) -> Vec<(String, Vec<Option<&str>>)> {
        let keys: BTreeSet<&String> = self.runs.iter().flat_map(|run| run.settings.keys()).collect();
        let values = |key: &String| -> Vec<Option<&str>> {
            let runs = self.runs.iter();
            runs.map(|run| run.settings.get(key).map(String::as_str))
                .collect()
        };
        let all = keys.into_iter().map(|key| (key.clone(), values(key)));
        all.filter(|(_, values)| values.iter().any(|value| *value != values[0]))
            .collect()
    }

    /// Held-out figures: the name, and the value of each run; the loss is the first one.
    pub fn figures(&self) -> Vec<(String, Vec<Option<f64>>)> {
        let of_runs: Vec<BTreeMap<String, f64>> = self.runs.iter().map(RunRecord::figures).collect();
        let mut keys: Vec<&String> = of_runs
            .iter()
            .flat_map(BTreeMap::keys)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        keys.sort_by_key(|key| *key != "loss");
        let values = |key: &String| of_runs.iter().map(|figures| figures.get(key).copied()).collect();
        keys.into_iter().map(|key| (key.clone(), values(key))).collect()
    }

    /// Groups of runs that differ only by their seed, in the order of their first runs. A run without another of its kind
    /// is a group of one. Runs with different numbers of steps or different held-out data in their figures (a sample, or all
    /// of it) are in different groups.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<(Kind<'_>, Vec<usize>)> = Vec::new();
        for (place, run) in self.runs.iter().enumerate() {
            let kind = Kind::of(run);
            match groups.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, runs)) => runs.push(place),
                None => groups.push((kind, vec![place])),
            }
        }
        groups.into_iter().map(|(_, runs)| self.group(runs)).collect()
    }

    fn group(&self, runs: Vec<usize>) -> Group {
        let figures = self.figures().into_iter().filter_map(|(key, values)| {
            let values: Option<Vec<f64>> = runs.iter().map(|&run| values[run]).collect();
            Some((key, Spread::of(&values?)?))
        });
        Group {
            figures: figures.collect(),
            runs,
        }
    }

    /// Lines for the user. Points of curves and controls are left out.
    pub fn lines(&self) -> Vec<String> {
        let figures: Vec<_> = self
            .figures()
            .into_iter()
            .filter(|(key, _)| is_told(key))
            .collect();
        let keys = figures.iter().map(|(key, _)| key.clone());
        let head = ["", "run", "outcome", "steps", "time", "figures of"].map(String::from);
        let mut table = Table::new(head.into_iter().chain(keys));
        for (place, run) in self.runs.iter().enumerate() {
            let cells = [
                (place + 1).to_string(),
                run.name(),
                run.status.to_string(),
                run.steps().to_string(),
                duration(run.seconds()),
                held_out(run),
            ];
            let values = figures.iter().map(|(_, values)| values[place]);
            let values = values.map(|value| value.map_or_else(|| "-".into(), figure));
            table.row(cells.into_iter().chain(values));
        }
        [table.lines(), self.setting_lines(), self.group_lines()].concat()
    }

    fn setting_lines(&self) -> Vec<String> {
        let differences = self.differences();
        if differences.is_empty() {
            return vec![String::new(), "all settings are the same".into()];
        }
        let numbers = (1..=self.runs.len()).map(|number| number.to_string());
        let mut table = Table::new(["setting that differs".to_string()].into_iter().chain(numbers));
        for (key, values) in differences {
            let values = values.into_iter().map(|value| value.unwrap_or("-").to_string());
            table.row([key].into_iter().chain(values));
        }
        [vec![String::new()], table.lines()].concat()
    }

    fn group_lines(&self) -> Vec<String> {
        let groups = self.groups().into_iter().filter(|group| group.runs.len() > 1);
        let lines = groups.flat_map(|group| {
            let numbers: Vec<String> = group.runs.iter().map(|run| (run + 1).to_string()).collect();
            let head = format!("over {} seeds (runs {})", numbers.len(), numbers.join(", "));
            let mut table = Table::new([head.as_str(), "mean", "deviation"]);
            for (key, spread) in group.figures.iter().filter(|(key, _)| is_told(key)) {
                let deviation = spread.deviation.map_or_else(|| "-".into(), small);
                table.row([key.clone(), figure(spread.mean), deviation]);
            }
            [vec![String::new()], table.lines()].concat()
        });
        lines.collect()
    }

    /// Comparison as JSON.
    pub fn json(&self) -> Value {
        let runs = self.runs.iter().map(|run| {
            json!({
                "run_dir": run.folder.path(),
                "outcome": run.status,
                "steps": run.steps(),
                "seconds": run.seconds(),
                "figures": run.figures(),
                "figures_are_final": run.is_final(),
            })
        });
        let value = |json: Option<&str>| {
            json.map_or(Value::Null, |json| serde_json::from_str(json).unwrap_or_default())
        };
        let differences = self.differences().into_iter();
        let differences: Map<String, Value> = differences
            .map(|(key, values)| (key, values.into_iter().map(value).collect()))
            .collect();
        let groups = self.groups().into_iter();
        json!({
            "runs": runs.collect::<Vec<_>>(),
            "differences": differences,
            "groups": groups
                .map(|group| json!({ "runs": group.runs, "figures": group.figures }))
                .collect::<Vec<_>>(),
        })
    }
}

/// Whether a figure is shown in a table or on the line of an evaluation: neither a point of a curve nor a control.
pub(crate) fn is_told(key: &str) -> bool {
    !key.contains("_at_") && !key.starts_with("control_")
}

/// Data of a run's held-out figures.
fn held_out(run: &RunRecord) -> String {
    match (run.held_out(), run.is_final()) {
        (None, _) => "-".into(),
        (_, true) => "all held-out".into(),
        (_, false) => "a sample".into(),
    }
}

/// Deviation with two significant digits.
pub(super) fn small(deviation: f64) -> String {
    let digits = if deviation > 0.0 {
        1.0 - deviation.log10().floor()
    } else {
        3.0
    };
    format!("{deviation:.*}", digits.clamp(0.0, 8.0) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;

    fn compared() -> Comparison {
        let root = tempfile::tempdir().unwrap();
        let a = run(root.path(), "a", 1, 0.001, 1.5);
        let b = run(root.path(), "b", 2, 0.001, 2.5);
        let c = run(root.path(), "c", 1, 0.003, 1.25);
        Comparison::of(vec![a, b, c])
    }

    #[test]
    fn only_settings_that_differ_are_listed() {
        let compared = compared();
        let expected = [
            (
                "optimizer.learning_rate".to_string(),
                vec![Some("0.001"), Some("0.001"), Some("0.003")],
            ),
            ("training.seed".to_string(), vec![Some("1"), Some("2"), Some("1")]),
        ];
        assert_eq!(compared.differences(), expected);
    }

    #[test]
    fn runs_that_differ_only_by_the_seed_have_a_mean_and_a_deviation() {
        let groups = compared().groups();
        assert_eq!(
            groups.iter().map(|group| group.runs.clone()).collect::<Vec<_>>(),
            [vec![0, 1], vec![2]]
        );
        let loss = groups[0].figures["loss"];
        assert_eq!((loss.mean, loss.count), (2.0, 2));
        assert!((loss.deviation.unwrap() - 0.5_f64.sqrt()).abs() < 1e-15);
        assert_eq!(groups[1].figures["loss"].deviation, None);
    }

    #[test]
    fn a_run_that_is_not_at_its_end_is_no_seed_of_one_that_is() {
        let mut compared = compared();
        let cut = compared.runs[1].lines.len() - 1;
        compared.runs[1].lines.truncate(cut);
        let groups: Vec<Vec<usize>> = compared.groups().into_iter().map(|group| group.runs).collect();
        assert_eq!(groups, [[0], [1], [2]]);
    }

    #[test]
    fn lines_have_the_figures_the_settings_and_the_seeds() {
        let lines = compared().lines();
        for line in [
            "run outcome steps time figures of loss recall_accuracy",
            "2 b complete 10 4s all held-out 2.500 0.750",
            "setting that differs 1 2 3",
            "optimizer.learning_rate 0.001 0.001 0.003",
            "over 2 seeds (runs 1, 2) mean deviation",
            "loss 2.000 0.71",
        ] {
            let found = lines
                .iter()
                .any(|found| found.split_whitespace().eq(line.split_whitespace()));
            assert!(found, "`{line}` is not in:\n{}", lines.join("\n"));
        }
    }

    #[test]
    fn deviations_have_two_digits() {
        assert_eq!(
            [0.0, 0.00123, 0.0456, 1.26, 12.6].map(small),
            ["0.000", "0.0012", "0.046", "1.3", "13"]
        );
    }
}
