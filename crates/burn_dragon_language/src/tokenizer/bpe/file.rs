//! Reading of `tokenizer.json`: what it may contain, and the bytes of its tokens.

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::Tokenizer as Published;

use super::BpeTokenizer;
use super::pieces;

/// Maximum size of a file that a model file can hold beside the descriptions of its tensors.
const MAX_JSON: usize = 15 << 20;

/// Maximum number of ids.
const MAX_IDS: usize = 1 << 21;

/// Names of the token that ends a text, of which the first that is special is taken.
const END_OF_TEXT: [&str; 6] = [
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end▁of▁sentence|>",
    "<|eot|>",
    "</s>",
    "<eos>",
];

/// Reads a tokenizer, or gives the reason why it is refused.
pub(super) fn read(json: &str) -> Result<BpeTokenizer, String> {
    if json.len() > MAX_JSON {
        return Err(format!(
            "its file has {} bytes, and a model file holds at most {MAX_JSON} of them; without indentation it may be \
             short enough (`jq -c`)",
            json.len()
        ));
    }
    let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    check_model(&value["model"])?;
    let steps = steps(&value["pre_tokenizer"]);
    check_steps(&steps)?;
    let mut published: Published = json.parse().map_err(|error| format!("{error}"))?;
    let unlimited = published.with_padding(None).with_truncation(None);
    unlimited.map_err(|error| format!("{error}"))?;
    published.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
    published.set_encode_special_tokens(true);
    let bytes = token_bytes(&published)?;
    let specials = special_tokens(&published);
    let end = |name: &&str| specials.iter().find(|(_, special)| special == name);
    Ok(BpeTokenizer {
        json: json.into(),
        single: single_bytes(&bytes),
        bytes,
        end_of_text: END_OF_TEXT.iter().find_map(end).map(|&(id, _)| id),
        in_pieces: pieces::allowed(&steps) && !joins_words(&published),
        published,
    })
}

fn check_model(model: &Value) -> Result<(), String> {
    let kind = model["type"].as_str().unwrap_or("BPE");
    if kind != "BPE" {
        return Err(format!(
            "its model is {kind}, but only byte pair encodings (BPE) are read"
        ));
    }
    if model["dropout"].as_f64().is_some_and(|dropout| dropout != 0.0) {
        return Err("its model has a dropout, so the same text would have different tokens".into());
    }
    let marks = ["continuing_subword_prefix", "end_of_word_suffix"];
    match marks
        .iter()
        .find(|mark| model[**mark].as_str().is_some_and(|mark| !mark.is_empty()))
    {
        None => Ok(()),
        Some(mark) => Err(format!(
            "its model has a `{mark}`, so a text is not recovered from its tokens"
        )),
    }
}

/// Steps of a pre-tokenizer, in order.
fn steps(step: &Value) -> Vec<&Value> {
    match step["pretokenizers"].as_array() {
        Some(inner) => inner.iter().flat_map(steps).collect(),
        None if step.is_null() => Vec::new(),
        None => vec![step],
    }
}

fn check_steps(steps: &[&Value]) -> Result<(), String> {
    let mut byte_level = steps.iter().filter(|step| step["type"] == "ByteLevel").peekable();
    if byte_level.peek().is_none() {
        return Err(
            "it is not byte-level (no `ByteLevel` among its pre-tokenizers), so a text is not recovered from its \
             tokens; SentencePiece tokenizers are of this kind"
                .into(),
        );
    }
    // Absent means true for the crate that reads the file.
    if byte_level.any(|step| step["add_prefix_space"] != false) {
        return Err(
            "it puts a space before every text (`add_prefix_space`), which is not in the text".into(),
        );
    }
    Ok(())
}

/// Bytes of each id.
fn token_bytes(published: &Published) -> Result<Vec<Box<[u8]>>, String> {
    let vocabulary = published.get_vocab(true);
    let size = vocabulary.values().max().map_or(0, |&id| id as usize + 1);
    if !(1..=MAX_IDS).contains(&size) {
        return Err(format!(
            "its ids go up to {}; 1 to {MAX_IDS} ids are read",
            size.saturating_sub(1)
        ));
    }
    let added = published.get_added_tokens_decoder();
    let alphabet = alphabet();
    let mut bytes: Vec<Option<Box<[u8]>>> = vec![None; size];
    for (token, id) in vocabulary {
        let own = match added.get(&id) {
            Some(added) if added.special => Box::default(),
            Some(added) => added.content.as_bytes().into(),
            None => in_alphabet(&token, &alphabet).unwrap_or_else(|| token.as_bytes().into()),
        };
        let place = &mut bytes[id as usize];
        if place.as_ref().is_some_and(|other| *other != own) {
            return Err(format!("two of its tokens have the id {id}"));
        }
        *place = Some(own);
    }
    Ok(bytes.into_iter().map(Option::unwrap_or_default).collect())
}

/// Bytes of a token written in the alphabet; `None` if it has another character.
fn in_alphabet(token: &str, alphabet: &HashMap<char, u8>) -> Option<Box<[u8]>> {
    token.chars().map(|ch| alphabet.get(&ch).copied()).collect()
}

fn single_bytes(bytes: &[Box<[u8]>]) -> [Option<u32>; 256] {
    let mut single = [None; 256];
    for (id, bytes) in bytes.iter().enumerate() {
        if let [byte] = **bytes {
            single[usize::from(byte)].get_or_insert(id as u32);
        }
    }
    single
}

/// Special tokens in the order of ids.
pub(super) fn special_tokens(published: &Published) -> Vec<(u32, String)> {
    let added = published.get_added_tokens_decoder().into_iter();
    let special = added.filter(|(_, token)| token.special);
    let mut special: Vec<_> = special.map(|(id, token)| (id, token.content)).collect();
    special.sort();
    special
}

/// Whether a token that is found in the text before it is divided may reach from word to word.
fn joins_words(published: &Published) -> bool {
    let added = published.get_added_tokens_decoder().into_values();
    let mut plain = added.filter(|token| !token.special).map(|token| token.content);
    plain.any(|content| content.contains(' ') && content.contains(|ch: char| ch.is_ascii_alphabetic()))
}

/// The character that stands for each byte in a vocabulary. Printable characters of Latin-1 stand for themselves; the
/// other 68 bytes have the characters from U+0100 on, in order.
pub(super) fn characters() -> [char; 256] {
    let mut others = '\u{100}'..='\u{143}';
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) => char::from(byte),
        _ => others.next().unwrap_or_default(),
    })
}

fn alphabet() -> HashMap<char, u8> {
    let characters = characters().into_iter().zip(0..=255);
    characters.collect()
}
