//! Pyramid backbone: banks of memories of patches, coarse cells and hubs.
//!
//! ```text
//! p = patches + e_mode,  g = cells + e_mode                       cells begin as norm(mean of their patches)
//! q_pp, q_pc, q_ph = relu(p W)                                    for patches, their cells and hubs; ranks r
//! q_cc, q_ch = relu(g W)                                          for cells and hubs
//! v = p W_v, and g W_v with the same matrix                       values of width V
//! k_p = softmax(p W_k), k_g = softmax(g W_k)                      gates of the M hubs
//!
//! rho_p = lambda rho_p + q_pp (outer) v_p
//! rho_c = lambda rho_c + q_cc (outer) v_c + sum over the patches of cell c of q_pc (outer) v_p
//! rho_m = lambda rho_m + sum over p of k_pm q_ph (outer) v_p + sum over c of k_cm q_ch (outer) v_c
//!
//! a_p = q_pp (mean over neighbours of rho_p') + q_pc rho_cell(p) + sum over m of k_pm q_ph rho_m
//! a_c = q_cc (mean over neighbours of rho_c') + sum over m of k_cm q_ch rho_m
//!
//! y = relu(norm(a) decoder) * q                                   with q_pp of patches, q_cc of cells
//! patches = norm(p + norm(y encoder)),  cells = norm(g + norm(y encoder))
//! ```
//!
//! Each term of a read or write is a link, which a [`Schedule`] uses or not, mode by mode. Tokens of a bank that reads
//! nothing stay. Patch `(y, x)` lies in cell `(y / stride, x / stride)`.
//!
//! Differences from the public implementation: that one reads cell `(y mod rows, x mod columns)`, which other patches wrote;
//! it reads before it writes ([`Order::ReadThenWrite`](crate::encoder::Order) here); and it has no norm of `y encoder`, so
//! that with small weights a step changes the stream little. Its decay differs by rank; here it differs by bank, since the
//! kernel has one factor for each head, and a bank has one head. Its queries and values have gains by mode; here a mode is
//! an embedding alone.

mod config;
mod cost;
mod schedule;
mod steps;

pub use config::{BankDecay, HubGates, PyramidConfig, Readout, Substep};
pub use schedule::{BankLink, ModeLinks, Schedule};
pub use steps::PyramidSteps;

use crate::error::VisionError;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::TrunkConfig;
use burn_dragon_core::api::expert::{ParameterBuilder, initial};
use burn_dragon_kernel::api::Grid;

/// Weights of a pyramid backbone. Letters: r rank of a bank, V width of a value, M hubs.
#[derive(Module, Debug)]
pub struct PyramidBackbone {
    /// Queries of patches for patches, `[D, r]`.
    pub patch_query: Param<Tensor<2>>,
    /// Queries of patches for their cells, `[D, r]`.
    pub patch_coarse_query: Param<Tensor<2>>,
    /// Queries of patches for hubs, `[D, r]`.
    pub patch_hub_query: Param<Tensor<2>>,
    /// Queries of cells for cells, `[D, r]`.
    pub coarse_query: Param<Tensor<2>>,
    /// Queries of cells for hubs, `[D, r]`.
    pub coarse_hub_query: Param<Tensor<2>>,
    /// Values of patches and cells, `[D, V]`.
    pub value: Param<Tensor<2>>,
    /// From the read of a patch to its neurons, `[V, r]`.
    pub patch_decoder: Param<Tensor<2>>,
    /// From the read of a cell to its neurons, `[V, r]`.
    pub coarse_decoder: Param<Tensor<2>>,
    /// From the neurons of a patch to its stream, `[r, D]`.
    pub patch_encoder: Param<Tensor<2>>,
    /// From the neurons of a cell to its stream, `[r, D]`.
    pub coarse_encoder: Param<Tensor<2>>,
    /// Gates of the hubs, of patches, `[D, M]`.
    pub patch_gates: Option<Param<Tensor<2>>>,
    /// Gates of the hubs, of cells, `[D, M]`.
    pub coarse_gates: Option<Param<Tensor<2>>>,
    /// Embeddings of the modes, `[3, D]`.
    pub modes: Option<Param<Tensor<2>>>,
    /// From what is read in the hubs to the readout, `[V, D]`.
    pub hub_readout: Option<Param<Tensor<2>>>,
    #[module(skip)]
    config: PyramidConfig,
    #[module(skip)]
    sizes: TrunkConfig,
}

impl PyramidBackbone {
    /// A backbone with weights from N(0, `init_std`), a function of `seed` and their names alone. `sizes` gives the model
    /// width, `init_std`, the epsilon of norms and the dropout rate.
    ///
    /// # Errors
    /// If the configuration is invalid.
    pub fn new(
        config: &PyramidConfig,
        sizes: &TrunkConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, VisionError> {
        Self::from_weights(config, sizes, device, initial(sizes, seed))
    }

    /// A backbone from given weights: `weight` returns each one, f32, by its name here and its shape.
    ///
    /// # Errors
    /// If the configuration is invalid.
    ///
    /// # Panics
    /// If a weight has not the requested shape.
    pub fn from_weights(
        config: &PyramidConfig,
        sizes: &TrunkConfig,
        device: &Device,
        weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, VisionError> {
        config.validate()?;
        sizes.validate()?;
        let mut build = ParameterBuilder::new(config.tensors(sizes.d_model), device, weight);
        Ok(Self {
            patch_query: build.parameter("patch_query"),
            patch_coarse_query: build.parameter("patch_coarse_query"),
            patch_hub_query: build.parameter("patch_hub_query"),
            coarse_query: build.parameter("coarse_query"),
            coarse_hub_query: build.parameter("coarse_hub_query"),
            value: build.parameter("value"),
            patch_decoder: build.parameter("patch_decoder"),
            coarse_decoder: build.parameter("coarse_decoder"),
            patch_encoder: build.parameter("patch_encoder"),
            coarse_encoder: build.parameter("coarse_encoder"),
            patch_gates: build.optional("patch_gates"),
            coarse_gates: build.optional("coarse_gates"),
            modes: build.optional("modes"),
            hub_readout: build.optional("hub_readout"),
            config: config.clone(),
            sizes: sizes.clone(),
        })
    }

    /// Configuration.
    pub fn config(&self) -> &PyramidConfig {
        &self.config
    }

    /// The same weights with another schedule, as an ablation.
    #[must_use]
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.config.schedule = schedule;
        self
    }

    /// The backbone on a grid of patches.
    ///
    /// # Errors
    /// If the grid has no place.
    pub fn steps(&self, grid: Grid) -> Result<PyramidSteps<'_>, VisionError> {
        PyramidSteps::new(self, grid)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod equation_tests;
