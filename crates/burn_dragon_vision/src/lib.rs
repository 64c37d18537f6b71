//! Vision models of the Dragon Hatchling family: a picture is a grid of patches that read each other's memories.
//!
//! | what | where |
//! |---|---|
//! | pictures as numbers | [`api::Picture`] |

mod data;
mod encoder;
mod error;
mod evidence;
mod objective;
mod picture;
mod probe;

/// Main items of this crate.
pub mod api {
    pub use crate::encoder::{
        AtBorder, Backbone, BankDecay, BankLink, Cellular, CellularConfig, CellularSteps, Gains, HubGates,
        MemoryUse, ModeLinks, Modes, NearConfig, NearShape, Order, PyramidBackbone, PyramidConfig,
        PyramidSteps, Readout, Schedule, State, StepPass, Substep,
    };
    pub use crate::error::VisionError;
    pub use crate::picture::{Colours, Picture};
}
