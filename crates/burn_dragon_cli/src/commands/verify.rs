//! `dragon verify`: all checks of a file or a folder, with their verdicts.

use super::{kinds, print_json};
use crate::args::VerifyArgs;
use burn_dragon::api::exchange::{Check, OfficialConfig, Verdict, VerifyOptions, verify};
use burn_dragon::api::expert::checkpoint::one_line;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb. A failed check ends with exit code 3, like any other corrupt input.
///
/// # Errors
/// If nothing is there, or it is a pickle.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = args
        .model_config
        .as_deref()
        .map(OfficialConfig::read)
        .transpose()?;
    let options = VerifyOptions {
        deep: args.deep,
        config: config.as_ref(),
    };
    let verification = verify(&args.path, &kinds(), options)?;
    let sound = verification.sound(args.strict);
    let count = |verdict| verification.count(verdict);
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    if args.json {
        print_json(&json!({
            "path": args.path,
            "sound": sound,
            "part": verification.is_part(),
            "failed": failed,
            "warnings": warnings,
            "checks": verification.checks,
        }))?;
    } else {
        verification
            .checks
            .iter()
            .for_each(|check| show(check, &args.path));
        show!(
            "{}: {} checks, {failed} failed, {warnings} warnings",
            match (sound, verification.is_part()) {
                (true, true) => "sound, but only one part of a model",
                (true, false) => "sound",
                (false, _) => "not sound",
            },
            verification.checks.len()
        );
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}

fn show(check: &Check, root: &Path) {
    let verdict = match check.verdict {
        Verdict::Ok => "ok     ",
        Verdict::Warning => "warning",
        Verdict::Failed => "FAILED ",
    };
    let file = check
        .file
        .strip_prefix(root)
        .ok()
        .filter(|file| !file.as_os_str().is_empty());
    let file = file
        .or(check.file.file_name().map(Path::new))
        .unwrap_or(&check.file);
    show!(
        "{verdict}  {}  {}: {}",
        file.display(),
        check.what,
        one_line(&check.detail)
    );
}
