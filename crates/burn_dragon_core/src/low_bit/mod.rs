//! Low-bit models: quantised weights, activities and memories.
//!
//! ```text
//! v^ = Q(v);  x = relu(v^ Wx^)         Wx^ = Q(decoder_x)      where decoder_x is a target
//! a^ = Q(a);  y = relu(a^ Wy^) * x     a = norm(read); the memory reads and writes v itself, not v^
//! u = sum over heads of dropout(Q(y)) We^
//! ```
//!
//! Every Q rounds half to even, and its gradient is straight through: that of `Q(x)` is taken for that of x.
//!
//! | what | where |
//! |---|---|
//! | table `[model.quant]` | `config.rs` |
//! | what it means, and what has no meaning; in words | `rules.rs`, `words.rs` |
//! | quantisers of weights | `weights.rs` |
//! | matrices in whole numbers, for files and decoders | `matrices.rs` |
//! | quantisers of activities | `activities.rs` |
//! | Hadamard matrix | `hadamard.rs` |
//! | table `[model.rho]`: carried memory in fewer bits | `rho/` |
//! | groups of numbers that share a scale | `groups.rs` |
//! | straight-through gradient; rounding of y | the kernel's `level/levels.rs` |
//!
//! Weights are quantised once a pass, where [`Trunk`](crate::trunk::Trunk) makes the weights of its levels, so all forms of a level
//! have them. With quantised activities a level runs by halves,
//! whose second rounds y itself.

mod activities;
mod config;
mod groups;
mod hadamard;
mod matrices;
mod rho;
mod rules;
mod weights;
mod words;

pub use activities::Quantisers;
pub use config::{
    ActFormat, ActGrouping, InferenceMode, Protocol, QuantConfig, SavedActivations, SavedFormat, SavedMode,
    Target, TrainingMode, WeightFormat, WeightGrouping,
};
pub(crate) use rho::Edge;
pub use rho::{RhoCompression, RhoConfig, RhoError, RhoInterval, RhoPrecision, RhoProbe};
pub use rules::{LowBit, QuantError};

#[cfg(test)]
mod tests;
