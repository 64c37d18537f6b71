//! Steps of a pyramid backbone.

use super::config::Readout;
use super::schedule::{Schedule, Ways};
use super::{PyramidBackbone, PyramidConfig};
use crate::encoder::memory_use::{MemoryUse, Turn};
use crate::encoder::modes::in_mode;
use crate::encoder::step::{Backbone, State, StepPass};
use crate::error::VisionError;
use burn::module::Param;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Tensor, TensorData};
use burn_dragon_core::api::expert::{derive, norm};
use burn_dragon_core::api::structured::{
    Access, BankShape, OfTokens, Places, PyramidDecay, PyramidQueries, PyramidReads, PyramidRouting,
    PyramidTokens, StepMode, StructuredState,
};
use burn_dragon_kernel::api::{Decay, DropoutMask, Grid, join};

/// Names of the banks.
const BANKS: [&str; 3] = ["patch", "coarse", "hub"];
const COARSE: &str = BANKS[1];

/// A pyramid backbone on a grid of patches. Its products are in the precision of the tensors: that of a pass is not used.
#[derive(Clone, Debug)]
pub struct PyramidSteps<'a> {
    backbone: &'a PyramidBackbone,
    grid: Grid,
    routes: Routes,
    /// Routes of the further steps within a predicted step.
    substep: Routes,
    /// Decay over a unit of time.
    decay: PyramidDecay,
}

/// Routes of the reads and of the writes.
#[derive(Clone, Debug)]
struct Routes {
    reads: PyramidRouting,
    writes: PyramidRouting,
}

impl<'a> PyramidSteps<'a> {
    pub(super) fn new(backbone: &'a PyramidBackbone, grid: Grid) -> Result<Self, VisionError> {
        let config = backbone.config();
        let [near_patch, near_cell] = config.near();
        let ways = Ways {
            near_patch,
            near_cell,
            stride: config.stride,
        };
        let routes = |schedule: &Schedule| {
            let routing =
                |access| ways.routing(banks(config, grid, backbone.sizes.d_model), schedule, access);
            Ok::<_, VisionError>(Routes {
                reads: routing(Access::Read)?,
                writes: routing(Access::Write)?,
            })
        };
        let device = backbone.value.val().device().inner();
        let decay = |factor: f64| {
            let slope = (-factor.ln()) as f32;
            (slope > 0.0).then(|| Decay::new(Tensor::from_data([slope], &device)))
        };
        Ok(Self {
            routes: routes(&config.schedule)?,
            substep: routes(&config.substep_links())?,
            decay: PyramidDecay {
                patch: decay(config.decay.patch),
                coarse: decay(config.decay.coarse),
                hub: decay(config.decay.hub),
            },
            backbone,
            grid,
        })
    }

    /// The cells of a stream of patches, `[B, 1, C, D]`: the norm of the mean of the patches of each.
    fn cells(&self, patches: &Tensor<4>) -> Tensor<4> {
        let (config, grid) = (self.backbone.config(), self.grid);
        let (coarse, places) = (config.coarse(grid), grid.places());
        let cell = |place: usize| {
            place / grid.width / config.stride * coarse.width + place % grid.width / config.stride
        };
        let mut sizes = vec![0.0_f32; coarse.places()];
        (0..places).for_each(|place| sizes[cell(place)] += 1.0);
        let mut means = vec![0.0_f32; coarse.places() * places];
        (0..places).for_each(|place| means[cell(place) * places + place] = sizes[cell(place)].recip());
        let means = TensorData::new(means, [1, 1, coarse.places(), places]).convert_dtype(patches.dtype());
        let means = Tensor::<4>::from_data(means, (&patches.device(), patches.dtype()));
        norm(means.matmul(patches.clone()), self.backbone.sizes.norm_eps)
    }

    /// What patches and cells bring to a step.
    fn tokens(&self, patches: &Tensor<4>, cells: &Tensor<4>) -> PyramidTokens {
        let weights = self.backbone;
        let query = |tokens: &Tensor<4>, weight: &Param<Tensor<2>>| relu(mapped(tokens, weight));
        let gate = |tokens: &Tensor<4>, weight: &Param<Tensor<2>>| softmax(mapped(tokens, weight), 3);
        let gates = weights.patch_gates.as_ref().zip(weights.coarse_gates.as_ref());
        PyramidTokens {
            queries: PyramidQueries {
                patch_patch: query(patches, &weights.patch_query),
                patch_coarse: query(patches, &weights.patch_coarse_query),
                patch_hub: query(patches, &weights.patch_hub_query),
                coarse_coarse: query(cells, &weights.coarse_query),
                coarse_hub: query(cells, &weights.coarse_hub_query),
            },
            values: OfTokens {
                patch: mapped(patches, &weights.value),
                coarse: mapped(cells, &weights.value),
            },
            gates: gates.map(|(of_patches, of_cells)| OfTokens {
                patch: gate(patches, of_patches),
                coarse: gate(cells, of_cells),
            }),
        }
    }

    /// The stream of a bank after a step, from its tokens, its queries for itself, and what it read.
    fn joined(&self, tokens: Tensor<4>, query: Tensor<4>, read: Tensor<4>, of: &Update<'_>) -> Tensor<4> {
        let eps = self.backbone.sizes.norm_eps;
        let y = relu(mapped(&norm(read, eps), of.decoder)) * query; // [B, 1, T, r]
        let y = match of.dropout {
            None => y,
            Some(dropout) => dropout.apply(y),
        };
        join(tokens, mapped(&y, of.encoder), eps)
    }

    /// Reads and writes along some routes, and the streams of the banks that read.
    fn inner(&self, state: &mut State, routes: &Routes, inner: Inner) -> Result<(), VisionError> {
        let (weights, modes) = (self.backbone, self.backbone.modes.as_ref());
        let patches = in_mode(state.stream(), modes, inner.mode); // [B, 1, P, D]
        let cells = in_mode(stream_of_cells(&state.banks)?, modes, inner.mode); // [B, 1, C, D]
        let tokens = self.tokens(&patches, &cells);
        let step = state.steps();
        let mut turn = BanksTurn {
            routes,
            banks: &mut state.banks,
            tokens: tokens.clone(),
            mode: inner.mode,
            decay: if inner.substep == 0 {
                self.decay.clone()
            } else {
                PyramidDecay::default()
            },
        };
        let order = weights.config().order;
        let PyramidReads { patch, coarse } = inner.memory().take(order, step + 1, &mut turn)?;
        let dropout = |bank| self.dropout(inner.pass, bank, step, inner.substep);
        if let Some(read) = patch {
            let update = Update {
                decoder: &weights.patch_decoder,
                encoder: &weights.patch_encoder,
                dropout: dropout("patch"),
            };
            state.stream = self.joined(patches, tokens.queries.patch_patch, read, &update);
        }
        if let Some(read) = coarse {
            let update = Update {
                decoder: &weights.coarse_decoder,
                encoder: &weights.coarse_encoder,
                dropout: dropout("coarse"),
            };
            let stream = self.joined(cells, tokens.queries.coarse_coarse, read, &update);
            state.banks.set_stream(COARSE, stream)?;
        }
        Ok(())
    }

    fn dropout(&self, pass: StepPass, bank: &str, step: usize, substep: usize) -> Option<DropoutMask> {
        let rate = self.backbone.sizes.dropout;
        let seed = pass.dropout_seed.filter(|_| rate > 0.0)?;
        Some(DropoutMask::new(
            derive(seed, bank, step as u64, substep as u64),
            rate,
        ))
    }

    /// What the mean of the patches reads in the hubs, mapped to the model width, `[B, D]`.
    fn hubs(&self, state: &State) -> Result<Option<Tensor<2>>, VisionError> {
        let weights = self.backbone;
        let Some(readout) = &weights.hub_readout else {
            return Ok(None);
        };
        let rho = state.banks.bank(BANKS[2])?.rho.clone();
        let [lanes, _, hubs, rank, width] = rho.dims();
        let mean = state.stream().mean_dim(2); // [B, 1, 1, D]
        let query = relu(mapped(&mean, &weights.patch_hub_query)); // [B, 1, 1, r]
        let query = match &weights.patch_gates {
            None => query,
            Some(gates) => softmax(mapped(&mean, gates), 3).swap_dims(2, 3) * query, // [B, 1, M, r]
        };
        let read = query
            .reshape([lanes, 1, hubs * rank])
            .matmul(rho.reshape([lanes, hubs * rank, width]));
        let read: Tensor<2> = norm(read, weights.sizes.norm_eps).reshape([lanes, width]);
        Ok(Some(read.matmul(readout.val())))
    }
}

impl Backbone for PyramidSteps<'_> {
    fn start(&self, v: Tensor<4>) -> State {
        let ([lanes, ..], (device, dtype)) = (v.dims(), (v.device(), v.dtype()));
        let expected = [lanes, 1, self.grid.places(), self.backbone.sizes.d_model];
        assert_eq!(v.dims(), expected, "start: shape of the patches");
        let mut banks = self.routes.reads.state(lanes, &device).cast(dtype);
        match banks.set_stream(COARSE, self.cells(&v)) {
            Ok(()) => State {
                banks,
                ..State::of_patches(v)
            },
            Err(error) => unreachable!("cells are those of the bank: {error}"),
        }
    }

    /// Replaces the patches, and the cells by those of the patches; memories are kept.
    fn observe(&self, state: &mut State, v: Tensor<4>) -> Result<(), VisionError> {
        state.replace(v)?;
        let cells = self.cells(&state.stream);
        Ok(state.banks.set_stream(COARSE, cells)?)
    }

    fn step(&self, state: &mut State, mode: StepMode, pass: StepPass) -> Result<(), VisionError> {
        let inner = |substep| Inner { mode, pass, substep };
        self.inner(state, &self.routes, inner(0))?;
        if mode == StepMode::Predict {
            for substep in 1..=self.backbone.config().predict_substeps {
                self.inner(state, &self.substep, inner(substep))?;
            }
        }
        state.advance(state.stream(), mode);
        Ok(())
    }

    /// The readout of the configuration.
    fn summary(&self, state: &State) -> Result<Tensor<2>, VisionError> {
        let hubs = self.hubs(state)?;
        Ok(match (self.backbone.config().readout, hubs) {
            (Readout::Hub, Some(hubs)) => hubs,
            (Readout::HubAndCoarse, Some(hubs)) => {
                let cells = stream_of_cells(&state.banks)?.mean_dim(2);
                hubs.clone() + cells.reshape(hubs.dims())
            }
            _ => state.mean(),
        })
    }
}

/// A step, or a further one within it.
#[derive(Clone, Copy)]
struct Inner {
    mode: StepMode,
    pass: StepPass,
    /// 0 for the step itself, then counted from 1.
    substep: usize,
}

impl Inner {
    /// Use of the memories: they are emptied for a step as a whole.
    fn memory(self) -> MemoryUse {
        match self.pass.memory {
            MemoryUse::WipedAt(_) | MemoryUse::ResetEachStep if self.substep > 0 => MemoryUse::Carried,
            memory => memory,
        }
    }
}

/// Weights of the update of a bank's stream.
struct Update<'a> {
    decoder: &'a Param<Tensor<2>>,
    encoder: &'a Param<Tensor<2>>,
    dropout: Option<DropoutMask>,
}

/// A step with the banks of a state.
struct BanksTurn<'a> {
    routes: &'a Routes,
    banks: &'a mut StructuredState,
    tokens: PyramidTokens,
    mode: StepMode,
    decay: PyramidDecay,
}

impl Turn for BanksTurn<'_> {
    type Read = PyramidReads;

    fn empty(&mut self) -> Result<(), VisionError> {
        for bank in BANKS {
            self.banks.change_memory(bank, |rho| (rho.zeros_like(), ()))?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), VisionError> {
        let tokens = self.tokens.clone();
        self.routes
            .writes
            .step(self.banks, self.mode, tokens, &self.decay)?;
        Ok(())
    }

    fn read(&mut self) -> Result<PyramidReads, VisionError> {
        let (tokens, kept) = (self.tokens.clone(), PyramidDecay::default());
        Ok(self.routes.reads.step(self.banks, self.mode, tokens, &kept)?)
    }
}

/// Stream of the cells, `[B, 1, C, D]`.
fn stream_of_cells(banks: &StructuredState) -> Result<Tensor<4>, VisionError> {
    let coarse = banks.bank(COARSE)?;
    match &coarse.stream {
        Some(stream) => Ok(stream.clone()),
        None => unreachable!("the bank of cells has a stream"),
    }
}

/// Shapes of the banks.
fn banks(config: &PyramidConfig, grid: Grid, d_model: usize) -> Vec<BankShape> {
    let bank = |name: &str, places, neurons, stream| BankShape {
        name: name.into(),
        places,
        heads: 1,
        neurons,
        width: config.value_width,
        stream,
    };
    vec![
        bank(BANKS[0], Places::Grid(grid), config.patch_rank, None),
        bank(
            COARSE,
            Places::Grid(config.coarse(grid)),
            config.coarse_rank,
            Some(d_model),
        ),
        bank(BANKS[2], Places::Unordered(config.hubs), config.hub_rank, None),
    ]
}

/// Tokens, `[B, 1, T, I]`, through a matrix, `[I, O]`.
fn mapped(tokens: &Tensor<4>, weight: &Param<Tensor<2>>) -> Tensor<4> {
    let ([lanes, _, count, width], [_, columns]) = (tokens.dims(), weight.dims());
    let rows = tokens.clone().reshape([lanes * count, width]);
    rows.matmul(weight.val()).reshape([lanes, 1, count, columns])
}
