//! Neighbours on the grid of patches that a place reads.

use crate::error::VisionError;
use burn_dragon_kernel::api::graph::{Adjacency, Edges, Normalisation, SelfEdges};
use burn_dragon_kernel::api::{Border, Grid, NeighbourShape, Neighbourhood};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Neighbours on the grid of patches that a place reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NearConfig {
    /// Radius in places. A radius as large as the grid reads all of it.
    pub radius: usize,
    /// Shape of the neighbourhood.
    pub shape: NearShape,
    /// Whether a place reads its own memory too. Needed if the radius is 0.
    pub itself: bool,
    /// Treatment of neighbours that would lie outside the grid.
    pub border: AtBorder,
}

/// Shape of a neighbourhood of radius r.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NearShape {
    /// Square: `max(|dy|, |dx|) <= r`.
    #[default]
    Moore,
    /// Diamond: `|dy| + |dx| <= r`.
    VonNeumann,
}

/// Treatment of neighbours that would lie outside the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AtBorder {
    /// A read is divided by the number of neighbours inside the grid.
    #[default]
    Mean,
    /// They are left out: a read is a sum, of fewer terms at the border.
    Drop,
}

impl Default for NearConfig {
    fn default() -> Self {
        Self {
            radius: 1,
            shape: NearShape::Moore,
            itself: true,
            border: AtBorder::Mean,
        }
    }
}

impl NearConfig {
    /// Checks that a place reads something.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key of the table.
    pub(super) fn validate(&self, key: &'static str) -> Result<(), VisionError> {
        if self.radius > 0 || self.itself {
            return Ok(());
        }
        let reason = "has radius 0 and itself = false, so that nothing is read; set one of them".to_string();
        Err(VisionError::Config { key, reason })
    }

    /// The same for the kernel.
    pub fn neighbourhood(&self) -> Neighbourhood {
        Neighbourhood {
            radius: self.radius,
            shape: match self.shape {
                NearShape::Moore => NeighbourShape::Moore,
                NearShape::VonNeumann => NeighbourShape::VonNeumann,
            },
            itself: self.itself,
            border: match self.border {
                AtBorder::Mean => Border::Mean,
                AtBorder::Drop => Border::Drop,
            },
        }
    }

    /// The same as edges of a graph: place s reads place t.
    pub(super) fn edges(&self, grid: Grid) -> Edges {
        let normalisation = match self.border {
            AtBorder::Mean => Normalisation::Mean,
            AtBorder::Drop => Normalisation::Sum,
        };
        match Adjacency::from_edges(grid.places(), &self.pairs(grid), SelfEdges::Keep) {
            Ok(adjacency) => Edges::new(adjacency, normalisation),
            Err(error) => unreachable!("neighbours lie in the grid: {error}"),
        }
    }

    /// Pairs of a place and a neighbour of it, row by row.
    pub(super) fn pairs(&self, grid: Grid) -> Vec<(usize, usize)> {
        let span = |at: usize, size: usize| {
            at.saturating_sub(self.radius)..(at.saturating_add(self.radius.saturating_add(1))).min(size)
        };
        let neighbours = |place: usize| {
            let (y, x) = (place / grid.width, place % grid.width);
            let square = span(y, grid.height)
                .flat_map(move |row| span(x, grid.width).map(move |column| (row, column)));
            let near = square.filter(move |&(row, column)| {
                let (dy, dx) = (row.abs_diff(y), column.abs_diff(x));
                let is_within = self.shape == NearShape::Moore || dy + dx <= self.radius;
                is_within && (self.itself || (dy, dx) != (0, 0))
            });
            near.map(move |(row, column)| (place, row * grid.width + column))
        };
        (0..grid.places()).flat_map(neighbours).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_middle_has_the_neighbours_of_its_shape() {
        let grid = Grid::new(5, 7);
        let count = |config: NearConfig, place| {
            let pairs = config.pairs(grid);
            pairs.iter().filter(|(reader, _)| *reader == place).count()
        };
        let moore = NearConfig::default();
        let diamond = NearConfig {
            shape: NearShape::VonNeumann,
            ..moore
        };
        let others = NearConfig {
            itself: false,
            ..moore
        };
        let middle = 2 * 7 + 3;
        assert_eq!(
            [moore, diamond, others].map(|config| count(config, middle)),
            [9, 5, 8]
        );
        assert_eq!([moore, diamond, others].map(|config| count(config, 0)), [4, 3, 3]);
        let all = NearConfig {
            radius: usize::MAX,
            ..moore
        };
        assert_eq!(all.pairs(grid).len(), 35 * 35);
    }

    #[test]
    fn neighbours_of_nothing_are_refused() {
        let nothing = NearConfig {
            radius: 0,
            itself: false,
            ..NearConfig::default()
        };
        let error = nothing.validate("model.cellular.near").unwrap_err().to_string();
        assert!(error.starts_with("model.cellular.near has radius 0"), "{error}");
        NearConfig {
            itself: true,
            ..nothing
        }
        .validate("")
        .unwrap();
    }
}
