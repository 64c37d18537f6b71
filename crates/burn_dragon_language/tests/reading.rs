//! A text that was read is a value: continued many times, read further, kept as a file.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::Device;
use burn_dragon_checkpoint::api::{CheckpointError, StoredPrecision};
use burn_dragon_core::api::{DecayConfig, Decoder, Dragon, DragonConfig};
use burn_dragon_language::api::LanguageState;
use burn_dragon_language::api::{
    ContextStrategy, Generation, GenerationConfig, Generator, LanguageError, Prefix, Tokenizer,
    TokenizerConfig,
};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const WINDOW: usize = 16;

fn dragon(seed: u64) -> Dragon {
    let config = DragonConfig {
        n_neurons: 128,
        d_model: 16,
        n_levels: 2,
        init_std: 0.3,
        ..DragonConfig::tiny()
    };
    Dragon::new(&config, seed, &Device::flex()).unwrap()
}

fn settings(context: ContextStrategy) -> GenerationConfig {
    GenerationConfig {
        max_tokens: Some(20),
        repetition_penalty: Some(1.1),
        context,
        ..GenerationConfig::default()
    }
}

fn contexts() -> [ContextStrategy; 2] {
    [
        ContextStrategy::Infinite {},
        ContextStrategy::Sliding { window: WINDOW },
    ]
}

fn bytes() -> Arc<dyn Tokenizer> {
    TokenizerConfig::default().train(&[]).unwrap()
}

fn generator<'a>(dragon: &'a Dragon, config: &'a GenerationConfig) -> Generator<'a> {
    Generator::new(dragon, bytes(), config).unwrap()
}

/// Tokens of a text of this length.
fn text(length: usize) -> Vec<u32> {
    (0..length).map(|i| (i * i * 5 + i) as u32 % 250).collect()
}

fn quietly(_: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn words(generation: &Generation) -> (&str, &[u32], bool) {
    (&generation.text, &generation.token_ids, generation.stopped)
}

#[test]
fn a_prompt_read_once_is_continued_as_if_it_were_read_each_time() {
    let dragon = dragon(2);
    for context in contexts() {
        let config = settings(context);
        let reading = generator(&dragon, &config).read(&text(45)).unwrap();
        for seed in [1, 2, 3, 1] {
            let config = GenerationConfig {
                seed,
                ..config.clone()
            };
            let generator = generator(&dragon, &config);
            let again = generator.run(&text(45), quietly).unwrap();
            let continued = generator.continue_from(&reading, quietly).unwrap();
            assert_eq!(words(&continued), words(&again), "{context:?} {seed}");
        }
        assert_eq!(reading.tokens(), 45);
    }
}

#[test]
fn going_on_reads_what_was_written() {
    let dragon = dragon(2);
    for context in contexts() {
        // Greedy, without a penalty: the seed and the beginning of the text do not matter, only the memory.
        let config = GenerationConfig {
            temperature: 0.0,
            repetition_penalty: None,
            ..settings(context)
        };
        let generator = generator(&dragon, &config);
        let mut reading = generator.read(&text(30)).unwrap();
        let fork = reading.clone();
        let first = generator.go_on(&mut reading, quietly).unwrap();
        assert_eq!((reading.tokens(), fork.tokens()), (50, 30));
        reading.read(&text(7)).unwrap();
        let second = generator.go_on(&mut reading, quietly).unwrap();
        let whole = [text(30), first.token_ids.clone(), text(7)].concat();
        let expected = generator.run(&whole, quietly).unwrap();
        assert_eq!(words(&second), words(&expected), "{context:?}");
        // The fork heard nothing of it.
        let again = generator.continue_from(&fork, quietly).unwrap();
        assert_eq!(words(&again), words(&first));
        // Broken off in the middle, it has read what was written so far.
        let mut count = 0;
        let mut reading = fork.clone();
        let broken = generator.go_on(&mut reading, |_| {
            count += 1;
            if count < 3 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        let written = broken.unwrap().token_ids.len();
        assert!(written < 20);
        assert_eq!(reading.tokens(), 30 + written as u64);
    }
}

#[test]
fn a_fresh_reading_has_read_nothing() {
    let dragon = dragon(2);
    let config = settings(ContextStrategy::Sliding { window: WINDOW });
    let generator = generator(&dragon, &config);
    let mut fresh = generator.read(&text(40)).unwrap().fresh();
    assert_eq!((fresh.tokens(), fresh.strategy()), (0, config.context));
    assert!(matches!(
        generator.continue_from(&fresh, quietly),
        Err(LanguageError::EmptyPrompt)
    ));
    fresh.read(&text(9)).unwrap();
    let again = generator.continue_from(&fresh, quietly).unwrap();
    assert_eq!(words(&again), words(&generator.run(&text(9), quietly).unwrap()));
}

#[test]
fn a_memory_does_not_grow_with_what_is_read() {
    let dragon = dragon(2);
    for (context, lanes) in contexts().into_iter().zip([1, 2]) {
        let config = settings(context);
        let mut reading = generator(&dragon, &config).read(&text(WINDOW + 1)).unwrap();
        let before = reading.state().bytes();
        assert_eq!(before, lanes * dragon.config().cost().state_bytes());
        for _ in 0..20 {
            reading.read(&text(50)).unwrap();
            assert_eq!(reading.state().bytes(), before);
        }
    }
}

/// Where a reading of this length is kept, and the reading.
fn kept(dragon: &Dragon, context: ContextStrategy, length: usize) -> (TempDir, PathBuf, Prefix) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.state");
    let config = settings(context);
    let generator = generator(dragon, &config);
    let mut reading = generator.begin();
    reading.read(&text(length)).unwrap();
    generator.save(&reading, &path, StoredPrecision::F32).unwrap();
    (folder, path, reading)
}

#[test]
fn invariant_10_a_memory_from_a_file_goes_on_with_the_same_bits_as_one_that_never_stopped() {
    let dragon = dragon(2);
    for context in contexts() {
        // In the first window, at its edge, beyond it, at and beyond the second's, far on.
        for length in [5, WINDOW, WINDOW + 1, 2 * WINDOW, 2 * WINDOW + 1, 70] {
            let (_folder, path, mut reading) = kept(&dragon, context, length);
            let config = settings(ContextStrategy::Infinite {});
            let generator = generator(&dragon, &config);
            let mut loaded = generator.load(&path).unwrap();
            assert_eq!(
                (loaded.tokens(), loaded.strategy()),
                (length as u64, context),
                "the file says how it was read"
            );
            assert_eq!(loaded.seen(), reading.seen());
            for more in [text(3), text(40)] {
                reading.read(&more).unwrap();
                loaded.read(&more).unwrap();
                let [a, b] = [&reading, &loaded].map(|reading| {
                    let state = reading.state();
                    let rho = state
                        .rho()
                        .iter()
                        .map(|rho| rho.to_data().try_to_vec::<f32>().unwrap());
                    (rho.collect::<Vec<_>>(), state.positions().to_vec())
                });
                assert_eq!(a, b, "{context:?} {length}");
                assert_eq!(loaded.seen(), reading.seen());
                let [a, b] =
                    [&mut reading, &mut loaded].map(|reading| generator.go_on(reading, quietly).unwrap());
                assert_eq!(words(&a), words(&b));
            }
        }
    }
}

/// Settings of which each changes what is written.
fn options() -> Vec<(&'static str, GenerationConfig)> {
    let of = |change: &dyn Fn(&mut GenerationConfig)| {
        let mut config = GenerationConfig {
            repetition_penalty: None,
            ..settings(ContextStrategy::Infinite {})
        };
        change(&mut config);
        config
    };
    vec![
        ("none", of(&|_| {})),
        ("greedy", of(&|config| config.temperature = 0.0)),
        ("temperature", of(&|config| config.temperature = 0.4)),
        ("top_k", of(&|config| config.top_k = Some(5))),
        ("top_p", of(&|config| config.top_p = Some(0.3))),
        ("penalty", of(&|config| config.repetition_penalty = Some(3.0))),
        (
            "greedy penalty",
            of(&|config| (config.temperature, config.repetition_penalty) = (0.0, Some(5.0))),
        ),
        (
            "favour",
            of(&|config| (config.temperature, config.repetition_penalty) = (0.0, Some(0.2))),
        ),
        (
            "stop",
            of(&|config| config.stop = vec!["\u{fffd}".into(), "a".into()]),
        ),
        ("seed", of(&|config| config.seed = 7)),
        ("max_tokens", of(&|config| config.max_tokens = Some(3))),
        (
            "sliding",
            of(&|config| config.context = ContextStrategy::Sliding { window: WINDOW }),
        ),
        (
            "sliding penalty",
            of(&|config| {
                config.context = ContextStrategy::Sliding { window: WINDOW };
                config.repetition_penalty = Some(4.0);
            }),
        ),
    ]
}

#[test]
fn a_text_read_in_two_parts_is_the_same_text_under_every_option() {
    let dragon = dragon(2);
    let whole = text(60);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.state");
    let mut answers = Vec::new();
    for (name, config) in options() {
        let generator = generator(&dragon, &config);
        let expected = generator.run(&whole, quietly).unwrap();
        for split in [1, 15, 16, 17, 33, 59] {
            let (first, then) = whole.split_at(split);
            let mut reading = generator.read(first).unwrap();
            generator.save(&reading, &path, StoredPrecision::F32).unwrap();
            let mut loaded = generator.load(&path).unwrap();
            let mut fork = reading.clone();
            for (how, reading) in [("on", &mut reading), ("fork", &mut fork), ("file", &mut loaded)] {
                reading.read(then).unwrap();
                let answer = generator.continue_from(reading, quietly).unwrap();
                assert_eq!(words(&answer), words(&expected), "{name} {split} {how}");
            }
        }
        answers.push((name, expected.token_ids));
    }
    // Each option but those that end a text sooner makes another text: what is compared above depends on it.
    for (index, (name, answer)) in answers.iter().enumerate() {
        let same = |other: &&(&str, Vec<u32>)| other.1 == *answer;
        let alike: Vec<_> = answers[..index]
            .iter()
            .filter(same)
            .map(|other| other.0)
            .collect();
        assert!(alike.is_empty(), "{name} is as {alike:?}");
    }
}

#[test]
fn a_text_that_is_broken_off_and_gone_on_with_is_read_with_the_same_bits_as_at_once() {
    let dragon = dragon(2);
    let tokens = text(3 * Prefix::PIECE + 77);
    let bits = |reading: &Prefix| {
        let state = reading.state();
        let rho = state.rho().iter();
        let rho: Vec<_> = rho
            .map(|rho| rho.to_data().try_to_vec::<f32>().unwrap())
            .collect();
        (rho, state.positions().to_vec(), reading.seen().clone())
    };
    for context in [
        ContextStrategy::Infinite {},
        ContextStrategy::Sliding { window: 700 },
    ] {
        let config = settings(context);
        let generator = generator(&dragon, &config);
        for before in [0, 5, Prefix::PIECE - 1] {
            let mut whole = generator.begin();
            whole.read(&tokens[..before]).unwrap();
            let mut pieces = whole.clone();
            let mut told = Vec::new();
            let all = whole.read_while(&tokens[before..], |read| {
                told.push(before + read);
                ControlFlow::Continue(())
            });
            assert_eq!(all.unwrap(), tokens.len() - before);
            let edges = (1..=3).map(|piece| piece * Prefix::PIECE);
            assert_eq!(told, edges.chain([tokens.len()]).collect::<Vec<_>>());
            // Broken off after every piece, kept as a file and gone on with.
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("part.state");
            let mut at = before;
            while at < tokens.len() {
                let read = pieces
                    .read_while(&tokens[at..], |_| ControlFlow::Break(()))
                    .unwrap();
                at += read;
                assert_eq!(pieces.tokens(), at as u64);
                generator.save(&pieces, &path, StoredPrecision::F32).unwrap();
                if at < tokens.len() {
                    pieces = generator.load(&path).unwrap();
                }
            }
            assert!(bits(&pieces) == bits(&whole), "{context:?} {before}");
            let answers = [&pieces, &whole].map(|reading| generator.continue_from(reading, quietly).unwrap());
            assert_eq!(words(&answers[0]), words(&answers[1]));
        }
    }
}

#[test]
fn a_memory_from_a_file_needs_a_token_to_go_on_from() {
    let dragon = dragon(2);
    let (_folder, path, _) = kept(&dragon, ContextStrategy::Infinite {}, 12);
    let config = settings(ContextStrategy::Infinite {});
    let generator = generator(&dragon, &config);
    let error = generator
        .continue_from(&generator.load(&path).unwrap(), quietly)
        .unwrap_err();
    assert!(matches!(error, LanguageError::NothingNew { tokens: 12 }));
    assert!(error.to_string().contains("at least one token"), "{error}");
}

/// The way in which a file is refused, with all of these in the message.
#[track_caller]
fn refused(result: Result<Prefix, LanguageError>, says: &[&str]) {
    let Err(LanguageError::Checkpoint(error)) = result else {
        panic!("{result:?}");
    };
    let text = error.to_string();
    assert!(error.is_bad_input(), "{text}");
    assert!(
        matches!(
            error,
            CheckpointError::Foreign { .. } | CheckpointError::Corrupt { .. }
        ),
        "{text}"
    );
    for says in [&["memory.state"], says].concat() {
        assert!(text.contains(says), "`{says}` is not in: {text}");
    }
}

#[test]
fn a_memory_of_another_model_tokenizer_or_number_of_streams_is_refused() {
    let (ours, other) = (dragon(2), dragon(3));
    let config = settings(ContextStrategy::Infinite {});
    let (_folder, path, reading) = kept(&ours, ContextStrategy::Infinite {}, 12);
    refused(
        generator(&other, &config).load(&path),
        &["the model that wrote it"],
    );
    let chars: TokenizerConfig = serde_json::from_str(r#"{"type":"char"}"#).unwrap();
    let chars = chars.train(&[b"abc"]).unwrap();
    refused(
        Generator::new(&ours, chars, &config).unwrap().load(&path),
        &["tokenizer it was read with"],
    );
    let rewrite = |change: &dyn Fn(&mut LanguageState)| {
        let mut file = LanguageState::read(&path, &Device::flex()).unwrap();
        change(&mut file);
        file.write(&path).unwrap();
    };
    rewrite(&|file| {
        file.state = reading.state().select_lanes(&[0, 0, 0]).unwrap();
        file.seen = vec![reading.seen().clone(); 3];
    });
    refused(
        generator(&ours, &config).load(&path),
        &["streams is 3", "must be 1"],
    );
    let (_folder, path, _) = kept(&ours, ContextStrategy::Sliding { window: WINDOW }, 12);
    let mut file = LanguageState::read(&path, &Device::flex()).unwrap();
    file.info.tokens = 100; // by then there would be a younger memory
    file.write(&path).unwrap();
    refused(
        generator(&ours, &config).load(&path),
        &["100 tokens", "number of memories"],
    );
    let missing = generator(&ours, &config).load(Path::new("nowhere.state"));
    assert!(matches!(
        missing,
        Err(LanguageError::Checkpoint(CheckpointError::Io { .. }))
    ));
}

/// The decoder keeps what is left of a memory as a factor beside it; whoever takes the memory gets the product.
#[test]
fn invariant_10_a_memory_that_fades_goes_on_from_a_copy_up_to_one_rounding_of_each_entry() {
    let config = DragonConfig {
        decay: Some(DecayConfig::Standard { learnable: false }),
        ..dragon(2).config().clone()
    };
    let dragon = Dragon::new(&config, 2, &Device::flex()).unwrap();
    let mut on = Decoder::new(&dragon, 1);
    text(300)
        .into_iter()
        .for_each(|token| drop(on.step(&[token]).unwrap().to_vec()));
    let mut again = Decoder::from_state(&dragon, on.state()).unwrap();
    for token in text(40) {
        let (on, again) = (on.step(&[token]).unwrap(), again.step(&[token]).unwrap());
        let largest = on.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
        let apart = on.iter().zip(again).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) <= 1e-5 * largest);
    }
}
