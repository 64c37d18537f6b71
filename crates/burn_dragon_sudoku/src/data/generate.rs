//! Puzzle generator: puzzles with one solution, each a function of seed and index.

use super::symmetry::shuffle;
use super::{Augment, Pair, Split};
use crate::error::SudokuError;
use crate::grid::Grid;
use crate::solver::{Singles, fill_singles, solve_in_order};
use crate::units::CELLS;
use burn_dragon_core::api::expert::{Rng, derive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minimum number of givens. With fewer, few grids have a puzzle that singles solve.
const FEWEST_GIVENS: usize = 26;

/// Difficulty of a generated puzzle: the deductions that solve it without a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SolvedBy {
    /// Naked singles.
    NakedSingles,
    /// Naked and hidden singles.
    Singles,
}

impl From<SolvedBy> for Singles {
    fn from(solved_by: SolvedBy) -> Self {
        match solved_by {
            SolvedBy::NakedSingles => Self::Naked,
            SolvedBy::Singles => Self::NakedAndHidden,
        }
    }
}

/// Generated puzzles: the keys of `[dataset]` where `type = "embedded"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Seed of the puzzles. It belongs to the data: runs with different training seeds read the same puzzles.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
    /// Number of training puzzles.
    pub puzzles: usize,
    /// Number of held-out puzzles.
    pub validation_puzzles: usize,
    /// Minimum and maximum number of givens, 26 to 80. Each number between them is equally likely.
    pub givens: [usize; 2],
    /// Deductions that solve every puzzle.
    pub solved_by: SolvedBy,
    /// Augmentation of training puzzles.
    pub augment: Augment,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            puzzles: 20_000,
            validation_puzzles: 1_000,
            givens: [36, 50],
            solved_by: SolvedBy::Singles,
            augment: Augment::Symmetries,
        }
    }
}

impl GeneratorConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`SudokuError::Config`] with the key.
    pub fn validate(&self) -> Result<(), SudokuError> {
        let refuse = |key, reason: String| Err(SudokuError::Config { key, reason });
        let [fewest, most] = self.givens;
        if self.puzzles == 0 {
            refuse("dataset.puzzles", "is 0, but training needs puzzles".into())
        } else if self.validation_puzzles == 0 {
            refuse(
                "dataset.validation_puzzles",
                "is 0, but evaluation needs puzzles".into(),
            )
        } else if fewest < FEWEST_GIVENS || most >= CELLS || fewest > most {
            let range = format!(
                "two numbers from {FEWEST_GIVENS} to {}, the smaller one first",
                CELLS - 1
            );
            refuse(
                "dataset.givens",
                format!("is [{fewest}, {most}]; expected {range}"),
            )
        } else {
            Ok(())
        }
    }

    /// Puzzle `index` of a split: a pure function of configuration, split and index.
    ///
    /// Solutions are drawn by a randomised search, so they are not uniform over all grids.
    pub fn puzzle(&self, split: Split, index: u64) -> Pair {
        let purpose = match split {
            Split::Train => "puzzle.train",
            Split::Validation => "puzzle.validation",
        };
        let mut rng = Rng::new(derive(self.seed, purpose, index, 0));
        let [fewest, most] = self.givens;
        let givens = fewest + rng.below(most - fewest + 1);
        loop {
            let solution = random_solution(&mut rng);
            if Split::of(&solution) != split {
                continue;
            }
            if let Some(puzzle) = dig(&solution, givens, self.solved_by.into(), &mut rng) {
                return Pair { puzzle, solution };
            }
        }
    }

    /// All puzzles of a split.
    pub(super) fn puzzles(&self, split: Split) -> Vec<Pair> {
        let count = match split {
            Split::Train => self.puzzles,
            Split::Validation => self.validation_puzzles,
        };
        (0..count as u64).map(|index| self.puzzle(split, index)).collect()
    }
}

/// Complete grid, found by search with random digits.
fn random_solution(rng: &mut Rng) -> Grid {
    let pick = |candidates: u16| {
        let mut bits = candidates;
        (0..rng.below(candidates.count_ones() as usize)).for_each(|_| bits &= bits - 1);
        bits & bits.wrapping_neg()
    };
    // The empty grid has solutions, and the search is exhaustive.
    solve_in_order(&Grid::EMPTY, pick).unwrap_or(Grid::EMPTY)
}

/// Puzzle of `givens` givens for a solution. Cells are emptied in random order, each only if singles still solve the
/// puzzle, which therefore has one solution. `None` if fewer cells can be emptied.
fn dig(solution: &Grid, givens: usize, singles: Singles, rng: &mut Rng) -> Option<Grid> {
    let mut order: [usize; CELLS] = std::array::from_fn(|cell| cell);
    shuffle(&mut order, rng);
    let solvable = |puzzle: &Grid| fill_singles(puzzle, singles).filled() == CELLS;
    let mut puzzle = *solution;
    let mut left = CELLS;
    for cell in order {
        if left == givens {
            break;
        }
        let without = puzzle.with(cell, 0);
        if solvable(&without) {
            (puzzle, left) = (without, left - 1);
        }
    }
    (left == givens).then_some(puzzle)
}

#[cfg(test)]
mod tests {
    use super::super::symmetry::class_of;
    use super::*;
    use crate::solver::{Solutions, solve};
    use std::collections::BTreeSet;

    fn config(givens: [usize; 2], solved_by: SolvedBy) -> GeneratorConfig {
        GeneratorConfig {
            givens,
            solved_by,
            ..GeneratorConfig::default()
        }
    }

    #[test]
    fn every_puzzle_has_the_one_solution_that_comes_with_it_and_as_many_givens_as_asked_for() {
        let mut counts = BTreeSet::new();
        for (givens, solved_by) in [([28, 34], SolvedBy::Singles), ([36, 60], SolvedBy::NakedSingles)] {
            let config = config(givens, solved_by);
            for index in 0..60 {
                let pair = config.puzzle(Split::Train, index);
                assert_eq!(solve(&pair.puzzle), Solutions::One(pair.solution), "{index}");
                assert_eq!(fill_singles(&pair.puzzle, solved_by.into()), pair.solution);
                let filled = pair.puzzle.filled();
                assert!((givens[0]..=givens[1]).contains(&filled), "{filled}");
                counts.insert(filled);
            }
        }
        assert!(counts.len() > 20, "{counts:?}");
    }

    #[test]
    fn a_puzzle_is_a_function_of_seed_part_and_index() {
        let config = GeneratorConfig::default();
        let pair = config.puzzle(Split::Train, 3);
        assert_eq!(pair, config.puzzle(Split::Train, 3));
        assert_ne!(pair, config.puzzle(Split::Train, 4));
        let other = GeneratorConfig { seed: 1, ..config };
        assert_ne!(pair, other.puzzle(Split::Train, 3));
    }

    #[test]
    fn solutions_held_out_are_never_trained_on_nor_what_is_symmetric_to_them() {
        let config = config([40, 40], SolvedBy::Singles);
        let classes = |split| -> BTreeSet<u64> {
            (0..100)
                .map(|index| class_of(&config.puzzle(split, index).solution))
                .collect()
        };
        let (train, validation) = (classes(Split::Train), classes(Split::Validation));
        assert!(train.is_disjoint(&validation));
        assert!(
            train.len() > 80 && validation.len() > 40,
            "{} {}",
            train.len(),
            validation.len()
        );
    }

    #[test]
    fn a_share_of_the_grids_is_held_out() {
        let mut rng = Rng::new(9);
        let held_out = (0..4000)
            .filter(|_| Split::of(&random_solution(&mut rng)) == Split::Validation)
            .count();
        assert!(
            (150..350).contains(&held_out),
            "{held_out} of 4000, a sixteenth was expected"
        );
    }

    #[test]
    fn a_configuration_without_puzzles_is_refused_by_its_key() {
        let refused = |config: GeneratorConfig| config.validate().unwrap_err().to_string();
        let base = GeneratorConfig::default();
        base.validate().unwrap();
        for givens in [[25, 40], [40, 81], [41, 40]] {
            let error = refused(GeneratorConfig {
                givens,
                ..base.clone()
            });
            assert!(
                error.contains("dataset.givens") && error.contains(&format!("{givens:?}")),
                "{error}"
            );
        }
        assert!(
            refused(GeneratorConfig {
                puzzles: 0,
                ..base.clone()
            })
            .contains("dataset.puzzles")
        );
        let none = GeneratorConfig {
            validation_puzzles: 0,
            ..base
        };
        assert!(refused(none).contains("dataset.validation_puzzles"));
    }
}
