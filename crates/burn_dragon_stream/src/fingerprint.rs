//! Fingerprint of a corpus.

use serde::{Deserialize, Serialize};

/// Fingerprint of a corpus: what tells it from another without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Number of documents, those without an input too.
    pub documents: usize,
    /// Tokens of all documents.
    pub tokens: usize,
    /// Hash of every length in order, and of where long documents are cut.
    pub digest: u64,
}
