//! What the parts of a model are.

use crate::bounded;
use crate::burnpack::MAX_TENSORS;
use crate::error::CheckpointError;
use crate::hash::sha256;
use crate::names::is_plain_name;
use crate::plain;
use crate::precision::StoredPrecision;
use crate::text::shortened;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The value of `format`.
const FORMAT: &str = "burn_dragon.parts/1";

/// Bytes of the longest manifest.
pub const MAX_MANIFEST: u64 = 4 << 20;

/// Most parts of a model.
pub const MAX_PARTS: usize = 4096;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartEntry {
    /// The name of its file, which lies beside the manifest: a plain name, no path.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
    /// The names of its tensors.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_TENSORS>")]
    pub tensors: Vec<String>,
}

/// What `model.bpk.parts.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartsManifest {
    /// 1.
    pub version: u32,
    /// `burn_dragon.parts/1`.
    pub format: String,
    /// The name of the file that was taken apart.
    pub source_file: String,
    /// Its bytes.
    pub total_bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: String,
    /// The [hash](crate::model::ModelFile::hash) of the model in it: what must come out when the parts are put together.
    pub model: String,
    /// How the numbers are stored.
    pub precision: StoredPrecision,
    /// Bytes of tensors that a part was filled up to; a tensor that is larger has a part of its own.
    pub max_part_bytes: u64,
    /// The parts.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PARTS>")]
    pub parts: Vec<PartEntry>,
    /// The SHA-256 of this manifest as it is written, read with these 64 characters as zeros.
    pub manifest_sha256: String,
}

impl PartsManifest {
    pub(super) fn new(source_file: String, precision: StoredPrecision, max_part_bytes: u64) -> Self {
        Self {
            version: 1,
            format: FORMAT.into(),
            source_file,
            total_bytes: 0,
            sha256: String::new(),
            model: String::new(),
            precision,
            max_part_bytes,
            parts: Vec::new(),
            manifest_sha256: String::new(),
        }
    }

    /// As it is written, under the hash of its own text.
    pub(super) fn sealed(&self) -> String {
        let mut sealed = self.clone();
        sealed.manifest_sha256 = "0".repeat(64);
        sealed.manifest_sha256 = sha256(sealed.text().as_bytes());
        sealed.text()
    }

    fn text(&self) -> String {
        match serde_json::to_string_pretty(self) {
            Ok(text) => text + "\n",
            Err(error) => unreachable!("a manifest is plain text and numbers: {error}"),
        }
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// If it cannot be opened, or is not sound.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let text = plain::read(path, MAX_MANIFEST).map_err(CheckpointError::unread(path))?;
        Self::parse(&text, path)
    }

    /// Checks a manifest that came from `path`, which may be an address: names, hashes, sizes, and that no part and no
    /// tensor is there twice. A name that is no plain file name is refused, not followed.
    ///
    /// # Errors
    /// If it is not sound.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, CheckpointError> {
        let refuse = |reason: String| CheckpointError::corrupt(path, reason);
        if text.len() as u64 > MAX_MANIFEST {
            return Err(refuse(format!(
                "it is longer than the {MAX_MANIFEST} bytes that are read"
            )));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        manifest.check().map_err(refuse)?;
        if manifest.sealed().as_bytes() != text {
            return Err(refuse(
                "its `manifest_sha256` is not that of its text: it was changed, or damaged".into(),
            ));
        }
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.version != 1 || self.format != FORMAT {
            return Err(format!(
                "it is version {} of `{}`, read is version 1 of `{FORMAT}`",
                self.version,
                shortened(&self.format)
            ));
        }
        check_name(&self.source_file)?;
        check_hash("sha256", &self.sha256)?;
        check_hash("model", &self.model)?;
        if self.parts.is_empty() || self.parts.len() > MAX_PARTS {
            return Err(format!(
                "it names {} parts, 1 to {MAX_PARTS} are read",
                self.parts.len()
            ));
        }
        let (mut names, mut tensors) = (BTreeSet::from([self.source_file.as_str()]), BTreeSet::new());
        for part in &self.parts {
            check_name(&part.path)?;
            check_hash(&part.path, &part.sha256)?;
            if part.bytes == 0 || part.tensors.is_empty() {
                return Err(format!("part `{}` is empty", part.path));
            }
            if !names.insert(&part.path) {
                return Err(format!("`{}` is there twice", part.path));
            }
            if let Some(twice) = part.tensors.iter().find(|name| !tensors.insert(name.as_str())) {
                return Err(format!(
                    "tensor `{twice}` is there twice, again in `{}`",
                    part.path
                ));
            }
        }
        Ok(())
    }

    /// The place in the list of the part with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.parts.iter().position(|part| part.path == name)
    }

    /// Bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |bytes, part| part.bytes.saturating_add(bytes))
    }
}

/// The manifest that belongs to a whole: `model.bpk` has `model.bpk.parts.json`.
pub fn manifest_of(whole: &Path) -> PathBuf {
    appended(whole, ".parts.json")
}

/// The index for a web page that belongs to a whole: `model.bpk` has `model.bpk.page.json`.
pub(super) fn page_of(whole: &Path) -> PathBuf {
    appended(whole, ".page.json")
}

/// The name of a part, counted from 0.
pub fn part_name(whole: &str, index: usize) -> String {
    format!("{whole}.part-{index:05}.bpk")
}

fn check_name(name: &str) -> Result<(), String> {
    if is_plain_name(name) {
        return Ok(());
    }
    let start = shortened(name);
    Err(format!(
        "`{start}` is not a plain file name (letters, digits, `.`, `-`, `_`, `+`), and paths are not followed"
    ))
}

fn check_hash(whose: &str, hash: &str) -> Result<(), String> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hash.len() == 64 && hash.bytes().all(digit) {
        return Ok(());
    }
    Err(format!(
        "the hash of `{whose}` is not 64 lower-case hexadecimal digits"
    ))
}

pub(super) fn appended(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
