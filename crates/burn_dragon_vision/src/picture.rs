//! Pictures as numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Colours of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Colours {
    /// One channel: brightness.
    #[default]
    Gray,
    /// Three channels: red, green, blue.
    Rgb,
}

impl Colours {
    /// Number of channels (C).
    pub fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
        }
    }
}

/// A picture of 8 bits a channel, row by row, channels last.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    height: usize,
    width: usize,
    colours: Colours,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture of given pixels, `[height, width, C]`.
    ///
    /// # Panics
    /// If their number is not that of the sizes.
    pub fn new(height: usize, width: usize, colours: Colours, pixels: Vec<u8>) -> Self {
        let expected = height * width * colours.channels();
        assert!(
            pixels.len() == expected,
            "a picture of {height} x {width}: {} numbers, expected {expected}",
            pixels.len()
        );
        Self {
            height,
            width,
            colours,
            pixels,
        }
    }

    /// A picture of zeros: black.
    pub fn black(height: usize, width: usize, colours: Colours) -> Self {
        Self::new(
            height,
            width,
            colours,
            vec![0; height * width * colours.channels()],
        )
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Colours.
    pub fn colours(&self) -> Colours {
        self.colours
    }

    /// Pixels, `[height, width, C]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Channels of a pixel, to be changed.
    pub fn pixel_mut(&mut self, row: usize, column: usize) -> &mut [u8] {
        let channels = self.colours.channels();
        let start = (row * self.width + column) * channels;
        &mut self.pixels[start..start + channels]
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            height,
            width,
            colours,
            ..
        } = self;
        write!(f, "Picture({height} x {width}, {colours:?})")
    }
}
