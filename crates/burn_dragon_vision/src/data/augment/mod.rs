//! Random views of a picture.
//!
//! A view is a function of the picture, the configuration and a seed, which is derived from the seed of the run, the step
//! and the place in the batch. Each change has draws of its own: to add one leaves the draws of the others as they were.

mod blur;
mod colour;
mod config;
mod geometry;
#[cfg(test)]
mod tests;

pub use self::config::{AugmentConfig, BlurConfig, CropConfig, JitterConfig, SolariseConfig, ViewsConfig};

use self::blur::blur;
use self::colour::{Jitter, grayscale, solarise};
use self::geometry::Map;
use super::pixels::Pixels;
use crate::picture::Picture;
use burn_dragon_core::api::expert::{Rng, derive};

/// A picture as a configuration and a seed change it.
///
/// The picture may be larger or smaller than `size`.
///
/// # Shapes
/// - picture: `[height, width, C]`
/// - result: `[size, size, C]`
///
/// # Panics
/// If the picture is empty, or `size` is 0.
pub fn augment(picture: &Picture, config: &AugmentConfig, size: usize, seed: u64) -> Pixels {
    let (height, width) = (picture.height(), picture.width());
    assert!(
        height > 0 && width > 0 && size > 0,
        "a picture of {height} x {width} in {size} x {size}: expected at least one pixel in both"
    );
    let mut pixels = Map::draw(picture, config, seed).resample(picture, size);
    if let Some(jitter) = config
        .jitter
        .as_ref()
        .and_then(|jitter| Jitter::draw(jitter, seed))
    {
        jitter.apply(&mut pixels);
    }
    if draw(seed, "grayscale").uniform() < config.grayscale {
        grayscale(&mut pixels);
    }
    if let Some(config) = &config.blur {
        let mut rng = draw(seed, "blur");
        if rng.uniform() < config.probability {
            blur(&mut pixels, (spread(&mut rng, config.sigma) * size as f64) as f32);
        }
    }
    if let Some(config) = &config.solarise
        && draw(seed, "solarise").uniform() < config.probability
    {
        solarise(&mut pixels, config);
    }
    pixels
}

/// Views of a picture, the global ones first, for a model that reads pictures of `size`.
///
/// A view is augmented as [`augment`] says, with a crop of the area of its kind; the aspect of the crop is that of
/// `config.crop`, or its default.
///
/// # Shapes
/// - each view: `[size, size, C]`
///
/// # Panics
/// As [`augment`].
pub fn views(
    picture: &Picture,
    config: &AugmentConfig,
    views: &ViewsConfig,
    size: usize,
    seed: u64,
) -> Vec<Pixels> {
    let of = |scale| AugmentConfig {
        crop: Some(CropConfig {
            scale,
            ..config.crop.clone().unwrap_or_default()
        }),
        ..config.clone()
    };
    let (global, local) = (of(views.global_scale), of(views.local_scale));
    let all = (0..views.global + views.local).map(|index| {
        let seed = derive(seed, "view", 0, index as u64);
        let kind = if index < views.global { &global } else { &local };
        augment(picture, kind, size, seed)
    });
    all.collect()
}

/// Draws of one change of a picture.
fn draw(seed: u64, change: &str) -> Rng {
    Rng::new(derive(seed, change, 0, 0))
}

/// Number between two others, at random.
fn spread(rng: &mut Rng, [least, most]: [f64; 2]) -> f64 {
    least + (most - least) * rng.uniform()
}
