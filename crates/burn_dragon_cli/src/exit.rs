//! Exit codes: 0 done, 1 failed, 2 usage, 3 corrupt or foreign input, 130 interrupted and saved.

use burn_dragon::api::checkpoint::CheckpointError;
use burn_dragon::api::core::{BackendError, ConfigError as ShapeError};
#[cfg(feature = "fetch")]
use burn_dragon::api::exchange::fetch::FetchError;
use burn_dragon::api::kernel::UnknownInstructions;
use burn_dragon::api::language::LanguageError;
use burn_dragon_train::api::expert::results;
use burn_dragon_train::api::{ConfigError, Interrupt, TrainError};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Error of usage: an invalid argument.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Error for a request to train, in a program built without training.
#[cfg(not(feature = "train"))]
pub fn without_training() -> Usage {
    Usage(
        "this program was built without training; build it with `cargo build --release -p burn_dragon_cli --features train`"
            .into(),
    )
}

/// Mismatch between a model and the family or configuration that was typed.
#[derive(Debug, PartialEq, Eq)]
pub enum FamilyError {
    /// This version does not have the family.
    Absent {
        /// Family that was typed.
        asked: &'static str,
        /// Families of this version.
        here: Vec<&'static str>,
    },
    /// The model is of another family.
    Other {
        /// File of the model.
        file: PathBuf,
        /// Family that was typed.
        asked: &'static str,
        /// Family of the model.
        found: String,
    },
    /// The model has another configuration.
    Configuration {
        /// File of the model.
        file: PathBuf,
        /// Differences, in words.
        differences: Vec<String>,
    },
}

impl std::fmt::Display for FamilyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent { asked, here } => write!(
                f,
                "this version does not have the family `{asked}`; it has {}",
                here.join(", ")
            ),
            Self::Other { file, asked, found } => write!(
                f,
                "{} is a model of the family `{found}`, not `{asked}`; use --family {found}",
                file.display()
            ),
            Self::Configuration { file, differences } => write!(
                f,
                "{} was not trained with this configuration: {}; give the run's own config.toml, or no -c",
                file.display(),
                differences.join("; ")
            ),
        }
    }
}

impl std::error::Error for FamilyError {}

/// Error of input: an invalid file.
#[derive(Debug)]
pub struct BadInput(pub String);

impl std::fmt::Display for BadInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// Exit code of a run that was interrupted and saved.
pub fn interrupted() -> ExitCode {
    ExitCode::from(u8::try_from(Interrupt::EXIT_CODE).unwrap_or(1))
}

/// Prints the message of clap: help on standard output, an error on standard error.
pub fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let _ = error.print(); // a closed one is nobody's loss
    } else {
        results::note(|| error.print().and_then(|()| std::io::stdout().flush()));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Final exit code. If results could not be written, it is an error, whatever `code` is.
pub fn ended(code: ExitCode) -> ExitCode {
    let Some(error) = results::lost() else {
        return code;
    };
    tell!("error: cannot write the result to standard output: {error}");
    if code == ExitCode::SUCCESS {
        ExitCode::FAILURE
    } else {
        code
    }
}

/// Prints an error and its causes.
pub fn complain(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    tell!("error: {text}");
}

/// Prints an error and its causes, and returns the exit code of its kind.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    complain(error);
    ExitCode::from(error.chain().find_map(code).unwrap_or(1))
}

/// Exit code for an error in the chain of causes.
fn code(error: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if error.is::<Usage>()
        || error.is::<FamilyError>()
        || error.is::<ConfigError>()
        || error.is::<BackendError>()
        || error.is::<UnknownInstructions>()
    {
        return Some(2);
    }
    if let Some(error) = error.downcast_ref::<ShapeError>() {
        return shape(error);
    }
    if error.is::<BadInput>() {
        return Some(3);
    }
    if let Some(error) = error.downcast_ref::<CheckpointError>() {
        return checkpoint(error);
    }
    #[cfg(feature = "fetch")]
    if let Some(error) = error.downcast_ref::<FetchError>() {
        return fetch(error);
    }
    match (
        error.downcast_ref::<TrainError>(),
        error.downcast_ref::<LanguageError>(),
    ) {
        (Some(TrainError::Config(_) | TrainError::Schedule(_) | TrainError::Setting { .. }), _) => Some(2),
        (Some(TrainError::UnknownParameter { .. } | TrainError::ChangedSettings { .. }), _) => Some(2),
        (Some(TrainError::OtherModel { .. }), _) => Some(2),
        (Some(TrainError::Usage(_) | TrainError::Backend(_)), _) => Some(2),
        (Some(TrainError::ChangedData { .. } | TrainError::BadInput(_)), _) => Some(3),
        (Some(TrainError::Checkpoint(error)), _) | (_, Some(LanguageError::Checkpoint(error))) => {
            checkpoint(error)
        }
        (_, Some(error)) => language(error),
        _ => None,
    }
}

/// Exit code for an invalid shape: usage error if no model can have it, failure if this machine has too little memory.
fn shape(error: &ShapeError) -> Option<u8> {
    match error {
        ShapeError::Memory(_) => None,
        _ => Some(2),
    }
}

fn checkpoint(error: &CheckpointError) -> Option<u8> {
    match error {
        CheckpointError::NeedsConfig { .. } => Some(2),
        error => error.is_bad_input().then_some(3),
    }
}

#[cfg(feature = "fetch")]
fn fetch(error: &FetchError) -> Option<u8> {
    match error {
        FetchError::Source { .. } => Some(2),
        FetchError::Cache(error) => checkpoint(error),
        error => error.is_bad_input().then_some(3),
    }
}

fn language(error: &LanguageError) -> Option<u8> {
    match error {
        LanguageError::Model(error) => shape(error),
        LanguageError::Config { .. }
        | LanguageError::TrainRatio { .. }
        | LanguageError::Vocabulary { .. }
        | LanguageError::UnknownToken { .. }
        | LanguageError::NoTokenizer { .. }
        | LanguageError::EmptyPrompt
        | LanguageError::UnclearData { .. }
        | LanguageError::Prompt { .. }
        | LanguageError::NothingNew { .. } => Some(2),
        #[cfg(feature = "train")]
        LanguageError::Training(error) => code(error),
        #[cfg(feature = "fetch")]
        LanguageError::Fetch(error) => fetch(error),
        LanguageError::InDocument { source, .. } => language(source),
        LanguageError::OtherTokenizer { .. }
        | LanguageError::TokenizerFile { .. }
        | LanguageError::TokenizerInvalid { .. }
        | LanguageError::TextChanged { .. }
        | LanguageError::Record { .. }
        | LanguageError::BadGzip { .. }
        | LanguageError::Encoding { .. } => Some(3),
        _ => None,
    }
}
