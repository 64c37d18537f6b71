//! Vision models of the Dragon Hatchling family: a picture is a grid of patches that read each other's memories.
//!
//! | what | where |
//! |---|---|
//! | pictures as numbers | [`api::Picture`] |
//! | the encoder | [`api::VisionEncoder`] |

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
        BackboneKind, DenseRead, GridPositions, Hidden, ModelConfig, Stem, StemKind, Summary, VisionEncoder,
        VisionPass,
    };
    pub use crate::error::VisionError;
    pub use crate::picture::{Colours, Picture};
}
