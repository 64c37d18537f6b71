//! Settings of a language run that other verbs use.
//!
//! With training compiled in, they are read by the schema of a run. Without it, only the three tables that are used are
//! read; errors in other tables are not reported.

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
    /// Reading of the run's models; `None` if training is not compiled in. Then only the model file has it.
    pub(super) reading: Option<LearntReading>,
    /// Number of tokens of a document after which its carried memory is emptied, `sequence.streams.max_context`.
    pub(super) max_context: Option<usize>,
}

impl RunSettings {
    /// Configuration in a run folder.
    ///
    /// # Errors
    /// If there is none, or it is invalid.
    pub(super) fn of_run(run: &Path) -> Result<Self, ConfigError> {
        schema::of_run(run)
    }

    /// Configuration of these files; later ones win.
    ///
    /// # Errors
    /// If a file cannot be read, or they are not the configuration of a language run.
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
            max_context: config
                .sequence
                .streams
                .as_ref()
                .and_then(|streams| streams.max_context),
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
            max_context: None,
        })
    }
}
