//! What can be wrong with a file.

use crate::text::listed;
use burn_dragon_core::api::MemoryError;
use std::io::ErrorKind;
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
    /// What was asked for is not done, since it would harm or make no sense.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// Where.
        path: PathBuf,
        /// Why not, and what to do.
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
    #[error("{} holds tensors that this model does not have: {}", path.display(), listed(names))]
    UnknownTensors {
        /// Where.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A model of a family that the program does not know.
    #[error(
        "{} holds a model of the family `{family}`; here are read: {}", path.display(), known.join(", ")
    )]
    UnknownFamily {
        /// Where.
        path: PathBuf,
        /// Its family.
        family: String,
        /// The families that are read.
        known: Vec<&'static str>,
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

    // Foreign weights.
    /// A configuration lacks what weights cannot say.
    #[error(
        "{} does not say what weights cannot: {}; add it to FILE.json of --model-config FILE.json",
        path.display(), keys.join(", ")
    )]
    ConfigKeys {
        /// The configuration, or the weights that would have borne it out.
        path: PathBuf,
        /// Keys that are missing.
        keys: Vec<&'static str>,
    },
    /// A configuration of weights that mean something else here.
    #[error(
        "{}: `{what}` is {given}, expected {expected}; with another convention the same weights are another model",
        path.display()
    )]
    Convention {
        /// The configuration.
        path: PathBuf,
        /// Its key.
        what: String,
        /// What it says.
        given: String,
        /// What is read.
        expected: String,
    },
    /// Rotary frequencies that are not those of the configuration.
    #[error(
        "{}: `{name}` is {given:e} turns a token at neuron {neuron}, where theta {theta} asks for {expected:e}: \
         the weights were trained with another `rope_theta`, or turn other pairs of neurons", path.display()
    )]
    Frequencies {
        /// Where.
        path: PathBuf,
        /// The buffer.
        name: String,
        /// The first neuron of a head that is off.
        neuron: usize,
        /// In the file, turns per token.
        given: f64,
        /// By the configuration.
        expected: f64,
        /// The configuration's.
        theta: f64,
    },
    /// A file whose tensors the machine has no memory for.
    #[error("{}: {error}", path.display())]
    Memory {
        /// Where.
        path: PathBuf,
        /// What it takes, and what there is.
        error: MemoryError,
    },
    /// A pickle where weights were to be loaded.
    #[error(
        "{} is a PyTorch pickle, which only the import reads: \
         dragon convert {} MODEL.bpk --model-config FILE.json, then take MODEL.bpk", path.display(), path.display()
    )]
    Pickle {
        /// Where.
        path: PathBuf,
    },
}

/// Characters of the longest reason.
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

    /// The error of a file that [`plain`](crate::plain) does not open: damaged or foreign where its contents or its kind is
    /// at fault, else the system's.
    pub fn unread(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            ErrorKind::InvalidData => Self::corrupt(&path, source),
            ErrorKind::UnexpectedEof => Self::corrupt(&path, "it is shorter than it was said to be"),
            _ => Self::Io {
                action: "read",
                path,
                source,
            },
        }
    }

    /// A [`Corrupt`](Self::Corrupt) error. Of a reason as much as a person reads: it may hold text of the file.
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

    /// A [`Refused`](Self::Refused) error.
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

    /// Whether the input, not the program or the machine, is at fault.
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
