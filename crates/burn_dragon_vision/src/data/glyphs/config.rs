//! Keys of `[dataset]` where `type = "embedded"`.

use crate::error::VisionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest angle by which a glyph is turned, degrees. A plus and a cross are 45 degrees apart: turned towards each other by
/// it, 15.
pub(crate) const MOST_DEGREES: f64 = 15.0;

/// Largest number of pieces of other glyphs.
const MOST_PIECES: usize = 64;

/// Pictures of glyphs, drawn by this crate: the keys of `[dataset]` where `type = "embedded"`.
///
/// A picture has one glyph of 16 classes, at a random place, of a random size and brightness, slightly turned. Behind it are
/// pieces of other glyphs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GlyphsConfig {
    /// Seed of the pictures. It belongs to the data: runs with different training seeds see the same pictures.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
    /// Number of training pictures.
    pub count: usize,
    /// Number of validation pictures.
    pub validation_count: usize,
    /// Diameter of a glyph, as a share of the side of the picture: smallest and largest, from 0.2 to 1.
    pub scale: [f64; 2],
    /// Largest angle by which a glyph is turned to either side, degrees, 0 to 15: no turned glyph looks like one of another
    /// class.
    pub rotation: f64,
    /// Number of pieces of other glyphs behind the glyph, 0 to 64.
    pub clutter: usize,
    /// Standard deviation of the noise of every number of the picture, as a share of full brightness, 0 to 1.
    pub noise: f64,
}

impl Default for GlyphsConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            count: 20_000,
            validation_count: 2_000,
            scale: [0.4, 0.75],
            rotation: 12.0,
            clutter: 4,
            noise: 0.05,
        }
    }
}

impl GlyphsConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        let refuse = |key, reason: String| Err(VisionError::Config { key, reason });
        counts(self.count, self.validation_count)?;
        let [least, most] = self.scale;
        if !(0.2 <= least && least <= most && most <= 1.0) {
            let reason = format!(
                "is {:?}; expected two numbers from 0.2 to 1, the smaller one first",
                self.scale
            );
            return refuse("dataset.scale", reason);
        }
        if !(0.0..=MOST_DEGREES).contains(&self.rotation) {
            let reason = format!("is {}; expected degrees from 0 to {MOST_DEGREES}", self.rotation);
            return refuse("dataset.rotation", reason);
        }
        if self.clutter > MOST_PIECES {
            let reason = format!("is {}; expected a number from 0 to {MOST_PIECES}", self.clutter);
            return refuse("dataset.clutter", reason);
        }
        share("dataset.noise", self.noise)
    }
}

/// Refuses a part without pictures.
pub(crate) fn counts(count: usize, validation_count: usize) -> Result<(), VisionError> {
    for (key, count) in [
        ("dataset.count", count),
        ("dataset.validation_count", validation_count),
    ] {
        if count == 0 {
            let reason = "is 0; expected at least 1".into();
            return Err(VisionError::Config { key, reason });
        }
    }
    Ok(())
}

/// Refuses a number that is not between 0 and 1.
pub(crate) fn share(key: &'static str, value: f64) -> Result<(), VisionError> {
    if !(0.0..=1.0).contains(&value) {
        let reason = format!("is {value}; expected a number from 0 to 1");
        return Err(VisionError::Config { key, reason });
    }
    Ok(())
}
