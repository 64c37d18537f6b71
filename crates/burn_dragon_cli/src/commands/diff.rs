//! `dragon diff`: differences between two models.

use super::{as_meant, kinds, print_json};
use crate::args::DiffArgs;
use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::exchange::{Change, ModelDiff, ModelPath, TensorDiff, diff};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the verb. The exit code is 0 if the models are equal and 1 if they differ, as with `diff` and `cmp`, so a
/// script can use it. (`dragon state diff` measures the distance of two memories, which always differ, and ends with
/// 0.)
///
/// # Errors
/// If a model cannot be read.
pub fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let [(a, file_a), (b, file_b)] = [read(&args.a, args)?, read(&args.b, args)?];
    let difference = diff(&a, &b);
    if args.json {
        let files = json!({ "a": file_a, "b": file_b });
        print_json(&json!({ "files": files, "hashes": [a.hash(), b.hash()], "difference": difference }))?;
    } else {
        show(&difference, [&file_a, &file_b]);
    }
    Ok(ExitCode::from(u8::from(!difference.equal)))
}

fn read(path: &Path, args: &DiffArgs) -> anyhow::Result<(ModelFile, PathBuf)> {
    // Used for the model that needs one. The other file has a configuration of its own.
    let official = path.extension().is_some_and(|ending| ending == "safetensors");
    let path = ModelPath {
        official_config: args.model_config.clone().filter(|_| official),
        ..ModelPath::new(path)
    };
    let loaded = as_meant(
        path.load(&kinds())?,
        "give the folder of another checkpoint, checkpoint/step-N",
    )?;
    Ok((loaded.model, loaded.file))
}

fn show(difference: &ModelDiff, [a, b]: [&Path; 2]) {
    show!("A {}\nB {}", a.display(), b.display());
    if let Some(family) = &difference.family {
        show!("{:13}  {} and {}", "family", family.a, family.b);
    }
    for (what, keys) in [
        ("configuration", &difference.config),
        ("origin", &difference.info),
    ] {
        if keys.is_empty() {
            show!("{what:13}  the same");
        }
        for key in keys {
            show!("{what:13}  {}: {} and {}", key.key, key.a, key.b);
        }
    }
    for asset in &difference.assets {
        let words = if asset.same { "the same" } else { "different" };
        show!("{:13}  {words}", asset.name);
    }
    for TensorDiff { name, change } in &difference.tensors {
        let words = match change {
            Change::Equal => "the same".to_string(),
            Change::OnlyInA => "only in A".to_string(),
            Change::OnlyInB => "only in B".to_string(),
            Change::Shape { a, b } => format!("{a:?} and {b:?}"),
            Change::Stored { a, b } => format!("{a} and {b}"),
            Change::Values {
                differing,
                entries,
                max_abs,
                relative,
            } => format!(
                "{differing} of {entries} values differ, by {max_abs:.3e} at most, {relative:.3e} of its norm"
            ),
        };
        show!("{name:13}  {words}");
    }
    show!("{}", if difference.equal { "equal" } else { "different" });
}
