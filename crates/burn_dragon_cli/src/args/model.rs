//! Arguments that choose a model.

use super::BackendArgs;
use burn_dragon::api::exchange::{ModelPath, Which};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Model, and the backend to run it on.
#[derive(Debug, ClapArgs)]
pub struct ModelArgs {
    /// The model
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Backend to run on
    #[command(flatten)]
    pub backend: BackendArgs,
}

impl ModelArgs {
    /// Path of the model.
    pub fn path(&self) -> ModelPath {
        self.place.path()
    }
}

/// Location of a model.
#[derive(Debug, ClapArgs)]
pub struct PlaceArgs {
    /// A run folder, a checkpoint folder, a .bpk or its .parts.json, official .safetensors, an address (https://...), or
    /// OWNER/NAME of a hub; also given as -m MODEL
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Configuration of official .safetensors (JSON with n_layer, n_embd, n_head, ...)
    #[arg(long, value_name = "FILE.json")]
    pub model_config: Option<PathBuf>,
    /// Checkpoint to read
    #[command(flatten)]
    pub which: WhichArgs,
    /// For a remote MODEL, use only the cache, without network access
    #[arg(long)]
    pub offline: bool,
}

impl PlaceArgs {
    /// Path of the model.
    pub fn path(&self) -> ModelPath {
        ModelPath {
            path: self.model.clone(),
            which: self.which.which(),
            official_config: self.model_config.clone(),
        }
    }
}

/// Choice among the checkpoints of a run.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct WhichArgs {
    /// Checkpoint of this step, if the model is a run (default: the newest)
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// Checkpoint with the lowest validation loss, if the model is a run
    #[arg(long, conflicts_with = "step")]
    pub best: bool,
}

impl WhichArgs {
    /// The chosen checkpoint.
    pub fn which(self) -> Which {
        match (self.step, self.best) {
            (Some(step), _) => Which::Step(step),
            (None, true) => Which::Best,
            (None, false) => Which::Last,
        }
    }
}
