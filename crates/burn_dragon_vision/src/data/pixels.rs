//! Pictures as numbers that a model reads.

use crate::picture::{Colours, Picture};

/// A square picture as numbers from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    size: usize,
    colours: Colours,
    numbers: Vec<f32>,
}

impl Pixels {
    /// Numbers of a picture, `[size, size, C]`.
    ///
    /// # Panics
    /// If their number is not that of the size.
    pub fn new(size: usize, colours: Colours, numbers: Vec<f32>) -> Self {
        let expected = size * size * colours.channels();
        assert!(
            numbers.len() == expected,
            "a picture of {size} x {size}: {} numbers, expected {expected}",
            numbers.len()
        );
        Self {
            size,
            colours,
            numbers,
        }
    }

    /// Rows, and columns.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Colours.
    pub fn colours(&self) -> Colours {
        self.colours
    }

    /// Numbers, `[size, size, C]`.
    pub fn numbers(&self) -> &[f32] {
        &self.numbers
    }

    /// Numbers, to be changed.
    pub(crate) fn numbers_mut(&mut self) -> &mut [f32] {
        &mut self.numbers
    }

    /// The picture of 8 bits that is nearest.
    pub fn to_picture(&self) -> Picture {
        let bytes = self
            .numbers
            .iter()
            .map(|number| (number.clamp(0.0, 1.0) * 255.0).round() as u8);
        Picture::new(self.size, self.size, self.colours, bytes.collect())
    }
}

impl From<&Picture> for Pixels {
    /// Numbers of a square picture, unchanged.
    ///
    /// # Panics
    /// If the picture is no square.
    fn from(picture: &Picture) -> Self {
        let (height, width) = (picture.height(), picture.width());
        assert!(
            height == width,
            "a picture of {height} x {width}, expected a square"
        );
        let numbers = picture.pixels().iter().map(|byte| f32::from(*byte) / 255.0);
        Self::new(height, picture.colours(), numbers.collect())
    }
}

/// Numbers of pictures one after the other, `[B, size, size, C]`.
///
/// # Panics
/// If they differ in size or colours.
pub fn stack(pictures: &[Pixels]) -> Vec<f32> {
    let mut all = Vec::with_capacity(pictures.iter().map(|pixels| pixels.numbers.len()).sum());
    for pixels in pictures {
        let (first, shape) = (&pictures[0], (pixels.size, pixels.colours));
        assert!(
            shape == (first.size, first.colours),
            "a batch with pictures of {:?} and {shape:?}, expected one shape",
            (first.size, first.colours)
        );
        all.extend_from_slice(&pixels.numbers);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_numbers_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let picture = Picture::new(16, 16, Colours::Gray, bytes);
        let pixels = Pixels::from(&picture);
        assert_eq!((pixels.numbers()[0], pixels.numbers()[255]), (0.0, 1.0));
        assert_eq!(pixels.to_picture(), picture);
        assert_eq!(stack(&[pixels.clone(), pixels.clone()])[256..], *pixels.numbers());
    }

    #[test]
    #[should_panic(expected = "expected one shape")]
    fn a_batch_is_of_one_shape() {
        let of = |size| Pixels::new(size, Colours::Gray, vec![0.0; size * size]);
        stack(&[of(2), of(3)]);
    }
}
