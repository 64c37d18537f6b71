//! Writer of `.safetensors` with the official names and shapes, for the official code. The metadata, which that code
//! ignores, holds everything else of our model.

use super::config::OfficialConfig;
use super::safetensors::LONGEST_HEADER;
use super::{FAMILY, FREQUENCIES, NAMES, TOKENIZER, frequencies, keys};
use burn::tensor::TensorData;
use burn_dragon_checkpoint::api::expert::{Os, hex, shortened, write_atomic};
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile};
use burn_dragon_core::api::{DragonConfig, TensorShape};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Writes a model as official weights in f32, atomically. Reading the file gives the same model bit for bit, with
/// configuration, tokenizer and origin. Returns notes on what the official code must be told.
///
/// # Errors
/// If the official model cannot represent this one, the metadata is above its limit, or the file system refuses.
pub fn write_safetensors(model: &ModelFile, path: &Path) -> Result<Vec<String>, CheckpointError> {
    let config = dragon_config(model, path)?;
    let official = OfficialConfig::of(&config).map_err(|reason| cannot_be(path, &reason))?;
    model.check_descriptions(path)?;
    let buffer = TensorData::new(frequencies(&config), [1, 1, 1, config.neurons_per_head()]);
    if let Some((name, _)) = model.tensors.iter().find(|(_, tensor)| !tensor.is_finite()) {
        let reason = format!("tensor `{name}` holds values that are not finite");
        return Err(CheckpointError::corrupt(path, reason));
    }
    let floats = model.tensors.iter();
    let floats = floats.filter_map(|(name, tensor)| Some((name.as_str(), tensor.floats()?)));
    let floats: BTreeMap<&str, Cow<'_, TensorData>> = floats.collect();
    check_tensors(&config, &floats, path)?;
    let weights = NAMES.map(|(theirs, ours)| (theirs, &*floats[ours]));
    let mut tensors: Vec<(&str, &TensorData)> = weights.into_iter().chain([(FREQUENCIES, &buffer)]).collect();
    tensors.sort_unstable_by_key(|(name, _)| *name);
    let header = header(path, model, &official, &tensors)?;
    if header.len() as u64 > LONGEST_HEADER {
        let reason = format!(
            "its header would have {} bytes, at most {LONGEST_HEADER} are read; \
             the tokenizer is too long: write a .bpk instead",
            header.len()
        );
        return Err(CheckpointError::refused(path, reason));
    }
    let header = sealed(&header, &tensors);
    write_atomic(&Os, path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        values(&tensors, |bytes| file.write_all(bytes))
    })?;
    let mut notes = notes(&official);
    if config
        .trunk()
        .low_bit()
        .is_some_and(|low_bit| low_bit.has_activities())
    {
        notes.push(
            "the model rounds what its matrices are multiplied with, which the official code does not: it gives nearly the same"
                .into(),
        );
    }
    Ok(notes)
}

/// Configuration of a model that the official release can hold, by its family.
fn dragon_config(model: &ModelFile, path: &Path) -> Result<DragonConfig, CheckpointError> {
    if model.family != FAMILY {
        let reason = format!(
            "it is of the family `{}`, not `{FAMILY}`",
            shortened(&model.family)
        );
        return Err(cannot_be(path, &reason));
    }
    let config: DragonConfig = model
        .config
        .read()
        .map_err(|error| CheckpointError::corrupt(path, error))?;
    config
        .validate()
        .map_err(|error| CheckpointError::corrupt(path, error))?;
    Ok(config)
}

/// Checks that the names and shapes of the tensors are those of the configuration.
fn check_tensors(
    config: &DragonConfig,
    given: &BTreeMap<&str, Cow<'_, TensorData>>,
    path: &Path,
) -> Result<(), CheckpointError> {
    let expected = config.tensors();
    for TensorShape { name, shape } in &expected {
        let data = given
            .get(name.as_str())
            .ok_or_else(|| CheckpointError::MissingTensor {
                path: path.to_path_buf(),
                name: name.clone(),
                expected: shape.clone(),
            })?;
        if data.shape().as_slice() != shape {
            return Err(CheckpointError::Shape {
                path: path.to_path_buf(),
                name: name.clone(),
                given: data.shape().to_vec(),
                expected: shape.clone(),
            });
        }
    }
    let unknown = given
        .keys()
        .filter(|name| expected.iter().all(|tensor| tensor.name != **name));
    let names: Vec<String> = unknown.map(|name| (*name).to_string()).collect();
    match names.is_empty() {
        true => Ok(()),
        false => Err(CheckpointError::UnknownTensors {
            path: path.to_path_buf(),
            names,
        }),
    }
}

fn cannot_be(path: &Path, reason: &str) -> CheckpointError {
    let reason = format!("the official model cannot represent this one: {reason}; write a .bpk instead");
    CheckpointError::refused(path, reason)
}

/// Notes on differences from the constants of the official code.
fn notes(official: &OfficialConfig) -> Vec<String> {
    let mut notes = Vec::new();
    if official.layer_norm_eps != 1e-5 {
        notes.push(format!(
            "the norms' epsilon is {}: the official code has 1e-5 and has to be changed",
            official.layer_norm_eps
        ));
    }
    if official.rope_theta != Some(super::config::OFFICIAL_THETA) {
        notes.push(format!(
            "theta is {}: the official code takes it from `{FREQUENCIES}` when it loads the file, not from its own default",
            official.rope_theta.unwrap_or_default()
        ));
    }
    notes
}

/// Header with zeros as its hash, padded so that the values begin at a multiple of 8.
fn header(
    path: &Path,
    model: &ModelFile,
    official: &OfficialConfig,
    tensors: &[(&str, &TensorData)],
) -> Result<String, CheckpointError> {
    let text =
        |value: serde_json::Result<String>| value.map_err(|error| CheckpointError::corrupt(path, error));
    let mut metadata = Map::from_iter([
        ("format".to_string(), Value::from("pt")), // what readers of other frameworks ask for
        (keys::SHA256.into(), Value::from("0".repeat(64))),
        (keys::CONFIG.into(), model.config.text().into()),
        (
            keys::INFO.into(),
            text(serde_json::to_string(&model.info))?.into(),
        ),
        (
            keys::OFFICIAL.into(),
            text(serde_json::to_string(official))?.into(),
        ),
    ]);
    if let Some(tokenizer) = model.assets.get(TOKENIZER) {
        metadata.insert(keys::TOKENIZER.into(), tokenizer.clone().into());
    }
    let mut header = Map::from_iter([("__metadata__".to_string(), Value::Object(metadata))]);
    let mut begin = 0;
    for (name, data) in tensors {
        let end = begin + data.as_bytes().len();
        let shape = data.shape().to_vec();
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]});
        header.insert((*name).to_string(), entry);
        begin = end;
    }
    let mut header = text(serde_json::to_string(&header))?;
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    Ok(header)
}

/// Header with the hash of the file.
fn sealed(header: &str, tensors: &[(&str, &TensorData)]) -> String {
    let mut hasher = Sha256::new();
    hasher.update((header.len() as u64).to_le_bytes());
    hasher.update(header.as_bytes());
    let hashed = values(tensors, |bytes| {
        hasher.update(bytes);
        Ok(())
    });
    debug_assert!(hashed.is_ok(), "a hash takes everything");
    let entry = |hash: &str| format!("\"{}\":\"{hash}\"", keys::SHA256);
    header.replacen(&entry(&"0".repeat(64)), &entry(&hex(&hasher.finalize())), 1)
}

/// All values in little-endian order, chunk by chunk.
fn values(tensors: &[(&str, &TensorData)], mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    for (_, data) in tensors {
        let values = data
            .as_slice::<f32>()
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut buffer = [0; 1 << 15];
        for piece in values.chunks(buffer.len() / 4) {
            for (four, value) in buffer.as_chunks_mut::<4>().0.iter_mut().zip(piece) {
                *four = value.to_le_bytes();
            }
            each(&buffer[..piece.len() * 4])?;
        }
    }
    Ok(())
}
