//! A picture as lines of text.

use crate::data::shape::luma;
use crate::picture::{Colours, Picture};
use std::fmt::Write;

/// Characters from black to white, for terminals without colours.
const SHADES: &[u8; 10] = b" .:-=+*#%@";

/// A picture for a terminal, two rows of pixels in a line of text, as characters are about twice as high as wide.
///
/// With colours, a character is the upper half block in the colour of the upper pixel, on a background in that of the lower
/// one (24 bits, ANSI); a missing last row is left in the colour of the terminal. Without, it is one of ten characters by
/// the mean brightness of both pixels.
pub fn half_blocks(picture: &Picture, colour: bool) -> String {
    let mut text = String::new();
    for row in (0..picture.height()).step_by(2) {
        for column in 0..picture.width() {
            let upper = pixel(picture, row, column);
            let lower = (row + 1 < picture.height()).then(|| pixel(picture, row + 1, column));
            if colour {
                block(&mut text, upper, lower);
            } else {
                text.push(shade(upper, lower));
            }
        }
        text += if colour { "\x1b[0m\n" } else { "\n" };
    }
    text
}

fn pixel(picture: &Picture, row: usize, column: usize) -> [u8; 3] {
    let place = row * picture.width() + column;
    match picture.colours() {
        Colours::Gray => [picture.pixels()[place]; 3],
        Colours::Rgb => [0, 1, 2].map(|channel| picture.pixels()[place * 3 + channel]),
    }
}

fn block(text: &mut String, [red, green, blue]: [u8; 3], lower: Option<[u8; 3]>) {
    let ground = match lower {
        Some([red, green, blue]) => format!("48;2;{red};{green};{blue}"),
        None => "49".into(),
    };
    // Writing to a text cannot fail.
    let _ = write!(text, "\x1b[38;2;{red};{green};{blue};{ground}m\u{2580}");
}

fn shade(upper: [u8; 3], lower: Option<[u8; 3]>) -> char {
    let (upper, lower) = (
        usize::from(luma(upper)),
        lower.map_or(0, |lower| usize::from(luma(lower))),
    );
    let rank = (upper + lower) * (SHADES.len() - 1) / (2 * 255);
    char::from(SHADES[rank])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_share_a_line() {
        let picture = Picture::new(3, 2, Colours::Rgb, (0..18).map(|i| i * 10).collect());
        let text = half_blocks(&picture, true);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            "\x1b[38;2;0;10;20;48;2;60;70;80m\u{2580}\x1b[38;2;30;40;50;48;2;90;100;110m\u{2580}\x1b[0m"
        );
        assert_eq!(
            lines[1],
            "\x1b[38;2;120;130;140;49m\u{2580}\x1b[38;2;150;160;170;49m\u{2580}\x1b[0m"
        );
    }

    #[test]
    fn without_colours_there_are_ten_shades_and_no_escapes() {
        let picture = Picture::new(2, 3, Colours::Gray, vec![0, 255, 255, 0, 255, 0]);
        assert_eq!(half_blocks(&picture, false), " @=\n");
    }
}
