//! Geometry: all of it is one affine map and one bilinear resampling.

use super::config::{AugmentConfig, CropConfig};
use super::{draw, spread};
use crate::data::pixels::Pixels;
use crate::picture::{Colours, Picture};
use burn_dragon_core::api::expert::Rng;

/// Affine map from places of the result to places of the picture.
///
/// The result is the square of -1/2 to 1/2 in both axes. Places of the picture are in pixels; the first pixel covers those
/// from 0 to 1. `[x, y]` of the picture is `columns * [u, v] + middle`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Map {
    /// Change of `[x, y]` along the width of the result.
    along_u: [f64; 2],
    /// Change of `[x, y]` along the height of the result.
    along_v: [f64; 2],
    /// `[x, y]` of the middle of the result.
    middle: [f64; 2],
}

/// Rectangle of a picture, pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crop {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Crop {
    /// All of a picture.
    pub(super) fn whole(picture: &Picture) -> Self {
        Self {
            left: 0.0,
            top: 0.0,
            width: picture.width() as f64,
            height: picture.height() as f64,
        }
    }

    /// A rectangle at random.
    pub(super) fn draw(picture: &Picture, config: &CropConfig, rng: &mut Rng) -> Self {
        let (height, width) = (picture.height() as f64, picture.width() as f64);
        let area = spread(rng, config.scale) * height * width;
        let aspect = spread(rng, config.aspect.map(f64::ln)).exp();
        let crop_width = (area * aspect).sqrt().min(width);
        let crop_height = (area / aspect).sqrt().min(height);
        Self {
            left: spread(rng, [0.0, width - crop_width]),
            top: spread(rng, [0.0, height - crop_height]),
            width: crop_width,
            height: crop_height,
        }
    }
}

impl Map {
    /// The map of a crop that is flipped, turned clockwise by an angle in radians, magnified, and moved by a share of the
    /// side.
    pub(super) fn new(crop: Crop, flip: bool, angle: f64, zoom: f64, [right, down]: [f64; 2]) -> Self {
        // A place p of the result shows the place turn(p - moved) / zoom of the crop, turned back.
        let (sin, cos) = angle.sin_cos();
        let back = |u: f64, v: f64| {
            let (x, y) = ((cos * u + sin * v) / zoom, (cos * v - sin * u) / zoom);
            [if flip { -x } else { x } * crop.width, y * crop.height]
        };
        let [from_x, from_y] = back(-right, -down);
        Self {
            along_u: back(1.0, 0.0),
            along_v: back(0.0, 1.0),
            middle: [
                crop.left + crop.width / 2.0 + from_x,
                crop.top + crop.height / 2.0 + from_y,
            ],
        }
    }

    /// The map that a configuration and a seed give.
    pub(super) fn draw(picture: &Picture, config: &AugmentConfig, seed: u64) -> Self {
        let crop = match &config.crop {
            Some(crop) => Crop::draw(picture, crop, &mut draw(seed, "crop")),
            None => Crop::whole(picture),
        };
        let flip = draw(seed, "flip").uniform() < config.flip;
        let both_ways = |rng: &mut Rng, most: f64| spread(rng, [-most, most]);
        let angle = both_ways(&mut draw(seed, "rotation"), config.rotation).to_radians();
        let zoom = config
            .zoom
            .map_or(1.0, |zoom| spread(&mut draw(seed, "zoom"), zoom));
        let mut rng = draw(seed, "translation");
        let moved = [0; 2].map(|_| both_ways(&mut rng, config.translation));
        Self::new(crop, flip, angle, zoom, moved)
    }

    /// Side of the square of samples of a pixel of the result: one where it covers up to two pixels of the picture, which
    /// bilinear sampling averages, and more where it covers more.
    fn samples(&self, size: usize) -> usize {
        let length = |[x, y]: [f64; 2]| x.hypot(y) / size as f64;
        let covered = length(self.along_u).max(length(self.along_v));
        // A crop of the whole must not become two by rounding.
        ((covered / 2.0 - 1e-6).ceil() as usize).max(1)
    }

    /// The picture through the map, `[size, size, C]`. A place outside of the picture is black; inside, but beyond the
    /// middle of the last pixel, it has the value of that.
    pub(super) fn resample(&self, picture: &Picture, size: usize) -> Pixels {
        let samples = self.samples(size);
        let numbers = match picture.colours() {
            Colours::Gray => self.sample::<1>(picture, size, samples),
            Colours::Rgb => self.sample::<3>(picture, size, samples),
        };
        Pixels::new(size, picture.colours(), numbers)
    }

    fn sample<const C: usize>(&self, picture: &Picture, size: usize, samples: usize) -> Vec<f32> {
        let (pixels, _) = picture.pixels().as_chunks::<C>();
        let (height, width) = (picture.height(), picture.width());
        let fine = size * samples;
        let weight = 1.0 / (255 * samples * samples) as f32;
        let step = self.along_u.map(|along| (along / fine as f64) as f32);
        let mut numbers = vec![0.0; size * size * C];
        let (result, _) = numbers.as_chunks_mut::<C>();
        for row in 0..fine {
            let v = (row as f64 + 0.5) / fine as f64 - 0.5;
            let u = 0.5 / fine as f64 - 0.5;
            let [x, y] = [0, 1]
                .map(|axis| (self.middle[axis] + self.along_u[axis] * u + self.along_v[axis] * v) as f32);
            for column in 0..fine {
                let at = [x + step[0] * column as f32, y + step[1] * column as f32];
                let sum = &mut result[row / samples * size + column / samples];
                add_bilinear(sum, pixels, [height, width], at, weight);
            }
        }
        numbers
    }
}

/// Adds the value at a place `[x, y]`, times a weight.
#[inline]
fn add_bilinear<const C: usize>(
    sum: &mut [f32; C],
    pixels: &[[u8; C]],
    [height, width]: [usize; 2],
    [x, y]: [f32; 2],
    weight: f32,
) {
    let is_inside = x >= 0.0 && y >= 0.0 && x < width as f32 && y < height as f32;
    if !is_inside {
        return;
    }
    // From here on a whole number is the middle of a pixel.
    let (x, y) = ((x - 0.5).max(0.0), (y - 0.5).max(0.0));
    let (left, top) = ((x as usize).min(width - 1), (y as usize).min(height - 1));
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (to_right, down) = (x - left as f32, y - top as f32);
    let corners = [
        (top * width + left, (1.0 - down) * (1.0 - to_right)),
        (top * width + right, (1.0 - down) * to_right),
        (bottom * width + left, down * (1.0 - to_right)),
        (bottom * width + right, down * to_right),
    ];
    for (place, share) in corners {
        let pixel = pixels[place];
        for channel in 0..C {
            sum[channel] += weight * share * f32::from(pixel[channel]);
        }
    }
}

#[cfg(test)]
#[path = "geometry_tests.rs"]
mod tests;
