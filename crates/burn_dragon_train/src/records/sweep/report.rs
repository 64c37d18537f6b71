//! Table of a sweep.

use super::{Sweep, status};
use crate::amounts::duration;
use crate::figures::figure;
use crate::records::compare::small;
use crate::records::{Comparison, RunRecord, SEED, Table};
use serde_json::{Value, json};

impl Sweep {
    /// Lines for the user: a row for each run, then the errors, then mean and deviation over seeds if the seed varies.
    pub fn lines(&self) -> Vec<String> {
        let records = self.records();
        let axes = self.file.axes();
        let heads = axes.iter().map(|axis| axis.short().to_string());
        let tail = ["outcome", "steps", "loss", "time", ""].map(String::from);
        let mut table = Table::new(["run".to_string()].into_iter().chain(heads).chain(tail));
        let best = best(&records);
        for (place, (run, record)) in self.file.runs.iter().zip(&records).enumerate() {
            let record = record.as_ref();
            let loss = record
                .and_then(RunRecord::loss)
                .map_or_else(|| "-".into(), figure);
            let mark = if best == Some(place) { "best" } else { "" };
            let number = run.name.split('-').next().unwrap_or_default().to_string();
            let values = run.settings.iter().map(|(_, value)| value.clone());
            let cells = [
                status(record, run.error.as_ref()),
                record.map_or_else(|| "-".into(), |record| record.steps().to_string()),
                loss,
                record.map_or_else(|| "-".into(), |record| duration(record.seconds())),
                mark.into(),
            ];
            table.row([number].into_iter().chain(values).chain(cells));
        }
        let mut lines = table.lines();
        let failed = self
            .file
            .runs
            .iter()
            .filter_map(|run| Some((run, run.error.as_ref()?)));
        lines.extend(failed.map(|(run, error)| format!("{} failed: {error}", run.name)));
        lines.extend(self.seed_lines(&records));
        lines
    }

    /// Mean and deviation of the loss over seeds, for each combination of the other settings.
    fn seed_lines(&self, records: &[Option<RunRecord>]) -> Vec<String> {
        let others: Vec<&str> = self
            .file
            .axes()
            .iter()
            .filter(|axis| axis.key != SEED)
            .map(|axis| axis.short())
            .collect();
        if others.len() == self.file.axes().len() {
            return Vec::new();
        }
        let heads = others.into_iter().map(String::from);
        let mut table = Table::new(heads.chain(["loss", "deviation", "seeds"].map(String::from)));
        for (settings, loss) in self.over_seeds(records) {
            let cells = [
                figure(loss.mean),
                loss.deviation.map_or_else(|| "-".into(), small),
                loss.count.to_string(),
            ];
            table.row(settings.into_iter().map(|(_, value)| value).chain(cells));
        }
        [vec![String::new(), "over seeds".into()], table.lines()].concat()
    }

    /// Settings without the seed, and the losses of their runs that are done.
    fn over_seeds(
        &self,
        records: &[Option<RunRecord>],
    ) -> Vec<(Vec<(String, String)>, crate::records::Spread)> {
        let known: Vec<usize> = (0..records.len())
            .filter(|&place| done(records[place].as_ref()))
            .collect();
        let compared = Comparison::of(known.iter().filter_map(|&place| records[place].clone()).collect());
        let groups = compared.groups().into_iter().filter_map(|group| {
            let settings = &self.file.runs[known[*group.runs.first()?]].settings;
            let settings = settings.iter().filter(|(key, _)| key != SEED).cloned();
            Some((settings.collect(), *group.figures.get("loss")?))
        });
        groups.collect()
    }

    /// Sweep as JSON.
    pub fn json(&self) -> Value {
        let records = self.records();
        let runs = self.file.runs.iter().zip(&records).map(|(run, record)| {
            let record = record.as_ref();
            let settings: serde_json::Map<String, Value> = run
                .settings
                .iter()
                .map(|(key, value)| (key.clone(), value.as_str().into()))
                .collect();
            json!({
                "name": run.name,
                "settings": settings,
                "outcome": status(record, run.error.as_ref()).replace(' ', "_"),
                "error": run.error,
                "steps": record.map(RunRecord::steps),
                "seconds": record.map(RunRecord::seconds),
                "figures": record.map(RunRecord::figures),
            })
        });
        let best = best(&records).map(|place| self.file.runs[place].name.clone());
        let over_seeds = self.over_seeds(&records).into_iter().map(|(settings, loss)| {
            let settings: serde_json::Map<String, Value> = settings
                .into_iter()
                .map(|(key, value)| (key, value.into()))
                .collect();
            json!({ "settings": settings, "loss": loss })
        });
        json!({
            "sweep_dir": self.folder,
            "runs": runs.collect::<Vec<_>>(),
            "best": best,
            "over_seeds": over_seeds.collect::<Vec<_>>(),
        })
    }
}

fn done(record: Option<&RunRecord>) -> bool {
    record.is_some_and(|record| record.status.is_done())
}

/// Run with the lowest held-out loss among those that are done.
fn best(records: &[Option<RunRecord>]) -> Option<usize> {
    let losses = records
        .iter()
        .enumerate()
        .filter(|(_, record)| done(record.as_ref()));
    let losses = losses.filter_map(|(place, record)| Some((place, record.as_ref()?.loss()?)));
    losses.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
}
