//! Walk over puzzles: glimpse after glimpse, cells are picked and committed.

use super::head::{cell_logits, features};
use crate::config::GlimpseConfig;
use crate::constraint::SudokuState;
use crate::evaluate::likeliest;
use crate::grid::Grid;
use crate::model::{SudokuModel, SudokuPass};
use crate::solve::{Frame, SolveOptions, Solved, confidence};
use crate::units::CELLS;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_train::api::policy::{Chooser, drawn, largest};

/// A puzzle on a walk.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// The puzzle.
    pub(super) puzzle: Grid,
    /// Givens and committed cells.
    pub(super) board: Grid,
    /// The board, and the likeliest digit in every other cell, after the last glimpse.
    pub(super) answer: Grid,
    /// Number of levels that were run.
    pub(super) steps: usize,
}

impl Lane {
    /// Number of committed cells that are right, and of all.
    pub(super) fn right(&self, solution: &Grid) -> (usize, usize) {
        let committed = self
            .puzzle
            .empty_cells()
            .filter(|&cell| self.board.cells()[cell] != 0);
        committed.fold((0, 0), |(right, all), cell| {
            let is_right = self.board.cells()[cell] == solution.cells()[cell];
            (right + usize::from(is_right), all + 1)
        })
    }

    /// Whether the answer keeps the givens and the rules.
    pub(super) fn is_solved(&self) -> bool {
        self.answer.solves(&self.puzzle)
    }
}

/// Walk over some puzzles, without gradients.
pub(super) struct Walk<'a> {
    model: &'a SudokuModel,
    pass: SudokuPass,
    glimpse: GlimpseConfig,
    /// Maximum number of levels.
    levels: usize,
    /// State of the puzzles that go on.
    pub(super) state: SudokuState,
    /// Logits of the digits of the puzzles that go on, `[rows, 81, 9]`.
    digits: Option<Tensor<3>>,
    /// Puzzles that go on, by their place among all.
    pub(super) here: Vec<usize>,
    /// All puzzles.
    pub(super) lanes: Vec<Lane>,
}

impl<'a> Walk<'a> {
    /// A walk of at most `levels` levels, from the state of the puzzles before their first level.
    pub(super) fn new(
        model: &'a SudokuModel,
        puzzles: &[Grid],
        state: SudokuState,
        (levels, pass): (usize, SudokuPass),
    ) -> Self {
        let lane = |puzzle: &Grid| Lane {
            puzzle: *puzzle,
            board: *puzzle,
            answer: *puzzle,
            steps: 0,
        };
        Self {
            model,
            pass,
            glimpse: model.config().glimpse(),
            levels,
            state,
            digits: None,
            here: (0..puzzles.len()).collect(),
            lanes: puzzles.iter().map(lane).collect(),
        }
    }

    /// Runs the levels of a glimpse, and answers. Puzzles that are solved, or have no empty cell, end here, and all do where the levels
    /// are used up. Returns whether any puzzle goes on.
    pub(super) fn look(&mut self) -> bool {
        let left = self.levels.saturating_sub(self.state.levels);
        if self.here.is_empty() || left == 0 {
            self.here.clear();
            return false;
        }
        self.model
            .advance(&mut self.state, self.glimpse.levels.min(left), self.pass);
        let digits = self.model.logits(&self.state);
        let answers = likeliest(digits.clone(), &self.boards());
        let steps = self.state.levels;
        let mut open = Vec::with_capacity(self.here.len());
        for (row, (&lane, answer)) in self.here.iter().zip(answers).enumerate() {
            let lane = &mut self.lanes[lane];
            (lane.answer, lane.steps) = (answer.grid, steps);
            if steps < self.levels && !lane.is_solved() && lane.board.filled() < CELLS {
                open.push(row);
            }
        }
        self.digits = Some(digits);
        if open.len() < self.here.len() && !open.is_empty() {
            self.state = self.state.select(&open);
            self.digits = Some(self.model.logits(&self.state));
        }
        self.here = open.into_iter().map(|row| self.here[row]).collect();
        !self.here.is_empty()
    }

    /// What the policy sees of the puzzles that go on, `[rows, 81, 2 D]`.
    pub(super) fn features(&self) -> Tensor<3> {
        features(self.model, &self.state)
    }

    /// Empty cells of the puzzles that go on.
    pub(super) fn open_cells(&self) -> Vec<Vec<usize>> {
        let boards = self.boards();
        boards.iter().map(|board| board.empty_cells().collect()).collect()
    }

    /// Commits the digits of the answers in the picked cells of the puzzles that go on.
    pub(super) fn commit(&mut self, picks: &[Vec<usize>]) {
        for (&index, cells) in self.here.iter().zip(picks) {
            let Lane { board, answer, .. } = &mut self.lanes[index];
            for &cell in cells {
                *board = board.with(cell, answer.cells()[cell]);
            }
        }
        if picks.iter().any(|cells| !cells.is_empty()) {
            self.state.input = self.model.start(&self.boards()).input;
        }
    }

    /// Boards of the puzzles that go on.
    pub(super) fn boards(&self) -> Vec<Grid> {
        self.here.iter().map(|&lane| self.lanes[lane].board).collect()
    }

    /// Cells that a chooser picks for each puzzle that goes on.
    fn picks(&self, chooser: Chooser, seed: u64) -> Vec<Vec<usize>> {
        let open = self.open_cells();
        let by = |keys: &[f32]| -> Vec<Vec<usize>> {
            let rows = keys.chunks(CELLS).zip(&open);
            rows.map(|(keys, open)| largest(keys, open, self.glimpse.cells))
                .collect()
        };
        match chooser {
            Chooser::Learned => by(&numbers(cell_logits(self.model, self.features()))),
            Chooser::Confident => by(&self.confidence()),
            Chooser::Raster => by(&[0.0; CELLS].repeat(open.len())),
            Chooser::Nothing => vec![Vec::new(); open.len()],
            Chooser::Random => self.drawn(&[0.0; CELLS].repeat(open.len()), seed),
        }
    }

    /// Cells drawn without replacement for each puzzle that goes on, from logits `[rows, 81]`.
    pub(super) fn drawn(&self, logits: &[f32], seed: u64) -> Vec<Vec<usize>> {
        let rows = logits.chunks(CELLS).zip(self.open_cells()).zip(&self.here);
        rows.map(|((logits, open), &lane)| {
            let seed = derive(seed, "saccade.cells", self.state.levels as u64, lane as u64);
            drawn(logits, &open, self.glimpse.cells, &mut Rng::new(seed))
        })
        .collect()
    }

    /// Probabilities of the likeliest digits of the puzzles that go on, 1 for givens and committed cells, `[rows, 81]`.
    fn confidence(&self) -> Vec<f32> {
        let digits = self.digits.clone();
        digits.map_or_else(Vec::new, |digits| confidence(digits, &self.boards()))
    }
}

/// Walks to the end; the cells are picked by a chooser.
pub(super) fn walk(
    model: &SudokuModel,
    puzzles: &[Grid],
    state: SudokuState,
    options: SolveOptions,
) -> Vec<Lane> {
    let pass = SudokuPass {
        memory: options.memory,
        ..SudokuPass::default()
    };
    let mut walk = Walk::new(model, puzzles, state, (options.levels, pass));
    while walk.look() {
        let picks = walk.picks(options.policy, options.seed);
        walk.commit(&picks);
    }
    walk.lanes
}

/// One attempt at some puzzles, from their state before the first level.
pub(crate) fn attempt(
    model: &SudokuModel,
    puzzles: &[Grid],
    state: SudokuState,
    options: SolveOptions,
) -> Vec<Solved> {
    let lanes = walk(model, puzzles, state, options);
    let solved = lanes.into_iter().map(|lane| Solved {
        grid: lane.answer,
        steps: lane.steps,
        samples: 1,
    });
    solved.collect()
}

/// Answers after each glimpse, with their probabilities; 1 for givens and committed cells.
pub(crate) fn frames(model: &SudokuModel, puzzle: &Grid, levels: usize) -> Vec<Frame> {
    let start = model.start(&[*puzzle]);
    let mut walk = Walk::new(model, &[*puzzle], start, (levels, SudokuPass::default()));
    let mut frames = Vec::new();
    loop {
        let goes_on = walk.look();
        let Some(digits) = walk.digits.clone() else {
            return frames;
        };
        let lane = &walk.lanes[0];
        frames.push(Frame {
            step: lane.steps,
            grid: lane.answer,
            confidence: confidence(digits, &[lane.board]),
        });
        if !goes_on {
            return frames;
        }
        let picks = walk.picks(Chooser::Learned, 0);
        walk.commit(&picks);
    }
}

/// Values of a tensor.
pub(super) fn numbers<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().iter::<f32>().collect()
}
