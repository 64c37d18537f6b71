//! `dragon inspect`: tensors, shapes, types, statistics and metadata of a file.

use super::print_json;
use crate::args::InspectArgs;
use burn_dragon::api::exchange::{Inspection, TensorReport, inspect};
use burn_dragon::api::expert::checkpoint::{one_line, shortened, shortened_to};
use serde_json::json;
use std::process::ExitCode;

/// Maximum number of characters of a text that are shown.
const SHOWN: usize = 120;

/// Runs the verb.
///
/// # Errors
/// If there is nothing, or a file is damaged.
pub fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let files = inspect(&args.path)?;
    if args.json {
        print_json(&json!({ "path": args.path, "files": files }))?;
        return Ok(ExitCode::SUCCESS);
    }
    files.iter().for_each(show);
    Ok(ExitCode::SUCCESS)
}

fn show(file: &Inspection) {
    show!("{}, {} bytes", file.file.display(), file.bytes);
    for note in &file.notes {
        show!("  note  {}", one_line(note));
    }
    for (key, text) in &file.metadata {
        show!("  {}  {}", shortened(key), shortened_to(SHOWN, text));
    }
    let widest = file
        .tensors
        .iter()
        .map(|tensor| tensor.name.len())
        .max()
        .unwrap_or(0)
        .max(6);
    show!(
        "  {:widest$}  type  {:<18}  {:>10}  {:>10}  {:>10}  {:>10}  zeros",
        "tensor",
        "shape",
        "min",
        "max",
        "mean",
        "std"
    );
    for tensor in &file.tensors {
        show!(
            "  {:widest$}  {:<4}  {:<18}{}",
            tensor.name,
            tensor.dtype,
            format!("{:?}", tensor.shape),
            numbers(tensor)
        );
    }
}

fn numbers(tensor: &TensorReport) -> String {
    let Some(s) = &tensor.statistics else {
        return String::new();
    };
    let odd = match s.non_finite {
        0 => String::new(),
        count => format!("  {count} of {} values are not finite", s.entries),
    };
    format!(
        "  {:10.3e}  {:10.3e}  {:10.3e}  {:10.3e}  {:4.1} %{odd}",
        s.min,
        s.max,
        s.mean,
        s.std,
        100.0 * s.zeros
    )
}
