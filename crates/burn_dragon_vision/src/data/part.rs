//! Pictures of a run in two parts.

use super::files::Files;
use super::shape::PictureShape;
use crate::error::VisionError;
use crate::picture::Picture;
use burn_dragon_train::api::{DataHash, DataHashes};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Pictures of a run.
#[derive(Debug)]
pub struct Pictures {
    /// Training part.
    pub train: Part,
    /// Validation part, held out from training.
    pub validation: Part,
    /// Names of the classes; empty for pictures without labels.
    pub classes: Vec<String>,
    /// What a person should know of the files, such as those that were skipped.
    pub notes: Vec<String>,
}

impl Pictures {
    /// Hashes of both parts. A resumed run compares them with those of its checkpoint.
    pub fn hashes(&self) -> DataHashes {
        DataHashes {
            training: self.train.hash.clone(),
            validation: self.validation.hash.clone(),
        }
    }
}

/// A picture with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Picture, in the shape that the model reads.
    pub picture: Picture,
    /// Number of its class, if the data have labels.
    pub label: Option<u32>,
}

/// Pictures of one part, all of one shape.
///
/// The first ones are in memory, as many as the cache holds. The others are decoded whenever they are asked for. Both give
/// the same pictures.
#[derive(Debug)]
pub struct Part {
    shape: PictureShape,
    labels: Option<Vec<u32>>,
    /// Pixels of the first pictures.
    held: Vec<u8>,
    /// Files of all pictures, if some are not held.
    files: Option<Files>,
    len: usize,
    hash: DataHash,
}

impl Part {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Shape of every picture.
    pub fn shape(&self) -> PictureShape {
        self.shape
    }

    /// Number of the class of every picture, if the data have labels.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Number of pictures that are in memory.
    pub fn held(&self) -> usize {
        self.held.len() / self.shape.numbers()
    }

    /// Hash and size of what the model sees of the part.
    pub fn hash(&self) -> &DataHash {
        &self.hash
    }

    /// A picture with its class.
    ///
    /// # Errors
    /// [`VisionError::Format`] if its file has changed since the start, and is no picture now.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn get(&self, index: usize) -> Result<Example, VisionError> {
        assert!(
            index < self.len,
            "picture {index} of a part of {}: there is none",
            self.len
        );
        let numbers = self.shape.numbers();
        let held = self.held.get(index * numbers..(index + 1) * numbers);
        let picture = match (held, &self.files) {
            (None, Some(files)) => files.read(index)?,
            // Without files all pictures are held.
            (held, _) => {
                let PictureShape { size, colours } = self.shape;
                Picture::new(size, size, colours, held.unwrap_or_default().to_vec())
            }
        };
        let label = self.labels.as_ref().map(|labels| labels[index]);
        Ok(Example { picture, label })
    }

    /// Pictures with their classes, in the order of `indices`, decoded on all threads.
    ///
    /// # Errors
    /// As [`get`](Self::get), of the first picture with one.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    pub fn batch(&self, indices: &[usize]) -> Result<Vec<Example>, VisionError> {
        let examples: Vec<_> = indices.par_iter().map(|index| self.get(*index)).collect();
        examples.into_iter().collect()
    }
}

/// A part as it is read, picture by picture.
pub(super) struct PartBuilder {
    shape: PictureShape,
    labels: Vec<u32>,
    held: Vec<u8>,
    /// Number of pictures that are kept in memory at most.
    most: usize,
    len: usize,
    sha256: Sha256,
}

impl PartBuilder {
    /// A part without pictures, which holds no more than `most` in memory.
    pub(super) fn new(shape: PictureShape, most: usize) -> Self {
        Self {
            shape,
            labels: Vec::new(),
            held: Vec::new(),
            most,
            len: 0,
            sha256: Sha256::new(),
        }
    }

    /// One more picture, of the part's shape. Either all have a label or none has.
    pub(super) fn push(&mut self, picture: &Picture, label: Option<u32>) {
        let number = label.unwrap_or(u32::MAX);
        self.sha256.update(number.to_le_bytes());
        self.sha256.update(picture.pixels());
        self.labels.extend(label);
        if self.len < self.most {
            self.held.extend_from_slice(picture.pixels());
        }
        self.len += 1;
    }

    /// The part. `files` are those of its pictures, one each, if the pictures have files.
    pub(super) fn finish(self, files: Option<Files>) -> Part {
        let hash = DataHash {
            sha256: hexadecimal(self.sha256),
            sizes: [("pictures".to_string(), self.len as u64)].into(),
        };
        Part {
            shape: self.shape,
            labels: (self.labels.len() == self.len).then_some(self.labels),
            files: files.filter(|_| self.most < self.len),
            held: self.held,
            len: self.len,
            hash,
        }
    }
}

/// Digits of a hash.
pub(super) fn hexadecimal(sha256: Sha256) -> String {
    let bytes = sha256.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
