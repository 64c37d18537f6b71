//! Tokenizer of a run that starts from a model.

use super::config::LanguageConfig;
use crate::error::LanguageError;
use crate::model::tokenizer_of;
use crate::tokenizer::{Tokenizer, TokenizerConfig, TokenizerSpec};
use burn_dragon_train::api::{InitialModel, Origin};
use std::path::Path;
use std::sync::Arc;

/// The key that chooses a tokenizer.
pub(super) const KEY: &str = "dataset.tokenizer.type";

/// Tokenizer of the model. The configuration then says its kind. `origin` is that of [`KEY`]; `base_dir` is the folder of
/// relative paths.
///
/// # Errors
/// If the configuration was given another tokenizer; with both.
pub(super) fn tokenizer(
    config: &mut LanguageConfig,
    initial: &InitialModel,
    origin: &Origin,
    base_dir: &Path,
) -> Result<Arc<dyn Tokenizer>, LanguageError> {
    let tokenizer = tokenizer_of(&initial.model)?;
    let (own, given) = (tokenizer.spec(), &mut config.dataset.tokenizer);
    if *origin != Origin::Default {
        check(given, &own, base_dir).map_err(|said| match said {
            Said::Error(error) => error,
            Said::Other(key, given, expected) => initial.disagrees(key, given, &origin, expected).into(),
        })?;
    }
    *given = kind(&own, tokenizer.vocab_size());
    Ok(tokenizer)
}

/// Why a tokenizer that was given is not taken.
enum Said {
    Error(LanguageError),
    /// The key, the value that was given, and that of the model.
    Other(&'static str, String, String),
}

/// Refuses a tokenizer that is not that of the model.
fn check(given: &TokenizerConfig, own: &TokenizerSpec, base_dir: &Path) -> Result<(), Said> {
    let other = |key, given: &dyn ToString, expected: &dyn ToString| {
        Err(Said::Other(key, given.to_string(), expected.to_string()))
    };
    match (given, own) {
        (TokenizerConfig::Byte {}, TokenizerSpec::Byte {}) => Ok(()),
        (
            TokenizerConfig::Char { special_tokens },
            TokenizerSpec::Char {
                special_tokens: of_model,
                ..
            },
        ) if special_tokens != of_model => {
            other("dataset.tokenizer.special_tokens", special_tokens, of_model)
        }
        (TokenizerConfig::Ids { vocab_size }, TokenizerSpec::Ids { vocab_size: of_model })
            if vocab_size != of_model =>
        {
            other("dataset.tokenizer.vocab_size", vocab_size, of_model)
        }
        (TokenizerConfig::Char { .. }, TokenizerSpec::Char { .. })
        | (TokenizerConfig::Ids { .. }, TokenizerSpec::Ids { .. }) => Ok(()),
        (TokenizerConfig::Bpe { path: Some(path), .. }, TokenizerSpec::Bpe { .. }) => {
            let file = base_dir.join(path);
            let read = TokenizerSpec::load(&file).map_err(Said::Error)?;
            match read.spec() == *own {
                true => Ok(()),
                false => other("dataset.tokenizer.path", path, &"another tokenizer of byte pairs"),
            }
        }
        (TokenizerConfig::Bpe { vocab_size, .. }, TokenizerSpec::Bpe { .. }) => {
            let size = own.build().map_err(Said::Error)?.vocab_size();
            match vocab_size.is_none_or(|given| given == size) {
                true => Ok(()),
                false => other("dataset.tokenizer.vocab_size", &vocab_size.unwrap_or(0), &size),
            }
        }
        (given, own) => other(KEY, &name_of(given), &name_of(&kind(own, 0))),
    }
}

fn name_of(config: &TokenizerConfig) -> &'static str {
    match config {
        TokenizerConfig::Byte {} => "byte",
        TokenizerConfig::Char { .. } => "char",
        TokenizerConfig::Bpe { .. } => "bpe",
        TokenizerConfig::Ids { .. } => "ids",
    }
}

/// Kind of a tokenizer, as a configuration says it.
fn kind(spec: &TokenizerSpec, vocab_size: usize) -> TokenizerConfig {
    match spec {
        TokenizerSpec::Byte {} => TokenizerConfig::Byte {},
        TokenizerSpec::Char { special_tokens, .. } => TokenizerConfig::Char {
            special_tokens: *special_tokens,
        },
        TokenizerSpec::Ids { vocab_size } => TokenizerConfig::Ids {
            vocab_size: *vocab_size,
        },
        TokenizerSpec::Bpe { .. } => TokenizerConfig::Bpe {
            path: None,
            vocab_size: Some(vocab_size),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::model_file;
    use burn::tensor::Device;
    use burn_dragon_checkpoint::api::ModelInfo;
    use burn_dragon_core::api::{Dragon, DragonConfig};

    fn model(spec: &TokenizerSpec, vocab_size: usize) -> InitialModel {
        let config = DragonConfig {
            vocab_size,
            n_neurons: 8,
            d_model: 4,
            n_heads: 1,
            n_levels: 1,
            ..DragonConfig::tiny()
        };
        let dragon = Dragon::new(&config, 1, &Device::flex()).unwrap();
        InitialModel {
            given: "runs/a".into(),
            path: "runs/a/model.bpk".into(),
            model: Arc::new(model_file(&dragon, ModelInfo::default(), Some(spec.to_json()))),
        }
    }

    fn taken(spec: &TokenizerSpec, given: Option<TokenizerConfig>) -> Result<TokenizerConfig, String> {
        let vocab_size = spec.build().unwrap().vocab_size();
        let origin = given.as_ref().map_or(Origin::Default, |_| Origin::CommandLine);
        let mut config = LanguageConfig::default();
        config.dataset.tokenizer = given.unwrap_or_default();
        let model = model(spec, vocab_size);
        let found = tokenizer(&mut config, &model, &origin, Path::new("."));
        let found = found.map_err(|error| error.to_string())?;
        assert_eq!(found.spec(), *spec);
        Ok(config.dataset.tokenizer)
    }

    #[test]
    fn the_tokenizer_is_that_of_the_model_and_another_one_is_refused_with_both() {
        let char = TokenizerSpec::Char {
            special_tokens: true,
            symbols: "abc".into(),
        };
        let of_char = TokenizerConfig::Char { special_tokens: true };
        assert_eq!(taken(&char, None).unwrap(), of_char);
        assert_eq!(taken(&char, Some(of_char.clone())).unwrap(), of_char);
        let byte = TokenizerSpec::Byte {};
        assert_eq!(taken(&byte, None).unwrap(), TokenizerConfig::Byte {});
        let ids = TokenizerSpec::Ids { vocab_size: 9 };
        for (spec, given, says) in [
            (
                &char,
                TokenizerConfig::Byte {},
                ["dataset.tokenizer.type", "byte", "char"],
            ),
            (&byte, of_char, ["dataset.tokenizer.type", "char", "byte"]),
            (
                &char,
                TokenizerConfig::Char {
                    special_tokens: false,
                },
                ["dataset.tokenizer.special_tokens", "false", "true"],
            ),
            (
                &ids,
                TokenizerConfig::Ids { vocab_size: 8 },
                ["dataset.tokenizer.vocab_size", "8", "9"],
            ),
        ] {
            let error = taken(spec, Some(given)).unwrap_err();
            for part in says.iter().chain(&["runs/a", "command line"]) {
                assert!(error.contains(part), "{error}");
            }
        }
    }
}
