//! Series of a plot: points that are thinned out for drawing.

/// Most points of a line that are drawn as they are; beyond them, means of this many pieces.
const MOST: usize = 240;

/// Line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// Name in the legend; empty for none.
    pub(super) name: String,
    /// Number of the colour.
    pub(super) color: usize,
    pub(super) stroke: Stroke,
    /// Points, ascending in x.
    pub(super) points: Vec<(f64, f64)>,
}

/// Way in which a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    /// Line in the pattern of this number; 0 is solid.
    Line(usize),
    /// Thin, pale line, with a band from the lowest to the highest value where it is thinned out.
    Faint,
    /// Line with a dot at each point.
    Dotted(usize),
    /// Area down to the axis.
    Area,
}

/// Points of a series as they are drawn.
pub(super) struct Drawn {
    pub(super) line: Vec<(f64, f64)>,
    /// Lowest and highest value around each point; empty if no points were left out.
    pub(super) band: Vec<(f64, f64, f64)>,
}

impl Series {
    pub(super) fn drawn(&self) -> Drawn {
        let pieces = self.points.chunks(self.points.len().div_ceil(MOST).max(1));
        if self.points.len() <= MOST {
            return Drawn {
                line: self.points.clone(),
                band: Vec::new(),
            };
        }
        let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
        let (mut line, mut band) = (Vec::new(), Vec::new());
        for piece in pieces {
            let x = mean(&mut piece.iter().map(|point| point.0), piece.len());
            let values = || piece.iter().map(|point| point.1);
            line.push((x, mean(&mut values(), piece.len())));
            band.push((
                x,
                values().fold(f64::INFINITY, f64::min),
                values().fold(f64::NEG_INFINITY, f64::max),
            ));
        }
        Drawn { line, band }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(count: usize) -> Series {
        Series {
            name: String::new(),
            color: 0,
            stroke: Stroke::Faint,
            points: (0..count)
                .map(|index| (index as f64, (index % 2) as f64))
                .collect(),
        }
    }

    #[test]
    fn a_long_series_is_drawn_as_means_with_the_range_around_them() {
        let drawn = series(4 * MOST).drawn();
        assert_eq!((drawn.line.len(), drawn.band.len()), (MOST, MOST));
        assert_eq!((drawn.line[1], drawn.band[1]), ((5.5, 0.5), (5.5, 0.0, 1.0)));
    }

    #[test]
    fn a_short_series_is_drawn_as_it_is() {
        let drawn = series(MOST).drawn();
        assert_eq!((drawn.line, drawn.band.len()), (series(MOST).points, 0));
    }
}
