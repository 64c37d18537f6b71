//! `dragon config`: configurations, without data, model and device.

mod check;
mod diff;
mod doc;
mod show;
mod source;

use crate::args::{ConfigArgs, ConfigVerb};
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If a configuration cannot be read. `check` reports that as a fault instead.
pub fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        ConfigVerb::Show(args) => show::run(args),
        ConfigVerb::Check(args) => check::run(args),
        ConfigVerb::Diff(args) => diff::run(args),
        ConfigVerb::Doc(args) => doc::run(args),
        ConfigVerb::Presets(args) => doc::presets(args),
    }
}
