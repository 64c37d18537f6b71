//! Rating of puzzles by an exact solver: the guesses that a search with singles takes.

use crate::grid::Grid;
use crate::solver::{Search, SearchEnd, SearchLimits, search};
use serde::Serialize;

/// Rating of a puzzle with exactly one solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rating {
    /// Number of guesses until no other solution is possible: candidates tried where no single is left. 0: naked and hidden
    /// singles solve the puzzle.
    pub guesses: u64,
    /// Number of givens.
    pub givens: usize,
}

/// Class of ratings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difficulty {
    /// Singles solve it, and it has at least 32 givens.
    Easy,
    /// Singles solve it, and it has fewer givens.
    Medium,
    /// 1 to 10 guesses.
    Hard,
    /// 11 to 100 guesses.
    VeryHard,
    /// More than 100 guesses.
    Extreme,
}

impl Rating {
    /// Rating of a puzzle; `None` unless it is known to have exactly one solution.
    pub fn of(puzzle: &Grid) -> Option<Self> {
        Self::with_solution(puzzle).map(|(rating, _)| rating)
    }

    /// Rating of a puzzle and its solution; `None` unless it is known to have exactly one.
    pub fn with_solution(puzzle: &Grid) -> Option<(Self, Grid)> {
        let Search {
            solutions,
            guesses,
            end,
        } = search(puzzle, SearchLimits::UNIQUENESS);
        let rating = Self {
            guesses,
            givens: puzzle.filled(),
        };
        match (&solutions[..], end) {
            ([solution], SearchEnd::Exhausted) => Some((rating, *solution)),
            _ => None,
        }
    }

    /// Whether naked and hidden singles solve the puzzle.
    pub fn is_singles_only(&self) -> bool {
        self.guesses == 0
    }

    /// Class of the rating.
    pub fn difficulty(&self) -> Difficulty {
        match (self.guesses, self.givens) {
            (0, 32..) => Difficulty::Easy,
            (0, _) => Difficulty::Medium,
            (1..=10, _) => Difficulty::Hard,
            (11..=100, _) => Difficulty::VeryHard,
            _ => Difficulty::Extreme,
        }
    }
}

impl Difficulty {
    /// All classes, easiest first.
    pub const ALL: [Self; 5] = [
        Self::Easy,
        Self::Medium,
        Self::Hard,
        Self::VeryHard,
        Self::Extreme,
    ];

    /// Name in metrics and JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
            Self::VeryHard => "very_hard",
            Self::Extreme => "extreme",
        }
    }

    /// Description for a table.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Easy => "singles, 32 givens or more",
            Self::Medium => "singles, fewer givens",
            Self::Hard => "1 to 10 guesses",
            Self::VeryHard => "11 to 100 guesses",
            Self::Extreme => "more than 100 guesses",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::{Singles, fill_singles};

    const EASY: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
    /// Arto Inkala's puzzle of 2010.
    const HARD: &str = "005300000800000020070010500400005300010070006003200080060500009004000030000009700";
    /// The first line of a list of puzzles with 17 givens.
    const SEVENTEEN: &str =
        "000000010400000000020000000000050407008000300001090000300400200050100000000806000";

    fn rating(text: &str) -> Rating {
        Rating::of(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_rating_counts_guesses_and_givens() {
        assert_eq!(rating(EASY).difficulty(), Difficulty::Medium);
        assert_eq!((rating(EASY).guesses, rating(EASY).givens), (0, 30));
        assert!(rating(SEVENTEEN).is_singles_only());
        let hard = rating(HARD);
        assert!(
            !hard.is_singles_only() && hard.difficulty() >= Difficulty::Hard,
            "{hard:?}"
        );
        let of = |guesses, givens| Rating { guesses, givens }.difficulty();
        assert_eq!(of(0, 32), Difficulty::Easy);
        assert_eq!(of(10, 40), Difficulty::Hard);
        assert_eq!(of(11, 17), Difficulty::VeryHard);
        assert_eq!(of(101, 17), Difficulty::Extreme);
        assert!(Difficulty::ALL.is_sorted());
    }

    #[test]
    fn no_guesses_are_what_singles_solve() {
        for text in [EASY, HARD, SEVENTEEN] {
            let puzzle: Grid = text.parse().unwrap();
            let filled = fill_singles(&puzzle, Singles::NakedAndHidden).filled();
            assert_eq!(rating(text).is_singles_only(), filled == 81, "{text}");
        }
    }

    #[test]
    fn a_puzzle_without_exactly_one_solution_has_no_rating() {
        assert_eq!(Rating::of(&Grid::EMPTY), None);
        let two_in_a_row = EASY.replacen("530", "535", 1).parse().unwrap();
        assert_eq!(Rating::of(&two_in_a_row), None);
    }

    /// Shares that were measured with another solver on a published list.
    #[test]
    fn the_rating_of_a_published_list_is_the_known_one() {
        let Some(folder) = std::env::var_os("DRAGON_DATA_DIR") else {
            println!("skipped: DRAGON_DATA_DIR is not set");
            return;
        };
        let path = std::path::Path::new(&folder).join("sudoku/17clue_norvig.txt");
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: {} is not there", path.display());
            return;
        };
        let ratings: Vec<Rating> = text.lines().step_by(100).map(rating).collect();
        let singles = ratings.iter().filter(|rating| rating.is_singles_only()).count();
        let share = singles as f64 / ratings.len() as f64;
        assert!((0.40..0.50).contains(&share), "{share}: 44.6 % of the whole list");
        assert!(ratings.iter().all(|rating| rating.givens == 17));
    }
}
