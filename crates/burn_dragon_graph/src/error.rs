//! Errors of the graph crate.

use burn_dragon_core::api::{ConfigError, MemoryError};
use burn_dragon_kernel::api::graph::AdjacencyError;
use burn_dragon_train::api::TrainError;
use std::path::PathBuf;

/// An error of the graph crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
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
    /// A line of a file that does not have the format.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, counted from 1.
        line: usize,
        /// The fault, with what is expected.
        reason: String,
    },
    /// A graph that is not one, or does not fit the model.
    #[error("{0}")]
    Graph(String),
    /// Edges that are no graph.
    #[error(transparent)]
    Edges(#[from] AdjacencyError),
    /// A state of one topology that another one is given.
    #[error(
        "the state is of the topology {given:016x}, but the executor was compiled for {expected:016x}: begin with its \
         empty_state, or compile the other topology"
    )]
    Topology {
        /// Hash of the topology of the state.
        given: u64,
        /// Hash of the topology of the executor.
        expected: u64,
    },
    /// A part of the data without labels.
    #[error("no {what} of the {part} part has a label; expected at least one")]
    NoLabels {
        /// Name of the part: `training`, `validation` or `test`.
        part: &'static str,
        /// Nodes or graphs.
        what: &'static str,
    },
    /// Work that needs more memory than the machine has free.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl From<GraphError> for TrainError {
    /// Maps the error by its cause: a setting, a file, or the memory of the machine.
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Config { .. } | GraphError::Model(_) => Self::Usage(error.to_string()),
            GraphError::Memory(error) => Self::Memory(error),
            _ => Self::BadInput(error.to_string()),
        }
    }
}
