//! Files of earlier versions: one function for each format that changed, from the text of an old file to that of a new
//! one. Tensors are named and stored as they were.
//!
//! | format | what changed | function |
//! |---|---|---|
//! | `burn_dragon.model/1` | held language models alone: the family stood in `info`, the tokenizer under a key of its own | [`model`] |
//! | `burn_dragon.state/2` | held memories of language models alone | [`state`] |
//! | `burn_dragon.checkpoint/1`, `burn_dragon.parts/1` | nothing: they name files and hashes, of any family | - |

use crate::bounded::Strict;
use crate::error::CheckpointError;
use crate::model::{self, StoredConfig, described};
use crate::state;
use burn_dragon_core::api::DragonConfig;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The format of models before there were families.
pub const MODEL_1: &str = "burn_dragon.model/1";

/// The format of memories before there were families.
pub const STATE_2: &str = "burn_dragon.state/2";

/// The only family of those formats.
pub const LANGUAGE: &str = "language";

/// The name of a language model's tokenizer among its assets.
pub const TOKENIZER: &str = "tokenizer.json";

type Texts = BTreeMap<String, String>;

/// The text of a model of format 1, as format 2 has it. Any other text stays as it is.
///
/// # Errors
/// If a description does not read.
pub fn model(texts: Texts, path: &Path) -> Result<Texts, CheckpointError> {
    if texts.get(model::key::FORMAT).map(String::as_str) != Some(MODEL_1) {
        return Ok(texts);
    }
    let mut texts = texts;
    let info = text(&texts, model::key::INFO, path)?;
    let info = self::info(info, path)?;
    let config = config(&texts, path)?;
    let changed = [
        (model::key::FORMAT, model::FORMAT.to_string()),
        (model::key::FAMILY, LANGUAGE.to_string()),
        (model::key::CONFIG, config.text().to_string()),
        (model::key::INFO, info),
    ];
    texts.extend(changed.map(|(key, text)| (key.to_string(), text)));
    if let Some(tokenizer) = texts.remove("tokenizer") {
        texts.insert(model::asset_key(TOKENIZER), tokenizer);
    }
    Ok(texts)
}

/// What a model of format 1, or a `.safetensors` of its time, says of its origin, as it is said now: `tokens` are `units`,
/// and how it reads is a detail of its family. Where it is said so already, it stays.
///
/// # Errors
/// If it does not read.
pub fn info(text: &str, path: &Path) -> Result<String, CheckpointError> {
    let mut info = object(path, model::key::INFO, text)?;
    let Some(tokens) = info.remove("tokens") else {
        return Ok(text.to_string());
    };
    info.remove("family");
    info.insert("units".into(), tokens);
    if let Some(reading) = info.remove("reading") {
        info.insert("details".into(), json!({ "reading": reading }));
    }
    Ok(Value::Object(info).to_string())
}

/// The text of a memory of format 2, as format 3 has it. Any other text stays as it is.
///
/// # Errors
/// If a description does not read.
pub fn state(texts: Texts, path: &Path) -> Result<Texts, CheckpointError> {
    if texts.get(state::key::FORMAT).map(String::as_str) != Some(STATE_2) {
        return Ok(texts);
    }
    let mut texts = texts;
    let mut info = object(path, state::key::INFO, text(&texts, state::key::INFO, path)?)?;
    let config = config(&texts, path)?;
    let mut renamed = Map::new();
    if let Some(tokens) = info.remove("tokens") {
        renamed.insert("units".into(), tokens);
    }
    if let Some(tokenizer) = info.remove("tokenizer") {
        renamed.insert("assets".into(), json!({ TOKENIZER: tokenizer }));
    }
    let precision = texts
        .remove("precision")
        .map(|text| ("precision".to_string(), json!(text)));
    let sliding = info.remove("sliding").map(|value| ("sliding".to_string(), value));
    let details: Map<String, Value> = precision.into_iter().chain(sliding).collect();
    renamed.insert("details".into(), details.into());
    info.append(&mut renamed);
    let changed = [
        (state::key::FORMAT, state::FORMAT.to_string()),
        (state::key::FAMILY, LANGUAGE.to_string()),
        (state::key::CONFIG, config.text().to_string()),
        (state::key::INFO, Value::Object(info).to_string()),
    ];
    texts.extend(changed.map(|(key, text)| (key.to_string(), text)));
    Ok(texts)
}

/// The configuration of those formats, written as its hash was taken: as the model's own type writes it.
fn config(texts: &Texts, path: &Path) -> Result<StoredConfig, CheckpointError> {
    let config: DragonConfig = described(path, model::key::CONFIG, text(texts, model::key::CONFIG, path)?)?;
    let corrupt = |error: String| CheckpointError::corrupt(path, error);
    config.validate().map_err(|error| corrupt(error.to_string()))?;
    StoredConfig::of(&config).map_err(corrupt)
}

/// A JSON object, in which no key is there twice.
fn object(path: &Path, key: &str, text: &str) -> Result<Map<String, Value>, CheckpointError> {
    match described(path, key, text)? {
        Strict(Value::Object(object)) => Ok(object),
        Strict(_) => Err(CheckpointError::corrupt(
            path,
            format!("{key}: it is not a JSON object"),
        )),
    }
}

fn text<'a>(texts: &'a Texts, key: &str, path: &Path) -> Result<&'a str, CheckpointError> {
    let found = texts.get(key).map(String::as_str);
    found.ok_or_else(|| CheckpointError::corrupt(path, format!("no `{key}`")))
}
