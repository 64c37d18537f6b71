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
            Self::MovingGlyphs(glyphs) => match glyphs.motion.objects {
                1 => "clips of a moving glyph".into(),
                _ => "clips of two moving glyphs".into(),
            },
            Self::MovingMnist(digits) => match digits.motion.objects {
                1 => "clips of a moving digit of MNIST".into(),
                _ => "clips of two moving digits of MNIST".into(),
            },
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
    ///
    /// # Panics
    /// If the size is 0.
    pub fn load(&self, shape: PictureShape) -> Result<Data, VisionError> {
        assert!(shape.size > 0, "pictures of size 0, expected at least 1");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Colours;

    fn of(text: &str) -> DatasetConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_type_is_read_by_its_name_with_defaults() {
        for (text, words, frames) in [
            (
                "type = 'embedded'",
                "pictures of glyphs made from a seed, 20000 to train",
                1,
            ),
            ("type = 'folder'\npath = '/data/cats'", "pictures: cats", 1),
            (
                "type = 'folder'\npaths = ['a/b.zip', 'c.zip']",
                "pictures: b.zip, c.zip",
                1,
            ),
            ("type = 'mnist'\npath = 'a/mnist'", "digits of MNIST", 1),
            ("type = 'cifar10'\npath = 'a/cifar'", "pictures of CIFAR-10", 1),
            ("type = 'moving_glyphs'", "clips of a moving glyph", 8),
            (
                "type = 'moving_mnist'\npath = 'a'\n[motion]\nframes = 5\nobjects = 2",
                "clips of two moving digits of MNIST",
                5,
            ),
        ] {
            let config = of(text);
            config.validate().unwrap();
            assert_eq!(config.in_words(), words);
            assert_eq!(
                (config.frames(), config.has_clips()),
                (frames, words.starts_with("clips"))
            );
            let written = toml::to_string(&config).unwrap();
            assert_eq!(of(&written), config, "{written}");
        }
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        for text in [
            "type = 'embedded'\ncounts = 3",
            "type = 'folder'\npath = 'a'\nmax_pixel = 3",
            "type = 'mnist'\npath = 'a'\nseed = 3",
            "type = 'moving_glyphs'\n[motion]\nframe = 3",
            "type = 'mnist'",
        ] {
            assert!(toml::from_str::<DatasetConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_become_absolute_and_names_leave_no_folder() {
        for text in [
            "type = 'folder'\npath = 'a/b'",
            "type = 'folder'\npaths = ['a/b', 'a/c']",
            "type = 'mnist'\npath = 'a/b'",
            "type = 'cifar10'\npath = 'a/b'",
            "type = 'moving_mnist'\npath = 'a/b'",
        ] {
            let mut config = of(text);
            config.make_absolute(Path::new("/home/me"));
            let paths: Vec<PathBuf> = config.paths().into_iter().map(|path| path.clone()).collect();
            assert!(!paths.is_empty());
            assert_eq!(paths[0], Path::new("/home/me/a/b"));
            config.name_files_only();
            assert_eq!(config.paths()[0], Path::new("b"));
        }
    }

    #[test]
    fn the_same_glyphs_in_gray_and_in_colours_have_other_hashes() {
        let load = |text: &str, colours| of(text).load(PictureShape { size: 8, colours }).unwrap();
        for text in [
            "type = 'embedded'\ncount = 4\nvalidation_count = 2",
            "type = 'moving_glyphs'\ncount = 4\nvalidation_count = 2",
        ] {
            let [gray, rgb] = [Colours::Gray, Colours::Rgb].map(|colours| load(text, colours));
            assert_eq!((gray.classes(), gray.notes().len()), (rgb.classes(), 0));
            assert_ne!(gray.hashes().training, rgb.hashes().training);
            assert_ne!(gray.hashes().training, gray.hashes().validation);
        }
    }
}
