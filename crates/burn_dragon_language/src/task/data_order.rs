//! What a run reads, step by step.

use crate::config::LanguageConfig;
use crate::data::{Corpus, WindowPlan};
use crate::error::LanguageError;
use crate::streams::StreamPlan;

/// What is read, step by step.
#[derive(Debug)]
pub(super) enum DataOrder {
    /// Windows that each begin with an empty memory.
    Windows(WindowPlan),
    /// Documents on lanes, whose memory goes on.
    Streams(StreamPlan),
}

impl DataOrder {
    pub(super) fn new(config: &LanguageConfig, corpus: &Corpus) -> Result<Self, LanguageError> {
        let (training, windows) = (&config.training, config.dataset.windows);
        if let Some(streams) = &training.streams {
            return Ok(Self::Streams(StreamPlan::new(
                streams, training, corpus, windows,
            )?));
        }
        Ok(Self::Windows(WindowPlan::new(
            &corpus.train,
            training.block_size,
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
