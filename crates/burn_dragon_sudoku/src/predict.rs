//! Puzzles in, solutions out: what `dragon predict` does with a sudoku model.

use crate::data::{Entry, LineError, entries, open};
use crate::evaluate::{Answer, answers};
use crate::export::model_of;
use crate::grid::Grid;
use crate::model::SudokuModel;
use burn_dragon_checkpoint::api::ModelFile;
use burn_dragon_train::api::{PredictRequest, Predictions, TrainError};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;

/// Most levels that a model is run: what is more would only take longer.
const MOST_LEVELS: usize = 1 << 16;

/// Fills the puzzles of a request with the model of a file.
///
/// # Errors
/// If the file is no sudoku model, the input neither a file nor a puzzle, or the number of levels none.
pub(crate) fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
    let model = model_of(file, &request.model, &request.device)?;
    let levels = request.steps.unwrap_or(model.config().n_levels);
    if !(1..=MOST_LEVELS).contains(&levels) {
        let text = format!("--steps {levels} is no number of levels to run; expected 1 to {MOST_LEVELS}");
        return Err(TrainError::Usage(text));
    }
    let predicted = Predicted::of(&model, input(&request.input)?, levels);
    Ok(Predictions {
        lines: predicted.lines(),
        object: predicted.object(),
        refused: predicted.refused.iter().map(ToString::to_string).collect(),
    })
}

/// Standard input, a file, or the text itself, which then is one puzzle.
fn input(text: &str) -> Result<Box<dyn BufRead>, TrainError> {
    if text == "-" {
        return Ok(Box::new(BufReader::new(stdin())));
    }
    let path = Path::new(text);
    if path.exists() {
        return Ok(Box::new(BufReader::new(open(path)?)));
    }
    match text.parse::<Grid>() {
        Ok(_) => Ok(Box::new(std::io::Cursor::new(text.to_string()))),
        Err(error) => Err(TrainError::BadInput(format!(
            "there is no file {text}, and it is no puzzle either: {error}"
        ))),
    }
}

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
