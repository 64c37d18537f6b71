//! Training of byte pair encodings.
//!
//! The result is a function of the text alone: counts are exact, and of pairs that occur equally often the one of the
//! smallest ids is merged first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::thread;

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::utils::SysRegex;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer as Published};

use super::{BpeTokenizer, file, pieces};
use crate::error::LanguageError;

/// Number of single bytes, which have the first ids.
const BYTES: usize = 256;

/// Token that ends a document; it has the last id.
const END_OF_TEXT: &str = "<|endoftext|>";

/// Largest vocabulary.
const MOST: usize = 1 << 20;

type Pair = (u32, u32);

/// Settings of the training of a byte pair encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpeTraining {
    /// Number of ids: 256 bytes, merged pairs, and `<|endoftext|>`. At least 257.
    pub vocab_size: usize,
    /// Smallest number of times that a pair must occur to be merged.
    pub min_frequency: u64,
}

impl BpeTraining {
    /// Settings of a vocabulary of this size, in which a pair occurs at least twice.
    ///
    /// # Errors
    /// [`LanguageError::Config`] unless it is 257 to 1048576.
    pub fn new(vocab_size: usize) -> Result<Self, LanguageError> {
        if !(BYTES + 1..=MOST).contains(&vocab_size) {
            return Err(LanguageError::Config {
                key: "vocab_size",
                reason: format!(
                    "is {vocab_size}, but must lie between {} (the bytes and {END_OF_TEXT}) and {MOST}",
                    BYTES + 1
                ),
            });
        }
        Ok(Self {
            vocab_size,
            min_frequency: 2,
        })
    }

    /// Trains on documents. The vocabulary is smaller than asked for if no more pairs occur often enough.
    ///
    /// # Errors
    /// [`LanguageError::TokenizerInvalid`] if the tokenizer cannot be built.
    pub fn train(&self, documents: &[&[u8]]) -> Result<BpeTokenizer, LanguageError> {
        let mut vocabulary = BpeVocabulary::default();
        vocabulary.count(documents)?;
        vocabulary.train(self, |_| ())
    }
}

/// Words of a text with their counts: all that training needs of it.
#[derive(Debug, Default)]
pub struct BpeVocabulary {
    words: HashMap<Box<[u8]>, u64>,
}

impl BpeVocabulary {
    /// Counts the words of documents, on all processors. Bytes that are not UTF-8 are left out.
    ///
    /// # Errors
    /// [`LanguageError::TokenizerInvalid`] if the pattern of words cannot be built.
    pub fn count(&mut self, documents: &[&[u8]]) -> Result<(), LanguageError> {
        let regex = SysRegex::new(pieces::PATTERN).map_err(invalid)?;
        let chunks = documents.iter().flat_map(|document| document.utf8_chunks());
        let pieces: Vec<&str> = chunks.flat_map(|chunk| pieces::of(chunk.valid(), true)).collect();
        let threads = thread::available_parallelism().map_or(1, Into::into);
        let share = pieces.len().div_ceil(threads).max(1);
        let counts = thread::scope(|scope| {
            let started: Vec<_> = pieces
                .chunks(share)
                .map(|pieces| scope.spawn(|| words_of(pieces, &regex)))
                .collect();
            started
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect::<Vec<_>>()
        });
        for (word, count) in counts.into_iter().flatten() {
            match self.words.get_mut(word) {
                Some(sum) => *sum += count,
                None => drop(self.words.insert(word.into(), count)),
            }
        }
        Ok(())
    }

    /// Trains on what was counted. `progress` is given the number of tokens after each merge.
    ///
    /// # Errors
    /// [`LanguageError::TokenizerInvalid`] if the tokenizer cannot be built.
    pub fn train(
        &self,
        training: &BpeTraining,
        mut progress: impl FnMut(usize),
    ) -> Result<BpeTokenizer, LanguageError> {
        let mut counted: Vec<(&[u8], u64)> =
            self.words.iter().map(|(word, &count)| (&**word, count)).collect();
        counted.sort_unstable();
        let mut merging = Merging::new(&counted);
        while merging.tokens.len() + 1 < training.vocab_size && merging.step(training.min_frequency) {
            progress(merging.tokens.len());
        }
        BpeTokenizer::from_json(&merging.json().map_err(invalid)?)
    }
}

fn invalid(error: impl std::fmt::Display) -> LanguageError {
    LanguageError::TokenizerInvalid {
        reason: error.to_string(),
    }
}

/// Counts of the words in pieces: matches of the pattern, and what lies between them.
fn words_of<'a>(pieces: &[&'a str], regex: &SysRegex) -> HashMap<&'a [u8], u64> {
    let mut words = HashMap::new();
    for piece in pieces {
        let bytes = piece.as_bytes();
        let mut end = 0;
        let matches = regex.find_iter(piece).chain([(bytes.len(), bytes.len())]);
        for (start, stop) in matches {
            for word in [&bytes[end..start], &bytes[start..stop]] {
                if !word.is_empty() {
                    *words.entry(word).or_default() += 1;
                }
            }
            end = stop;
        }
    }
    words
}

/// State of the training: words as tokens, and the pairs in them.
struct Merging {
    /// Bytes of each token.
    tokens: Vec<Vec<u8>>,
    ids: HashMap<Vec<u8>, u32>,
    /// Merged pairs in order.
    merges: Vec<Pair>,
    merged: HashSet<Pair>,
    /// Each word as tokens, and its count.
    words: Vec<(Vec<u32>, u64)>,
    /// Count of each pair over all words.
    counts: HashMap<Pair, u64>,
    /// Words in which each pair occurs or has occurred.
    places: HashMap<Pair, Vec<usize>>,
    /// Pairs by count. A count may be out of date.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Merging {
    fn new(counted: &[(&[u8], u64)]) -> Self {
        let tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let ids = tokens.iter().cloned().zip(0..).collect();
        let word =
            |&(word, count): &(&[u8], u64)| (word.iter().map(|&byte| u32::from(byte)).collect(), count);
        let words: Vec<(Vec<u32>, u64)> = counted.iter().map(word).collect();
        let mut counts = HashMap::new();
        let mut places: HashMap<Pair, Vec<usize>> = HashMap::new();
        for (at, (word, count)) in words.iter().enumerate() {
            for pair in pairs(word) {
                *counts.entry(pair).or_default() += count;
                places.entry(pair).or_default().push(at);
            }
        }
        let queue = counts
            .iter()
            .map(|(&pair, &count)| (count, Reverse(pair)))
            .collect();
        Self {
            tokens,
            ids,
            merges: Vec::new(),
            merged: HashSet::new(),
            words,
            counts,
            places,
            queue,
        }
    }

    /// Merges the most frequent pair. Returns whether there was one.
    fn step(&mut self, min_frequency: u64) -> bool {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            let now = self.counts.get(&pair).copied().unwrap_or(0);
            if now < min_frequency.max(1) {
                continue;
            }
            if now != count {
                self.queue.push((now, Reverse(pair)));
                continue;
            }
            self.merge(pair);
            return true;
        }
        false
    }

    fn merge(&mut self, pair: Pair) {
        let new = self.token_of(pair);
        if self.merged.insert(pair) {
            self.merges.push(pair);
        }
        let mut places = self.places.remove(&pair).unwrap_or_default();
        places.sort_unstable();
        places.dedup();
        let mut grown = HashSet::new();
        for at in places {
            let (word, count) = &mut self.words[at];
            if !pairs(word).any(|other| other == pair) {
                continue;
            }
            for old in pairs(word) {
                if let Some(sum) = self.counts.get_mut(&old) {
                    *sum -= *count;
                }
            }
            join(word, pair, new);
            for pair in pairs(word) {
                *self.counts.entry(pair).or_default() += *count;
                if pair.0 == new || pair.1 == new {
                    self.places.entry(pair).or_default().push(at);
                    grown.insert(pair);
                }
            }
        }
        self.counts.remove(&pair);
        let entries = grown.into_iter().map(|pair| (self.counts[&pair], Reverse(pair)));
        self.queue.extend(entries);
    }

    /// Token of a merged pair; an older one if it has the same bytes.
    fn token_of(&mut self, (first, second): Pair) -> u32 {
        let bytes = [&self.tokens[first as usize][..], &self.tokens[second as usize]].concat();
        let next = self.tokens.len() as u32;
        let id = *self.ids.entry(bytes.clone()).or_insert(next);
        if id == next {
            self.tokens.push(bytes);
        }
        id
    }

    /// The tokenizer as a file.
    fn json(&self) -> tokenizers::Result<String> {
        let characters = file::characters();
        let name = |id: u32| -> String {
            let bytes = self.tokens[id as usize].iter();
            bytes.map(|&byte| characters[usize::from(byte)]).collect()
        };
        let vocabulary: Vec<(String, u32)> = (0..self.tokens.len() as u32).map(|id| (name(id), id)).collect();
        let merges = self.merges.iter().map(|&(a, b)| (name(a), name(b))).collect();
        let model = BPE::builder().vocab_and_merges(
            vocabulary.into_iter().collect::<tokenizers::models::bpe::Vocab>(),
            merges,
        );
        let mut tokenizer = Published::new(model.build()?);
        let pattern = SplitPattern::Regex(pieces::PATTERN.into());
        let bytes = ByteLevel::new(false, false, false);
        let steps = vec![
            PreTokenizerWrapper::Split(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?),
            PreTokenizerWrapper::ByteLevel(bytes),
        ];
        tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
        tokenizer.with_decoder(Some(bytes));
        tokenizer.add_special_tokens([AddedToken::from(END_OF_TEXT, true)])?;
        tokenizer.to_string(false)
    }
}

fn pairs(word: &[u32]) -> impl Iterator<Item = Pair> {
    word.windows(2).map(|pair| (pair[0], pair[1]))
}

/// Replaces a pair in a word by one token, from the left.
fn join(word: &mut Vec<u32>, pair: Pair, new: u32) {
    let (mut from, mut to) = (0, 0);
    while from < word.len() {
        let both = word.get(from..from + 2) == Some(&[pair.0, pair.1][..]);
        word[to] = if both { new } else { word[from] };
        from += if both { 2 } else { 1 };
        to += 1;
    }
    word.truncate(to);
}
