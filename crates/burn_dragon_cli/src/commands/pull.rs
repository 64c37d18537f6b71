//! `dragon pull`: a model from a hub or a server, into the cache.

use super::{print_json, remote};
use crate::args::PullArgs;
use burn_dragon::api::exchange::fetch::Source;
use serde_json::json;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If there is no such model, or it cannot be fetched, or is not what it should be.
pub fn run(args: &PullArgs) -> anyhow::Result<ExitCode> {
    let source = Source::remote(&args.id, args.revision.as_deref())?;
    let fetched = remote::fetch(&source, args.offline)?;
    if args.json {
        print_json(&json!({
            "source": source.to_string(),
            "path": fetched.path,
            "files": fetched.files,
            "bytes": fetched.bytes,
            "commit": fetched.commit,
            "cached": fetched.cached,
        }))?;
    } else {
        show!("{}", fetched.path.display());
    }
    Ok(ExitCode::SUCCESS)
}
