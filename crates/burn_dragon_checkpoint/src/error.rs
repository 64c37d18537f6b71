//! Errors of reading, writing and checking a file.

use crate::text::listed;
use burn_dragon_core::api::MemoryError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Error of reading, writing or checking a file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// Operation that failed, as a verb.
        action: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// There is no model at this place.
    #[error("no model at {}: {reason}", path.display())]
    NoModel {
        /// Path that was given.
        path: PathBuf,
        /// Description of what was found there, and what to do.
        reason: String,
    },
    /// The operation is refused: it would do harm, or makes no sense.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// Path of the file.
        path: PathBuf,
        /// Reason, and what to do.
        reason: String,
    },
    /// The file is damaged, or is something else.
    #[error("{} is corrupt or not what it should be: {reason}", path.display())]
    Corrupt {
        /// Path of the file.
        path: PathBuf,
        /// Description of the damage.
        reason: String,
    },
    /// A tensor is missing.
    #[error("{} lacks the tensor `{name}` with shape {expected:?}", path.display())]
    MissingTensor {
        /// Path of the file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration requires.
    #[error("{}: tensor `{name}` has shape {given:?}, the configuration asks for {expected:?}", path.display())]
    Shape {
        /// Path of the file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Shape in the file.
        given: Vec<usize>,
        /// Shape by the configuration.
        expected: Vec<usize>,
    },
    /// The file has tensors that the model does not have.
    #[error("{} holds tensors that this model does not have: {}", path.display(), listed(names))]
    UnknownTensors {
        /// Path of the file.
        path: PathBuf,
        /// Names of these tensors.
        names: Vec<String>,
    },
    /// The family of the model is not known to the program.
    #[error(
        "{} holds a model of the family `{family}`; this program reads: {}", path.display(), known.join(", ")
    )]
    UnknownFamily {
        /// Path of the file.
        path: PathBuf,
        /// Family of the model.
        family: String,
        /// Families that the program reads.
        known: Vec<&'static str>,
    },
    /// The file is valid, but belongs to something else.
    #[error("{}: {what} is {given}, but here it must be {expected}; {remedy}", path.display())]
    Foreign {
        /// Path of the file.
        path: PathBuf,
        /// Property that does not match.
        what: &'static str,
        /// Its value in the file.
        given: String,
        /// Its expected value.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Weights without a configuration: the numbers of levels and heads cannot be read from weights.
    #[error(
        "{} holds weights without a configuration: levels, heads and theta cannot be read from weights; \
         give them with --model-config FILE.json", path.display()
    )]
    NeedsConfig {
        /// Path of the weights.
        path: PathBuf,
    },

    // Foreign weights.
    /// The configuration lacks keys that cannot be read from weights.
    #[error(
        "{} does not say what weights cannot: {}; add it to FILE.json of --model-config FILE.json",
        path.display(), keys.join(", ")
    )]
    ConfigKeys {
        /// Path of the configuration, or of the weights if there is no configuration.
        path: PathBuf,
        /// Missing keys.
        keys: Vec<&'static str>,
    },
    /// The configuration follows another convention, under which the weights have another meaning.
    #[error(
        "{}: `{what}` is {given}, expected {expected}; with another convention the same weights are another model",
        path.display()
    )]
    Convention {
        /// Path of the configuration.
        path: PathBuf,
        /// Key of the configuration.
        what: String,
        /// Value of the key.
        given: String,
        /// Expected value.
        expected: String,
    },
    /// The rotary frequencies in a file differ from those of the configuration.
    #[error(
        "{}: `{name}` is {given:e} turns per token at neuron {neuron}, expected {expected:e} for theta {theta}: \
         the weights were trained with another `rope_theta`, or turn other pairs of neurons", path.display()
    )]
    Frequencies {
        /// Path of the file.
        path: PathBuf,
        /// Name of the buffer.
        name: String,
        /// First neuron of a head whose frequency differs.
        neuron: usize,
        /// Frequency in the file, in turns per token.
        given: f64,
        /// Frequency by the configuration, in turns per token.
        expected: f64,
        /// Theta of the configuration.
        theta: f64,
    },
    /// The machine does not have the memory for the tensors of a file.
    #[error("{}: {error}", path.display())]
    Memory {
        /// Path of the file.
        path: PathBuf,
        /// Memory needed, and memory available.
        error: MemoryError,
    },
    /// The file is a pickle, where a model file was expected.
    #[error(
        "{} is a PyTorch pickle, which only `dragon convert` reads as a model; convert it with \
         dragon convert {} MODEL.bpk --model-config FILE.json, then take MODEL.bpk", path.display(), path.display()
    )]
    Pickle {
        /// Path of the file.
        path: PathBuf,
    },
}

/// Limit on the length of a reason, in characters.
const LONGEST: usize = 2000;

fn bounded(reason: String) -> String {
    match reason.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &reason[..end]),
        None => reason,
    }
}

impl CheckpointError {
    /// An [`Io`](Self::Io) error for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// Error of opening a file with `plain`: [`Corrupt`](Self::Corrupt) where the contents or the kind
    /// of the file is at fault, else [`Io`](Self::Io).
    pub fn unread(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            ErrorKind::InvalidData => Self::corrupt(&path, source),
            ErrorKind::UnexpectedEof => Self::corrupt(&path, "it ends before the length that it states"),
            _ => Self::Io {
                action: "read",
                path,
                source,
            },
        }
    }

    /// A [`Corrupt`](Self::Corrupt) error. A long reason is shortened, since it can hold text of the file.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "errors and texts are given away here"
    )]
    pub fn corrupt(path: &Path, reason: impl ToString) -> Self {
        Self::Corrupt {
            path: path.to_path_buf(),
            reason: bounded(reason.to_string()),
        }
    }

    /// A [`Memory`](Self::Memory) error.
    pub fn no_memory(path: &Path, error: MemoryError) -> Self {
        let path = path.to_path_buf();
        Self::Memory { path, error }
    }

    /// A [`Refused`](Self::Refused) error. A long reason is shortened.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "errors and texts are given away here"
    )]
    pub fn refused(path: &Path, reason: impl ToString) -> Self {
        Self::Refused {
            path: path.to_path_buf(),
            reason: bounded(reason.to_string()),
        }
    }

    /// Whether the input is at fault, not the program or the machine.
    pub fn is_bad_input(&self) -> bool {
        !matches!(
            self,
            Self::Io { .. }
                | Self::NoModel { .. }
                | Self::NeedsConfig { .. }
                | Self::Refused { .. }
                | Self::Memory { .. }
        )
    }
}
