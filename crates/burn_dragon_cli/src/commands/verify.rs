//! `dragon verify`: every check of a file or a folder, with its verdict.

use super::print_json;
use crate::args::VerifyArgs;
use burn_dragon::api::checkpoint::{Check, ModelFile, OfficialConfig, Verdict, VerifyOptions, verify};
use burn_dragon::api::expert::checkpoint::one_line;
use burn_dragon::api::language::tokenizer_of;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb. What is not sound ends with exit code 3, like every other corrupt input.
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
        tokenizer: Some(&tokenizer),
    };
    let verification = verify(&args.path, options)?;
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
                (true, true) => "sound, but one part only, which is no model",
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

/// Whether a model's tokenizer can be built, and has as many tokens as the model.
fn tokenizer(model: &ModelFile) -> Result<String, String> {
    let tokenizer = tokenizer_of(model).map_err(|error| error.to_string())?;
    let (given, expected) = (tokenizer.vocab_size(), model.config.vocab_size);
    match (given == expected, &model.tokenizer) {
        (false, _) => Err(format!("it has {given} tokens, the model {expected}")),
        (true, Some(_)) => Ok(format!("{given} tokens, as many as the model has")),
        (true, None) => Ok("none, as with official weights: bytes, or bare ids".into()),
    }
}
