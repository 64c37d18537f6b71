//! Errors of a model's configuration.

use crate::free_memory::MemoryError;

/// Error of a model's configuration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A size is zero.
    #[error("model.{name} is 0; use at least 1")]
    Zero {
        /// The key.
        name: &'static str,
    },
    /// A size is above its limit.
    #[error("model.{name} = {value} is too large; use at most {most}")]
    TooLarge {
        /// The key.
        name: &'static str,
        /// The value given.
        value: usize,
        /// The largest value allowed.
        most: usize,
    },
    /// The neurons cannot be split into heads of pairs.
    #[error(
        "model.n_neurons = {n_neurons} does not split into model.n_heads = {n_heads} heads of neuron pairs; \
         use a multiple of {}", 2 * n_heads
    )]
    Heads {
        /// Number of neurons in all heads together.
        n_neurons: usize,
        /// Number of heads.
        n_heads: usize,
    },
    /// A number is out of its range.
    #[error("model.{name} = {value:?}; expected {expected}")]
    Range {
        /// The key.
        name: &'static str,
        /// The value given.
        value: f64,
        /// Description of the values allowed.
        expected: &'static str,
    },
    /// The model is too large for the machine's free memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The numbers of slopes and of heads differ.
    #[error("model.decay.slopes has {given} slopes; expected {n_heads}, one for each head (model.n_heads)")]
    Slopes {
        /// Number of slopes given.
        given: usize,
        /// Heads.
        n_heads: usize,
    },
    /// A decay is combined with a read without order.
    #[error(
        "model.decay makes memory fade from token to token, but with model.read = \"full\" tokens have no order; \
         leave model.decay out, or use model.read = \"causal\""
    )]
    DecayWithoutOrder,
    /// Polar positions are combined with a read without order.
    #[error(
        "model.positions = \"pope\" has keys that are not the queries, which model.read = \"full\" does not know; \
         use model.positions = \"rotary\" or \"none\", or model.read = \"causal\""
    )]
    PolarWithoutOrder,
    /// Orthonormal blocks are combined with factors of their entries.
    #[error(
        "model.init.type = \"semi_orthogonal\" makes orthonormal rows, which the factors of model.init.{key} would not leave so; \
         leave model.init.{key} out, or use another type"
    )]
    OrthogonalFactors {
        /// The key of the factors.
        key: &'static str,
    },
    /// Thresholds for a share of active neurons are combined with a norm that gives rows no size.
    #[error(
        "model.init.firing.type = \"gaussian\" expects rows with the mean square 1, which model.norm.type = \"{norm}\" does not \
         give; use model.init.firing.type = \"explicit\", or model.norm.type = \"layer\" or \"rms\""
    )]
    FiringOfNorm {
        /// Kind of the norm.
        norm: &'static str,
    },
}
