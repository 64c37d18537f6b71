//! Carried memory in fewer bits, `[model.rho]`.
//!
//! ```text
//! rho' = compression(precision(rho))      at the end of a window that carries memory; gradients go straight through
//! ```
//!
//! | what | where |
//! |---|---|
//! | table, and what has no meaning | `config.rs` |
//! | formats of numbers | `formats.rs` |
//! | change of a memory in few directions | `low_rank.rs` |
//! | error and norm at the edges | `probe.rs` |
//! | in words | `words.rs` |
//!
//! A stream is then another function of where its windows end, but with the interval `step`, whose edges are the tokens.

mod config;
mod formats;
mod low_rank;
mod probe;
mod words;

pub use config::{RhoCompression, RhoConfig, RhoError, RhoInterval, RhoPrecision};
pub use probe::RhoProbe;

use crate::auxiliary::{Margins, Parts};
use crate::config::TrunkConfig;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::expert::straight_through;

/// What the edges of a pass do to memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    config: RhoConfig,
    margins: Margins,
}

impl Edge {
    /// That of a trunk; `None` if memory is carried as it is. `is_training` is whether gradients are wanted.
    pub(crate) fn of(config: &TrunkConfig, is_training: bool) -> Option<Self> {
        let rho = config.rho.filter(RhoConfig::changes)?;
        let is_here = rho.compression_interval != RhoInterval::EvalOnly || !is_training;
        is_here.then(|| Self {
            config: rho,
            margins: config.auxiliary(),
        })
    }

    /// Whether it needs the memory before the window.
    pub(crate) fn needs_before(&self) -> bool {
        self.config.compression == RhoCompression::LowrankDeltaExp
    }

    /// The memory of a level at the edge, `[B, H, K, D]`, from the memory after the window. What auxiliary recurrences carry in
    /// it stays as it is.
    pub(crate) fn pass(
        &self,
        before: Option<Tensor<4>>,
        after: Tensor<4>,
        probe: Option<&mut RhoProbe>,
    ) -> Tensor<4> {
        let of = |memory| self.margins.split(memory);
        let parts = of(after);
        let before = before.map(|before| of(before).rho.inner());
        let rho = straight_through(parts.rho.clone(), |rho| {
            self.config.compression.of(self.config.precision.of(rho), before)
        });
        if let Some(probe) = probe {
            probe.add(parts.rho.inner(), rho.clone().inner());
        }
        Parts { rho, ..parts }.join()
    }
}

#[cfg(test)]
mod tests;
