//! Levels of a constraint model: a token reads what the tokens of its units have written.
//!
//! ```text
//! w = norm(v + e)                                            e is the embedded puzzle
//! for each kind of unit, with the heads of the kind:
//!     x = relu(w decoder_x)
//!     rho = decay rho + sum over the tokens of the unit of x (outer) w      the memory of each unit
//!     a = norm(x rho of the own unit)
//!     y = relu(a decoder_y) * x
//! v = norm(w + norm(sum over the kinds of y encoder))
//! ```
//!
//! With a decay of 0 a memory holds what was written at this level alone. The level is then one operation of the kernel
//! ([`partition_level`]), but for passes with dropout or in bf16.

use crate::config::ModelConfig;
use crate::model::{SudokuModel, SudokuPass};
use crate::topology::UnitKind;
use burn::tensor::{Tensor, TensorData};
use burn_dragon_core::api::Precision;
use burn_dragon_core::api::expert::{derive, norm};
use burn_dragon_kernel::api::graph::{PlaceDecay, graph_read, graph_recall, graph_write};
use burn_dragon_kernel::api::{
    Decay, DropoutMask, LevelWeights, Partition, SpeakInput, WriteOrder, join, partition_level, perceive,
    speak,
};
use std::sync::Arc;

/// Use of the memories of units in a pass: the trained one, and ablations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnitMemory {
    /// Memories are carried from level to level, as in training.
    #[default]
    Carried,
    /// Memories are emptied before the write of each level. With a decay of 0 they always are.
    ResetEachLevel,
    /// Memories are emptied once, before the read of this level, counted from 1: it reads nothing.
    WipedAt(usize),
    /// Nothing is written: every read is empty.
    NeverWritten,
}

/// State of the tokens of some puzzles between two levels.
#[derive(Clone, Debug)]
pub struct SudokuState {
    /// Embedded puzzles, `[B, 1, T, D]`.
    pub(crate) input: Tensor<4>,
    /// State of the tokens, `[B, 1, T, D]`; the answer y of a TRM model.
    pub(crate) stream: Tensor<4>,
    /// Reasoning z of a TRM model, `[B, 1, T, D]`; `None` in others.
    pub(crate) reasoning: Option<Tensor<4>>,
    /// Memories of the units of each kind, `[B, H, U, N, D]`; empty where none are carried.
    pub(crate) memories: Vec<Tensor<5>>,
    /// Number of levels that were run, or of supervision steps of a TRM model.
    pub(crate) levels: usize,
}

impl SudokuState {
    /// Number of levels that were run, or of supervision steps of a TRM model.
    pub fn levels(&self) -> usize {
        self.levels
    }

    /// This state, a constant, in a pass with gradients that began with `start`.
    pub(crate) fn continued(self, start: Self) -> Self {
        Self {
            input: start.input,
            stream: self.stream.autodiff(),
            reasoning: self.reasoning.map(Tensor::autodiff),
            memories: self.memories.into_iter().map(Tensor::autodiff).collect(),
            levels: self.levels,
        }
    }

    /// State of some of the puzzles, in the given order.
    ///
    /// # Panics
    /// If there is no such puzzle.
    #[must_use]
    pub fn select(&self, puzzles: &[usize]) -> Self {
        let indices: Vec<i32> = puzzles.iter().map(|&puzzle| puzzle as i32).collect();
        let indices = Tensor::from_data(
            TensorData::new(indices, [puzzles.len()]),
            &self.stream.device().inner(),
        );
        Self {
            input: self.input.clone().select(0, indices.clone()),
            stream: self.stream.clone().select(0, indices.clone()),
            reasoning: self.reasoning.clone().map(|z| z.select(0, indices.clone())),
            memories: self
                .memories
                .iter()
                .map(|rho| rho.clone().select(0, indices.clone()))
                .collect(),
            levels: self.levels,
        }
    }
}

/// Levels of a pass of a constraint model.
pub(crate) struct Constraint<'a> {
    kinds: &'a [UnitKind],
    partitions: &'a Arc<[Partition]>,
    weights: Weights,
    decay: PlaceDecay,
    config: &'a ModelConfig,
    pass: SudokuPass,
}

/// Weights of the heads.
enum Weights {
    /// Of all heads, for levels that are one operation.
    Whole(Box<LevelWeights>),
    /// Of the heads of each kind.
    ByKind(Vec<LevelWeights>),
}

impl<'a> Constraint<'a> {
    pub(crate) fn new(model: &'a SudokuModel, pass: SudokuPass) -> Self {
        let (config, kinds) = (model.config(), model.kinds());
        let drops = pass.dropout_seed.is_some() && config.dropout > 0.0;
        let is_one = config.decay == 0.0 && !drops && pass.precision == Precision::F32;
        Self {
            kinds,
            partitions: model.partitions(),
            weights: if is_one {
                Weights::Whole(Box::new(model.trunk.weights()))
            } else {
                Weights::ByKind(weights(model, kinds.len()))
            },
            decay: decay(config, kinds.len(), &model.device()),
            config,
            pass,
        }
    }

    /// Runs a level.
    pub(crate) fn advance(&self, state: &mut SudokuState) {
        let (eps, level) = (self.config.norm_eps, state.levels);
        let w = norm(state.stream.clone() + state.input.clone(), eps); // [B, 1, T, D]
        let u = match &self.weights {
            Weights::Whole(_) if self.reads_nothing(level) => w.zeros_like(),
            Weights::Whole(weights) => partition_level(w.clone(), weights, self.partitions, eps),
            Weights::ByKind(weights) => {
                let kinds = weights.iter().enumerate();
                let parts = kinds.map(|(kind, weights)| self.of_kind(kind, weights, w.clone(), state));
                let sum = parts.reduce(|sum, part| sum + part);
                sum.unwrap_or_else(|| w.zeros_like())
            }
        };
        state.stream = join(w, u, eps);
        state.levels = level + 1;
    }

    /// Whether the reads of a level, counted from 0, find empty memories.
    fn reads_nothing(&self, level: usize) -> bool {
        match self.pass.memory {
            UnitMemory::NeverWritten => true,
            UnitMemory::WipedAt(wiped) => wiped == level + 1,
            UnitMemory::Carried | UnitMemory::ResetEachLevel => false,
        }
    }

    /// Contribution of the heads of a kind of unit, `[B, 1, T, D]`.
    fn of_kind(
        &self,
        kind: usize,
        weights: &LevelWeights,
        w: Tensor<4>,
        state: &mut SudokuState,
    ) -> Tensor<4> {
        let precision = self.pass.precision;
        let x = perceive(w.clone(), weights, precision); // [B, H, T, N]
        let read = self.read(kind, x, w.clone(), state); // [B, H, T, D]
        let seed = self.pass.dropout_seed.filter(|_| self.config.dropout > 0.0);
        let dropout = seed.map(|seed| {
            let seed = derive(seed, "level", kind as u64, state.levels as u64);
            DropoutMask::new(seed, self.config.dropout)
        });
        let output = speak(SpeakInput {
            read,
            v: w,
            weights: weights.clone(),
            norm: Some(self.config.norm_eps),
            levels: None,
            dropout,
            precision,
            count: false,
        });
        output.u
    }

    /// What the tokens read of the units of a kind, `[B, H, T, D]`.
    fn read(&self, kind: usize, x: Tensor<4>, w: Tensor<4>, state: &mut SudokuState) -> Tensor<4> {
        let (units, memory) = (&self.kinds[kind], self.pass.memory);
        let [lanes, heads, tokens, neurons] = x.dims();
        let width = self.config.d_model;
        if self.reads_nothing(state.levels) {
            if let Some(rho) = state.memories.get_mut(kind) {
                *rho = rho.zeros_like();
            }
            return Tensor::zeros([lanes, heads, tokens, width], &x.device());
        }
        if self.config.decay == 0.0 {
            return graph_recall(x.clone(), x, w, &units.tokens, &PlaceDecay::default());
        }
        if state.memories.len() == kind {
            let empty = Tensor::zeros([lanes, heads, units.units, neurons, width], &x.device());
            state.memories.push(empty);
        }
        let rho = match memory {
            UnitMemory::ResetEachLevel => state.memories[kind].zeros_like(),
            _ => state.memories[kind].clone(),
        };
        let rho = graph_write(x.clone(), w, rho, &units.memories, &self.decay);
        state.memories[kind] = rho.clone();
        graph_read(x, rho, &units.memories)
    }
}

/// Weights of the heads of each kind.
fn weights(model: &SudokuModel, kinds: usize) -> Vec<LevelWeights> {
    let (trunk, config) = (&model.trunk, model.config());
    let (heads, neurons) = (config.n_heads / kinds, config.n_neurons / kinds);
    let of_kind = |kind: usize| {
        LevelWeights::new(
            trunk.decoder_x.val().narrow(0, kind * heads, heads),
            trunk.decoder_y.val().narrow(0, kind * heads, heads),
            trunk.encoder.val().narrow(0, kind * neurons, neurons),
        )
    };
    (0..kinds).map(of_kind).collect()
}

/// Decay of the memories at each write; none if the factor is 1.
fn decay(config: &ModelConfig, kinds: usize, device: &burn::tensor::Device) -> PlaceDecay {
    let heads = config.n_heads / kinds;
    let slope = (config.decay > 0.0 && config.decay < 1.0).then(|| -config.decay.ln());
    PlaceDecay {
        decay: slope.map(|slope| {
            let slopes = TensorData::new(vec![slope as f32; heads], [heads]);
            Decay::new(Tensor::from_data(slopes, &device.clone().inner()))
        }),
        order: WriteOrder::DecayThenWrite,
    }
}

#[cfg(test)]
#[path = "constraint_tests.rs"]
mod tests;
