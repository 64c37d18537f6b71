//! What a run reads, step by step.

use crate::config::LanguageConfig;
use crate::data::{Corpus, WindowPlan};
use crate::error::LanguageError;
use crate::streams::StreamPlan;

/// What is read, step by step.
#[derive(Debug)]
pub(super) enum Course {
    /// Windows that each begin with an empty memory.
    Windows(WindowPlan),
    /// Documents on lanes, whose memory goes on.
    Streams(StreamPlan),
}

impl Course {
    pub(super) fn new(config: &LanguageConfig, corpus: &Corpus) -> Result<Self, LanguageError> {
        let (training, windows) = (&config.training, config.dataset.windows);
        if let Some(streams) = &training.streams {
            return Ok(Self::Streams(StreamPlan::new(
                streams, training, corpus, windows,
            )?));
        }
        let plan = WindowPlan::new(&corpus.train, training.block_size, windows)?;
        let run = windows_of_a_run(config, &plan);
        Ok(Self::Windows(plan.for_run(run)))
    }

    pub(super) fn streams(&self) -> Option<&StreamPlan> {
        match self {
            Self::Windows(_) => None,
            Self::Streams(plan) => Some(plan),
        }
    }
}

/// How many windows the planned run sees, however early time or a person ends it.
fn windows_of_a_run(config: &LanguageConfig, plan: &WindowPlan) -> u64 {
    let training = &config.training;
    let a_step = u64::from(training.accumulate).saturating_mul(training.batch_size as u64);
    let of_steps = training.max_steps.saturating_mul(a_step);
    let of_epochs = |epochs: f64| (epochs * plan.windows_per_epoch() as f64).ceil() as u64;
    training.epochs.map_or(of_steps, of_epochs).max(1)
}
