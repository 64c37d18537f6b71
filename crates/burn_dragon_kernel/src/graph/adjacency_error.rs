//! Errors of an adjacency.

/// Error of a list of edges that is no graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdjacencyError {
    /// An edge starts at a reader that does not exist.
    Reader {
        /// Position of the edge in the list.
        edge: usize,
        /// The reader that it names.
        reader: usize,
        /// Number of readers.
        readers: usize,
    },
    /// An edge ends at a target that does not exist.
    Target {
        /// Position of the edge in the list.
        edge: usize,
        /// The target that it names.
        target: usize,
        /// Number of targets.
        targets: usize,
    },
    /// The list of offsets is empty.
    NoOffsets,
    /// An offset is below the one before it, or the first is not 0.
    OffsetsDescend {
        /// Position of the offset.
        row: usize,
        /// Its value.
        given: usize,
        /// The least value that may stand there; for the first, the only one.
        least: usize,
    },
    /// The offsets end elsewhere than the neighbours.
    Length {
        /// The last offset.
        offsets_end: usize,
        /// Number of neighbours.
        neighbours: usize,
    },
    /// There is more than 32 bits count.
    TooMany {
        /// Readers, targets or edges.
        what: &'static str,
        /// How many.
        given: usize,
    },
}

impl std::fmt::Display for AdjacencyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reader {
                edge,
                reader,
                readers,
            } => write!(
                f,
                "edge {edge} starts at place {reader}, but there are {readers}; places are counted from 0"
            ),
            Self::Target {
                edge,
                target,
                targets,
            } => write!(
                f,
                "edge {edge} ends at place {target}, but there are {targets}; places are counted from 0"
            ),
            Self::NoOffsets => {
                f.write_str("no offsets; expected one more than there are readers, the first 0")
            }
            Self::OffsetsDescend { row: 0, given, .. } => {
                write!(f, "the first offset is {given}, expected 0")
            }
            Self::OffsetsDescend { row, given, least } => {
                write!(
                    f,
                    "offset {row} is {given}, expected at least {least}, the one before it"
                )
            }
            Self::Length {
                offsets_end,
                neighbours,
            } => write!(
                f,
                "the offsets end at {offsets_end}, but there are {neighbours} neighbours; the last offset is their number"
            ),
            Self::TooMany { what, given } => {
                write!(f, "{given} {what}; at most {} are counted", u32::MAX)
            }
        }
    }
}

impl std::error::Error for AdjacencyError {}
