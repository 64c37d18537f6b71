//! Keys of `[dataset]` where `type = "folder"`.

use crate::data::shape::Fit;
use crate::error::VisionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Pictures in folders: the keys of `[dataset]` where `type = "folder"`.
///
/// The folder, or the archive, has `train/CLASS/FILE`, and `val/CLASS/FILE` or `validation` or `test` instead of `val`: the
/// first one that exists is the validation part. Classes are the names of their folders, in order. Without folders for
/// classes (`train/FILE`) pictures have no labels. Files elsewhere, and those whose names begin with a dot, are not read. A
/// file that is no picture is named and skipped. All files are decoded once when a run starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FolderConfig {
    /// Folder with pictures, or a ZIP archive, which is read in place. In a folder without a folder `train` all its
    /// archives are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Several ZIP archives instead of `path`. Together they have the pictures of both parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// How a picture gets the size of the model.
    pub fit: Fit,
    /// Memory for decoded pictures, MiB. Pictures beyond it are decoded each time they are needed; they are the same
    /// pictures.
    pub cache_mib: usize,
    /// Maximum number of pixels of a picture. A larger one is skipped, before it is decoded.
    pub max_pixels: u64,
    /// Maximum share of files that may be skipped, 0 to 1. With more, the run does not start.
    pub max_skipped: f64,
}

impl Default for FolderConfig {
    fn default() -> Self {
        Self {
            path: None,
            paths: Vec::new(),
            fit: Fit::Crop,
            cache_mib: 1024,
            max_pixels: 64 << 20,
            max_skipped: 0.01,
        }
    }
}

/// Largest cache, MiB: 1 TiB.
const MOST_MIB: usize = 1 << 20;

impl FolderConfig {
    /// Checks the values, without files.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        let refuse = |key, reason: String| Err(VisionError::Config { key, reason });
        match (&self.path, self.paths.as_slice()) {
            (None, []) => {
                let reason =
                    "is absent; expected a folder with train/CLASS/FILE and val/CLASS/FILE, or an archive";
                return refuse("dataset.path", reason.into());
            }
            (Some(_), [_, ..]) => {
                let reason = "stands beside dataset.path; expected only one of both";
                return refuse("dataset.paths", reason.into());
            }
            _ => {}
        }
        if self.cache_mib > MOST_MIB {
            let reason = format!("is {}; expected at most {MOST_MIB}", self.cache_mib);
            return refuse("dataset.cache_mib", reason);
        }
        if self.max_pixels == 0 {
            return refuse("dataset.max_pixels", "is 0; expected at least 1".into());
        }
        if !(0.0..=1.0).contains(&self.max_skipped) {
            let reason = format!("is {}; expected a share from 0 to 1", self.max_skipped);
            return refuse("dataset.max_skipped", reason);
        }
        Ok(())
    }

    /// Every path.
    pub(crate) fn all_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.path.iter_mut().chain(&mut self.paths)
    }
}
