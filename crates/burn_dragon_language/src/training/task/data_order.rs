//! Order of a run's data, step by step.

use crate::data::{Corpus, WindowPlan};
use crate::error::LanguageError;
use crate::training::config::LanguageConfig;
use crate::training::streams::StreamPlan;

/// Order of the data.
#[derive(Debug)]
pub(super) enum DataOrder {
    /// Windows that each begin with an empty memory.
    Windows(WindowPlan),
    /// Documents on lanes with carried memory.
    Streams(StreamPlan),
}

impl DataOrder {
    pub(super) fn new(config: &LanguageConfig, corpus: &Corpus) -> Result<Self, LanguageError> {
        if let Some(streams) = &config.sequence.streams {
            return Ok(Self::Streams(StreamPlan::new(streams, config, corpus)?));
        }
        let (block_size, windows) = (config.sequence.block_size, config.dataset.windows);
        Ok(Self::Windows(WindowPlan::new(
            &corpus.train,
            block_size,
            windows,
        )?))
    }

    pub(super) fn streams(&self) -> Option<&StreamPlan> {
        match self {
            Self::Windows(_) => None,
            Self::Streams(plan) => Some(plan),
        }
    }
}
