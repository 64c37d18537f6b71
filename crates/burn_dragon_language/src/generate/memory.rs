//! A prefix as a `.state` file.

use super::context::Context;
use super::{ContextStrategy, Generator, Prefix};
use crate::error::LanguageError;
use crate::export::model_hash;
use crate::state::{LanguageState, LanguageStateInfo, Sliding, StateReader};
use crate::tokenizer::Tokenizer;
use burn_dragon_checkpoint::api::expert::sha256;
use burn_dragon_checkpoint::api::{CheckpointError, StoredPrecision};
use std::path::Path;

impl Generator<'_> {
    /// Saves the prefix as a `.state` file, with the set of tokens read and the hashes of model and tokenizer.
    ///
    /// # Errors
    /// If the file cannot be written, or the memory is not finite. An existing file is then unchanged.
    pub fn save(
        &self,
        reading: &Prefix,
        path: &Path,
        precision: StoredPrecision,
    ) -> Result<(), LanguageError> {
        let sliding = match reading.strategy() {
            ContextStrategy::Infinite {} => None,
            ContextStrategy::Sliding { window } => Some(window),
        };
        let state = reading.state();
        let younger = state.lanes() == 2;
        let file = LanguageState {
            config: self.dragon.config().clone(),
            info: LanguageStateInfo {
                model: model_hash(self.dragon),
                tokenizer: Some(tokenizer_hash(&*self.tokenizer)),
                tokens: reading.tokens(),
                sliding: sliding.map(|window| Sliding { window, younger }),
                origin: self.origin.clone(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            precision,
            state,
            seen: vec![reading.seen().clone()],
        };
        Ok(file.write(path)?)
    }

    /// Loads a prefix from a `.state` file, with the context that it was read with. It continues as the saved stream
    /// would: in f32 with the same bits, and with the repetition penalty on the same tokens. At least one more token
    /// must be read before it can be continued.
    ///
    /// # Errors
    /// If the file is damaged, or was written by another model, with another tokenizer, or for several streams.
    pub fn load(&self, path: &Path) -> Result<Prefix, LanguageError> {
        let mut file = LanguageState::read(path, &self.dragon.device().inner())?;
        let (model, tokenizer) = (model_hash(self.dragon), tokenizer_hash(&*self.tokenizer));
        file.check(
            path,
            &StateReader {
                config: self.dragon.config(),
                model: &model,
                origin: self.origin.as_ref(),
                tokenizer: Some(&tokenizer),
                lanes: 1,
            },
        )?;
        let strategy = match file.info.sliding {
            None => ContextStrategy::Infinite {},
            Some(Sliding { window, .. }) => ContextStrategy::Sliding { window },
        };
        let seen = std::mem::take(&mut file.seen).remove(0); // of one stream, as was checked
        let decoding = self.config.decoding();
        let context = Context::resume(self.dragon, strategy, decoding, file.state, file.info.tokens)?;
        let context = context.ok_or_else(|| {
            let reason = format!(
                "its number of memories does not match its context after {} tokens",
                file.info.tokens
            );
            CheckpointError::corrupt(path, reason)
        })?;
        Ok(Prefix::of(context, seen))
    }
}

/// SHA-256 of the tokenizer's JSON.
fn tokenizer_hash(tokenizer: &dyn Tokenizer) -> String {
    sha256(tokenizer.spec().to_json().as_bytes())
}
