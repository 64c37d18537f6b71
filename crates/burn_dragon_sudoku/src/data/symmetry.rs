//! Symmetries of sudoku: maps between puzzles of equal logic.

use crate::grid::Grid;
use crate::units::CELLS;
use burn_dragon_core::api::expert::Rng;

/// Symmetry of the grid: a permutation of the digits, of the bands, of the rows in each band, of the stacks, of the
/// columns in each stack, and possibly a transpose. There are `9! * 2 * 6^8`, about 1.2e12. A symmetry that is applied
/// to a puzzle and its solution gives a puzzle and its solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symmetry {
    /// New digit for each digit; 0 (empty) stays 0.
    digits: [u8; 10],
    /// Source cell for each cell.
    sources: [usize; CELLS],
}

impl Symmetry {
    /// Draws a symmetry uniformly.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut names: [u8; 9] = std::array::from_fn(|i| i as u8 + 1);
        shuffle(&mut names, rng);
        let mut digits = [0; 10];
        digits[1..].copy_from_slice(&names);
        let (rows, columns, transposed) = (lines(rng), lines(rng), rng.below(2) == 1);
        let sources = std::array::from_fn(|cell| {
            let (row, column) = (rows[cell / 9], columns[cell % 9]);
            if transposed {
                column * 9 + row
            } else {
                row * 9 + column
            }
        });
        Self { digits, sources }
    }

    /// Whether rows become columns.
    pub fn is_transposed(&self) -> bool {
        self.sources[0] / 9 != self.sources[1] / 9
    }

    /// The grid whose image is given.
    #[must_use]
    pub fn undo(&self, image: &Grid) -> Grid {
        let mut names = [0; 10];
        for (digit, &name) in (0..).zip(&self.digits) {
            names[usize::from(name)] = digit;
        }
        let cells = self.sources.iter().enumerate();
        cells.fold(Grid::EMPTY, |grid, (cell, &source)| {
            grid.with(source, names[usize::from(image.cells()[cell])])
        })
    }

    /// The image of a grid.
    #[must_use]
    pub fn apply(&self, grid: &Grid) -> Grid {
        let cells = self.sources.iter().enumerate();
        cells.fold(Grid::EMPTY, |image, (cell, &source)| {
            image.with(cell, self.digits[usize::from(grid.cells()[source])])
        })
    }
}

/// Permutation of the nine rows or columns that keeps bands together.
fn lines(rng: &mut Rng) -> [usize; 9] {
    let mut bands = [0, 1, 2];
    shuffle(&mut bands, rng);
    let mut lines = [0; 9];
    for (place, band) in bands.into_iter().enumerate() {
        let mut within = [0, 1, 2];
        shuffle(&mut within, rng);
        for (i, line) in within.into_iter().enumerate() {
            lines[place * 3 + i] = band * 3 + line;
        }
    }
    lines
}

/// Uniform shuffle (Fisher and Yates).
pub(super) fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.below(last + 1));
    }
}

/// Invariant of a solution under all symmetries. Most other solutions have another value. For every two rows of a band,
/// and every two columns of a stack, it takes the cycle lengths of the permutation that maps one to the other.
///
/// The cycle lengths do not change: renaming digits conjugates the permutation, exchanging columns renames its
/// positions, and exchanging the two rows inverts it. Other symmetries only reorder values that are sorted here.
///
/// # Panics
/// If the grid is not complete.
pub(super) fn class_of(solution: &Grid) -> u64 {
    let line = |i: usize, by_row: bool, at: usize| {
        let cell = if by_row { i * 9 + at } else { at * 9 + i };
        solution.cells()[cell]
    };
    let mut sides = [true, false].map(|by_row| {
        let mut bands = [0, 3, 6].map(|first: usize| {
            let mut pairs = [(0, 1), (0, 2), (1, 2)].map(|(one, two)| {
                let place = |row: usize, at| line(first + row, by_row, at);
                cycles(std::array::from_fn(|at| (place(one, at), place(two, at))))
            });
            pairs.sort_unstable();
            pairs
        });
        bands.sort_unstable();
        bands
    });
    sides.sort_unstable();
    let lengths = sides.into_iter().flatten().flatten();
    lengths.fold(0, |hash, lengths| {
        burn_dragon_core::api::expert::derive(hash, "class", u64::from(lengths), 0)
    })
}

/// Cycle lengths of a permutation of the digits, as a number: the count of each length.
fn cycles(pairs: [(u8, u8); 9]) -> u32 {
    let mut next = [0; 10];
    for (from, to) in pairs {
        assert!(from != 0 && to != 0, "a class is that of a complete grid");
        next[usize::from(from)] = usize::from(to);
    }
    let (mut seen, mut lengths) = ([false; 10], 0);
    for start in 1..10 {
        let (mut at, mut length) = (start, 0);
        while !seen[at] {
            seen[at] = true;
            at = next[at];
            length += 1;
        }
        // Three bits a length: no length comes more than four times, since two rows of a band agree nowhere.
        lengths += if length == 0 { 0 } else { 1 << (3 * (length - 1)) };
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::solve_in_order;
    use std::collections::BTreeSet;

    const PUZZLE: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
    const SOLUTION: &str =
        "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

    #[test]
    fn a_puzzle_and_its_solution_stay_one_under_a_symmetry() {
        let (puzzle, solution): (Grid, Grid) = (PUZZLE.parse().unwrap(), SOLUTION.parse().unwrap());
        let mut rng = Rng::new(1);
        let mut images = BTreeSet::new();
        for _ in 0..200 {
            let symmetry = Symmetry::draw(&mut rng);
            let (image, solved) = (symmetry.apply(&puzzle), symmetry.apply(&solution));
            assert!(solved.solves(&image), "{image} {solved}");
            assert_eq!(image.filled(), puzzle.filled());
            assert_eq!(symmetry.undo(&image), puzzle);
            images.insert(image);
        }
        assert_eq!(images.len(), 200, "they are all different");
    }

    #[test]
    fn every_kind_of_symmetry_is_drawn() {
        let mut rng = Rng::new(2);
        let (mut firsts, mut transposed) = (BTreeSet::new(), 0);
        for _ in 0..2000 {
            let symmetry = Symmetry::draw(&mut rng);
            firsts.insert(symmetry.sources[0]);
            transposed += usize::from(symmetry.sources[1] / 9 != symmetry.sources[0] / 9);
        }
        assert_eq!(firsts.len(), CELLS, "any cell comes to the corner");
        assert!((900..1100).contains(&transposed), "{transposed}");
    }

    #[test]
    fn symmetric_solutions_are_of_one_class_and_others_mostly_not() {
        let mut rng = Rng::new(3);
        let mut classes = BTreeSet::new();
        for _ in 0..100 {
            let solution = random_solution(&mut rng);
            let class = class_of(&solution);
            for _ in 0..20 {
                assert_eq!(class_of(&Symmetry::draw(&mut rng).apply(&solution)), class);
            }
            classes.insert(class);
        }
        assert!(classes.len() > 90, "{}", classes.len());
    }

    fn random_solution(rng: &mut Rng) -> Grid {
        let pick = |candidates: u16| {
            let bits: Vec<u16> = (0..9)
                .map(|d| 1 << d)
                .filter(|bit| candidates & bit != 0)
                .collect();
            bits[rng.below(bits.len())]
        };
        solve_in_order(&Grid::EMPTY, pick).unwrap()
    }

    #[test]
    fn cycles_are_told_by_their_lengths() {
        let of = |to: [u8; 9]| cycles(std::array::from_fn(|i| (i as u8 + 1, to[i])));
        let nine = of([2, 3, 4, 5, 6, 7, 8, 9, 1]);
        assert_eq!(nine, of([9, 1, 2, 3, 4, 5, 6, 7, 8]), "its inverse");
        let twos = of([2, 1, 4, 3, 6, 5, 8, 9, 7]);
        let threes = of([2, 3, 1, 5, 6, 4, 8, 9, 7]);
        assert_eq!(BTreeSet::from([nine, twos, threes]).len(), 3);
    }
}
