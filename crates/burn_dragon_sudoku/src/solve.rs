//! Solving puzzles with a model: level after level, until an answer keeps the givens and the rules.
//!
//! An answer is checked without its solution. So a search for more levels, or for another attempt, ends by itself where it
//! has succeeded.

use crate::config::{ModelType, Places};
use crate::constraint::{SudokuState, UnitMemory};
use crate::data::Symmetry;
use crate::evaluate::likeliest;
use crate::grid::Grid;
use crate::model::{SudokuModel, SudokuPass};
use crate::saccade;
use burn::tensor::{Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive, norm};
use burn_dragon_train::api::policy::Chooser;

/// Number of puzzles that are solved at once.
const BATCH: usize = 64;

/// Deviation of the noise that is added to the state before the first level of a repeated attempt, of numbers with a deviation
/// of 1.
const NOISE: f64 = 1.0;

/// How puzzles are solved.
#[derive(Clone, Copy, Debug)]
pub struct SolveOptions {
    /// Maximum number of levels in an attempt, or of supervision steps of a TRM model.
    pub levels: usize,
    /// Maximum number of attempts at a puzzle, at least 1. The first is the model's own. Another one sees an image of the
    /// puzzle under a symmetry and, in a constraint or TRM model, begins with noise.
    pub samples: usize,
    /// Seed of symmetries and noise.
    pub seed: u64,
    /// Use of the memories of units.
    pub memory: UnitMemory,
    /// What picks cells in a saccade model.
    pub policy: Chooser,
}

impl SolveOptions {
    /// One attempt with so many levels.
    pub fn levels(levels: usize) -> Self {
        Self {
            levels,
            samples: 1,
            seed: 0,
            memory: UnitMemory::Carried,
            policy: Chooser::Learned,
        }
    }
}

/// Answer of a model to a puzzle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solved {
    /// The givens, and a digit in every other cell: of the first answer that is consistent, or else of the last level of the
    /// first attempt.
    pub grid: Grid,
    /// Number of levels that were run in the attempt of the answer.
    pub steps: usize,
    /// Number of attempts.
    pub samples: usize,
}

/// Solves puzzles; the answers are in their order.
pub fn solve_with(model: &SudokuModel, puzzles: &[Grid], options: SolveOptions) -> Vec<Solved> {
    let mut answers = Vec::with_capacity(puzzles.len());
    for (batch, puzzles) in puzzles.chunks(BATCH).enumerate() {
        let first = (batch * BATCH) as u64;
        let mut solved = attempt(model, puzzles, options, None);
        for sample in 1..options.samples {
            let open: Vec<usize> = (0..puzzles.len())
                .filter(|&index| !solved[index].grid.solves(&puzzles[index]))
                .collect();
            if open.is_empty() {
                break;
            }
            again(
                model,
                puzzles,
                &open,
                options,
                (first, sample as u64),
                &mut solved,
            );
        }
        answers.extend(solved);
    }
    answers
}

/// Another attempt at some of the puzzles, whose consistent answers replace those of the first.
fn again(
    model: &SudokuModel,
    puzzles: &[Grid],
    open: &[usize],
    options: SolveOptions,
    (first, sample): (u64, u64),
    solved: &mut [Solved],
) {
    let symmetry = |&index: &usize| {
        let seed = derive(options.seed, "solve.symmetry", sample, first + index as u64);
        Symmetry::draw(&mut Rng::new(seed))
    };
    let symmetries: Vec<Symmetry> = open.iter().map(symmetry).collect();
    let images: Vec<Grid> = open
        .iter()
        .zip(&symmetries)
        .map(|(&index, symmetry)| symmetry.apply(&puzzles[index]))
        .collect();
    let seed = derive(options.seed, "solve.noise", sample, first);
    let answers = attempt(model, &images, options, Some(seed));
    for ((&index, symmetry), answer) in open.iter().zip(&symmetries).zip(answers) {
        let grid = symmetry.undo(&answer.grid);
        solved[index].samples += 1;
        if grid.solves(&puzzles[index]) {
            let samples = solved[index].samples;
            solved[index] = Solved {
                grid,
                samples,
                ..answer
            };
        }
    }
}

/// One attempt at some puzzles, with noise from a seed or without.
fn attempt(model: &SudokuModel, puzzles: &[Grid], options: SolveOptions, noise: Option<u64>) -> Vec<Solved> {
    let pass = SudokuPass {
        memory: options.memory,
        ..SudokuPass::default()
    };
    let mut answers: Vec<Option<Solved>> = vec![None; puzzles.len()];
    let mut state = model.start(puzzles);
    if let Some(seed) = noise {
        disturb(model, &mut state, seed);
    }
    if model.config().kind == ModelType::Saccade {
        return saccade::attempt(model, puzzles, state, options);
    }
    let mut here: Vec<usize> = (0..puzzles.len()).collect();
    for steps in 1..=options.levels {
        model.advance(&mut state, 1, pass);
        let of_here: Vec<Grid> = here.iter().map(|&index| puzzles[index]).collect();
        let grids = likeliest(model.logits(&state), &of_here);
        for (&index, answer) in here.iter().zip(grids) {
            let is_open = answers[index].is_none();
            if is_open && (answer.is_solved() || steps == options.levels) {
                answers[index] = Some(Solved {
                    grid: answer.grid,
                    steps,
                    samples: 1,
                });
            }
        }
        let open: Vec<usize> = (0..here.len())
            .filter(|&place| answers[here[place]].is_none())
            .collect();
        if open.is_empty() {
            break;
        }
        // Copies of the state are worth it where a quarter of the puzzles is solved.
        if 4 * open.len() <= 3 * here.len() {
            state = state.select(&open);
            here = open.into_iter().map(|place| here[place]).collect();
        }
    }
    let unanswered = |(puzzle, answer): (&Grid, Option<Solved>)| {
        answer.unwrap_or(Solved {
            grid: *puzzle,
            steps: 0,
            samples: 1,
        })
    };
    puzzles.iter().zip(answers).map(unanswered).collect()
}

/// Adds noise to the state before the first level: to that of a constraint model, and to the reasoning of a TRM model.
fn disturb(model: &SudokuModel, state: &mut SudokuState, seed: u64) {
    let config = model.config();
    if config.kind == ModelType::Dense && config.places == Places::Embedded {
        return;
    }
    let mut rng = Rng::new(seed);
    let shape = state.stream.dims();
    let numbers: Vec<f32> = (0..shape.iter().product())
        .map(|_| (NOISE * rng.normal()) as f32)
        .collect();
    let noise = Tensor::<4>::from_data(TensorData::new(numbers, shape), &state.stream.device());
    match &mut state.reasoning {
        Some(z) => *z = norm(z.clone() + noise, config.norm_eps),
        None => state.stream = norm(state.stream.clone() + noise, config.norm_eps),
    }
}

/// Answer of a model after some levels, with its confidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Number of levels that were run.
    pub step: usize,
    /// The givens, and the likeliest digit in every other cell.
    pub grid: Grid,
    /// Probability of the digit of each cell; 1 for givens.
    pub confidence: Vec<f32>,
}

/// Answers of a model after 1, 2, 4, 8, ... levels, and the last one: where it is consistent, or after `levels`. Of a saccade model those
/// after each glimpse.
pub fn frames(model: &SudokuModel, puzzle: &Grid, levels: usize) -> Vec<Frame> {
    if model.config().kind == ModelType::Saccade {
        return saccade::frames(model, puzzle, levels);
    }
    let (mut state, mut frames) = (model.start(&[*puzzle]), Vec::new());
    for step in 1..=levels {
        model.advance(&mut state, 1, SudokuPass::default());
        let logits = model.logits(&state);
        let answers = likeliest(logits.clone(), &[*puzzle]);
        let Some(answer) = answers.first() else { break };
        let is_last = answer.is_solved() || step == levels;
        if is_last || step.is_power_of_two() {
            frames.push(Frame {
                step,
                grid: answer.grid,
                confidence: confidence(logits, &[*puzzle]),
            });
        }
        if is_last {
            break;
        }
    }
    frames
}

/// Softmax probability of the likeliest digit of each cell of some puzzles; 1 for givens.
pub(crate) fn confidence(logits: Tensor<3>, puzzles: &[Grid]) -> Vec<f32> {
    let logits: Vec<f32> = logits.into_data().convert::<f32>().iter::<f32>().collect();
    let of_cell = |(given, logits): (&u8, &[f32])| {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
        if *given == 0 { 1.0 / sum } else { 1.0 }
    };
    let givens = puzzles.iter().flat_map(|puzzle| puzzle.cells());
    givens.zip(logits.chunks(9)).map(of_cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, Tokens, TrmConfig};
    use crate::data::{GeneratorConfig, Split};
    use crate::evaluate::answers;
    use burn::tensor::Device;

    fn model(kind: ModelType) -> SudokuModel {
        let (n_heads, tokens, places) = match kind {
            ModelType::Dense => (2, Tokens::Cells, Places::Embedded),
            ModelType::Constraint | ModelType::Trm | ModelType::Saccade => {
                (4, Tokens::Candidates, Places::None)
            }
        };
        let trm = TrmConfig {
            reasoning_updates: 2,
            cycles: 2,
            supervision_steps: 2,
            ..TrmConfig::default()
        };
        let config = ModelConfig {
            kind,
            tokens,
            places,
            n_heads,
            d_model: 8,
            n_neurons: 16,
            n_levels: 2,
            init_std: 0.3,
            trm: (kind == ModelType::Trm).then_some(trm),
            ..ModelConfig::default()
        };
        SudokuModel::new(&config, 1, &Device::flex()).unwrap()
    }

    const KINDS: [ModelType; 3] = [ModelType::Dense, ModelType::Constraint, ModelType::Trm];

    fn pairs() -> Vec<(Grid, Grid)> {
        let generator = GeneratorConfig::default();
        let pairs = (0..3).map(|index| generator.puzzle(Split::Validation, index));
        pairs.map(|pair| (pair.puzzle, pair.solution)).collect()
    }

    #[test]
    fn a_complete_puzzle_is_solved_at_once_and_the_others_are_not_disturbed() {
        for kind in KINDS {
            let model = model(kind);
            let (puzzle, solution) = pairs()[0];
            let puzzles = [solution, puzzle, solution, solution];
            let solved = solve_with(&model, &puzzles, SolveOptions::levels(3));
            for index in [0, 2, 3] {
                assert_eq!((solved[index].grid, solved[index].steps), (solution, 1));
            }
            // The state was cut to one puzzle after the first level.
            let alone = answers(&model, &[puzzle], 3)[0].grid;
            assert_eq!((solved[1].grid, solved[1].steps), (alone, 3));
            assert!(!alone.solves(&puzzle), "an untrained model solves nothing");
        }
    }

    #[test]
    fn another_attempt_is_counted_and_answers_the_puzzle_itself() {
        let puzzles: Vec<Grid> = pairs().into_iter().map(|(puzzle, _)| puzzle).collect();
        let options = SolveOptions {
            samples: 3,
            ..SolveOptions::levels(2)
        };
        for kind in KINDS {
            let model = model(kind);
            let solved = solve_with(&model, &puzzles, options);
            let first = solve_with(&model, &puzzles, SolveOptions::levels(2));
            for ((solved, first), puzzle) in solved.iter().zip(&first).zip(&puzzles) {
                assert_eq!((solved.samples, first.samples), (3, 1));
                assert!(solved.grid.keeps(puzzle));
                assert_eq!(
                    solved.grid, first.grid,
                    "no attempt has solved it: the first is kept"
                );
            }
            assert_eq!(
                solve_with(&model, &puzzles, options),
                solved,
                "a function of the seed"
            );
        }
        assert!(solve_with(&model(ModelType::Dense), &[], options).is_empty());
    }

    #[test]
    fn one_empty_cell_is_solved_by_some_attempt() {
        // One digit in nine is right by chance: with many attempts an untrained model meets it.
        let (_, solution) = pairs()[0];
        let puzzle = solution.with(40, 0);
        let options = SolveOptions {
            samples: 200,
            ..SolveOptions::levels(1)
        };
        let solved = solve_with(&model(ModelType::Dense), &[puzzle], options)[0];
        assert_eq!(solved.grid, solution);
        assert!(solved.samples < 200, "{solved:?}");
    }

    #[test]
    fn frames_are_answers_with_their_probabilities() {
        for kind in [ModelType::Constraint, ModelType::Trm] {
            frames_are_answers(&model(kind));
        }
    }

    fn frames_are_answers(model: &SudokuModel) {
        let (puzzle, solution) = pairs()[0];
        let shown = frames(model, &puzzle, 5);
        let steps: Vec<usize> = shown.iter().map(|frame| frame.step).collect();
        assert_eq!(steps, [1, 2, 4, 5]);
        for frame in &shown {
            assert_eq!(frame.grid, answers(model, &[puzzle], frame.step)[0].grid);
            let cells = frame.confidence.iter().zip(puzzle.cells());
            assert!(
                cells
                    .clone()
                    .all(|(p, &given)| (given != 0) == (*p == 1.0) || *p > 0.99)
            );
            assert!(
                frame
                    .confidence
                    .iter()
                    .all(|p| (1.0 / 9.0 - 1e-6..=1.0).contains(p))
            );
        }
        assert_eq!(frames(model, &solution, 5).len(), 1);
    }
}
