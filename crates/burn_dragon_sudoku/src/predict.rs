//! Prediction: solutions of given puzzles, for `dragon predict`, also called `dragon solve`.

use crate::config::ModelType;
use crate::data::{Entry, LineError, entries, open};
use crate::evaluate::Answer;
use crate::export::model_of;
use crate::grid::Grid;
use crate::model::SudokuModel;
use crate::picture::{draw_frames, svg};
use crate::solve::{Frame, SolveOptions, Solved, frames, solve_with};
use crate::solver::{Solutions, solve};
use burn_dragon_checkpoint::api::ModelFile;
use burn_dragon_train::api::{PredictOptions, PredictRequest, Predictions, TrainError};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;

/// Maximum number of levels to run.
const MOST_LEVELS: usize = 1 << 16;

/// Maximum number of attempts at a puzzle.
const MOST_SAMPLES: usize = 1 << 16;

/// Number of puzzles that are drawn.
const DRAWN: usize = 8;

/// Fills the puzzles of a request with the model of a file.
///
/// # Errors
/// If the file is not a sudoku model, the input is neither a file nor a puzzle, or the number of levels or attempts is out of
/// range.
pub(crate) fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
    request.options.refuse("sudoku")?;
    let model = model_of(file, &request.model, &request.device)?;
    let levels = request.steps.unwrap_or(model.config().evaluated());
    let samples = request.options.samples.unwrap_or(1);
    if !(1..=MOST_LEVELS).contains(&levels) {
        let text = format!("--steps {levels}: expected a number of levels from 1 to {MOST_LEVELS}");
        return Err(TrainError::Usage(text));
    }
    if !(1..=MOST_SAMPLES).contains(&samples) {
        let text = format!("--samples {samples}: expected a number of attempts from 1 to {MOST_SAMPLES}");
        return Err(TrainError::Usage(text));
    }
    if request.options.policy.is_some() && model.config().kind != ModelType::Saccade {
        let text = "--policy is for a model with type = \"saccade\"; leave it out".to_string();
        return Err(TrainError::Usage(text));
    }
    let solving = SolveOptions {
        samples,
        policy: request.options.policy.unwrap_or_default(),
        ..SolveOptions::levels(levels)
    };
    let mut predicted = Predicted::of(&model, input(request.input("sudoku")?)?, solving);
    predicted.examine(request.options);
    let shown = predicted.frames(&model, levels, request.options);
    let draw = |(puzzle, frames): &(Grid, Vec<Frame>)| draw_frames(puzzle, frames);
    Ok(Predictions {
        lines: predicted.lines(),
        object: predicted.object(),
        refused: predicted.refused.iter().map(ToString::to_string).collect(),
        drawings: shown.iter().filter(|_| request.options.show).map(draw).collect(),
        picture: request.options.picture.then(|| svg(&shown)),
        features: None,
        notes: predicted.notes(request.options),
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

/// Prediction for a puzzle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// Number of the puzzle's line.
    pub line: usize,
    /// The puzzle and the answer.
    pub answer: Answer,
    /// Number of levels that were run in the attempt of the answer.
    pub steps: usize,
    /// Number of attempts.
    pub samples: usize,
    /// Solutions by the exact solver, if it was asked.
    pub exact: Option<Solutions>,
}

/// Predictions for the puzzles of a text, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicted {
    /// Predictions.
    pub predictions: Vec<Prediction>,
    /// Errors of lines that are not puzzles.
    pub refused: Vec<LineError>,
    /// Whether exact solutions are given for what is not solved.
    completes: bool,
}

impl Predicted {
    /// Reads puzzles and fills them.
    pub fn of(model: &SudokuModel, text: impl BufRead, options: SolveOptions) -> Self {
        let (read, refused): (Vec<_>, Vec<_>) = entries(text).partition(Result::is_ok);
        let read: Vec<Entry> = read.into_iter().filter_map(Result::ok).collect();
        let puzzles: Vec<Grid> = read.iter().map(|entry| entry.puzzle).collect();
        let solved = solve_with(model, &puzzles, options);
        let prediction = |(entry, solved): (&Entry, Solved)| Prediction {
            line: entry.line,
            answer: Answer {
                puzzle: entry.puzzle,
                grid: solved.grid,
            },
            steps: solved.steps,
            samples: solved.samples,
            exact: None,
        };
        Self {
            predictions: read.iter().zip(solved).map(prediction).collect(),
            refused: refused.into_iter().filter_map(Result::err).collect(),
            completes: false,
        }
    }

    /// Asks the exact solver about the puzzles that are not solved, if an option needs it.
    fn examine(&mut self, options: PredictOptions) {
        self.completes = options.complete;
        if !(options.verify || options.complete) {
            return;
        }
        for prediction in &mut self.predictions {
            if !prediction.answer.is_solved() {
                prediction.exact = Some(solve(&prediction.answer.puzzle));
            }
        }
    }

    /// Answers by step of the first puzzles, if they are drawn.
    fn frames(&self, model: &SudokuModel, levels: usize, options: PredictOptions) -> Vec<(Grid, Vec<Frame>)> {
        if !(options.show || options.picture) {
            return Vec::new();
        }
        let drawn = self.predictions.iter().take(DRAWN).map(|prediction| {
            let puzzle = prediction.answer.puzzle;
            (puzzle, frames(model, &puzzle, levels))
        });
        drawn.collect()
    }

    /// Number of answers that solve their puzzle.
    pub fn solved(&self) -> usize {
        self.predictions
            .iter()
            .filter(|prediction| prediction.answer.is_solved())
            .count()
    }

    /// Lines with one answer each: the grid, and whether it is a solution or which rule it breaks.
    pub fn lines(&self) -> Vec<String> {
        self.predictions
            .iter()
            .map(|prediction| prediction.words(self.completes))
            .collect()
    }

    /// Answers as a JSON object.
    pub fn object(&self) -> Map<String, Value> {
        let refused = |error: &LineError| json!({ "line": error.line, "problem": error.problem.to_string() });
        let all = self.predictions.iter();
        [
            (
                "solutions",
                all.map(|prediction| prediction.object(self.completes))
                    .collect::<Value>(),
            ),
            ("refused", self.refused.iter().map(refused).collect()),
            ("solved", json!(self.solved())),
            ("of", json!(self.predictions.len())),
        ]
        .map(|(key, value)| (key.to_string(), value))
        .into_iter()
        .collect()
    }

    /// Lines about all answers.
    fn notes(&self, options: PredictOptions) -> Vec<String> {
        let mut notes = Vec::new();
        if options.verify {
            let (solved, of) = (self.solved(), self.predictions.len());
            notes.push(format!(
                "verified: {solved} of {of} answers keep all givens and all rules"
            ));
        }
        if self.completes {
            let exact = self
                .predictions
                .iter()
                .filter(|prediction| prediction.completion().is_some());
            notes.push(format!(
                "completed by the exact solver, not counted as solved: {}",
                exact.count()
            ));
        }
        if (options.show || options.picture) && self.predictions.len() > DRAWN {
            let all = self.predictions.len();
            notes.push(format!("note: the first {DRAWN} of {all} puzzles are drawn"));
        }
        notes
    }
}

impl Prediction {
    /// Solution of the exact solver, if it was asked and there is one.
    fn completion(&self) -> Option<Grid> {
        match self.exact? {
            Solutions::One(grid) | Solutions::Many([grid, _]) => Some(grid),
            Solutions::None | Solutions::Unknown => None,
        }
    }

    /// The answer in a line.
    fn words(&self, completes: bool) -> String {
        let Answer { grid, .. } = self.answer;
        if self.answer.is_solved() {
            return format!("{grid}  solved");
        }
        // A consistent grid that does not keep the givens cannot be: givens are copied.
        let reason = self.answer.conflict().map_or_else(
            || "a given is not kept".to_string(),
            |conflict| conflict.to_string(),
        );
        let puzzle = match self.exact {
            Some(Solutions::None) => "; the puzzle has no solution",
            Some(Solutions::Many(_)) => "; the puzzle has several solutions",
            Some(Solutions::Unknown) => "; the exact solver gave up too",
            Some(Solutions::One(_)) | None => "",
        };
        let exact = self.completion().filter(|_| completes);
        let exact = exact.map_or(String::new(), |grid| format!("; exact solver: {grid}"));
        format!("{grid}  not solved: {reason}{puzzle}{exact}")
    }

    fn object(&self, completes: bool) -> Value {
        let answer = &self.answer;
        let mut object = json!({
            "line": self.line,
            "grid": answer.grid.to_string(),
            "solved": answer.is_solved(),
            "keeps_givens": answer.grid.keeps(&answer.puzzle),
            "conflict": answer.conflict().map(|conflict| conflict.to_string()),
            "steps": self.steps,
            "samples": self.samples,
        });
        if let Some(exact) = self.exact {
            let solutions = match exact {
                Solutions::None => json!(0),
                Solutions::One(_) => json!(1),
                Solutions::Many(_) => json!("several"),
                Solutions::Unknown => json!("unknown"),
            };
            object["exact_solutions"] = solutions;
        }
        if let Some(grid) = self.completion().filter(|_| completes) {
            object["exact"] = json!(grid.to_string());
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, Tokens};
    use crate::export::model_file;
    use burn::tensor::Device;
    use burn_dragon_train::api::policy::Chooser;

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
        asked_with(input, steps, PredictOptions::default())
    }

    fn asked_with(
        input: &str,
        steps: Option<usize>,
        options: PredictOptions,
    ) -> Result<Predictions, TrainError> {
        let request = PredictRequest {
            model: "model.bpk".into(),
            inputs: vec![input.into()],
            steps,
            device: Device::flex(),
            options,
        };
        predict(model_file(&model(), 1, 4), &request)
    }

    #[test]
    fn what_the_exact_solver_finds_stands_apart_and_is_not_solved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("puzzles.txt");
        let several = format!("{}{}", &PUZZLE[..9], "0".repeat(72));
        // The first row leaves 9 to its last cell, and the box below it holds one.
        let none = format!("123456780000000009{}", "0".repeat(63));
        std::fs::write(&path, format!("{PUZZLE}\n{SOLUTION}\n{several}\n{none}\n")).unwrap();
        let path = path.to_str().unwrap();
        let options = PredictOptions {
            complete: true,
            verify: true,
            ..PredictOptions::default()
        };
        let answer = asked_with(path, None, options).unwrap();
        assert!(answer.lines[0].contains("not solved: ") && answer.lines[0].ends_with(SOLUTION));
        assert_eq!(answer.lines[1], format!("{SOLUTION}  solved"));
        assert!(
            answer.lines[2].contains("several solutions"),
            "{}",
            answer.lines[2]
        );
        assert!(answer.lines[3].contains("no solution"), "{}", answer.lines[3]);
        let solutions = &answer.object["solutions"];
        assert_eq!(
            (&solutions[0]["exact"], &solutions[0]["solved"]),
            (&json!(SOLUTION), &json!(false))
        );
        assert_eq!(solutions[1].get("exact"), None);
        assert_eq!(
            (&solutions[3]["exact_solutions"], &answer.object["solved"]),
            (&json!(0), &json!(1))
        );
        assert_eq!(
            answer.notes[0],
            "verified: 1 of 4 answers keep all givens and all rules"
        );
        assert!(answer.notes[1].ends_with(": 2"), "{:?}", answer.notes);
        // Without the option no solution of another program is given away.
        let plain = asked(path, None).unwrap();
        assert!(!plain.lines[0].contains(SOLUTION) && plain.object["solutions"][0].get("exact").is_none());
        assert!(plain.notes.is_empty() && plain.drawings.is_empty() && plain.picture.is_none());
    }

    #[test]
    fn answers_by_step_are_drawn_where_that_is_asked_for() {
        let options = PredictOptions {
            show: true,
            picture: true,
            samples: Some(2),
            ..PredictOptions::default()
        };
        let answer = asked_with(PUZZLE, Some(3), options).unwrap();
        assert_eq!(answer.drawings.len(), 1);
        assert!(answer.drawings[0].contains("3 levels"), "{}", answer.drawings[0]);
        assert!(answer.picture.unwrap().contains("3 levels"));
        assert_eq!(answer.object["solutions"][0]["samples"], 2);
        let options = PredictOptions {
            samples: Some(0),
            ..PredictOptions::default()
        };
        let error = asked_with(PUZZLE, None, options).unwrap_err();
        assert!(matches!(error, TrainError::Usage(_)), "{error}");
    }

    #[test]
    fn the_cells_of_a_saccade_model_are_picked_by_its_policy_or_a_control() {
        let config = ModelConfig {
            kind: ModelType::Saccade,
            tokens: Tokens::Candidates,
            ..model().config().clone()
        };
        let saccade = SudokuModel::new(&config, 1, &Device::flex()).unwrap();
        let with = |policy| {
            let request = PredictRequest {
                model: "model.bpk".into(),
                inputs: vec![PUZZLE.into()],
                steps: Some(9),
                device: Device::flex(),
                options: PredictOptions {
                    policy,
                    show: true,
                    ..PredictOptions::default()
                },
            };
            predict(model_file(&saccade, 1, 4), &request).unwrap()
        };
        let learned = with(None);
        assert_eq!(learned, with(Some(Chooser::Learned)));
        assert_eq!(learned.object["solutions"][0]["steps"], 9);
        assert_ne!(learned.lines, with(Some(Chooser::Raster)).lines);
        let options = PredictOptions {
            policy: Some(Chooser::Raster),
            ..PredictOptions::default()
        };
        let error = asked_with(PUZZLE, None, options).unwrap_err();
        assert!(
            matches!(error, TrainError::Usage(_)) && error.to_string().contains("--policy"),
            "{error}"
        );
    }

    #[test]
    fn answers_come_in_the_order_of_the_puzzles_and_bad_lines_beside_them() {
        let text = format!("{SOLUTION}\nno puzzle\n\n{PUZZLE}\n");
        let predicted = Predicted::of(&model(), text.as_bytes(), SolveOptions::levels(2));
        let lines: Vec<usize> = predicted
            .predictions
            .iter()
            .map(|prediction| prediction.line)
            .collect();
        assert_eq!((lines, predicted.refused[0].line), (vec![1, 4], 2));
        assert_eq!(predicted.lines()[0], format!("{SOLUTION}  solved"));
        let (answer, line) = (predicted.predictions[1].answer, &predicted.lines()[1]);
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
