//! A model with its tokenizer: what a language model file holds.

use crate::error::LanguageError;
use crate::tokenizer::{ByteTokenizer, IdTokenizer, Tokenizer, TokenizerSpec};
use burn::tensor::Device;
use burn_dragon_checkpoint::CheckpointError;
use burn_dragon_checkpoint::model::{ModelFile, ModelInfo};
use burn_dragon_checkpoint::resolve::{LoadedModel, ModelPath};
use burn_dragon_core::Dragon;
use std::path::PathBuf;
use std::sync::Arc;

/// A language model, ready to be evaluated or to speak.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    /// The weights.
    pub dragon: Dragon,
    /// Text to tokens and back.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// Where it came from.
    pub info: ModelInfo,
    /// The file it was read from.
    pub file: PathBuf,
    /// Its run folder, where it was given as one.
    pub run: Option<PathBuf>,
    /// What is wrong with checkpoints that were to be read before it: not for silence.
    pub passed_over: Vec<String>,
}

impl LanguageModel {
    /// Reads a model onto `device`.
    ///
    /// # Errors
    /// If there is none, it is damaged, or its tokenizer does not fit it.
    pub fn load(path: &ModelPath, device: &Device) -> Result<Self, LanguageError> {
        let LoadedModel {
            file,
            run,
            model,
            passed_over,
        } = path.load()?;
        let tokenizer = tokenizer_of(&model)?;
        let (expected, given) = (model.config.vocab_size, tokenizer.vocab_size());
        if expected != given {
            let reason = format!("its model has a vocabulary of {expected} tokens, its tokenizer of {given}");
            return Err(CheckpointError::corrupt(&file, reason).into());
        }
        let info = model.info.clone();
        let dragon = model.into_dragon(&file, device)?;
        Ok(Self {
            dragon,
            tokenizer,
            info,
            file,
            run,
            passed_over,
        })
    }
}

/// The tokenizer in the file. Official weights have none: with 256 tokens they speak bytes, else bare ids.
///
/// # Errors
/// If what the file says of it is no tokenizer.
pub fn tokenizer_of(model: &ModelFile) -> Result<Arc<dyn Tokenizer>, LanguageError> {
    match &model.tokenizer {
        Some(json) => {
            let spec: TokenizerSpec =
                serde_json::from_str(json).map_err(|error| LanguageError::TokenizerInvalid {
                    reason: error.to_string(),
                })?;
            spec.build()
        }
        None if model.config.vocab_size == 256 => Ok(Arc::new(ByteTokenizer)),
        None => Ok(Arc::new(IdTokenizer::new(model.config.vocab_size))),
    }
}
