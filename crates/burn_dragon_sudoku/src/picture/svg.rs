//! Answers by step as one SVG: a row of grids for each puzzle.

use super::terminal::title;
use crate::grid::Grid;
use crate::solve::Frame;
use crate::units::CELLS;
use std::fmt::Write;

/// Side of a cell, in units of the picture.
const CELL: usize = 28;

/// Side of a grid with its margin, and the height of a row with its headings.
const PANEL: usize = 9 * CELL + 24;
const ROW: usize = PANEL + 20;

/// Picture of the answers to puzzles by step. Givens are black; a guess is blue, and the paler the less probable it is; a
/// digit that breaks a rule stands on red.
pub fn svg(puzzles: &[(Grid, Vec<Frame>)]) -> String {
    let most = puzzles.iter().map(|(_, frames)| frames.len()).max().unwrap_or(0);
    let (width, height) = (PANEL * most.max(1), ROW * puzzles.len().max(1));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" text-anchor=\"middle\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (row, (puzzle, frames)) in puzzles.iter().enumerate() {
        for (column, frame) in frames.iter().enumerate() {
            let (x, y) = (column * PANEL + 12, row * ROW + 28);
            text += &format!(
                "<g transform=\"translate({x} {y})\">\n{}</g>\n",
                panel(puzzle, frame)
            );
        }
    }
    text + "</svg>\n"
}

/// One grid with its heading.
fn panel(puzzle: &Grid, frame: &Frame) -> String {
    let middle = 9 * CELL / 2;
    let mut text = format!(
        "<text x=\"{middle}\" y=\"-8\" font-size=\"13\">{}</text>\n",
        title(puzzle, frame)
    );
    for cell in 0..CELLS {
        text += &of_cell(puzzle, frame, cell);
    }
    for line in 0..=9 {
        let (at, end) = (line * CELL, 9 * CELL);
        let width = if line % 3 == 0 { 2.0 } else { 0.5 };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "<path d=\"M{at} 0V{end}M0 {at}H{end}\" stroke=\"#222222\" stroke-width=\"{width}\"/>"
        );
    }
    text
}

fn of_cell(puzzle: &Grid, frame: &Frame, cell: usize) -> String {
    let digit = frame.grid.cells()[cell];
    let (x, y) = (cell % 9 * CELL, cell / 9 * CELL);
    let mut text = String::new();
    if breaks_a_rule(&frame.grid, cell) {
        text += &format!("<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"#f8c8c8\"/>\n");
    }
    let (x, y) = (x + CELL / 2, y + CELL / 2 + 6);
    let style = match puzzle.cells()[cell] {
        0 => format!(
            "fill=\"#1050c0\" fill-opacity=\"{:.2}\"",
            0.15 + 0.85 * frame.confidence[cell]
        ),
        _ => "font-weight=\"bold\"".to_string(),
    };
    text + &format!("<text x=\"{x}\" y=\"{y}\" font-size=\"17\" {style}>{digit}</text>\n")
}

/// Whether a unit of the cell has its digit twice.
fn breaks_a_rule(grid: &Grid, cell: usize) -> bool {
    let digit = grid.cells()[cell];
    crate::units::PEERS[cell]
        .iter()
        .any(|&peer| grid.cells()[peer] == digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_text_for_each_cell_and_red_where_a_rule_is_broken() {
        let solution: Grid =
            "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
                .parse()
                .unwrap();
        let puzzle = solution.with(0, 0);
        let frame = |step, grid| Frame {
            step,
            grid,
            confidence: std::iter::once(0.5).chain(vec![1.0; 80]).collect(),
        };
        let right = vec![frame(2, solution)];
        let picture = svg(&[(puzzle, right.clone())]);
        assert_eq!(picture.matches("<text").count(), 82);
        assert_eq!(picture.matches("bold").count(), 80);
        assert!(picture.contains("fill-opacity=\"0.57\"") || picture.contains("fill-opacity=\"0.58\""));
        assert!(picture.contains("2 levels: solved") && !picture.contains("#f8c8c8"));
        // 3 in the first cell is a second one in its row and its box.
        let wrong = vec![frame(1, solution.with(0, 3)), right[0].clone()];
        let picture = svg(&[(puzzle, wrong), (puzzle, right)]);
        assert!(picture.matches("#f8c8c8").count() >= 2);
        assert!(picture.contains(&format!("viewBox=\"0 0 {} {}\"", 2 * PANEL, 2 * ROW)));
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
    }
}
