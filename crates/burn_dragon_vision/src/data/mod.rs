//! Pictures and clips from a seed or from files, their augmented views, and what a person sees of them.
//!
//! [`DatasetConfig::load`] gives two parts, training and validation, of pictures in the shape that the model reads.

mod augment;
mod cifar;
mod config;
mod decode;
mod files;
mod glyphs;
mod idx;
mod moving;
mod part;
mod pixels;
#[cfg(test)]
mod real_tests;
mod shape;
mod show;

pub use self::augment::{
    AugmentConfig, BlurConfig, CropConfig, JitterConfig, SolariseConfig, ViewsConfig, augment, views,
};
pub use self::cifar::Cifar10Config;
pub use self::config::{Data, DatasetConfig};
pub(crate) use self::decode::read_picture;
pub use self::files::FolderConfig;
pub use self::glyphs::GlyphsConfig;
pub use self::idx::MnistConfig;
pub use self::moving::{Clip, ClipPart, Clips, MotionConfig, MovingGlyphsConfig, MovingMnistConfig};
pub use self::part::{Example, Part, Pictures};
pub use self::pixels::{Pixels, stack};
pub use self::shape::{Fit, PictureShape, luma};
pub use self::show::{half_blocks, png, sheet};
