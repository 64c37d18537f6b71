//! Canonical forms: the smallest image of a puzzle and its solution under all symmetries.
//!
//! A solution is as small as possible, cell by cell, where its first row is 123456789. That leaves the choices of the first
//! row, of the second one, and of the order of the columns: 46,656 images with a transpose. The first cells of the second
//! row rule out nearly all of them.

use super::Pair;
use super::symmetry::class_of;
use crate::grid::Grid;
use crate::units::CELLS;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// The six orders of three.
const ORDERS: [Order; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// Order of the columns: the source of each.
type Columns = [usize; 9];

/// Order of three lines.
type Order = [usize; 3];

/// Canonical form of a puzzle with its only solution: of all its images under symmetries the one with the smallest solution,
/// and of these the one with the smallest puzzle. Two puzzles are symmetric if and only if their canonical forms are equal.
///
/// # Panics
/// If the solution is not one.
pub fn canonical(pair: &Pair) -> Pair {
    assert!(
        pair.solution.is_solution(),
        "{}: expected a solution",
        pair.solution
    );
    let mut best: Option<Pair> = None;
    for pair in [*pair, transposed(pair)] {
        for (band, order) in (0..3).flat_map(|band| ORDERS.map(|order| (band, order))) {
            let rows = order.map(|row| band * 3 + row);
            for columns in all_columns() {
                consider(&pair, rows, columns, &mut best);
            }
        }
    }
    best.unwrap_or(*pair)
}

/// Canonical form of a solution alone.
///
/// # Panics
/// As [`canonical`].
pub fn canonical_solution(solution: &Grid) -> Grid {
    let alone = Pair {
        puzzle: Grid::EMPTY,
        solution: *solution,
    };
    canonical(&alone).solution
}

/// Training puzzles whose solution a symmetry maps to the solution of a held-out puzzle: their positions, ascending.
///
/// # Panics
/// If a solution is not one.
pub fn leaks(train: &[Pair], held_out: &[Pair]) -> Vec<usize> {
    // The class is the same for symmetric solutions, and rarely for others: few canonical forms are computed.
    let mut by_class: BTreeMap<u64, (Vec<Grid>, Option<BTreeSet<Grid>>)> = BTreeMap::new();
    for pair in held_out {
        let (solutions, _) = by_class.entry(class_of(&pair.solution)).or_default();
        solutions.push(pair.solution);
    }
    let leaks = |pair: &Pair| {
        let Some((solutions, forms)) = by_class.get_mut(&class_of(&pair.solution)) else {
            return false;
        };
        let forms = forms.get_or_insert_with(|| solutions.iter().map(canonical_solution).collect());
        forms.contains(&canonical_solution(&pair.solution))
    };
    let flags: Vec<bool> = train.iter().map(leaks).collect();
    (0..train.len()).filter(|&index| flags[index]).collect()
}

fn transposed(pair: &Pair) -> Pair {
    let turned = |grid: &Grid| {
        (0..CELLS).fold(Grid::EMPTY, |image, cell| {
            image.with(cell, grid.cells()[cell % 9 * 9 + cell / 9])
        })
    };
    Pair {
        puzzle: turned(&pair.puzzle),
        solution: turned(&pair.solution),
    }
}

/// All orders of the columns that keep stacks together.
fn all_columns() -> &'static [Columns] {
    static ALL: OnceLock<Vec<Columns>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = Vec::with_capacity(6 * 216);
        for stacks in ORDERS {
            for (one, two, three) in triples() {
                let within = [one, two, three];
                all.push(std::array::from_fn(|at| {
                    stacks[at / 3] * 3 + within[at / 3][at % 3]
                }));
            }
        }
        all
    })
}

fn triples() -> impl Iterator<Item = (Order, Order, Order)> {
    let pairs = ORDERS.into_iter().flat_map(|one| ORDERS.map(|two| (one, two)));
    pairs.flat_map(|(one, two)| ORDERS.map(|three| (one, two, three)))
}

/// Puts the image with these rows as the first band, and these columns, in the place of the best one if it is smaller.
fn consider(pair: &Pair, rows: Order, columns: &Columns, best: &mut Option<Pair>) {
    let digit = |row: usize, column: usize| usize::from(pair.solution.cells()[row * 9 + column]);
    let mut names = [0_u8; 10];
    for (place, &source) in columns.iter().enumerate() {
        names[digit(rows[0], source)] = place as u8 + 1;
    }
    let row = |row: usize| columns.map(|source| names[digit(row, source)]);
    if let Some(best) = best {
        // The second row decides in nearly all cases.
        let second = &best.solution.cells()[9..18];
        let here = columns.iter().map(|&source| names[digit(rows[1], source)]);
        if here.cmp(second.iter().copied()).is_gt() {
            return;
        }
    }
    let image = image(pair, rows, columns, &names, row);
    let key = |pair: &Pair| (pair.solution, pair.puzzle);
    if best.is_none_or(|best| key(&image) < key(&best)) {
        *best = Some(image);
    }
}

/// The image whose other rows are in the smallest order.
fn image(
    pair: &Pair,
    first: Order,
    columns: &Columns,
    names: &[u8; 10],
    row: impl Fn(usize) -> [u8; 9],
) -> Pair {
    let band = first[0] / 3;
    let mut others: Vec<Order> = (0..3)
        .filter(|&other| other != band)
        .map(|other| {
            let mut rows = [0, 1, 2].map(|within| other * 3 + within);
            rows.sort_by_key(|&of| row(of));
            rows
        })
        .collect();
    others.sort_by_key(|rows| row(rows[0]));
    let rows: Vec<usize> = first.into_iter().chain(others.into_iter().flatten()).collect();
    let of = |grid: &Grid| {
        (0..CELLS).fold(Grid::EMPTY, |image, cell| {
            let source = rows[cell / 9] * 9 + columns[cell % 9];
            image.with(cell, names[usize::from(grid.cells()[source])])
        })
    };
    Pair {
        puzzle: of(&pair.puzzle),
        solution: of(&pair.solution),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{GeneratorConfig, Split, Symmetry};
    use burn_dragon_core::api::expert::Rng;

    fn pairs(count: u64) -> Vec<Pair> {
        let generator = GeneratorConfig::default();
        (0..count)
            .map(|index| generator.puzzle(Split::Train, index))
            .collect()
    }

    fn image(pair: &Pair, rng: &mut Rng) -> Pair {
        let symmetry = Symmetry::draw(rng);
        Pair {
            puzzle: symmetry.apply(&pair.puzzle),
            solution: symmetry.apply(&pair.solution),
        }
    }

    #[test]
    fn symmetric_puzzles_have_one_canonical_form_and_others_another() {
        let mut rng = Rng::new(1);
        let pairs = pairs(4);
        let forms: BTreeSet<Grid> = pairs
            .iter()
            .map(|pair| {
                let form = canonical(pair);
                assert!(form.solution.solves(&form.puzzle));
                assert_eq!(form.puzzle.filled(), pair.puzzle.filled());
                assert_eq!(&form.solution.to_string()[..9], "123456789");
                assert_eq!(canonical(&image(pair, &mut rng)), form);
                assert_eq!(canonical(&form), form);
                // The same solution with another given is another puzzle.
                let cell = pair.puzzle.empty_cells().next().unwrap();
                let fuller = pair.puzzle.with(cell, pair.solution.cells()[cell]);
                let fuller = canonical(&Pair {
                    puzzle: fuller,
                    ..*pair
                });
                assert!(fuller.puzzle != form.puzzle && fuller.solution == form.solution);
                form.solution
            })
            .collect();
        assert_eq!(forms.len(), pairs.len());
    }

    /// A grid that many symmetries map to itself: rows are shifts of the first. Its puzzles are still told apart, and images of
    /// one are still found.
    #[test]
    fn a_solution_with_many_symmetries_is_no_exception() {
        let shifted: [u8; CELLS] = std::array::from_fn(|cell| {
            let (row, column) = (cell / 9, cell % 9);
            ((row * 3 + row / 3 + column) % 9) as u8 + 1
        });
        let solution = Grid::new(shifted).unwrap();
        assert!(solution.is_solution());
        let mut rng = Rng::new(2);
        let puzzle = [0, 5, 13, 40, 71]
            .into_iter()
            .fold(solution, |puzzle, cell| puzzle.with(cell, 0));
        let pair = Pair { puzzle, solution };
        assert_eq!(canonical(&image(&pair, &mut rng)), canonical(&pair));
    }

    #[test]
    fn a_leak_is_a_solution_that_a_symmetry_maps_to_a_held_out_one() {
        let mut rng = Rng::new(3);
        let all = pairs(6);
        let held_out = [image(&all[1], &mut rng), image(&all[4], &mut rng)];
        assert_eq!(leaks(&all, &held_out), [1, 4]);
        assert!(leaks(&all[2..4], &held_out).is_empty());
        assert!(leaks(&[], &held_out).is_empty());
    }
}
