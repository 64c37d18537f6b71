//! A contact sheet: several pictures in one.

use crate::picture::{Colours, Picture};

/// Rows and columns between two pictures, and around them.
const GAP: usize = 1;

/// Brightness of the gap.
const GROUND: u8 = 96;

/// Pictures in rows of `columns`, from left to right and from top to bottom, with a gap of a gray pixel around each.
///
/// All cells have the size of the largest picture; a smaller one stands in the upper left corner of its cell. The sheet has
/// colours if one of the pictures has.
///
/// # Panics
/// If there is no picture, or `columns` is 0.
pub fn sheet(pictures: &[Picture], columns: usize) -> Picture {
    assert!(
        !pictures.is_empty() && columns > 0,
        "a sheet of {} pictures in {columns} columns: expected at least one of both",
        pictures.len()
    );
    let columns = columns.min(pictures.len());
    let most = |side: fn(&Picture) -> usize| pictures.iter().map(side).max().unwrap_or(0) + GAP;
    let (cell_height, cell_width) = (most(Picture::height), most(Picture::width));
    let has_colours = pictures.iter().any(|picture| picture.colours() == Colours::Rgb);
    let colours = if has_colours { Colours::Rgb } else { Colours::Gray };
    let (height, width) = (
        pictures.len().div_ceil(columns) * cell_height + GAP,
        columns * cell_width + GAP,
    );
    let ground = vec![GROUND; height * width * colours.channels()];
    let mut sheet = Picture::new(height, width, colours, ground);
    for (index, picture) in pictures.iter().enumerate() {
        let (top, left) = (
            index / columns * cell_height + GAP,
            index % columns * cell_width + GAP,
        );
        let channels = picture.colours().channels();
        for (place, pixel) in picture.pixels().chunks_exact(channels).enumerate() {
            let (row, column) = (place / picture.width(), place % picture.width());
            let cell = sheet.pixel_mut(top + row, left + column);
            // Gray in a sheet with colours: the same number in each channel.
            cell.iter_mut()
                .zip(pixel.iter().cycle())
                .for_each(|(number, value)| *number = *value);
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_rows_with_a_gap() {
        let of = |value| Picture::new(1, 2, Colours::Gray, vec![value, value + 1]);
        let given = sheet(&[of(1), of(3), of(5)], 2);
        assert_eq!((given.height(), given.width()), (5, 7));
        let g = GROUND;
        let expected = [
            [g, g, g, g, g, g, g],
            [g, 1, 2, g, 3, 4, g],
            [g, g, g, g, g, g, g],
            [g, 5, 6, g, g, g, g],
            [g, g, g, g, g, g, g],
        ];
        assert_eq!(given.pixels(), expected.concat());
    }

    #[test]
    fn one_picture_with_colours_gives_them_to_the_sheet() {
        let gray = Picture::new(1, 1, Colours::Gray, vec![7]);
        let rgb = Picture::new(1, 1, Colours::Rgb, vec![1, 2, 3]);
        let given = sheet(&[gray, rgb], 9);
        assert_eq!((given.width(), given.colours()), (5, Colours::Rgb));
        let middle = &given.pixels()[5 * 3..10 * 3];
        let g = GROUND;
        assert_eq!(middle, [g, g, g, 7, 7, 7, g, g, g, 1, 2, 3, g, g, g]);
    }
}
