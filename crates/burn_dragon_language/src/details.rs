//! Details of a model file by their keys.

use burn_dragon_checkpoint::api::ModelInfo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Reads the value of a key; `None` if the details do not have it.
///
/// # Errors
/// If the value is not one of the type; with the key.
pub(crate) fn read<T: DeserializeOwned>(info: &ModelInfo, key: &str) -> Result<Option<T>, String> {
    let Some(said) = info.details.get(key) else {
        return Ok(None);
    };
    let read = serde_json::from_value(said.clone());
    read.map(Some).map_err(|error| format!("{key}: {error}"))
}

/// A value as details of a model file.
///
/// # Panics
/// If the value is not JSON; all values of the crate's types are.
pub(crate) fn of(key: &str, value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(value) => Map::from_iter([(key.to_string(), value)]),
        Err(error) => unreachable!("{key} is JSON: {error}"),
    }
}
