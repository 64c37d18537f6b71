//! Evaluation of models on puzzles, after each number of levels, with controls that need no model.

use crate::config::LossKind;
use crate::data::Pair;
use crate::grid::{Conflict, Grid};
use crate::model::{SudokuModel, SudokuPass};
use crate::solver::{Singles, candidates, fill_singles};
use crate::units::CELLS;
use burn::tensor::{Int, Tensor, TensorData};
use serde::Serialize;

/// Number of puzzles that are read at once.
const BATCH: usize = 64;

/// Answer of a model to a puzzle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The puzzle.
    pub puzzle: Grid,
    /// The givens, and the likeliest digit in every other cell.
    pub grid: Grid,
}

impl Answer {
    /// Whether the answer solves the puzzle: complete, no rule broken, all givens kept.
    pub fn is_solved(&self) -> bool {
        self.grid.solves(&self.puzzle)
    }

    /// First broken rule, if any.
    pub fn conflict(&self) -> Option<Conflict> {
        self.grid.conflict()
    }
}

/// Answers of a model after `levels` levels. All cells are filled at once, from the logits of the last level.
pub fn answers(model: &SudokuModel, puzzles: &[Grid], levels: usize) -> Vec<Answer> {
    let pass = SudokuPass {
        levels: Some(levels),
        ..SudokuPass::default()
    };
    let batches = puzzles.chunks(BATCH).flat_map(|batch| {
        let last = model.logits_by_level(batch, pass).pop();
        last.map(|logits| likeliest(logits, batch)).unwrap_or_default()
    });
    batches.collect()
}

/// Answers with the likeliest digit in each empty cell.
pub(crate) fn likeliest(logits: Tensor<3>, puzzles: &[Grid]) -> Vec<Answer> {
    let digits = logits.argmax(2).into_data().convert::<i64>();
    let digits: Vec<i64> = digits.iter::<i64>().collect();
    let answer = |(puzzle, digits): (&Grid, &[i64])| Answer {
        puzzle: *puzzle,
        grid: puzzle
            .empty_cells()
            .fold(*puzzle, |grid, cell| grid.with(cell, digits[cell] as u8 + 1)),
    };
    puzzles.iter().zip(digits.chunks(CELLS)).map(answer).collect()
}

/// Score on some puzzles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Share of the empty cells with the right digit.
    pub cell_accuracy: f64,
    /// Share of the puzzles that are completely solved.
    pub solved: f64,
}

impl Score {
    /// Score of the given grids, one per pair.
    pub fn of(pairs: &[Pair], grids: impl IntoIterator<Item = Grid>) -> Self {
        let (mut right, mut cells, mut solved) = (0, 0, 0);
        for (pair, grid) in pairs.iter().zip(grids) {
            let empty = pair.puzzle.empty_cells();
            let here = empty
                .filter(|&cell| grid.cells()[cell] == pair.solution.cells()[cell])
                .count();
            let count = CELLS - pair.puzzle.filled();
            (right, cells) = (right + here, cells + count);
            solved += usize::from(here == count);
        }
        Self {
            cell_accuracy: right as f64 / cells.max(1) as f64,
            solved: solved as f64 / pairs.len().max(1) as f64,
        }
    }
}

/// Figures of a model after one number of levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LevelScore {
    /// Mean cross-entropy of the empty cells, in nats.
    pub loss: f64,
    /// Score of the likeliest digits.
    #[serde(flatten)]
    pub score: Score,
}

/// Figures of a model on puzzles after 1, 2, ... `levels` levels, with losses of a kind.
pub fn evaluate(model: &SudokuModel, pairs: &[Pair], levels: usize, kind: LossKind) -> Vec<LevelScore> {
    let pass = SudokuPass {
        levels: Some(levels),
        ..SudokuPass::default()
    };
    let mut grids = vec![Vec::with_capacity(pairs.len()); levels];
    let mut losses = vec![0.0; levels];
    for batch in pairs.chunks(BATCH) {
        let puzzles = Pair::puzzles(batch);
        let open = OpenCells::of(batch);
        for (level, logits) in model.logits_by_level(&puzzles, pass).into_iter().enumerate() {
            losses[level] += open.losses(logits.clone(), kind).sum().into_scalar::<f64>();
            grids[level].extend(likeliest(logits, &puzzles).into_iter().map(|answer| answer.grid));
        }
    }
    let cells = pairs
        .iter()
        .map(|pair| CELLS - pair.puzzle.filled())
        .sum::<usize>()
        .max(1);
    let scored = losses.into_iter().zip(grids);
    scored
        .map(|(loss, grids)| LevelScore {
            loss: loss / cells as f64,
            score: Score::of(pairs, grids),
        })
        .collect()
}

/// Cells with a loss: the empty cells of the puzzles. Givens are only inputs.
#[derive(Clone, Debug)]
pub(crate) struct OpenCells {
    /// Indices among the cells of all puzzles.
    places: Vec<i32>,
    /// Right digits, counted from 0.
    digits: Vec<i32>,
}

impl OpenCells {
    pub(crate) fn of(pairs: &[Pair]) -> Self {
        let (mut places, mut digits) = (Vec::new(), Vec::new());
        for (index, pair) in pairs.iter().enumerate() {
            for cell in pair.puzzle.empty_cells() {
                places.push((index * CELLS + cell) as i32);
                digits.push(i32::from(pair.solution.cells()[cell]) - 1);
            }
        }
        Self { places, digits }
    }

    /// Cross-entropy of each cell in nats, `[1, E]`, from logits `[B, 81, 9]`.
    pub(crate) fn losses(&self, logits: Tensor<3>, kind: LossKind) -> Tensor<2> {
        let ([lanes, cells, digits], count) = (logits.dims(), self.places.len());
        let device = logits.device();
        let places = TensorData::new(self.places.clone(), [count]);
        let places = Tensor::<1, Int>::from_data(places, &device);
        let targets = TensorData::new(self.digits.clone(), [1, count]);
        let targets = Tensor::<2, Int>::from_data(targets, &device);
        let logits = logits.reshape([lanes * cells, digits]).select(0, places); // [E, 9]
        match kind {
            LossKind::Softmax => {
                burn_dragon_core::api::token_losses(logits.reshape([1, count, digits]), targets)
            }
            LossKind::Stablemax => stablemax_losses(logits, targets),
        }
    }
}

/// `log sum s(z) - log s(z_target)`, `[1, E]`, from logits `[E, 9]` and targets `[1, E]`, with `s(z) = z + 1` for z of at
/// least 0, and `1 / (1 - z)` below. The logarithms are subtracted: a quotient could be too small for f32.
pub(crate) fn stablemax_losses(logits: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<2> {
    let count = logits.dims()[0];
    let above = logits.clone().clamp_min(0.0) + 1.0; // 1 where z is negative
    let below = logits.clamp_max(0.0).neg() + 1.0; // 1 where z is positive
    let sums = (above.clone() / below.clone()).sum_dim(1).log(); // [E, 1]
    let logarithms = above.log() - below.log(); // [E, 9]
    let of_targets = logarithms.gather(1, targets.reshape([count, 1])); // [E, 1]
    (sums - of_targets).reshape([1, count])
}

/// Controls: scores on the same puzzles without a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Controls {
    /// Cell accuracy of a random digit: 1/9.
    pub chance: f64,
    /// Expected cell accuracy of a random digit among those that the givens allow in the cell.
    pub candidates: f64,
    /// Score of the naked singles that the givens show at once.
    pub naked_at_once: Score,
    /// Score of naked singles, filled repeatedly until none is left.
    pub naked: Score,
    /// Score of naked and hidden singles, filled repeatedly until none is left.
    pub singles: Score,
}

impl Controls {
    /// Controls on these puzzles.
    pub fn of(pairs: &[Pair]) -> Self {
        let filled = |singles| {
            Score::of(
                pairs,
                pairs.iter().map(|pair| fill_singles(&pair.puzzle, singles)),
            )
        };
        Self {
            chance: 1.0 / 9.0,
            candidates: by_candidates(pairs),
            naked_at_once: Score::of(pairs, pairs.iter().map(|pair| at_once(&pair.puzzle))),
            naked: filled(Singles::Naked),
            singles: filled(Singles::NakedAndHidden),
        }
    }
}

/// Expected share of cells that a random candidate gets right.
fn by_candidates(pairs: &[Pair]) -> f64 {
    let chances: Vec<f64> = pairs
        .iter()
        .flat_map(|pair| {
            let left = candidates(&pair.puzzle);
            pair.puzzle
                .empty_cells()
                .map(move |cell| 1.0 / f64::from(left[cell].count_ones().max(1)))
        })
        .collect();
    chances.iter().sum::<f64>() / chances.len().max(1) as f64
}

/// The puzzle with the naked singles that its givens show.
fn at_once(puzzle: &Grid) -> Grid {
    let left = candidates(puzzle);
    let naked = puzzle.empty_cells().filter(|&cell| left[cell].is_power_of_two());
    naked.fold(*puzzle, |grid, cell| {
        grid.with(cell, left[cell].trailing_zeros() as u8 + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::data::{GeneratorConfig, SolvedBy, Split};
    use burn::tensor::Device;

    fn pairs(count: u64, solved_by: SolvedBy) -> Vec<Pair> {
        let generator = GeneratorConfig {
            givens: [30, 40].into(),
            solved_by,
            ..GeneratorConfig::default()
        };
        (0..count)
            .map(|index| generator.puzzle(Split::Validation, index))
            .collect()
    }

    fn model() -> SudokuModel {
        let config = ModelConfig {
            d_model: 16,
            n_heads: 2,
            n_neurons: 32,
            n_levels: 2,
            init_std: 0.3,
            ..ModelConfig::default()
        };
        SudokuModel::new(&config, 1, &Device::flex()).unwrap()
    }

    #[test]
    fn a_score_counts_empty_cells_and_whole_puzzles() {
        let pairs = pairs(4, SolvedBy::Singles);
        let solutions: Vec<Grid> = pairs.iter().map(|pair| pair.solution).collect();
        let all = Score {
            cell_accuracy: 1.0,
            solved: 1.0,
        };
        assert_eq!(Score::of(&pairs, solutions.clone()), all);
        let puzzles = pairs.iter().map(|pair| pair.puzzle);
        assert_eq!(Score::of(&pairs, puzzles), Score::default());
        // One wrong cell in one of four.
        let cell = pairs[1].puzzle.empty_cells().next().unwrap();
        let mut wrong = solutions;
        wrong[1] = wrong[1].with(cell, wrong[1].cells()[cell] % 9 + 1);
        let empty: usize = pairs.iter().map(|pair| pair.puzzle.empty_cells().count()).sum();
        let score = Score::of(&pairs, wrong);
        assert_eq!(score.solved, 0.75);
        assert!((score.cell_accuracy - (1.0 - 1.0 / empty as f64)).abs() < 1e-12);
    }

    #[test]
    fn logits_of_the_solution_are_an_answer_that_solves_and_a_loss_of_nothing() {
        let pairs = pairs(3, SolvedBy::Singles);
        let puzzles = Pair::puzzles(&pairs);
        let sure = pairs.iter().flat_map(|pair| pair.solution.cells().to_vec());
        let sure: Vec<f32> = sure
            .flat_map(|digit| (1..=9).map(move |d| if d == digit { 40.0 } else { 0.0 }))
            .collect();
        let logits = Tensor::<3>::from_data(TensorData::new(sure, [3, 81, 9]), &Device::flex());
        let answers = likeliest(logits.clone(), &puzzles);
        assert!(
            answers
                .iter()
                .all(|answer| answer.is_solved() && answer.conflict().is_none())
        );
        let losses = OpenCells::of(&pairs).losses(logits.clone(), LossKind::Softmax);
        let empty: usize = puzzles.iter().map(|puzzle| puzzle.empty_cells().count()).sum();
        assert_eq!(losses.dims(), [1, empty]);
        assert!(losses.sum().into_scalar::<f64>() < 1e-6);
        // What the readout says of a given is never asked.
        let none = likeliest(logits.zeros_like(), &puzzles);
        assert!(
            none.iter()
                .all(|answer| answer.grid.keeps(&answer.puzzle) && !answer.is_solved())
        );
        assert!(none.iter().all(|answer| answer.conflict().is_some()));
    }

    /// By hand: s(1) = 2, s(-1) = 1/2, s(0) = 1, so that the probabilities of the first row are 4/7, 1/7 and 2/7; s(3) = 4 and
    /// s(-3) = 1/4 in the second.
    #[test]
    fn stablemax_has_the_values_and_gradients_of_its_definition() {
        let rows = [[1.0f32, -1.0, 0.0], [3.0, -3.0, -3.0]];
        let of = |rows: [[f32; 3]; 2], targets: [i32; 2], device: &Device| {
            let targets = Tensor::<2, Int>::from_data([targets], device);
            let logits = Tensor::<2>::from_data(rows, device).require_grad();
            (logits.clone(), stablemax_losses(logits, targets))
        };
        let device = Device::flex().autodiff();
        let (_, losses) = of(rows, [0, 1], &device);
        let losses: Vec<f64> = losses.into_data().convert::<f64>().iter::<f64>().collect();
        assert!((losses[0] - (7.0f64 / 4.0).ln()).abs() < 1e-6, "{losses:?}");
        assert!((losses[1] - 18f64.ln()).abs() < 1e-6, "{losses:?}");
        // Where softmax underflows, the loss is finite.
        let (_, far) = of([[1e30, -1e30, 0.0]; 2], [1, 1], &device);
        let far = far.sum().into_scalar::<f64>();
        assert!(far.is_finite() && far > 200.0, "{far}");

        let rows = [[0.7f32, -1.2, 0.3], [2.0, -3.0, -0.4]];
        let (logits, losses) = of(rows, [0, 1], &device);
        let gradients = losses.sum().backward();
        let gradient: Vec<f64> = logits
            .grad(&gradients)
            .unwrap()
            .into_data()
            .iter::<f64>()
            .collect();
        for entry in 0..6 {
            let moved = |by: f32| {
                let mut rows = rows;
                rows[entry / 3][entry % 3] += by;
                of(rows, [0, 1], &device).1.sum().into_scalar::<f64>()
            };
            let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (gradient[entry] - difference).abs() < 1e-3,
                "{entry}: {gradient:?} {difference}"
            );
        }
    }

    #[test]
    fn the_figures_of_a_level_are_those_of_its_answers() {
        let (model, pairs) = (model(), pairs(70, SolvedBy::Singles));
        let figures = evaluate(&model, &pairs, 4, LossKind::Softmax);
        assert_eq!(figures.len(), 4);
        let puzzles = Pair::puzzles(&pairs);
        for levels in [1, 4] {
            let grids = answers(&model, &puzzles, levels)
                .into_iter()
                .map(|answer| answer.grid);
            assert_eq!(Score::of(&pairs, grids), figures[levels - 1].score);
        }
        let nats = (9f64).ln();
        assert!(
            figures
                .iter()
                .all(|level| (0.5 * nats..3.0 * nats).contains(&level.loss)),
            "{figures:?}"
        );
    }

    #[test]
    fn controls_are_ordered_and_reach_what_the_puzzles_allow() {
        let of = |solved_by| Controls::of(&pairs(40, solved_by));
        let easy = of(SolvedBy::NakedSingles);
        let all = Score {
            cell_accuracy: 1.0,
            solved: 1.0,
        };
        assert_eq!((easy.naked, easy.singles), (all, all));
        let hard = of(SolvedBy::Singles);
        assert_eq!(hard.singles, all);
        assert!(hard.naked.solved < 1.0 && hard.naked_at_once.cell_accuracy < hard.naked.cell_accuracy);
        for controls in [easy, hard] {
            assert!(
                controls.chance < controls.candidates && controls.candidates < 1.0,
                "{controls:?}"
            );
            assert!(controls.naked_at_once.cell_accuracy > 0.0);
        }
    }

    #[test]
    fn a_random_candidate_is_right_as_often_as_there_are_few() {
        let pair = pairs(1, SolvedBy::Singles)[0];
        let cell = pair.puzzle.empty_cells().next().unwrap();
        let one = Pair {
            puzzle: pair.solution.with(cell, 0),
            ..pair
        };
        assert_eq!(by_candidates(&[one]), 1.0);
        let none = Pair {
            puzzle: Grid::EMPTY,
            ..pair
        };
        assert!((by_candidates(&[none]) - 1.0 / 9.0).abs() < 1e-12);
    }
}
