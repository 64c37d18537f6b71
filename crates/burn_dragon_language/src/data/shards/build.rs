//! Writing of an entry: documents are encoded on all processors, in rounds of bounded size.

use std::thread;

use super::DataProgress;
use super::entry::{Entry, Shard, SplitAt};
use super::lists::Lists;
use super::mapped::IdWidth;
use crate::data::corpus::{Cut, cut_near};
use crate::data::document::Document;
use crate::data::stream::DocumentStream;
use crate::data::tokens::Encoding;
use crate::error::LanguageError;
use crate::tokenizer::Tokenizer;

/// Number of bytes of text that a thread encodes in a round.
const BATCH: usize = 2 << 20;

/// Work of writing an entry.
pub(super) struct Work<'a> {
    pub(super) entry: &'a Entry,
    pub(super) tokenizer: &'a dyn Tokenizer,
    pub(super) width: IdWidth,
    /// Number of tokens from which a shard is complete.
    pub(super) shard_tokens: u64,
    /// Number of bytes of the text.
    pub(super) bytes: u64,
    pub(super) cut: Option<Cut>,
    pub(super) progress: &'a dyn Fn(DataProgress),
}

/// What was written: tokens of each shard, and the split.
pub(super) type Written = (Vec<u64>, Option<SplitAt>);

impl Work<'_> {
    /// Writes all shards that the entry does not have yet.
    pub(super) fn run(&self, documents: DocumentStream<'_>) -> Result<Written, LanguageError> {
        let mut shards: Vec<u64> = Vec::new();
        let (mut number, mut read, mut tokens) = (0, 0, 0);
        let mut documents = Divided::new(documents, self.cut);
        for (there, of_documents) in self.entry.shards()? {
            for _ in 0..of_documents {
                let document = documents.next().transpose()?;
                read += document.map_or(0, |document| document.len() as u64);
            }
            number += of_documents;
            tokens += there;
            shards.push(there);
        }
        let mut open: Option<Shard<'_>> = None;
        loop {
            let round = round(&mut documents)?;
            if round.is_empty() {
                break;
            }
            for encoded in self.encode(&round, number)? {
                let shard = match &mut open {
                    Some(shard) => shard,
                    None => open.insert(self.entry.begin(shards.len())?),
                };
                tokens += (encoded.ids.len() / self.width.bytes()) as u64;
                number += encoded.lists.documents.len();
                read += encoded
                    .lists
                    .documents
                    .iter()
                    .map(|[_, bytes]| bytes)
                    .sum::<u64>();
                shard.add(&encoded.ids, encoded.lists)?;
            }
            if open
                .as_ref()
                .is_some_and(|shard| shard.tokens() >= self.shard_tokens)
                && let Some(shard) = open.take()
            {
                shards.push(shard.finish()?);
            }
            (self.progress)(DataProgress::Encoding {
                bytes: read,
                of: self.bytes,
                tokens,
            });
        }
        if let Some(shard) = open {
            shards.push(shard.finish()?);
        }
        Ok((shards, documents.split))
    }

    /// Encodes batches of documents, one batch a thread. `first` is the number of the first document.
    fn encode(&self, batches: &[Vec<Document>], mut first: usize) -> Result<Vec<Encoded>, LanguageError> {
        let (tokenizer, width) = (self.tokenizer, self.width);
        thread::scope(|scope| {
            let started: Vec<_> = batches
                .iter()
                .map(|batch| {
                    let number = first;
                    first += batch.len();
                    scope.spawn(move || Encoded::new(batch, number, tokenizer, width))
                })
                .collect();
            let ended = started.into_iter().map(|thread| {
                let encoded = thread.join();
                encoded.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            ended.collect()
        })
    }
}

/// Batches of documents, at most one for each processor.
fn round(
    documents: &mut dyn Iterator<Item = Result<Document, LanguageError>>,
) -> Result<Vec<Vec<Document>>, LanguageError> {
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let mut batches = Vec::new();
    while batches.len() < threads {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH {
            let Some(document) = documents.next().transpose()? else {
                break;
            };
            bytes += document.len();
            batch.push(document);
        }
        if batch.is_empty() {
            break;
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// Documents as tokens.
struct Encoded {
    /// Ids in the width of the entry.
    ids: Vec<u8>,
    /// Lists with places from the first of these ids.
    lists: Lists,
}

impl Encoded {
    fn new(
        batch: &[Document],
        first: usize,
        tokenizer: &dyn Tokenizer,
        width: IdWidth,
    ) -> Result<Self, LanguageError> {
        let (mut encoding, mut lists) = (Encoding::default(), Lists::default());
        for (at, document) in batch.iter().enumerate() {
            let start = encoding.ids.len();
            let added = encoding.add(document, tokenizer);
            let with_loss = added.map_err(|source| LanguageError::InDocument {
                index: first + at,
                source: Box::new(source),
            })?;
            let tokens = encoding.ids.len() - start;
            lists
                .documents
                .push([tokens, document.len()].map(|number| number as u64));
            lists.with_loss.push(with_loss.map(|number| number as u64));
        }
        let places = encoding.unknown.iter();
        lists.unknown = places
            .map(|symbol| [symbol.at as u64, symbol.bytes as u64])
            .collect();
        let ranges = encoding.counted.ranges().iter();
        lists.counted = ranges
            .map(|range| [range.start as u64, range.end as u64])
            .collect();
        let mut ids = Vec::with_capacity(encoding.ids.len() * width.bytes());
        width.write(encoding.ids, &mut ids);
        Ok(Self { ids, lists })
    }
}

/// Documents, of which the one with the cut is two.
pub(super) struct Divided<'a> {
    documents: DocumentStream<'a>,
    cut: Option<Cut>,
    /// The split, once it was passed.
    split: Option<SplitAt>,
    /// Number of documents that were taken.
    taken: usize,
    /// Part after the cut.
    second: Option<Document>,
}

impl<'a> Divided<'a> {
    pub(super) fn new(documents: DocumentStream<'a>, cut: Option<Cut>) -> Self {
        let split = match cut {
            Some(Cut::After(documents)) => Some(SplitAt {
                documents,
                inside: None,
            }),
            _ => None,
        };
        Self {
            documents,
            cut,
            split,
            taken: 0,
            second: None,
        }
    }
}

impl Iterator for Divided<'_> {
    type Item = Result<Document, LanguageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(second) = self.second.take() {
            return Some(Ok(second));
        }
        let mut document = match self.documents.next()? {
            Ok(document) => document,
            Err(error) => return Some(Err(error)),
        };
        if let Some(Cut::Inside {
            document: place,
            target,
        }) = self.cut
            && place == self.taken
        {
            let (offset, at_line_end) = cut_near(&document, target);
            self.second = Some(document.split_off(offset));
            self.split = Some(SplitAt {
                documents: place + 1,
                inside: Some((offset, at_line_end)),
            });
        }
        self.taken += 1;
        Some(Ok(document))
    }
}
