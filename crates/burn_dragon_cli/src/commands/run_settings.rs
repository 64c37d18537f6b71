//! What the verbs that use a language model ask of the configuration that it was trained with.
//!
//! With training compiled in, that is the schema of a run. Without it the three tables that are used are read, and other
//! tables are left unread: nobody is told of a misspelt key in them.

use burn_dragon::api::language::{DatasetConfig, GenerationConfig, LearntReading, ModelConfig};
use burn_dragon_train::api::{ConfigError, Layers};
use std::path::{Path, PathBuf};

/// The tables of a language run that are used after training.
pub(super) struct RunSettings {
    /// `[dataset]`.
    pub(super) dataset: DatasetConfig,
    /// `[model]`.
    pub(super) model: ModelConfig,
    /// `[generation]`.
    pub(super) generation: GenerationConfig,
    /// How a model of the run learns to read; `None` where training is not compiled in, and only the model's file says it.
    pub(super) reading: Option<LearntReading>,
}

impl RunSettings {
    /// The configuration that a run folder keeps.
    ///
    /// # Errors
    /// If there is none, or it is not one.
    pub(super) fn of_run(run: &Path) -> Result<Self, ConfigError> {
        schema::of_run(run)
    }

    /// The configuration of these files, later ones winning.
    ///
    /// # Errors
    /// If one cannot be read, or they are no configuration of a language run.
    pub(super) fn of_files(files: &[PathBuf]) -> Result<Self, ConfigError> {
        let layers = files
            .iter()
            .try_fold(Layers::new(), |layers, file| layers.file(file))?;
        schema::of_layers(layers)
    }
}

#[cfg(feature = "train")]
mod schema {
    use super::RunSettings;
    use burn_dragon::api::language::{Language, LanguageConfig};
    use burn_dragon_train::api::{ConfigError, Layers, resolve, run_config};
    use std::path::Path;

    pub(super) fn of_run(run: &Path) -> Result<RunSettings, ConfigError> {
        Ok(settings(run_config::<Language>(run)?))
    }

    pub(super) fn of_layers(layers: Layers) -> Result<RunSettings, ConfigError> {
        Ok(settings(resolve::<Language>(layers)?.value))
    }

    fn settings(config: LanguageConfig) -> RunSettings {
        RunSettings {
            reading: Some(config.reading()),
            dataset: config.dataset,
            model: config.model,
            generation: config.generation,
        }
    }
}

#[cfg(not(feature = "train"))]
mod schema {
    use super::{DatasetConfig, GenerationConfig, ModelConfig, RunSettings};
    use burn_dragon_train::api::{ConfigError, Layers};
    use serde::{Deserialize, Serialize};
    use std::path::Path;

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Tables {
        dataset: DatasetConfig,
        model: ModelConfig,
        generation: GenerationConfig,
    }

    pub(super) fn of_run(run: &Path) -> Result<RunSettings, ConfigError> {
        of_layers(Layers::new().file(run.join("config.toml"))?)
    }

    pub(super) fn of_layers(layers: Layers) -> Result<RunSettings, ConfigError> {
        let tables = layers.resolve::<Tables>()?.value;
        Ok(RunSettings {
            dataset: tables.dataset,
            model: tables.model,
            generation: tables.generation,
            reading: None,
        })
    }
}
