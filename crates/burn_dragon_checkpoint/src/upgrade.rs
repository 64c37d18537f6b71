//! Upgrade of files from earlier versions: for each format that changed, a function from the old metadata to the new.
//! The names and the storage of tensors did not change.
//!
//! | format | what changed | function |
//! |---|---|---|
//! | `burn_dragon.model/1` | language models only: the family was in `info`, the tokenizer had its own key | [`model`] |
//! | `burn_dragon.state/2` | memories of language models only | [`state`] |
//! | `burn_dragon.checkpoint/1`, `burn_dragon.parts/1` | unchanged: names and hashes of files, for every family | - |

use crate::bounded::Strict;
use crate::error::CheckpointError;
use crate::model::{self, StoredConfig, described};
use crate::state;
use burn_dragon_core::api::DragonConfig;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Format of models before there were families.
pub const MODEL_1: &str = "burn_dragon.model/1";

/// Format of memories before there were families.
pub const STATE_2: &str = "burn_dragon.state/2";

/// Only family of these formats.
pub const LANGUAGE: &str = "language";

/// Name of the tokenizer among the assets of a language model.
pub const TOKENIZER: &str = "tokenizer.json";

type Texts = BTreeMap<String, String>;

/// Upgrades the metadata of a model from format 1 to format 2. Other metadata is unchanged.
///
/// # Errors
/// If a description does not deserialise.
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

/// Upgrades the origin of a model of format 1, or of a `.safetensors` file of that time: `tokens` becomes `units`, and
/// the settings of reading become a detail of the family. A text in the new form is unchanged.
///
/// # Errors
/// If it does not deserialise.
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

/// Upgrades the metadata of a memory from format 2 to format 3. Other metadata is unchanged.
///
/// # Errors
/// If a description does not deserialise.
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
