use std::cell::RefCell;
use std::fs;

use super::*;
use crate::data::{ChatConfig, ChatMask, MixtureConfig, RecordsConfig, TextConfig, WeightedSource};
use crate::tokenizer::TokenizerConfig;

/// A folder with texts, and a configuration that keeps their tokens in `cache`.
struct Place {
    folder: tempfile::TempDir,
    config: DatasetConfig,
}

impl Place {
    fn new(texts: &[(&str, &str)], tokenizer: TokenizerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in texts {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let config = DatasetConfig {
            source: SourceConfig::Text(TextConfig {
                paths: vec![".".into()],
                document_separator: Some("\n\n".into()),
            }),
            tokenizer,
            cache_dir: Some("cache".into()),
            ..DatasetConfig::default()
        };
        Self { folder, config }
    }

    fn load(&self) -> Result<Corpus, LanguageError> {
        Corpus::load(&self.config, self.folder.path(), None)
    }

    fn in_memory(&self) -> Corpus {
        let config = DatasetConfig {
            cache_dir: None,
            ..self.config.clone()
        };
        Corpus::load(&config, self.folder.path(), None).unwrap()
    }

    /// The corpus with small shards, or how far it came before `stop` says so.
    fn in_shards(&self, progress: &dyn Fn(DataProgress)) -> Result<Corpus, LanguageError> {
        let mut cached = Cached::of(&self.config, self.folder.path(), progress).unwrap();
        cached.shard_tokens = 1;
        cached.load(None)
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("cache/tokens")).unwrap();
        let files = entries.flat_map(|entry| fs::read_dir(entry.unwrap().path()).unwrap());
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.to_string_lossy().ends_with(ending));
        files.sort();
        files
    }
}

fn book(salt: usize) -> String {
    let paragraph = |i: usize| {
        let words = ["dragon", "Höhle", "egg 12", "the", "isn't"];
        let words: Vec<&str> = (0..3 + (i * i + salt) % 40)
            .map(|at| words[(at * at + i + salt) % 5])
            .collect();
        words.join(" ")
    };
    (0..200).map(paragraph).collect::<Vec<_>>().join("\n\n")
}

fn assert_same(a: &Corpus, b: &Corpus) {
    assert_eq!((&a.train, &a.validation), (&b.train, &b.validation));
    assert_eq!(a.train.hash(), b.train.hash());
    assert_eq!((a.split, a.tokenizer.spec()), (b.split, b.tokenizer.spec()));
    let said = |corpus: &Corpus| {
        // Documents in both parts are not looked for in a cache.
        let notes = corpus.notes.iter();
        notes
            .filter(|note| {
                !matches!(
                    note,
                    Note::DocumentsInBoth { .. } | Note::ValidatedOnTraining { .. }
                )
            })
            .map(|note| (note.level(), note.to_string()))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(a), said(b));
}

fn kinds() -> Vec<TokenizerConfig> {
    vec![
        TokenizerConfig::Byte {},
        TokenizerConfig::Char { special_tokens: true },
        #[cfg(feature = "bpe")]
        TokenizerConfig::Bpe {
            path: None,
            vocab_size: Some(300),
        },
    ]
}

#[test]
fn a_cached_corpus_is_that_in_memory() {
    for kind in kinds() {
        let (a, b) = (book(1), book(2));
        let place = Place::new(&[("a.txt", &a), ("b.txt", &b), ("copy.txt", &a)], kind);
        let memory = place.in_memory();
        assert!(
            memory
                .notes
                .iter()
                .any(|note| matches!(note, Note::Copies { .. }))
        );
        assert_same(&place.load().unwrap(), &memory);
        // What is there is only mapped: the texts are not needed any more, and hold no tokens.
        let held_out = Corpus::held_out(&place.config, place.folder.path(), &*memory.tokenizer).unwrap();
        assert_eq!(held_out, memory.validation);
        assert_same(&place.load().unwrap(), &memory);
    }
}

#[test]
fn every_split_is_that_in_memory() {
    let (one, two) = ("a line of text\n".repeat(50), "x".repeat(333));
    for texts in [
        &[("a.txt", &*one)][..],
        &[("a.txt", &two)],
        &[("a.txt", &two), ("b.txt", &one)],
    ] {
        for ratio in [0.3, 0.5, 0.9] {
            let mut place = Place::new(texts, TokenizerConfig::Byte {});
            place.config.train_ratio = ratio;
            assert_same(&place.load().unwrap(), &place.in_memory());
        }
    }
    let mut place = Place::new(&[("a.txt", &one), ("held.md", &two)], TokenizerConfig::Byte {});
    let of = |path: &str| {
        SourceConfig::Text(TextConfig {
            paths: vec![path.into()],
            document_separator: None,
        })
    };
    place.config.source = of("a.txt");
    place.config.validation = Some(Box::new(of("held.md")));
    assert_same(&place.load().unwrap(), &place.in_memory());
}

#[test]
fn unknown_symbols_keep_their_places_in_shards() {
    let mut place = Place::new(
        &[("a.txt", &book(1)), ("b.txt", "z\u{3042}z\n\nz")],
        TokenizerConfig::Char { special_tokens: true },
    );
    place.config.train_ratio = 0.99;
    let (shards, memory) = (place.in_shards(&|_| ()).unwrap(), place.in_memory());
    assert!(!memory.validation.unknown.is_empty());
    assert_same(&shards, &memory);
}

/// Conversations of one or two turns, one a line.
fn talks(number: usize) -> String {
    let line = |at: usize| {
        let turn = |word: &str| {
            let asked = json!({ "role": "user", "content": format!("{word} {at}?") });
            let answered = json!({ "role": "assistant", "content": format!("é{}", "x".repeat(at % 7)) });
            [asked, answered]
        };
        let turns: Vec<Value> = ["why", "and"]
            .into_iter()
            .take(1 + at % 2)
            .flat_map(turn)
            .collect();
        format!("{}\n", json!({ "messages": turns }))
    };
    (0..number).map(line).collect()
}

fn conversations(path: &str, mask: ChatMask) -> SourceConfig {
    SourceConfig::Records(RecordsConfig {
        paths: vec![path.into()],
        chat: Some(ChatConfig {
            mask,
            ..ChatConfig::default()
        }),
        ..RecordsConfig::default()
    })
}

#[test]
fn conversations_keep_in_shards_which_tokens_have_a_loss() {
    for kind in kinds() {
        for (number, mask) in [
            (60, ChatMask::Assistant),
            (60, ChatMask::All),
            (3, ChatMask::Assistant),
            (1, ChatMask::Assistant),
        ] {
            let mut place = Place::new(&[("a.jsonl", &talks(number))], kind.clone());
            place.config.source = conversations("a.jsonl", mask);
            let memory = place.in_memory();
            for tokens in [&memory.train, &memory.validation] {
                assert_eq!(tokens.counted.is_some(), mask == ChatMask::Assistant);
            }
            let cached = place.load().unwrap();
            assert_same(&cached, &memory);
            assert_eq!(cached.validation.with_loss(), memory.validation.with_loss());
            let held_out = Corpus::held_out(&place.config, place.folder.path(), &*memory.tokenizer).unwrap();
            assert_eq!(held_out, memory.validation);
        }
    }
}

#[test]
fn a_mixture_with_conversations_is_that_in_memory() {
    let mut place = Place::new(
        &[("a.jsonl", &talks(60)), ("a.txt", &book(1))],
        TokenizerConfig::Char { special_tokens: true },
    );
    let weighted = |weight, source| WeightedSource { weight, source };
    place.config.source = SourceConfig::Mixture(MixtureConfig {
        sources: vec![
            weighted(1.0, place.config.source.clone()),
            weighted(0.5, conversations("a.jsonl", ChatMask::Assistant)),
        ],
    });
    let memory = place.in_memory();
    let (some, all) = (memory.train.with_loss().0, memory.train.len());
    assert!(0 < some && some < all, "{some} {all}");
    assert_same(&place.load().unwrap(), &memory);
}

#[test]
fn lost_or_damaged_losses_are_refused_and_not_taken_for_all() {
    let mut place = Place::new(&[("a.jsonl", &talks(60))], TokenizerConfig::Byte {});
    place.config.source = conversations("a.jsonl", ChatMask::Assistant);
    place.load().unwrap();
    let lists = place.files(".u64");
    assert_eq!(lists.len(), 4);
    // No symbol is unknown, and one of no bytes would fit.
    let known = |list: &&PathBuf| !list.to_string_lossy().contains("unknown");
    for list in lists.iter().filter(known) {
        let whole = fs::read(list).unwrap();
        let refused = || {
            let error = place.load().unwrap_err().to_string();
            assert!(error.contains("remove the folder"), "{error}");
        };
        for zeros in [8, 16] {
            fs::write(list, [&whole[..], &vec![0; zeros]].concat()).unwrap();
            refused();
        }
        fs::remove_file(list).unwrap();
        refused();
        fs::write(list, whole).unwrap();
    }
    place.load().unwrap();
}

#[test]
fn interrupted_work_goes_on_after_its_last_whole_shard() {
    let texts: Vec<(String, String)> = (0..40)
        .map(|at| (format!("{at}.txt"), book(at).repeat(8)))
        .collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    let place = Place::new(&texts, TokenizerConfig::Byte {});
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        place.in_shards(&|progress| match progress {
            DataProgress::Encoding { bytes, of, .. } if bytes > of / 2 => panic!("interrupted"),
            _ => {}
        })
    }));
    assert!(stopped.is_err());
    let whole = place.files(".u16");
    assert!(!whole.is_empty() && place.files("index.json").is_empty());
    let written = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let before: Vec<_> = whole.iter().map(written).collect();
    // What was being written is no shard.
    fs::write(whole[0].with_file_name("tokens.part"), "half").unwrap();
    let first = RefCell::new(None);
    let corpus = place.in_shards(&|progress| {
        if let DataProgress::Encoding { bytes, .. } = progress {
            first.borrow_mut().get_or_insert(bytes);
        }
    });
    assert_same(&corpus.unwrap(), &place.in_memory());
    assert_eq!(whole.iter().map(written).collect::<Vec<_>>(), before);
    assert!(place.files(".u16").len() > whole.len());
    assert!(first.into_inner().unwrap() > place.in_memory().train.bytes as u64 / 3);
}

#[test]
fn another_text_tokenizer_or_split_has_tokens_of_its_own() {
    let mut place = Place::new(&[("a.txt", &book(1))], TokenizerConfig::Byte {});
    place.load().unwrap();
    assert_eq!(place.files("index.json").len(), 1);
    place.load().unwrap();
    assert_eq!(place.files("index.json").len(), 1);
    fs::write(place.folder.path().join("a.txt"), book(2)).unwrap();
    assert_same(&place.load().unwrap(), &place.in_memory());
    assert_eq!(place.files("index.json").len(), 2);
    place.config.tokenizer = TokenizerConfig::Char {
        special_tokens: false,
    };
    place.load().unwrap();
    place.config.train_ratio = 0.5;
    assert_same(&place.load().unwrap(), &place.in_memory());
    assert_eq!(place.files("index.json").len(), 4);
}

#[test]
fn damaged_tokens_are_refused_with_the_folder_to_remove() {
    let place = Place::new(&[("a.txt", &book(1))], TokenizerConfig::Byte {});
    place.load().unwrap();
    let refused = |file: &Path, bytes: &[u8]| {
        let whole = fs::read(file).unwrap();
        fs::write(file, bytes).unwrap();
        let error = place.load().unwrap_err().to_string();
        fs::write(file, whole).unwrap();
        assert!(
            error.contains("remove the folder") || error.contains("multiple of 2"),
            "{error}"
        );
    };
    let tokens = &place.files(".u16")[0];
    let bytes = fs::read(tokens).unwrap();
    refused(tokens, &bytes[2..]);
    refused(tokens, &bytes[1..]);
    for list in place.files(".u64") {
        let bytes = fs::read(&list).unwrap();
        refused(&list, &[&bytes[..], &[0; 8]].concat());
    }
    refused(&place.files("index.json")[0], b"{}");
    place.load().unwrap();
}

#[test]
fn an_error_in_a_document_names_it() {
    let mut place = Place::new(
        &[("a.txt", "ab\n\nba\n\nb\u{e9}\n\na")],
        TokenizerConfig::Char {
            special_tokens: false,
        },
    );
    place.config.train_ratio = 8.0 / 14.0;
    let error = place.load().unwrap_err();
    assert!(
        matches!(error, LanguageError::InDocument { index: 2, .. }),
        "{error}"
    );
    let blank = Place::new(&[("a.txt", " \n\n ")], TokenizerConfig::Byte {});
    assert!(matches!(blank.load().unwrap_err(), LanguageError::EmptyCorpus));
}
