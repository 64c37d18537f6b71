//! Steps of a cellular backbone.

use super::Cellular;
use super::memory::{PATCH, Places, PlacesTurn};
use crate::encoder::modes::{in_mode, of_mode};
use crate::encoder::step::{Backbone, State, StepPass};
use crate::error::VisionError;
use burn::tensor::{Tensor, TensorData};
use burn_dragon_core::api::expert::derive;
use burn_dragon_core::api::structured::{Bank, StepMode};
use burn_dragon_core::api::{Trunk, TrunkConfig};
use burn_dragon_kernel::api::graph::PlaceDecay;
use burn_dragon_kernel::api::{
    Decay, DropoutMask, Grid, LevelWeights, SpeakInput, WriteOrder, join, perceive, speak,
};

/// A cellular backbone with the weights of a pass, on a grid of patches.
#[derive(Clone, Debug)]
pub struct CellularSteps<'a> {
    cellular: &'a Cellular,
    trunk: &'a TrunkConfig,
    weights: LevelWeights,
    places: Places,
}

impl<'a> CellularSteps<'a> {
    pub(super) fn new(cellular: &'a Cellular, trunk: &'a Trunk, grid: Grid) -> Self {
        let (config, sizes) = (cellular.config(), trunk.config());
        let slopes = config.slopes(sizes.n_heads);
        let fades = slopes.iter().any(|&slope| slope > 0.0);
        let slopes = TensorData::new(slopes, [sizes.n_heads]);
        let slopes = Tensor::from_data(slopes, &trunk.device().inner());
        Self {
            cellular,
            trunk: sizes,
            weights: trunk.weights(),
            places: Places {
                grid,
                near: config.near.neighbourhood(),
                edges: config.near.edges(grid),
                decay: PlaceDecay {
                    decay: fades.then(|| Decay::new(slopes)),
                    order: WriteOrder::DecayThenWrite,
                },
                width: sizes.d_model,
            },
        }
    }

    /// What a patch writes and reads with, and what it writes: x and the stream with the gains of the mode.
    fn with_gains(&self, x: Tensor<4>, w: Tensor<4>, mode: StepMode) -> [Tensor<4>; 2] {
        let Cellular {
            query_gains,
            value_gains,
            ..
        } = self.cellular;
        let [heads, neurons] = [self.trunk.n_heads, self.trunk.neurons_per_head()];
        let gain = |table, shape: [usize; 4]| of_mode(table, mode).reshape(shape) + 1.0;
        let q = match query_gains {
            None => x,
            Some(table) => x * gain(table, [1, heads, 1, neurons]),
        };
        let v = match value_gains {
            None => w,
            Some(table) => w * gain(table, [1, 1, 1, self.trunk.d_model]),
        };
        [q, v]
    }

    /// The contribution of a step, from its read.
    fn spoken(&self, w: Tensor<4>, read: Option<Tensor<4>>, step: usize, pass: StepPass) -> Tensor<4> {
        let Some(read) = read else {
            return w.zeros_like();
        };
        let seed = pass.dropout_seed.filter(|_| self.trunk.dropout > 0.0);
        let output = speak(SpeakInput {
            read,
            v: w,
            weights: self.weights.clone(),
            norm: Some(self.trunk.norm_eps),
            levels: None,
            dropout: seed.map(|seed| {
                let seed = derive(seed, "level", 0, step as u64); // as in the trunk's levels
                DropoutMask::new(seed, self.trunk.dropout)
            }),
            precision: pass.precision,
            count: false,
        });
        output.u
    }
}

impl Backbone for CellularSteps<'_> {
    fn start(&self, v: Tensor<4>) -> State {
        let ([lanes, _, _, _], places) = (v.dims(), self.places.grid.places());
        let expected = [lanes, 1, places, self.trunk.d_model];
        assert_eq!(v.dims(), expected, "start: shape of the patches");
        State {
            writes: Some(self.places.nothing()),
            ..State::of_patches(v)
        }
    }

    fn step(&self, state: &mut State, mode: StepMode, pass: StepPass) -> Result<(), VisionError> {
        let w = in_mode(state.stream(), self.cellular.modes.as_ref(), mode); // [B, 1, P, D]
        let x = perceive(w.clone(), &self.weights, pass.precision); // [B, H, P, N]
        let [q, v] = self.with_gains(x, w.clone(), mode);
        let step = state.steps();
        let mut turn = PlacesTurn {
            places: &self.places,
            state,
            mode,
            q,
            v,
        };
        let read = pass
            .memory
            .take(self.cellular.config().order, step + 1, &mut turn)?; // [B, H, P, D]
        let u = self.spoken(w.clone(), read, step, pass);
        state.advance(join(w, u, self.trunk.norm_eps), mode);
        Ok(())
    }

    /// Makes the memories whole: their size does not grow with the steps from here on.
    fn settle(&self, state: &mut State) -> Result<(), VisionError> {
        let Some(writes) = state.writes.take() else {
            return Ok(());
        };
        let lanes = state.stream.dims()[0];
        let (heads, neurons) = (self.trunk.n_heads, self.trunk.neurons_per_head());
        let shape = [
            lanes,
            heads,
            self.places.grid.places(),
            neurons,
            self.trunk.d_model,
        ];
        let like = &state.stream;
        let empty = || Tensor::zeros(shape, (&like.device(), like.dtype()));
        let rho = writes.memories().unwrap_or_else(empty);
        state.banks.add_bank(PATCH, Bank { rho, stream: None })?;
        Ok(())
    }
}
