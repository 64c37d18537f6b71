//! What a family tells the files about its models: handed in by the family, so that nothing here knows one.

use crate::companion::Companion;
use crate::error::CheckpointError;
use crate::model::ModelFile;
use crate::state::StateFile;
use crate::stored::Stored;
use burn::tensor::Device;
use serde_json::{Map, Value};
use std::path::Path;

/// A tensor that a model must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its shape: of codes, the shape of what they stand for.
    pub shape: Vec<usize>,
    /// How its entries are stored.
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

    /// A tensor of codes of so many bits.
    pub fn codes(name: impl Into<String>, shape: impl Into<Vec<usize>>, bits: u8) -> Self {
        Self {
            stored: Stored::Codes { bits },
            ..Self::float(name, shape)
        }
    }

    /// Entries of the tensor.
    pub fn entries(&self) -> u64 {
        let sizes = self.shape.iter().map(|&size| size as u64);
        sizes.fold(1, u64::saturating_mul)
    }
}

/// A family's models, as files need to know them.
///
/// Reading, hashing, exporting and comparing need none of it. `verify` asks for tensors, companions, assets and the probe;
/// `info` and the model card ask for words. What is asked for a configuration gets the JSON object of a file, which may be
/// a stranger's: it says what is wrong with it, and never panics.
pub trait ModelKind: Sync {
    /// The family's name, as it stands in files: `language`, `sudoku`, `vision-encoder`.
    fn family(&self) -> &'static str;

    /// What training counts, in the plural: `tokens`, `puzzles`.
    fn unit(&self) -> &'static str;

    /// Every tensor of a model of this configuration, in any order.
    ///
    /// # Errors
    /// If it is no configuration of the family, in words.
    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String>;

    /// The shape of a model in one line: levels, width, heads. The configuration is one that [`tensors`](Self::tensors)
    /// takes.
    fn shape(&self, config: &Value) -> String;

    /// The files that may lie beside a model in a checkpoint: the optimiser's state, carried memory, an EMA teacher. The
    /// configuration is one that [`tensors`](Self::tensors) takes.
    fn companions(&self, config: &Value) -> Vec<Companion> {
        let _ = config;
        Vec::new()
    }

    /// Whether the assets (tokenizer, labels, topology) can be used and fit the model: in words what they are.
    ///
    /// # Errors
    /// If they do not, in words.
    fn assets(&self, file: &ModelFile) -> Result<String, String> {
        match file.assets.is_empty() {
            true => Ok("none, and none is needed".into()),
            false => {
                let names: Vec<&str> = file.assets.keys().map(String::as_str).collect();
                Err(format!("{}: this family has no assets", names.join(", ")))
            }
        }
    }

    /// Runs a model that was checked on an input of its own, and says what came out.
    ///
    /// # Errors
    /// If what comes out is not finite, or not what every form of the model agrees on.
    fn probe(&self, file: ModelFile, path: &Path, device: &Device) -> Result<String, CheckpointError>;

    /// What a state file of the family holds, in words.
    ///
    /// # Errors
    /// If it is not a sound one, or the family keeps no state.
    fn state(&self, file: StateFile, path: &Path) -> Result<String, CheckpointError> {
        let reason = format!("models of the family `{}` keep no state", file.family);
        Err(CheckpointError::corrupt(path, reason))
    }

    /// Rows of `dragon info` and of the card beside shape and parameters: a name and what is said.
    fn words(&self, file: &ModelFile) -> Vec<(String, String)> {
        let _ = file;
        Vec::new()
    }

    /// What `dragon info --json` gives beside configuration, origin and parameters: cost, sizes, by key.
    fn figures(&self, file: &ModelFile) -> Map<String, Value> {
        let _ = file;
        Map::new()
    }

    /// What a run folder says of how its model was trained, where it can be read.
    fn run(&self, folder: &Path) -> Option<RunWords> {
        let _ = folder;
        None
    }

    /// The parts of a model card that only the family can write. `id` is the repository's, `owner/name`.
    fn card(&self, file: &ModelFile, id: &str) -> CardText;
}

/// What a run folder says of how its model was trained, for those who get the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunWords {
    /// What it was trained on.
    pub data: String,
    /// The run's configuration without the places of this machine, TOML.
    pub config: Option<String>,
    /// How: batches, seed.
    pub lines: Vec<String>,
}

/// The parts of a model card that only the family can write, in Markdown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardText {
    /// What a hub calls the task: `text-generation`.
    pub pipeline_tag: Option<&'static str>,
    /// What the model is, as in `language model`.
    pub noun: String,
    /// Sentences about it, after the first.
    pub about: String,
    /// Rows of the table of the model, beside its parameters.
    pub rows: Vec<(String, String)>,
    /// The figures of an evaluation that are told, in their order.
    pub figures: Vec<Figure>,
    /// How to run it.
    pub usage: String,
    /// What is not known of a model that was trained here.
    pub limits: String,
    /// What is not known of one that came from elsewhere.
    pub imported_limits: String,
}

/// A figure of an evaluation, as a card tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its key in `metrics.jsonl`.
    pub key: &'static str,
    /// What it is.
    pub label: &'static str,
    /// Digits behind the point.
    pub digits: usize,
}

/// The families that a program knows.
#[derive(Clone)]
pub struct Kinds(Vec<&'static dyn ModelKind>);

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.families()).finish()
    }
}

impl Kinds {
    /// These families.
    pub fn new(kinds: impl IntoIterator<Item = &'static dyn ModelKind>) -> Self {
        Self(kinds.into_iter().collect())
    }

    /// Their names.
    pub fn families(&self) -> Vec<&'static str> {
        self.0.iter().map(|kind| kind.family()).collect()
    }

    /// The family of this name, if it is known.
    pub fn get(&self, family: &str) -> Option<&'static dyn ModelKind> {
        self.0.iter().copied().find(|kind| kind.family() == family)
    }

    /// The family of a file at `path`.
    ///
    /// # Errors
    /// If it is not known.
    pub fn of(&self, family: &str, path: &Path) -> Result<&'static dyn ModelKind, CheckpointError> {
        self.get(family).ok_or_else(|| CheckpointError::UnknownFamily {
            path: path.to_path_buf(),
            family: family.to_string(),
            known: self.families(),
        })
    }

    /// Checks a model against what its family says of it: names, shapes, types, finite values.
    ///
    /// # Errors
    /// If its family is not known, or it is not one of its models.
    pub fn check(&self, model: &ModelFile, path: &Path) -> Result<&'static dyn ModelKind, CheckpointError> {
        let kind = self.of(&model.family, path)?;
        model.check(kind, path)?;
        Ok(kind)
    }
}
