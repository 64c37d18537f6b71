//! The Dragon Hatchling model (BDH-GPU): configuration, levels, carried state, cost.
//!
//! ```text
//! v = norm(embed[token])
//! L times, with the same weights:
//!     x = relu(v decoder_x)                          activity of the neurons
//!     a = norm(sum over s < t of (q_t . q_s) v_s)    read from memory, q = rotate(x)
//!     y = relu(a decoder_y) * x                      activity driven by memory, gated by x
//!     v = norm(v + norm(dropout(y) encoder))
//! logits = v lm_head
//! ```
//!
//! The definition is that of the official release (arXiv:2509.26507, appendix E). Three entry points compute one
//! function: [`forward`](api::Dragon::forward) reads a window at once,
//! [`forward_with_state`](api::Dragon::forward_with_state) carries a [`DragonState`](api::DragonState), and
//! [`Decoder`](api::Decoder) reads one token at a time, for generation.
//!
//! The part between embedding and readout is a [`Trunk`](api::Trunk), which other families share. Its
//! [configuration](api::TrunkConfig) sets the kinds of its parts: [`Positions`](api::Positions), [`Read`](api::Read) with its
//! [`Mixer`](api::Mixer), [`Connector`](api::Connector) and [`NormConfig`](api::NormConfig). The file of each explains how to
//! add another kind.
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_dragon_core::api::{Dragon, DragonConfig, DragonState};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let config = DragonConfig { n_neurons: 256, ..DragonConfig::tiny() };
//! let dragon = Dragon::new(&config, 1337, &device)?;
//! let tokens = Tensor::<2, Int>::from_data([[72, 105, 33]], &device);
//! let logits = dragon.forward(tokens.clone()); // [1, 3, 256]
//! let (same, _state) = dragon.forward_with_state(tokens, DragonState::new(&config, 1, &device))?;
//! assert_eq!(logits.dims(), same.dims());
//! # Ok(())
//! # }
//! ```

mod auxiliary;
mod backend;
mod config;
mod connector;
mod cost;
mod decoder;
mod density;
mod dragon;
mod fanout;
mod free_memory;
mod initial;
mod level;
mod loss;
mod low_bit;
mod mixer;
mod norm;
mod parameters;
mod pass;
mod positions;
mod range;
mod read;
mod rotations;
mod seed;
mod shapes;
mod state;
mod structured;
mod synthetic;
mod thresholds;
mod tracking;
mod trunk;
mod whole;

/// Curated names of this crate.
pub mod api {
    pub use crate::auxiliary::{NeuronRecurrence, SummaryMemory};
    pub use crate::backend::{Backend, BackendError, SelectedBackend};
    pub use crate::config::{ConfigError, DecayConfig, DragonConfig, TrunkConfig};
    pub use crate::connector::{Connector, ConnectorWeights, HyperCoefficients, HyperConfig};
    pub use crate::cost::Cost;
    pub use crate::decoder::{Decoder, DecoderError, Exit, InferencePrecision};
    pub use crate::density::{Density, DensityProbe};
    pub use crate::dragon::Dragon;
    pub use crate::fanout::Fanout;
    pub use crate::free_memory::{FreeMemory, MemoryError, Need, Size};
    pub use crate::initial::{
        Firing, FiringShares, Gains, InitConfig, InitKind, LogNormal, Modular, Residual, Thresholds, Topology,
    };
    pub use crate::loss::{cross_entropy, token_losses};
    pub use crate::low_bit::{QuantConfig, RhoConfig, RhoProbe};
    pub use crate::mixer::{
        GatedDeltaConfig, Mamba1Config, Mamba2Config, Mamba3Config, Mixer, MixerWeights, Rwkv8Config,
    };
    pub use crate::norm::{NormConfig, NormKind, NormWeights};
    pub use crate::pass::Pass;
    pub use crate::positions::{Magnitude, PhaseStart, PopeConfig, Positions};
    pub use crate::read::Read;
    pub use crate::shapes::{MemoryShape, TensorShape};
    pub use crate::state::{DragonState, StateError};
    pub use crate::trunk::Trunk;
    pub use burn_dragon_kernel::api::{
        Ahead, Credit, Draw, Drawn, Kernels, MemoryPrecision, Precision, Resets,
    };

    /// Low-bit models: the keys of `[model.quant]` and `[model.rho]`, and what they mean.
    pub mod low_bit {
        pub use crate::low_bit::{
            ActFormat, ActGrouping, InferenceMode, LowBit, Protocol, QuantConfig, QuantError, RhoCompression,
            RhoConfig, RhoError, RhoInterval, RhoPrecision, SavedActivations, SavedFormat, SavedMode, Target,
            TrainingMode, WeightFormat, WeightGrouping,
        };
        pub use burn_dragon_kernel::api::low_bit::{LowBitMatrix, Packing, ScaleGroups};
    }

    /// Structured state: memories with a shape, in banks, and the routes between them.
    pub mod structured {
        pub use crate::structured::{
            Access, Bank, BankShape, Places, PyramidReads, PyramidRouting, PyramidTokens, Route, Routing,
            RoutingError, StepMode, StoredBanks, StructuredError, StructuredState, Via,
        };
        pub use burn_dragon_kernel::api::{
            Border, Decay, Grid, Link, Links, NeighbourShape, Neighbourhood, OfTokens, PyramidDecay,
            PyramidQueries, WriteOrder,
        };
    }

    /// Parts of a model, for those who build on it.
    pub mod expert {
        /// Whole numbers up to 2^64 - 1, for `#[serde(with = "...")]`.
        pub mod whole {
            pub use crate::whole::{deserialize, serialize};
        }

        pub use crate::density::{Activity, ActivityProbe, Watch};
        pub use crate::initial::{ParameterBuilder, initial};
        pub use crate::level::{Contribution, Level, Seen, View};
        pub use crate::low_bit::Quantisers;
        pub use crate::norm::Norm;
        pub use crate::parameters::{ParameterPath, load, named, named_shapes, snapshot};
        pub use crate::positions::Keys;
        pub use crate::range::Range;
        pub use crate::read::Reader;
        pub use crate::seed::{Rng, derive};
        pub use crate::synthetic::{activity, of_density};
        pub use burn_dragon_kernel::api::expert::draw_reference;
        pub use burn_dragon_kernel::api::norm;
    }
}
