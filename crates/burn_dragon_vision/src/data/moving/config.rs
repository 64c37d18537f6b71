//! Keys of `[dataset]` where `type = "moving_glyphs"` or `"moving_mnist"`.

use crate::data::glyphs::{counts, share};
use crate::error::VisionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Most frames of a clip.
const MOST_FRAMES: usize = 1024;

/// Clips of moving glyphs, drawn by this crate: the keys of `[dataset]` where `type = "moving_glyphs"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MovingGlyphsConfig {
    /// Seed of the clips. It belongs to the data: runs with different training seeds see the same clips.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
    /// Number of training clips.
    pub count: usize,
    /// Number of validation clips.
    pub validation_count: usize,
    /// Table `[dataset.motion]`: objects and their motion.
    pub motion: MotionConfig,
}

impl Default for MovingGlyphsConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            count: 10_000,
            validation_count: 1_000,
            motion: MotionConfig::default(),
        }
    }
}

/// Clips of moving digits of MNIST: the keys of `[dataset]` where `type = "moving_mnist"`.
///
/// Training clips show digits of the training part, validation clips those of the test part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MovingMnistConfig {
    /// Folder with the four files of MNIST, as with `type = "mnist"`.
    pub path: PathBuf,
    /// Seed of the clips. It belongs to the data: runs with different training seeds see the same clips.
    #[serde(default, with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64", extend("default" = 0))]
    pub seed: u64,
    /// Number of training clips.
    #[serde(default = "count")]
    pub count: usize,
    /// Number of validation clips.
    #[serde(default = "validation_count")]
    pub validation_count: usize,
    /// Table `[dataset.motion]`: objects and their motion.
    #[serde(default)]
    pub motion: MotionConfig,
}

fn count() -> usize {
    MovingGlyphsConfig::default().count
}

fn validation_count() -> usize {
    MovingGlyphsConfig::default().validation_count
}

/// Table `[dataset.motion]`: objects of a clip, and their motion.
///
/// An object moves with constant velocity and bounces off the border. Where objects overlap, the brighter one is seen. The
/// label of a clip is the class of its first object, which is the brightest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MotionConfig {
    /// Number of frames of a clip, 1 to 1024.
    pub frames: usize,
    /// Number of objects, 1 or 2.
    pub objects: usize,
    /// Side of the square in which an object lies, as a share of the side of the picture, 0.2 to 0.9.
    pub scale: f64,
    /// Speed, as a share of the side of the picture in each frame: smallest and largest, from 0 to 0.5.
    pub speed: [f64; 2],
    /// Standard deviation of the noise of every number of a frame, as a share of full brightness, 0 to 1.
    pub noise: f64,
}

impl Default for MotionConfig {
    fn default() -> Self {
        Self {
            frames: 8,
            objects: 1,
            scale: 0.45,
            speed: [0.03, 0.09],
            noise: 0.0,
        }
    }
}

impl MotionConfig {
    /// Checks the values, and the numbers of clips.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub(crate) fn validate(&self, count: usize, validation_count: usize) -> Result<(), VisionError> {
        let refuse = |key, reason: String| Err(VisionError::Config { key, reason });
        counts(count, validation_count)?;
        if !(1..=MOST_FRAMES).contains(&self.frames) {
            let reason = format!("is {}; expected a number from 1 to {MOST_FRAMES}", self.frames);
            return refuse("dataset.motion.frames", reason);
        }
        if !(1..=2).contains(&self.objects) {
            return refuse(
                "dataset.motion.objects",
                format!("is {}; expected 1 or 2", self.objects),
            );
        }
        if !(0.2..=0.9).contains(&self.scale) {
            let reason = format!("is {}; expected a share from 0.2 to 0.9", self.scale);
            return refuse("dataset.motion.scale", reason);
        }
        let [least, most] = self.speed;
        if !(0.0 <= least && least <= most && most <= 0.5) {
            let reason = format!(
                "is {:?}; expected two numbers from 0 to 0.5, the smaller one first",
                self.speed
            );
            return refuse("dataset.motion.speed", reason);
        }
        share("dataset.motion.noise", self.noise)
    }
}
