//! Points, angles and pictures in the plane. Places are `[x, y]` in pixels from the centre of a picture, x to the right, y down.

use crate::picture::{Colours, Picture};

/// A place, or a movement.
pub(super) type Place = [f64; 2];

/// A movement turned by an angle in radians.
pub(super) fn turned([x, y]: Place, angle: f64) -> Place {
    let (sin, cos) = angle.sin_cos();
    [cos * x - sin * y, sin * x + cos * y]
}

pub(super) fn plus(a: Place, b: Place) -> Place {
    [a[0] + b[0], a[1] + b[1]]
}

pub(super) fn minus(a: Place, b: Place) -> Place {
    [a[0] - b[0], a[1] - b[1]]
}

pub(super) fn distance(a: Place, b: Place) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Difference of two angles, from 0 to pi.
pub(super) fn angle_between(a: f64, b: f64) -> f64 {
    let turn = std::f64::consts::TAU;
    let apart = (a - b).rem_euclid(turn);
    apart.min(turn - apart)
}

/// Brightness of a pixel, 0 to 1: the mean of its channels. Outside of the picture it is 0.
pub(super) fn brightness(picture: &Picture, row: isize, column: isize) -> f64 {
    let is_inside = |at: isize, size: usize| usize::try_from(at).is_ok_and(|at| at < size);
    if !is_inside(row, picture.height()) || !is_inside(column, picture.width()) {
        return 0.0;
    }
    let channels = picture.colours().channels();
    let start = (row as usize * picture.width() + column as usize) * channels;
    let sum: u32 = picture.pixels()[start..start + channels]
        .iter()
        .map(|&value| u32::from(value))
        .sum();
    f64::from(sum) / (255.0 * channels as f64)
}

/// Place of a pixel.
pub(super) fn place_of(picture: &Picture, row: usize, column: usize) -> Place {
    let from_centre = |at: usize, size: usize| at as f64 - 0.5 * (size as f64 - 1.0);
    [
        from_centre(column, picture.width()),
        from_centre(row, picture.height()),
    ]
}

/// Brightness of a picture turned about its centre by an angle in radians, by bilinear interpolation; black comes in from
/// outside.
pub fn rotated(picture: &Picture, angle: f64) -> Picture {
    let (height, width) = (picture.height(), picture.width());
    let mut result = Picture::black(height, width, Colours::Gray);
    for row in 0..height {
        for column in 0..width {
            let [x, y] = turned(place_of(picture, row, column), -angle);
            let (x, y) = (x + 0.5 * (width as f64 - 1.0), y + 0.5 * (height as f64 - 1.0));
            let (left, top) = (x.floor(), y.floor());
            let (right, bottom) = (x - left, y - top); // shares
            let at =
                |down: isize, across: isize| brightness(picture, top as isize + down, left as isize + across);
            let upper = (1.0 - right) * at(0, 0) + right * at(0, 1);
            let lower = (1.0 - right) * at(1, 0) + right * at(1, 1);
            let value = (1.0 - bottom) * upper + bottom * lower;
            result.pixel_mut(row, column)[0] = (255.0 * value).round() as u8;
        }
    }
    result
}
