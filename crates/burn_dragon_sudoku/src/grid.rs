//! Sudoku grid: a puzzle, a solution, or a partly filled grid.

use crate::units::{CELLS, UNITS};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// Grid of 81 cells, row by row from the top left. Each cell has a digit from 1 to 9, or 0 if it is empty.
///
/// The text form is 81 characters: digits, and `0`, `.` or `_` for an empty cell. 81 comma-separated fields can be
/// parsed too. [`Display`] writes `0` for an empty cell; the alternate form (`{:#}`) writes `.`.
///
/// ```
/// use burn_dragon_sudoku::api::Grid;
///
/// let text = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
/// let puzzle: Grid = text.parse()?;
/// assert_eq!(puzzle.filled(), 30);
/// assert_eq!(format!("{puzzle:#}"), text);
/// # Ok::<(), burn_dragon_sudoku::api::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grid {
    cells: [u8; CELLS],
}

/// Error of a text that is not a grid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: expected {expected}, found {given}")]
pub struct ParseError {
    /// Position of the character at fault, counted from 1.
    pub column: usize,
    /// Expected content at that position.
    pub expected: &'static str,
    /// Content at that position.
    pub given: String,
}

/// Conflict: two equal digits in one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "digit {digit} stands twice in a row, column or box: in {} and in {}",
    place(.cells[0]),
    place(.cells[1])
)]
pub struct Conflict {
    /// The digit, 1 to 9.
    pub digit: u8,
    /// Both cells, the smaller index first.
    pub cells: [usize; 2],
}

/// Name of a cell in messages: row and column, counted from 1.
pub(crate) fn place(cell: usize) -> String {
    format!("row {} column {}", cell / 9 + 1, cell % 9 + 1)
}

impl Grid {
    /// Grid without digits.
    pub const EMPTY: Self = Self { cells: [0; CELLS] };

    /// Creates a grid; `None` if a cell is above 9.
    pub fn new(cells: [u8; CELLS]) -> Option<Self> {
        cells.iter().all(|&digit| digit <= 9).then_some(Self { cells })
    }

    /// Cells; 0 is an empty cell.
    pub fn cells(&self) -> &[u8; CELLS] {
        &self.cells
    }

    /// The same grid with `digit` in `cell`.
    ///
    /// # Panics
    /// If `cell` is 81 or more, or `digit` is above 9.
    #[must_use]
    pub fn with(mut self, cell: usize, digit: u8) -> Self {
        assert!(digit <= 9, "a digit is at most 9, and {digit} was given");
        self.cells[cell] = digit;
        self
    }

    /// Number of cells with a digit. For a puzzle, the number of givens.
    pub fn filled(&self) -> usize {
        self.cells.iter().filter(|&&digit| digit != 0).count()
    }

    /// Indices of the empty cells.
    pub fn empty_cells(&self) -> impl Iterator<Item = usize> + '_ {
        (0..CELLS).filter(|&cell| self.cells[cell] == 0)
    }

    /// First conflict, if any.
    pub fn conflict(&self) -> Option<Conflict> {
        UNITS.iter().find_map(|unit| {
            let mut seen = [None; 10];
            unit.iter().find_map(|&cell| {
                let digit = self.cells[cell];
                let earlier = seen[digit as usize].replace(cell)?;
                (digit != 0).then_some(Conflict {
                    digit,
                    cells: [earlier, cell],
                })
            })
        })
    }

    /// Whether every cell has a digit and no rule is broken.
    pub fn is_solution(&self) -> bool {
        self.filled() == CELLS && self.conflict().is_none()
    }

    /// Whether the grid keeps all digits of `puzzle`.
    pub fn keeps(&self, puzzle: &Self) -> bool {
        let mut pairs = puzzle.cells.iter().zip(&self.cells);
        pairs.all(|(&given, &here)| given == 0 || given == here)
    }

    /// Whether the grid is a solution of `puzzle`: complete, no rule broken, all givens kept.
    pub fn solves(&self, puzzle: &Self) -> bool {
        self.keeps(puzzle) && self.is_solution()
    }
}

impl Display for Grid {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let empty = if f.alternate() { '.' } else { '0' };
        let text: String = self
            .cells
            .iter()
            .map(|&digit| {
                if digit == 0 {
                    empty
                } else {
                    char::from(b'0' + digit)
                }
            })
            .collect();
        f.write_str(&text)
    }
}

impl FromStr for Grid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.contains(',') {
            return between_commas(text);
        }
        let mut cells = [0; CELLS];
        let mut characters = text.chars();
        for (cell, digit) in cells.iter_mut().enumerate() {
            let Some(character) = characters.next() else {
                return Err(ended(cell + 1, format!("the end after {cell} of them")));
            };
            *digit = digit_of(character).ok_or_else(|| unexpected(cell + 1, format!("{character:?}")))?;
        }
        match characters.next() {
            Some(more) => Err(ParseError {
                column: CELLS + 1,
                expected: "the end after 81 cells",
                given: format!("{more:?}"),
            }),
            None => Ok(Self { cells }),
        }
    }
}

/// Parses 81 comma-separated fields; an empty field is an empty cell.
fn between_commas(text: &str) -> Result<Grid, ParseError> {
    let mut cells = [0; CELLS];
    let (mut column, mut fields) = (1, 0);
    for field in text.split(',') {
        let Some(digit) = cells.get_mut(fields) else {
            return Err(ParseError {
                column,
                expected: "the end after 81 fields",
                given: format!("{field:?}"),
            });
        };
        let mut characters = field.trim().chars();
        *digit = match (characters.next(), characters.next()) {
            (None, _) => 0,
            (Some(one), None) => digit_of(one).ok_or_else(|| unexpected(column, format!("{field:?}")))?,
            (Some(_), Some(_)) => return Err(unexpected(column, format!("{field:?}"))),
        };
        column += field.chars().count() + 1;
        fields += 1;
    }
    if fields < CELLS {
        return Err(ended(column, format!("the end after {fields} of them")));
    }
    Ok(Grid { cells })
}

fn digit_of(character: char) -> Option<u8> {
    match character {
        '.' | '_' => Some(0),
        _ => character.to_digit(10).and_then(|digit| u8::try_from(digit).ok()),
    }
}

fn unexpected(column: usize, given: String) -> ParseError {
    ParseError {
        column,
        expected: "a digit, or `0`, `.` or `_` for an empty cell",
        given,
    }
}

fn ended(column: usize, given: String) -> ParseError {
    ParseError {
        column,
        expected: "81 cells",
        given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUZZLE: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
    const SOLUTION: &str =
        "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

    fn grid(text: &str) -> Grid {
        text.parse().unwrap()
    }

    #[test]
    fn every_text_form_is_read_and_written_again() {
        let puzzle = grid(PUZZLE);
        assert_eq!(puzzle.to_string(), PUZZLE);
        assert_eq!(format!("{puzzle:#}"), PUZZLE.replace('0', "."));
        let fields: Vec<String> = PUZZLE.chars().map(String::from).collect();
        for text in [
            PUZZLE.replace('0', "."),
            PUZZLE.replace('0', "_"),
            fields.join(","),
            fields.join(", "),
            fields.join(",").replace('0', ""),
        ] {
            assert_eq!(grid(&text), puzzle, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_grid_says_where_and_what() {
        let refused = |text: &str| text.parse::<Grid>().unwrap_err();
        let error = refused(&PUZZLE.replacen('7', "x", 1));
        assert_eq!((error.column, error.given.as_str()), (5, "'x'"));
        let error = refused(&PUZZLE[..80]);
        assert_eq!((error.column, error.expected), (81, "81 cells"));
        assert!(error.given.contains("80"), "{error}");
        assert_eq!(refused(&format!("{PUZZLE}1")).column, 82);
        assert_eq!(refused("").column, 1);
        assert_eq!(refused("1,2,33").column, 5);
        assert_eq!(refused(&"1,".repeat(81)).column, 163);
        assert_eq!(refused(&"1,".repeat(10)).given, "the end after 11 of them");
        // Characters of several bytes are counted as one.
        assert_eq!(refused("1é3").column, 2);
        assert_eq!(refused("１").given, "'１'");
    }

    #[test]
    fn a_solution_is_complete_legal_and_keeps_the_givens() {
        let (puzzle, solution) = (grid(PUZZLE), grid(SOLUTION));
        assert!(solution.solves(&puzzle) && puzzle.conflict().is_none());
        assert!(!puzzle.solves(&puzzle), "it is not complete");
        // Legal and complete, of another puzzle: 1 and 2 exchanged.
        let exchanged = SOLUTION.replace('1', "x").replace('2', "1").replace('x', "2");
        assert!(grid(&exchanged).is_solution() && !grid(&exchanged).solves(&puzzle));
        let broken = solution.with(0, 3);
        let conflict = broken.conflict().unwrap();
        assert_eq!((conflict.digit, conflict.cells), (3, [0, 1]));
        assert!(!broken.is_solution());
        let text = conflict.to_string();
        assert!(
            text.contains("row 1 column 1") && text.contains("row 1 column 2"),
            "{text}"
        );
    }

    #[test]
    fn a_conflict_in_a_column_or_a_box_is_found() {
        let of = |cells: [usize; 2]| Grid::EMPTY.with(cells[0], 9).with(cells[1], 9).conflict();
        for cells in [[4, 76], [0, 20], [60, 80]] {
            assert_eq!(of(cells).unwrap().cells, cells);
        }
        assert_eq!(of([0, 12]), None);
        assert_eq!(Grid::EMPTY.conflict(), None);
    }

    #[test]
    fn cells_hold_no_more_than_nine() {
        assert!(Grid::new([9; CELLS]).is_some());
        assert!(Grid::new([10; CELLS]).is_none());
    }
}
