//! Meaning of a given MODEL: a run folder, `runs/latest`, a checkpoint folder, a `.bpk`, its parts, or official
//! `.safetensors` with their configuration.

use burn_dragon_checkpoint::api::{
    CheckpointError, CheckpointFolder, Checkpoints, Kinds, ModelFile, Pointer, StoredTensor, read_parts,
};

use crate::official::{OfficialConfig, is_torch, read_safetensors};
use burn_dragon_checkpoint::api::expert::{MAX_POINTER, is_plain_name, manifest_of, plain};
use burn_dragon_core::api::DragonConfig;
use burn_dragon_core::api::low_bit::Packing;
use std::path::{Path, PathBuf};

/// Choice of a checkpoint in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Checkpoint with the lowest validation loss, else the newest.
    Best,
    /// Newest checkpoint.
    #[default]
    Last,
    /// Checkpoint of a step.
    Step(u64),
}

/// Path of a model, with what is needed to read it.
#[derive(Clone, Debug, Default)]
pub struct ModelPath {
    /// Path that was given as MODEL.
    pub path: PathBuf,
    /// Choice of a checkpoint, if MODEL is a run.
    pub which: Which,
    /// Configuration of official weights.
    pub official_config: Option<PathBuf>,
}

/// Model that was read and checked.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// File that the model was read from.
    pub file: PathBuf,
    /// Run of the model, if MODEL was a run.
    pub run: Option<PathBuf>,
    /// The model.
    pub model: ModelFile,
    /// Errors of checkpoints that were preferred but are damaged. A caller must show them.
    pub passed_over: Vec<String>,
}

impl ModelPath {
    /// Path of a model: with the newest checkpoint if it is a run, else the file or the checkpoint folder itself.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// Reads the model and checks it against the description of its family, which must be one of `kinds`.
    ///
    /// # Errors
    /// If there is no model, it is damaged or of another family, or its configuration is missing.
    pub fn load(&self, kinds: &Kinds) -> Result<LoadedModel, CheckpointError> {
        let loaded = self.read()?;
        let loaded = LoadedModel {
            model: repacked(loaded.model, kinds, &loaded.file)?,
            ..loaded
        };
        kinds.check(&loaded.model, &loaded.file)?;
        Ok(loaded)
    }

    /// Reads the model, of any family.
    fn read(&self) -> Result<LoadedModel, CheckpointError> {
        let path = follow_pointer_file(&self.path)?;
        if path.is_dir() {
            let run = path.join("checkpoint").is_dir().then(|| path.clone());
            let within = run_around(&path);
            let (folder, model, passed_over) = match &run {
                Some(run) => self.choose(&Checkpoints::new(run.join("checkpoint")))?,
                None if path.join("manifest.json").is_file() => {
                    let (folder, model) = verified(CheckpointFolder::open(&path)?)?;
                    self.refuse_choice()?;
                    (folder, model, vec![])
                }
                None if let Some(file) = exported(&path) => return self.of_file(file),
                None if path.join("last").is_file() => self.choose(&Checkpoints::new(&path))?,
                None if path.join("latest").exists() => {
                    let latest = self.path.join("latest");
                    let reason = format!("it is a folder of runs; did you mean {}?", latest.display());
                    return Err(self.none(&reason));
                }
                None => return Err(self.none("the folder holds no checkpoint/, no model.bpk, no parts of one, and no model.safetensors")),
            };
            let file = folder.path().join("model.bpk");
            return Ok(LoadedModel {
                model: self.agreed(model, &file)?,
                file,
                run: run.or(within),
                passed_over,
            });
        }
        self.of_file(path)
    }

    fn of_file(&self, path: PathBuf) -> Result<LoadedModel, CheckpointError> {
        let (model, file) = self.read_file(path)?; // what is wrong with the file comes first
        self.refuse_choice()?;
        Ok(LoadedModel {
            file,
            run: None,
            model,
            passed_over: Vec::new(),
        })
    }

    /// Refuses the choice of a checkpoint if the path is a single model.
    fn refuse_choice(&self) -> Result<(), CheckpointError> {
        let asked = match self.which {
            Which::Last => return Ok(()),
            Which::Best => "the best checkpoint".to_string(),
            Which::Step(step) => format!("the checkpoint of step {step}"),
        };
        Err(self.none(&format!(
            "{asked} was asked for, but this is a single model; to choose a checkpoint, give a run folder or its checkpoint/"
        )))
    }

    /// Reads a model that is not a run: a file, by its ending, or its parts if the whole file does not exist.
    fn read_file(&self, path: PathBuf) -> Result<(ModelFile, PathBuf), CheckpointError> {
        let manifest = manifest_of(&path);
        if !path.exists() && !manifest.exists() {
            let address = path.to_string_lossy().contains("://");
            return Err(self.none(match address {
                true => "this verb reads local files only; `dragon pull` fetches a model and prints its path",
                false => "there is no file or folder at this path; `dragon train` writes runs/latest",
            }));
        }
        let ends_with = |ending: &str| path.to_string_lossy().ends_with(ending);
        let model = if ends_with(".parts.json") {
            self.agreed(read_parts(&path, |_| {})?, &path)?
        } else if !path.exists() {
            return Ok((self.agreed(read_parts(&manifest, |_| {})?, &manifest)?, manifest));
        } else if ends_with(".safetensors") {
            let config = self.official_config.as_deref().map(OfficialConfig::read);
            read_safetensors(&path, config.transpose()?.as_ref())?.model
        } else if is_torch(&path) {
            return Err(CheckpointError::Pickle { path });
        } else {
            self.agreed(ModelFile::read(&path)?, &path)?
        };
        Ok((model, path))
    }

    /// The model, after a check that a given configuration agrees with its own.
    fn agreed(&self, mut model: ModelFile, file: &Path) -> Result<ModelFile, CheckpointError> {
        if let Some(given) = &self.official_config {
            model.config = OfficialConfig::read(given)?.agreed_with(&model, file)?;
        }
        Ok(model)
    }

    /// Chosen checkpoint and its model. If no step was asked for and the checkpoint does not verify, the newest that
    /// does, with the errors of the damaged ones.
    fn choose(
        &self,
        checkpoints: &Checkpoints,
    ) -> Result<(CheckpointFolder, ModelFile, Vec<String>), CheckpointError> {
        let pointer = match self.which {
            Which::Best => Pointer::Best,
            Which::Last => Pointer::Last,
            Which::Step(step) => {
                let (folder, model) = verified(self.of_step(checkpoints, step)?)?;
                return Ok((folder, model, Vec::new()));
            }
        };
        let mut reasons = Vec::new();
        let pointed = match checkpoints.pointed(pointer) {
            Err(error) if error.is_bad_input() => {
                reasons.push(error.to_string());
                None
            }
            pointed => pointed?,
        };
        // "Newest" means the newest folder, as for a run that is resumed. The process that wrote it may have ended
        // before it set the pointer.
        let best = pointed.filter(|_| self.which == Which::Best);
        let others = checkpoints.all()?.into_iter().rev();
        let others = others.filter(|folder| Some(folder) != best.as_ref());
        let mut first = None;
        for folder in best.iter().cloned().chain(others) {
            match read_verified(&folder)? {
                Ok(model) => return Ok((folder, model, reasons)),
                Err(error) => {
                    reasons.push(error.to_string());
                    first = first.or(Some((folder, error)));
                }
            }
        }
        Err(first.map_or_else(
            || self.none("the run has no checkpoint yet"),
            |(folder, error)| with_other_steps(error, &folder),
        ))
    }

    fn of_step(&self, checkpoints: &Checkpoints, step: u64) -> Result<CheckpointFolder, CheckpointError> {
        let all = checkpoints.all()?;
        checkpoints.step(step).ok_or_else(|| {
            let steps: Vec<String> = all.iter().map(|folder| folder.step().to_string()).collect();
            match steps.is_empty() {
                true => self.none("the run has no checkpoint yet"),
                false => self.none(&format!(
                    "the run has no checkpoint of step {step}; it has {}",
                    steps.join(", ")
                )),
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

/// Model in a folder that was exported, or copied from the repository of a hub.
fn exported(folder: &Path) -> Option<PathBuf> {
    let whole = folder.join("model.bpk");
    if whole.is_file() || manifest_of(&whole).is_file() {
        return Some(whole);
    }
    let official = folder.join("model.safetensors");
    official.is_file().then_some(official)
}

/// Model of a checkpoint that verifies, or how the checkpoint is damaged. What else is wrong, such as too little memory, is
/// an error of the outer result.
fn read_verified(folder: &CheckpointFolder) -> Result<Result<ModelFile, CheckpointError>, CheckpointError> {
    match folder.read_model() {
        Ok(model) => Ok(Ok(model)),
        Err(error) => match folder.verify() {
            Ok(()) => Err(error),
            Err(damage) => Ok(Err(damage)),
        },
    }
}

/// Verified checkpoint and its model, if it was asked for by name. No other one is taken instead.
fn verified(folder: CheckpointFolder) -> Result<(CheckpointFolder, ModelFile), CheckpointError> {
    match read_verified(&folder)? {
        Ok(model) => Ok((folder, model)),
        Err(error) => Err(with_other_steps(error, &folder)),
    }
}

/// Error of a damaged checkpoint, with the steps of the valid ones beside it.
fn with_other_steps(error: CheckpointError, folder: &CheckpointFolder) -> CheckpointError {
    let CheckpointError::Corrupt { path, reason } = error else {
        return error;
    };
    let beside = folder.path().parent().map(Checkpoints::new);
    let sound = beside.iter().filter_map(|beside| beside.all().ok()).flatten();
    let steps: Vec<String> = sound
        .filter(|other| other.verify().is_ok())
        .map(|other| other.step().to_string())
        .collect();
    let way_out = match steps.is_empty() {
        true => "there is no valid checkpoint beside it".to_string(),
        false => format!("valid checkpoints beside it, by step: {}", steps.join(", ")),
    };
    CheckpointError::corrupt(&path, format!("{reason}; {way_out}"))
}

/// Run that contains a checkpoint, or the folder of all checkpoints.
fn run_around(path: &Path) -> Option<PathBuf> {
    let mut folders = path.ancestors();
    let all = folders.find(|folder| folder.file_name().is_some_and(|name| name == "checkpoint"))?;
    let run = match all.parent()? {
        here if here.as_os_str().is_empty() => Path::new("."),
        run => run,
    };
    let near = path.ancestors().take(2).any(|folder| folder == all);
    (near && run.join("config.toml").is_file()).then(|| run.to_path_buf())
}

/// Target of a pointer file, which holds the name of a folder: `last` and `best` beside checkpoints, and `runs/latest`
/// where the system has no links. Any other path is returned unchanged.
pub(crate) fn follow_pointer_file(path: &Path) -> Result<PathBuf, CheckpointError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_pointer = name.is_some_and(|name| ["latest", "last", "best"].contains(&name));
    let short = || {
        path.metadata()
            .is_ok_and(|file| file.is_file() && file.len() <= MAX_POINTER)
    };
    if !(is_pointer && short()) {
        return Ok(path.to_path_buf()); // a model may be called so
    }
    let name = plain::read_text(path, MAX_POINTER).map_err(CheckpointError::unread(path))?;
    let corrupt = |reason: &str| Err(CheckpointError::corrupt(path, reason));
    if !is_plain_name(name.trim()) {
        return corrupt("it must hold a plain folder name");
    }
    let folder = path.with_file_name(name.trim());
    match folder.exists() {
        true => Ok(folder),
        false => corrupt(&format!("it names {}, which does not exist", folder.display())),
    }
}

/// A model whose configuration says that its matrices are packed, with packed matrices: official weights hold them as floats.
pub(crate) fn repacked(model: ModelFile, kinds: &Kinds, path: &Path) -> Result<ModelFile, CheckpointError> {
    let says_packed = || {
        let config: Result<DragonConfig, _> = model.config.read();
        config.is_ok_and(|config| config.quant.is_some_and(|quant| quant.packed))
    };
    let is_float = |tensor: &StoredTensor| matches!(tensor, StoredTensor::Float(_));
    match model.tensors.values().all(is_float) && says_packed() {
        true => {
            let kind = kinds.of(&model.family, path)?;
            let packed = kind.packed(model, Packing::TwoBits);
            packed.map_err(|reason| CheckpointError::corrupt(path, reason))
        }
        false => Ok(model),
    }
}
