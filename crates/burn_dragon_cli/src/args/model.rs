//! The model that was typed.

use super::BackendArgs;
use burn_dragon::api::exchange::{ModelPath, Which};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// A model, wherever it is, and where to run it.
#[derive(Debug, ClapArgs)]
pub struct ModelArgs {
    /// The model
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where to run
    #[command(flatten)]
    pub backend: BackendArgs,
}

impl ModelArgs {
    /// The model's place.
    pub fn path(&self) -> ModelPath {
        self.place.path()
    }
}

/// A model, wherever it is.
#[derive(Debug, ClapArgs)]
pub struct PlaceArgs {
    /// A run folder, a checkpoint folder, a .bpk or its .parts.json, official .safetensors, an address (https://...), or
    /// OWNER/NAME of a hub
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The configuration of official .safetensors (JSON with n_layer, n_embd, n_head, ...)
    #[arg(long, value_name = "FILE.json")]
    pub model_config: Option<PathBuf>,
    /// Which checkpoint
    #[command(flatten)]
    pub which: WhichArgs,
    /// Where MODEL is elsewhere, use what is in the cache, and ask nobody
    #[arg(long)]
    pub offline: bool,
}

impl PlaceArgs {
    /// The model's place.
    pub fn path(&self) -> ModelPath {
        ModelPath {
            path: self.model.clone(),
            which: self.which.which(),
            official_config: self.model_config.clone(),
        }
    }
}

/// Which checkpoint of a run.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct WhichArgs {
    /// The checkpoint of this step, where the model is a run; else the newest
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// The checkpoint with the lowest validation loss, where the model is a run
    #[arg(long, conflicts_with = "step")]
    pub best: bool,
}

impl WhichArgs {
    /// The checkpoint that is meant.
    pub fn which(self) -> Which {
        match (self.step, self.best) {
            (Some(step), _) => Which::Step(step),
            (None, true) => Which::Best,
            (None, false) => Which::Last,
        }
    }
}
