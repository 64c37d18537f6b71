//! Verification of files: all checks, each with its verdict.
//!
//! A loader stops at the first fault. The verification continues, so that one pass reports all faults.

mod files;
mod folders;

use crate::official::OfficialConfig;
use crate::resolve::follow_pointer_file;
use burn_dragon_checkpoint::api::{CheckpointError, Kinds};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Name of the check of a single part.
const PART: &str = "part";

/// Verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The file is valid.
    Ok,
    /// The file can be used, but something is unusual.
    Warning,
    /// The file must not be used.
    Failed,
}

/// Check of a file, with its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// File or folder that was checked.
    pub file: PathBuf,
    /// Name of the check.
    pub what: &'static str,
    /// Verdict of the check.
    pub verdict: Verdict,
    /// Finding, as text.
    pub detail: String,
}

/// All checks, in the order in which they were made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Verification {
    /// Number of checks with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    }

    /// Whether the file is a single part of a model, which is not a model itself.
    pub fn is_part(&self) -> bool {
        self.checks.iter().any(|check| check.what == PART)
    }

    /// Whether no check failed. With `strict`, a warning also counts as a failure.
    pub fn sound(&self, strict: bool) -> bool {
        self.count(Verdict::Failed) == 0 && !(strict && self.count(Verdict::Warning) > 0)
    }
}

/// Options of a verification.
#[derive(Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// Run each model on an input of its family, and check that the outputs are finite.
    pub deep: bool,
    /// Configuration of official weights.
    pub config: Option<&'a OfficialConfig>,
}

/// Checks a run with all its checkpoints, a checkpoint, a model, its parts, a memory, or official `.safetensors`. The
/// checks of a family come from `kinds`.
///
/// # Errors
/// If nothing is at the path, or it is a PyTorch pickle, which only a conversion reads. A faulty file is not an error,
/// but a failed check.
pub fn verify(
    path: &Path,
    kinds: &Kinds,
    options: VerifyOptions<'_>,
) -> Result<Verification, CheckpointError> {
    let path = follow_pointer_file(path)?;
    if !path.exists() {
        let reason = "there is no file or folder at this path".to_string();
        return Err(CheckpointError::NoModel { path, reason });
    }
    let mut verifier = Verifier {
        kinds,
        options,
        checks: Vec::new(),
    };
    if path.is_dir() {
        verifier.folder(&path)?;
    } else {
        verifier.file(&path)?;
    }
    let checks = verifier.checks;
    Ok(Verification { checks })
}

struct Verifier<'a> {
    kinds: &'a Kinds,
    options: VerifyOptions<'a>,
    checks: Vec<Check>,
}

impl Verifier<'_> {
    fn say(&mut self, file: &Path, what: &'static str, verdict: Verdict, detail: impl Into<String>) {
        self.checks.push(Check {
            file: file.to_path_buf(),
            what,
            verdict,
            detail: detail.into(),
        });
    }

    /// Records a check: its finding, or its error. Returns whether it succeeded.
    fn note<E: ToString>(&mut self, file: &Path, what: &'static str, found: Result<String, E>) -> bool {
        match found {
            Ok(detail) => {
                self.say(file, what, Verdict::Ok, detail);
                true
            }
            Err(error) => {
                self.say(file, what, Verdict::Failed, error.to_string());
                false
            }
        }
    }
}
