//! `dragon look`: a view into a model at work on an input.

use super::{print_json, to_run};
use crate::args::LookArgs;
use crate::exit::Usage;
use burn_dragon::api::train::{Look, LookRequest};
use burn_dragon_train::api::expert::write_atomic;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model or the input cannot be read, the family has no views, or the file cannot be written.
pub fn run(args: &LookArgs) -> anyhow::Result<ExitCode> {
    let is_page = is_page(&args.out)?;
    let (loaded, family, selected) = to_run(&args.model)?;
    let request = LookRequest {
        model: loaded.file,
        input: args.input.clone(),
        steps: args.steps,
        device: selected.device,
    };
    let Look {
        picture,
        page,
        lines,
        mut object,
    } = (family.look)(loaded.model, &request)?;
    match is_page {
        true => write_atomic(&args.out, page.as_bytes())?,
        false => write_atomic(&args.out, &picture)?,
    }
    lines.iter().for_each(|line| show!("{line}"));
    show!("{}", args.out.display());
    if args.json {
        object.insert("family".into(), json!(family.name));
        object.insert("file".into(), json!(args.out));
        print_json(&Value::Object(object))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the file is a page, by its name.
fn is_page(path: &Path) -> Result<bool, Usage> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => Ok(true),
        Some("png") => Ok(false),
        _ => Err(Usage(format!(
            "--out {}: expected a name that ends in .png or .html",
            path.display()
        ))),
    }
}
