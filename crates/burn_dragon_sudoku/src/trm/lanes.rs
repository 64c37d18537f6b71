//! Lanes of a training run: each works on a puzzle of its own until it is finished, and then takes another one.

use super::Latents;
use crate::model::SudokuModel;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Lanes that a run carries from step to step: a puzzle each, with its answer and its reasoning.
#[derive(Debug)]
pub struct Lanes {
    /// Lanes of each batch of a step, in turn.
    pub(super) batches: Vec<LaneBatch>,
    /// Number of the batch that is next.
    next: usize,
    /// Number of puzzles that were drawn.
    pub(super) drawn: u64,
    /// Maximum number of supervision steps of a puzzle.
    limit: usize,
}

/// Lanes of a batch.
#[derive(Clone, Debug)]
pub(super) struct LaneBatch {
    pub(super) lanes: Vec<Lane>,
    pub(super) latents: Latents,
}

/// Lane: one puzzle at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lane {
    /// Number of its puzzle over all epochs.
    pub(super) unit: u64,
    /// Number of supervision steps of this puzzle.
    pub(super) steps: usize,
    /// Whether the next step takes another puzzle.
    pub(super) finished: bool,
    /// Number of supervision steps of the last puzzle that was finished here; 0 before the first.
    pub(super) taken: usize,
}

impl Lane {
    /// A lane that has no puzzle yet.
    const NEW: Self = Self {
        unit: 0,
        steps: 0,
        finished: true,
        taken: 0,
    };
}

impl Lanes {
    /// Lanes without puzzles, for so many batches of so many lanes, with at most `limit` supervision steps a puzzle.
    pub(crate) fn new(model: &SudokuModel, batches: usize, lanes: usize, limit: usize) -> Self {
        let batch = LaneBatch {
            lanes: vec![Lane::NEW; lanes],
            latents: Latents::initial(model, lanes),
        };
        Self {
            batches: vec![batch; batches],
            next: 0,
            drawn: 0,
            limit,
        }
    }

    /// Number of lanes.
    pub fn count(&self) -> usize {
        self.batches.iter().map(|batch| batch.lanes.len()).sum()
    }

    /// Number of puzzles that were drawn.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    /// The lanes of the next batch, each with a puzzle: numbers of the puzzles, and where each goes on from. A lane that was
    /// finished has the next puzzle, and begins.
    pub(super) fn begin(&mut self) -> (Vec<u64>, Latents) {
        let Self {
            batches, next, drawn, ..
        } = self;
        let batch = &mut batches[*next];
        let finished: Vec<bool> = batch.lanes.iter().map(|lane| lane.finished).collect();
        for lane in batch.lanes.iter_mut().filter(|lane| lane.finished) {
            (lane.unit, lane.steps, lane.finished) = (*drawn, 0, false);
            *drawn += 1;
        }
        batch.latents = batch.latents.clone().begun_anew(&finished);
        let units = batch.lanes.iter().map(|lane| lane.unit).collect();
        (units, batch.latents.clone())
    }

    /// Ends the step that began last: keeps what the lanes go on from, and finishes those that were halted or have taken all
    /// their steps. The batch after it is next.
    pub(super) fn end(&mut self, latents: Latents, halted: &[bool]) {
        let batch = &mut self.batches[self.next];
        batch.latents = latents;
        for (lane, &halted) in batch.lanes.iter_mut().zip(halted) {
            lane.steps += 1;
            lane.finished = halted || lane.steps >= self.limit;
            if lane.finished {
                lane.taken = lane.steps;
            }
        }
        self.next = (self.next + 1) % self.batches.len();
    }

    /// Mean number of supervision steps of the puzzles that each lane has finished last; `None` before the first.
    pub(super) fn mean_steps(&self) -> Option<f64> {
        let lanes = self.batches.iter().flat_map(|batch| &batch.lanes);
        let taken: Vec<usize> = lanes.map(|lane| lane.taken).filter(|&taken| taken > 0).collect();
        let sum = taken.iter().sum::<usize>();
        (!taken.is_empty()).then(|| sum as f64 / taken.len() as f64)
    }

    /// Finishes the lanes whose states are not finite: they take another puzzle and begin. Returns their number.
    pub(crate) fn forget_damage(&mut self) -> usize {
        let mut damaged = 0;
        for batch in &mut self.batches {
            for (index, lane) in batch.lanes.iter_mut().enumerate() {
                let is_damaged =
                    !(is_finite(&batch.latents.answer, index) && is_finite(&batch.latents.reasoning, index));
                damaged += usize::from(is_damaged);
                lane.finished |= is_damaged;
            }
            // A checkpoint must not hold what is not finite.
            let finished: Vec<bool> = batch.lanes.iter().map(|lane| lane.finished).collect();
            batch.latents = batch.latents.clone().begun_anew(&finished);
        }
        damaged
    }
}

fn is_finite(latent: &Tensor<4>, lane: usize) -> bool {
    let values = latent.clone().narrow(0, lane, 1).into_data().convert::<f32>();
    values.iter::<f32>().all(f32::is_finite)
}
