//! Corpora that are tokenised once into files and mapped from there, so that memory does not grow with them.
//!
//! A source is read up to three times when an entry of the cache is written: to measure it (its documents decide the
//! split), to train its tokenizer if it has one of its own, and to encode it. Later runs only map the entry.

mod build;
mod entry;
mod lists;
mod mapped;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{folder_of, sha256};
use serde_json::{Value, json};

use self::build::{Divided, Work};
use self::entry::{Entry, Index};
pub use self::mapped::IdWidth;
pub(crate) use self::mapped::Mapped;
use super::corpus::{Cut, plan_split};
use super::note::Note;
use super::stream::{Measured, SourceStream};
use super::{Corpus, DatasetConfig, SourceConfig, SplitKind, Tokens};
use crate::error::LanguageError;
use crate::tokenizer::{Learner, Tokenizer, TokenizerSpec};

/// Number of tokens from which a shard is complete.
const SHARD: u64 = 16 << 20;

/// Progress of the work on a text before training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataProgress {
    /// Another process writes the same tokens.
    Waiting,
    /// The text is measured, or its tokenizer is trained.
    Reading {
        /// Number of bytes of text so far.
        bytes: u64,
    },
    /// The text is encoded.
    Encoding {
        /// Number of bytes of text so far.
        bytes: u64,
        /// Number of bytes of the whole text.
        of: u64,
        /// Number of tokens so far.
        tokens: u64,
    },
}

/// Request for a corpus in a cache.
pub(super) struct Cached<'a> {
    pub(super) config: &'a DatasetConfig,
    /// Folder of the cache.
    pub(super) cache: PathBuf,
    pub(super) base_dir: &'a Path,
    pub(super) progress: &'a dyn Fn(DataProgress),
    pub(super) shard_tokens: u64,
}

impl<'a> Cached<'a> {
    /// The request, if the configuration has a cache and its source is of files.
    pub(super) fn of(
        config: &'a DatasetConfig,
        base_dir: &'a Path,
        progress: &'a dyn Fn(DataProgress),
    ) -> Option<Self> {
        let cache = base_dir.join(config.cache_dir.as_ref()?);
        config.source.is_of_files().then_some(Self {
            config,
            cache,
            base_dir,
            progress,
            shard_tokens: SHARD,
        })
    }

    /// The corpus, of the given tokenizer or of one that the training text makes.
    pub(super) fn load(&self, tokenizer: Option<Arc<dyn Tokenizer>>) -> Result<Corpus, LanguageError> {
        let own = self.config.validation.as_deref();
        let train = self.text(&self.config.source, own.is_none())?;
        let tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            None => self.tokenizer(&train)?,
        };
        let (index, train, held_out) = self.tokens(&train, &*tokenizer)?;
        let mut notes = index.notes;
        let (validation, split) = match (held_out, index.split, own) {
            (Some(validation), Some(split), _) => (validation, split.kind()),
            (_, _, Some(own)) => {
                let (index, validation, _) = self.tokens(&self.text(own, false)?, &*tokenizer)?;
                notes.extend(index.notes);
                (validation, SplitKind::OwnSource)
            }
            _ => return Err(LanguageError::EmptyValidation),
        };
        let notes = notes.into_iter().map(|(level, text)| Note::Kept { level, text });
        Ok(Corpus {
            tokenizer,
            train,
            validation,
            split,
            notes: notes.collect(),
        })
    }

    /// The validation part alone.
    pub(super) fn held_out(&self, tokenizer: &dyn Tokenizer) -> Result<Tokens, LanguageError> {
        let own = self.config.validation.as_deref();
        let text = self.text(own.unwrap_or(&self.config.source), own.is_none())?;
        let (_, whole, held_out) = self.tokens(&text, tokenizer)?;
        Ok(held_out.unwrap_or(whole))
    }

    fn text(&self, source: &SourceConfig, divided: bool) -> Result<CachedText, LanguageError> {
        let stream = SourceStream::open(source, self.base_dir)?;
        let ratio = divided.then_some(self.config.train_ratio);
        let identity = json!({ "source": stream.identity()?, "train_ratio": ratio });
        Ok(CachedText {
            stream,
            ratio,
            identity,
            measured: OnceCell::new(),
        })
    }

    /// Tokenizer of the configuration. One that is made from the training text is kept in the cache.
    fn tokenizer(&self, text: &CachedText) -> Result<Arc<dyn Tokenizer>, LanguageError> {
        let mut kind = self.config.tokenizer.clone();
        kind.make_absolute(self.base_dir)?;
        let Some(mut learner) = Learner::new(&kind)? else {
            return kind.train(&[]);
        };
        let key = key(&json!({ "text": text.identity, "tokenizer": kind }));
        let path = self.cache.join("tokenizers").join(format!("{key}.json"));
        if path.exists() {
            return TokenizerSpec::load(&path);
        }
        let cut = text.measured(self.progress)?.1;
        let mut bytes = 0;
        let documents = Divided::new(text.stream.documents(), cut);
        for document in documents.take(cut.map_or(usize::MAX, Cut::train_documents)) {
            let document = document?;
            bytes += document.len() as u64;
            learner.add(document.into_text())?;
            (self.progress)(DataProgress::Reading { bytes });
        }
        let tokenizer = learner.finish()?;
        let folder = folder_of(&path);
        fs::create_dir_all(folder).map_err(CheckpointError::io("create", folder))?;
        tokenizer.spec().save(&path)?;
        Ok(tokenizer)
    }

    /// Tokens of a text: mapped, after they were written if they are not there yet.
    fn tokens(
        &self,
        text: &CachedText,
        tokenizer: &dyn Tokenizer,
    ) -> Result<(Index, Tokens, Option<Tokens>), LanguageError> {
        let of = json!({ "text": text.identity, "tokenizer": sha256(tokenizer.spec().to_json().as_bytes()) });
        let folder = self.cache.join("tokens").join(key(&of));
        let width = IdWidth::of_vocabulary(tokenizer.vocab_size());
        let losses = text.stream.has_conversations();
        let waiting = || (self.progress)(DataProgress::Waiting);
        let (entry, _lock) = Entry::lock(&folder, width, losses, &of, waiting)?;
        let index = match entry.index()? {
            Some(index) => index,
            None => self.write(&entry, width, text, tokenizer)?,
        };
        let (first, second) = entry.open(&index)?;
        Ok(match tokenizer.spec() {
            TokenizerSpec::Ids { .. } => (index, first.of_ids(), second.map(Tokens::of_ids)),
            _ => (index, first, second),
        })
    }

    fn write(
        &self,
        entry: &Entry,
        width: IdWidth,
        text: &CachedText,
        tokenizer: &dyn Tokenizer,
    ) -> Result<Index, LanguageError> {
        let (measured, cut) = text.measured(self.progress)?;
        let work = Work {
            entry,
            tokenizer,
            width,
            shard_tokens: self.shard_tokens,
            bytes: measured.bytes(),
            cut,
            progress: self.progress,
        };
        let (shards, split) = work.run(text.stream.documents())?;
        let notes = measured.notes.iter().map(|note| (note.level(), note.to_string()));
        let index = Index::new(shards, split, notes.collect());
        entry.complete(&index)?;
        Ok(index)
    }
}

/// Text of a source, as it is read for an entry.
struct CachedText {
    stream: SourceStream,
    /// Share for training, if the text is split.
    ratio: Option<f64>,
    /// What the text is, as part of the key of an entry.
    identity: Value,
    measured: OnceCell<(Measured, Option<Cut>)>,
}

impl CachedText {
    /// Lengths of the documents and notes, and the split.
    fn measured(&self, progress: &dyn Fn(DataProgress)) -> Result<(&Measured, Option<Cut>), LanguageError> {
        if self.measured.get().is_none() {
            let measured = self
                .stream
                .measure(&|bytes| progress(DataProgress::Reading { bytes }))?;
            if measured.lengths.is_empty() {
                return Err(LanguageError::EmptyCorpus);
            }
            let cut = self
                .ratio
                .map(|ratio| plan_split(&measured.lengths, ratio, measured.have_parts));
            let _ = self.measured.set((measured, cut));
        }
        match self.measured.get() {
            Some((measured, cut)) => Ok((measured, *cut)),
            None => unreachable!("it was set"),
        }
    }
}

/// Name of a folder or file for a description.
fn key(of: &Value) -> String {
    sha256(of.to_string().as_bytes())[..24].to_string()
}
