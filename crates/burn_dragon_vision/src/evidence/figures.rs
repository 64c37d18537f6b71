//! Figures drawn by strokes, for trials without data.

use super::plane::{Place, place_of, turned};
use crate::picture::{Colours, Picture};

/// Half of the width of a stroke, in pixels.
const HALF_WIDTH: f64 = 1.5;

/// Names and strokes of twelve figures. A stroke is a line through points, `[x, y]` from -4 to 4, y down.
pub const FIGURES: [(&str, &[&[[i8; 2]]]); 12] = [
    ("F", &[&[[-3, 4], [-3, -4], [3, -4]], &[[-3, 0], [2, 0]]]),
    (
        "J",
        &[&[[-2, -4], [3, -4]], &[[2, -4], [2, 2], [0, 4], [-2, 3], [-3, 1]]],
    ),
    (
        "K",
        &[&[[-3, -4], [-3, 4]], &[[3, -4], [-3, 1]], &[[-1, 0], [3, 4]]],
    ),
    (
        "P",
        &[&[[-3, 4], [-3, -4], [1, -4], [3, -3], [3, -1], [1, 0], [-3, 0]]],
    ),
    (
        "R",
        &[
            &[[-3, 4], [-3, -4], [1, -4], [3, -2], [1, 0], [-3, 0]],
            &[[0, 0], [3, 4]],
        ],
    ),
    ("2", &[&[[-3, -2], [-1, -4], [2, -4], [3, -2], [-3, 4], [3, 4]]]),
    ("4", &[&[[2, 4], [2, -4], [-3, 2], [4, 2]]]),
    ("7", &[&[[-3, -4], [3, -4], [-1, 4]], &[[-2, 0], [3, 0]]]),
    ("h", &[&[[-3, -4], [-3, 4]], &[[-3, 0], [0, -1], [2, 1], [2, 4]]]),
    (
        "Q",
        &[
            &[[0, -4], [3, -2], [3, 1], [0, 3], [-3, 1], [-3, -2], [0, -4]],
            &[[0, 1], [4, 4]],
        ],
    ),
    (
        "G",
        &[&[
            [3, -3],
            [0, -4],
            [-3, -2],
            [-3, 2],
            [0, 4],
            [3, 3],
            [3, 0],
            [0, 0],
        ]],
    ),
    ("flag", &[&[[-3, 4], [-3, -4], [4, -2], [-3, 0]]]),
];

/// A figure turned by an angle in radians, bright on dark, `[size, size]`.
pub fn drawn(strokes: &[&[[i8; 2]]], angle: f64, size: usize) -> Picture {
    let unit = size as f64 / 13.0; // room for the corners of a turned figure
    let place = |point: &[i8; 2]| turned(point.map(|coordinate| unit * f64::from(coordinate)), angle);
    let lines: Vec<[Place; 2]> = strokes
        .iter()
        .flat_map(|stroke| stroke.windows(2).map(|ends| [place(&ends[0]), place(&ends[1])]))
        .collect();
    let mut picture = Picture::black(size, size, Colours::Gray);
    for row in 0..size {
        for column in 0..size {
            let at = place_of(&picture, row, column);
            let nearest = lines
                .iter()
                .map(|line| distance_to(at, line))
                .fold(f64::INFINITY, f64::min);
            let brightness = (HALF_WIDTH + 0.5 - nearest).clamp(0.0, 1.0);
            picture.pixel_mut(row, column)[0] = (255.0 * brightness).round() as u8;
        }
    }
    picture
}

/// Distance of a place to a line between two ends.
fn distance_to([x, y]: Place, [a, b]: &[Place; 2]) -> f64 {
    let (along, from) = ([b[0] - a[0], b[1] - a[1]], [x - a[0], y - a[1]]);
    let square = along[0] * along[0] + along[1] * along[1];
    let share = (along[0] * from[0] + along[1] * from[1]) / square.max(f64::MIN_POSITIVE);
    let share = share.clamp(0.0, 1.0);
    (from[0] - share * along[0]).hypot(from[1] - share * along[1])
}
