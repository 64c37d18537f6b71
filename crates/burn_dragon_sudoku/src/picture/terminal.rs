//! Answers by step as text, side by side.

use super::{RULE, line};
use crate::grid::Grid;
use crate::solve::Frame;

/// Number of grids side by side.
const ABREAST: usize = 3;

/// Marks of guesses by their probability, surest first: those of at least so much have the mark.
const MARKS: [(f32, char); 3] = [(0.99, '\''), (0.6, '~'), (0.0, '?')];

/// Draws the answers to a puzzle by step. A given has no mark; a guess has one that tells its probability.
pub fn draw_frames(puzzle: &Grid, frames: &[Frame]) -> String {
    let mut lines = vec!["no mark: given;  ' at least 99 %;  ~ at least 60 %;  ? less".to_string()];
    for abreast in frames.chunks(ABREAST) {
        lines.push(String::new());
        let titles = abreast
            .iter()
            .map(|frame| format!("{:<29}", title(puzzle, frame)));
        lines.push(titles.collect::<Vec<_>>().join("   ").trim_end().to_string());
        for row in 0..9 {
            if row % 3 == 0 && row > 0 {
                lines.push(vec![RULE; abreast.len()].join("   "));
            }
            let rows = abreast
                .iter()
                .map(|frame| line(row, |cell| marked(puzzle, frame, cell)));
            lines.push(rows.collect::<Vec<_>>().join("   ").trim_end().to_string());
        }
    }
    lines.join("\n")
}

/// Heading of a frame.
pub(super) fn title(puzzle: &Grid, frame: &Frame) -> String {
    let levels = if frame.step == 1 { "level" } else { "levels" };
    let solved = if frame.grid.solves(puzzle) { ": solved" } else { "" };
    format!("{} {levels}{solved}", frame.step)
}

fn marked(puzzle: &Grid, frame: &Frame, cell: usize) -> String {
    let digit = frame.grid.cells()[cell];
    let sure = |(least, _): &&(f32, char)| frame.confidence[cell] >= *least;
    let mark = match puzzle.cells()[cell] {
        0 => MARKS.iter().find(sure).map_or('?', |(_, mark)| *mark),
        _ => ' ',
    };
    format!(" {digit}{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_how_sure_a_guess_is_and_givens_have_none() {
        let solution: Grid =
            "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
                .parse()
                .unwrap();
        let puzzle = (0..3).fold(solution, |puzzle, cell| puzzle.with(cell, 0));
        let frame = |step, second, grid| {
            let mut confidence = vec![1.0; 81];
            confidence[..3].copy_from_slice(&[0.995, second, 0.2]);
            Frame {
                step,
                grid,
                confidence,
            }
        };
        let frames = [
            frame(1, 0.7, solution.with(2, 9)),
            frame(2, 0.991, solution),
            frame(4, 0.991, solution),
            frame(8, 0.991, solution),
        ];
        let drawn = draw_frames(&puzzle, &frames);
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines[2].starts_with("1 level ") && lines[2].ends_with("4 levels: solved"));
        assert!(lines[3].starts_with(" 5' 3~ 9?| 6  7  8 |"), "{drawn}");
        assert!(lines[3].contains(" 5' 3' 4?| 6  7  8 |"), "{drawn}");
        assert_eq!(lines.len(), 1 + 2 * 13);
        assert!(lines[15].starts_with("8 levels: solved"));
    }
}
