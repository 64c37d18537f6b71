//! Levels of a pass in sequence, with the memories that they carry.

use crate::input::GraphInput;
use crate::model::{GraphDragon, GraphPass, PlaceMemory};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::graph::{History, graph_read, graph_write};
use burn_dragon_kernel::api::{LevelWeights, perceive};

/// When time passes, so that memories decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// Before the write of each level.
    EachLevel,
    /// Before the write of the first level of a frame.
    EachFrame,
}

/// Levels of a model on the edges of an input, with the memories of nodes and graphs.
pub(crate) struct Levels<'a> {
    model: &'a GraphDragon,
    weights: LevelWeights,
    input: &'a GraphInput,
    pass: GraphPass,
    memory: History,
    /// Shared memories of the graphs, `[1, H, G, N, D]`, if the model has them.
    shared: Option<Tensor<5>>,
    /// Units of time that have passed.
    time: usize,
    /// Levels that have been run.
    done: usize,
}

impl<'a> Levels<'a> {
    /// Levels with empty memories.
    pub(crate) fn new(model: &'a GraphDragon, input: &'a GraphInput, pass: GraphPass) -> Self {
        Self {
            weights: model.weights(),
            memory: History::empty(model.config().model.d_model, model.decay()),
            shared: model.empty_shared(input.sizes().len()),
            input,
            model,
            pass,
            time: 0,
            done: 0,
        }
    }

    /// States after each level, from embedded nodes `[1, 1, P, D]`.
    pub(crate) fn read(&mut self, embedded: Tensor<4>, time: Time) -> Vec<Tensor<4>> {
        let levels = self.pass.levels.unwrap_or(self.model.config().model.n_levels);
        let mut s = embedded;
        let level = |level: usize| {
            s = self.level(s.clone(), level == 0 || time == Time::EachLevel);
            s.clone()
        };
        (0..levels).map(level).collect()
    }

    /// State after a level: each node writes, if time passes into a memory that has decayed, and reads its neighbours.
    fn level(&mut self, s: Tensor<4>, passes: bool) -> Tensor<4> {
        let x = perceive(s.clone(), &self.weights, self.pass.precision); // [1, H, P, N]
        self.time += usize::from(passes);
        let newest_alone =
            self.model.config().model.decay == 0.0 || self.pass.memory == PlaceMemory::ResetEachLevel;
        if passes && newest_alone {
            self.empty();
        }
        if self.pass.memory != PlaceMemory::NeverWritten {
            self.write(&x, &s, f64::from(u8::from(passes)));
        }
        if passes && self.pass.memory == PlaceMemory::WipedAt(self.time) {
            self.empty();
        }
        let read = self.recalled(x);
        self.done += 1;
        self.model
            .spoken(s, read, &self.weights, self.pass, self.done - 1)
    }

    /// Writes into all memories, which decay over `time`.
    fn write(&mut self, x: &Tensor<4>, s: &Tensor<4>, time: f64) {
        self.memory.write_over(x.clone(), s.clone(), time);
        let (decay, edges) = (self.model.decay().over(time), self.input.membership());
        let written = |rho| graph_write(x.clone(), s.clone(), rho, edges, &decay);
        self.shared = self.shared.take().map(written);
    }

    /// What the nodes read in all memories, `[1, H, P, D]`.
    fn recalled(&self, x: Tensor<4>) -> Tensor<4> {
        let own = self.memory.read(x.clone(), self.input.edges());
        match &self.shared {
            None => own,
            Some(rho) => own + graph_read(x, rho.clone(), self.input.membership()),
        }
    }

    fn empty(&mut self) {
        let model = self.model;
        self.memory = History::empty(model.config().model.d_model, model.decay());
        self.shared = model.empty_shared(self.input.sizes().len());
    }
}
