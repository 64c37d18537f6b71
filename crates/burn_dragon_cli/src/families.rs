//! Families of this program, one line each.

use crate::exit::Usage;
use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::language::Language;
use burn_dragon::api::sudoku::Sudoku;
use burn_dragon::api::train::{
    Family, Layers, PredictRequest, Predictions, Ran, RunRequest, TrainError, plan, resolve, run,
};
use burn_dragon_train::api::expert::flatten;
use std::collections::BTreeSet;

/// Families. The first one is the default.
const FAMILIES: &[Entry] = &[Entry::of::<Language>("text"), Entry::of::<Sudoku>("lists")];

/// Functions of the verbs for a family.
pub(crate) struct Entry {
    /// Name of the family.
    pub(crate) name: &'static str,
    /// `dragon train`.
    pub(crate) train: fn(&RunRequest) -> Result<Ran, TrainError>,
    /// `dragon plan`.
    pub(crate) plan: fn(&RunRequest) -> Result<Option<serde_json::Value>, TrainError>,
    /// `dragon predict`.
    pub(crate) predict: fn(ModelFile, &PredictRequest) -> Result<Predictions, TrainError>,
    /// `dataset.type` of data in files.
    pub(crate) files: &'static str,
    /// Full key whose last part has this name, if there is one.
    pub(crate) key: fn(&str) -> Option<String>,
}

impl Entry {
    const fn of<F: Family>(files: &'static str) -> Self {
        Self {
            name: F::NAME,
            train: run::<F>,
            plan: plan::<F>,
            predict: F::predict,
            files,
            key: key::<F>,
        }
    }
}

/// Names of all families.
pub(crate) fn names() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.name).collect()
}

/// Full key whose last part is `name`: of the tables of the default run, the first that takes it.
fn key<F: Family>(name: &str) -> Option<String> {
    let base = || Layers::new().embedded(F::BASE.path, F::BASE.text);
    let shown = flatten(&resolve::<F>(base().ok()?).ok()?.value);
    let tables: BTreeSet<&str> = shown
        .keys()
        .filter_map(|key| Some(key.rsplit_once('.')?.0))
        .collect();
    // A key that is absent by default is there once it is set.
    let is_known = |key: &str| {
        let set = base().and_then(|layers| layers.assignment(&format!("{key}=1")));
        let set = set.and_then(resolve::<F>);
        set.is_ok_and(|set| flatten(&set.value).contains_key(key))
    };
    let keys: Vec<String> = tables.iter().map(|table| format!("{table}.{name}")).collect();
    let there = keys.iter().find(|key| shown.contains_key(*key));
    there.or_else(|| keys.iter().find(|key| is_known(key))).cloned()
}

/// Family of this name; the first one if there is no name.
///
/// # Errors
/// If there is no such family, with the names of the existing ones.
pub(crate) fn named(name: Option<&str>) -> Result<&'static Entry, Usage> {
    let Some(name) = name else {
        return Ok(&FAMILIES[0]);
    };
    FAMILIES.iter().find(|family| family.name == name).ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        let known = known.join(", ");
        Usage(format!(
            "unknown family `{name}`; known families: {known} (settings are written as KEY=VALUE)"
        ))
    })
}
