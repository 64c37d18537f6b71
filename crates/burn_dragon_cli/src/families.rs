//! The families of models that this program knows: a line for each.

use crate::exit::Usage;
use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::language::Language;
use burn_dragon::api::sudoku::Sudoku;
use burn_dragon::api::train::{Family, PredictRequest, Predictions, Ran, RunRequest, TrainError, run};

/// The families, the first one where nothing says which.
const FAMILIES: &[Entry] = &[Entry::of::<Language>(), Entry::of::<Sudoku>()];

/// What the verbs do for a family.
pub(crate) struct Entry {
    /// Its name.
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

/// The family of a name; the first one where there is none.
///
/// # Errors
/// If there is no such family, with those that there are.
pub(crate) fn named(name: Option<&str>) -> Result<&'static Entry, Usage> {
    let Some(name) = name else {
        return Ok(&FAMILIES[0]);
    };
    FAMILIES.iter().find(|family| family.name == name).ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        let known = known.join(", ");
        Usage(format!(
            "unknown family `{name}`; there is: {known} (and settings are KEY=VALUE)"
        ))
    })
}
