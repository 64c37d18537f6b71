//! Errors of the vision crate.

use burn_dragon_core::api::{ConfigError, MemoryError};
use burn_dragon_train::api::TrainError;
use std::path::PathBuf;

/// An error of the vision crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VisionError {
    /// An invalid setting.
    #[error("{key} {reason}")]
    Config {
        /// Full name of the key.
        key: &'static str,
        /// Why it is invalid, beginning with a verb.
        reason: String,
    },
    /// Sizes that no model can have.
    #[error(transparent)]
    Model(#[from] ConfigError),
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A file, or an entry of an archive, that does not have its format.
    #[error("{name}: {reason}")]
    Format {
        /// The file, and the entry in it.
        name: String,
        /// The fault, with what is expected.
        reason: String,
    },
    /// A part of the data without pictures.
    #[error("the {part} part has no pictures: every file was skipped")]
    NoPictures {
        /// Name of the part.
        part: &'static str,
    },
    /// More files skipped than allowed.
    #[error("{files}; at most a share of {most} may be (dataset.max_skipped)")]
    Skipped {
        /// Number of skipped files, and the first ones with their reasons.
        files: String,
        /// Largest share.
        most: f64,
    },
    /// Work that needs more memory than the machine has free.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl From<VisionError> for TrainError {
    /// Maps the error by its cause: a setting, a file, or the memory of the machine.
    fn from(error: VisionError) -> Self {
        match error {
            VisionError::Config { .. } | VisionError::Model(_) => Self::Usage(error.to_string()),
            VisionError::Read { .. }
            | VisionError::Format { .. }
            | VisionError::NoPictures { .. }
            | VisionError::Skipped { .. } => Self::BadInput(error.to_string()),
            VisionError::Memory(error) => Self::Memory(error),
        }
    }
}
