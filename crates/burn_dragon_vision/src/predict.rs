//! Prediction: the classes of given pictures, for `dragon predict`.

use crate::data::{Example, Fit, PictureShape, read_picture};
use crate::encoder::{Hidden, VisionPass};
use crate::evaluate::{pixels, shares};
use crate::export::{classes_of, model_of};
use crate::model::VisionModel;
use burn::tensor::Tensor;
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile};
use burn_dragon_train::api::{PredictRequest, Predictions, TrainError};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Maximum number of levels to run.
const MOST_LEVELS: usize = 1024;

/// Number of classes that a line names.
const NAMED: usize = 3;

/// Predicts the classes of the pictures of a request, or gives their features.
///
/// # Errors
/// If the file is not a vision model, it has no classifier and no features were asked for, there are no pictures, or the number
/// of levels is out of range.
pub(crate) fn predict(file: ModelFile, request: &PredictRequest) -> Result<Predictions, TrainError> {
    request.options.refuse("vision")?;
    let classes = classes_of(&file).map_err(|reason| CheckpointError::corrupt(&request.model, reason))?;
    let model = model_of(file, &request.model, &request.device)?;
    let levels = request.steps.unwrap_or(model.encoder.config().evaluated());
    if !(1..=MOST_LEVELS).contains(&levels) {
        let text = format!("--steps {levels}: expected a number of levels from 1 to {MOST_LEVELS}");
        return Err(TrainError::Usage(text));
    }
    let has_classes = model.heads.classifier.is_some();
    if !has_classes && !request.options.embed {
        return Err(TrainError::Usage(
            "the model has no classifier: its features are given by --embed --out FILE.safetensors".into(),
        ));
    }
    let (mut read, mut refused) = (Vec::new(), Vec::new());
    for path in pictures(&request.inputs)? {
        match summary_of(&model, &path, levels)? {
            Ok(summary) => read.push((path, summary)),
            Err(reason) => refused.push(reason),
        }
    }
    let mut predictions = match request.options.embed {
        true => features(&read)?,
        false => answers(&model, read, &classes)?,
    };
    predictions.object.insert("refused".to_string(), json!(refused));
    predictions.refused = refused;
    Ok(predictions)
}

/// Pictures of inputs: files, and all files of folders by name.
fn pictures(inputs: &[String]) -> Result<Vec<PathBuf>, TrainError> {
    let mut all = Vec::new();
    for input in inputs {
        let path = Path::new(input);
        if !path.is_dir() {
            all.push(path.to_path_buf());
            continue;
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
        all.extend(files);
    }
    Ok(all)
}

/// Summary of a picture, `[1, D]`, or why it is none.
fn summary_of(
    model: &VisionModel,
    path: &Path,
    levels: usize,
) -> Result<Result<Tensor<2>, String>, TrainError> {
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
    Ok(Ok(model
        .encoder
        .look_last(pixels, &Hidden::Nothing, pass)?
        .summary))
}

/// Classes of pictures.
fn answers(
    model: &VisionModel,
    read: Vec<(PathBuf, Tensor<2>)>,
    classes: &[String],
) -> Result<Predictions, TrainError> {
    let (mut lines, mut objects) = (Vec::new(), Vec::new());
    for (path, summary) in read {
        let shares = shares(model.logits(summary)?)
            .into_iter()
            .next()
            .unwrap_or_default();
        let answer = Answer::of(&shares, classes);
        lines.push(format!("{}  {}", path.display(), answer.words()));
        objects.push(answer.object(&path));
    }
    let object = [
        ("of".to_string(), json!(objects.len())),
        ("predictions".to_string(), Value::Array(objects)),
    ];
    Ok(Predictions {
        lines,
        object: object.into_iter().collect(),
        ..Predictions::default()
    })
}

/// Features of pictures as a safetensors file: `features`, `[pictures, D]`, f32, and the names of the files in its metadata.
fn features(read: &[(PathBuf, Tensor<2>)]) -> Result<Predictions, TrainError> {
    let files: Vec<String> = read.iter().map(|(path, _)| path.display().to_string()).collect();
    let rows: Vec<Vec<f32>> = read
        .iter()
        .map(|(_, summary)| summary.to_data().convert::<f32>().iter::<f32>().collect())
        .collect();
    let width = rows.first().map_or(0, Vec::len);
    let bytes: Vec<u8> = rows
        .iter()
        .flatten()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let refuse = |error: safetensors::SafeTensorError| TrainError::BadInput(format!("features: {error}"));
    let view = TensorView::new(Dtype::F32, vec![rows.len(), width], &bytes).map_err(refuse)?;
    let metadata = [("files".to_string(), json!(files).to_string())]
        .into_iter()
        .collect();
    let file = safetensors::serialize([("features", view)], Some(metadata)).map_err(refuse)?;
    let object = [
        ("of".to_string(), json!(rows.len())),
        ("width".to_string(), json!(width)),
        ("files".to_string(), json!(files)),
    ];
    Ok(Predictions {
        features: Some(file),
        object: object.into_iter().collect(),
        notes: vec![format!("{} x {width} features", rows.len())],
        ..Predictions::default()
    })
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
