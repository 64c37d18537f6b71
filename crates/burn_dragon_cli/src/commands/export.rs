//! `dragon export`, `export_burnpack`: a model for distribution, whole and in parts.

use super::{as_meant, kinds, print_json, remote};
use crate::args::BundleArgs;
use crate::exit::Usage;
use anyhow::Context;
#[cfg(feature = "web")]
use burn_dragon::api::checkpoint::PageHead;
use burn_dragon::api::checkpoint::{ExportOptions, Exported, ModelKind, Provenance, export, export_name};
use burn_dragon::api::exchange::{LoadedModel, ModelPath};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model cannot be read, or a file not written.
pub fn run(path: &ModelPath, offline: bool, bundle: &BundleArgs) -> anyhow::Result<ExitCode> {
    let loaded = remote::find(path, offline)?.load(&kinds())?;
    write(as_meant(loaded, "choose another with --step")?, bundle)
}

/// Writes a model that was read.
pub(super) fn write(loaded: LoadedModel, bundle: &BundleArgs) -> anyhow::Result<ExitCode> {
    let output = export_name(&output(&loaded, bundle)?).map_err(Usage)?;
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let kind = kinds().of(&loaded.model.family, &loaded.file)?;
    let mut model = match bundle.low_bit {
        None => loaded.model,
        Some(trits) => {
            let packed = kind.packed(loaded.model, trits.packing());
            packed.map_err(|reason| Usage(format!("{}: {reason}", loaded.file.display())))?
        }
    };
    let earlier = model.info.provenance.take();
    model.info.provenance = provenance(kind, loaded.run.as_deref(), bundle, earlier);
    let (step, parameters) = (model.info.step, super::parameters(kind, &model));
    let options = ExportOptions {
        precision: bundle.precision,
        max_part_bytes: bundle.parts_mib.map(|mib| mib << 20),
        overwrite: bundle.overwrite_parts,
    };
    #[cfg(feature = "web")]
    let head = PageHead::of(&model);
    let exported = export(model, &output, options)?;
    #[cfg(feature = "web")]
    let page = head.write(&exported)?;
    #[cfg(not(feature = "web"))]
    let page: Option<PathBuf> = None;
    show!(
        "{}: step {step}, {parameters} parameters, {}, {} bytes",
        exported.file.display(),
        bundle.precision,
        exported.bytes
    );
    if let Some(manifest) = &exported.manifest {
        show!("{}: {} parts", manifest.display(), exported.parts);
    }
    if let Some(page) = &page {
        show!("{}: index for a web page", page.display());
    }
    if bundle.json {
        print_json(&summary(&exported, page.as_deref(), step, parameters, bundle))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn output(loaded: &LoadedModel, bundle: &BundleArgs) -> Result<PathBuf, Usage> {
    match (&bundle.output, &loaded.run) {
        (Some(output), _) => Ok(output.clone()),
        (None, Some(run)) => Ok(run.join("deploy").join("model.bpk")),
        (None, None) => Err(Usage(
            "the checkpoint is not in a run, so there is no default for the output: give --output FILE"
                .into(),
        )),
    }
}

/// Origin of a model: from its file, its run, and the command line.
fn provenance(
    kind: &dyn ModelKind,
    run: Option<&Path>,
    bundle: &BundleArgs,
    earlier: Option<Provenance>,
) -> Option<Provenance> {
    let mut provenance = earlier.unwrap_or_default();
    if let Some(run) = run {
        let name = run.canonicalize().unwrap_or_else(|_| run.to_path_buf());
        provenance.run = name.file_name().map(|name| name.to_string_lossy().into_owned());
        // A run whose configuration is lost can still be exported.
        provenance.data = kind.run(run).map(|said| said.data);
    }
    if bundle.license.is_some() {
        provenance.license.clone_from(&bundle.license);
    }
    (provenance != Provenance::default()).then_some(provenance)
}

fn summary(
    exported: &Exported,
    page: Option<&Path>,
    step: u64,
    parameters: u64,
    bundle: &BundleArgs,
) -> serde_json::Value {
    json!({
        "file": exported.file,
        "bytes": exported.bytes,
        "sha256": exported.sha256,
        "model": exported.model,
        "manifest": exported.manifest,
        "parts": exported.parts,
        "page": page,
        "precision": bundle.precision,
        "low_bit": bundle.low_bit.map(|trits| trits.packing().name()),
        "step": step,
        "parameters": parameters,
    })
}
