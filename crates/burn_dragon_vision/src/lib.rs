//! Vision models of the Dragon Hatchling family: a picture is a grid of patches that read each other's memories.
//!
//! | what | where |
//! |---|---|
//! | pictures as numbers | [`api::Picture`] |
//! | pictures and clips from a seed or from files, in two parts | [`api::DatasetConfig`], [`api::Data`] |
//! | augmented views of a picture | [`api::augment`], [`api::views`] |
//! | pictures in a terminal, as a PNG, as a contact sheet | [`api::half_blocks`], [`api::png`], [`api::sheet`] |

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
        AugmentConfig, BlurConfig, Cifar10Config, Clip, ClipPart, Clips, CropConfig, Data, DatasetConfig,
        Example, Fit, FolderConfig, GlyphsConfig, JitterConfig, MnistConfig, MotionConfig,
        MovingGlyphsConfig, MovingMnistConfig, Part, PictureShape, Pictures, Pixels, SolariseConfig,
        ViewsConfig, augment, half_blocks, luma, png, sheet, stack, views,
    };
    pub use crate::error::VisionError;
    pub use crate::picture::{Colours, Picture};
}
