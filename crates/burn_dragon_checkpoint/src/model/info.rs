//! Origin of a model.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of imported weights, which no version of this software trained.
const IMPORTED: &str = "official";

/// Origin of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Number of optimiser steps taken.
    pub step: u64,
    /// Number of units trained on, in the [unit of the family](crate::kind::ModelKind::unit): tokens, puzzles, images.
    pub units: u64,
    /// Version of the software that wrote the model.
    pub version: String,
    /// Provenance of an exported model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Further values of the family, by its own keys.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

impl ModelInfo {
    /// Origin of imported weights: the training is not known.
    pub fn imported() -> Self {
        Self {
            version: IMPORTED.into(),
            ..Self::default()
        }
    }

    /// Whether the weights were imported.
    pub fn is_imported(&self) -> bool {
        self.version == IMPORTED
    }
}

/// Provenance of a model: run, training data and licence, for its users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the run that trained the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Training data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Licence of the weights; `None` if it was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}
