//! Pictures of puzzles and a model's answers: text for a terminal, and SVG.

mod svg;
mod terminal;

pub use self::svg::svg;
pub use self::terminal::draw_frames;

use crate::evaluate::Answer;
use crate::grid::Grid;

/// Draws the puzzle and the answer side by side. Digits that differ from the solution are in parentheses.
pub fn draw(answer: &Answer, solution: &Grid) -> String {
    let puzzle = |cell: usize| match answer.puzzle.cells()[cell] {
        0 => " . ".to_string(),
        digit => format!(" {digit} "),
    };
    let filled = |cell: usize| match (answer.grid.cells()[cell], solution.cells()[cell]) {
        (digit, right) if digit == right => format!(" {digit} "),
        (digit, _) => format!("({digit})"),
    };
    let mut lines = Vec::with_capacity(11);
    for row in 0..9 {
        if row % 3 == 0 && row > 0 {
            lines.push(format!("{RULE}   {RULE}"));
        }
        lines.push(format!("{}   {}", line(row, puzzle), line(row, filled)));
    }
    lines.join("\n")
}

/// Line between two bands.
const RULE: &str = "---------+---------+---------";

/// Row with its boxes divided.
fn line(row: usize, cell: impl Fn(usize) -> String) -> String {
    let boxes = [0, 3, 6].map(|first| {
        (first..first + 3)
            .map(|column| cell(row * 9 + column))
            .collect::<String>()
    });
    boxes.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_digit_stands_in_parentheses_and_nothing_else_does() {
        let solution: Grid =
            "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
                .parse()
                .unwrap();
        let answer = Answer {
            puzzle: solution.with(0, 0).with(80, 0),
            grid: solution.with(80, 1),
        };
        let drawn = draw(&answer, &solution);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(
            lines[0],
            " .  3  4 | 6  7  8 | 9  1  2     5  3  4 | 6  7  8 | 9  1  2 "
        );
        assert_eq!(
            lines[10],
            " 3  4  5 | 2  8  6 | 1  7  .     3  4  5 | 2  8  6 | 1  7 (1)"
        );
        assert_eq!(drawn.matches('(').count(), 1);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    }
}
