//! Shape of the pictures that a model reads, and the rule by which any picture gets it.

use crate::picture::{Colours, Picture};
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Pixel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shape of the pictures that a model reads: squares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureShape {
    /// Rows, and columns.
    pub size: usize,
    /// Colours.
    pub colours: Colours,
}

impl PictureShape {
    /// Numbers of a picture: `size * size * C`.
    pub fn numbers(&self) -> usize {
        self.size * self.size * self.colours.channels()
    }
}

/// How a picture of another size becomes a square of the model's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The largest square in the middle is cut out and resized.
    Crop,
    /// A picture that is no larger stands unchanged in the middle of zeros. A larger one is cropped as with `"crop"`.
    Pad,
}

impl Fit {
    /// A picture in another shape.
    ///
    /// Rows and columns left over in the middle are odd where the difference of the sizes is: then the bottom and the right
    /// have one more. Resizing uses a triangle filter, as wide as a pixel of the smaller of both pictures. Gray becomes RGB
    /// by three equal channels, RGB gray by [`luma`].
    ///
    /// # Panics
    /// If the picture is empty, or the size is 0.
    pub fn apply(self, picture: &Picture, shape: PictureShape) -> Picture {
        let (height, width) = (picture.height(), picture.width());
        assert!(
            height > 0 && width > 0 && shape.size > 0,
            "a picture of {height} x {width} in {} x {0}: expected at least one pixel in both",
            shape.size
        );
        let fits = height <= shape.size && width <= shape.size;
        let square = if height == shape.size && width == shape.size {
            picture.clone()
        } else if self == Self::Pad && fits {
            padded(picture, shape.size)
        } else {
            resized(&cropped(picture, height.min(width)), shape.size)
        };
        recoloured(square, shape.colours)
    }
}

/// Brightness of a colour: 0.2126 R + 0.7152 G + 0.0722 B (Rec. 709), rounded.
pub fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 2126 * u32::from(red) + 7152 * u32::from(green) + 722 * u32::from(blue);
    ((sum + 5000) / 10_000) as u8
}

/// The picture in the middle of zeros.
fn padded(picture: &Picture, size: usize) -> Picture {
    let (height, width) = (picture.height(), picture.width());
    let (top, left) = ((size - height) / 2, (size - width) / 2);
    let mut square = Picture::black(size, size, picture.colours());
    let channels = picture.colours().channels();
    let pixels = picture.pixels().chunks_exact(channels);
    for (place, pixel) in pixels.enumerate() {
        let (row, column) = (top + place / width, left + place % width);
        square.pixel_mut(row, column).copy_from_slice(pixel);
    }
    square
}

/// The square in the middle.
fn cropped(picture: &Picture, side: usize) -> Picture {
    let channels = picture.colours().channels();
    let (top, left) = ((picture.height() - side) / 2, (picture.width() - side) / 2);
    let rows = picture.pixels().chunks_exact(picture.width() * channels);
    let pixels = rows
        .skip(top)
        .take(side)
        .flat_map(|row| &row[left * channels..(left + side) * channels])
        .copied()
        .collect();
    Picture::new(side, side, picture.colours(), pixels)
}

/// A square of another size.
fn resized(square: &Picture, size: usize) -> Picture {
    if square.height() == size {
        return square.clone();
    }
    let pixels = match square.colours() {
        Colours::Gray => resized_pixels::<image::Luma<u8>>(square, size),
        Colours::Rgb => resized_pixels::<image::Rgb<u8>>(square, size),
    };
    Picture::new(size, size, square.colours(), pixels)
}

fn resized_pixels<P: Pixel<Subpixel = u8> + 'static>(square: &Picture, size: usize) -> Vec<u8> {
    // Sizes above 2^32 do not fit into memory; a buffer of another length is empty, and resizes to zeros.
    let (side, size) = (square.height() as u32, size as u32);
    let pixels = square.pixels().to_vec();
    let buffer = ImageBuffer::<P, Vec<u8>>::from_raw(side, side, pixels).unwrap_or_default();
    resize(&buffer, size, size, FilterType::Triangle).into_raw()
}

fn recoloured(picture: Picture, colours: Colours) -> Picture {
    let pixels = match (picture.colours(), colours) {
        (Colours::Gray, Colours::Rgb) => picture.pixels().iter().flat_map(|gray| [*gray; 3]).collect(),
        (Colours::Rgb, Colours::Gray) => {
            let pixels = picture.pixels().chunks_exact(3);
            pixels.map(|pixel| luma([pixel[0], pixel[1], pixel[2]])).collect()
        }
        _ => return picture,
    };
    Picture::new(picture.height(), picture.width(), colours, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(height: usize, width: usize, of: impl Fn(usize, usize) -> u8) -> Picture {
        let pixels = (0..height * width).map(|place| of(place / width, place % width));
        Picture::new(height, width, Colours::Gray, pixels.collect())
    }

    const fn shape(size: usize, colours: Colours) -> PictureShape {
        PictureShape { size, colours }
    }

    #[test]
    fn a_smaller_picture_stands_unchanged_in_the_middle_of_zeros() {
        let picture = gray(2, 3, |row, column| (10 * row + column + 1) as u8);
        let fitted = Fit::Pad.apply(&picture, shape(5, Colours::Gray));
        let expected = [
            [0, 0, 0, 0, 0],
            [0, 1, 2, 3, 0],
            [0, 11, 12, 13, 0],
            [0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0],
        ];
        assert_eq!(fitted.pixels(), expected.concat());
    }

    #[test]
    fn a_larger_picture_loses_its_ends_and_keeps_its_middle() {
        // Columns 1 to 4 of 6 are kept; means of 2 x 2 pixels would be 1.5 and 3.5 without the width of the filter.
        let picture = gray(4, 6, |_, column| 40 * column as u8);
        for fit in [Fit::Crop, Fit::Pad] {
            let same = fit.apply(&picture, shape(4, Colours::Gray));
            assert_eq!(&same.pixels()[..4], [40, 80, 120, 160]);
            let half = fit.apply(&picture, shape(2, Colours::Gray));
            // Weights 3/8, 3/8, 1/8 of the triangle over the pixels at hand: (3 * 40 + 3 * 80 + 120) / 7, and its mirror
            // image.
            assert_eq!(half.pixels(), [69, 131, 69, 131]);
        }
    }

    #[test]
    fn a_constant_picture_stays_constant_at_any_size() {
        for (height, width, size) in [(1, 9, 4), (7, 5, 3), (3, 4, 8), (64, 1, 2)] {
            let picture = Picture::new(height, width, Colours::Rgb, [9, 90, 200].repeat(height * width));
            let fitted = Fit::Crop.apply(&picture, shape(size, Colours::Rgb));
            assert_eq!(fitted.pixels(), [9, 90, 200].repeat(size * size));
        }
    }

    #[test]
    fn gray_and_colours_map_by_brightness() {
        let picture = Picture::new(1, 4, Colours::Rgb, vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 7, 7, 7]);
        let gray: Vec<u8> = picture
            .pixels()
            .chunks(3)
            .map(|p| luma([p[0], p[1], p[2]]))
            .collect();
        assert_eq!(gray, [54, 182, 18, 7]);
        let back = Fit::Pad.apply(
            &Picture::new(1, 1, Colours::Gray, vec![5]),
            shape(1, Colours::Rgb),
        );
        assert_eq!(back.pixels(), [5, 5, 5]);
        let one = Fit::Crop.apply(&picture, shape(4, Colours::Gray));
        assert_eq!((one.height(), one.colours()), (4, Colours::Gray));
    }
}
