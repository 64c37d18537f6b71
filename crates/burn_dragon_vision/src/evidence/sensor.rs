//! Sensor: what a small patch of a picture looks like.

use super::plane::{Place, brightness, place_of};
use crate::picture::Picture;
use std::f64::consts::PI;

/// Pixels from the centre of a patch to its border: patches are 5 x 5.
const REACH: isize = 2;

/// Smallest mean square of the gradient of a patch with an edge.
const LEAST_GRADIENT: f64 = 1e-3;

/// Smallest coherence of the gradient of a patch with an edge: 0 if it has no direction, 1 if it has one.
const LEAST_COHERENCE: f64 = 0.25;

/// Number of features.
pub(super) const FEATURES: usize = 2;

/// What was sensed at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensed {
    /// Angle of the edge in radians, from 0 to pi: edges have no direction. None where the patch has no clear edge.
    pub angle: Option<f64>,
    /// Mean and standard deviation of the brightness, 0 to 1. They do not change when the patch is turned.
    pub features: [f64; FEATURES],
}

/// A sensor on a picture. It rests on pixels that are at least half bright: the object.
#[derive(Clone, Debug)]
pub struct Sensor<'a> {
    picture: &'a Picture,
    /// Rows and columns of the pixels of the object.
    pixels: Vec<(usize, usize)>,
}

impl<'a> Sensor<'a> {
    /// A sensor on a picture of a bright object on a dark ground.
    pub fn new(picture: &'a Picture) -> Self {
        let all = (0..picture.height()).flat_map(|row| (0..picture.width()).map(move |column| (row, column)));
        let is_object =
            |&(row, column): &(usize, usize)| brightness(picture, row as isize, column as isize) >= 0.5;
        Self {
            picture,
            pixels: all.filter(is_object).collect(),
        }
    }

    /// Number of pixels of the object.
    pub fn pixels(&self) -> usize {
        self.pixels.len()
    }

    /// Place of a pixel of the object, by its number: `[x, y]` in pixels from the centre of the picture.
    pub fn place(&self, pixel: usize) -> [f64; 2] {
        let (row, column) = self.pixels[pixel];
        place_of(self.picture, row, column)
    }

    /// Places of the pixels of the object.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        (0..self.pixels.len()).map(|pixel| self.place(pixel))
    }

    /// What is sensed on a pixel of the object.
    ///
    /// The angle is that of the structure tensor `J`, the sum over the inner 3 x 3 pixels of the outer products of the gradient
    /// (Sobel): `1/2 atan2(2 J_xy, J_xx - J_yy)` is the direction of the gradient, and the edge is orthogonal to it.
    pub fn sense(&self, pixel: usize) -> Sensed {
        let (row, column) = self.pixels[pixel];
        let at = |down: isize, right: isize| {
            brightness(self.picture, row as isize + down, column as isize + right)
        };
        let patch = (-REACH..=REACH).flat_map(|down| (-REACH..=REACH).map(move |right| (down, right)));
        let values: Vec<f64> = patch.map(|(down, right)| at(down, right)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        Sensed {
            angle: edge_angle(at),
            features: [mean, variance.sqrt()],
        }
    }
}

fn edge_angle(at: impl Fn(isize, isize) -> f64) -> Option<f64> {
    let [mut xx, mut xy, mut yy] = [0.0; 3];
    for down in -1..=1 {
        for right in -1..=1 {
            let difference = |along: &dyn Fn(isize, isize) -> f64| -> f64 {
                [(-1, 1.0), (0, 2.0), (1, 1.0)]
                    .iter()
                    .map(|&(side, weight)| weight * (along(side, 1) - along(side, -1)))
                    .sum()
            };
            let x = difference(&|side, by| at(down + side, right + by)) / 8.0;
            let y = difference(&|side, by| at(down + by, right + side)) / 8.0;
            xx += x * x / 9.0;
            xy += x * y / 9.0;
            yy += y * y / 9.0;
        }
    }
    let coherence = (xx - yy).hypot(2.0 * xy) / (xx + yy);
    if xx + yy < LEAST_GRADIENT || coherence < LEAST_COHERENCE {
        return None;
    }
    let gradient = 0.5 * (2.0 * xy).atan2(xx - yy);
    Some((gradient + 0.5 * PI).rem_euclid(PI))
}
