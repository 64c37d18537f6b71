//! `dragon push`: upload of a model with all its files to a repository of a hub.

mod card;
mod known;

use super::{as_meant, kinds, parameters, print_json, remote};
use crate::args::PushArgs;
use crate::exit::Usage;
use anyhow::Context;
use burn_dragon::api::checkpoint::{
    CheckpointError, CheckpointFolder, ExportOptions, ModelFile, ModelKind, Provenance, StoredTensor, export,
};
use burn_dragon::api::exchange::fetch::{Event, Hub, HubId, Limits, MAIN, Upload, Uploaded, upload};
use burn_dragon::api::exchange::{LoadedModel, OfficialConfig, write_safetensors};
use burn_dragon::api::expert::checkpoint::sha256;
use card::{Card, Weights, is_license};
use known::Known;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

/// Size in bytes from which weights are also uploaded in parts.
const LARGE: u64 = 256 << 20;

/// Size of a part in bytes.
const PART: u64 = 64 << 20;

/// Runs the verb.
///
/// # Errors
/// If the model cannot be read, its files not written, or the hub does not take them.
pub fn run(args: &PushArgs) -> anyhow::Result<ExitCode> {
    let id = HubId::parse(&args.repo).filter(|id| id.revision == MAIN);
    let id = id.ok_or_else(|| {
        Usage(format!(
            "--repo {}: expected the id of a repository, OWNER/NAME",
            args.repo
        ))
    })?;
    if let Some(license) = args.license.as_ref().filter(|license| !is_license(license)) {
        let text =
            format!("--license {license:?}: expected a name that the hub uses, for example apache-2.0");
        return Err(Usage(text).into());
    }
    let loaded = remote::find(&args.place.path(), args.place.offline)?.load(&kinds())?;
    let loaded = as_meant(loaded, "choose another with --step")?;
    let info = &loaded.model.info;
    let step = (!info.is_imported()).then_some(info.step);
    let (folder, _gone) = folder(args)?;
    let files = write(args, &id, loaded, &folder)?;
    let uploaded = match &args.dry_run {
        Some(_) => None,
        None => Some(send(args, id, &files, step)?),
    };
    if args.json {
        let commit = uploaded.as_ref().map(|uploaded| &uploaded.commit);
        let address = uploaded.as_ref().map(|uploaded| &uploaded.address);
        let names: Vec<&str> = files
            .iter()
            .filter_map(|file| file.file_name()?.to_str())
            .collect();
        print_json(&json!({"address": address, "commit": commit, "folder": args.dry_run, "files": names}))?;
        return Ok(ExitCode::SUCCESS);
    }
    match uploaded {
        Some(uploaded) => show!("{}, commit {}", uploaded.address, uploaded.commit),
        None => show!(
            "{}: {} files, nothing was uploaded",
            folder.display(),
            files.len()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Folder of the written files: the given one, which must be new or empty, else a temporary one.
fn folder(args: &PushArgs) -> anyhow::Result<(PathBuf, Option<TempDir>)> {
    let Some(folder) = &args.dry_run else {
        let folder = tempfile::Builder::new()
            .prefix("burn_dragon-push-")
            .tempdir() // of a name that nobody can guess, and of a folder that nobody else can read
            .context("cannot create a temporary folder")?;
        return Ok((folder.path().to_path_buf(), Some(folder)));
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    match entries.next() {
        Some(_) => Err(Usage(format!(
            "--dry-run {}: the folder is not empty; give a new or an empty one",
            folder.display()
        ))
        .into()),
        None => Ok((folder.clone(), None)),
    }
}

/// Writes all files of a model: weights in our format and the official one, configuration, tokenizer, card.
fn write(args: &PushArgs, id: &HubId, loaded: LoadedModel, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let LoadedModel { file, run, model, .. } = loaded;
    // Before anything is written, so that what is under either name is one model, of one hash.
    let mut model = model.rounded(args.precision, &folder.join("model.bpk"))?;
    let kind = kinds().of(&model.family, &file)?;
    kind.assets(&model)
        .map_err(|reason| CheckpointError::corrupt(&file, reason))?;
    let known = known(run.as_deref(), &file, kind, &model);
    let provenance = model.info.provenance.take().unwrap_or_default();
    let license = args.license.clone().or(provenance.license);
    model.info.provenance = Some(Provenance {
        run: known.run.clone().or(provenance.run),
        data: known.data().or(provenance.data),
        license: license.clone(),
    });
    let mut notes = Vec::new();
    let official = write_official(&model, folder, &mut notes)?;
    write_texts(&model, &known, official, folder)?;
    let (text, info) = (kind.card(&model, &id.repo), model.info.clone());
    let assets: Vec<String> = model.assets.keys().cloned().collect();
    let (parameters, bytes) = (parameters(kind, &model), f32_bytes(&model));
    let options = ExportOptions {
        precision: args.precision,
        max_part_bytes: (bytes > LARGE).then_some(PART),
        overwrite: false,
    };
    let exported = export(model, &folder.join("model.bpk"), options)?;
    let card = Card {
        id: &id.repo,
        license: license.as_deref(),
        text: &text,
        parameters,
        unit: kind.unit(),
        info: &info,
        assets: &assets,
        known: &known,
        weights: Weights {
            precision: args.precision,
            exported: &exported,
            official,
            notes: &notes,
        },
    };
    put(folder, "README.md", &card.to_string())?;
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files)
}

/// Facts about a model from its run. Training facts are left out if the run's configuration is not that of the model.
fn known(run: Option<&Path>, file: &Path, kind: &dyn ModelKind, model: &ModelFile) -> Known {
    let known = Known::of(run, kind, model);
    match run.is_some_and(|run| is_other_config(run, file)) {
        true => Known {
            said: None,
            other_config: true,
            ..known
        },
        false => known,
    }
}

/// Writes what is beside the weights: configurations, and the assets under their names.
fn write_texts(model: &ModelFile, known: &Known, official: bool, folder: &Path) -> anyhow::Result<()> {
    if official && let Ok(config) = OfficialConfig::of_model(model) {
        put(folder, "config.json", &serde_json::to_string_pretty(&config)?)?;
    }
    if let Some(config) = known.config() {
        put(folder, "config.toml", config)?;
    }
    let mut assets = model.assets.iter();
    assets.try_for_each(|(name, text)| put(folder, name, text))
}

fn put(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Number of bytes of the tensors in f32, whatever their stored precision, and of the codes.
fn f32_bytes(model: &ModelFile) -> u64 {
    let bytes = |tensor: &StoredTensor| match tensor {
        StoredTensor::Float(data) => 4 * data.num_elements() as u64,
        StoredTensor::Codes(_) => tensor.data().as_bytes().len() as u64,
    };
    model.tensors.values().map(bytes).sum()
}

/// Writes the weights under the official names and returns whether that is possible. Notes say why not.
fn write_official(model: &ModelFile, folder: &Path, notes: &mut Vec<String>) -> anyhow::Result<bool> {
    match write_safetensors(model, &folder.join("model.safetensors")) {
        Ok(told) => {
            notes.extend(told);
            Ok(true)
        }
        Err(CheckpointError::Refused { reason, .. }) => {
            notes.push(format!("there is no `model.safetensors`, since {reason}"));
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a run's configuration is known to differ from that of the checkpoint's training.
fn is_other_config(run: &Path, model: &Path) -> bool {
    let folder = model.parent().and_then(|path| CheckpointFolder::open(path).ok());
    let manifest = folder.and_then(|folder| folder.manifest().ok());
    let trained_with = manifest.and_then(|manifest| manifest.config_sha256);
    let given = fs::read(run.join("config.toml")).ok();
    matches!((trained_with, given), (Some(hash), Some(text)) if sha256(&text) != hash)
}

fn send(args: &PushArgs, id: HubId, files: &[PathBuf], step: Option<u64>) -> anyhow::Result<Uploaded> {
    let message = args
        .message
        .clone()
        .or_else(|| step.map(|step| format!("The model after {step} steps")))
        .unwrap_or_else(|| "The model".into());
    let shown = remote::Shown::new(&format!("sending to {}", id.repo));
    let what = Upload {
        id,
        private: args.private,
        message,
        files: files.to_vec(),
    };
    let tell = |event: Event| shown.tell(event);
    let uploaded = upload(&Hub::from_env()?, &Limits::default(), &what, &tell);
    shown.end();
    Ok(uploaded?)
}
