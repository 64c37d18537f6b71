//! Families of this program, one line each.

use crate::exit::Usage;
use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::language::Language;
use burn_dragon::api::sudoku::Sudoku;
use burn_dragon::api::train::{Family, PredictRequest, Predictions, Ran, RunRequest, TrainError, run};

/// Families. The first one is the default.
const FAMILIES: &[Entry] = &[Entry::of::<Language>(), Entry::of::<Sudoku>()];

/// Functions of the verbs for a family.
pub(crate) struct Entry {
    /// Name of the family.
    pub(crate) name: &'static str,
    /// `dragon train`.
    pub(crate) train: fn(&RunRequest) -> Result<Ran, TrainError>,
    /// `dragon predict`.
    pub(crate) predict: fn(ModelFile, &PredictRequest) -> Result<Predictions, TrainError>,
}

impl Entry {
    const fn of<F: Family>() -> Self {
        Self {
            name: F::NAME,
            train: run::<F>,
            predict: F::predict,
        }
    }
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
