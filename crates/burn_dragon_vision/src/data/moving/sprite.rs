//! Objects of clips: glyphs, and small pictures, at places between pixels.

use crate::data::glyphs::Stamp;
use crate::data::shape::{Fit, PictureShape};
use crate::picture::{Colours, Picture};

/// An object that can be drawn at any place.
pub(super) enum Sprite {
    /// A glyph; its middle is that of the moment.
    Glyph(Stamp),
    /// Brightness, a square picture in gray.
    Digit(Picture),
}

impl Sprite {
    /// A digit, in a square of a side in pixels.
    pub(super) fn digit(picture: &Picture, side: f64) -> Self {
        let shape = PictureShape {
            size: (side.round() as usize).max(1),
            colours: Colours::Gray,
        };
        Self::Digit(Fit::Crop.apply(picture, shape))
    }

    /// Calls `cover` with row, column and coverage, 0 to 1, of each pixel of a picture that the object touches when its
    /// middle is at (y, x).
    pub(super) fn draw(&self, middle: [f32; 2], size: usize, mut cover: impl FnMut(usize, usize, f32)) {
        match self {
            Self::Glyph(stamp) => {
                let stamp = Stamp { middle, ..*stamp };
                let [rows, columns] = stamp.bounds(size);
                for row in rows {
                    columns
                        .clone()
                        .for_each(|column| cover(row, column, stamp.coverage(row, column)));
                }
            }
            Self::Digit(picture) => {
                let side = picture.height() as f32;
                let [top, left] = middle.map(|middle| middle - side / 2.0);
                let within = |from: f32| {
                    let end = (from + side + 1.0).max(0.0) as usize;
                    ((from - 1.0).max(0.0) as usize).min(size)..end.min(size)
                };
                for row in within(top) {
                    for column in within(left) {
                        let value = between_pixels(picture, row as f32 - top, column as f32 - left);
                        cover(row, column, value / 255.0);
                    }
                }
            }
        }
    }
}

/// Value of a picture in gray between its pixels, where pixel (0, 0) is at (0, 0); zeros around it.
fn between_pixels(picture: &Picture, y: f32, x: f32) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - top, x - left);
    let at = |row: f32, column: f32| {
        let (row, column) = (row as isize, column as isize);
        let (height, width) = (picture.height() as isize, picture.width() as isize);
        let is_inside = (0..height).contains(&row) && (0..width).contains(&column);
        if is_inside {
            f32::from(picture.pixels()[(row * width + column) as usize])
        } else {
            0.0
        }
    };
    let upper = at(top, left) * (1.0 - right) + at(top, left + 1.0) * right;
    let lower = at(top + 1.0, left) * (1.0 - right) + at(top + 1.0, left + 1.0) * right;
    upper * (1.0 - down) + lower * down
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::glyphs::GLYPHS;

    /// Sum of the coverage, and its centre (y, x).
    fn moments(sprite: &Sprite, middle: [f32; 2]) -> (f32, [f32; 2]) {
        let (mut mass, mut centre) = (0.0, [0.0, 0.0]);
        sprite.draw(middle, 32, |row, column, coverage| {
            mass += coverage;
            centre[0] += coverage * (row as f32 + 0.5);
            centre[1] += coverage * (column as f32 + 0.5);
        });
        (mass, centre.map(|sum| sum / mass))
    }

    #[test]
    fn an_object_moves_by_parts_of_a_pixel_and_keeps_its_mass() {
        // Of one brightness, so that its centre is its middle.
        let square = Picture::new(28, 28, Colours::Gray, vec![200; 28 * 28]);
        let stamp = Stamp {
            form: GLYPHS[0].1,
            middle: [0.0, 0.0],
            radius: 6.0,
            turn: Stamp::turn(17.0),
        };
        for sprite in [Sprite::digit(&square, 12.0), Sprite::Glyph(stamp)] {
            let (mass, _) = moments(&sprite, [16.0, 16.0]);
            for middle in [[16.0, 16.0], [12.3, 17.75], [9.9, 20.01]] {
                let (moved, centre) = moments(&sprite, middle);
                assert!((moved / mass - 1.0).abs() < 0.01, "{moved} {mass}");
                for (given, expected) in centre.iter().zip(middle) {
                    assert!((given - expected).abs() < 0.02, "{centre:?} {middle:?}");
                }
            }
        }
    }

    #[test]
    fn an_object_beyond_the_border_is_cut_off() {
        let square = Picture::new(4, 4, Colours::Gray, vec![255; 16]);
        let sprite = Sprite::digit(&square, 4.0);
        let mut covered = 0.0;
        sprite.draw([0.0, 31.0], 32, |row, column, coverage| {
            assert!(row < 32 && column < 32);
            covered += coverage;
        });
        assert_eq!(covered, 2.0 * 3.0);
    }
}
