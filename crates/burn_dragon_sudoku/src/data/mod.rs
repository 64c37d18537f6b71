//! Puzzles with their solutions, in two parts: what is trained on, and what is held out.
//!
//! A solution belongs to a part by its class ([`Split::of`]), and grids that a symmetry maps to each other are of one
//! class: no held-out puzzle is a training puzzle in disguise, whatever the source and whatever the augmentation.

mod generate;
mod list;
mod symmetry;

pub use self::generate::{GeneratorConfig, SolvedBy};
pub(crate) use self::list::open;
pub use self::list::{Entry, LineError, Problem, entries, read_pairs};
pub use self::symmetry::Symmetry;
use crate::error::SudokuError;
use crate::grid::Grid;
use burn_dragon_core::api::{FreeMemory, Need};
use burn_dragon_train::api::{DataHash, DataHashes};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// One class of solutions in so many is held out.
const HELD_OUT: u64 = 16;

/// A puzzle with its one solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The givens.
    pub puzzle: Grid,
    /// The solution.
    pub solution: Grid,
}

/// Which part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What is trained on.
    Train,
    /// What is held out.
    Validation,
}

impl Split {
    /// The part that a solution belongs to: a function of what all grids symmetric to it share.
    ///
    /// # Panics
    /// If the grid is not complete.
    pub fn of(solution: &Grid) -> Self {
        if symmetry::class_of(solution).is_multiple_of(HELD_OUT) {
            Self::Validation
        } else {
            Self::Train
        }
    }
}

/// What is done to a training puzzle each time it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Augment {
    /// Nothing: it is always the same.
    None,
    /// It is mapped by a [`Symmetry`] drawn anew.
    #[default]
    Symmetries,
}

/// What to learn from: the table `[dataset]`, whose other keys `type` decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DatasetConfig {
    /// Puzzles made by this crate: nothing to download.
    Embedded(GeneratorConfig),
    /// Files.
    Lists(ListsConfig),
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Self::Embedded(GeneratorConfig::default())
    }
}

/// Files of puzzles: the keys of `[dataset]` where `type = "lists"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListsConfig {
    /// Files: a puzzle of 81 characters a line, or tables with columns `puzzle` and `solution` (or `question` and
    /// `answer`). A name that ends in `.gz` is unpacked.
    pub paths: Vec<PathBuf>,
    /// Files to validate on. Without them the puzzles of `paths` are divided: one class of solutions in 16 is held out.
    /// With them, puzzles of `paths` that may be symmetric to one of theirs are left out of training.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation_paths: Vec<PathBuf>,
    /// Puzzles read of each file at most; absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// What is done to a puzzle each time it is shown.
    #[serde(default)]
    pub augment: Augment,
}

/// The puzzles of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Puzzles {
    /// What is trained on.
    pub train: Vec<Pair>,
    /// What is held out.
    pub validation: Vec<Pair>,
    /// Puzzles of training files left out because they may be symmetric to one that is held out.
    pub left_out: usize,
}

impl DatasetConfig {
    /// What it is, for those who get a model that was trained on it; of files the names, not where they were.
    pub fn in_words(&self) -> String {
        match self {
            Self::Embedded(generator) => {
                let [fewest, most] = generator.givens;
                let singles = match generator.solved_by {
                    SolvedBy::NakedSingles => "naked singles",
                    SolvedBy::Singles => "naked and hidden singles",
                };
                format!("puzzles made from a seed, {fewest} to {most} givens, solved by {singles}")
            }
            Self::Lists(lists) => {
                let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
                let names: Vec<String> = lists.paths.iter().filter_map(name).collect();
                format!("lists of puzzles: {}", names.join(", "))
            }
        }
    }

    /// What is done to a training puzzle each time it is shown.
    pub fn augment(&self) -> Augment {
        match self {
            Self::Embedded(generator) => generator.augment,
            Self::Lists(lists) => lists.augment,
        }
    }

    /// Makes relative paths absolute, so that a saved configuration means the same from anywhere.
    pub fn make_absolute(&mut self, folder: &Path) {
        if let Self::Lists(lists) = self {
            let paths = lists.paths.iter_mut().chain(&mut lists.validation_paths);
            paths.for_each(|path| *path = folder.join(&path));
        }
    }

    /// Leaves of every path its last name.
    pub(crate) fn name_files_only(&mut self) {
        if let Self::Lists(lists) = self {
            for path in lists.paths.iter_mut().chain(&mut lists.validation_paths) {
                *path = path.file_name().map(PathBuf::from).unwrap_or_default();
            }
        }
    }

    /// Makes or reads the puzzles.
    ///
    /// # Errors
    /// If a setting is out of range, a file cannot be read or holds something else, or a part has no puzzle.
    pub fn load(&self) -> Result<Puzzles, SudokuError> {
        match self {
            Self::Embedded(generator) => {
                generator.validate()?;
                room_for(generator.puzzles.saturating_add(generator.validation_puzzles))?;
                Ok(Puzzles {
                    train: generator.puzzles(Split::Train),
                    validation: generator.puzzles(Split::Validation),
                    left_out: 0,
                })
            }
            Self::Lists(lists) => lists.load(),
        }
    }
}

/// Refuses more puzzles than the machine has memory for.
fn room_for(puzzles: usize) -> Result<(), SudokuError> {
    let bytes = (puzzles as u64).saturating_mul(size_of::<Pair>() as u64);
    let need = Need::of("the puzzles of the dataset").with("puzzles and solutions", bytes);
    Ok(FreeMemory::room_for(&need, || {
        "use a smaller dataset.puzzles".into()
    })?)
}

impl ListsConfig {
    fn load(&self) -> Result<Puzzles, SudokuError> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let read = |paths: &[PathBuf]| -> Result<Vec<Pair>, SudokuError> {
            let files = paths.iter().map(|path| read_pairs(path, limit));
            Ok(files.collect::<Result<Vec<_>, _>>()?.concat())
        };
        let all = read(&self.paths)?;
        let puzzles = all.len();
        let (train, validation, left_out) = if self.validation_paths.is_empty() {
            let (validation, train) = all
                .into_iter()
                .partition::<Vec<_>, _>(|pair| Split::of(&pair.solution) == Split::Validation);
            (train, validation, 0)
        } else {
            let validation = read(&self.validation_paths)?;
            let held_out: std::collections::BTreeSet<u64> = validation
                .iter()
                .map(|pair| symmetry::class_of(&pair.solution))
                .collect();
            let mut train = all;
            train.retain(|pair| !held_out.contains(&symmetry::class_of(&pair.solution)));
            let left_out = puzzles - train.len();
            (train, validation, left_out)
        };
        for (part, pairs) in [("training", &train), ("validation", &validation)] {
            if pairs.is_empty() {
                return Err(SudokuError::NoPuzzles { part, puzzles });
            }
        }
        Ok(Puzzles {
            train,
            validation,
            left_out,
        })
    }
}

impl Puzzles {
    /// What a run that goes on knows its puzzles by.
    pub fn hashes(&self) -> DataHashes {
        DataHashes {
            training: hash(&self.train),
            validation: hash(&self.validation),
        }
    }
}

fn hash(pairs: &[Pair]) -> DataHash {
    let mut sha256 = Sha256::new();
    for pair in pairs {
        sha256.update(pair.puzzle.cells());
        sha256.update(pair.solution.cells());
    }
    let digits = sha256
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    DataHash {
        sha256: digits,
        sizes: [("puzzles".to_string(), pairs.len() as u64)].into(),
    }
}

#[cfg(test)]
mod tests;
