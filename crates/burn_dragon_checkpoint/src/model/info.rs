//! Where a model came from.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of weights that no version of this software has trained.
const IMPORTED: &str = "official";

/// Where a model came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Optimiser steps taken.
    pub step: u64,
    /// Units trained on, as the [family](crate::kind::ModelKind::unit) counts them: tokens, puzzles, images.
    pub units: u64,
    /// Version of the software that wrote it.
    pub version: String,
    /// What is said of an exported model beside its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// What the family keeps beside, by its own keys.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

impl ModelInfo {
    /// Of weights that came from elsewhere: how, and how long, they were trained is not known.
    pub fn imported() -> Self {
        Self {
            version: IMPORTED.into(),
            ..Self::default()
        }
    }

    /// Whether the weights came from elsewhere.
    pub fn is_imported(&self) -> bool {
        self.version == IMPORTED
    }
}

/// What whoever gets a model should know of it, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The name of the run that trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The licence of its weights; what nobody said is not made up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}
