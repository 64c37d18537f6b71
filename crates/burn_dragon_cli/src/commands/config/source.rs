//! What a word names: a family, a preset, a file, or a run.

use crate::exit::Usage;
use crate::families::{self, Entry};
use burn_dragon::api::train::{ConfigError, Layers, Preset, RunRequest};
use std::path::{Path, PathBuf};

/// Source of a configuration.
pub(super) enum Source {
    /// Default run of a family.
    Family(&'static Entry),
    /// Preset of a family.
    Preset(&'static Entry, &'static Preset),
    /// File.
    File(PathBuf),
    /// Run folder, which has a `config.toml`.
    Run(PathBuf),
}

impl Source {
    /// Source that a word names. A family or preset comes before a file of its name: `./small` is the file.
    ///
    /// # Errors
    /// If it names nothing; with the most similar family or preset.
    pub(super) fn of(word: &str) -> Result<Self, Usage> {
        let path = Path::new(word);
        let has_ending = |ending: &str| path.extension().is_some_and(|this| this == ending);
        if let Ok(family) = families::named(Some(word)) {
            Ok(Self::Family(family))
        } else if let Some((family, preset)) = families::preset(word) {
            Ok(Self::Preset(family, preset))
        } else if path.join("config.toml").is_file() {
            Ok(Self::Run(path.into()))
        } else if path.is_file() || has_ending("toml") || has_ending("json") {
            Ok(Self::File(path.into()))
        } else {
            Err(unknown(word))
        }
    }

    /// Request for its configuration.
    pub(super) fn request(&self) -> RunRequest {
        let mut request = RunRequest::default();
        match self {
            Self::Family(family) => request.family = Some(family.name.into()),
            Self::Preset(family, preset) => {
                request.family = Some(family.name.into());
                request.preset = Some(preset.name.into());
            }
            Self::File(path) => request.configs = vec![path.clone()],
            Self::Run(path) => request.resume = Some(path.clone()),
        }
        request
    }

    /// Its layers.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn layers(&self) -> Result<Layers, ConfigError> {
        match self {
            Self::Family(family) => Layers::new().embedded(family.base.path, family.base.text),
            Self::Preset(_, preset) => Layers::new().embedded(preset.path, preset.text),
            Self::File(path) => Layers::new().file(path),
            Self::Run(path) => {
                let path = path.join("config.toml");
                let said = Layers::new().file(&path)?.family()?;
                let said = said.as_ref().map(|(name, _)| name.as_str());
                let moved = families::named(said).map_or(&[][..], |family| (family.moved)());
                Layers::new().run_file(path, moved)
            }
        }
    }
}

fn unknown(word: &str) -> Usage {
    let path = Path::new(word);
    if path.is_dir() {
        return Usage(format!("{word} is no run: it has no config.toml"));
    }
    let hint = families::similar(word).map_or(String::new(), |near| format!("did you mean `{near}`? "));
    Usage(format!(
        "`{word}` is no family, no preset, and no file or run; {hint}families: {}; presets: {}",
        families::names().join(", "),
        families::preset_names().join(", ")
    ))
}
