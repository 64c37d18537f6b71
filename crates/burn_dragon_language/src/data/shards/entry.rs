//! Entry of the cache: the tokens of one source with one tokenizer, in shards.
//!
//! ```text
//! <cache>/tokens/<key>/
//!     lock                     held by the process that writes
//!     source.json              what the entry is of
//!     tokens-00000.u16         ids of whole documents, 16 or 32 bits each, little-endian
//!     documents-00000.u64      of each document its number of tokens and of bytes, 64 bits each
//!     unknown-00000.u64        of each unknown symbol its place among the tokens of the shard, and its bytes
//!     counted-00000.u64        of conversations: ranges of the tokens of the shard with a loss, each its start and its end
//!     with_loss-00000.u64      of conversations: of each document its number of tokens and of bytes with a loss
//!     index.json               written last: the entry is complete
//! ```
//!
//! A shard is written under another name and renamed, after its lists. So a shard that has its name is whole, and an
//! interrupted entry goes on after its last shard.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{Disk, Os, plain, write_atomic};
use serde::{Deserialize, Serialize};

use super::lists::Lists;
use super::mapped::{IdWidth, Mapped};
use crate::data::note::Severity;
use crate::data::{SplitKind, Tokens};
use crate::error::LanguageError;

/// The value of `format` in an index.
const FORMAT: &str = "burn_dragon.tokens/1";

/// Maximum size of a file that is read whole: an index, or the lists of a shard.
const MAX_INDEX: u64 = 16 << 20;
const MAX_LIST: u64 = 4 << 30;

/// Folder of an entry.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    folder: PathBuf,
    width: IdWidth,
    /// Whether the lists of a shard say which of its tokens have a loss. Otherwise all have one.
    losses: bool,
}

/// Index of a complete entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    format: String,
    /// Number of tokens of each shard.
    shards: Vec<u64>,
    /// Split of the documents; absent if all are one part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) split: Option<SplitAt>,
    /// Notes about how the text was read.
    pub(super) notes: Vec<(Severity, String)>,
}

/// Split of a text, and the number of its documents before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SplitAt {
    pub(super) documents: usize,
    /// If it lies inside a document: the number of bytes before it, and whether a line ends there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) inside: Option<(usize, bool)>,
}

impl SplitAt {
    /// The split in the words of a corpus.
    pub(super) fn kind(self) -> SplitKind {
        match self.inside {
            None => SplitKind::AtDocument {
                train_documents: self.documents,
            },
            Some((offset, at_line_end)) => SplitKind::InsideDocument {
                document: self.documents - 1,
                offset,
                at_line_end,
            },
        }
    }
}

impl Index {
    pub(super) fn new(shards: Vec<u64>, split: Option<SplitAt>, notes: Vec<(Severity, String)>) -> Self {
        Self {
            format: FORMAT.into(),
            shards,
            split,
            notes,
        }
    }
}

impl Entry {
    /// Opens the folder of an entry, creates it if it does not exist, and waits until no other process writes it.
    pub(super) fn lock(
        folder: &Path,
        width: IdWidth,
        losses: bool,
        source: &impl Serialize,
        waiting: impl FnOnce(),
    ) -> Result<(Self, File), LanguageError> {
        fs::create_dir_all(folder).map_err(CheckpointError::io("create", folder))?;
        let path = folder.join("lock");
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let lock = open.map_err(CheckpointError::io("create", &path))?;
        if lock.try_lock().is_err() {
            waiting();
            lock.lock().map_err(CheckpointError::io("lock", &path))?;
        }
        let entry = Self {
            folder: folder.into(),
            width,
            losses,
        };
        entry.put("source.json", source)?;
        Ok((entry, lock))
    }

    fn put(&self, name: &str, value: &impl Serialize) -> Result<(), LanguageError> {
        write_atomic(&Os, &self.folder.join(name), |sink| {
            serde_json::to_writer_pretty(&mut *sink, value)?;
            sink.write_all(b"\n")
        })
        .map_err(LanguageError::from)
    }

    fn path(&self, list: &str, shard: usize) -> PathBuf {
        let width = match (list, self.width) {
            ("tokens", IdWidth::U16) => "u16",
            ("tokens", IdWidth::U32) => "u32",
            _ => "u64",
        };
        self.folder.join(format!("{list}-{shard:05}.{width}"))
    }

    /// Index, if the entry is complete.
    pub(super) fn index(&self) -> Result<Option<Index>, LanguageError> {
        let path = self.folder.join("index.json");
        let bytes = match plain::read(&path, MAX_INDEX) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|error| self.damaged(&path, error))?,
        };
        let index: Index = serde_json::from_slice(&bytes).map_err(|error| self.damaged(&path, error))?;
        match index.format == FORMAT {
            true => Ok(Some(index)),
            false => Err(self.damaged(&path, format!("its format is {:?}, not {FORMAT:?}", index.format))),
        }
    }

    /// Completes the entry.
    pub(super) fn complete(&self, index: &Index) -> Result<(), LanguageError> {
        self.put("index.json", index)
    }

    fn damaged(&self, path: &Path, reason: impl std::fmt::Display) -> LanguageError {
        let folder = self.folder.display();
        let reason = format!("{reason}; remove the folder {folder}, and the text is tokenised again");
        CheckpointError::corrupt(path, reason).into()
    }

    /// Numbers of tokens and documents of the shards that are whole, in order.
    pub(super) fn shards(&self) -> Result<Vec<(u64, usize)>, LanguageError> {
        let mut shards = Vec::new();
        loop {
            let path = self.path("tokens", shards.len());
            let bytes = match fs::metadata(&path) {
                Ok(file) => file.len(),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(shards),
                Err(error) => return Err(CheckpointError::io("read", &path)(error).into()),
            };
            let documents = self.pairs("documents", shards.len())?;
            let tokens: u64 = documents.iter().map(|[tokens, _]| tokens).sum();
            if tokens * self.width.bytes() as u64 != bytes {
                return Err(self.damaged(
                    &path,
                    format!("it has {bytes} bytes, but its documents {tokens} tokens"),
                ));
            }
            shards.push((tokens, documents.len()));
        }
    }

    /// A list of pairs of numbers of a shard.
    fn pairs(&self, list: &str, shard: usize) -> Result<Vec<[u64; 2]>, LanguageError> {
        let path = self.path(list, shard);
        let bytes = plain::read(&path, MAX_LIST).map_err(|error| self.damaged(&path, error))?;
        let (pairs, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(self.damaged(&path, format!("it has {} bytes", bytes.len())));
        }
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        Ok(pairs
            .iter()
            .map(|pair| [number(&pair[..8]), number(&pair[8..])])
            .collect())
    }

    fn put_pairs(&self, list: &str, shard: usize, pairs: &[[u64; 2]]) -> Result<(), LanguageError> {
        write_atomic(&Os, &self.path(list, shard), |sink| {
            let bytes = pairs
                .as_flattened()
                .iter()
                .flat_map(|number| number.to_le_bytes());
            sink.write_all(&bytes.collect::<Vec<u8>>())
        })
        .map_err(LanguageError::from)
    }

    /// Begins a shard. What an interrupted process has left of it is overwritten.
    pub(super) fn begin(&self, shard: usize) -> Result<Shard<'_>, LanguageError> {
        let path = self.folder.join("tokens.part");
        let file = File::create(&path).map_err(CheckpointError::io("create", &path))?;
        Ok(Shard {
            entry: self,
            number: shard,
            path,
            file: BufWriter::with_capacity(1 << 20, file),
            lists: Lists::default(),
            tokens: 0,
        })
    }

    /// Lists of a shard.
    fn lists(&self, shard: usize) -> Result<Lists, LanguageError> {
        let read = |list| self.pairs(list, shard);
        let mut lists = Lists {
            documents: read("documents")?,
            unknown: read("unknown")?,
            ..Lists::default()
        };
        if self.losses {
            (lists.counted, lists.with_loss) = (read("counted")?, read("with_loss")?);
        }
        match lists.fault(self.losses) {
            None => Ok(lists),
            Some(reason) => Err(self.damaged(&self.path("documents", shard), reason)),
        }
    }

    /// The tokens of a complete entry, in its one or two parts.
    pub(super) fn open(&self, index: &Index) -> Result<(Tokens, Option<Tokens>), LanguageError> {
        let paths: Vec<PathBuf> = (0..index.shards.len())
            .map(|shard| self.path("tokens", shard))
            .collect();
        let mapped = Mapped::open(&paths, self.width)?;
        let lengths: Vec<u64> = mapped.lengths().map(|length| length as u64).collect();
        if lengths != index.shards {
            let reason = format!(
                "its shards have {:?} tokens, but the files {lengths:?}",
                index.shards
            );
            return Err(self.damaged(&self.folder.join("index.json"), reason));
        }
        let (mut lists, mut first) = (Lists::default(), 0);
        for (shard, tokens) in lengths.iter().enumerate() {
            lists.add(self.lists(shard)?, first);
            first += tokens;
        }
        let total = lists.tokens();
        if total != first {
            let reason = format!("its documents have {total} tokens, but its shards {first}");
            return Err(self.damaged(&self.folder.join("index.json"), reason));
        }
        let documents = lists.documents.len();
        Ok(match index.split {
            None => (lists.part(&mapped, 0..documents), None),
            Some(split) => {
                let cut = split.documents.min(documents);
                (
                    lists.part(&mapped, 0..cut),
                    Some(lists.part(&mapped, cut..documents)),
                )
            }
        })
    }
}

/// Shard that is being written.
pub(super) struct Shard<'a> {
    entry: &'a Entry,
    number: usize,
    path: PathBuf,
    file: BufWriter<File>,
    lists: Lists,
    tokens: u64,
}

impl Shard<'_> {
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Adds encoded documents: `ids` in the width of the entry, `lists` with places counted from the first of these ids.
    pub(super) fn add(&mut self, ids: &[u8], lists: Lists) -> Result<(), LanguageError> {
        let written = self.file.write_all(ids);
        written.map_err(CheckpointError::io("write", &self.path))?;
        self.lists.add(lists, self.tokens);
        self.tokens += (ids.len() / self.entry.width.bytes()) as u64;
        Ok(())
    }

    /// Gives the shard its name, after it and its lists are on the disk. Returns its number of tokens.
    pub(super) fn finish(self) -> Result<u64, LanguageError> {
        let Self {
            entry,
            number,
            path,
            lists,
            ..
        } = self;
        entry.put_pairs("documents", number, &lists.documents)?;
        entry.put_pairs("unknown", number, &lists.unknown)?;
        if entry.losses {
            entry.put_pairs("counted", number, &lists.counted)?;
            entry.put_pairs("with_loss", number, &lists.with_loss)?;
        }
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(CheckpointError::io("write", &path))?;
        fs::rename(&path, entry.path("tokens", number)).map_err(CheckpointError::io("rename", &path))?;
        Os.sync_dir(&entry.folder)
            .map_err(CheckpointError::io("sync", &entry.folder))?;
        Ok(self.tokens)
    }
}
