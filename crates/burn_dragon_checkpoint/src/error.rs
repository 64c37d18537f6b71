//! What can be wrong with a file.

use std::path::{Path, PathBuf};

/// A file that could not be read, written or trusted.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no model at this place.
    #[error("no model at {}: {reason}", path.display())]
    NoModel {
        /// Where.
        path: PathBuf,
        /// What was found instead, and what to do.
        reason: String,
    },
    /// The file is damaged, or is something else.
    #[error("{} is corrupt or not what it should be: {reason}", path.display())]
    Corrupt {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor is missing.
    #[error("{} lacks the tensor `{name}` with shape {expected:?}", path.display())]
    MissingTensor {
        /// Where.
        path: PathBuf,
        /// Its name.
        name: String,
        /// The shape the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{}: tensor `{name}` has shape {given:?}, the configuration asks for {expected:?}", path.display())]
    Shape {
        /// Where.
        path: PathBuf,
        /// Its name.
        name: String,
        /// The shape in the file.
        given: Vec<usize>,
        /// The shape the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor that no model has.
    #[error("{} holds tensors that this model does not have: {}", path.display(), names.join(", "))]
    UnknownTensors {
        /// Where.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A sound file that belongs to something else.
    #[error("{}: {what} is {given}, but here it must be {expected}; {remedy}", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
        /// What the file says.
        given: String,
        /// What was expected.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Weights cannot say how many levels and heads they were trained with.
    #[error(
        "{} holds weights without a configuration: levels, heads and theta cannot be read from weights; \
         give them with --model-config FILE.json", path.display()
    )]
    NeedsConfig {
        /// Where.
        path: PathBuf,
    },
}

impl CheckpointError {
    /// An [`Io`](Self::Io) error for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err` after [`plain`](crate::plain): [`Corrupt`](Self::Corrupt) where the file itself was refused, else
    /// [`Io`](Self::Io).
    pub fn refused(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            std::io::ErrorKind::InvalidData => Self::corrupt(&path, source),
            _ => Self::Io { action, path, source },
        }
    }

    /// A [`Corrupt`](Self::Corrupt) error.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "errors and texts are given away here"
    )]
    pub fn corrupt(path: &Path, reason: impl ToString) -> Self {
        Self::Corrupt {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }

    /// Whether the input, not the program or the machine, is at fault.
    pub fn is_bad_input(&self) -> bool {
        !matches!(
            self,
            Self::Io { .. } | Self::NoModel { .. } | Self::NeedsConfig { .. }
        )
    }
}
