//! Puzzles in, solutions out: what `dragon predict` does with a sudoku model.

use crate::data::{Entry, LineError, entries};
use crate::evaluate::{Answer, answers};
use crate::grid::Grid;
use crate::model::SudokuModel;
use serde_json::{Map, Value, json};
use std::io::BufRead;

/// What a model makes of the puzzles of a text, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicted {
    /// Levels that were run.
    pub levels: usize,
    /// Answers, each with the line of its puzzle.
    pub answers: Vec<(usize, Answer)>,
    /// Lines that are no puzzles.
    pub refused: Vec<LineError>,
}

impl Predicted {
    /// Reads puzzles and fills them.
    pub fn of(model: &SudokuModel, text: impl BufRead, levels: usize) -> Self {
        let (read, refused): (Vec<_>, Vec<_>) = entries(text).partition(Result::is_ok);
        let read: Vec<Entry> = read.into_iter().filter_map(Result::ok).collect();
        let puzzles: Vec<Grid> = read.iter().map(|entry| entry.puzzle).collect();
        let lines = read.iter().map(|entry| entry.line);
        Self {
            levels,
            answers: lines.zip(answers(model, &puzzles, levels)).collect(),
            refused: refused.into_iter().filter_map(Result::err).collect(),
        }
    }

    /// Answers that solve their puzzle.
    pub fn solved(&self) -> usize {
        self.answers
            .iter()
            .filter(|(_, answer)| answer.is_solved())
            .count()
    }

    /// An answer a line: the grid, and whether it is a solution or which rule it breaks.
    pub fn lines(&self) -> Vec<String> {
        let line = |(_, answer): &(usize, Answer)| match answer.conflict() {
            None => format!("{}  solved", answer.grid),
            Some(conflict) => format!("{}  not solved: {conflict}", answer.grid),
        };
        self.answers.iter().map(line).collect()
    }

    /// The answers as an object.
    pub fn object(&self) -> Map<String, Value> {
        let answer = |(line, answer): &(usize, Answer)| {
            json!({
                "line": line,
                "grid": answer.grid.to_string(),
                "solved": answer.is_solved(),
                "keeps_givens": answer.grid.keeps(&answer.puzzle),
                "conflict": answer.conflict().map(|conflict| conflict.to_string()),
                "steps": self.levels,
            })
        };
        let refused = |error: &LineError| json!({ "line": error.line, "problem": error.problem.to_string() });
        [
            ("solutions", self.answers.iter().map(answer).collect::<Value>()),
            ("refused", self.refused.iter().map(refused).collect()),
            ("solved", json!(self.solved())),
            ("of", json!(self.answers.len())),
        ]
        .map(|(key, value)| (key.to_string(), value))
        .into_iter()
        .collect()
    }
}
