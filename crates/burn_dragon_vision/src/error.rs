//! Errors of the vision crate.

use burn_dragon_core::api::structured::{RoutingError, StructuredError};
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
    /// A state of another backbone, grid or number of pictures.
    #[error(transparent)]
    State(#[from] StructuredError),
    /// Links between memories that do not fit a grid of patches.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// Work that needs more memory than the machine has free.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl From<VisionError> for TrainError {
    /// Maps the error by its cause: a setting, a file, or the memory of the machine.
    fn from(error: VisionError) -> Self {
        match error {
            VisionError::Config { .. } | VisionError::Model(_) | VisionError::Routing(_) => {
                Self::Usage(error.to_string())
            }
            VisionError::Read { .. } | VisionError::Format { .. } | VisionError::State(_) => {
                Self::BadInput(error.to_string())
            }
            VisionError::Memory(error) => Self::Memory(error),
        }
    }
}
