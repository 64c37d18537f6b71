//! Drawing: glyphs and small pictures laid over a background, with soft edges.

use super::shapes::Form;
use crate::picture::{Colours, Picture};
use burn_dragon_core::api::expert::Rng;

/// A picture that is drawn. Numbers are brightnesses, 0 to 1 before noise.
///
/// Points are (y, x) in pixels; the first pixel covers those from 0 to 1.
pub(crate) struct Canvas {
    size: usize,
    colours: Colours,
    /// `[size, size, C]`.
    numbers: Vec<f32>,
}

/// Brightness of each channel of a colour; gray pictures use the first one.
pub(crate) type Colour = [f32; 3];

/// A glyph at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Form of the glyph.
    pub(crate) form: Form,
    /// Middle, (y, x).
    pub(crate) middle: [f32; 2],
    /// Radius of the disc in which it lies, pixels.
    pub(crate) radius: f32,
    /// Sine and cosine of the angle by which it is turned clockwise.
    pub(crate) turn: [f32; 2],
}

impl Stamp {
    /// Sine and cosine of an angle in degrees.
    pub(crate) fn turn(degrees: f64) -> [f32; 2] {
        let (sin, cos) = degrees.to_radians().sin_cos();
        [sin as f32, cos as f32]
    }

    /// Rows and columns of a picture that it can touch.
    pub(crate) fn bounds(&self, size: usize) -> [std::ops::Range<usize>; 2] {
        // One pixel more for the soft edge.
        self.middle.map(|middle| {
            let first = (middle - self.radius - 1.0).max(0.0) as usize;
            let end = (middle + self.radius + 2.0).max(0.0) as usize;
            first.min(size)..end.min(size)
        })
    }

    /// Share of a pixel that it covers, 0 to 1: half where the edge passes through the middle of the pixel.
    pub(crate) fn coverage(&self, row: usize, column: usize) -> f32 {
        let [middle_y, middle_x] = self.middle;
        let (y, x) = (row as f32 + 0.5 - middle_y, column as f32 + 0.5 - middle_x);
        let [sin, cos] = self.turn;
        let (turned_x, turned_y) = (cos * x + sin * y, cos * y - sin * x);
        let distance = self.form.distance(turned_x / self.radius, turned_y / self.radius) * self.radius;
        (0.5 - distance).clamp(0.0, 1.0)
    }
}

impl Canvas {
    /// A picture of one colour.
    pub(crate) fn new(size: usize, colours: Colours, background: Colour) -> Self {
        let pixel = &background[..colours.channels()];
        Self {
            size,
            colours,
            numbers: pixel.repeat(size * size),
        }
    }

    /// Lays a colour over a pixel that it covers in part.
    pub(crate) fn cover(&mut self, row: usize, column: usize, coverage: f32, colour: Colour) {
        let channels = self.colours.channels();
        let start = (row * self.size + column) * channels;
        let pixel = &mut self.numbers[start..start + channels];
        for (number, colour) in pixel.iter_mut().zip(colour) {
            *number += coverage * (colour - *number);
        }
    }

    /// Raises a pixel to a colour, where it is darker.
    pub(crate) fn lighten(&mut self, row: usize, column: usize, colour: Colour) {
        let channels = self.colours.channels();
        let start = (row * self.size + column) * channels;
        let pixel = &mut self.numbers[start..start + channels];
        for (number, colour) in pixel.iter_mut().zip(colour) {
            *number = number.max(colour);
        }
    }

    /// Draws a glyph; with a piece, only as much of it as lies in the disc of a middle and a radius.
    pub(crate) fn stamp(&mut self, stamp: &Stamp, colour: Colour, piece: Option<([f32; 2], f32)>) {
        let [rows, columns] = stamp.bounds(self.size);
        for row in rows {
            for column in columns.clone() {
                let within = piece.map_or(1.0, |([y, x], radius)| {
                    let distance = (row as f32 + 0.5 - y).hypot(column as f32 + 0.5 - x);
                    (0.5 + radius - distance).clamp(0.0, 1.0)
                });
                if within > 0.0 {
                    self.cover(row, column, within.min(stamp.coverage(row, column)), colour);
                }
            }
        }
    }

    /// The picture, with normal noise of a standard deviation.
    pub(crate) fn finish(self, noise: f64, rng: &mut Rng) -> Picture {
        let Self {
            size,
            colours,
            numbers,
        } = self;
        let pixel = |number: f32| {
            let noise = if noise > 0.0 { noise * rng.normal() } else { 0.0 };
            ((f64::from(number) + noise).clamp(0.0, 1.0) * 255.0).round() as u8
        };
        Picture::new(size, size, colours, numbers.into_iter().map(pixel).collect())
    }
}

/// Number between two others, at random.
pub(crate) fn between(rng: &mut Rng, [least, most]: [f64; 2]) -> f64 {
    least + (most - least) * rng.uniform()
}

/// A colour at random: a hue of its own for each channel, the strongest one at a brightness.
pub(crate) fn colour(rng: &mut Rng, brightness: f32) -> Colour {
    let draws = [0; 3].map(|_| 0.25 + 0.75 * rng.uniform() as f32);
    let most = draws.iter().copied().fold(0.0, f32::max);
    draws.map(|draw| draw / most * brightness)
}
