//! Puzzle generator: puzzles with one solution, each a function of seed and index.

use super::symmetry::shuffle;
use super::{Augment, Order, Pair, Split, is_default};
use crate::error::SudokuError;
use crate::grid::Grid;
use crate::solver::{Singles, fill_singles, is_unique_without, solve_in_order};
use crate::units::CELLS;
use burn_dragon_core::api::expert::{Rng, derive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minimum number of givens of puzzles that singles solve. With fewer, few grids have such a puzzle.
const FEWEST_GIVENS: usize = 26;

/// Minimum number of givens of puzzles that may take guesses. With fewer, few orders of removal lead there.
const FEWEST_WITH_GUESSES: usize = 22;

/// What solves a generated puzzle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SolvedBy {
    /// Naked singles.
    NakedSingles,
    /// Naked and hidden singles.
    Singles,
    /// Singles, and guesses where these are not enough: a puzzle only has to have one solution.
    Guesses,
}

/// Number of givens of a generated puzzle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected [fewest, most], or \"minimal\": as few as no other can be removed"
)]
pub enum Givens {
    /// Number by a name.
    Named(NamedGivens),
    /// Minimum and maximum. Each number between them is equally likely.
    Range([usize; 2]),
}

/// Name of a number of givens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedGivens {
    /// Givens are removed, in random order, until none can be: about 24 are left.
    Minimal,
}

impl From<[usize; 2]> for Givens {
    fn from(range: [usize; 2]) -> Self {
        Self::Range(range)
    }
}

impl std::fmt::Display for Givens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(NamedGivens::Minimal) => f.write_str("as few givens as possible"),
            Self::Range([fewest, most]) => write!(f, "{fewest} to {most} givens"),
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
    /// Minimum and maximum number of givens, each number between them equally likely: 26 to 80, or 22 to 80 with
    /// `solved_by = "guesses"`. Or `"minimal"`: givens are removed until none can be.
    pub givens: Givens,
    /// What solves every puzzle.
    pub solved_by: SolvedBy,
    /// Augmentation of training puzzles.
    pub augment: Augment,
    /// Order of the training puzzles.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "shuffled"))]
    pub order: Order,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            puzzles: 20_000,
            validation_puzzles: 1_000,
            givens: [36, 50].into(),
            solved_by: SolvedBy::Singles,
            augment: Augment::Symmetries,
            order: Order::Shuffled,
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
        if self.puzzles == 0 {
            refuse("dataset.puzzles", "is 0, but training needs puzzles".into())
        } else if self.validation_puzzles == 0 {
            refuse(
                "dataset.validation_puzzles",
                "is 0, but evaluation needs puzzles".into(),
            )
        } else {
            self.validate_givens()
        }
    }

    fn validate_givens(&self) -> Result<(), SudokuError> {
        let Givens::Range([fewest, most]) = self.givens else {
            return Ok(());
        };
        let least = match self.solved_by {
            SolvedBy::NakedSingles | SolvedBy::Singles => FEWEST_GIVENS,
            SolvedBy::Guesses => FEWEST_WITH_GUESSES,
        };
        if (least..=most).contains(&fewest) && most < CELLS {
            return Ok(());
        }
        let range = format!(
            "two numbers from {least} to {}, the smaller one first, or \"minimal\"",
            CELLS - 1
        );
        Err(SudokuError::Config {
            key: "dataset.givens",
            reason: format!("is [{fewest}, {most}]; expected {range}"),
        })
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
        let givens = match self.givens {
            Givens::Range([fewest, most]) => Some(fewest + rng.below(most - fewest + 1)),
            Givens::Named(NamedGivens::Minimal) => None,
        };
        loop {
            let solution = random_solution(&mut rng);
            if Split::of(&solution) != split {
                continue;
            }
            if let Some(puzzle) = dig(&solution, givens, self.solved_by, &mut rng) {
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

/// Puzzle of a solution. Cells are emptied in random order, each only if the puzzle still has one solution and is solved by
/// what it is to be solved by, until so many givens are left, or all cells were tried. `None` if fewer cells can be emptied.
fn dig(solution: &Grid, givens: Option<usize>, solved_by: SolvedBy, rng: &mut Rng) -> Option<Grid> {
    let mut order: [usize; CELLS] = std::array::from_fn(|cell| cell);
    shuffle(&mut order, rng);
    let fills = |puzzle: &Grid, singles| fill_singles(puzzle, singles).filled() == CELLS;
    let solvable = |puzzle: &Grid, cell| match solved_by {
        SolvedBy::NakedSingles => fills(puzzle, Singles::Naked),
        SolvedBy::Singles => fills(puzzle, Singles::NakedAndHidden),
        SolvedBy::Guesses => is_unique_without(puzzle, solution, cell) == Some(true),
    };
    let mut puzzle = *solution;
    let mut left = CELLS;
    for cell in order {
        if givens == Some(left) {
            break;
        }
        let without = puzzle.with(cell, 0);
        if solvable(&without, cell) {
            (puzzle, left) = (without, left - 1);
        }
    }
    givens.is_none_or(|givens| givens == left).then_some(puzzle)
}

#[cfg(test)]
mod tests {
    use super::super::symmetry::class_of;
    use super::*;
    use crate::solver::{Solutions, solve};
    use std::collections::BTreeSet;

    fn config(givens: [usize; 2], solved_by: SolvedBy) -> GeneratorConfig {
        GeneratorConfig {
            givens: givens.into(),
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
                let singles = match solved_by {
                    SolvedBy::NakedSingles => Singles::Naked,
                    SolvedBy::Singles | SolvedBy::Guesses => Singles::NakedAndHidden,
                };
                assert_eq!(fill_singles(&pair.puzzle, singles), pair.solution);
                let filled = pair.puzzle.filled();
                assert!((givens[0]..=givens[1]).contains(&filled), "{filled}");
                counts.insert(filled);
            }
        }
        assert!(counts.len() > 20, "{counts:?}");
    }

    #[test]
    fn a_minimal_puzzle_needs_each_of_its_givens() {
        let config = GeneratorConfig {
            givens: Givens::Named(NamedGivens::Minimal),
            solved_by: SolvedBy::Guesses,
            ..GeneratorConfig::default()
        };
        let mut guesses = 0;
        for index in 0..6 {
            let pair = config.puzzle(Split::Train, index);
            assert_eq!(solve(&pair.puzzle), Solutions::One(pair.solution), "{index}");
            for cell in (0..CELLS).filter(|&cell| pair.puzzle.cells()[cell] != 0) {
                let without = pair.puzzle.with(cell, 0);
                assert!(matches!(solve(&without), Solutions::Many(_)), "{index} {cell}");
            }
            guesses += crate::rating::Rating::of(&pair.puzzle).unwrap().guesses;
        }
        assert!(guesses > 0, "some minimal puzzles take guesses");
    }

    /// `cargo test --release -p burn_dragon_sudoku -- --ignored speed --nocapture`
    #[test]
    #[ignore = "measures the speed of the generator and of the rater"]
    fn speed_of_generator_and_rater() {
        let minimal = Givens::Named(NamedGivens::Minimal);
        for (givens, solved_by) in [
            ([36, 50].into(), SolvedBy::Singles),
            ([24, 44].into(), SolvedBy::Guesses),
            (minimal, SolvedBy::Guesses),
        ] {
            let config = GeneratorConfig {
                givens,
                solved_by,
                ..GeneratorConfig::default()
            };
            let start = std::time::Instant::now();
            let made: Vec<Pair> = (0..3000)
                .map(|index| config.puzzle(Split::Train, index))
                .collect();
            let making = start.elapsed().as_secs_f64();
            let start = std::time::Instant::now();
            let ratings = made
                .iter()
                .filter_map(|pair| crate::rating::Rating::of(&pair.puzzle));
            let singles = ratings.filter(crate::rating::Rating::is_singles_only).count();
            let rating = start.elapsed().as_secs_f64();
            println!(
                "{givens}, {solved_by:?}: {:.0} made a second, {:.0} rated a second, {:.0} made and rated; {:.1} % singles",
                3000.0 / making,
                3000.0 / rating,
                3000.0 / (making + rating),
                singles as f64 / 30.0
            );
        }
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
        let with_guesses = GeneratorConfig {
            givens: [22, 25].into(),
            solved_by: SolvedBy::Guesses,
            ..base.clone()
        };
        with_guesses.validate().unwrap();
        for givens in [[25, 40], [40, 81], [41, 40]] {
            let error = refused(GeneratorConfig {
                givens: givens.into(),
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
