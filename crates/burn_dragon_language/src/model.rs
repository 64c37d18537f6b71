//! A model with its tokenizer: the content of a language model file.

use crate::chat::ChatTemplate;
use crate::error::LanguageError;
use crate::export::{self, TOKENIZER, kinds};
use crate::learnt::{LearntReading, LearntText};
use crate::state::ModelOrigin;
use crate::tokenizer::{ByteTokenizer, IdTokenizer, Tokenizer, TokenizerSpec};
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile, ModelInfo};
use burn_dragon_core::api::{Dragon, DragonConfig};
#[cfg(feature = "exchange")]
use burn_dragon_exchange::api::{LoadedModel, ModelPath};
use std::path::PathBuf;
use std::sync::Arc;

/// A language model, ready for evaluation and generation.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    /// Weights.
    pub dragon: Dragon,
    /// Tokenizer.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// Origin of the model.
    pub info: ModelInfo,
    /// Reading that it was trained with, if its file has one.
    pub reading: Option<LearntReading>,
    /// Kind of text that it was trained on, if its file has one.
    pub text: Option<LearntText>,
    /// Template of the conversations that it was trained on, if its file has one.
    pub chat: Option<ChatTemplate>,
    /// File that it was read from.
    pub file: PathBuf,
    /// Run folder, if the model was given as one.
    pub run: Option<PathBuf>,
    /// Errors of newer checkpoints that were skipped because they do not verify. Show them to the user.
    pub passed_over: Vec<String>,
}

impl LanguageModel {
    /// Reads a model onto `device`.
    ///
    /// # Errors
    /// If there is no model, it is damaged or of another family, or its tokenizer does not match it.
    #[cfg(feature = "exchange")]
    pub fn load(path: &ModelPath, device: &Device) -> Result<Self, LanguageError> {
        let LoadedModel {
            file,
            run,
            model,
            passed_over,
        } = path.load(&kinds())?;
        Ok(Self {
            run,
            passed_over,
            ..Self::of(model, file, device)?
        })
    }

    /// Origin of the model: its step, and the name of the run that trained it, if it is known.
    pub fn origin(&self) -> ModelOrigin {
        let provenance = self.info.provenance.as_ref();
        let exported = provenance.and_then(|provenance| provenance.run.clone());
        let folder = || {
            let run = self.run.as_ref()?;
            let run = run.canonicalize().unwrap_or_else(|_| run.clone());
            Some(run.file_name()?.to_string_lossy().into_owned())
        };
        ModelOrigin {
            run: exported.or_else(folder),
            step: self.info.step,
        }
    }

    /// Builds the model that was read from `file` on `device`.
    ///
    /// # Errors
    /// If it is of another family, or its tensors or its tokenizer do not match its configuration.
    pub fn of(model: ModelFile, file: PathBuf, device: &Device) -> Result<Self, LanguageError> {
        let corrupt = |reason: String| CheckpointError::corrupt(&file, reason);
        kinds().check(&model, &file)?;
        let reading = LearntReading::of(&model.info).map_err(corrupt)?;
        let text = LearntText::of(&model.info).map_err(corrupt)?;
        let chat = ChatTemplate::of(&model.info).map_err(corrupt)?;
        let config: DragonConfig = model.config.read().map_err(corrupt)?;
        let tokenizer = tokenizer_of(&model)?;
        let (expected, given) = (config.vocab_size, tokenizer.vocab_size());
        if expected != given {
            let reason =
                format!("its model has a vocabulary of {expected} tokens, but its tokenizer has {given}");
            return Err(corrupt(reason).into());
        }
        let info = model.info.clone();
        let dragon = export::of_checked(model, &config, &file, device)?;
        Ok(Self {
            dragon,
            tokenizer,
            info,
            reading,
            text,
            chat,
            file,
            run: None,
            passed_over: Vec::new(),
        })
    }
}

/// Tokenizer of a model file. Official weights have none: with 256 tokens they get the byte tokenizer, else bare ids.
///
/// # Errors
/// If the tokenizer in the file is invalid.
pub fn tokenizer_of(model: &ModelFile) -> Result<Arc<dyn Tokenizer>, LanguageError> {
    if let Some(json) = model.assets.get(TOKENIZER) {
        let spec = TokenizerSpec::from_json(json).map_err(|error| LanguageError::TokenizerInvalid {
            reason: error.to_string(),
        })?;
        return spec.build();
    }
    match model.config.value()["vocab_size"].as_u64().map(usize::try_from) {
        Some(Ok(256)) => Ok(Arc::new(ByteTokenizer)),
        Some(Ok(tokens)) => Ok(Arc::new(IdTokenizer::new(tokens))),
        _ => Err(LanguageError::TokenizerInvalid {
            reason: "the model's configuration has no `vocab_size`".into(),
        }),
    }
}
