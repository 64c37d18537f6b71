//! Decoding of PNG and JPEG.
//!
//! | file | what becomes of it |
//! |---|---|
//! | 16 bits a channel | 8 bits, rounded |
//! | fewer bits, palettes | 8 bits a channel |
//! | transparency | laid over black |
//! | CMYK | RGB |
//! | animation | its default picture, which is the first frame or the one shown by programs without animation |
//! | orientation in the metadata (EXIF) | the pixels are turned |
//! | empty, truncated, corrupt, of another format, too many pixels | refused with the reason |
//!
//! The content decides on the format, whatever the name of the file. The number of pixels is read from the header, and a
//! picture with too many is refused before it is decoded.

use crate::error::VisionError;
use crate::picture::{Colours, Picture};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;
use std::path::Path;

/// Decodes a picture of at most `max_pixels` pixels.
///
/// # Errors
/// The reason, to be said after the name of the file.
pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, String> {
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        Ok(other) => return Err(format!("is {other:?}; expected PNG or JPEG")),
        Err(_) => return Err("is not a picture; expected PNG or JPEG".into()),
    };
    if format == ImageFormat::Jpeg && !has_end(bytes) {
        return Err("is truncated: no end of the image".into());
    }
    let corrupt = |error: image::ImageError| format!("cannot be decoded: {error}");
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(corrupt)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > max_pixels {
        return Err(format!(
            "has {width} x {height} = {pixels} pixels; expected at most {max_pixels} (dataset.max_pixels)"
        ));
    }
    if pixels == 0 {
        return Err("has no pixels".into());
    }
    let orientation = decoder.orientation().map_err(corrupt)?;
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(corrupt)?;
    decoded.apply_orientation(orientation);
    Ok(of(decoded))
}

/// Largest number of pixels of a picture that is given on the command line.
const MOST_PIXELS: u64 = 64 << 20;

/// Picture of a file.
///
/// # Errors
/// [`VisionError::Read`] if the file cannot be read, [`VisionError::Format`] if it is no picture.
pub(crate) fn read_picture(path: &Path) -> Result<Picture, VisionError> {
    let bytes = std::fs::read(path).map_err(|source| VisionError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    decode(&bytes, MOST_PIXELS).map_err(|reason| VisionError::Format {
        name: path.display().to_string(),
        reason,
    })
}

/// Picture of 8 bits a channel.
fn of(decoded: DynamicImage) -> Picture {
    let (height, width) = (decoded.height() as usize, decoded.width() as usize);
    let color = decoded.color();
    let colours = if color.has_color() {
        Colours::Rgb
    } else {
        Colours::Gray
    };
    let pixels = match (colours, color.has_alpha()) {
        (Colours::Gray, false) => decoded.into_luma8().into_raw(),
        (Colours::Rgb, false) => decoded.into_rgb8().into_raw(),
        (Colours::Gray, true) => over_black(&decoded.into_luma_alpha8(), 2),
        (Colours::Rgb, true) => over_black(&decoded.into_rgba8(), 4),
    };
    Picture::new(height, width, colours, pixels)
}

/// Colours over black, where the last of `channels` is the opacity.
fn over_black(pixels: &[u8], channels: usize) -> Vec<u8> {
    let over = |pixel: &[u8]| {
        let opacity = u32::from(pixel[channels - 1]);
        let colours = pixel[..channels - 1].iter();
        colours
            .map(|colour| ((u32::from(*colour) * opacity + 127) / 255) as u8)
            .collect::<Vec<u8>>()
    };
    pixels.chunks_exact(channels).flat_map(over).collect()
}

/// Whether a JPEG has its end-of-image marker. The decoder itself fills what is missing with gray.
///
/// Segments before the first scan say their length, so an end inside of a thumbnail is passed over. In a scan the byte FF is
/// always followed by a 0 or a marker.
fn has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let mut place = 2;
    while let Some([0xFF, marker, length @ ..]) = bytes.get(place..place + 4) {
        let (marker, length) = (*marker, usize::from(length[0]) * 256 + usize::from(length[1]));
        if marker == 0xFF {
            place += 1; // Bytes FF may fill the space before a marker.
            continue;
        }
        place += 2 + length;
        if marker == START_OF_SCAN {
            let scans = bytes.get(place..).unwrap_or_default();
            return scans.windows(2).any(|pair| pair == [0xFF, 0xD9]);
        }
    }
    false
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
