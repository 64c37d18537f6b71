//! Reader of `torch.save` files: a zip with a pickle that describes tensors, and with the bytes of their storages.
//!
//! ```text
//! NAME/data.pkl        the state dict, or a dictionary that holds it
//! NAME/data/KEY        the bytes of a storage; a tensor is a view of one
//! NAME/byteorder       `little`
//! NAME/version         `3`
//! ```

use super::archive::{Archive, Place};
use super::foreign::{Element, ForeignFile, ForeignTensor, MOST_DIMENSIONS, Source};
use super::pickle::{self, Global, Object, Unpickled, Value};
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{is_name, shortened};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Limit on the size of a pickle in bytes. That of a state dict has a few hundred.
const LONGEST_PICKLE: u64 = 1 << 20;

/// Limit on the number of times that the tensors view the bytes of a file. Tied weights are viewed twice. Without a
/// limit, a small pickle could describe a large file ten thousand times.
const MOST_VIEWS: u64 = 16;

/// Keys under which training scripts store the state dict among other data, the most likely first.
const NESTED: [&str; 3] = ["model", "model_state_dict", "state_dict"];

/// Limit on the depth of such dictionaries.
const DEEPEST: usize = 4;

impl ForeignFile {
    /// Opens a file that `torch.save` wrote.
    ///
    /// # Errors
    /// If it is damaged, or holds anything but tensors in dictionaries.
    pub fn torch(path: &Path) -> Result<Self, CheckpointError> {
        open(path, Archive::open(path, Source::open(path)?)?)
    }

    /// Opens the bytes of a file that `torch.save` wrote. `path` is the name of the file in errors.
    ///
    /// # Errors
    /// As [`torch`](Self::torch).
    pub fn torch_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, CheckpointError> {
        open(path, Archive::open(path, Source::Bytes(bytes))?)
    }
}

fn open(path: &Path, archive: Archive) -> Result<ForeignFile, CheckpointError> {
    let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
    if archive.entries.contains_key("constants.pkl") {
        let reason = "it is TorchScript, which holds a program; save the weights: torch.save(model.state_dict(), PATH)";
        return Err(corrupt(reason.into()));
    }
    if archive.entries.contains_key("byteorder") {
        let order = archive.bytes("byteorder", 16)?;
        if order != b"little" {
            let order = String::from_utf8_lossy(&order).into_owned();
            return Err(corrupt(format!(
                "its values are in byte order `{order}`, expected `little`"
            )));
        }
    }
    // Older files lack this entry. They come from little-endian machines.
    let pickle = pickle::read(&archive.bytes("data.pkl", LONGEST_PICKLE)?).map_err(corrupt)?;
    let mut notes = Vec::new();
    let tensors = State {
        path,
        archive: &archive,
        pickle: &pickle,
        checked: BTreeMap::new(),
    }
    .tensors(&mut notes)?;
    Ok(ForeignFile {
        path: path.to_path_buf(),
        source: archive.source,
        tensors,
        metadata: BTreeMap::new(),
        notes,
    })
}

struct State<'a> {
    path: &'a Path,
    archive: &'a Archive,
    pickle: &'a Unpickled,
    /// Storages with a verified CRC-32.
    checked: BTreeMap<&'a str, Place>,
}

impl<'a> State<'a> {
    fn corrupt(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::corrupt(self.path, reason.into())
    }

    /// Tensors of the state dict, by name.
    fn tensors(
        mut self,
        notes: &mut Vec<String>,
    ) -> Result<BTreeMap<String, ForeignTensor>, CheckpointError> {
        let mut tensors = BTreeMap::new();
        let mut room = self.archive.source.length().saturating_mul(MOST_VIEWS);
        for (name, value) in self.state_dict(notes)? {
            if !is_name(name) {
                return Err(self.corrupt(format!("the name `{}` is not a plain one", shortened(name))));
            }
            let arguments = match self.pickle.object(value) {
                Some(Object::Tensor(arguments)) => self.pickle.object(*arguments),
                _ => None,
            };
            let Some(Object::Tuple(arguments)) = arguments else {
                return Err(self.corrupt(format!("its `{}` is not a tensor", shortened(name))));
            };
            let tensor = self.tensor(name, arguments)?;
            room = room.checked_sub(tensor.reach()).ok_or_else(|| {
                self.corrupt(format!(
                    "its tensors view the same bytes more than {MOST_VIEWS} times"
                ))
            })?;
            tensors.insert(name.to_string(), tensor);
        }
        Ok(tensors)
    }

    /// Innermost dictionary: a script can store the state dict in a dictionary, and that one in another.
    fn state_dict(&self, notes: &mut Vec<String>) -> Result<Vec<(&'a str, Value)>, CheckpointError> {
        let mut found = self.dictionary(self.pickle.root, "what it holds")?;
        for _ in 0..DEEPEST {
            let Some(inner) = self.nested(&found, notes)? else {
                break;
            };
            found = inner;
        }
        Ok(found)
    }

    /// State dict in a dictionary with other data.
    fn nested(
        &self,
        outer: &[(&'a str, Value)],
        notes: &mut Vec<String>,
    ) -> Result<Option<Vec<(&'a str, Value)>>, CheckpointError> {
        let nested = NESTED.into_iter().find_map(|key| {
            let (_, value) = outer.iter().find(|(name, _)| *name == key)?;
            matches!(self.pickle.object(*value), Some(Object::Dict(_))).then_some((key, *value))
        });
        let Some((key, value)) = nested else {
            return Ok(None);
        };
        notes.push(format!("the weights were read from `{key}`"));
        let beside: Vec<String> = outer
            .iter()
            .filter(|(name, _)| *name != key)
            .map(|(name, _)| shortened(name))
            .take(9)
            .collect();
        if !beside.is_empty() {
            notes.push(format!(
                "entries beside them were not read: {}",
                beside.join(", ")
            ));
        }
        self.dictionary(value, key).map(Some)
    }

    /// Entries of a dictionary by name. A repeated name is refused: some readers take the first value, others the last.
    fn dictionary(&self, value: Value, what: &str) -> Result<Vec<(&'a str, Value)>, CheckpointError> {
        let Some(Object::Dict(items)) = self.pickle.object(value) else {
            return Err(self.corrupt(format!("{what} is no dictionary of tensors")));
        };
        let named = items
            .iter()
            .map(|&(key, value)| Some((self.pickle.text(key)?, value)));
        let named: Vec<(&str, Value)> = named
            .collect::<Option<_>>()
            .ok_or_else(|| self.corrupt(format!("a key of {what} is no text")))?;
        let mut names = BTreeSet::new();
        match named.iter().find(|(name, _)| !names.insert(*name)) {
            Some((name, _)) => Err(self.corrupt(format!("it holds `{}` twice", shortened(name)))),
            None => Ok(named),
        }
    }

    /// View that the arguments of a tensor describe: storage, offset, sizes, strides, and three ignored values.
    fn tensor(&mut self, name: &str, arguments: &[Value]) -> Result<ForeignTensor, CheckpointError> {
        let odd = |what: &str| CheckpointError::corrupt(self.path, format!("tensor `{name}`: {what}"));
        let (&[storage, Value::Int(offset), sizes, strides], 6..=7) = (
            arguments.first_chunk().unwrap_or(&[Value::None; 4]),
            arguments.len(),
        ) else {
            return Err(odd("it is described in a way that is not known"));
        };
        let sizes = self
            .sizes(sizes)
            .ok_or_else(|| odd("its shape is not a list of sizes"))?;
        let strides = self
            .sizes(strides)
            .ok_or_else(|| odd("its strides are not a list of sizes"))?;
        let Some(Object::Persistent(identity)) = self.pickle.object(storage) else {
            return Err(odd("its storage is described in a way that is not known"));
        };
        let Some(Object::Tuple(identity)) = self.pickle.object(*identity) else {
            return Err(odd("its storage is described in a way that is not known"));
        };
        let &[
            kind,
            Value::Global(Global::Storage(storage)),
            key,
            _device,
            Value::Int(entries),
        ] = identity.as_slice()
        else {
            return Err(odd("its storage is described in a way that is not known"));
        };
        let (Some("storage"), Some(key)) = (self.pickle.text(kind), self.pickle.text(key)) else {
            return Err(odd("its storage is described in a way that is not known"));
        };
        let element = element(storage);
        let place = self.storage(key)?;
        let odd = |what: String| CheckpointError::corrupt(self.path, format!("tensor `{name}`: {what}"));
        let length = u64::try_from(entries)
            .ok()
            .and_then(|entries| entries.checked_mul(element.size()));
        if length != Some(place.length) {
            return Err(odd(format!(
                "its storage has {} bytes, which are not {entries} values of {}",
                place.length,
                element.name()
            )));
        }
        let room = place.length / element.size();
        let offset = u64::try_from(offset).ok().filter(|&offset| offset <= room);
        let offset = offset.ok_or_else(|| odd("it begins outside of its storage".into()))?;
        let at = place.at + offset * element.size();
        ForeignTensor::new(element, sizes, Some(strides), (at, room - offset)).map_err(odd)
    }

    fn sizes(&self, value: Value) -> Option<Vec<usize>> {
        let Some(Object::Tuple(sizes)) = self.pickle.object(value) else {
            return None;
        };
        let size = |value: &Value| match value {
            Value::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        match sizes.len() > MOST_DIMENSIONS {
            true => None,
            false => sizes.iter().map(size).collect(),
        }
    }

    /// Place of a storage. Its bytes are read once to check the CRC-32.
    fn storage(&mut self, key: &'a str) -> Result<Place, CheckpointError> {
        if let Some(place) = self.checked.get(key) {
            return Ok(*place);
        }
        let place = self.archive.check(&format!("data/{key}"))?;
        self.checked.insert(key, place);
        Ok(place)
    }
}

fn element(storage: &'static str) -> Element {
    let other = |name, size| Element::Other { name, size };
    match storage {
        "FloatStorage" => Element::F32,
        "HalfStorage" => Element::F16,
        "BFloat16Storage" => Element::Bf16,
        "DoubleStorage" => Element::F64,
        "LongStorage" => other("i64", 8),
        "IntStorage" => other("i32", 4),
        "ShortStorage" => other("i16", 2),
        "CharStorage" => other("i8", 1),
        "BoolStorage" => other("bool", 1),
        _ => other("u8", 1),
    }
}
