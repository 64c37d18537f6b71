//! Whether files are what they should be: every check, with its verdict.
//!
//! A loader stops at the first fault. This goes on, so that one reading tells all that is wrong.

mod files;
mod folders;

use crate::official::OfficialConfig;
use crate::resolve::follow_pointer_file;
use burn_dragon_checkpoint::api::{CheckpointError, Kinds};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The check of a lone part.
const PART: &str = "part";

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    Ok,
    /// It can be used, and something is odd.
    Warning,
    /// It is not to be used.
    Failed,
}

/// A check, and what it came to.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub file: PathBuf,
    /// For what.
    pub what: &'static str,
    /// With which result.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
}

/// Every check, in the order in which they were made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Verification {
    /// How many came to this.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    }

    /// Whether what was looked at is one part of a model, which alone is none.
    pub fn is_part(&self) -> bool {
        self.checks.iter().any(|check| check.what == PART)
    }

    /// Whether nothing failed, and, where it is taken strictly, nothing is odd.
    pub fn sound(&self, strict: bool) -> bool {
        self.count(Verdict::Failed) == 0 && !(strict && self.count(Verdict::Warning) > 0)
    }
}

/// How closely to look.
#[derive(Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// Run each model on an input of its family's, and see that what comes out is finite.
    pub deep: bool,
    /// What official weights cannot say.
    pub config: Option<&'a OfficialConfig>,
}

/// Checks a run with all its checkpoints, a checkpoint, a model, its parts, a memory, or official `.safetensors`. What only a
/// family can say, one of `kinds` says.
///
/// # Errors
/// If nothing is there, or it is a PyTorch pickle, which only the import reads. What is wrong with a file is no error: it
/// is a check that failed.
pub fn verify(
    path: &Path,
    kinds: &Kinds,
    options: VerifyOptions<'_>,
) -> Result<Verification, CheckpointError> {
    let path = follow_pointer_file(path)?;
    if !path.exists() {
        let reason = "nothing is there".to_string();
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

    /// Notes what a check found, or what is wrong; whether it was fine.
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
