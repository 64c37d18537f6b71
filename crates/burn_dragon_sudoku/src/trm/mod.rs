//! Training of a TRM model by deep supervision, over the recursion of `recursion.rs`.
//!
//! ```text
//! supervision step:  T - 1 cycles without gradients, one with them; loss of the logits and of q
//! next step:         goes on from (y, z), which are constants there
//! ```
//!
//! A lane keeps its puzzle from step to step, until q is above 0 or all supervision steps are taken. Then it takes another
//! puzzle, and begins with the initial states. Evaluation runs all supervision steps.

mod evaluate;
mod file;
mod lanes;
mod training;

pub(crate) use self::evaluate::Halting;
pub(crate) use self::file::{FILE, companion};
pub use self::lanes::Lanes;
pub(crate) use self::training::loss;

use crate::constraint::SudokuState;
use crate::grid::Grid;
use crate::model::{SudokuModel, SudokuPass};
use crate::recursion::Recursion;
use burn::module::Module;
use burn::tensor::{Bool, Tensor, TensorData};

/// Answer and reasoning that a puzzle carries from one supervision step to the next, without autodiff.
#[derive(Clone, Debug)]
pub(crate) struct Latents {
    /// y, `[B, 1, T, D]`.
    pub(crate) answer: Tensor<4>,
    /// z, `[B, 1, T, D]`.
    pub(crate) reasoning: Tensor<4>,
}

impl Latents {
    /// Those before the first supervision step of `lanes` puzzles: zeros.
    pub(crate) fn initial(model: &SudokuModel, lanes: usize) -> Self {
        let config = model.config();
        let shape = [lanes, 1, config.tokens.count(), config.d_model];
        let zeros = Tensor::zeros(shape, &model.device().inner());
        Self {
            answer: zeros.clone(),
            reasoning: zeros,
        }
    }

    /// These, but the initial ones in the lanes that are marked.
    fn begun_anew(self, marked: &[bool]) -> Self {
        if !marked.contains(&true) {
            return self;
        }
        let mask = TensorData::new(marked.to_vec(), [marked.len(), 1, 1, 1]);
        let mask = Tensor::<4, Bool>::from_data(mask, &self.answer.device()).expand(self.answer.dims());
        Self {
            answer: self.answer.mask_fill(mask.clone(), 0.0),
            reasoning: self.reasoning.mask_fill(mask, 0.0),
        }
    }
}

/// Result of a supervision step in training.
pub(crate) struct Supervised {
    /// Logits of the digits, `[B, 81, 9]`.
    pub(crate) logits: Tensor<3>,
    /// Logits of the halting head, `[B]`.
    pub(crate) halting: Tensor<1>,
    /// What the next step goes on from.
    pub(crate) latents: Latents,
}

/// A supervision step of a TRM model with autodiff. Gradients reach the last cycle, and no other.
pub(crate) fn supervise(
    model: &SudokuModel,
    puzzles: &[Grid],
    latents: Latents,
    pass: SudokuPass,
) -> Supervised {
    let (without, no_dropout) = (
        model.valid(),
        SudokuPass {
            dropout_seed: None,
            ..pass
        },
    );
    let (Some(free), Some(learnt)) = (Recursion::new(&without, no_dropout), Recursion::new(model, pass))
    else {
        unreachable!("only a TRM model has supervision steps")
    };
    let last = learnt.count() - 1;
    let mut state = SudokuState {
        stream: latents.answer,
        reasoning: Some(latents.reasoning),
        ..without.start(puzzles)
    };
    free.cycles(&mut state, 0..last);
    let mut state = state.continued(model.start(puzzles));
    learnt.cycles(&mut state, last..last + 1);
    let answer = state.stream.clone();
    let (Some(reasoning), Some(halting)) = (state.reasoning.clone(), model.halting_logits(&state)) else {
        unreachable!("a TRM model has a reasoning and a halting head")
    };
    Supervised {
        logits: model.logits(&state),
        halting,
        latents: Latents {
            answer: answer.inner(),
            reasoning: reasoning.inner(),
        },
    }
}

#[cfg(test)]
mod tests;
