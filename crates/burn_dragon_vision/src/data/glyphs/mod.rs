//! Glyphs drawn from a seed: the data of the default run.

mod canvas;
mod config;
mod shapes;
#[cfg(test)]
mod tests;

pub(super) use self::canvas::{Canvas, Stamp, between, colour};
pub use self::config::GlyphsConfig;
pub(super) use self::config::{counts, share};
pub(super) use self::shapes::GLYPHS;

use super::part::{Part, PartBuilder, Pictures};
use super::shape::PictureShape;
use crate::error::VisionError;
use crate::picture::{Colours, Picture};
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_core::api::{FreeMemory, Need};
use rayon::prelude::*;

/// Brightness of backgrounds, of pieces and of glyphs.
const BACKGROUND: [f64; 2] = [0.0, 0.3];
const PIECE: [f64; 2] = [0.45, 1.0];
const GLYPH: [f64; 2] = [0.6, 1.0];

/// Radius of a piece, as a share of the radius of the glyph that it is cut from.
const PIECE_RADIUS: [f64; 2] = [0.35, 0.6];

/// Number of pictures that are drawn at once, before they are hashed in order.
const AT_ONCE: usize = 1024;

/// Names of the classes.
pub(super) fn glyph_names() -> Vec<String> {
    GLYPHS.iter().map(|(name, _)| (*name).to_string()).collect()
}

impl GlyphsConfig {
    /// Draws the pictures.
    ///
    /// # Errors
    /// If there is too little memory.
    pub(super) fn load(&self, shape: PictureShape) -> Result<Pictures, VisionError> {
        let bytes = self
            .count
            .saturating_add(self.validation_count)
            .saturating_mul(shape.numbers());
        let need = Need::of("the pictures of the dataset").with("pictures", bytes as u64);
        FreeMemory::room_for(&need, || "use a smaller dataset.count".into())?;
        Ok(Pictures {
            train: self.part("glyphs, training", self.count, shape),
            validation: self.part("glyphs, validation", self.validation_count, shape),
            classes: glyph_names(),
            notes: Vec::new(),
        })
    }

    fn part(&self, purpose: &str, count: usize, shape: PictureShape) -> Part {
        let mut part = PartBuilder::new(shape, usize::MAX);
        for first in (0..count).step_by(AT_ONCE) {
            let some = first..count.min(first + AT_ONCE);
            let drawn: Vec<_> = some
                .into_par_iter()
                .map(|index| self.draw(derive(self.seed, purpose, 0, index as u64), shape))
                .collect();
            for (picture, class) in drawn {
                part.push(&picture, Some(class));
            }
        }
        part.finish(None)
    }

    /// A picture with its class.
    fn draw(&self, seed: u64, shape: PictureShape) -> (Picture, u32) {
        let PictureShape { size, colours } = shape;
        let mut rng = Rng::new(seed);
        let class = rng.below(GLYPHS.len());
        let mut canvas = Canvas::new(size, colours, tint(&mut rng, BACKGROUND, colours));
        for _ in 0..self.clutter {
            self.draw_piece(&mut canvas, &mut rng, class, shape);
        }
        let stamp = self.place(&mut rng, class, size);
        let glyph = tint(&mut rng, GLYPH, colours);
        canvas.stamp(&stamp, glyph, None);
        (canvas.finish(self.noise, &mut rng), class as u32)
    }

    /// Draws a piece of a glyph of another class.
    fn draw_piece(&self, canvas: &mut Canvas, rng: &mut Rng, class: usize, shape: PictureShape) {
        let other = (class + 1 + rng.below(GLYPHS.len() - 1)) % GLYPHS.len();
        let stamp = self.place(rng, other, shape.size);
        let radius = stamp.radius * between(rng, PIECE_RADIUS) as f32;
        let (sin, cos) = (rng.uniform() as f32 * std::f32::consts::TAU).sin_cos();
        let [y, x] = stamp.middle;
        let middle = [y + 0.6 * stamp.radius * sin, x + 0.6 * stamp.radius * cos];
        canvas.stamp(&stamp, tint(rng, PIECE, shape.colours), Some((middle, radius)));
    }

    /// A glyph of a class, of random size and angle, at a random place where all of it is in the picture.
    fn place(&self, rng: &mut Rng, class: usize, size: usize) -> Stamp {
        let size = size as f64;
        let radius = between(rng, self.scale) * size / 2.0;
        let middle = [0; 2].map(|_| between(rng, [radius, size - radius]) as f32);
        let degrees = between(rng, [-self.rotation, self.rotation]);
        Stamp {
            form: GLYPHS[class].1,
            middle,
            radius: radius as f32,
            turn: Stamp::turn(degrees),
        }
    }
}

/// A colour of random brightness and, in pictures with colours, random hue.
fn tint(rng: &mut Rng, brightness: [f64; 2], colours: Colours) -> [f32; 3] {
    let brightness = between(rng, brightness) as f32;
    match colours {
        Colours::Gray => [brightness; 3],
        Colours::Rgb => colour(rng, brightness),
    }
}
