//! Index of a model in parts for a web page, read before any part is fetched.
//!
//! The manifest says which files to fetch, and each part describes the model. A page must know the model first: which
//! program runs this family, whether the browser has enough memory, how long the download takes, and the licence.
//!
//! ```text
//! model.bpk.page.json   family, configuration, assets, licence, bytes
//!   -> model.bpk.parts.json, by its hash
//!     -> model.bpk.part-00000.bpk, ..., each by its hash, in any order (Assembly)
//! ```

use super::export::Exported;
use super::manifest::{MAX_MANIFEST, PartsManifest, page_of};
use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::hash::sha256;
use crate::model::{ModelFile, ModelInfo};
use crate::precision::StoredPrecision;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Value of the field `format`.
const FORMAT: &str = "burn_dragon.page/1";

/// Index of a model in parts for a web page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageIndex {
    /// `burn_dragon.page/1`.
    pub format: String,
    /// Name of the family.
    pub family: String,
    /// Configuration of the model.
    pub config: Value,
    /// Names of the texts in every part, such as `tokenizer.json`.
    pub assets: Vec<String>,
    /// Origin of the model, with its licence.
    pub info: ModelInfo,
    /// [Hash](ModelFile::hash) of the model.
    pub model: String,
    /// Precision of the stored numbers.
    pub precision: StoredPrecision,
    /// Size of all parts in bytes: the size of the download.
    pub bytes: u64,
    /// Entry of the manifest of the parts.
    pub manifest: ManifestEntry,
}

/// Index entry of the manifest of the parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestEntry {
    /// File name of the manifest, beside the index.
    pub path: String,
    /// Size of the manifest in bytes.
    pub bytes: u64,
    /// SHA-256 of the manifest, lower-case hexadecimal.
    pub sha256: String,
}

/// Fields of an index that come from the model. They are taken before the export, which consumes the model.
#[derive(Clone, Debug)]
pub struct PageHead {
    family: String,
    config: Value,
    assets: Vec<String>,
    info: ModelInfo,
}

impl PageHead {
    /// Takes these fields from a model.
    pub fn of(model: &ModelFile) -> Self {
        Self {
            family: model.family.clone(),
            config: model.config.value().clone(),
            assets: model.assets.keys().cloned().collect(),
            info: model.info.clone(),
        }
    }

    /// Writes the index of a model that was exported in parts, as `NAME.bpk.page.json`. Returns its path; `None` if
    /// there are no parts.
    ///
    /// # Errors
    /// If the manifest of the parts cannot be read, or the file system refuses.
    pub fn write(self, exported: &Exported) -> Result<Option<PathBuf>, CheckpointError> {
        let Some(manifest) = &exported.manifest else {
            return Ok(None);
        };
        let index = self.index(manifest)?;
        let path = page_of(&exported.file);
        let text =
            serde_json::to_string_pretty(&index).map_err(|error| CheckpointError::refused(&path, error))?;
        write_atomic(&Os, &path, |sink| sink.write_all(text.as_bytes()))?;
        Ok(Some(path))
    }

    fn index(self, path: &Path) -> Result<PageIndex, CheckpointError> {
        let bytes = crate::plain::read(path, MAX_MANIFEST).map_err(CheckpointError::io("read", path))?;
        let manifest = PartsManifest::parse(&bytes, path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(PageIndex {
            format: FORMAT.into(),
            family: self.family,
            config: self.config,
            assets: self.assets,
            info: self.info,
            model: manifest.model,
            precision: manifest.precision,
            bytes: manifest.parts.iter().map(|part| part.bytes).sum(),
            manifest: ManifestEntry {
                path: name.into_owned(),
                bytes: bytes.len() as u64,
                sha256: sha256(&bytes),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{IN_PARTS, model};
    use super::super::{ExportOptions, export};
    use super::*;

    fn exported(folder: &Path, options: ExportOptions) -> (Exported, Option<PathBuf>) {
        let head = PageHead::of(&model(7));
        let exported = export(model(7), &folder.join("model.bpk"), options).unwrap();
        let page = head.write(&exported).unwrap();
        (exported, page)
    }

    #[test]
    fn a_page_knows_the_model_and_finds_its_parts_by_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let (exported, page) = exported(folder.path(), IN_PARTS);
        let text = std::fs::read(page.unwrap()).unwrap();
        let index: Value = serde_json::from_slice(&text).unwrap();
        let model = model(7);
        assert_eq!(index["format"], FORMAT);
        assert_eq!(
            (&index["family"], &index["config"]),
            (&model.family.clone().into(), model.config.value())
        );
        assert_eq!(index["assets"], serde_json::json!(["tokenizer.json"]));
        assert_eq!(index["info"]["provenance"]["license"], "MIT");
        assert_eq!(index["model"], exported.model);
        let manifest = folder.path().join(index["manifest"]["path"].as_str().unwrap());
        let bytes = std::fs::read(&manifest).unwrap();
        assert_eq!(
            (&index["manifest"]["sha256"], &index["manifest"]["bytes"]),
            (&sha256(&bytes).into(), &bytes.len().into())
        );
        let parts = PartsManifest::parse(&bytes, &manifest).unwrap().parts;
        let length = |path: &str| folder.path().join(path).metadata().unwrap().len();
        let fetched: u64 = parts.iter().map(|part| length(&part.path)).sum();
        assert_eq!(index["bytes"], fetched);
    }

    #[test]
    fn without_parts_there_is_no_index_and_an_earlier_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (_, page) = exported(folder.path(), IN_PARTS);
        let earlier = page.unwrap();
        assert!(earlier.is_file());
        let whole = ExportOptions {
            max_part_bytes: None,
            overwrite: true,
            ..IN_PARTS
        };
        assert_eq!(exported(folder.path(), whole).1, None);
        assert!(!earlier.exists());
    }
}
