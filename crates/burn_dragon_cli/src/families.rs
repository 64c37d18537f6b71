//! Families of this program, one line each.

use crate::exit::Usage;
use crate::own_data::{GRAPHS, OwnData, PICTURES, PUZZLES, TEXTS};
use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::graph::GraphFamily;
use burn_dragon::api::language::Language;
use burn_dragon::api::sudoku::Sudoku;
use burn_dragon::api::train::{
    Base, ConfigError, EvalRequest, Evaluated, Family, Fault, Layers, Look, LookRequest, MovedKey, Origin,
    PredictRequest, Predictions, Preset, Ran, ReadAs, RunRequest, Task, TrainError, check_config,
    config_reference, config_schema, eval, plan, resolve, run,
};
use burn_dragon::api::vision::Vision;
use burn_dragon_train::api::expert::flatten;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Families. The first one is the default.
const FAMILIES: &[Entry] = &[
    Entry::of::<Language>("text", TEXTS),
    Entry::of::<Sudoku>("lists", PUZZLES),
    Entry::of::<GraphFamily>("json", GRAPHS),
    Entry::of::<Vision>("folder", PICTURES),
];

/// Functions of the verbs for a family.
pub(crate) struct Entry {
    /// Name of the family.
    pub(crate) name: &'static str,
    /// Other names of model files that it reads.
    also: &'static [&'static str],
    /// `dragon train`.
    pub(crate) train: fn(&RunRequest) -> Result<Ran, TrainError>,
    /// `dragon plan`.
    pub(crate) plan: fn(&RunRequest) -> Result<Option<serde_json::Value>, TrainError>,
    /// `dragon predict`.
    pub(crate) predict: fn(ModelFile, &PredictRequest) -> Result<Predictions, TrainError>,
    /// `dragon look`.
    pub(crate) look: fn(ModelFile, &LookRequest) -> Result<Look, TrainError>,
    /// `dragon eval` on the held-out data of a run. The verb itself evaluates language models, on any text.
    pub(crate) eval: fn(&EvalRequest) -> Result<Evaluated, TrainError>,
    /// `dataset.type` of data in files.
    pub(crate) files: &'static str,
    /// Settings for data of which only the paths were typed.
    pub(crate) read_as: ReadPaths,
    /// Full key whose last part has this name, if there is one.
    pub(crate) key: fn(&str) -> Option<String>,
    /// Data of one's own in a project.
    pub(crate) own: OwnData,
    /// Default run.
    pub(crate) base: Base,
    /// Presets.
    pub(crate) presets: &'static [Preset],
    /// Keys of earlier versions.
    pub(crate) moved: fn() -> &'static [MovedKey],
    /// `dragon config show`.
    pub(crate) show: fn(&RunRequest) -> Result<Shown, TrainError>,
    /// `dragon config check`.
    pub(crate) check: fn(Layers) -> Vec<Fault>,
    /// `dragon config doc`.
    pub(crate) reference: fn() -> Result<String, ConfigError>,
    /// `dragon config doc --json`.
    pub(crate) schema: fn() -> Value,
}

/// Settings for data, by its paths and what was typed beside them.
type ReadPaths = fn(&[String], &BTreeMap<String, Value>) -> Result<Option<ReadAs>, TrainError>;

/// Resolved configuration of any family.
pub(crate) struct Shown {
    /// Name of the family.
    pub(crate) family: &'static str,
    /// Complete configuration as TOML, with the origin of every value.
    pub(crate) explained: String,
    /// Every value by its full key, with its origin.
    pub(crate) values: BTreeMap<String, (Value, Origin)>,
}

impl Entry {
    const fn of<F: Family>(files: &'static str, own: OwnData) -> Self {
        Self {
            name: F::NAME,
            also: F::FILES,
            train: run::<F>,
            plan: plan::<F>,
            predict: F::predict,
            look: F::look,
            eval: eval::<F>,
            files,
            read_as: F::read_as,
            key: key::<F>,
            own,
            base: F::BASE,
            presets: F::PRESETS,
            moved: moved::<F>,
            show: shown::<F>,
            check: faults::<F>,
            reference: config_reference::<F>,
            schema: config_schema::<F>,
        }
    }
}

fn shown<F: Family>(request: &RunRequest) -> Result<Shown, TrainError> {
    let resolved = request.configuration::<F>()?;
    Ok(Shown {
        family: F::NAME,
        explained: resolved.explain(),
        values: resolved.values(),
    })
}

fn moved<F: Family>() -> &'static [MovedKey] {
    F::Task::keys().moved
}

fn faults<F: Family>(layers: Layers) -> Vec<Fault> {
    check_config::<F>(layers).err().unwrap_or_default()
}

/// All families.
pub(crate) fn all() -> &'static [Entry] {
    FAMILIES
}

/// Family of a preset, and the preset.
pub(crate) fn preset(name: &str) -> Option<(&'static Entry, &'static Preset)> {
    FAMILIES.iter().find_map(|family| {
        let preset = family.presets.iter().find(|preset| preset.name == name)?;
        Some((family, preset))
    })
}

/// Names of the presets of all families.
pub(crate) fn preset_names() -> Vec<&'static str> {
    let presets = FAMILIES.iter().flat_map(|family| family.presets);
    presets.map(|preset| preset.name).collect()
}

/// Family or preset with a name like this one.
pub(crate) fn similar(word: &str) -> Option<&'static str> {
    let known = [names(), preset_names()].concat();
    let distance = |name: &&str| strsim::damerau_levenshtein(word, name);
    let nearest = known.into_iter().min_by_key(distance)?;
    (distance(&nearest) <= 2).then_some(nearest)
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

/// Family that reads model files of this name.
///
/// # Errors
/// As for [`named`].
pub(crate) fn of_file(name: &str) -> Result<&'static Entry, Usage> {
    let reads = |family: &&Entry| family.also.contains(&name);
    FAMILIES.iter().find(reads).map_or_else(|| named(Some(name)), Ok)
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
        let near = known
            .iter()
            .find(|family| strsim::damerau_levenshtein(name, family) <= 2);
        let hint = near.map_or(String::new(), |family| format!("did you mean `{family}`? "));
        let known = known.join(", ");
        Usage(format!(
            "unknown family `{name}`; {hint}known families: {known} (settings are written as KEY=VALUE)"
        ))
    })
}
