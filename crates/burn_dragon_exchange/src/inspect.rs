//! Inspection of a file: tensors, shapes, types, statistics and metadata.

use crate::official::{ForeignFile, is_torch};
use crate::resolve::follow_pointer_file;
use burn::tensor::TensorData;
use burn_dragon_checkpoint::api::expert::{TensorFile, plain};
use burn_dragon_checkpoint::api::{CheckpointError, CheckpointFolder, Checkpoints, PartsManifest};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Result of the inspection of one file.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Path of the file.
    pub file: PathBuf,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Metadata: texts by key.
    pub metadata: BTreeMap<String, String>,
    /// Tensors by name.
    pub tensors: Vec<TensorReport>,
    /// Notes on unusual properties, for the user.
    pub notes: Vec<String>,
}

/// Description of a tensor, with statistics of its values.
#[derive(Clone, Debug, Serialize)]
pub struct TensorReport {
    /// Name of the tensor.
    pub name: String,
    /// Type of its entries.
    pub dtype: &'static str,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Size of its values in bytes.
    pub bytes: u64,
    /// Statistics of its values; `None` if the type is not supported.
    pub statistics: Option<Statistics>,
}

/// Statistics of values. Values that are not finite are counted, and left out of all other figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Number of values.
    pub entries: u64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean of the values.
    pub mean: f64,
    /// Standard deviation of the values.
    pub std: f64,
    /// Share of zeros.
    pub zeros: f64,
    /// Number of values that are infinite or NaN.
    pub non_finite: u64,
}

impl Statistics {
    /// Statistics of the values of a tensor. All figures are zero if no value is finite.
    pub fn of(data: &TensorData) -> Self {
        let finite = || data.iter::<f64>().filter(|value| value.is_finite());
        let entries = data.num_elements() as u64;
        let (mut count, mut zeros, mut sum, mut min, mut max) =
            (0u64, 0u64, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        for value in finite() {
            count += 1;
            zeros += u64::from(value == 0.0);
            sum += value;
            min = value.min(min);
            max = value.max(max);
        }
        if count == 0 {
            (min, max) = (0.0, 0.0);
        }
        let size = count.max(1) as f64;
        let mean = sum / size;
        let squares: f64 = finite().map(|value| (value - mean).powi(2)).sum();
        Self {
            entries,
            min,
            max,
            mean,
            std: (squares / size).sqrt(),
            zeros: zeros as f64 / size,
            non_finite: entries - count,
        }
    }
}

/// Inspects a model, a memory, foreign weights, the parts of a model, a checkpoint, or the newest valid checkpoint of a
/// run. Returns one inspection for each file with tensors.
///
/// # Errors
/// If nothing is there, or a file is damaged.
pub fn inspect(path: &Path) -> Result<Vec<Inspection>, CheckpointError> {
    let path = follow_pointer_file(path)?;
    if !path.exists() {
        let reason = "there is no file or folder at this path".to_string();
        return Err(CheckpointError::NoModel { path, reason });
    }
    if path.is_dir() {
        return in_folder(&path);
    }
    if path.to_string_lossy().ends_with(".parts.json") {
        let manifest = PartsManifest::read(&path)?;
        let parts = manifest.parts.iter().map(|part| path.with_file_name(&part.path));
        return parts.map(|part| inside(&part)).collect();
    }
    Ok(vec![in_file(&path)?])
}

fn in_folder(path: &Path) -> Result<Vec<Inspection>, CheckpointError> {
    let (folder, refused) = match CheckpointFolder::open(path) {
        Ok(folder) => (Some(folder), Vec::new()),
        Err(_) => {
            let inner = path.join("checkpoint");
            let root = if inner.is_dir() { inner } else { path.to_path_buf() };
            Checkpoints::new(root).newest_verified()?
        }
    };
    let Some(folder) = folder else {
        return Err(refused
            .into_iter()
            .next()
            .unwrap_or_else(|| CheckpointError::NoModel {
                path: path.to_path_buf(),
                reason: "the folder is neither a run nor a checkpoint".into(),
            }));
    };
    let manifest = folder.manifest()?;
    let names = manifest.files.keys().filter(|name| name.ends_with(".bpk"));
    let mut files: Vec<Inspection> = names
        .map(|name| inside(&folder.path().join(name)))
        .collect::<Result<_, _>>()?;
    if let Some(first) = files.first_mut() {
        first.notes.extend(refused.iter().map(ToString::to_string));
    }
    Ok(files)
}

/// Inspects a file that an untrusted folder names. It must be one of our tensor files, and no link.
fn inside(path: &Path) -> Result<Inspection, CheckpointError> {
    in_burnpack(
        path,
        plain::open_inside(path).map_err(CheckpointError::unread(path))?,
    )
}

/// Inspects a file that the user names. The ending says what it is; if the ending is unknown, the first bytes do.
fn in_file(path: &Path) -> Result<Inspection, CheckpointError> {
    let (file, bytes) = plain::open(path).map_err(CheckpointError::unread(path))?;
    if path
        .extension()
        .is_some_and(|ending| ending == "bpk" || ending == "state")
    {
        return in_burnpack(path, (file, bytes));
    }
    if path.extension().is_some_and(|ending| ending == "safetensors") {
        return in_foreign(&ForeignFile::safetensors(path)?, bytes);
    }
    if is_torch(path) {
        return in_foreign(&ForeignFile::torch(path)?, bytes);
    }
    in_burnpack(path, (file, bytes))
}

fn in_burnpack(path: &Path, (file, bytes): (File, u64)) -> Result<Inspection, CheckpointError> {
    let read = TensorFile::read_from(file, bytes).map_err(|error| error.at(path))?;
    let TensorFile { tensors, metadata } = read;
    let report = |(name, data): (String, TensorData)| TensorReport {
        name,
        dtype: data.dtype().name(),
        shape: data.shape().to_vec(),
        bytes: data.as_bytes().len() as u64,
        statistics: Some(Statistics::of(&data)),
    };
    Ok(Inspection {
        file: path.to_path_buf(),
        bytes,
        metadata,
        tensors: tensors.into_iter().map(report).collect(),
        notes: Vec::new(),
    })
}

/// Reads one tensor at a time, so that at most the largest one is in memory.
fn in_foreign(file: &ForeignFile, bytes: u64) -> Result<Inspection, CheckpointError> {
    let mut tensors = Vec::new();
    for (name, tensor) in &file.tensors {
        let statistics = match tensor.element.is_float() {
            true => Some(Statistics::of(&file.read(name)?)),
            false => None,
        };
        tensors.push(TensorReport {
            name: name.clone(),
            dtype: tensor.element.name(),
            shape: tensor.shape.clone(),
            bytes: tensor.bytes(),
            statistics,
        });
    }
    Ok(Inspection {
        file: file.path().to_path_buf(),
        bytes,
        metadata: file.metadata.clone(),
        tensors,
        notes: file.notes.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_ours_says_what_a_file_is() {
        let folder = tempfile::tempdir().unwrap();
        for (name, says) in [("a.bpk", "burnpack"), ("a.state", "burnpack"), ("a.zip", "zip")] {
            let path = folder.path().join(name);
            std::fs::write(&path, b"PK\x03\x04 and what a pickle would be read from").unwrap();
            let error = inspect(&path).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_a_strangers_folder_names_is_not_followed() {
        use burn_dragon_checkpoint::api::{Content, ExportOptions, ModelFile, ModelInfo, Snapshot, export};
        let root = tempfile::tempdir().unwrap();
        let tensors = ["a", "b"].map(|name| (name.to_string(), TensorData::zeros::<f32, _>([4])));
        let config = serde_json::json!({});
        let model = ModelFile::new("toy", &config, ModelInfo::default(), tensors.into()).unwrap();
        let secret = root.path().join("secret.bpk");
        model.write(&secret).unwrap();
        let checkpoint = Checkpoints::new(root.path().join("checkpoint"))
            .commit(&Snapshot {
                step: 1,
                files: [(
                    "model.bpk".to_string(),
                    Content::Tensors(model.clone().into_tensor_file()),
                )]
                .into(),
                ..Snapshot::default()
            })
            .unwrap();
        let options = ExportOptions {
            max_part_bytes: Some(1),
            ..ExportOptions::default()
        };
        let exported = export(model, &root.path().join("model.bpk"), options).unwrap();
        let (file, manifest) = (checkpoint.path().join("model.bpk"), exported.manifest.unwrap());
        let part = root.path().join("model.bpk.part-00000.bpk");
        for (named, linked) in [(checkpoint.path(), file), (&manifest, part)] {
            inspect(named).unwrap();
            std::fs::remove_file(&linked).unwrap();
            std::os::unix::fs::symlink(&secret, &linked).unwrap();
            let error = inspect(named).unwrap_err().to_string();
            assert!(error.contains("not a plain file"), "{error}");
        }
    }

    #[test]
    fn statistics_are_of_the_finite_values() {
        let values = vec![0.0f32, 3.0, f32::NAN, -1.0, 2.0, f32::INFINITY];
        let statistics = Statistics::of(&TensorData::new(values, [2, 3]));
        let expected = Statistics {
            entries: 6,
            min: -1.0,
            max: 3.0,
            mean: 1.0,
            std: 2.5f64.sqrt(),
            zeros: 0.25,
            non_finite: 2,
        };
        assert_eq!(statistics, expected);
        let none = Statistics::of(&TensorData::new(vec![f32::NAN], [1]));
        assert_eq!(
            (none.min, none.max, none.std, none.non_finite),
            (0.0, 0.0, 0.0, 1)
        );
    }
}
