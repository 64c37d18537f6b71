//! A verb per file.

pub mod bench;
pub mod chat;
#[cfg(feature = "train")]
pub mod compare;
pub mod completions;
#[cfg(feature = "train")]
pub mod config;
pub mod convert;
pub mod diff;
#[cfg(feature = "train")]
pub mod doctor;
pub mod eval;
pub mod export;
pub mod export_burnpack;
pub mod forward;
pub mod generate;
pub mod infer;
pub mod info;
pub mod inspect;
mod live;
#[cfg(feature = "train")]
pub mod look;
pub mod man;
mod memory;
#[cfg(feature = "train")]
pub mod new;
#[cfg(feature = "train")]
pub mod plan;
#[cfg(feature = "train")]
pub mod predict;
mod prompt;
#[cfg(feature = "fetch")]
pub mod pull;
#[cfg(feature = "fetch")]
pub mod push;
mod remote;
#[cfg(feature = "train")]
pub mod report;
mod run_settings;
#[cfg(feature = "train")]
pub mod runs;
pub mod state;
#[cfg(feature = "train")]
pub mod sweep;
#[cfg(feature = "bpe")]
pub mod tokenizer;
pub mod tour;
#[cfg(feature = "train")]
pub mod train;
pub mod verify;

#[cfg(feature = "train")]
use crate::args::ModelArgs;
use crate::args::PlaceArgs;
use crate::exit::{BadInput, Usage};
#[cfg(feature = "train")]
use crate::families::{self, Entry};
use crate::show::{as_it_is, json};
use anyhow::Context;
use burn_dragon::api::checkpoint::{Kinds, ModelFile, ModelKind, StoredTensor, TensorSpec};
use burn_dragon::api::core::{Backend, Precision, SelectedBackend};
use burn_dragon::api::exchange::{LoadedModel, ModelPath};
use burn_dragon::api::expert::checkpoint::{Foreign, unmarked};
#[cfg(feature = "train")]
use burn_dragon::api::graph::GRAPH;
use burn_dragon::api::language::{LANGUAGE, LanguageModel, Note};
#[cfg(feature = "train")]
use burn_dragon::api::sudoku::SUDOKU;
#[cfg(feature = "train")]
use burn_dragon::api::vision::{VISION, VISION_ENCODER};
use serde::Serialize;
use std::collections::BTreeSet;

/// Families whose files this program knows, one line each.
fn kinds() -> Kinds {
    Kinds::new([
        &LANGUAGE as &dyn ModelKind,
        #[cfg(feature = "train")]
        &SUDOKU,
        #[cfg(feature = "train")]
        &GRAPH,
        #[cfg(feature = "train")]
        &VISION,
        #[cfg(feature = "train")]
        &VISION_ENCODER,
    ])
}

/// Commit of the sources of this program, with `+changes` if they had changes that were not committed.
#[cfg(feature = "train")]
fn commit() -> Option<&'static str> {
    option_env!("BURN_DRAGON_COMMIT")
}

/// Number of parameters in all tensors of a model. Scales of packed tensors are none.
fn parameters(kind: &dyn ModelKind, model: &ModelFile) -> u64 {
    let scales = |tensor: &StoredTensor| match tensor {
        StoredTensor::Codes(codes) => Some(codes.scales().to_string()),
        StoredTensor::Float(_) => None,
    };
    let scales: BTreeSet<String> = model.tensors.values().filter_map(scales).collect();
    let tensors = kind.tensors(model.config.value()).unwrap_or_default();
    tensors
        .iter()
        .filter(|tensor| !scales.contains(&tensor.name))
        .map(TensorSpec::entries)
        .fold(0, u64::saturating_add)
}

/// Selects the device and reports it with the reason on standard error.
fn backend(asked: Backend) -> anyhow::Result<SelectedBackend> {
    let selected = asked.select()?;
    tell!("{selected}");
    Ok(selected)
}

/// Refuses bf16 on a device without it.
fn refuse_without_bf16(precision: Precision, selected: &SelectedBackend) -> Result<(), Usage> {
    if precision == Precision::Bf16 && !selected.kernels().have_bf16() {
        let text = "--precision bf16: this device computes no bf16; give --backend cpu";
        return Err(Usage(text.into()));
    }
    Ok(())
}

/// Refuses a precision of decoding that only the processor supports.
fn refuse_off_processor(precision: Precision, selected: &SelectedBackend) -> Result<(), Usage> {
    if precision == Precision::Bf16 && selected.name != "cpu" {
        let text = "bf16 works only on the processor; give --backend cpu";
        return Err(Usage(text.into()));
    }
    Ok(())
}

/// Loads a model and reports its file on standard error.
fn load(place: &PlaceArgs, selected: &SelectedBackend) -> anyhow::Result<LanguageModel> {
    read(&place.path(), place.offline, selected)
}

fn read(path: &ModelPath, offline: bool, selected: &SelectedBackend) -> anyhow::Result<LanguageModel> {
    let found = remote::find(path, offline)?;
    let pulse = live::Pulse::named(format!("reading {}", path.path.display()));
    let model = LanguageModel::load(&found, &selected.device)?;
    drop(pulse);
    passed_over(&model.passed_over);
    tell!("model {}, step {}", model.file.display(), model.info.step);
    Ok(model)
}

/// Model that a verb runs, with its family and the device; what was selected and read is reported.
#[cfg(feature = "train")]
fn to_run(args: &ModelArgs) -> anyhow::Result<(LoadedModel, &'static Entry, SelectedBackend)> {
    let selected = backend(args.backend.backend)?;
    let place = &args.place;
    let loaded = remote::find(&place.path(), place.offline)?.load(&kinds())?;
    passed_over(&loaded.passed_over);
    tell!("model {}, step {}", loaded.file.display(), loaded.model.info.step);
    let family = families::of_file(&loaded.model.family)?;
    Ok((loaded, family, selected))
}

/// Reports checkpoints that were skipped.
fn passed_over(reasons: &[String]) {
    for reason in reasons {
        tell!("passed over a checkpoint that does not verify: {reason}");
    }
}

/// Refuses a model if the newest checkpoint was skipped: changing, comparing or publishing an older one must be an
/// explicit choice.
fn as_meant(loaded: LoadedModel, way_out: &str) -> Result<LoadedModel, BadInput> {
    match loaded.passed_over.first() {
        Some(reason) => Err(BadInput(format!(
            "the newest checkpoint is not valid: {reason}; {way_out}"
        ))),
        None => Ok(loaded),
    }
}

/// Prints notes about how a text was read on standard error.
fn notes(notes: &[Note]) {
    said(notes).iter().for_each(|line| tell!("{line}"));
}

/// Notes about how a text was read, one line each.
fn said(notes: &[Note]) -> Vec<String> {
    notes
        .iter()
        .map(|note| format!("{}: {note}", note.level()))
        .collect()
}

/// Text from standard input, without a byte order mark.
fn from_stdin(text: &[u8]) -> Result<&[u8], BadInput> {
    match Foreign::of(text) {
        Some(encoding) => Err(BadInput(format!(
            "standard input is {encoding} text, and only UTF-8 is read; convert it with `iconv -f {encoding} -t UTF-8`"
        ))),
        None => Ok(unmarked(text)),
    }
}

/// Prints the one JSON object that ends standard output.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value).context("cannot write the result as JSON")?;
    as_it_is(&json(&text));
    Ok(())
}
