//! Grid of places, and the neighbours that a place reads.

use std::num::Saturating;

/// Grid of places, counted row by row: place `(y, x)` is number `y * width + x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Number of rows.
    pub height: usize,
    /// Number of places in a row.
    pub width: usize,
}

impl Grid {
    /// A grid of `height` rows of `width` places.
    pub fn new(height: usize, width: usize) -> Self {
        Self { height, width }
    }

    /// Number of places; [`usize::MAX`] if it overflows.
    pub fn places(&self) -> usize {
        (Saturating(self.height) * Saturating(self.width)).0
    }
}

/// Shape of a neighbourhood of radius r.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NeighbourShape {
    /// Square: all places with `max(|dy|, |dx|) <= r`.
    #[default]
    Moore,
    /// Diamond: all places with `|dy| + |dx| <= r`.
    VonNeumann,
}

/// Treatment of neighbours that would lie outside the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Border {
    /// They are left out: a read is a sum, of fewer terms at the border.
    #[default]
    Drop,
    /// A read is divided by the number of neighbours inside the grid. It is 0 if there is none.
    Mean,
}

/// Neighbours that a place reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Neighbourhood {
    /// Radius in places. It may be larger than the grid, which is then read as a whole.
    pub radius: usize,
    /// Shape.
    pub shape: NeighbourShape,
    /// Whether a place is its own neighbour.
    pub itself: bool,
    /// Treatment of neighbours outside the grid.
    pub border: Border,
}

impl Neighbourhood {
    /// Square of this radius, the place itself included; neighbours outside the grid are left out.
    pub fn moore(radius: usize) -> Self {
        Self {
            radius,
            shape: NeighbourShape::Moore,
            itself: true,
            border: Border::Drop,
        }
    }

    /// Diamond of this radius, the place itself included; neighbours outside the grid are left out.
    pub fn von_neumann(radius: usize) -> Self {
        Self {
            shape: NeighbourShape::VonNeumann,
            ..Self::moore(radius)
        }
    }

    /// The same without the place itself.
    pub fn without_itself(self) -> Self {
        Self {
            itself: false,
            ..self
        }
    }

    /// The same with reads divided by the number of neighbours inside the grid.
    pub fn mean(self) -> Self {
        Self {
            border: Border::Mean,
            ..self
        }
    }

    /// Offsets `(dy, dx)` of the neighbours in a grid, row by row, without those that are outside it from every place.
    pub(crate) fn offsets(&self, grid: Grid) -> Vec<(isize, isize)> {
        let (down, right) = self.reach(grid);
        let square = (-down..=down).flat_map(|dy| (-right..=right).map(move |dx| (dy, dx)));
        square.filter(|&(dy, dx)| self.has(dy, dx)).collect()
    }

    /// The largest row and column offsets that lie in the grid from some place.
    pub(crate) fn reach(&self, grid: Grid) -> (isize, isize) {
        let within = |size: usize| self.radius.min(size.saturating_sub(1)) as isize;
        (within(grid.height), within(grid.width))
    }

    fn has(&self, dy: isize, dx: isize) -> bool {
        let is_near = match self.shape {
            NeighbourShape::Moore => true, // the square itself
            NeighbourShape::VonNeumann => dy.unsigned_abs() + dx.unsigned_abs() <= self.radius,
        };
        is_near && (self.itself || (dy, dx) != (0, 0))
    }
}

/// The neighbours of every place of a grid, in lists one after another.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    /// Start of each place's list, and the end of the last.
    starts: Vec<usize>,
    /// Neighbours, row by row.
    lists: Vec<usize>,
    /// Factor of each place's read; `None` if all are 1.
    factors: Option<Vec<f32>>,
    /// Places from the first to the last neighbour of a place, at most.
    span: usize,
    grid: Grid,
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    neighbourhood: Neighbourhood,
}

impl Neighbours {
    /// The neighbours of the places of a grid.
    pub(crate) fn new(grid: Grid, neighbourhood: &Neighbourhood) -> Self {
        let offsets = neighbourhood.offsets(grid);
        let (mut starts, mut lists) = (vec![0], Vec::new());
        for place in 0..grid.places() {
            let at = |(dy, dx): &(isize, isize)| {
                let y = (place / grid.width).checked_add_signed(*dy)?;
                let x = (place % grid.width).checked_add_signed(*dx)?;
                (y < grid.height && x < grid.width).then_some(y * grid.width + x)
            };
            lists.extend(offsets.iter().filter_map(at));
            starts.push(lists.len());
        }
        let (down, _) = neighbourhood.reach(grid);
        let mut neighbours = Self {
            starts,
            lists,
            factors: None,
            span: (2 * down.unsigned_abs() + 1) * grid.width,
            grid,
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            neighbourhood: *neighbourhood,
        };
        if neighbourhood.border == Border::Mean {
            let factor = |place| (neighbours.of(place).len().max(1) as f32).recip();
            neighbours.factors = Some((0..grid.places()).map(factor).collect());
        }
        neighbours
    }

    /// The neighbours of a place.
    pub(crate) fn of(&self, place: usize) -> &[usize] {
        &self.lists[self.starts[place]..self.starts[place + 1]]
    }

    /// Factor of each place's read; `None` if all are 1.
    pub(crate) fn factors(&self) -> Option<&[f32]> {
        self.factors.as_deref()
    }

    /// Places from the first to the last neighbour of a place, at most.
    pub(crate) fn span(&self) -> usize {
        self.span
    }

    /// Which places are neighbours.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn neighbourhood(&self) -> &Neighbourhood {
        &self.neighbourhood
    }

    /// The grid.
    pub(crate) fn grid(&self) -> Grid {
        self.grid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diamond_has_the_places_within_so_many_steps() {
        let grid = Grid::new(9, 9);
        for (radius, places) in [(0, 1), (1, 5), (2, 13), (3, 25)] {
            assert_eq!(Neighbourhood::von_neumann(radius).offsets(grid).len(), places);
            let square = (2 * radius + 1) * (2 * radius + 1);
            assert_eq!(Neighbourhood::moore(radius).offsets(grid).len(), square);
        }
    }

    #[test]
    fn neighbours_are_mutual_and_end_at_the_border() {
        let grid = Grid::new(3, 4);
        for neighbourhood in [
            Neighbourhood::moore(1),
            Neighbourhood::von_neumann(2).without_itself(),
            Neighbourhood::moore(usize::MAX).mean(),
        ] {
            let neighbours = Neighbours::new(grid, &neighbourhood);
            for place in 0..grid.places() {
                for &other in neighbours.of(place) {
                    assert!(neighbours.of(other).contains(&place));
                }
                assert_eq!(neighbours.of(place).contains(&place), neighbourhood.itself);
            }
        }
        let neighbours = Neighbours::new(grid, &Neighbourhood::moore(1));
        assert_eq!(neighbours.of(0), [0, 1, 4, 5]);
        assert_eq!(neighbours.of(7), [2, 3, 6, 7, 10, 11]);
        assert_eq!(neighbours.span(), 12);
    }

    #[test]
    fn a_mean_divides_by_the_neighbours_that_there_are() {
        let neighbours = Neighbours::new(Grid::new(1, 3), &Neighbourhood::moore(1).without_itself().mean());
        assert_eq!(neighbours.factors(), Some(&[1.0, 0.5, 1.0][..]));
        let alone = Neighbours::new(Grid::new(1, 1), &Neighbourhood::moore(4).without_itself().mean());
        assert_eq!(alone.factors(), Some(&[1.0][..]));
        assert!(alone.of(0).is_empty());
    }
}
