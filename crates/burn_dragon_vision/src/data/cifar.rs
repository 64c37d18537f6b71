//! CIFAR-10: the binary version, or pictures in archives.
//!
//! A binary file is a list of records: a byte for the class, then 32 x 32 bytes of red, of green and of blue.

use super::files::FolderConfig;
use super::idx::pad;
use super::part::{Part, PartBuilder, Pictures};
use super::shape::{Fit, PictureShape};
use crate::error::VisionError;
use crate::picture::{Colours, Picture};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Names of the classes, by number. Sorted by name they have the same order.
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + 3 * PLANE;

/// CIFAR-10: the keys of `[dataset]` where `type = "cifar10"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cifar10Config {
    /// Folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or their folder `cifar-10-batches-bin`;
    /// or with ZIP archives of `train/CLASS/FILE` and `test/CLASS/FILE`.
    pub path: PathBuf,
    /// How a picture of 32 x 32 gets the size of the model.
    #[serde(default = "pad")]
    pub fit: Fit,
}

impl Cifar10Config {
    /// Reads the pictures.
    ///
    /// # Errors
    /// If a file cannot be read, or has another format.
    pub(super) fn load(&self, shape: PictureShape) -> Result<Pictures, VisionError> {
        let unpacked = self.path.join("cifar-10-batches-bin");
        let folder = if unpacked.is_dir() { &unpacked } else { &self.path };
        if !folder.join("test_batch.bin").is_file() {
            let files = FolderConfig {
                path: Some(self.path.clone()),
                fit: self.fit,
                ..FolderConfig::default()
            };
            return files.load(shape);
        }
        let batches = (1..=5).map(|batch| format!("data_batch_{batch}.bin"));
        Ok(Pictures {
            train: self.part(folder, &batches.collect::<Vec<_>>(), shape)?,
            validation: self.part(folder, &["test_batch.bin".into()], shape)?,
            classes: CLASSES.map(String::from).into(),
            notes: Vec::new(),
        })
    }

    fn part(&self, folder: &Path, files: &[String], shape: PictureShape) -> Result<Part, VisionError> {
        let mut part = PartBuilder::new(shape, usize::MAX);
        for file in files {
            let path = folder.join(file);
            for record in records(&path)?.chunks_exact(RECORD) {
                let picture = self.fit.apply(&picture(&record[1..]), shape);
                part.push(&picture, Some(u32::from(record[0])));
            }
        }
        Ok(part.finish(None))
    }
}

/// Bytes of a file, whole records.
fn records(path: &Path) -> Result<Vec<u8>, VisionError> {
    let bytes = std::fs::read(path).map_err(|source| VisionError::Read {
        path: path.into(),
        source,
    })?;
    let refuse = |reason: String| {
        let name = path.display().to_string();
        Err(VisionError::Format { name, reason })
    };
    if bytes.is_empty() || bytes.len() % RECORD != 0 {
        let length = bytes.len();
        return refuse(format!(
            "has {length} bytes; expected a multiple of {RECORD}, the length of a record"
        ));
    }
    let labels = bytes.chunks_exact(RECORD).map(|record| record[0]);
    if let Some((place, label)) = labels
        .enumerate()
        .find(|(_, label)| usize::from(*label) >= CLASSES.len())
    {
        return refuse(format!("record {place} has the class {label}; expected 0 to 9"));
    }
    Ok(bytes)
}

/// A picture of three planes.
fn picture(planes: &[u8]) -> Picture {
    let pixels = (0..PLANE).flat_map(|place| [0, 1, 2].map(|channel| planes[channel * PLANE + place]));
    Picture::new(SIDE, SIDE, Colours::Rgb, pixels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(class: u8, colour: [u8; 3]) -> Vec<u8> {
        let planes = colour.iter().flat_map(|value| [*value; PLANE]);
        std::iter::once(class).chain(planes).collect()
    }

    fn shape() -> PictureShape {
        PictureShape {
            size: 32,
            colours: Colours::Rgb,
        }
    }

    #[test]
    fn a_record_is_a_class_and_three_planes() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("cifar-10-batches-bin");
        std::fs::create_dir(&folder).unwrap();
        for batch in 1..=5_u8 {
            let mut first = record(batch, [batch, 0, 255]);
            first[1 + 33] = 99; // red of row 1, column 1
            let path = folder.join(format!("data_batch_{batch}.bin"));
            std::fs::write(path, [first, record(9, [1, 2, 3])].concat()).unwrap();
        }
        std::fs::write(folder.join("test_batch.bin"), record(0, [4, 5, 6])).unwrap();
        let load = |path: &Path| {
            let config = Cifar10Config {
                path: path.into(),
                fit: Fit::Pad,
            };
            config.load(shape()).unwrap()
        };
        let pictures = load(&folder);
        assert_eq!(pictures.hashes(), load(above.path()).hashes());
        assert_eq!((pictures.train.len(), pictures.validation.len()), (10, 1));
        assert_eq!(pictures.train.labels().unwrap(), [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
        let third = pictures.train.get(2).unwrap().picture;
        assert_eq!(third.pixels()[..6], [2, 0, 255, 2, 0, 255]);
        assert_eq!(third.pixels()[3 * 33..3 * 33 + 3], [99, 0, 255]);
        assert!(CLASSES.is_sorted());
    }

    #[test]
    fn a_file_of_no_whole_records_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test_batch.bin");
        for (bytes, reason) in [
            (vec![0; 3072], "has 3072 bytes; expected a multiple of 3073"),
            (Vec::new(), "has 0 bytes"),
            (
                [record(1, [0; 3]), record(10, [0; 3])].concat(),
                "record 1 has the class 10",
            ),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = records(&path).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
