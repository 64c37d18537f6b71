//! Prediction: solutions of given puzzles, for `dragon predict`.

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

/// Maximum number of levels to run.
const MOST_LEVELS: usize = 1 << 16;

/// Fills the puzzles of a request with the model of a file.
///
/// # Errors
/// If the file is not a sudoku model, the input is neither a file nor a puzzle, or the number of levels is out of
/// range.
pub(crate) fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
    let model = model_of(file, &request.model, &request.device)?;
    let levels = request.steps.unwrap_or(model.config().n_levels);
    if !(1..=MOST_LEVELS).contains(&levels) {
        let text = format!("--steps {levels}: expected a number of levels from 1 to {MOST_LEVELS}");
        return Err(TrainError::Usage(text));
    }
    let predicted = Predicted::of(&model, input(&request.input)?, levels);
    Ok(Predictions {
        lines: predicted.lines(),
        object: predicted.object(),
        refused: predicted.refused.iter().map(ToString::to_string).collect(),
    })
}

/// Input: standard input, a file, or the text itself as one puzzle.
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
            "{text} is neither a file nor a puzzle: {error}"
        ))),
    }
}

/// Predictions for the puzzles of a text, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicted {
    /// Number of levels that were run.
    pub levels: usize,
    /// Answers, each with the line number of its puzzle.
    pub answers: Vec<(usize, Answer)>,
    /// Errors of lines that are not puzzles.
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

    /// Number of answers that solve their puzzle.
    pub fn solved(&self) -> usize {
        self.answers
            .iter()
            .filter(|(_, answer)| answer.is_solved())
            .count()
    }

    /// Lines with one answer each: the grid, and whether it is a solution or which rule it breaks.
    pub fn lines(&self) -> Vec<String> {
        let line = |(_, answer): &(usize, Answer)| match answer.conflict() {
            None => format!("{}  solved", answer.grid),
            Some(conflict) => format!("{}  not solved: {conflict}", answer.grid),
        };
        self.answers.iter().map(line).collect()
    }

    /// Answers as a JSON object.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::export::model_file;
    use burn::tensor::Device;

    const PUZZLE: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
    const SOLUTION: &str =
        "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

    fn model() -> SudokuModel {
        let config = ModelConfig {
            d_model: 16,
            n_neurons: 32,
            n_levels: 2,
            ..ModelConfig::default()
        };
        SudokuModel::new(&config, 1, &Device::flex()).unwrap()
    }

    fn asked(input: &str, steps: Option<usize>) -> Result<Predictions, TrainError> {
        let request = PredictRequest {
            model: "model.bpk".into(),
            input: input.into(),
            steps,
            device: Device::flex(),
        };
        predict(model_file(&model(), 1, 4), &request)
    }

    #[test]
    fn answers_come_in_the_order_of_the_puzzles_and_bad_lines_beside_them() {
        let text = format!("{SOLUTION}\nno puzzle\n\n{PUZZLE}\n");
        let predicted = Predicted::of(&model(), text.as_bytes(), 2);
        let lines: Vec<usize> = predicted.answers.iter().map(|(line, _)| *line).collect();
        assert_eq!((lines, predicted.refused[0].line), (vec![1, 4], 2));
        assert_eq!(predicted.lines()[0], format!("{SOLUTION}  solved"));
        let (answer, line) = (predicted.answers[1].1, &predicted.lines()[1]);
        assert!(
            answer.grid.keeps(&answer.puzzle) && !answer.is_solved(),
            "an untrained model solves nothing"
        );
        assert!(
            line.contains("not solved: digit") && line.contains("stands twice"),
            "{line}"
        );
        let object = predicted.object();
        assert_eq!((&object["solved"], &object["of"]), (&json!(1), &json!(2)));
        assert_eq!(object["solutions"][1]["solved"], false);
        assert_eq!(object["refused"][0]["line"], 2);
    }

    #[test]
    fn input_is_a_puzzle_a_file_or_an_error_that_says_both() {
        let typed = asked(PUZZLE, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("puzzles.txt");
        std::fs::write(&path, PUZZLE).unwrap();
        assert_eq!(asked(path.to_str().unwrap(), None).unwrap(), typed);
        let error = asked("nothing.txt", None).unwrap_err();
        assert!(matches!(error, TrainError::BadInput(_)), "{error}");
        assert!(
            error
                .to_string()
                .contains("nothing.txt is neither a file nor a puzzle")
                && error.to_string().contains("column 1")
        );
    }

    #[test]
    fn more_steps_run_more_levels_and_none_is_refused() {
        let typed = asked(PUZZLE, None).unwrap();
        assert_eq!(typed.object["solutions"][0]["steps"], 2);
        assert_eq!(asked(PUZZLE, Some(9)).unwrap().object["solutions"][0]["steps"], 9);
        let error = asked(PUZZLE, Some(0)).unwrap_err();
        assert!(matches!(error, TrainError::Usage(_)), "{error}");
    }
}
