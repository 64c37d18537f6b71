//! Measure of the halting head on held-out puzzles.

use super::training::halted;
use crate::data::Pair;
use crate::evaluate::likeliest;
use crate::grid::Grid;
use crate::model::{SudokuModel, SudokuPass};
use burn_dragon_train::api::Metrics;

/// Number of puzzles that are read at once.
const BATCH: usize = 64;

/// What the halting head would do on puzzles, all supervision steps of which are run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Halting {
    /// Share of the puzzles that it stops.
    pub(crate) halted: f64,
    /// Share of the puzzles that it stops at an answer that is right.
    pub(crate) right: f64,
    /// Mean number of supervision steps until it stops a puzzle, or of all steps if it does not.
    pub(crate) steps: f64,
}

impl Halting {
    /// Measures a model without autodiff; `None` if it has no halting head.
    pub(crate) fn of(model: &SudokuModel, pairs: &[Pair], steps: usize) -> Option<Self> {
        model.halting.as_ref()?;
        let (mut stopped, mut right, mut taken) = (0, 0, 0);
        for batch in pairs.chunks(BATCH) {
            let puzzles = Pair::puzzles(batch);
            let mut ends: Vec<Option<(usize, Grid)>> = vec![None; batch.len()];
            let mut state = model.start(&puzzles);
            for step in 1..=steps {
                model.advance(&mut state, 1, SudokuPass::default());
                let halted = halted(&model.halting_logits(&state)?);
                let answers = likeliest(model.logits(&state), &puzzles);
                for ((end, halted), answer) in ends.iter_mut().zip(halted).zip(answers) {
                    if halted && end.is_none() {
                        *end = Some((step, answer.grid));
                    }
                }
            }
            for (pair, end) in batch.iter().zip(ends) {
                stopped += usize::from(end.is_some());
                right += usize::from(end.is_some_and(|(_, grid)| grid == pair.solution));
                taken += end.map_or(steps, |(step, _)| step);
            }
        }
        let share = |count: usize| count as f64 / pairs.len().max(1) as f64;
        Some(Self {
            halted: share(stopped),
            right: share(right),
            steps: share(taken),
        })
    }

    /// Metrics by name.
    pub(crate) fn metrics(self) -> Metrics {
        [
            ("halted", self.halted),
            ("halted_right", self.right),
            ("supervision_steps", self.steps),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .into()
    }

    /// The measure as a line of text.
    pub(crate) fn line(self) -> String {
        format!(
            "halting head: stops {:.1}% of the puzzles ({:.1}% with a right answer), all after {:.1} supervision steps in \
             the mean",
            100.0 * self.halted,
            100.0 * self.right,
            self.steps
        )
    }
}
