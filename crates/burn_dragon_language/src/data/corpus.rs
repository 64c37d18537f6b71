//! Corpus of a run: documents as tokens, divided into a training part and a validation part.

use std::{collections::HashSet, fmt, path::Path, sync::Arc};

#[cfg(feature = "train")]
use super::pretokenized;
#[cfg(feature = "train")]
use super::shards::{Cached, DataProgress};
use super::{
    DatasetConfig,
    note::{Listed, Note},
    refuse_ratio,
    source::{Documents, SourceConfig},
    text,
    tokens::Tokens,
};
use crate::{
    error::LanguageError,
    tales::Split,
    tokenizer::{Tokenizer, TokenizerConfig},
};

/// Tolerance of the split: a document boundary is used if it lies within 1/50 (2 %) of the text from the exact ratio.
const BOUNDARY_TOLERANCE: usize = 50;

/// The text of a run as tokens.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// Tokenizer that made the tokens.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// Training tokens.
    pub train: Tokens,
    /// Validation tokens.
    pub validation: Tokens,
    /// Kind of split between the two parts.
    pub split: SplitKind,
    /// Notes and warnings about how the text was read.
    pub notes: Vec<Note>,
}

/// Kind of split between training and validation text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitKind {
    /// Documents that this crate generated, separately for each part. No document is in both.
    Generated,
    /// The validation text has a source of its own.
    OwnSource,
    /// Split between two documents: the first `train_documents` are for training.
    AtDocument {
        /// Number of training documents.
        train_documents: usize,
    },
    /// Split inside a document, because no boundary between documents is near the ratio.
    InsideDocument {
        /// Index of the document, counted from 0.
        document: usize,
        /// Number of its bytes that are for training.
        offset: usize,
        /// Whether the cut follows a line end. It does wherever the document has lines.
        at_line_end: bool,
    },
    /// Split between two tokens of a document, in data that are token ids.
    AtToken {
        /// Index of the document, counted from 0.
        document: usize,
        /// Number of its tokens that are for training.
        token: usize,
    },
}

impl fmt::Display for SplitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generated => f.write_str("validation tales generated apart"),
            Self::OwnSource => f.write_str("validation from its own source"),
            Self::AtDocument { train_documents } => write!(f, "split after document {train_documents}"),
            Self::AtToken { document, token } => {
                write!(f, "split inside document {}, after {token} tokens", document + 1)
            }
            Self::InsideDocument {
                document,
                offset,
                at_line_end,
            } => {
                let place = if *at_line_end {
                    "at a line end"
                } else {
                    "inside a line"
                };
                write!(
                    f,
                    "split inside document {}, {place}, after {offset} bytes",
                    document + 1
                )
            }
        }
    }
}

impl Corpus {
    /// Loads, splits and tokenizes the text. Relative paths start from `base_dir`. If `tokenizer` is `None`, one is
    /// trained on the training part alone; a resumed run passes its own. With `cache_dir` the tokens of files are written
    /// there once, and mapped.
    ///
    /// # Errors
    /// Those of [`SourceConfig::load`] and [`Tokenizer::encode`]; [`LanguageError::TrainRatio`],
    /// [`LanguageError::EmptyCorpus`], [`LanguageError::EmptyValidation`].
    pub fn load(
        config: &DatasetConfig,
        base_dir: &Path,
        tokenizer: Option<Arc<dyn Tokenizer>>,
    ) -> Result<Self, LanguageError> {
        config.validate()?;
        let config = &config.resolved();
        #[cfg(feature = "train")]
        if let SourceConfig::Pretokenized(ids) = &config.source {
            return pretokenized::load(config, ids, base_dir, tokenizer);
        }
        #[cfg(feature = "train")]
        if let Some(cached) = Cached::of(config, base_dir, &|_| ()) {
            return cached.load(tokenizer);
        }
        let mut kind = config.tokenizer.clone();
        kind.make_absolute(base_dir)?;
        encoded(split_documents(config, base_dir)?, &kind, tokenizer)
    }

    /// Splits and tokenizes texts in memory, each a document, as [`load`](Self::load) does those of files. Of the table,
    /// `train_ratio` and `tokenizer` are read; if `tokenizer` is given, it is used.
    ///
    /// ```
    /// use burn_dragon_language::api::{Corpus, DatasetConfig};
    ///
    /// let texts = ["the dragon sleeps. ".repeat(40), "the dragon wakes. ".repeat(40)];
    /// let corpus = Corpus::of_texts(&DatasetConfig::default(), &texts, None)?;
    /// assert_eq!(corpus.tokenizer.vocab_size(), 256);
    /// # Ok::<(), burn_dragon_language::api::LanguageError>(())
    /// ```
    ///
    /// # Errors
    /// [`LanguageError::TrainRatio`], [`LanguageError::EmptyCorpus`], [`LanguageError::EmptyValidation`], and those of
    /// [`Tokenizer::encode`].
    pub fn of_texts(
        config: &DatasetConfig,
        texts: &[impl AsRef<[u8]>],
        tokenizer: Option<Arc<dyn Tokenizer>>,
    ) -> Result<Self, LanguageError> {
        refuse_ratio(config.train_ratio)?;
        let documents = Documents::new(texts.iter().map(|text| text.as_ref().to_vec()).collect());
        if documents.is_empty() {
            return Err(LanguageError::EmptyCorpus);
        }
        let (train, validation, split) = split_by_ratio(documents, config.train_ratio);
        let notes = documents_in_both(&validation, &train).into_iter().collect();
        encoded((train, validation, split, notes), &config.tokenizer, tokenizer)
    }

    /// [`load`](Self::load), with word of the work on a cache.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    #[cfg(feature = "train")]
    pub fn load_watched(
        config: &DatasetConfig,
        base_dir: &Path,
        tokenizer: Option<Arc<dyn Tokenizer>>,
        progress: &dyn Fn(DataProgress),
    ) -> Result<Self, LanguageError> {
        config.validate()?;
        match Cached::of(&config.resolved(), base_dir, progress) {
            Some(cached) => cached.load(tokenizer),
            None => Self::load(config, base_dir, tokenizer),
        }
    }

    /// Loads the validation part alone: the tokens that [`load`](Self::load) gives for it.
    ///
    /// # Errors
    /// Those of [`load`](Self::load) that concern the validation part.
    pub fn held_out(
        config: &DatasetConfig,
        base_dir: &Path,
        tokenizer: &dyn Tokenizer,
    ) -> Result<Tokens, LanguageError> {
        config.validate()?;
        let config = &config.resolved();
        #[cfg(feature = "train")]
        if let SourceConfig::Pretokenized(ids) = &config.source {
            let tokenizer = tokenizer.spec().build()?;
            return Ok(pretokenized::load(config, ids, base_dir, Some(tokenizer))?.validation);
        }
        #[cfg(feature = "train")]
        if let Some(cached) = Cached::of(config, base_dir, &|_| ()) {
            return cached.held_out(tokenizer);
        }
        let own = match &config.validation {
            Some(own) => Some(&**own),
            None => config.source.is_generated().then_some(&config.source),
        };
        let validation = match own {
            Some(source) => source.load(Split::Validation, base_dir)?,
            None => split_documents(config, base_dir)?.1,
        };
        refuse_empty(&validation)?;
        Tokens::encode(&validation, tokenizer)
    }
}

/// Training part, validation part, how they were divided, and notes.
type Divided = (Documents, Documents, SplitKind, Vec<Note>);

/// Corpus of divided documents. If `tokenizer` is `None`, one of this kind is trained on the training part.
fn encoded(
    (train, validation, split, notes): Divided,
    kind: &TokenizerConfig,
    tokenizer: Option<Arc<dyn Tokenizer>>,
) -> Result<Corpus, LanguageError> {
    refuse_empty(&validation)?;
    let tokenizer = match tokenizer {
        Some(tokenizer) => tokenizer,
        None => kind.train(&train.as_slice().iter().map(Vec::as_slice).collect::<Vec<_>>())?,
    };
    Ok(Corpus {
        train: Tokens::encode(&train, &*tokenizer)?,
        validation: Tokens::encode(&validation, &*tokenizer)?,
        tokenizer,
        split,
        notes,
    })
}

fn refuse_empty(validation: &Documents) -> Result<(), LanguageError> {
    match validation.is_empty() {
        true => Err(LanguageError::EmptyValidation),
        false => Ok(()),
    }
}

fn split_documents(config: &DatasetConfig, base_dir: &Path) -> Result<Divided, LanguageError> {
    let train = config.source.load(Split::Train, base_dir)?;
    if train.is_empty() {
        return Err(LanguageError::EmptyCorpus);
    }
    let mut notes = train.notes().to_vec();
    let load = |source: &SourceConfig| source.load(Split::Validation, base_dir);
    match (&config.validation, &config.source) {
        (Some(own), source) => {
            let validation = load(own)?;
            notes.extend_from_slice(validation.notes());
            notes.extend(
                files_in_both(&validation, &train).or_else(|| documents_in_both(&validation, &train)),
            );
            notes.extend(uncut(own, &validation, source));
            Ok((train, validation, SplitKind::OwnSource, notes))
        }
        (None, source) if source.is_generated() => Ok((train, load(source)?, SplitKind::Generated, notes)),
        (None, _) => {
            let (train, validation, split) = split_by_ratio(train, config.train_ratio);
            notes.extend(documents_in_both(&validation, &train));
            Ok((train, validation, split, notes))
        }
    }
}

/// Note about files that are in both the validation and the training text.
fn files_in_both(validation: &Documents, train: &Documents) -> Option<Note> {
    let both = validation.also_in(train);
    (!both.is_empty()).then(|| Note::ValidatedOnTraining {
        files: Listed::of_pairs(&both),
    })
}

/// Note about documents that are in both the validation and the training text, whatever their files are.
fn documents_in_both(validation: &Documents, train: &Documents) -> Option<Note> {
    let known: HashSet<&[u8]> = train.as_slice().iter().map(Vec::as_slice).collect();
    let documents = validation.as_slice().iter();
    let both: Vec<usize> = documents
        .filter(|document| known.contains(document.as_slice()))
        .map(Vec::len)
        .collect();
    let share = both.iter().sum::<usize>() as f64 / validation.bytes().max(1) as f64;
    (share >= Note::SOME).then(|| Note::DocumentsInBoth {
        documents: both.len(),
        of: validation.as_slice().len(),
        share,
    })
}

/// Note about validation documents that are whole files, where training documents are parts of files.
fn uncut(own: &SourceConfig, validation: &Documents, source: &SourceConfig) -> Option<Note> {
    let (SourceConfig::Text(own), SourceConfig::Text(source)) = (own, source) else {
        return None;
    };
    let separator = match (&own.document_separator, &source.document_separator) {
        (None, Some(separator)) => separator,
        _ => return None,
    };
    let documents = validation.as_slice().iter();
    let times = documents
        .map(|document| text::count(document, separator.as_bytes()))
        .sum();
    (times > 0).then(|| Note::ValidationUncut {
        separator: separator.clone(),
        times,
    })
}

/// Place at which a text is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// After this number of documents.
    After(usize),
    /// Inside a document, near `target` bytes of it.
    Inside {
        /// Index of the document.
        document: usize,
        /// Number of its bytes before the split, if a line ends there.
        target: usize,
    },
}

impl Cut {
    /// Number of documents before the split; one that is divided counts.
    #[cfg(feature = "train")]
    pub(super) fn train_documents(self) -> usize {
        match self {
            Self::After(documents) => documents,
            Self::Inside { document, .. } => document + 1,
        }
    }
}

/// Cut where the ratio says: between two documents if a boundary is near, else inside the document there. `lengths` are
/// those of the documents in bytes, at least one.
pub(super) fn plan_split(lengths: &[usize], ratio: f64) -> Cut {
    let mut end = 0;
    let ends: Vec<usize> = lengths
        .iter()
        .map(|length| {
            end += length;
            end
        })
        .collect();
    let total = end;
    let target = (total as f64 * ratio).round() as usize;
    let boundaries = ends[..ends.len() - 1].iter().enumerate();
    let nearest = boundaries
        .map(|(index, end)| (end.abs_diff(target), index + 1))
        .min();
    if let Some((off, documents)) = nearest
        && off * BOUNDARY_TOLERANCE <= total
    {
        return Cut::After(documents);
    }
    let document = ends.partition_point(|&end| end < target).min(ends.len() - 1);
    let start = ends[document] - lengths[document];
    Cut::Inside {
        document,
        target: target.saturating_sub(start),
    }
}

/// Splits documents where [`plan_split`] says. `documents` is not empty.
fn split_by_ratio(documents: Documents, ratio: f64) -> (Documents, Documents, SplitKind) {
    let mut train = documents.into_inner();
    let lengths: Vec<usize> = train.iter().map(Vec::len).collect();
    match plan_split(&lengths, ratio) {
        Cut::After(train_documents) => {
            let validation = train.split_off(train_documents);
            let split = SplitKind::AtDocument { train_documents };
            (Documents::new(train), Documents::new(validation), split)
        }
        Cut::Inside { document, target } => {
            let (offset, at_line_end) = cut_near(&train[document], target);
            let mut validation = vec![train[document].split_off(offset)];
            validation.extend(train.split_off(document + 1));
            let split = SplitKind::InsideDocument {
                document,
                offset,
                at_line_end,
            };
            (Documents::new(train), Documents::new(validation), split)
        }
    }
}

/// The cut inside a text that is nearest to `target` and follows a line end, and `true`; in a text of one line the
/// nearest cut that leaves characters whole, and `false`.
pub(super) fn cut_near(text: &[u8], target: usize) -> (usize, bool) {
    // Neither side is blank: a blank one would be no document.
    let first = text.iter().position(|byte| !byte.is_ascii_whitespace());
    let last = text.iter().rposition(|byte| !byte.is_ascii_whitespace());
    let inside = first.unwrap_or(0) + 1..last.unwrap_or(0) + 1;
    let nearest = |cuts: &dyn Fn(usize) -> bool| {
        let target = target.min(text.len());
        let before = (0..=target).rev().find(|&cut| inside.contains(&cut) && cuts(cut));
        let after = (target..text.len()).find(|&cut| inside.contains(&cut) && cuts(cut));
        before
            .into_iter()
            .chain(after)
            .min_by_key(|cut| cut.abs_diff(target))
    };
    match nearest(&|cut| text[cut - 1] == b'\n') {
        Some(cut) => (cut, true),
        // A byte 10xxxxxx goes on with a character.
        None => (
            nearest(&|cut| text[cut] & 0xc0 != 0x80).unwrap_or(text.len()),
            false,
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tokenizer::Unknown;
    use crate::{
        data::TextConfig,
        tales::TalesConfig,
        tokenizer::{CharTokenizer, TokenizerConfig},
    };

    fn documents(lengths: &[usize]) -> Documents {
        Documents::new(lengths.iter().map(|&len| vec![b'a'; len]).collect())
    }

    fn lengths(documents: &Documents) -> Vec<usize> {
        documents.as_slice().iter().map(Vec::len).collect()
    }

    /// A corpus of one file of this text.
    fn load(text: &str, edit: impl FnOnce(&mut DatasetConfig)) -> Result<Corpus, LanguageError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), text).unwrap();
        let mut config = DatasetConfig {
            source: text_source("a.txt"),
            ..DatasetConfig::default()
        };
        edit(&mut config);
        Corpus::load(&config, folder.path(), None)
    }

    fn text_source(path: &str) -> SourceConfig {
        SourceConfig::Text(TextConfig {
            paths: vec![path.into()],
            document_separator: None,
        })
    }

    #[test]
    fn a_boundary_near_the_ratio_keeps_documents_whole() {
        let (train, validation, split) = split_by_ratio(documents(&[50, 41, 9]), 0.9);
        assert_eq!((lengths(&train), lengths(&validation)), (vec![50, 41], vec![9]));
        assert_eq!(split, SplitKind::AtDocument { train_documents: 2 });
    }

    #[test]
    fn a_boundary_more_than_two_percent_off_is_not_used() {
        let (train, validation, split) = split_by_ratio(documents(&[50, 37, 13]), 0.9);
        assert_eq!(
            (lengths(&train), lengths(&validation)),
            (vec![50, 37, 3], vec![10])
        );
        assert_eq!(
            split,
            SplitKind::InsideDocument {
                document: 2,
                offset: 3,
                at_line_end: false
            }
        );
    }

    #[test]
    fn one_document_is_cut_at_the_line_end_nearest_to_the_ratio() {
        let corpus = load("123456\n89\nab\n", |config| config.train_ratio = 0.6).unwrap();
        assert_eq!((corpus.train.len(), corpus.validation.len()), (7, 6));
        assert_eq!(
            corpus.split,
            SplitKind::InsideDocument {
                document: 0,
                offset: 7,
                at_line_end: true
            }
        );
    }

    #[test]
    fn a_text_of_one_line_is_cut_between_characters() {
        assert_eq!(cut_near("a\u{1f409}bc".as_bytes(), 3), (1, false));
        assert_eq!(cut_near("a\u{1f409}bc".as_bytes(), 4), (5, false));
        assert_eq!(cut_near(b"abc", 3), (2, false));
        // A line end with nothing before or behind it would leave one side blank.
        assert_eq!(cut_near(b"\n\nabcd\n \n", 7), (5, false));
        assert_eq!(cut_near(b"\n\na\nb\n", 5), (4, true));
    }

    #[test]
    fn a_validation_source_of_its_own_leaves_training_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "training").unwrap();
        fs::write(folder.path().join("v.txt"), "validation").unwrap();
        let validation = Some(Box::new(text_source("v.txt")));
        let config = DatasetConfig {
            source: text_source("a.txt"),
            validation,
            ..DatasetConfig::default()
        };
        let corpus = Corpus::load(&config, folder.path(), None).unwrap();
        assert_eq!((corpus.train.bytes, corpus.validation.bytes), (8, 10));
        assert_eq!(corpus.split, SplitKind::OwnSource);
        let held_out = Corpus::held_out(&config, folder.path(), &*corpus.tokenizer).unwrap();
        assert_eq!(held_out, corpus.validation);
    }

    #[test]
    fn validation_text_that_is_trained_on_or_cut_otherwise_is_said() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.txt", "one<|>two"),
            ("b.txt", "three<|>four"),
            ("copy.md", "one<|>two"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let said = |train: &[&str], validation: &[&str], of_training, of_validation: Option<&str>| {
            let source = |paths: &[&str], separator: Option<&str>| {
                SourceConfig::Text(TextConfig {
                    paths: paths.iter().map(ToString::to_string).collect(),
                    document_separator: separator.map(Into::into),
                })
            };
            let config = DatasetConfig {
                source: source(train, of_training),
                validation: Some(Box::new(source(validation, of_validation))),
                ..DatasetConfig::default()
            };
            Corpus::load(&config, folder.path(), None).unwrap().notes
        };
        let both = |validation: &[&str]| said(&["*.txt"], validation, Some("<|>"), Some("<|>"));
        for (validation, names) in [("a.txt", "a.txt as in "), ("copy.md", "copy.md as in ")] {
            let notes = both(&[validation]);
            let [note @ Note::ValidatedOnTraining { files }] = &notes[..] else {
                panic!("{notes:?}")
            };
            assert_eq!(files.count, 1);
            assert_eq!(note.level(), crate::data::Severity::Warning);
            assert!(note.to_string().contains(names), "{note}");
        }
        assert_eq!(said(&["a.txt"], &["b.txt"], Some("<|>"), Some("<|>")), []);
        // A document in another file, with a separator at another place.
        fs::write(folder.path().join("v.txt"), "two<|>five").unwrap();
        let notes = said(&["a.txt"], &["v.txt"], Some("<|>"), Some("<|>"));
        let [
            note @ Note::DocumentsInBoth {
                documents: 1,
                of: 2,
                share,
            },
        ] = &notes[..]
        else {
            panic!("{notes:?}")
        };
        assert_eq!(
            (*share, note.level()),
            (3.0 / 7.0, crate::data::Severity::Warning)
        );
        fs::write(
            folder.path().join("v.txt"),
            "two<|>".to_string() + &"five ".repeat(15),
        )
        .unwrap();
        let notes = said(&["a.txt"], &["v.txt"], Some("<|>"), Some("<|>"));
        assert_eq!(
            notes[0].level(),
            crate::data::Severity::Note,
            "3 of 78 bytes are little"
        );
        fs::write(
            folder.path().join("v.txt"),
            "two<|>".to_string() + &"five ".repeat(99),
        )
        .unwrap();
        assert_eq!(said(&["a.txt"], &["v.txt"], Some("<|>"), Some("<|>")), []);
        let notes = said(&["a.txt"], &["b.txt"], Some("<|>"), None);
        assert!(
            matches!(notes[..], [Note::ValidationUncut { times: 1, .. }]),
            "{notes:?}"
        );
        let notes = said(&["a.txt"], &["b.txt"], None, Some("zz"));
        assert!(matches!(notes[..], [Note::Uncut { of: 1, .. }]), "{notes:?}");
    }

    #[test]
    fn documents_that_come_again_after_the_split_are_said() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "abc\ndef\nghi\n".repeat(2)).unwrap();
        let config = DatasetConfig {
            source: SourceConfig::Text(TextConfig {
                paths: vec!["a.txt".into()],
                document_separator: Some("\n".into()),
            }),
            train_ratio: 0.5,
            ..DatasetConfig::default()
        };
        let notes = Corpus::load(&config, folder.path(), None).unwrap().notes;
        assert!(
            matches!(
                notes[..],
                [Note::DocumentsInBoth {
                    documents: 3,
                    of: 3,
                    share: 1.0
                }]
            ),
            "{notes:?}"
        );
    }

    #[test]
    fn the_embedded_tales_bring_their_own_validation() {
        let tales = TalesConfig {
            train_bytes: 20_000,
            validation_tales: 50,
            ..TalesConfig::default()
        };
        let config = DatasetConfig {
            source: SourceConfig::Embedded(tales),
            ..DatasetConfig::default()
        };
        let corpus = Corpus::load(&config, Path::new("."), None).unwrap();
        assert_eq!(corpus.split, SplitKind::Generated);
        assert_eq!(corpus.validation.starts.len(), 50);
        let held_out = Corpus::held_out(&config, Path::new("."), &*corpus.tokenizer).unwrap();
        assert_eq!(held_out, corpus.validation);
        assert!(
            corpus
                .train
                .starts
                .iter()
                .skip(1)
                .all(|&start| corpus.train.ids.at(start - 1) == u32::from(b'\n'))
        );
    }

    #[test]
    fn the_end_of_text_closes_every_document() {
        let tokenizer = CharTokenizer::train(&[b"a"], true).unwrap();
        let tokens = Tokens::encode(&documents(&[2, 1]), &tokenizer).unwrap();
        assert_eq!(
            tokens,
            Tokens {
                ids: vec![4, 4, 2, 4, 2].into(),
                starts: vec![0, 3],
                bytes: 3,
                unknown: vec![]
            }
        );
    }

    #[test]
    fn a_symbol_that_is_unknown_keeps_its_place_and_its_bytes() {
        let tokenizer = CharTokenizer::train(&[b"ab"], true).unwrap();
        let texts = ["a\u{3042}b", "b\u{e9}\u{e9}"].map(|text| text.as_bytes().to_vec());
        let tokens = Tokens::encode(&Documents::new(texts.to_vec()), &tokenizer).unwrap();
        assert_eq!(*tokens.ids.read(0..tokens.len()), [4, 3, 5, 2, 5, 3, 3, 2]);
        let unknown = |at, bytes| Unknown { at, bytes };
        assert_eq!(tokens.unknown, [unknown(1, 3), unknown(5, 2), unknown(6, 2)]);
        assert_eq!(
            (tokens.unknown_at(5), tokens.unknown_at(4)),
            (Some(unknown(5, 2)), None)
        );
        assert_eq!(tokens.unknown_share(&tokenizer), 0.5); // the two ends are no symbols of the text
        let known = tokens
            .ids
            .read(0..tokens.len())
            .iter()
            .map(|&id| tokenizer.byte_len(id))
            .sum::<usize>();
        assert_eq!(known + 3 + 2 + 2, tokens.bytes);
        assert_eq!(tokens.documents().collect::<Vec<_>>(), [0..4, 4..8]);
    }

    #[test]
    fn a_tokenizer_is_trained_on_the_training_part_alone() {
        let chars = |special_tokens| TokenizerConfig::Char { special_tokens };
        let corpus = load("aaaaaaaaa\nb\n", |config| config.tokenizer = chars(true)).unwrap();
        assert_eq!(corpus.tokenizer.vocab_size(), 4 + 2);
        let error = load("aaaaaaaaa\nb\n", |config| config.tokenizer = chars(false)).unwrap_err();
        assert!(
            matches!(error, LanguageError::InDocument { index: 0, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("special_tokens"), "{error}");
    }

    #[test]
    fn an_empty_corpus_is_an_error() {
        for text in ["", " \n\n"] {
            assert!(matches!(load(text, |_| ()), Err(LanguageError::EmptyCorpus)));
        }
    }

    #[test]
    fn an_empty_validation_is_an_error() {
        assert!(matches!(load("a", |_| ()), Err(LanguageError::EmptyValidation)));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("v.txt"), "\n").unwrap();
        let source = text_source(folder.path().join("v.txt").to_str().unwrap());
        let error = load("training text", |config| {
            config.validation = Some(Box::new(source));
        })
        .unwrap_err();
        assert!(matches!(error, LanguageError::EmptyValidation), "{error}");
    }

    #[test]
    fn a_train_ratio_of_one_is_an_error_before_anything_is_read() {
        let error = load("text", |config| config.train_ratio = 1.0).unwrap_err();
        assert!(matches!(error, LanguageError::TrainRatio { .. }), "{error}");
    }

    #[test]
    fn texts_in_memory_are_divided_and_tokenised_as_those_of_a_file() {
        let text = "the dragon sleeps in its cave.\n".repeat(40);
        let file = load(&text, |_| ()).unwrap();
        let memory = Corpus::of_texts(&DatasetConfig::default(), &[&text], None).unwrap();
        assert_eq!(memory.train, file.train);
        assert_eq!(memory.validation, file.validation);
        assert_eq!(memory.split, file.split);
        let none: [&str; 0] = [];
        let empty = Corpus::of_texts(&DatasetConfig::default(), &none, None);
        assert!(matches!(empty, Err(LanguageError::EmptyCorpus)));
    }
}
