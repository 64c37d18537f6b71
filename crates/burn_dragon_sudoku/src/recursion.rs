//! Recursion of a TRM model: an answer y and a reasoning z go through one network f.
//!
//! ```text
//! f(u):              the levels of the trunk on norm(u)
//! cycle(y, z):       n times: z = f(x + y + z);  y = f(y + z)               x is the embedded puzzle
//! supervision step:  T cycles
//! logits = y readout,  q = (mean of y over the tokens) halting + bias
//! ```
//!
//! Both states begin as zeros. q is the logit that the answer is right.

use crate::config::{Reads, TrmConfig};
use crate::constraint::{Constraint, SudokuState};
use crate::model::{SudokuModel, SudokuPass};
use burn::tensor::{Tensor, TensorData};
use burn_dragon_core::api::expert::{derive, norm};
use std::ops::Range;

/// Initial bias of the halting head: an answer is right with a probability of 0.7 %.
const HALTING_BIAS: f32 = -5.0;

/// Initial values of the halting head; `None` for other tensors.
pub(crate) fn initial_halting(name: &str, shape: &[usize]) -> Option<TensorData> {
    let value = match name {
        "halting" => 0.0,
        "halting_bias" => HALTING_BIAS,
        _ => return None,
    };
    let size = shape.iter().product();
    Some(TensorData::new(vec![value; size], shape.to_vec()))
}

/// The recursion of a model in a pass.
pub(crate) struct Recursion<'a> {
    model: &'a SudokuModel,
    trm: TrmConfig,
    pass: SudokuPass,
    /// Levels of f; `None` where the reads are dense.
    constraint: Option<Constraint<'a>>,
}

impl<'a> Recursion<'a> {
    /// Recursion of a TRM model; `None` of others.
    pub(crate) fn new(model: &'a SudokuModel, pass: SudokuPass) -> Option<Self> {
        let trm = model.config().recursion()?;
        let constraint = (trm.reads == Reads::Constraint).then(|| Constraint::new(model, pass));
        Some(Self {
            model,
            trm,
            pass,
            constraint,
        })
    }

    /// Number of cycles in a supervision step.
    pub(crate) fn count(&self) -> usize {
        self.trm.cycles
    }

    /// Runs a supervision step, all of its cycles with gradients if the weights have them.
    pub(crate) fn advance(&self, state: &mut SudokuState) {
        self.cycles(state, 0..self.trm.cycles);
        state.levels += 1;
    }

    /// Runs some of the cycles of a supervision step, counted from 0.
    pub(crate) fn cycles(&self, state: &mut SudokuState, cycles: Range<usize>) {
        let steps = state.levels * self.trm.cycles;
        for cycle in cycles {
            let mut call = (steps + cycle) * self.trm.calls();
            let y = state.stream.clone();
            let given = state.input.clone() + y.clone();
            let mut z = state.reasoning.take().unwrap_or_else(|| y.zeros_like());
            for _ in 0..self.trm.reasoning_updates {
                z = self.network(given.clone() + z, call);
                call += 1;
            }
            state.stream = self.network(y + z.clone(), call);
            state.reasoning = Some(z);
        }
    }

    /// `f(u)`, `[B, 1, T, D]` as u. `call` is the number of applications before it, for its dropout masks.
    pub(crate) fn network(&self, u: Tensor<4>, call: usize) -> Tensor<4> {
        let (eps, levels) = (self.model.config().norm_eps, self.model.config().n_levels);
        let Some(constraint) = &self.constraint else {
            let seed = self.pass.dropout_seed;
            let pass = SudokuPass {
                dropout_seed: seed.map(|seed| derive(seed, "trm.call", call as u64, 0)),
                ..self.pass
            };
            let mut streams = Vec::new();
            let inner = self.model.inner(pass, levels, &mut streams);
            return self.model.trunk.forward(norm(u, eps), inner);
        };
        let mut state = SudokuState {
            input: u.zeros_like(), // a level takes the norm of stream and input
            stream: u,
            reasoning: None,
            memories: Vec::new(),
            levels: call * levels,
        };
        (0..levels).for_each(|_| constraint.advance(&mut state));
        state.stream
    }
}

impl SudokuModel {
    /// Logits of the halting head, `[B]`, of the answers of a state; `None` without such a head. Above 0, the answer is said
    /// to be right.
    pub fn halting_logits(&self, state: &SudokuState) -> Option<Tensor<1>> {
        let (weight, bias) = (self.halting.as_ref()?, self.halting_bias.as_ref()?);
        let [lanes, _, _, width] = state.stream.dims();
        let mean = state.stream.clone().mean_dim(2).reshape([lanes, width]); // [B, D]
        Some(mean.matmul(weight.val()).reshape([lanes]) + bias.val())
    }
}
