//! Places sorted into square cells, to find those near a place.

use super::plane::{Place, distance};

/// Places in cells as wide as the radius of the search.
#[derive(Clone, Debug)]
pub(super) struct Index {
    radius: f64,
    origin: Place,
    size: [usize; 2],
    cells: Vec<Vec<usize>>,
    places: Vec<Place>,
}

impl Index {
    pub(super) fn new(places: Vec<Place>, radius: f64) -> Self {
        let bound = |axis: usize, of: fn(f64, f64) -> f64| {
            places.iter().map(|place| place[axis]).reduce(of).unwrap_or(0.0)
        };
        let origin = [0, 1].map(|axis| bound(axis, f64::min));
        let size = [0, 1].map(|axis| ((bound(axis, f64::max) - origin[axis]) / radius) as usize + 1);
        let mut cells = vec![Vec::new(); size[0] * size[1]];
        for (number, place) in places.iter().enumerate() {
            let [x, y] = [0, 1].map(|axis| ((place[axis] - origin[axis]) / radius) as usize);
            cells[y * size[0] + x].push(number);
        }
        Self {
            radius,
            origin,
            size,
            cells,
            places,
        }
    }

    /// Calls `found` with the number and the distance of each place within the radius.
    pub(super) fn near(&self, place: Place, mut found: impl FnMut(usize, f64)) {
        let span = |axis: usize| {
            let cell = ((place[axis] - self.origin[axis]) / self.radius).floor() as isize;
            let last = self.size[axis] as isize - 1;
            (cell - 1).max(0)..=(cell + 1).min(last)
        };
        for y in span(1) {
            for x in span(0) {
                for &number in &self.cells[y as usize * self.size[0] + x as usize] {
                    let apart = distance(place, self.places[number]);
                    if apart <= self.radius {
                        found(number, apart);
                    }
                }
            }
        }
    }
}
