//! Prediction: the classes of given pictures, for `dragon predict`.

use crate::data::{Example, Fit, PictureShape, read_picture};
use crate::encoder::{Hidden, VisionPass};
use crate::evaluate::{pixels, shares};
use crate::export::{classes_of, model_of};
use crate::model::VisionModel;
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile};
use burn_dragon_train::api::{PredictRequest, Predictions, TrainError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Maximum number of levels to run.
const MOST_LEVELS: usize = 1024;

/// Number of classes that a line names.
const NAMED: usize = 3;

/// Predicts the classes of the pictures of a request.
///
/// # Errors
/// If the file is not a vision model with a classifier, there are no pictures, or the number of levels is out of range.
pub(crate) fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
    request.options.refuse("vision")?;
    let classes = classes_of(&file).map_err(|reason| CheckpointError::corrupt(&request.model, reason))?;
    let model = model_of(file, &request.model, &request.device)?;
    let levels = request.steps.unwrap_or(model.encoder.config().evaluated());
    if !(1..=MOST_LEVELS).contains(&levels) {
        let text = format!("--steps {levels}: expected a number of levels from 1 to {MOST_LEVELS}");
        return Err(TrainError::Usage(text));
    }
    let (mut lines, mut answers, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for path in pictures(&request.input)? {
        match of_picture(&model, &path, levels)? {
            Ok(shares) => {
                let answer = Answer::of(&shares, &classes);
                lines.push(format!("{}  {}", path.display(), answer.words()));
                answers.push(answer.object(&path));
            }
            Err(reason) => refused.push(reason),
        }
    }
    let count = answers.len();
    Ok(Predictions {
        lines,
        object: [
            ("predictions".to_string(), Value::Array(answers)),
            ("refused".to_string(), json!(refused)),
            ("of".to_string(), json!(count)),
        ]
        .into_iter()
        .collect(),
        refused,
        ..Predictions::default()
    })
}

/// Pictures of an input: a file, or all files of a folder by name.
fn pictures(input: &str) -> Result<Vec<PathBuf>, TrainError> {
    let path = Path::new(input);
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let refuse = |error: std::io::Error| TrainError::BadInput(format!("cannot read {input}: {error}"));
    let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(refuse)?.collect();
    let mut files: Vec<PathBuf> = entries
        .map_err(refuse)?
        .into_iter()
        .map(|entry| entry.path())
        .collect();
    files.retain(|file| file.is_file());
    files.sort();
    if files.is_empty() {
        return Err(TrainError::BadInput(format!(
            "{input} has no files; expected pictures"
        )));
    }
    Ok(files)
}

/// Probabilities of the classes of a picture, or why it is none.
fn of_picture(
    model: &VisionModel,
    path: &Path,
    levels: usize,
) -> Result<Result<Vec<f32>, String>, TrainError> {
    let config = model.encoder.config();
    let shape = PictureShape {
        size: config.image_size,
        colours: config.colours,
    };
    let picture = match read_picture(path) {
        Ok(picture) => Fit::Pad.apply(&picture, shape),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let pass = VisionPass {
        levels: Some(levels),
        ..VisionPass::default()
    };
    let pixels = pixels(&[Example { picture, label: None }], model);
    let seen = model.encoder.look_last(pixels, &Hidden::Nothing, pass)?;
    let shares = shares(model.logits(seen.summary)?);
    Ok(Ok(shares.into_iter().next().unwrap_or_default()))
}

/// Answer for a picture: the likeliest classes, with their probabilities.
struct Answer {
    classes: Vec<(String, f32)>,
}

impl Answer {
    fn of(shares: &[f32], names: &[String]) -> Self {
        let mut order: Vec<usize> = (0..shares.len()).collect();
        order.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
        let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
        Self {
            classes: order
                .into_iter()
                .map(|class| (name(class), shares[class]))
                .collect(),
        }
    }

    fn words(&self) -> String {
        let named = self.classes.iter().take(NAMED);
        let words: Vec<String> = named
            .map(|(name, share)| format!("{name} {:.1}%", 100.0 * share))
            .collect();
        words.join(", ")
    }

    fn object(&self, path: &Path) -> Value {
        let shares: serde_json::Map<String, Value> = self
            .classes
            .iter()
            .map(|(name, share)| (name.clone(), json!(share)))
            .collect();
        json!({
            "file": path.display().to_string(),
            "class": self.classes.first().map(|(name, _)| name),
            "probability": self.classes.first().map(|(_, share)| share),
            "probabilities": shares,
        })
    }
}
