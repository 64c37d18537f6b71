//! Length of the texts that a model was trained on, and the warning beyond it.

use super::super::run_settings::RunSettings;
use burn_dragon::api::language::{ContextStrategy, LanguageModel, LearntMemory, Prefix};

/// Length that a model was trained on, with the key that set it.
#[derive(Debug)]
pub(super) struct TrainedLength {
    /// Number of tokens; `None` if it is not known or not bounded.
    tokens: Option<(u64, &'static str)>,
    said: bool,
}

impl TrainedLength {
    /// Length of a model: that of its windows, or that of the streams which carried its memory.
    pub(super) fn of(model: &LanguageModel) -> Self {
        let run = model.run.as_deref().and_then(|run| RunSettings::of_run(run).ok());
        let reading = model.reading.clone();
        let reading = reading.or_else(|| run.as_ref()?.reading.clone());
        let tokens = reading.and_then(|reading| match reading.memory {
            LearntMemory::Reset => Some((reading.block_size.get() as u64, "block_size")),
            LearntMemory::Carried => run?
                .max_context
                .map(|tokens| (tokens as u64, "streams.max_context")),
        });
        Self { tokens, said: false }
    }

    /// Warning about a text that is longer than those of the training; once.
    pub(super) fn warning(&mut self, reading: &Prefix) -> Option<String> {
        let (trained, key) = self.tokens?;
        let remembered = match reading.strategy() {
            ContextStrategy::Infinite {} => reading.tokens(),
            ContextStrategy::Sliding { window } => reading.tokens().min(2 * window as u64),
        };
        if self.said || remembered <= trained {
            return None;
        }
        self.said = true;
        Some(format!(
            "note: the memory now holds {remembered} tokens, and the model was trained on up to {trained} (sequence.{key}); \
             its predictions may get worse beyond that; /reset forgets all, --context-window {} forgets what is older",
            (trained / 2).max(1)
        ))
    }
}
