//! What a person means by MODEL: a run folder, `runs/latest`, a checkpoint folder, a `.bpk`, or official
//! `.safetensors` with their configuration.

use crate::error::CheckpointError;
use crate::folder::{CheckpointFolder, Checkpoints, Pointer, is_plain};
use crate::model::ModelFile;
use crate::official::{OfficialConfig, read_safetensors};
use crate::plain;
use std::path::{Path, PathBuf};

/// Which checkpoint of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The one with the lowest validation loss, else the newest.
    Best,
    /// The newest.
    #[default]
    Last,
    /// The one of this step.
    Step(u64),
}

/// A model's place, and what it needs to be read.
#[derive(Clone, Debug, Default)]
pub struct ModelPath {
    /// What was given as MODEL.
    pub path: PathBuf,
    /// Which checkpoint, where MODEL is a run.
    pub which: Which,
    /// The configuration of official weights.
    pub official_config: Option<PathBuf>,
}

/// A model that was read and checked.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// The file it came from.
    pub file: PathBuf,
    /// The run it belongs to, where MODEL was a run.
    pub run: Option<PathBuf>,
    /// What the file holds.
    pub model: ModelFile,
}

impl ModelPath {
    /// The newest checkpoint of a run, or the file or checkpoint folder itself.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// Reads the model.
    ///
    /// # Errors
    /// If there is none, or it is damaged, or its configuration is missing.
    pub fn load(&self) -> Result<LoadedModel, CheckpointError> {
        let path = follow_pointer_file(&self.path)?;
        if path.is_dir() {
            let run = path.join("checkpoint").is_dir().then(|| path.clone());
            let folder = match &run {
                Some(run) => self.choose(&Checkpoints::new(run.join("checkpoint")))?,
                None if path.join("model.bpk").is_file() => CheckpointFolder::open(&path)?,
                None if path.join("last").is_file() => self.choose(&Checkpoints::new(&path))?,
                None => return Err(self.none("the folder holds neither checkpoint/ nor model.bpk")),
            };
            folder
                .verify()
                .map_err(|error| with_other_steps(error, &folder))?;
            let file = folder.path().join("model.bpk");
            return Ok(LoadedModel {
                model: ModelFile::read(&file)?,
                file,
                run,
            });
        }
        if !path.exists() {
            return Err(self.none("nothing is there; `dragon train` writes runs/latest"));
        }
        let model = if path
            .extension()
            .is_some_and(|extension| extension == "safetensors")
        {
            let config = self.official_config.as_ref();
            let config = config.ok_or_else(|| CheckpointError::NeedsConfig { path: path.clone() })?;
            read_safetensors(&path, &OfficialConfig::read(config)?)?
        } else {
            ModelFile::read(&path)?
        };
        Ok(LoadedModel {
            file: path,
            run: None,
            model,
        })
    }

    fn choose(&self, checkpoints: &Checkpoints) -> Result<CheckpointFolder, CheckpointError> {
        let newest = || checkpoints.all().into_iter().next_back();
        let found = match self.which {
            Which::Best => checkpoints.pointed(Pointer::Best).or_else(newest),
            Which::Last => checkpoints.pointed(Pointer::Last).or_else(newest),
            Which::Step(step) => checkpoints.step(step),
        };
        found.ok_or_else(|| {
            let steps: Vec<String> = checkpoints
                .all()
                .iter()
                .map(|folder| folder.step().to_string())
                .collect();
            match (self.which, steps.is_empty()) {
                (_, true) => self.none("the run has no checkpoint yet"),
                (Which::Step(step), false) => self.none(&format!(
                    "the run has no checkpoint of step {step}; it has {}",
                    steps.join(", ")
                )),
                _ => self.none("the run's checkpoint pointers name folders that are gone"),
            }
        })
    }

    fn none(&self, reason: &str) -> CheckpointError {
        CheckpointError::NoModel {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }
}

/// A damaged checkpoint, and the steps of those beside it that are sound.
fn with_other_steps(error: CheckpointError, folder: &CheckpointFolder) -> CheckpointError {
    let CheckpointError::Corrupt { path, reason } = error else {
        return error;
    };
    let beside = folder.path().parent().map(Checkpoints::new);
    let sound = beside.iter().flat_map(Checkpoints::all);
    let steps: Vec<String> = sound
        .filter(|other| other.verify().is_ok())
        .map(|other| other.step().to_string())
        .collect();
    let way_out = match steps.is_empty() {
        true => "there is no sound checkpoint beside it".to_string(),
        false => format!("sound ones beside it, by step: {}", steps.join(", ")),
    };
    CheckpointError::corrupt(&path, format!("{reason}; {way_out}"))
}

/// Bytes beyond which a pointer is not read: it holds a folder's name.
const MAX_POINTER: u64 = 256;

/// `runs/latest` is a link where the system has links, and a text file with a folder's name where it has not.
fn follow_pointer_file(path: &Path) -> Result<PathBuf, CheckpointError> {
    let is_latest = path.file_name().is_some_and(|name| name == "latest");
    if !(is_latest && path.is_file()) {
        return Ok(path.to_path_buf());
    }
    let name = plain::read_text(path, MAX_POINTER).map_err(CheckpointError::refused("read", path))?;
    let name = name.trim();
    if !is_plain(name) {
        return Err(CheckpointError::corrupt(
            path,
            "it should hold a plain folder name",
        ));
    }
    Ok(path.with_file_name(name))
}
