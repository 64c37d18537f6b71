use std::collections::HashSet;

use burn_dragon_core::api::expert::Rng;
use serde_json::{Value, json};

use super::*;
use crate::tokenizer::TokenizerConfig;

const TEXT: &str =
    "The dragon sleeps. The dragon wakes; the dragon's egg isn't here.\r\n\r\n  1234 eggs, naïve 🐉 été\n";

fn trained(text: &str, vocab_size: usize) -> BpeTokenizer {
    BpeTraining::new(vocab_size)
        .unwrap()
        .train(&[text.as_bytes()])
        .unwrap()
}

fn edited(edit: impl FnOnce(&mut Value)) -> Result<BpeTokenizer, LanguageError> {
    let mut value = serde_json::from_str(&trained(TEXT, 280).json).unwrap();
    edit(&mut value);
    BpeTokenizer::from_json(&value.to_string())
}

fn refused(edit: impl FnOnce(&mut Value)) -> String {
    edited(edit).unwrap_err().to_string()
}

#[test]
fn every_text_comes_back_and_its_bytes_are_those_of_its_tokens() {
    let tokenizer = trained(TEXT, 300);
    let mut rng = Rng::new(5);
    let any: Vec<u8> = (0..4000).map(|_| rng.below(256) as u8).collect();
    for text in [
        TEXT.as_bytes(),
        b"",
        b"\xff\xfe dragon \xc3",
        &any,
        "e\u{301}".as_bytes(),
    ] {
        let ids = tokenizer.encode(text).unwrap();
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|&id| tokenizer.token_bytes(id).unwrap().into_owned())
            .collect();
        assert_eq!(bytes, text);
        assert_eq!(
            ids.iter().map(|&id| tokenizer.byte_len(id)).sum::<usize>(),
            text.len()
        );
        assert!(tokenizer.unknown(text, &ids).is_empty());
    }
    let ids = tokenizer.encode(TEXT.as_bytes()).unwrap();
    assert!(ids.len() * 4 < TEXT.len() * 3, "{} tokens", ids.len());
}

#[test]
fn bytes_have_the_first_ids_and_the_end_of_text_the_last() {
    let tokenizer = trained("aaab aaab aaab", 260);
    for id in 0..=255 {
        assert_eq!(&*tokenizer.token_bytes(id).unwrap(), [id as u8]);
    }
    let last = tokenizer.vocab_size() as u32 - 1;
    assert_eq!(tokenizer.end_of_text(), Some(last));
    assert_eq!(tokenizer.special_tokens(), [(last, "<|endoftext|>".to_string())]);
    assert_eq!(tokenizer.byte_len(last), 0);
    assert!(matches!(
        tokenizer.token_bytes(last + 1),
        Err(LanguageError::UnknownToken { .. })
    ));
}

#[test]
fn the_most_frequent_pair_is_merged_first_and_of_equals_the_smallest() {
    // "ab" 5 times, "cd" 3 times, "ef" 3 times, "gh" once.
    let tokenizer = trained("ab,ab,ab,ab,ab,cd,cd,cd,ef,ef,ef,gh", 400);
    let bytes = |id| tokenizer.token_bytes(id).unwrap().into_owned();
    assert_eq!([bytes(256), bytes(257)], [b"ab".to_vec(), b",ab".to_vec()]);
    let value: Value = serde_json::from_str(&tokenizer.json).unwrap();
    let merges = value["model"]["merges"].as_array().unwrap();
    assert_eq!(merges[2], json!([",", "c"]));
    assert_eq!(merges[3], json!([",", "e"]));
    // No pair occurs twice any more: fewer tokens than asked for.
    assert!(tokenizer.vocab_size() < 400);
    assert!((0..tokenizer.vocab_size() as u32).all(|id| bytes(id) != b"gh"));
}

#[test]
fn merges_equal_those_of_counting_anew_after_each() {
    let mut rng = Rng::new(3);
    for _ in 0..20 {
        let text: String = (0..200)
            .map(|_| ["a", "b", "c", " ", "ab", "ca"][rng.below(6)])
            .collect();
        let value: Value = serde_json::from_str(&trained(&text, 290).json).unwrap();
        let merges: Vec<(String, String)> = serde_json::from_value(value["model"]["merges"].clone()).unwrap();
        let mut words: Vec<Vec<String>> = Vec::new();
        let regex = tokenizers::utils::SysRegex::new(pieces::PATTERN).unwrap();
        for (start, end) in regex.find_iter(&text) {
            words.push(
                text[start..end]
                    .chars()
                    .map(|c| if c == ' ' { "Ġ".into() } else { c.to_string() })
                    .collect(),
            );
        }
        let mut seen = HashSet::new();
        for merge in merges {
            let mut counts = std::collections::BTreeMap::new();
            for word in &words {
                for pair in word.windows(2) {
                    *counts.entry((pair[0].clone(), pair[1].clone())).or_insert(0) += 1;
                }
            }
            let most = counts.values().max().copied().unwrap();
            assert_eq!(counts[&merge], most, "{merge:?} in {text:?}");
            assert!(seen.insert(merge.clone()));
            for word in &mut words {
                let mut at = 0;
                while at + 1 < word.len() {
                    if word[at] == merge.0 && word[at + 1] == merge.1 {
                        let second = word.remove(at + 1);
                        word[at].push_str(&second);
                    }
                    at += 1;
                }
            }
        }
    }
}

#[test]
fn training_twice_gives_the_same_file() {
    let text = TEXT.repeat(30);
    let documents: Vec<&[u8]> = text.as_bytes().chunks(97).collect();
    let train = || BpeTraining::new(400).unwrap().train(&documents).unwrap().json;
    assert_eq!(train(), train());
    // The order of documents is no part of it.
    let reversed: Vec<&[u8]> = documents.iter().rev().copied().collect();
    assert_eq!(
        BpeTraining::new(400).unwrap().train(&reversed).unwrap().json,
        train()
    );
}

#[test]
fn a_file_is_kept_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.json"), folder.path().join("b.json"));
    let text = format!("  {}\n\n", trained(TEXT, 270).json);
    std::fs::write(&path, &text).unwrap();
    let tokenizer = TokenizerSpec::load(&path).unwrap();
    tokenizer.spec().save(&copy).unwrap();
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), text);
    assert_eq!(
        TokenizerSpec::from_json(&tokenizer.spec().to_json()).unwrap(),
        tokenizer.spec()
    );
}

#[test]
fn a_long_text_has_the_same_tokens_in_pieces() {
    let mut rng = Rng::new(9);
    let words = [
        "dragon", " sleeps", "  ", "\n\n", "isn't", " 12345", ", ", "é", " the", " a b", "\t",
    ];
    let text: String = (0..40_000).map(|_| words[rng.below(words.len())]).collect();
    let whole = BpeTokenizer {
        in_pieces: false,
        ..trained(&text[..5000], 350)
    };
    let pieces = BpeTokenizer {
        in_pieces: true,
        ..whole.clone()
    };
    assert!(super::pieces::of(&text, true).count() > 4);
    assert_eq!(
        pieces.encode(text.as_bytes()).unwrap(),
        whole.encode(text.as_bytes()).unwrap()
    );
    assert!(trained(TEXT, 300).in_pieces);
    // GPT-2's own files: the pattern is that of `ByteLevel`.
    let of_gpt_2 = |edit: fn(&mut Value)| {
        let step = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true});
        edited(|value| {
            value["pre_tokenizer"] = step;
            edit(value);
        })
    };
    assert!(of_gpt_2(|_| ()).unwrap().in_pieces);
    let other = |value: &mut Value| value["pre_tokenizer"]["use_regex"] = json!(false);
    assert!(!of_gpt_2(other).unwrap().in_pieces);
    let token = json!({"id": 9999, "content": "a b", "single_word": false, "lstrip": false, "rstrip": false,
                       "normalized": false, "special": false});
    assert!(
        !edited(|value| value["added_tokens"].as_array_mut().unwrap().push(token))
            .unwrap()
            .in_pieces
    );
}

#[test]
fn the_name_of_a_special_token_in_a_text_is_text() {
    let tokenizer = trained(TEXT, 270);
    let ids = tokenizer.encode(b"a<|endoftext|>b").unwrap();
    assert!(!ids.contains(&tokenizer.end_of_text().unwrap()));
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a<|endoftext|>b");
}

#[test]
fn a_text_that_a_normaliser_changes_is_refused_with_its_place() {
    for normalizer in [json!({"type": "Lowercase"}), json!({"type": "NFC"})] {
        let tokenizer = edited(|value| value["normalizer"] = normalizer).unwrap();
        let same = "abc \u{e9}";
        assert_eq!(
            tokenizer
                .decode(&tokenizer.encode(same.as_bytes()).unwrap())
                .unwrap(),
            same
        );
        let error = tokenizer.encode("abcE\u{301} \u{e9}".as_bytes()).unwrap_err();
        assert!(
            matches!(error, LanguageError::TextChanged { offset: 3, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("byte 3"), "{error}");
    }
}

#[test]
fn bytes_without_a_token_are_refused_not_dropped() {
    let tokenizer =
        edited(|value| drop(value["model"]["vocab"].as_object_mut().unwrap().remove("z"))).unwrap();
    assert!(tokenizer.encode(b"a lazy dragon").is_err());
    tokenizer.encode(b"a dragon").unwrap();
}

#[test]
fn what_does_not_give_a_text_back_is_refused_with_the_reason() {
    let text =
        refused(|value| value["model"] = json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}));
    assert!(text.contains("WordLevel"), "{text}");
    let text = refused(|value| value["model"]["dropout"] = json!(0.1));
    assert!(text.contains("dropout"), "{text}");
    let text = refused(|value| value["model"]["end_of_word_suffix"] = json!("</w>"));
    assert!(text.contains("end_of_word_suffix"), "{text}");
    let text = refused(|value| value["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "▁"}));
    assert!(text.contains("byte-level"), "{text}");
    let text = refused(|value| value["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = json!(true));
    assert!(text.contains("add_prefix_space"), "{text}");
    let text = refused(|value| value["model"]["vocab"]["zzz"] = json!(4_000_000_000u32));
    assert!(text.contains("4000000000"), "{text}");
    let text = refused(|value| value["model"]["vocab"]["zzz"] = json!(7));
    assert!(text.contains("the id 7"), "{text}");
    for text in [
        "{\"model\":",
        "{\"model\":{}}",
        "{\"model\":{\"vocab\":[],\"merges\":3}}",
    ] {
        assert!(BpeTokenizer::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn a_vocabulary_size_that_cannot_be_is_refused() {
    for size in [0, 256, (1 << 20) + 1] {
        let error = BpeTraining::new(size).unwrap_err().to_string();
        assert!(
            error.contains(&size.to_string()) && error.contains("257"),
            "{error}"
        );
    }
}

#[test]
fn the_table_takes_a_file_or_a_size() {
    let read = |text: &str| toml::from_str::<TokenizerConfig>(text).unwrap();
    let size = read("type = 'bpe'\nvocab_size = 300");
    let tokenizer = size.train(&[TEXT.as_bytes()]).unwrap();
    assert_eq!(tokenizer.vocab_size(), trained(TEXT, 300).vocab_size());
    let folder = tempfile::tempdir().unwrap();
    tokenizer.spec().save(&folder.path().join("tok.json")).unwrap();
    let mut path = read("type = 'bpe'\npath = 'tok.json'");
    path.make_absolute(folder.path()).unwrap();
    assert_eq!(path.train(&[]).unwrap().spec(), tokenizer.spec());
    assert!(!path.learns() && size.learns());
    for text in [
        "type = 'bpe'",
        "type = 'bpe'\nvocab_size = 300\npath = 'a'",
        "type = 'bpe'\npath = ''",
    ] {
        let error = read(text).train(&[]).unwrap_err();
        assert!(matches!(error, LanguageError::Config { .. }), "{text}: {error}");
    }
    let bytes = TokenizerConfig::default().train(&[]).unwrap();
    bytes.spec().save(&folder.path().join("tok.json")).unwrap();
    assert!(
        path.train(&[])
            .unwrap_err()
            .to_string()
            .contains("not a byte pair encoding")
    );
}
