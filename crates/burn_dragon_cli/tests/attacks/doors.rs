//! Where files come in: each door opens one kind of file, as the library does it for a person.

use burn::tensor::Device;
use burn_dragon::api::checkpoint::{CheckpointError, CheckpointFolder, Kinds, ModelKind, PartsManifest};
use burn_dragon::api::exchange::{ModelPath, OfficialConfig, read_torch};
use burn_dragon::api::expert::checkpoint::TensorFile;
use burn_dragon::api::language::{
    LANGUAGE, LanguageConfig, LanguageError, LanguageModel, LanguageState, TokenizerSpec,
};
use burn_dragon::api::train::Layers;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    Burnpack,
    Model,
    State,
    Safetensors,
    Pickle,
    Manifest,
    Parts,
    Config,
    Tokenizer,
}

/// The families that are known.
pub(crate) fn kinds() -> Kinds {
    Kinds::new([&LANGUAGE as &dyn ModelKind])
}

/// A folder that is gone with its owner; in memory where the system has such a place, since thousands are made.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

/// Why a file was refused, and whether that is called its fault.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) said: String,
    pub(crate) bad_input: bool,
}

impl Door {
    pub(crate) const ALL: [Self; 9] = [
        Self::Burnpack,
        Self::Model,
        Self::State,
        Self::Safetensors,
        Self::Pickle,
        Self::Manifest,
        Self::Parts,
        Self::Config,
        Self::Tokenizer,
    ];

    /// What is behind the door, in a word: the folder of its attacks.
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// How files behind it end.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Burnpack | Self::Model => "bpk",
            Self::State => "state",
            Self::Safetensors => "safetensors",
            Self::Pickle => "pt",
            Self::Manifest | Self::Parts | Self::Tokenizer => "json",
            Self::Config => "toml",
        }
    }

    /// Puts a file of these bytes into a folder, with what must be beside it, and says where it is.
    pub(crate) fn lay(self, folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = match self {
            Self::Manifest => {
                let checkpoint = folder.join("step-000001");
                fs::create_dir_all(&checkpoint).unwrap();
                fs::write(checkpoint.join("model.bpk"), crate::manifest::MODEL).unwrap();
                if name == "file_not_listed" {
                    fs::write(checkpoint.join("stray"), "").unwrap();
                }
                checkpoint.join("manifest.json")
            }
            Self::Parts => folder.join(format!("{name}.bpk.parts.json")),
            _ => folder.join(format!("{name}.{}", self.ending())),
        };
        match self {
            Self::Safetensors => fs::write(folder.join("config.json"), OFFICIAL).unwrap(),
            Self::Pickle => fs::write(folder.join("config.json"), burn_dragon_testing::pt::CONFIG).unwrap(),
            _ => {}
        }
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Opens a file that was [laid](Self::lay).
    pub(crate) fn open(self, path: &Path) -> Result<(), Refusal> {
        let model = |official_config| ModelPath {
            path: path.into(),
            official_config,
            ..ModelPath::default()
        };
        match self {
            Self::Burnpack => TensorFile::read(path).map(drop).map_err(Refusal::from),
            Self::Model => LanguageModel::load(&model(None), &Device::flex())
                .map(drop)
                .map_err(Refusal::from),
            Self::State => LanguageState::read(path, &Device::flex())
                .map(drop)
                .map_err(Refusal::from),
            Self::Safetensors => {
                let config = path.with_file_name("config.json");
                model(Some(config))
                    .load(&kinds())
                    .map(drop)
                    .map_err(Refusal::from)
            }
            Self::Pickle => {
                let config = OfficialConfig::read(&path.with_file_name("config.json"))?;
                read_torch(path, Some(&config)).map(drop).map_err(Refusal::from)
            }
            Self::Manifest => {
                let folder = CheckpointFolder::open(path.parent().unwrap())?;
                folder.verify().map_err(Refusal::from)
            }
            Self::Parts => PartsManifest::read(path).map(drop).map_err(Refusal::from),
            Self::Config => {
                let usage = |error: &dyn ToString| Refusal {
                    said: error.to_string(),
                    bad_input: true,
                };
                let layers = Layers::new().file(path).map_err(|error| usage(&error))?;
                let config = layers
                    .resolve::<LanguageConfig>()
                    .map_err(|error| usage(&error))?;
                config
                    .value
                    .model
                    .with_vocabulary(256)
                    .map(drop)
                    .map_err(|error| usage(&error))
            }
            Self::Tokenizer => TokenizerSpec::load(path).map(drop).map_err(Refusal::from),
        }
    }
}

/// The shape of the attacks on safetensors.
const OFFICIAL: &str = r#"{"n_layer":1,"n_embd":2,"n_head":1,"mlp_internal_dim_multiplier":1,"vocab_size":4,"rope_theta":65536}"#;

impl From<CheckpointError> for Refusal {
    fn from(error: CheckpointError) -> Self {
        Self {
            said: error.to_string(),
            bad_input: error.is_bad_input(),
        }
    }
}

impl From<LanguageError> for Refusal {
    fn from(error: LanguageError) -> Self {
        let bad_input = match &error {
            LanguageError::Checkpoint(error) => error.is_bad_input(),
            LanguageError::TokenizerFile { .. } | LanguageError::TokenizerInvalid { .. } => true,
            _ => false,
        };
        let said = match &error {
            LanguageError::TokenizerFile { source, .. } => format!("{error}: {source}"),
            error => error.to_string(),
        };
        Self { said, bad_input }
    }
}
