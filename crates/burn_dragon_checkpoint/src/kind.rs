//! Description of a family's models for the functions that handle files. The family passes it in; this crate knows no
//! family.

use crate::companion::Companion;
use crate::error::CheckpointError;
use crate::model::ModelFile;
use crate::state::StateFile;
use crate::stored::Stored;
use burn::tensor::Device;
use burn_dragon_kernel::api::low_bit::Packing;
use serde_json::{Map, Value};
use std::path::Path;

/// Description of a tensor that a model must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name of the tensor.
    pub name: String,
    /// Shape of the tensor; for codes, the shape of the decoded tensor.
    pub shape: Vec<usize>,
    /// Storage of its entries.
    pub stored: Stored,
}

impl TensorSpec {
    /// A tensor of numbers.
    pub fn float(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
            stored: Stored::Float,
        }
    }

    /// A tensor of codes with `bits` bits each.
    pub fn codes(name: impl Into<String>, shape: impl Into<Vec<usize>>, bits: u8) -> Self {
        Self {
            stored: Stored::Codes { bits },
            ..Self::float(name, shape)
        }
    }

    /// A tensor of whole numbers, in any packing.
    pub fn whole(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            stored: Stored::Whole,
            ..Self::float(name, shape)
        }
    }

    /// Number of entries in the tensor.
    pub fn entries(&self) -> u64 {
        let sizes = self.shape.iter().map(|&size| size as u64);
        sizes.fold(1, u64::saturating_mul)
    }
}

/// Description of a family's models, for the functions that handle files.
///
/// Reading, hashing, exporting and comparing need no description. `verify` uses the tensors, companions, assets and
/// probe; `info` and the model card use the texts. A method with a configuration gets the JSON object of a file, which
/// may be untrusted: an implementation returns an error for a bad one, and never panics.
pub trait ModelKind: Sync {
    /// Name of the family, as in files: `language`, `sudoku`, `vision-encoder`.
    fn family(&self) -> &'static str;

    /// Unit that training counts, in the plural: `tokens`, `puzzles`.
    fn unit(&self) -> &'static str;

    /// All tensors of a model with this configuration, in any order.
    ///
    /// # Errors
    /// A message, if it is not a configuration of the family.
    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String>;

    /// Shape of a model in one line: levels, width, heads. [`tensors`](Self::tensors) must accept the configuration.
    fn shape(&self, config: &Value) -> String;

    /// Files that may lie beside a model in a checkpoint: optimiser state, carried memory, an EMA teacher.
    /// [`tensors`](Self::tensors) must accept the configuration.
    fn companions(&self, config: &Value) -> Vec<Companion> {
        let _ = config;
        Vec::new()
    }

    /// Checks that the assets (tokenizer, labels, topology) are valid and fit the model. Returns a description of them.
    ///
    /// # Errors
    /// A message, if they are not valid or do not fit.
    fn assets(&self, file: &ModelFile) -> Result<String, String> {
        match file.assets.is_empty() {
            true => Ok("none, and none is needed".into()),
            false => {
                let names: Vec<&str> = file.assets.keys().map(String::as_str).collect();
                Err(format!("{}: this family has no assets", names.join(", ")))
            }
        }
    }

    /// Runs a checked model on an input of the family's choice, and returns a description of the result.
    ///
    /// # Errors
    /// If an output is not finite, or the forms of the model give different outputs.
    fn probe(&self, file: ModelFile, path: &Path, device: &Device) -> Result<String, CheckpointError>;

    /// Description of a state file of the family.
    ///
    /// # Errors
    /// If the file is not valid, or the family has no state.
    fn state(&self, file: StateFile, path: &Path) -> Result<String, CheckpointError> {
        let reason = format!("models of the family `{}` have no state files", file.family);
        Err(CheckpointError::corrupt(path, reason))
    }

    /// The model with its low-bit matrices as whole numbers and scales, those of three numbers in this packing.
    ///
    /// # Errors
    /// Why it has none.
    fn packed(&self, file: ModelFile, packing: Packing) -> Result<ModelFile, String> {
        let _ = (file, packing);
        Err(format!(
            "models of the family `{}` have no low-bit matrices",
            self.family()
        ))
    }

    /// The model with the numbers that packed matrices stand for, as floats; any other as it is.
    ///
    /// # Errors
    /// If packed matrices are not those of its configuration.
    fn unpacked(&self, file: ModelFile) -> Result<ModelFile, String> {
        Ok(file)
    }

    /// Rows of `dragon info` and of the model card, beside shape and parameters: a label and a text.
    fn words(&self, file: &ModelFile) -> Vec<(String, String)> {
        let _ = file;
        Vec::new()
    }

    /// Values of `dragon info --json` by key, beside configuration, origin and parameters: cost and sizes.
    fn figures(&self, file: &ModelFile) -> Map<String, Value> {
        let _ = file;
        Map::new()
    }

    /// Description of the training in a run folder; `None` if it cannot be read.
    fn run(&self, folder: &Path) -> Option<RunWords> {
        let _ = folder;
        None
    }

    /// Parts of a model card that only the family can write. `id` is the repository, `owner/name`.
    fn card(&self, file: &ModelFile, id: &str) -> CardText;
}

/// Description of a training, from its run folder, for the model card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunWords {
    /// Training data.
    pub data: String,
    /// Configuration of the run in TOML, without paths of this machine.
    pub config: Option<String>,
    /// Further lines: batches, seed.
    pub lines: Vec<String>,
}

/// The parts of a model card that only the family can write, in Markdown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardText {
    /// Task of the model, as a hub calls it: `text-generation`.
    pub pipeline_tag: Option<&'static str>,
    /// Noun for the model, such as `language model`.
    pub noun: String,
    /// Sentences about the model, after the first one.
    pub about: String,
    /// Further rows in the table of the model, beside its parameters.
    pub rows: Vec<(String, String)>,
    /// Figures of an evaluation to show, in order.
    pub figures: Vec<Figure>,
    /// Instructions to run the model.
    pub usage: String,
    /// Limitations of a model that was trained with this software.
    pub limits: String,
    /// Limitations of an imported model.
    pub imported_limits: String,
}

/// Figure of an evaluation, as a model card shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Key in `metrics.jsonl`.
    pub key: &'static str,
    /// Label of the figure.
    pub label: &'static str,
    /// Number of digits after the decimal point.
    pub digits: usize,
}

/// Families that a program knows.
#[derive(Clone)]
pub struct Kinds(Vec<&'static dyn ModelKind>);

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.families()).finish()
    }
}

impl Kinds {
    /// A set of these families.
    pub fn new(kinds: impl IntoIterator<Item = &'static dyn ModelKind>) -> Self {
        Self(kinds.into_iter().collect())
    }

    /// Names of the families.
    pub fn families(&self) -> Vec<&'static str> {
        self.0.iter().map(|kind| kind.family()).collect()
    }

    /// Family with this name; `None` if it is not known.
    pub fn get(&self, family: &str) -> Option<&'static dyn ModelKind> {
        self.0.iter().copied().find(|kind| kind.family() == family)
    }

    /// Family of a file. `path` is the file, for the error.
    ///
    /// # Errors
    /// If the family is not known.
    pub fn of(&self, family: &str, path: &Path) -> Result<&'static dyn ModelKind, CheckpointError> {
        self.get(family).ok_or_else(|| CheckpointError::UnknownFamily {
            path: path.to_path_buf(),
            family: family.to_string(),
            known: self.families(),
        })
    }

    /// Checks a model against the description of its family: names, shapes, types, finite values.
    ///
    /// # Errors
    /// If the family is not known, or the model does not match its description.
    pub fn check(&self, model: &ModelFile, path: &Path) -> Result<&'static dyn ModelKind, CheckpointError> {
        let kind = self.of(&model.family, path)?;
        model.check(kind, path)?;
        Ok(kind)
    }
}
