//! Clips of moving objects, drawn from a seed when they are asked for.

mod config;
mod path;
mod sprite;
#[cfg(test)]
mod tests;

pub use self::config::{MotionConfig, MovingGlyphsConfig, MovingMnistConfig};

use self::path::bounce;
use self::sprite::Sprite;
use super::glyphs::{Canvas, GLYPHS, Stamp, between, colour, glyph_names};
use super::idx::{Digits, digit_names};
use super::part::hexadecimal;
use super::shape::PictureShape;
use crate::error::VisionError;
use crate::picture::{Colours, Picture};
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_train::api::{DataHash, DataHashes};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::f64::consts::TAU;
use std::fmt;

/// Brightness of the first and of the second object. They differ, so that the label can be seen.
const BRIGHTNESS: [[f64; 2]; 2] = [[0.8, 1.0], [0.45, 0.65]];

/// Largest angle by which a glyph is turned, degrees.
const DEGREES: f64 = 10.0;

/// Coverage from which a pixel belongs to an object.
const FOREGROUND: f32 = 0.5;

/// Number of clips that are hashed, in each part.
const HASHED: usize = 16;

/// Clips of a run.
#[derive(Debug)]
pub struct Clips {
    /// Training part.
    pub train: ClipPart,
    /// Validation part: other clips, and other digits of MNIST.
    pub validation: ClipPart,
    /// Names of the classes.
    pub classes: Vec<String>,
}

impl Clips {
    /// Hashes of both parts. A resumed run compares them with those of its checkpoint.
    pub fn hashes(&self) -> DataHashes {
        DataHashes {
            training: self.train.hash(),
            validation: self.validation.hash(),
        }
    }
}

/// A clip, with what is true of it.
///
/// T frames, O objects. Points are (y, x) in pixels; the first pixel covers those from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Frames, `[T]`.
    pub frames: Vec<Picture>,
    /// Class of the first object, which is the brightest.
    pub label: u32,
    /// Class of every object, `[O]`.
    pub classes: Vec<u32>,
    /// Middle of every object in every frame, `[T, O]`.
    pub centres: Vec<Vec<[f32; 2]>>,
    /// Whether a pixel belongs to an object, `[T, size * size]`.
    pub masks: Vec<Vec<bool>>,
}

/// Clips of one part. A clip is a function of the seed and its index, and is drawn when it is asked for.
pub struct ClipPart {
    shape: PictureShape,
    motion: MotionConfig,
    seed: u64,
    /// Name of the part, of which the draws depend.
    purpose: &'static str,
    len: usize,
    /// Digits that are shown, or glyphs.
    digits: Option<Digits>,
}

impl fmt::Debug for ClipPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClipPart({} of {}, {:?})", self.len, self.purpose, self.shape)
    }
}

/// An object of a clip.
struct Object {
    class: u32,
    sprite: Sprite,
    colour: [f32; 3],
    /// Middle at the start and velocity in pixels per frame, for y and x.
    start: [f64; 2],
    velocity: [f64; 2],
    /// Distance from its middle to the border of the picture where it bounces, pixels.
    margin: f64,
}

impl Object {
    /// Middle in a frame.
    fn middle(&self, frame: usize, size: usize) -> [f32; 2] {
        let length = size as f64 - 2.0 * self.margin;
        [0, 1].map(|axis| {
            let free = bounce(self.start[axis], self.velocity[axis], frame as f64, length);
            (free + self.margin) as f32
        })
    }
}

impl ClipPart {
    /// Number of clips.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no clip.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Shape of every frame.
    pub fn shape(&self) -> PictureShape {
        self.shape
    }

    /// Number of frames of every clip (T).
    pub fn frames(&self) -> usize {
        self.motion.frames
    }

    /// A clip.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn get(&self, index: usize) -> Clip {
        assert!(
            index < self.len,
            "clip {index} of a part of {}: there is none",
            self.len
        );
        let mut rng = Rng::new(derive(self.seed, self.purpose, 0, index as u64));
        let objects = BRIGHTNESS.iter().take(self.motion.objects);
        let objects: Vec<Object> = objects
            .map(|brightness| self.object(&mut rng, *brightness))
            .collect();
        let mut clip = Clip {
            frames: Vec::with_capacity(self.motion.frames),
            label: objects[0].class,
            classes: objects.iter().map(|object| object.class).collect(),
            centres: Vec::with_capacity(self.motion.frames),
            masks: Vec::with_capacity(self.motion.frames),
        };
        for frame in 0..self.motion.frames {
            let (picture, mask) = self.draw(&objects, frame, &mut rng);
            clip.frames.push(picture);
            clip.masks.push(mask);
            let centres = objects.iter().map(|object| object.middle(frame, self.shape.size));
            clip.centres.push(centres.collect());
        }
        clip
    }

    /// Clips in the order of `indices`, drawn on all threads.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    pub fn batch(&self, indices: &[usize]) -> Vec<Clip> {
        indices.par_iter().map(|index| self.get(*index)).collect()
    }

    /// An object at random, of a range of brightness.
    fn object(&self, rng: &mut Rng, brightness: [f64; 2]) -> Object {
        let size = self.shape.size as f64;
        let side = self.motion.scale * size;
        let (class, sprite) = match &self.digits {
            None => {
                let class = rng.below(GLYPHS.len());
                let degrees = between(rng, [-DEGREES, DEGREES]);
                let stamp = Stamp {
                    form: GLYPHS[class].1,
                    middle: [0.0, 0.0],
                    radius: side as f32 / 2.0,
                    turn: Stamp::turn(degrees),
                };
                (class as u32, Sprite::Glyph(stamp))
            }
            Some(digits) => {
                let index = rng.below(digits.labels.len());
                let sprite = Sprite::digit(&digits.picture(index), side);
                (u32::from(digits.labels[index]), sprite)
            }
        };
        let brightness = between(rng, brightness) as f32;
        let colour = match self.shape.colours {
            Colours::Gray => [brightness; 3],
            Colours::Rgb => colour(rng, brightness),
        };
        let (direction, speed) = (TAU * rng.uniform(), size * between(rng, self.motion.speed));
        Object {
            class,
            sprite,
            colour,
            start: [0; 2].map(|_| rng.uniform() * (size - side)),
            velocity: [speed * direction.sin(), speed * direction.cos()],
            margin: side / 2.0,
        }
    }

    /// A frame and its foreground.
    fn draw(&self, objects: &[Object], frame: usize, rng: &mut Rng) -> (Picture, Vec<bool>) {
        let PictureShape { size, colours } = self.shape;
        let mut canvas = Canvas::new(size, colours, [0.0; 3]);
        let mut mask = vec![false; size * size];
        for object in objects {
            let middle = object.middle(frame, size);
            object.sprite.draw(middle, size, |row, column, coverage| {
                canvas.lighten(row, column, object.colour.map(|colour| colour * coverage));
                mask[row * size + column] |= coverage >= FOREGROUND;
            });
        }
        (canvas.finish(self.motion.noise, rng), mask)
    }

    /// Hash of the settings, the digits and the first clips: all clips follow from the first two, and from this code.
    fn hash(&self) -> DataHash {
        let mut sha256 = Sha256::new();
        sha256.update(format!(
            "{:?} {} {} {:?}",
            self.motion, self.seed, self.purpose, self.shape
        ));
        if let Some(digits) = &self.digits {
            sha256.update(&digits.pixels);
            sha256.update(&digits.labels);
        }
        for index in 0..self.len.min(HASHED) {
            let clip = self.get(index);
            sha256.update(clip.label.to_le_bytes());
            clip.frames.iter().for_each(|frame| sha256.update(frame.pixels()));
        }
        let frames = self.len.saturating_mul(self.motion.frames);
        DataHash {
            sha256: hexadecimal(sha256),
            sizes: [
                ("frames".to_string(), frames as u64),
                ("clips".to_string(), self.len as u64),
            ]
            .into(),
        }
    }
}

impl MovingGlyphsConfig {
    /// Clips of a shape.
    pub(super) fn load(&self, shape: PictureShape) -> Clips {
        let part = |purpose, len| ClipPart {
            shape,
            motion: self.motion.clone(),
            seed: self.seed,
            purpose,
            len,
            digits: None,
        };
        Clips {
            train: part("moving glyphs, training", self.count),
            validation: part("moving glyphs, validation", self.validation_count),
            classes: glyph_names(),
        }
    }
}

impl MovingMnistConfig {
    /// Reads the digits.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what its name says.
    pub(super) fn load(&self, shape: PictureShape) -> Result<Clips, VisionError> {
        let part = |purpose, len, name| {
            Ok::<_, VisionError>(ClipPart {
                shape,
                motion: self.motion.clone(),
                seed: self.seed,
                purpose,
                len,
                digits: Some(Digits::read(&self.path, name)?),
            })
        };
        Ok(Clips {
            train: part("moving digits, training", self.count, "train")?,
            validation: part("moving digits, validation", self.validation_count, "t10k")?,
            classes: digit_names(),
        })
    }
}
