//! Shapes that no model can have.

use crate::free_memory::MemoryError;

/// A shape that no model can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A size is zero.
    #[error("model.{name} is 0; every size of a model is at least 1")]
    Zero {
        /// The key.
        name: &'static str,
    },
    /// A size is beyond what any model has.
    #[error("model.{name} = {value}; it can be {most} at most")]
    TooLarge {
        /// The key.
        name: &'static str,
        /// The value given.
        value: usize,
        /// The largest.
        most: usize,
    },
    /// The neurons cannot be split into heads of pairs.
    #[error(
        "model.n_neurons = {n_neurons} does not split into model.n_heads = {n_heads} heads of neuron pairs; \
         use a multiple of {}", 2 * n_heads
    )]
    Heads {
        /// Neurons in all.
        n_neurons: usize,
        /// Heads.
        n_heads: usize,
    },
    /// A number is out of its range.
    #[error("model.{name} = {value:?}; expected {expected}")]
    Range {
        /// The key.
        name: &'static str,
        /// The value given.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// A model that the machine has no memory for.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Not as many slopes as heads.
    #[error("model.decay.slopes has {given} slopes, expected one for each of model.n_heads = {n_heads}")]
    Slopes {
        /// Slopes given.
        given: usize,
        /// Heads.
        n_heads: usize,
    },
    /// Slopes with a read that has no order.
    #[error(
        "model.decay makes memory fade from token to token, but with model.read = \"full\" tokens have no order; \
         leave model.decay out, or use model.read = \"causal\""
    )]
    DecayWithoutOrder,
}
