//! Fingerprint of a corpus.

use serde::{Deserialize, Serialize};

/// Fingerprint of a corpus: it identifies the corpus by the lengths of its documents, without their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Number of documents, including those without an input.
    pub documents: usize,
    /// Number of tokens of all documents.
    pub tokens: usize,
    /// Hash of every length in order, and of the length at which long documents are cut.
    pub digest: u64,
}
