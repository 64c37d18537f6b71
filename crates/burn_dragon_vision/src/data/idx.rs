//! MNIST: pictures and labels in IDX files, packed by gzip or not.
//!
//! An IDX file is a number of 4 bytes that says what it is, a length of 4 bytes for each axis, and the values, a byte each;
//! all numbers have their highest byte first.

use super::part::{Part, PartBuilder, Pictures};
use super::shape::{Fit, PictureShape};
use crate::error::VisionError;
use crate::picture::{Colours, Picture};
use flate2::read::MultiGzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Number of classes: the digits.
const CLASSES: u8 = 10;

/// Longest axis that is read.
const LONGEST: usize = 1 << 24;

/// Largest number of values that is read: 1 GiB.
const MOST: usize = 1 << 30;

/// MNIST: the keys of `[dataset]` where `type = "mnist"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MnistConfig {
    /// Folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    /// `t10k-labels-idx1-ubyte`, each with or without `.gz`.
    pub path: PathBuf,
    /// How a picture of 28 x 28 gets the size of the model.
    #[serde(default = "pad")]
    pub fit: Fit,
}

pub(super) const fn pad() -> Fit {
    Fit::Pad
}

impl MnistConfig {
    /// Reads the pictures.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what its name says.
    pub(super) fn load(&self, shape: PictureShape) -> Result<Pictures, VisionError> {
        let part = |name| Ok::<_, VisionError>(self.part(&Digits::read(&self.path, name)?, shape));
        Ok(Pictures {
            train: part("train")?,
            validation: part("t10k")?,
            classes: digit_names(),
            notes: Vec::new(),
        })
    }

    fn part(&self, digits: &Digits, shape: PictureShape) -> Part {
        let mut part = PartBuilder::new(shape, usize::MAX);
        for (index, label) in digits.labels.iter().enumerate() {
            let picture = self.fit.apply(&digits.picture(index), shape);
            part.push(&picture, Some(u32::from(*label)));
        }
        part.finish(None)
    }
}

/// Names of the classes.
pub(super) fn digit_names() -> Vec<String> {
    (0..CLASSES).map(|digit| digit.to_string()).collect()
}

/// Pictures of digits with their labels.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Digits {
    /// Values, `[count, height, width]`.
    pub(super) pixels: Vec<u8>,
    /// Labels, 0 to 9.
    pub(super) labels: Vec<u8>,
    /// Rows and columns.
    pub(super) size: [usize; 2],
}

impl Digits {
    /// Reads a part of MNIST, `train` or `t10k`.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what its name says.
    pub(super) fn read(folder: &Path, part: &str) -> Result<Self, VisionError> {
        let ([count, height, width], pixels) =
            Idx::open(folder, &format!("{part}-images-idx3-ubyte"))?.values()?;
        let file = Idx::open(folder, &format!("{part}-labels-idx1-ubyte"))?;
        let name = file.name.clone();
        let ([labels], values) = file.values()?;
        let refuse = |reason: String| Err(VisionError::Format { name, reason });
        if labels != count {
            return refuse(format!(
                "has {labels} labels; expected {count}, one for each picture"
            ));
        }
        if count == 0 || height == 0 || width == 0 {
            return refuse(format!(
                "belongs to {count} pictures of {height} x {width}; expected at least 1 pixel"
            ));
        }
        if let Some(place) = values.iter().position(|label| *label >= CLASSES) {
            return refuse(format!(
                "label {place} is {}; expected a digit from 0 to 9",
                values[place]
            ));
        }
        Ok(Self {
            pixels,
            labels: values,
            size: [height, width],
        })
    }

    /// One picture.
    pub(super) fn picture(&self, index: usize) -> Picture {
        let [height, width] = self.size;
        let numbers = height * width;
        let pixels = self.pixels[index * numbers..(index + 1) * numbers].to_vec();
        Picture::new(height, width, Colours::Gray, pixels)
    }
}

/// An IDX file.
struct Idx {
    name: String,
    bytes: Box<dyn Read>,
}

impl Idx {
    /// Opens `NAME` or `NAME.gz` of a folder.
    fn open(folder: &Path, name: &str) -> Result<Self, VisionError> {
        let plain = folder.join(name);
        let packed = folder.join(format!("{name}.gz"));
        let path = if plain.is_file() { plain } else { packed };
        let is_packed = path.extension().is_some_and(|end| end == "gz");
        let file = File::open(&path).map_err(|source| VisionError::Read {
            path: path.clone(),
            source,
        })?;
        let file = BufReader::new(file);
        let bytes: Box<dyn Read> = if is_packed {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        Ok(Self {
            name: path.display().to_string(),
            bytes,
        })
    }

    fn refuse<T>(&self, reason: String) -> Result<T, VisionError> {
        let name = self.name.clone();
        Err(VisionError::Format { name, reason })
    }

    /// Lengths of the axes, and the values.
    fn values<const AXES: usize>(mut self) -> Result<([usize; AXES], Vec<u8>), VisionError> {
        // 0x08: unsigned bytes.
        let expected = 0x0800 + AXES as u32;
        let kind = self.number()?;
        if kind != expected {
            return self.refuse(format!(
                "begins with {kind:#010x}; expected {expected:#010x}: bytes in {AXES} axes"
            ));
        }
        let mut axes = [0; AXES];
        for axis in &mut axes {
            *axis = self.number()? as usize;
        }
        let product = axes
            .iter()
            .try_fold(1_usize, |product, axis| product.checked_mul(*axis));
        let Some(numbers) = product.filter(|n| *n <= MOST && axes.iter().all(|axis| *axis <= LONGEST)) else {
            return self.refuse(format!("has axes of {axes:?}; expected at most {MOST} values"));
        };
        // One more than there should be: a file that goes on is refused too. Memory grows with what is there, not with what
        // is said.
        let mut values = Vec::new();
        let read = (&mut self.bytes)
            .take(numbers as u64 + 1)
            .read_to_end(&mut values);
        if let Err(error) = read {
            return self.refuse(format!("cannot be read: {error}"));
        }
        if values.len() != numbers {
            let given = if values.len() > numbers {
                "more".into()
            } else {
                values.len().to_string()
            };
            return self.refuse(format!(
                "has {given} values; expected {numbers}, for axes of {axes:?}"
            ));
        }
        Ok((axes, values))
    }

    fn number(&mut self) -> Result<u32, VisionError> {
        let mut bytes = [0; 4];
        match self.bytes.read_exact(&mut bytes) {
            Ok(()) => Ok(u32::from_be_bytes(bytes)),
            Err(error) => self.refuse(format!("cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    pub(in crate::data) fn idx(kind: u32, axes: &[u32], values: &[u8]) -> Vec<u8> {
        let head = std::iter::once(&kind).chain(axes).flat_map(|n| n.to_be_bytes());
        head.chain(values.iter().copied()).collect()
    }

    /// A set of `count` pictures of 4 x 4 in a part; picture i is all i, its label i modulo 10.
    pub(in crate::data) fn write(folder: &Path, part: &str, count: u8) {
        let pixels: Vec<u8> = (0..count).flat_map(|i| [i; 16]).collect();
        let labels: Vec<u8> = (0..count).map(|i| i % 10).collect();
        let count = u32::from(count);
        let images = idx(0x803, &[count, 4, 4], &pixels);
        std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let file = File::create(folder.join(format!("{part}-labels-idx1-ubyte.gz"))).unwrap();
        let mut packed = GzEncoder::new(file, Compression::fast());
        packed.write_all(&idx(0x801, &[count], &labels)).unwrap();
        packed.finish().unwrap();
    }

    #[test]
    fn packed_and_plain_files_are_read_and_padded() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "train", 12);
        write(folder.path(), "t10k", 3);
        let config = MnistConfig {
            path: folder.path().into(),
            fit: Fit::Pad,
        };
        let shape = PictureShape {
            size: 6,
            colours: Colours::Gray,
        };
        let pictures = config.load(shape).unwrap();
        assert_eq!((pictures.train.len(), pictures.validation.len()), (12, 3));
        assert_eq!(pictures.classes.len(), 10);
        let example = pictures.train.get(11).unwrap();
        assert_eq!(example.label, Some(1));
        let rows: Vec<_> = example.picture.pixels().chunks(6).collect();
        assert_eq!((rows[0], rows[1]), (&[0; 6][..], &[0, 11, 11, 11, 11, 0][..]));
    }

    #[test]
    fn a_file_that_is_not_what_its_name_says_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let refused = |images: Vec<u8>, labels: Vec<u8>| {
            std::fs::write(path.join("train-images-idx3-ubyte"), images).unwrap();
            std::fs::write(path.join("train-labels-idx1-ubyte"), labels).unwrap();
            match Digits::read(path, "train") {
                Ok(_) => panic!("a wrong file was read"),
                Err(error) => error.to_string(),
            }
        };
        let images = idx(0x803, &[2, 2, 2], &[7; 8]);
        let labels = idx(0x801, &[2], &[3, 4]);
        for (images, labels, reason) in [
            (
                labels.clone(),
                labels.clone(),
                "begins with 0x00000801; expected 0x00000803",
            ),
            (
                idx(0x803, &[2, 2, 2], &[7; 7]),
                labels.clone(),
                "has 7 values; expected 8",
            ),
            (
                idx(0x803, &[2, 2, 2], &[7; 9]),
                labels.clone(),
                "has more values; expected 8",
            ),
            (
                idx(0x803, &[u32::MAX, 2, 2], &[7; 8]),
                labels.clone(),
                "has axes of [4294967295, 2, 2]",
            ),
            (images[..6].to_vec(), labels.clone(), "cannot be read"),
            (
                images.clone(),
                idx(0x801, &[3], &[3, 4, 5]),
                "has 3 labels; expected 2",
            ),
            (
                images.clone(),
                idx(0x801, &[2], &[3, 10]),
                "label 1 is 10; expected a digit",
            ),
            (idx(0x803, &[0, 2, 2], &[]), idx(0x801, &[0], &[]), "0 pictures"),
        ] {
            let error = refused(images, labels);
            assert!(error.contains(reason), "{error}; expected {reason}");
        }
        std::fs::remove_file(path.join("train-labels-idx1-ubyte")).unwrap();
        let missing = Digits::read(path, "train").map(|_| ()).unwrap_err().to_string();
        assert!(missing.contains("train-labels-idx1-ubyte.gz"), "{missing}");
    }
}
