//! Glyphs as distances: the shape of each class in the disc of radius 1 around the origin, x to the right and y down.

/// Half the width of a stroke.
const HALF: f32 = 0.13;

/// Name and form of every class.
pub(crate) const GLYPHS: [(&str, Form); 16] = [
    ("disc", Form::Disc),
    ("ring", Form::Ring),
    ("square", Form::Square),
    ("frame", Form::Frame),
    (
        "triangle",
        Form::Polygon(&[[0.0, -0.95], [0.82, 0.475], [-0.82, 0.475]]),
    ),
    ("star", Form::Polygon(&STAR)),
    ("crescent", Form::Crescent),
    (
        "cross",
        Form::Strokes(&[[-0.6, -0.6, 0.6, 0.6], [-0.6, 0.6, 0.6, -0.6]]),
    ),
    (
        "plus",
        Form::Strokes(&[[0.0, -0.8, 0.0, 0.8], [-0.8, 0.0, 0.8, 0.0]]),
    ),
    (
        "arrow",
        Form::Strokes(&[
            [0.0, 0.8, 0.0, -0.75],
            [0.0, -0.75, -0.5, -0.25],
            [0.0, -0.75, 0.5, -0.25],
        ]),
    ),
    (
        "lines",
        Form::Strokes(&[[-0.65, -0.35, 0.65, -0.35], [-0.65, 0.35, 0.65, 0.35]]),
    ),
    (
        "H",
        Form::Strokes(&[
            [-0.5, -0.7, -0.5, 0.7],
            [0.5, -0.7, 0.5, 0.7],
            [-0.5, 0.0, 0.5, 0.0],
        ]),
    ),
    (
        "L",
        Form::Strokes(&[[-0.45, -0.7, -0.45, 0.65], [-0.45, 0.65, 0.5, 0.65]]),
    ),
    (
        "T",
        Form::Strokes(&[[-0.6, -0.6, 0.6, -0.6], [0.0, -0.6, 0.0, 0.8]]),
    ),
    (
        "U",
        Form::Strokes(&[
            [-0.5, -0.7, -0.5, 0.6],
            [-0.5, 0.6, 0.5, 0.6],
            [0.5, 0.6, 0.5, -0.7],
        ]),
    ),
    (
        "Z",
        Form::Strokes(&[
            [-0.55, -0.6, 0.55, -0.6],
            [0.55, -0.6, -0.55, 0.6],
            [-0.55, 0.6, 0.55, 0.6],
        ]),
    ),
];

/// Corners of a star of five points, at 0.95 and 0.4 from the middle.
const STAR: [[f32; 2]; 10] = [
    [0.0, -0.95],
    [0.2351, -0.3236],
    [0.9035, -0.2936],
    [0.3804, 0.1236],
    [0.5584, 0.7686],
    [0.0, 0.4],
    [-0.5584, 0.7686],
    [-0.3804, 0.1236],
    [-0.9035, -0.2936],
    [-0.2351, -0.3236],
];

/// Form of a glyph.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// A full disc.
    Disc,
    /// A circle.
    Ring,
    /// A full square.
    Square,
    /// The outline of a square.
    Frame,
    /// A disc without a smaller one to its right.
    Crescent,
    /// A full polygon of given corners.
    Polygon(&'static [[f32; 2]]),
    /// Strokes from `[x, y]` to `[x, y]`, with round ends.
    Strokes(&'static [[f32; 4]]),
}

impl Form {
    /// Distance of a point from the edge of the form, negative inside. Outside, no point of the form is nearer than this.
    pub(crate) fn distance(self, x: f32, y: f32) -> f32 {
        let radius = x.hypot(y);
        // Distance from a square of half a side.
        let square = |half: f32| {
            let (x, y) = (x.abs() - half, y.abs() - half);
            x.max(0.0).hypot(y.max(0.0)) + x.max(y).min(0.0)
        };
        match self {
            Self::Disc => radius - 0.85,
            Self::Ring => (radius - 0.75).abs() - HALF,
            Self::Square => square(0.68),
            Self::Frame => square(0.58).abs() - HALF,
            Self::Crescent => (radius - 0.85).max(0.72 - (x - 0.45).hypot(y)),
            Self::Polygon(corners) => polygon(corners, x, y),
            Self::Strokes(strokes) => {
                let each = strokes
                    .iter()
                    .map(|[x1, y1, x2, y2]| segment([*x1, *y1], [*x2, *y2], x, y));
                each.fold(f32::INFINITY, f32::min) - HALF
            }
        }
    }
}

/// Distance of a point from a segment.
fn segment([x1, y1]: [f32; 2], [x2, y2]: [f32; 2], x: f32, y: f32) -> f32 {
    let (along_x, along_y) = (x2 - x1, y2 - y1);
    let (from_x, from_y) = (x - x1, y - y1);
    let share = (from_x * along_x + from_y * along_y) / (along_x * along_x + along_y * along_y);
    let share = share.clamp(0.0, 1.0);
    (from_x - share * along_x).hypot(from_y - share * along_y)
}

/// Distance of a point from the edge of a polygon, negative inside.
fn polygon(corners: &[[f32; 2]], x: f32, y: f32) -> f32 {
    let next = corners.iter().cycle().skip(1);
    let (mut distance, mut inside) = (f32::INFINITY, false);
    for (&[x1, y1], &[x2, y2]) in corners.iter().zip(next) {
        distance = distance.min(segment([x1, y1], [x2, y2], x, y));
        // A ray to the right of the point crosses the edge.
        if (y1 > y) != (y2 > y) && x < x1 + (y - y1) / (y2 - y1) * (x2 - x1) {
            inside = !inside;
        }
    }
    if inside { -distance } else { distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a grid over the square from -1 to 1.
    fn grid(side: usize) -> impl Iterator<Item = (f32, f32)> {
        let at = move |i: usize| (i as f32 + 0.5) / side as f32 * 2.0 - 1.0;
        (0..side * side).map(move |place| (at(place % side), at(place / side)))
    }

    /// Share of points at which two filled forms differ, of the points of either one, with the second one turned.
    fn difference(one: Form, other: Form, degrees: f32) -> f32 {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (mut either, mut differ) = (0, 0);
        for (x, y) in grid(40) {
            let first = one.distance(x, y) < 0.0;
            let second = other.distance(cos * x + sin * y, cos * y - sin * x) < 0.0;
            either += usize::from(first || second);
            differ += usize::from(first != second);
        }
        differ as f32 / either as f32
    }

    #[test]
    fn every_glyph_lies_in_the_disc_of_radius_one() {
        for (name, form) in GLYPHS {
            for degrees in 0..360 {
                let (sin, cos) = (degrees as f32).to_radians().sin_cos();
                assert!(form.distance(cos, sin) > 0.0, "{name} at {degrees} degrees");
            }
            let covered = grid(40).filter(|(x, y)| form.distance(*x, *y) < 0.0).count();
            assert!(
                (200..1000).contains(&covered),
                "{name} covers {covered} of 1600 points"
            );
        }
    }

    #[test]
    fn distances_grow_no_faster_than_the_way() {
        for (name, form) in GLYPHS {
            for (x, y) in grid(31) {
                let step = 0.01;
                let (right, down) = (form.distance(x + step, y), form.distance(x, y + step));
                let here = form.distance(x, y);
                let slope = (right - here).hypot(down - here) / step;
                assert!(slope < 1.42, "{name} at {x}, {y}: {slope}");
            }
        }
    }

    #[test]
    fn no_glyph_turned_as_far_as_allowed_is_another_one() {
        let most = super::super::config::MOST_DEGREES as f32;
        // Both glyphs may be turned, one this way and the other that way.
        for (index, (name, form)) in GLYPHS.iter().enumerate() {
            for (other_name, other) in &GLYPHS[index + 1..] {
                for turn in -4..=4_i16 {
                    let share = difference(*form, *other, f32::from(turn) / 2.0 * most);
                    assert!(share > 0.18, "{name} and {other_name} turned by {turn}: {share}");
                }
            }
        }
    }
}
