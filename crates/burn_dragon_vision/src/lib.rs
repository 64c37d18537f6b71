//! Vision models of the Dragon Hatchling family: a picture is a grid of patches that read each other's memories.
//!
//! | what | where |
//! |---|---|
//! | pictures as numbers | [`api::Picture`] |
//! | pictures and clips from a seed or from files, in two parts | [`api::DatasetConfig`], [`api::Data`] |

mod data;
mod encoder;
mod error;
mod evidence;
mod objective;
mod picture;
mod probe;

/// Main items of this crate.
pub mod api {
    pub use crate::data::{
        Cifar10Config, Clip, ClipPart, Clips, Data, DatasetConfig, Example, Fit, FolderConfig, GlyphsConfig,
        MnistConfig, MotionConfig, MovingGlyphsConfig, MovingMnistConfig, Part, PictureShape, Pictures, luma,
    };
    pub use crate::error::VisionError;
    pub use crate::picture::{Colours, Picture};
}
