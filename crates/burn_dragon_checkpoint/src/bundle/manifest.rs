//! Manifest of the parts of a model.

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

/// Value of the field `format`.
const FORMAT: &str = "burn_dragon.parts/1";

/// Limit on the size of a manifest in bytes.
pub const MAX_MANIFEST: u64 = 4 << 20;

/// Limit on the number of parts of a model.
pub const MAX_PARTS: usize = 4096;

/// Manifest entry of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartEntry {
    /// File name of the part, beside the manifest: a plain name, not a path.
    pub path: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Names of the tensors in the part.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_TENSORS>")]
    pub tensors: Vec<String>,
}

/// Manifest of the parts of a model, `model.bpk.parts.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartsManifest {
    /// Version of the format: 1.
    pub version: u32,
    /// Name of the format: `burn_dragon.parts/1`.
    pub format: String,
    /// Name of the whole file.
    pub source_file: String,
    /// Size of the whole file in bytes.
    pub total_bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: String,
    /// [Hash](crate::model::ModelFile::hash) of the model. The model assembled from the parts must have it.
    pub model: String,
    /// Precision of the stored numbers.
    pub precision: StoredPrecision,
    /// Limit on the bytes of tensors in a part. A larger tensor has a part of its own.
    pub max_part_bytes: u64,
    /// Entries of the parts.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PARTS>")]
    pub parts: Vec<PartEntry>,
    /// SHA-256 of the text of this manifest, computed with these 64 characters as zeros.
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

    /// Text of the manifest, with the hash of that text.
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
    /// If it cannot be opened, or is not valid.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let text = plain::read(path, MAX_MANIFEST).map_err(CheckpointError::unread(path))?;
        Self::parse(&text, path)
    }

    /// Checks a manifest: names, hashes, sizes, and that no part and no tensor is listed twice. `path` says where it
    /// came from, and may be an address. A name that is not a plain file name is refused.
    ///
    /// # Errors
    /// If it is not valid.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, CheckpointError> {
        let refuse = |reason: String| CheckpointError::corrupt(path, reason);
        if text.len() as u64 > MAX_MANIFEST {
            return Err(refuse(format!(
                "it is longer than {MAX_MANIFEST} bytes, the limit for a manifest"
            )));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        manifest.check().map_err(refuse)?;
        if manifest.sealed().as_bytes() != text {
            return Err(refuse(
                "its `manifest_sha256` does not match its text: it was changed or damaged".into(),
            ));
        }
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.version != 1 || self.format != FORMAT {
            return Err(format!(
                "it is version {} of `{}`, expected version 1 of `{FORMAT}`",
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
                    "tensor `{twice}` is there twice, the second time in part `{}`",
                    part.path
                ));
            }
        }
        Ok(())
    }

    /// Index in the list of the part with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.parts.iter().position(|part| part.path == name)
    }

    /// Size of all parts in bytes.
    pub fn bytes(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |bytes, part| part.bytes.saturating_add(bytes))
    }
}

/// Path of the manifest for a whole file: `model.bpk.parts.json` for `model.bpk`.
pub fn manifest_of(whole: &Path) -> PathBuf {
    appended(whole, ".parts.json")
}

/// Path of the index for a web page: `model.bpk.page.json` for `model.bpk`.
pub(super) fn page_of(whole: &Path) -> PathBuf {
    appended(whole, ".page.json")
}

/// File name of the part with an index, counted from 0.
pub fn part_name(whole: &str, index: usize) -> String {
    format!("{whole}.part-{index:05}.bpk")
}

fn check_name(name: &str) -> Result<(), String> {
    if is_plain_name(name) {
        return Ok(());
    }
    let start = shortened(name);
    Err(format!(
        "`{start}` is not a plain file name (letters, digits, `.`, `-`, `_`, `+`); paths are not followed"
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
