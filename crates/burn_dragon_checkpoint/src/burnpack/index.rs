//! Index of a container, checked before it is trusted.

use super::{ALIGNMENT, MAX_AXES, MAX_NAME, MAX_TENSORS, MAX_TEXTS, PackError, malformed};
use crate::bounded::{List, Unique};
use crate::text::is_obeyed;
use burn::tensor::DType;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Entry of the index: one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the tensor.
    pub name: String,
    /// Type of its values.
    pub dtype: DType,
    /// Shape of the tensor; empty for a single value.
    pub shape: Vec<usize>,
    /// Byte range of its values, counted from the beginning of the data.
    pub range: Range<u64>,
}

impl Entry {
    /// Number of bytes of its values.
    pub fn size(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// Index to be written as CBOR.
#[derive(Serialize)]
pub(super) struct Index<'a> {
    pub tensors: BTreeMap<&'a str, Descriptor>,
    pub metadata: &'a BTreeMap<String, String>,
}

/// Index as read from CBOR.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    tensors: Entries,
    pub metadata: Unique<String, MAX_TEXTS>,
}

/// CBOR description of a tensor.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Descriptor {
    pub dtype: DType,
    pub shape: List<u64, MAX_AXES>,
    pub data_offsets: (u64, u64),
    /// Written by Burn when a module is saved; not used here.
    #[serde(default, skip_serializing)]
    #[allow(dead_code, reason = "named so that it is not an unknown field")]
    pub param_id: Option<u64>,
}

impl Read {
    /// Tensors in the order of their positions. Checked first: they lie side by side and fill exactly `data` bytes.
    pub(super) fn entries(&mut self, data: u64) -> Result<Vec<Entry>, PackError> {
        let mut entries = std::mem::take(&mut self.tensors.0);
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return malformed(format!("tensor `{}` is there twice", pair[0].name));
        }
        entries.sort_by_key(|entry| (entry.range.start, entry.range.end));
        let mut end = 0;
        for entry in &entries {
            let expected = aligned(end);
            if Some(entry.range.start) != expected {
                return malformed(format!(
                    "tensor `{}` begins at byte {} of the data, expected {}: tensors overlap, or leave a hole",
                    entry.name,
                    entry.range.start,
                    expected.map_or("less".into(), |expected| expected.to_string()),
                ));
            }
            end = entry.range.end;
        }
        if end != data {
            return malformed(format!(
                "its tensors end at byte {end} of the data, which has {data}"
            ));
        }
        Ok(entries)
    }
}

/// Tensors of the index. Each is checked before the next is read, so no unchecked list is held in memory.
struct Entries(Vec<Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of at most {MAX_TENSORS} tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key()? {
            if entries.len() == MAX_TENSORS {
                return Err(A::Error::custom(format!(
                    "it holds more than {MAX_TENSORS} tensors"
                )));
            }
            entries.push(entry((name, map.next_value()?)).map_err(A::Error::custom)?);
        }
        Ok(Entries(entries))
    }
}

/// Entry of one tensor, with a valid name and exactly the bytes that its shape and type need.
fn entry((name, descriptor): (String, Descriptor)) -> Result<Entry, PackError> {
    if !is_name(&name) {
        let start: String = name.chars().take(40).collect();
        return malformed(format!(
            "a tensor's name is {} bytes, {start:?}...; names are 1 to {MAX_NAME} bytes without control characters",
            name.len()
        ));
    }
    let Descriptor {
        dtype,
        shape: List(shape),
        data_offsets: (start, end),
        ..
    } = descriptor;
    if !is_plain(dtype) {
        return malformed(format!("tensor `{name}` is {dtype:?}, which is not read"));
    }
    let needed = shape
        .iter()
        .try_fold(dtype.size() as u64, |bytes, &size| bytes.checked_mul(size));
    let given = end.checked_sub(start);
    if needed.is_none() || needed != given {
        let given = given.map_or("less than no".into(), |given| given.to_string());
        let needed = needed.map_or("more than there can be".into(), |needed| needed.to_string());
        return malformed(format!(
            "tensor `{name}` has {given} bytes, its shape {shape:?} of {dtype:?} needs {needed}"
        ));
    }
    let sizes: Result<Vec<usize>, _> = shape.iter().map(|&size| usize::try_from(size)).collect();
    let Ok(shape) = sizes else {
        return malformed(format!(
            "tensor `{name}` of shape {shape:?} is too large for this machine"
        ));
    };
    Ok(Entry {
        name,
        dtype,
        shape,
        range: start..end,
    })
}

/// Whether a text is a valid name of a tensor.
pub fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.contains(is_obeyed)
}

/// Whether a type stores its values one after another. Quantised types also store scales between them.
fn is_plain(dtype: DType) -> bool {
    use DType::{BF16, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(
        dtype,
        F64 | F32 | F16 | BF16 | I64 | I32 | I16 | I8 | U64 | U32 | U16 | U8
    )
}

/// Next multiple of the alignment, where data can begin.
pub(super) fn aligned(end: u64) -> Option<u64> {
    end.checked_next_multiple_of(ALIGNMENT)
}
