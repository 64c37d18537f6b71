//! Reader of `.safetensors`: the length of the header, the header, the values.
//!
//! ```text
//! u64 n | n bytes of JSON: {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {text: text}} | values
//! ```
//!
//! The reader is stricter than that of the format: a repeated key is refused everywhere. As in the format, the values
//! of all tensors fill the rest of the file without a hole.

use super::foreign::{Element, ForeignFile, ForeignTensor, Source};
use super::keys;
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{
    List, MAX_AXES, MAX_INDEX, MAX_TENSORS, MAX_TEXTS, Unique, hex, is_name, shortened,
};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Limit on the size of a header in bytes. The format allows six times as much.
pub(super) const LONGEST_HEADER: u64 = MAX_INDEX;

impl ForeignFile {
    /// Opens a `.safetensors` file.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn safetensors(path: &Path) -> Result<Self, CheckpointError> {
        open(path, Source::open(path)?)
    }

    /// Opens the bytes of a `.safetensors` file. `path` is the name of the file in errors.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn safetensors_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, CheckpointError> {
        open(path, Source::Bytes(bytes))
    }
}

fn open(path: &Path, source: Source) -> Result<ForeignFile, CheckpointError> {
    let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
    let io = || CheckpointError::io("read", path);
    let length = source.length();
    let mut eight = [0; 8];
    if length < 8 {
        return Err(corrupt(format!(
            "it has {length} bytes, too few for a safetensors file"
        )));
    }
    source.read_at(0, &mut eight).map_err(io())?;
    let header_length = u64::from_le_bytes(eight);
    if header_length > LONGEST_HEADER.min(length - 8) {
        return Err(corrupt(format!(
            "it does not read as safetensors: a header of {header_length} bytes in a file of {length}"
        )));
    }
    let mut header = vec![0; header_length as usize];
    source.read_at(8, &mut header).map_err(io())?;
    let parsed: Header = serde_json::from_slice(&header)
        .map_err(|error| corrupt(format!("its header does not read as safetensors: {error}")))?;
    let start = 8 + header_length;
    let tensors = place(&parsed.tensors, start, length).map_err(corrupt)?;
    match parsed.metadata.get(keys::SHA256) {
        Some(expected) => check_hash(path, &source, &header, expected)?,
        // Otherwise a flipped bit in the key would remove the check of the hash.
        None if parsed.metadata.keys().any(|key| key.starts_with("burn_dragon.")) => {
            let reason = format!(
                "its metadata should have the key `{}`, which is missing: the file is damaged",
                keys::SHA256
            );
            return Err(corrupt(reason));
        }
        None => {}
    }
    Ok(ForeignFile {
        path: path.to_path_buf(),
        source,
        tensors,
        metadata: parsed.metadata,
        notes: Vec::new(),
    })
}

/// Places the tensors one after another, up to the end of the file.
fn place(
    entries: &BTreeMap<String, Entry>,
    start: u64,
    length: u64,
) -> Result<BTreeMap<String, ForeignTensor>, String> {
    let mut in_order: Vec<(&String, &Entry)> = entries.iter().collect();
    in_order.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut tensors = BTreeMap::new();
    let mut end = 0;
    for (name, entry) in in_order {
        let (begin, next) = entry.data_offsets;
        let wrong = |reason: String| format!("tensor `{name}`: {reason}");
        if begin != end || next < begin || next > length - start {
            return Err(wrong(format!(
                "it lies from {begin} to {next}, where it should begin at {end} and end within {}",
                length - start
            )));
        }
        let element = element(&entry.dtype).ok_or_else(|| {
            wrong(format!(
                "values of type `{}` are not known",
                shortened(&entry.dtype)
            ))
        })?;
        let place = (start + begin, (next - begin) / element.size());
        let tensor = ForeignTensor::new(element, entry.shape.0.clone(), None, place).map_err(wrong)?;
        if tensor.bytes() != next - begin {
            return Err(wrong(format!(
                "{} {:?} takes {} bytes, it has {}",
                entry.dtype,
                entry.shape.0,
                tensor.bytes(),
                next - begin
            )));
        }
        tensors.insert(name.clone(), tensor);
        end = next;
    }
    if end != length - start {
        return Err(format!(
            "its tensors take {end} bytes, but {} follow the header",
            length - start
        ));
    }
    Ok(tensors)
}

fn element(dtype: &str) -> Option<Element> {
    Some(match dtype {
        "F32" => Element::F32,
        "F16" => Element::F16,
        "BF16" => Element::Bf16,
        "F64" => Element::F64,
        other => {
            let others = [
                ("I64", 8),
                ("U64", 8),
                ("C64", 8),
                ("I32", 4),
                ("U32", 4),
                ("I16", 2),
                ("U16", 2),
            ];
            let bytes = ["I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"].map(|name| (name, 1));
            let known = others.into_iter().chain(bytes).find(|(name, _)| *name == other);
            let (name, size) = known?;
            Element::Other { name, size }
        }
    })
}

/// Checks the hash of the whole file, computed with its own 64 characters as zeros.
fn check_hash(path: &Path, source: &Source, header: &[u8], expected: &str) -> Result<(), CheckpointError> {
    let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
    let entry = format!("\"{}\":\"{expected}\"", keys::SHA256);
    let mut places = header
        .windows(entry.len())
        .enumerate()
        .filter(|(_, window)| *window == entry.as_bytes());
    let (Some((place, _)), None, 64) = (places.next(), places.next(), expected.len()) else {
        return Err(corrupt(format!("`{}` is not where it was written", keys::SHA256)));
    };
    let from = place + entry.len() - 1 - expected.len();
    let mut hasher = Sha256::new();
    hasher.update((header.len() as u64).to_le_bytes());
    hasher.update(&header[..from]);
    hasher.update([b'0'; 64]);
    hasher.update(&header[from + 64..]);
    let start = 8 + header.len() as u64;
    let read = source.each(start, source.length() - start, |piece| hasher.update(piece));
    read.map_err(CheckpointError::io("read", path))?;
    let sha256 = hex(&hasher.finalize());
    if sha256 == expected {
        return Ok(());
    }
    Err(corrupt(format!("its sha256 is {sha256}, it says {expected}")))
}

struct Header {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Entry>,
}

/// Header entry of a tensor.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: List<usize, MAX_AXES>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Header;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut metadata, mut tensors) = (None, Unique::<Entry, MAX_TENSORS>::default());
                while let Some(key) = map.next_key::<String>()? {
                    if !is_name(&key) {
                        let start = shortened(&key);
                        return Err(A::Error::custom(format!("the name `{start}` is not a plain one")));
                    } else if key != "__metadata__" {
                        tensors.add(key, map.next_value()?)?;
                    } else if metadata
                        .replace(map.next_value::<Unique<String, MAX_TEXTS>>()?.0)
                        .is_some()
                    {
                        return Err(A::Error::custom("`__metadata__` occurs twice"));
                    }
                }
                let metadata = metadata.unwrap_or_default();
                let tensors = tensors.0;
                Ok(Header { metadata, tensors })
            }
        }
        deserializer.deserialize_map(Once)
    }
}
