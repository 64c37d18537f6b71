//! Pictures for people: in a terminal, as a PNG, and several in one.

mod sheet;
mod terminal;

pub use self::sheet::sheet;
pub use self::terminal::half_blocks;

use crate::error::VisionError;
use crate::picture::{Colours, Picture};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// Bytes of a PNG file with a picture.
///
/// # Errors
/// [`VisionError::Format`] for a picture without pixels, or of more than 2^32 rows or columns.
pub fn png(picture: &Picture) -> Result<Vec<u8>, VisionError> {
    let (height, width) = (picture.height(), picture.width());
    let refuse = |reason: String| VisionError::Format {
        name: format!("a picture of {height} x {width}"),
        reason: format!("cannot be written as PNG: {reason}"),
    };
    let side = |side: usize| match u32::try_from(side) {
        Ok(side @ 1..) => Ok(side),
        _ => Err(refuse(format!("expected sides of 1 to {} pixels", u32::MAX))),
    };
    let colours = match picture.colours() {
        Colours::Gray => ExtendedColorType::L8,
        Colours::Rgb => ExtendedColorType::Rgb8,
    };
    let mut bytes = Vec::new();
    let written =
        PngEncoder::new(&mut bytes).write_image(picture.pixels(), side(width)?, side(height)?, colours);
    written.map_err(|error| refuse(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::decode::decode;

    #[test]
    fn a_png_holds_the_picture() {
        for colours in [Colours::Gray, Colours::Rgb] {
            let pixels = (0..3 * 5 * colours.channels()).map(|i| (i * 37) as u8).collect();
            let picture = Picture::new(3, 5, colours, pixels);
            assert_eq!(decode(&png(&picture).unwrap(), 15).unwrap(), picture);
        }
        let error = png(&Picture::black(0, 4, Colours::Gray)).unwrap_err().to_string();
        assert!(error.contains("a picture of 0 x 4: cannot be written"), "{error}");
    }
}
