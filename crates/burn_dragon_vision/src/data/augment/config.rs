//! Tables `[augment]` and `[objective.views]`.

use crate::error::VisionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most views of a picture of one kind.
const MOST_VIEWS: usize = 32;

/// Table `[augment]`: random changes of training pictures. By default none.
///
/// A picture is cropped, flipped, turned, zoomed and moved in one resampling; then come jitter, gray, blur and
/// solarisation, in this order. What a picture gets is a function of the seed, the step and its place in the batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Table `[augment.crop]`: a random rectangle of the picture, resized to the whole. If absent, the whole picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<CropConfig>,
    /// Probability that left and right are exchanged.
    pub flip: f64,
    /// Largest angle by which the picture is turned to either side, degrees, 0 to 180.
    pub rotation: f64,
    /// Largest distance by which the picture is moved, down or up and right or left, as a share of its side, 0 to 1. What
    /// comes into sight is black.
    pub translation: f64,
    /// Smallest and largest factor by which the picture is magnified, from 0.1 to 10. If absent, it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoom: Option<[f64; 2]>,
    /// Table `[augment.jitter]`: random brightness, contrast and colours. If absent, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<JitterConfig>,
    /// Probability that a picture loses its colours.
    pub grayscale: f64,
    /// Table `[augment.blur]`: Gaussian blur. If absent, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur: Option<BlurConfig>,
    /// Table `[augment.solarise]`: inversion of what is bright. If absent, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solarise: Option<SolariseConfig>,
}

/// Table `[augment.crop]`: a random rectangle of the picture, resized to the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CropConfig {
    /// Area of the rectangle, as a share of that of the picture: smallest and largest, above 0 and up to 1.
    pub scale: [f64; 2],
    /// Ratio of width to height, drawn by its logarithm: smallest and largest, from 0.1 to 10. A side longer than the
    /// picture is cut.
    pub aspect: [f64; 2],
}

impl Default for CropConfig {
    fn default() -> Self {
        Self {
            scale: [0.3, 1.0],
            aspect: [0.75, 4.0 / 3.0],
        }
    }
}

/// Table `[augment.jitter]`: random brightness, contrast and colours.
///
/// All numbers stay between 0 and 1 after each of the four changes, which come in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JitterConfig {
    /// Probability of a change.
    pub probability: f64,
    /// Largest difference from 1 of the factor of all numbers, 0 to 1.
    pub brightness: f64,
    /// Largest difference from 1 of the factor of the distance from the mean brightness of the picture, 0 to 1.
    pub contrast: f64,
    /// Largest difference from 1 of the factor of the distance from the brightness of the pixel, 0 to 1.
    pub saturation: f64,
    /// Largest angle by which colours are turned about the gray axis to either side, as a share of a turn, 0 to 0.5. A
    /// third of a turn takes red to green.
    pub hue: f64,
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self {
            probability: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.2,
            hue: 0.1,
        }
    }
}

/// Table `[augment.blur]`: Gaussian blur.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BlurConfig {
    /// Probability of blur.
    pub probability: f64,
    /// Standard deviation, as a share of the side of the picture: smallest and largest, from 0 to 0.25.
    pub sigma: [f64; 2],
}

impl Default for BlurConfig {
    fn default() -> Self {
        Self {
            probability: 0.5,
            sigma: [0.005, 0.04],
        }
    }
}

/// Table `[augment.solarise]`: numbers from a threshold on are inverted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SolariseConfig {
    /// Probability of solarisation.
    pub probability: f64,
    /// Number from which on `x` becomes `1 - x`, 0 to 1.
    pub threshold: f64,
}

impl Default for SolariseConfig {
    fn default() -> Self {
        Self {
            probability: 0.2,
            threshold: 0.5,
        }
    }
}

impl AugmentConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        within("augment.flip", self.flip, [0.0, 1.0])?;
        within("augment.rotation", self.rotation, [0.0, 180.0])?;
        within("augment.translation", self.translation, [0.0, 1.0])?;
        within("augment.grayscale", self.grayscale, [0.0, 1.0])?;
        if let Some(zoom) = self.zoom {
            ordered("augment.zoom", zoom, [0.1, 10.0])?;
        }
        if let Some(CropConfig { scale, aspect }) = self.crop {
            ordered("augment.crop.scale", scale, [SMALLEST_SHARE, 1.0])?;
            ordered("augment.crop.aspect", aspect, [0.1, 10.0])?;
        }
        if let Some(jitter) = &self.jitter {
            within("augment.jitter.probability", jitter.probability, [0.0, 1.0])?;
            within("augment.jitter.brightness", jitter.brightness, [0.0, 1.0])?;
            within("augment.jitter.contrast", jitter.contrast, [0.0, 1.0])?;
            within("augment.jitter.saturation", jitter.saturation, [0.0, 1.0])?;
            within("augment.jitter.hue", jitter.hue, [0.0, 0.5])?;
        }
        if let Some(blur) = &self.blur {
            within("augment.blur.probability", blur.probability, [0.0, 1.0])?;
            ordered("augment.blur.sigma", blur.sigma, [0.0, 0.25])?;
        }
        if let Some(solarise) = &self.solarise {
            within("augment.solarise.probability", solarise.probability, [0.0, 1.0])?;
            within("augment.solarise.threshold", solarise.threshold, [0.0, 1.0])?;
        }
        Ok(())
    }
}

/// Table `[objective.views]`: views of a picture, for objectives that compare them.
///
/// A view is a random crop, augmented on its own. All views have the size of the model's pictures: what is smaller in a local
/// view is the part of the picture that it shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ViewsConfig {
    /// Number of global views, 1 to 32.
    pub global: usize,
    /// Number of local views, 0 to 32.
    pub local: usize,
    /// Area of a global view, as a share of that of the picture: smallest and largest, above 0 and up to 1.
    pub global_scale: [f64; 2],
    /// Area of a local view, as a share of that of the picture: smallest and largest, above 0 and up to 1.
    pub local_scale: [f64; 2],
}

impl Default for ViewsConfig {
    fn default() -> Self {
        Self {
            global: 2,
            local: 0,
            global_scale: [0.3, 1.0],
            local_scale: [0.05, 0.3],
        }
    }
}

impl ViewsConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        let number = |key, value, [least, most]: [usize; 2]| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            let reason = format!("is {value}; expected a number from {least} to {most}");
            Err(VisionError::Config { key, reason })
        };
        number("objective.views.global", self.global, [1, MOST_VIEWS])?;
        number("objective.views.local", self.local, [0, MOST_VIEWS])?;
        ordered(
            "objective.views.global_scale",
            self.global_scale,
            [SMALLEST_SHARE, 1.0],
        )?;
        ordered(
            "objective.views.local_scale",
            self.local_scale,
            [SMALLEST_SHARE, 1.0],
        )
    }

    /// Number of views of a picture (V).
    pub fn count(&self) -> usize {
        self.global + self.local
    }
}

/// Smallest share of the area of a picture.
const SMALLEST_SHARE: f64 = 0.001;

fn within(key: &'static str, value: f64, [least, most]: [f64; 2]) -> Result<(), VisionError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let reason = format!("is {value}; expected a number from {least} to {most}");
    Err(VisionError::Config { key, reason })
}

fn ordered(key: &'static str, pair: [f64; 2], [least, most]: [f64; 2]) -> Result<(), VisionError> {
    if least <= pair[0] && pair[0] <= pair[1] && pair[1] <= most {
        return Ok(());
    }
    let reason = format!("is {pair:?}; expected two numbers from {least} to {most}, the smaller one first");
    Err(VisionError::Config { key, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_changed_by_default() {
        let config: AugmentConfig = toml::from_str("").unwrap();
        assert_eq!(config, AugmentConfig::default());
        config.validate().unwrap();
        let written = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<AugmentConfig>(&written).unwrap(), config);
    }

    #[test]
    fn a_setting_out_of_range_is_refused_by_its_key() {
        for (text, key) in [
            ("flip = 1.1", "augment.flip is 1.1"),
            ("rotation = -1.0", "augment.rotation is -1"),
            ("translation = nan", "augment.translation is NaN"),
            ("grayscale = 2.0", "augment.grayscale is 2"),
            ("zoom = [0.0, 1.0]", "augment.zoom is [0.0, 1.0]"),
            ("[crop]\nscale = [0.5, 0.1]", "augment.crop.scale is [0.5, 0.1]"),
            (
                "[crop]\naspect = [0.5, 11.0]",
                "augment.crop.aspect is [0.5, 11.0]",
            ),
            (
                "[jitter]\nprobability = -0.1",
                "augment.jitter.probability is -0.1",
            ),
            ("[jitter]\nbrightness = 1.5", "augment.jitter.brightness is 1.5"),
            ("[jitter]\ncontrast = 1.5", "augment.jitter.contrast is 1.5"),
            ("[jitter]\nsaturation = 1.5", "augment.jitter.saturation is 1.5"),
            ("[jitter]\nhue = 0.6", "augment.jitter.hue is 0.6"),
            ("[blur]\nprobability = 9.0", "augment.blur.probability is 9"),
            ("[blur]\nsigma = [0.1, 0.5]", "augment.blur.sigma is [0.1, 0.5]"),
            (
                "[solarise]\nprobability = 9.0",
                "augment.solarise.probability is 9",
            ),
            ("[solarise]\nthreshold = -1.0", "augment.solarise.threshold is -1"),
        ] {
            let config: AugmentConfig = toml::from_str(text).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
        for (text, key) in [
            ("global = 0", "objective.views.global is 0"),
            ("local = 33", "objective.views.local is 33"),
            (
                "global_scale = [0.0, 1.0]",
                "objective.views.global_scale is [0.0, 1.0]",
            ),
            (
                "local_scale = [0.3, 0.1]",
                "objective.views.local_scale is [0.3, 0.1]",
            ),
        ] {
            let config: ViewsConfig = toml::from_str(text).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
        ViewsConfig::default().validate().unwrap();
    }
}
