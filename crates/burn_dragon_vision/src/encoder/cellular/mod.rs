//! Cellular backbone: every patch has a memory of its own, and reads those of its neighbours.
//!
//! ```text
//! w = c + e_mode
//! x = relu(w decoder_x)                                      in each head
//! q = (1 + g_mode) * x,  v = (1 + h_mode) * w                gains, if there are any
//! rho_p = lambda rho_p + q_p (outer) v_p                     lambda is 1 in a step that takes no time
//! a_p = q_p (mean over p' in neighbours(p) of rho_p')
//! y = relu(norm(a) decoder_y) * x
//! c = norm(w + norm(y encoder))
//! ```
//!
//! The three matrices are those of the [`Trunk`], and all steps share them; its positions and decay are not used. [`Order`](crate::encoder::Order) says whether
//! patches write before they read, as here, or after. With neighbours in the whole grid that are summed, the first step is a
//! level of the trunk with full reads and no positions.
//!
//! Memories have two forms, which compute the same function (`memory.rs`). The *factored* one keeps the writes, q and v of
//! each step: it is small for a few steps, and their gradients need no tensor of the size of a memory. The *whole* one has
//! N D numbers for each head of each patch, and its size does not grow. A state starts factored;
//! [`settle`](crate::encoder::Backbone::settle) makes its memories whole.

mod config;
mod memory;
mod steps;

pub use config::{CellularConfig, Gains};
pub use steps::CellularSteps;

use crate::encoder::modes::initial_offsets;
use crate::error::VisionError;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{ParameterBuilder, initial};
use burn_dragon_core::api::{Trunk, TrunkConfig};
use burn_dragon_kernel::api::Grid;

/// What a cellular backbone learns beside its trunk.
#[derive(Module, Debug)]
pub struct Cellular {
    /// Embeddings of the modes, `[3, D]`.
    pub modes: Option<Param<Tensor<2>>>,
    /// Offsets from 1 of the gains of q, `[3, H*N]`.
    pub query_gains: Option<Param<Tensor<2>>>,
    /// Offsets from 1 of the gains of v, `[3, D]`.
    pub value_gains: Option<Param<Tensor<2>>>,
    #[module(skip)]
    config: CellularConfig,
}

impl Cellular {
    /// A backbone for a trunk, with [initial weights](Self::initial), a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is invalid.
    pub fn new(
        config: &CellularConfig,
        trunk: &TrunkConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, VisionError> {
        Self::from_weights(config, trunk, device, Self::initial(trunk, seed))
    }

    /// A backbone from given weights: `weight` returns each one, f32, by its name here and its shape.
    ///
    /// # Errors
    /// If the configuration is invalid.
    ///
    /// # Panics
    /// If a weight has not the requested shape.
    pub fn from_weights(
        config: &CellularConfig,
        trunk: &TrunkConfig,
        device: &Device,
        weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, VisionError> {
        config.validate(trunk)?;
        let mut build = ParameterBuilder::new(config.tensors(trunk), device, weight);
        Ok(Self {
            modes: build.optional("modes"),
            query_gains: build.optional("query_gains"),
            value_gains: build.optional("value_gains"),
            config: config.clone(),
        })
    }

    /// Initial weights: embeddings from N(0, `init_std`) of the trunk, offsets of gains uniform within 0.05 of 0.
    pub fn initial(trunk: &TrunkConfig, seed: u64) -> impl FnMut(&str, &[usize]) -> TensorData + use<> {
        let mut drawn = initial(trunk, seed);
        move |name, shape| match name {
            "query_gains" | "value_gains" => initial_offsets(name, seed, shape),
            _ => drawn(name, shape),
        }
    }

    /// Configuration.
    pub fn config(&self) -> &CellularConfig {
        &self.config
    }

    /// The backbone with the weights of a pass, on a grid of patches. Make it once for all steps of a pass.
    pub fn steps<'a>(&'a self, trunk: &'a Trunk, grid: Grid) -> CellularSteps<'a> {
        CellularSteps::new(self, trunk, grid)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod equation_tests;

#[cfg(test)]
mod speed_tests;
