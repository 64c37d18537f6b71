//! Exact solver: candidates as bits, constraint propagation and search; and the solution by singles alone.
//!
//! A cell is a *naked single* if its row, column and box leave one digit for it. A digit is a *hidden single* of a unit
//! if one cell of the unit is left for it. Both are deductions, so a puzzle that they fill has one solution.

use crate::grid::Grid;
use crate::units::{CELLS, PEERS, UNITS};

/// All nine digits, digit `d` as bit `d - 1`.
const ALL: u16 = 0x1FF;

/// Solutions of a puzzle, at most two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solutions {
    /// No solution.
    None,
    /// Exactly one solution.
    One(Grid),
    /// At least these two solutions.
    Many([Grid; 2]),
}

/// Deductions that fill cells without a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Singles {
    /// Naked singles.
    Naked,
    /// Naked and hidden singles.
    NakedAndHidden,
}

/// Solves a puzzle. The search stops at the second solution.
pub fn solve(puzzle: &Grid) -> Solutions {
    let mut found = Vec::with_capacity(2);
    if let Some(board) = Board::of(puzzle) {
        board.search(2, &mut lowest, &mut found);
    }
    match found[..] {
        [] => Solutions::None,
        [one] => Solutions::One(one),
        [one, two, ..] => Solutions::Many([one, two]),
    }
}

/// Solution found by a search that tries, in each cell, the candidate chosen by `first` (from bits) before the others.
/// It is random if `first` is.
pub(crate) fn solve_in_order(puzzle: &Grid, mut first: impl FnMut(u16) -> u16) -> Option<Grid> {
    let mut found = Vec::with_capacity(1);
    Board::of(puzzle)?.search(1, &mut first, &mut found);
    found.pop()
}

/// The smallest of some digits.
fn lowest(candidates: u16) -> u16 {
    candidates & candidates.wrapping_neg()
}

/// Fills all cells that follow by repeated singles. A contradictory puzzle is filled until the contradiction shows.
pub fn fill_singles(puzzle: &Grid, singles: Singles) -> Grid {
    match Board::of(puzzle) {
        Some(mut board) => {
            // A contradiction leaves what was filled before it.
            let _contradiction = board.propagate(singles).is_none();
            board.grid()
        }
        None => *puzzle,
    }
}

/// Candidates of each cell, digit `d` as bit `d - 1`: for an empty cell the digits that no peer has, for a filled cell
/// its own digit.
pub fn candidates(puzzle: &Grid) -> [u16; CELLS] {
    let cells = puzzle.cells();
    std::array::from_fn(|cell| match cells[cell] {
        0 => {
            let taken = PEERS[cell]
                .iter()
                .fold(0, |taken, &peer| taken | bit(cells[peer]));
            ALL & !taken
        }
        digit => bit(digit),
    })
}

/// Bit of a digit; 0 for an empty cell.
const fn bit(digit: u8) -> u16 {
    (1 << digit) >> 1
}

/// Digit of a single bit.
const fn digit(bit: u16) -> u8 {
    bit.trailing_zeros() as u8 + 1
}

/// State of the search.
#[derive(Clone)]
struct Board {
    /// Candidates of each cell; for a filled cell its own digit.
    candidates: [u16; CELLS],
    /// Cells whose digit is filled in and removed from their peers, cell `c` as bit `c`.
    filled: u128,
}

impl Board {
    /// The givens, filled in; `None` if they contradict each other.
    fn of(puzzle: &Grid) -> Option<Self> {
        let mut board = Self {
            candidates: [ALL; CELLS],
            filled: 0,
        };
        for (cell, &digit) in puzzle.cells().iter().enumerate() {
            if digit != 0 {
                board.fill(cell, bit(digit))?;
            }
        }
        Some(board)
    }

    /// The digits filled in.
    fn grid(&self) -> Grid {
        (0..CELLS)
            .filter(|&cell| self.is_filled(cell))
            .fold(Grid::EMPTY, |grid, cell| {
                grid.with(cell, digit(self.candidates[cell]))
            })
    }

    fn is_filled(&self, cell: usize) -> bool {
        self.filled >> cell & 1 == 1
    }

    fn is_complete(&self) -> bool {
        self.filled == (1 << CELLS) - 1
    }

    /// Fills a cell and removes the digit from its peers; `None` if a cell then has no candidate.
    fn fill(&mut self, cell: usize, bit: u16) -> Option<()> {
        if self.candidates[cell] & bit == 0 {
            return None;
        }
        self.candidates[cell] = bit;
        self.filled |= 1 << cell;
        for &peer in &PEERS[cell] {
            self.candidates[peer] &= !bit;
            if self.candidates[peer] == 0 {
                return None;
            }
        }
        Some(())
    }

    /// Fills singles until there are none; `None` for a contradiction.
    fn propagate(&mut self, singles: Singles) -> Option<()> {
        loop {
            if self.naked()? {
                continue;
            }
            if singles == Singles::Naked || !self.hidden()? {
                return Some(());
            }
        }
    }

    /// Fills the naked singles. Returns whether there was one; `None` for a contradiction.
    fn naked(&mut self) -> Option<bool> {
        let mut found = false;
        for cell in 0..CELLS {
            if !self.is_filled(cell) && self.candidates[cell].is_power_of_two() {
                self.fill(cell, self.candidates[cell])?;
                found = true;
            }
        }
        Some(found)
    }

    /// Fills the hidden singles of each unit. Returns whether there was one; `None` for a contradiction.
    fn hidden(&mut self) -> Option<bool> {
        let mut found = false;
        for unit in &UNITS {
            let (mut once, mut twice) = (0, 0);
            for &cell in unit {
                twice |= once & self.candidates[cell];
                once |= self.candidates[cell];
            }
            if once != ALL {
                return None; // a digit has no cell
            }
            let single = once & !twice;
            for &cell in unit {
                let here = self.candidates[cell] & single;
                if here != 0 && !self.is_filled(cell) {
                    // Two digits that are left to one cell contradict each other.
                    self.fill(cell, here.is_power_of_two().then_some(here)?)?;
                    found = true;
                }
            }
        }
        Some(found)
    }

    /// Depth-first search for solutions, in the cell with the fewest candidates. It stops when `limit` solutions are
    /// found in all.
    fn search(mut self, limit: usize, first: &mut impl FnMut(u16) -> u16, found: &mut Vec<Grid>) {
        if self.propagate(Singles::NakedAndHidden).is_none() {
            return;
        }
        if self.is_complete() {
            found.push(self.grid());
            return;
        }
        let cell = self.branching_cell();
        let mut left = self.candidates[cell];
        while left != 0 && found.len() < limit {
            let bit = first(left);
            left &= !bit;
            let mut next = self.clone();
            if next.fill(cell, bit).is_some() {
                next.search(limit, first, found);
            }
        }
    }

    /// The empty cell with the fewest candidates.
    fn branching_cell(&self) -> usize {
        let open = (0..CELLS).filter(|&cell| !self.is_filled(cell));
        open.min_by_key(|&cell| self.candidates[cell].count_ones())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> Grid {
        text.parse().unwrap()
    }

    const EASY: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
    const SOLUTION: &str =
        "534678912672195348198342567859761423426853791713924856961537284287419635345286179";
    /// Arto Inkala's puzzle of 2010: singles fill none of it.
    const HARD: &str = "005300000800000020070010500400005300010070006003200080060500009004000030000009700";

    #[test]
    fn a_puzzle_with_one_solution_is_solved() {
        assert_eq!(solve(&grid(EASY)), Solutions::One(grid(SOLUTION)));
        let Solutions::One(solution) = solve(&grid(HARD)) else {
            panic!()
        };
        assert!(solution.solves(&grid(HARD)));
    }

    #[test]
    fn a_solution_solves_itself_and_two_solutions_are_told_from_one() {
        let solution = grid(SOLUTION);
        assert_eq!(solve(&solution), Solutions::One(solution));
        let Solutions::Many([one, two]) = solve(&Grid::EMPTY) else {
            panic!()
        };
        assert!(one != two && one.is_solution() && two.is_solution());
    }

    #[test]
    fn a_puzzle_without_a_solution_has_none() {
        assert_eq!(solve(&grid(EASY).with(2, 5)), Solutions::None, "two 5 in a row");
        // The first row leaves 9 to its last cell, and the box below it holds one.
        let puzzle = (0..8).fold(Grid::EMPTY, |grid, cell| grid.with(cell, cell as u8 + 1));
        assert_eq!(solve(&puzzle.with(17, 9)), Solutions::None);
        assert!(matches!(solve(&puzzle), Solutions::Many(_)));
    }

    #[test]
    fn the_count_is_that_of_trying_everything() {
        // Of a solution some cells are emptied; the completions are counted by the rules alone.
        fn count(grid: Grid) -> usize {
            let Some(cell) = grid.empty_cells().next() else {
                return 1;
            };
            let legal = (1..=9)
                .map(|digit| grid.with(cell, digit))
                .filter(|g| g.conflict().is_none());
            legal.map(count).sum()
        }
        let mut rng = burn_dragon_core::api::expert::Rng::new(3);
        let mut seen = [0; 3];
        for _ in 0..60 {
            let mut puzzle = grid(SOLUTION);
            (0..60).for_each(|_| puzzle = puzzle.with(rng.below(CELLS), 0));
            let solutions = match solve(&puzzle) {
                Solutions::None => 0,
                Solutions::One(_) => 1,
                Solutions::Many(_) => 2,
            };
            assert_eq!(solutions, count(puzzle).min(2), "{puzzle}");
            seen[solutions] += 1;
        }
        assert!(seen[1] > 0 && seen[2] > 0, "{seen:?}: both kinds are to be met");
    }

    #[test]
    fn singles_fill_what_follows_and_nothing_else() {
        let (puzzle, solution) = (grid(EASY), grid(SOLUTION));
        assert_eq!(fill_singles(&puzzle, Singles::NakedAndHidden), solution);
        let naked = fill_singles(&puzzle, Singles::Naked);
        assert!(solution.keeps(&naked) && naked.keeps(&puzzle) && naked.filled() > puzzle.filled());
        assert_eq!(fill_singles(&grid(HARD), Singles::Naked).filled(), 23);
        // Hidden, and not naked: 1 in the first box, whose other rows and columns hold one.
        let hidden = [(14, 1), (24, 1), (28, 1), (56, 1)];
        let hidden = hidden
            .into_iter()
            .fold(Grid::EMPTY, |grid, (cell, digit)| grid.with(cell, digit));
        assert_eq!(fill_singles(&hidden, Singles::Naked), hidden);
        assert_eq!(fill_singles(&hidden, Singles::NakedAndHidden), hidden.with(0, 1));
    }

    #[test]
    fn candidates_are_what_the_rules_leave() {
        let left = candidates(&grid(EASY));
        assert_eq!(left[0], 1 << 4, "a given is its own");
        assert_eq!(left[2], 0b1011, "1, 2 and 4");
        assert_eq!(candidates(&Grid::EMPTY), [ALL; CELLS]);
    }
}
