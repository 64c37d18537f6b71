//! A verb per file.

pub mod bench;
pub mod chat;
pub mod convert;
pub mod diff;
pub mod eval;
pub mod export;
pub mod forward;
pub mod generate;
pub mod infer;
pub mod info;
pub mod inspect;
mod memory;
#[cfg(feature = "fetch")]
pub mod pull;
#[cfg(feature = "fetch")]
pub mod push;
mod remote;
pub mod state;
pub mod train;
pub mod verify;

use crate::args::PlaceArgs;
use anyhow::Context;
use burn_dragon::api::checkpoint::ModelPath;
use burn_dragon::api::core::{Backend, SelectedBackend};
use burn_dragon::api::language::{LanguageConfig, LanguageModel};
use burn_dragon::api::train::Layers;
use serde::Serialize;
use std::path::Path;

/// Finds the device and says on standard error which and why.
fn backend(asked: Backend) -> anyhow::Result<SelectedBackend> {
    let selected = asked.select()?;
    eprintln!("backend {} ({})", selected.name, selected.why);
    Ok(selected)
}

/// Reads a model, wherever it is, and says on standard error which file it is.
fn load(place: &PlaceArgs, selected: &SelectedBackend) -> anyhow::Result<LanguageModel> {
    read(&place.path(), place.offline, selected)
}

fn read(path: &ModelPath, offline: bool, selected: &SelectedBackend) -> anyhow::Result<LanguageModel> {
    let model = LanguageModel::load(&remote::find(path, offline)?, &selected.device)?;
    passed_over(&model.passed_over);
    eprintln!("model {}, step {}", model.file.display(), model.info.step);
    Ok(model)
}

/// Says which checkpoints were not read though they were meant.
fn passed_over(reasons: &[String]) {
    for reason in reasons {
        eprintln!("passed over a checkpoint that does not verify: {reason}");
    }
}

/// The configuration that a run folder keeps.
fn run_config(run: &Path) -> anyhow::Result<LanguageConfig> {
    let path = run.join("config.toml");
    Ok(Layers::new().file(&path)?.resolve::<LanguageConfig>()?.value)
}

/// Prints the one JSON object that ends standard output.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    show!(
        "{}",
        serde_json::to_string(value).context("cannot write the result as JSON")?
    );
    Ok(())
}
