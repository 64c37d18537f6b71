//! Errors of a model's configuration.

use crate::free_memory::MemoryError;
use crate::low_bit::{QuantError, RhoError};

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
    /// A decay is combined with a mixer that has its own.
    #[error(
        "model.decay is of the linear read, and model.mixer.type = \"{mixer}\" has a decay of its own; \
         leave model.decay out, or model.mixer"
    )]
    DecayWithMixer {
        /// The mixer.
        mixer: &'static str,
    },
    /// Another number of levels is asked of a model whose levels differ.
    #[error(
        "{levels} levels were asked for, but model.fanout gives each level of the model its own number of neurons; \
         leave the number of levels as it is"
    )]
    LevelsOfFanout {
        /// Number of levels asked for.
        levels: usize,
    },
    /// Levels with fewer neurons are combined with a mixer that has weights of its own for each neuron, or ignores neurons.
    #[error(
        "model.fanout gives levels different numbers of neurons, which model.mixer.type = \"{mixer}\" does not know; \
         leave model.fanout out, or model.mixer"
    )]
    FanoutWithMixer {
        /// The mixer.
        mixer: &'static str,
    },
    /// An auxiliary recurrence is combined with another read than the causal one.
    #[error(
        "model.{key} goes with the linear read of earlier tokens alone; leave it out, or use model.mixer.type = \"linear\" and \
         model.read = \"causal\""
    )]
    AuxiliaryWithoutLinearRead {
        /// The key.
        key: &'static str,
    },
    /// A neuron recurrence is combined with levels of fewer neurons.
    #[error(
        "model.neuron_recurrence carries an activity of all neurons, and model.fanout gives levels fewer; leave one of them out"
    )]
    RecurrenceWithFanout,
    /// A mixer whose queries do not turn is combined with positions that turn them.
    #[error(
        "model.mixer.type = \"{mixer}\" has no queries that turn with their positions, but model.positions is \"{positions}\"; \
         use model.positions = \"none\": the mixer knows the order of tokens by itself"
    )]
    MixerDoesNotTurn {
        /// The mixer.
        mixer: &'static str,
        /// The positions.
        positions: &'static str,
    },
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
    /// A table `[model.quant]` has no meaning.
    #[error(transparent)]
    Quant(#[from] QuantError),
    /// A table `[model.rho]` has no meaning.
    #[error(transparent)]
    Rho(#[from] RhoError),
}
