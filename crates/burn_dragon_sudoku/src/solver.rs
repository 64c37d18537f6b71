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
    /// The search was stopped after [`MOST_GUESSES`] guesses, before a second solution was found or excluded.
    Unknown,
}

/// Maximum number of guesses of [`solve`]: a few seconds of search. The hardest published puzzles take some thousands.
pub const MOST_GUESSES: u64 = 1_000_000;

/// Limits of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchLimits {
    /// Number of solutions after which the search stops, at least 1.
    pub solutions: usize,
    /// Maximum number of guesses.
    pub guesses: u64,
}

impl SearchLimits {
    /// Limits that decide whether a puzzle has exactly one solution.
    pub const UNIQUENESS: Self = Self {
        solutions: 2,
        guesses: MOST_GUESSES,
    };
}

/// Reason for the end of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// Everything was tried: there are no solutions but those found.
    Exhausted,
    /// The limit of solutions was reached: there may be more.
    Solutions,
    /// The limit of guesses was reached: there may be more solutions.
    Guesses,
}

/// Result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Solutions, in the order in which they were found.
    pub solutions: Vec<Grid>,
    /// Number of guesses: candidates that were tried in a cell where no single is left.
    pub guesses: u64,
    /// Reason for the end.
    pub end: SearchEnd,
}

/// Deductions that fill cells without a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Singles {
    /// Naked singles.
    Naked,
    /// Naked and hidden singles.
    NakedAndHidden,
}

/// Solves a puzzle. The search stops at the second solution, or after [`MOST_GUESSES`] guesses.
pub fn solve(puzzle: &Grid) -> Solutions {
    let Search { solutions, end, .. } = search(puzzle, SearchLimits::UNIQUENESS);
    match (&solutions[..], end) {
        ([one, two, ..], _) => Solutions::Many([*one, *two]),
        (_, SearchEnd::Guesses) => Solutions::Unknown,
        ([one], _) => Solutions::One(*one),
        ([], _) => Solutions::None,
    }
}

/// Searches for solutions within limits, and counts solutions and guesses.
///
/// Singles are filled first. Where none is left, the candidates of a cell with the fewest are tried in turn.
pub fn search(puzzle: &Grid, limits: SearchLimits) -> Search {
    walk(Board::of(puzzle), limits, &mut lowest)
}

/// The solution of a search that tries, in each cell, the candidate chosen by `first` (from bits) before the others. It
/// is random if `first` is.
pub(crate) fn solve_in_order(puzzle: &Grid, mut first: impl FnMut(u16) -> u16) -> Option<Grid> {
    let limits = SearchLimits {
        solutions: 1,
        guesses: MOST_GUESSES,
    };
    walk(Board::of(puzzle), limits, &mut first).solutions.pop()
}

/// Whether `puzzle` has no solution but `solution`, which is one of its solutions, if the digit of `cell` was a given of a
/// puzzle with only that solution. `None` if the search was stopped.
pub(crate) fn is_unique_without(puzzle: &Grid, solution: &Grid, cell: usize) -> Option<bool> {
    let mut board = Board::of(puzzle)?;
    // Another solution has another digit in the cell, since with this digit it would be a second one of the fuller puzzle.
    board.candidates[cell] &= !bit(solution.cells()[cell]);
    let other = (board.candidates[cell] != 0).then_some(board);
    let limits = SearchLimits {
        solutions: 1,
        guesses: MOST_GUESSES,
    };
    let Search { solutions, end, .. } = walk(other, limits, &mut lowest);
    match end {
        SearchEnd::Guesses => None,
        SearchEnd::Exhausted | SearchEnd::Solutions => Some(solutions.is_empty()),
    }
}

fn walk(board: Option<Board>, limits: SearchLimits, first: &mut dyn FnMut(u16) -> u16) -> Search {
    let mut walk = Walk {
        limits,
        first,
        solutions: Vec::with_capacity(2),
        guesses: 0,
    };
    let end = board.and_then(|board| walk.descend(board));
    Search {
        solutions: walk.solutions,
        guesses: walk.guesses,
        end: end.unwrap_or(SearchEnd::Exhausted),
    }
}

/// State of a depth-first search.
struct Walk<'a> {
    limits: SearchLimits,
    first: &'a mut dyn FnMut(u16) -> u16,
    solutions: Vec<Grid>,
    guesses: u64,
}

impl Walk<'_> {
    /// Searches below a board, in the cell with the fewest candidates; the reason, if a limit ends the whole search.
    fn descend(&mut self, mut board: Board) -> Option<SearchEnd> {
        board.propagate(Singles::NakedAndHidden)?;
        if board.is_complete() {
            self.solutions.push(board.grid());
            return (self.solutions.len() >= self.limits.solutions).then_some(SearchEnd::Solutions);
        }
        let cell = board.branching_cell();
        let mut left = board.candidates[cell];
        while left != 0 {
            if self.guesses == self.limits.guesses {
                return Some(SearchEnd::Guesses);
            }
            self.guesses += 1;
            let bit = (self.first)(left);
            left &= !bit;
            let mut next = board.clone();
            if next.fill(cell, bit).is_some()
                && let Some(end) = self.descend(next)
            {
                return Some(end);
            }
        }
        None
    }
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

    fn limits(solutions: usize, guesses: u64) -> SearchLimits {
        SearchLimits { solutions, guesses }
    }

    #[test]
    fn a_search_says_why_it_ended() {
        let of = |puzzle: &Grid, limits| search(puzzle, limits);
        let easy = of(&grid(EASY), SearchLimits::UNIQUENESS);
        assert_eq!((easy.guesses, easy.end), (0, SearchEnd::Exhausted));
        let hard = of(&grid(HARD), SearchLimits::UNIQUENESS);
        assert_eq!((hard.solutions.len(), hard.end), (1, SearchEnd::Exhausted));
        assert!(hard.guesses > 0, "{hard:?}");
        // One guess fewer than it takes: nothing is known for certain.
        let stopped = of(&grid(HARD), limits(2, hard.guesses - 1));
        assert_eq!(
            (stopped.end, stopped.guesses),
            (SearchEnd::Guesses, hard.guesses - 1)
        );
        let many = of(&Grid::EMPTY, limits(5, MOST_GUESSES));
        assert_eq!((many.solutions.len(), many.end), (5, SearchEnd::Solutions));
        let none = of(&grid(EASY).with(2, 5), SearchLimits::UNIQUENESS);
        assert_eq!((none.solutions.len(), none.end), (0, SearchEnd::Exhausted));
    }

    #[test]
    fn a_given_that_is_not_needed_is_told_from_one_that_is() {
        let (puzzle, solution) = (grid(EASY), grid(SOLUTION));
        let mut seen = [0; 2];
        for cell in (0..CELLS).filter(|&cell| puzzle.cells()[cell] != 0) {
            let without = puzzle.with(cell, 0);
            let unique = matches!(solve(&without), Solutions::One(_));
            assert_eq!(
                is_unique_without(&without, &solution, cell),
                Some(unique),
                "{cell}"
            );
            seen[usize::from(unique)] += 1;
        }
        assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}: both kinds are to be met");
    }

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
                Solutions::Unknown => panic!("{puzzle}: few cells are open"),
            };
            let counted = count(puzzle);
            assert_eq!(solutions, counted.min(2), "{puzzle}");
            let all = search(&puzzle, limits(1000, MOST_GUESSES));
            assert_eq!((all.solutions.len(), all.end), (counted, SearchEnd::Exhausted));
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
