//! Table `[dataset]`.

use super::cifar::Cifar10Config;
use super::files::FolderConfig;
use super::glyphs::GlyphsConfig;
use super::idx::MnistConfig;
use super::moving::{Clips, MovingGlyphsConfig, MovingMnistConfig};
use super::part::Pictures;
use super::shape::PictureShape;
use crate::error::VisionError;
use burn_dragon_train::api::DataHashes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Table `[dataset]`. Its other keys depend on `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DatasetConfig {
    /// Pictures of glyphs, drawn by this crate. Nothing is downloaded.
    Embedded(GlyphsConfig),
    /// Pictures in a folder, or in ZIP archives.
    Folder(FolderConfig),
    /// Digits in the files of MNIST.
    Mnist(MnistConfig),
    /// CIFAR-10, binary or in archives.
    Cifar10(Cifar10Config),
    /// Clips of moving glyphs, drawn by this crate.
    MovingGlyphs(MovingGlyphsConfig),
    /// Clips of moving digits.
    MovingMnist(MovingMnistConfig),
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Self::Embedded(GlyphsConfig::default())
    }
}

/// Data of a run.
#[derive(Debug)]
pub enum Data {
    /// Pictures.
    Pictures(Pictures),
    /// Clips.
    Clips(Clips),
}

impl Data {
    /// Hashes of both parts. A resumed run compares them with those of its checkpoint.
    pub fn hashes(&self) -> DataHashes {
        match self {
            Self::Pictures(pictures) => pictures.hashes(),
            Self::Clips(clips) => clips.hashes(),
        }
    }

    /// Names of the classes; empty for pictures without labels.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Pictures(pictures) => &pictures.classes,
            Self::Clips(clips) => &clips.classes,
        }
    }

    /// Number of training pictures or clips, and of held-out ones.
    pub fn sizes(&self) -> [usize; 2] {
        match self {
            Self::Pictures(pictures) => [pictures.train.len(), pictures.validation.len()],
            Self::Clips(clips) => [clips.train.len(), clips.validation.len()],
        }
    }

    /// What the data are, in words: pictures, or clips.
    pub fn things(&self) -> &'static str {
        match self {
            Self::Pictures(_) => "pictures",
            Self::Clips(_) => "clips",
        }
    }

    /// What a person should know of the files, such as those that were skipped.
    pub fn notes(&self) -> &[String] {
        match self {
            Self::Pictures(pictures) => &pictures.notes,
            Self::Clips(_) => &[],
        }
    }
}

impl DatasetConfig {
    /// Description of the data for the users of a model that was trained on it. Files are given by name, without folders.
    pub fn in_words(&self) -> String {
        let name = |path: &Path| match path.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => path.display().to_string(),
        };
        match self {
            Self::Embedded(glyphs) => {
                format!("pictures of glyphs made from a seed, {} to train", glyphs.count)
            }
            Self::Folder(folder) => {
                let paths = folder.path.iter().chain(&folder.paths);
                let names: Vec<String> = paths.map(|path| name(path)).collect();
                format!("pictures: {}", names.join(", "))
            }
            Self::Mnist(_) => "digits of MNIST".into(),
            Self::Cifar10(_) => "pictures of CIFAR-10".into(),
            Self::MovingGlyphs(glyphs) => format!("clips of {} moving glyphs", number(glyphs.motion.objects)),
            Self::MovingMnist(digits) => format!(
                "clips of {} moving digits of MNIST",
                number(digits.motion.objects)
            ),
        }
    }

    /// Whether the data are clips.
    pub fn has_clips(&self) -> bool {
        matches!(self, Self::MovingGlyphs(_) | Self::MovingMnist(_))
    }

    /// Number of frames of a clip (T); 1 for pictures.
    pub fn frames(&self) -> usize {
        match self {
            Self::MovingGlyphs(glyphs) => glyphs.motion.frames,
            Self::MovingMnist(digits) => digits.motion.frames,
            _ => 1,
        }
    }

    /// Checks the values, without files.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        match self {
            Self::Embedded(glyphs) => glyphs.validate(),
            Self::Folder(folder) => folder.validate(),
            Self::Mnist(_) | Self::Cifar10(_) => Ok(()),
            Self::MovingGlyphs(glyphs) => glyphs.motion.validate(glyphs.count, glyphs.validation_count),
            Self::MovingMnist(digits) => digits.motion.validate(digits.count, digits.validation_count),
        }
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Embedded(_) | Self::MovingGlyphs(_) => Vec::new(),
            Self::Folder(folder) => folder.all_paths().collect(),
            Self::Mnist(mnist) => vec![&mut mnist.path],
            Self::Cifar10(cifar) => vec![&mut cifar.path],
            Self::MovingMnist(digits) => vec![&mut digits.path],
        }
    }

    /// Makes relative paths absolute, so that a saved configuration means the same from anywhere.
    pub fn make_absolute(&mut self, folder: &Path) {
        self.paths()
            .into_iter()
            .for_each(|path| *path = folder.join(&path));
    }

    /// Reduces every path to its file name.
    pub fn name_files_only(&mut self) {
        for path in self.paths() {
            *path = path.file_name().map(PathBuf::from).unwrap_or_default();
        }
    }

    /// Draws or reads the data, as pictures of a shape.
    ///
    /// # Errors
    /// If a setting is out of range, a file cannot be read, too many are no pictures, or there is too little memory.
    pub fn load(&self, shape: PictureShape) -> Result<Data, VisionError> {
        self.validate()?;
        match self {
            Self::Embedded(glyphs) => glyphs.load(shape).map(Data::Pictures),
            Self::Folder(folder) => folder.load(shape).map(Data::Pictures),
            Self::Mnist(mnist) => mnist.load(shape).map(Data::Pictures),
            Self::Cifar10(cifar) => cifar.load(shape).map(Data::Pictures),
            Self::MovingGlyphs(glyphs) => Ok(Data::Clips(glyphs.load(shape))),
            Self::MovingMnist(digits) => digits.load(shape).map(Data::Clips),
        }
    }
}

fn number(objects: usize) -> &'static str {
    if objects == 1 { "one" } else { "two" }
}
