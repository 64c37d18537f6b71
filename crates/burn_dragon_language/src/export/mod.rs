//! Language models as files: tensors, tokenizer, companion files and descriptions.

mod card;
mod low_bit;

#[cfg(feature = "train")]
pub(crate) use card::PROMPT;

use crate::chat::ChatTemplate;
use crate::evaluate::{WindowReading, reading_in_words};
use crate::learnt::{LearntReading, LearntText};
use crate::model::tokenizer_of;
use crate::state::LanguageState;
#[cfg(feature = "train")]
use crate::training;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_checkpoint::api::expert::one_line;
use burn_dragon_checkpoint::api::{
    CardText, CheckpointError, Kinds, ModelFile, ModelInfo, ModelKind, StateFile, TensorSpec,
};
#[cfg(feature = "train")]
use burn_dragon_checkpoint::api::{Companion, RunWords};
use burn_dragon_core::api::expert::snapshot;
use burn_dragon_core::api::low_bit::Packing;
use burn_dragon_core::api::{Dragon, DragonConfig, InitConfig, Thresholds};
use serde_json::{Map, Value};
use std::path::Path;

/// Name of the tokenizer among the assets of a model file.
pub const TOKENIZER: &str = "tokenizer.json";

/// The language family, as the file formats use it.
pub static LANGUAGE: LanguageKind = LanguageKind;

/// Number of tokens that a probe reads.
const PROBED: usize = 16;

/// Model file of a language model. `tokenizer` is the tokenizer's JSON.
pub fn model_file(dragon: &Dragon, info: ModelInfo, tokenizer: Option<String>) -> ModelFile {
    match ModelFile::new(LANGUAGE.family(), dragon.config(), info, snapshot(dragon)) {
        Ok(file) => match tokenizer {
            Some(json) => file.with_asset(TOKENIZER, json),
            None => file,
        },
        Err(error) => unreachable!("a checked configuration is JSON and weights are floats: {error}"),
    }
}

/// SHA-256 of a model: of its configuration and its tensors, as [`ModelFile::hash`].
pub fn model_hash(dragon: &Dragon) -> String {
    model_file(dragon, ModelInfo::default(), None).hash()
}

/// Builds the model of a file on `device`.
///
/// # Errors
/// If the file is of another family, or its tensors do not match its configuration.
pub fn dragon(file: ModelFile, path: &Path, device: &Device) -> Result<Dragon, CheckpointError> {
    kinds().check(&file, path)?;
    let config: DragonConfig = file
        .config
        .read()
        .map_err(|error| CheckpointError::corrupt(path, error))?;
    of_checked(file, &config, path, device)
}

/// The model in a file that was checked.
pub(crate) fn of_checked(
    file: ModelFile,
    config: &DragonConfig,
    path: &Path,
    device: &Device,
) -> Result<Dragon, CheckpointError> {
    let file = low_bit::unpacked(file).map_err(|error| CheckpointError::corrupt(path, error))?;
    let mut floats = file.into_floats();
    let weights = |name: &str, _: &[usize]| match floats.remove(name) {
        Some(data) => data,
        None => unreachable!("`{name}` is one of the tensors that were checked"),
    };
    Dragon::from_weights(config, device, weights).map_err(|error| CheckpointError::corrupt(path, error))
}

/// The language family alone, as a list of kinds.
pub(crate) fn kinds() -> Kinds {
    Kinds::new([&LANGUAGE as &dyn ModelKind])
}

/// Model kind of the language family.
#[derive(Clone, Copy, Debug)]
pub struct LanguageKind;

impl LanguageKind {
    /// The configuration in a file; `None` is never of one whose tensors were asked for.
    fn config(config: &Value) -> Option<DragonConfig> {
        read_config(config).ok()
    }
}

fn read_config(config: &Value) -> Result<DragonConfig, String> {
    let config: DragonConfig =
        serde_json::from_value(config.clone()).map_err(|error| format!("config: {error}"))?;
    config.validate().map_err(|error| error.to_string())?;
    Ok(config)
}

impl ModelKind for LanguageKind {
    fn family(&self) -> &'static str {
        "language"
    }

    fn unit(&self) -> &'static str {
        "tokens"
    }

    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String> {
        Ok(low_bit::specs(&read_config(config)?))
    }

    fn packed(&self, file: ModelFile, packing: Packing) -> Result<ModelFile, String> {
        low_bit::packed(file, packing)
    }

    fn unpacked(&self, file: ModelFile) -> Result<ModelFile, String> {
        low_bit::unpacked(file)
    }

    fn shape(&self, config: &Value) -> String {
        Self::config(config)
            .as_ref()
            .map_or_else(String::new, shape_in_words)
    }

    #[cfg(feature = "train")]
    fn companions(&self, config: &Value) -> Vec<Companion> {
        let Some(config) = Self::config(config) else {
            return Vec::new();
        };
        training::companions(&config)
    }

    fn assets(&self, file: &ModelFile) -> Result<String, String> {
        LearntReading::of(&file.info)?;
        LearntText::of(&file.info)?;
        ChatTemplate::of(&file.info)?;
        let other = file.assets.keys().find(|name| *name != TOKENIZER);
        if let Some(other) = other {
            return Err(format!(
                "unexpected asset {other}: a language model has only {TOKENIZER}"
            ));
        }
        let config = read_config(file.config.value())?;
        let tokenizer = tokenizer_of(file).map_err(|error| error.to_string())?;
        let (given, expected) = (tokenizer.vocab_size(), config.vocab_size);
        match (given == expected, file.assets.contains_key(TOKENIZER)) {
            (false, _) => Err(format!(
                "its tokenizer has {given} tokens, but its model has {expected}"
            )),
            (true, true) => Ok(format!("a tokenizer of {given} tokens, as many as the model has")),
            (true, false) => Ok("no tokenizer, as in official weights: tokens are bytes, or bare ids".into()),
        }
    }

    fn probe(&self, file: ModelFile, path: &Path, device: &Device) -> Result<String, CheckpointError> {
        let dragon = dragon(file, path, device)?;
        let vocab_size = dragon.config().vocab_size;
        let ids: Vec<i32> = (0..PROBED).map(|at| (at * 37 % vocab_size) as i32).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, PROBED]), device);
        let logits = dragon.forward(tokens.clone()).into_data();
        let (carried, _) = dragon
            .forward_with_state(tokens, dragon.empty_state(1))
            .map_err(|error| CheckpointError::corrupt(path, error))?;
        let (mut largest, mut apart) = (0f64, 0f64);
        for (a, b) in logits.iter::<f64>().zip(carried.into_data().iter::<f64>()) {
            if !a.is_finite() || !b.is_finite() {
                return Err(CheckpointError::corrupt(path, "its logits are not finite"));
            }
            (largest, apart) = (largest.max(a.abs()), apart.max((a - b).abs()));
        }
        Ok(format!(
            "logits of {PROBED} tokens are finite, at most {largest:.3}; with carried memory they differ by at most {apart:.0e}"
        ))
    }

    fn state(&self, file: StateFile, path: &Path) -> Result<String, CheckpointError> {
        let state = LanguageState::of(file, path, &Device::flex())?;
        Ok(format!(
            "{} streams, {} tokens read, shapes match its configuration, all values finite",
            state.lanes(),
            state.info.tokens
        ))
    }

    fn words(&self, file: &ModelFile) -> Vec<(String, String)> {
        let mut words = Vec::new();
        if let Ok(Some(learnt)) = LearntReading::of(&file.info) {
            let divided = match &learnt.document_separator {
                Some(separator) => format!("; documents divided at {separator:?}"),
                None => String::new(),
            };
            let reading = reading_in_words(WindowReading::from(&learnt));
            words.push(("has learnt", one_line(&format!("{reading}{divided}"))));
        }
        if let Ok(Some(text)) = LearntText::of(&file.info) {
            words.push(("trained on", text.in_words().into()));
        }
        if let Ok(Some(chat)) = ChatTemplate::of(&file.info) {
            let roles: Vec<&str> = chat.roles().collect();
            words.push(("chats", one_line(&format!("with the roles {}", roles.join(", ")))));
        }
        if let Some(config) = Self::config(file.config.value()) {
            let kinds = [
                ("positions", config.positions.name(), "rotary"),
                ("mixer", config.mixer.name(), "linear"),
                ("connector", config.connector.name(), "plain"),
            ];
            let others = kinds.into_iter().filter(|(_, kind, usual)| kind != usual);
            words.extend(others.map(|(part, kind, _)| (part, kind.to_string())));
            let parts = [
                ("fanout", config.fanout.is_some()),
                ("summary memory", config.summary_memory.is_some()),
                ("neuron recurrence", config.neuron_recurrence.is_some()),
            ];
            let there = parts.into_iter().filter(|(_, is_given)| *is_given);
            words.extend(there.map(|(part, _)| (part, "yes".to_string())));
            words.extend(unusual(&config));
            let cost = config.cost();
            let (forward, decode) = (cost.forward_flops_per_token(256), cost.decode_flops_per_token());
            words.extend([
                (
                    "forward",
                    format!("{:.1} MFLOP a token (window of 256)", mega(forward)),
                ),
                (
                    "generation",
                    format!("{:.1} MFLOP a token, at any length", mega(decode)),
                ),
                (
                    "memory of a lane",
                    format!("{:.1} MB, at any length", mega(cost.state_bytes())),
                ),
            ]);
        }
        words
            .into_iter()
            .map(|(name, text)| (name.to_string(), text))
            .collect()
    }

    fn figures(&self, file: &ModelFile) -> Map<String, Value> {
        let mut figures = Map::new();
        let mut figure = |key: &str, value: Value| figures.insert(key.into(), value);
        if let Ok(tokenizer) = tokenizer_of(file) {
            figure("tokenizer", tokenizer.spec().summary(tokenizer.vocab_size()));
        }
        if let Some(config) = Self::config(file.config.value()) {
            let cost = config.cost();
            figure(
                "forward_flops_per_token",
                cost.forward_flops_per_token(256).into(),
            );
            figure(
                "training_flops_per_token",
                cost.training_flops_per_token(256).into(),
            );
            figure("decode_flops_per_token", cost.decode_flops_per_token().into());
            figure("state_bytes", cost.state_bytes().into());
            figure("decode_bytes_per_token", cost.decode_bytes_per_token().into());
        }
        figures
    }

    #[cfg(feature = "train")]
    fn run(&self, folder: &Path) -> Option<RunWords> {
        training::run_words(folder)
    }

    fn card(&self, file: &ModelFile, id: &str) -> CardText {
        card::text(file, Self::config(file.config.value()).as_ref(), id)
    }
}

/// The shape of a model in one line.
pub(crate) fn shape_in_words(config: &DragonConfig) -> String {
    format!(
        "{} levels, width {}, {} heads, {} neurons, vocabulary {}",
        config.n_levels, config.d_model, config.n_heads, config.n_neurons, config.vocab_size
    )
}

/// Norm, initial weights, thresholds, low bits and carried memory in words where they are not the usual, and the form in which
/// levels then run.
fn unusual(config: &DragonConfig) -> Vec<(&'static str, String)> {
    let thresholds = config.trunk().thresholds();
    let norm = (!config.norm.is_plain()).then(|| {
        let halves = if thresholds.is_none() {
            "; levels run by halves"
        } else {
            ""
        };
        ("norm", format!("{}{halves}", config.norm.in_words()))
    });
    let drawn = InitConfig {
        firing: None,
        ..config.init
    };
    let drawn = (drawn != InitConfig::default()).then(|| ("initial weights", drawn.in_words()));
    let thresholds = thresholds.map(|Thresholds { x, y }| {
        let text = format!("{x:.4} of x and {y:.4} of y; levels run in plain tensor operations");
        ("thresholds", text)
    });
    let quant = config
        .trunk()
        .low_bit()
        .map(|low_bit| ("low bits", low_bit.in_words()));
    let rho = config.rho.map(|rho| ("carried memory", rho.in_words()));
    [norm, drawn, thresholds, quant, rho]
        .into_iter()
        .flatten()
        .collect()
}

fn mega(number: u64) -> f64 {
    number as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_model_has_one_hash_in_memory_in_its_file_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bpk");
        let config = DragonConfig {
            n_neurons: 64,
            d_model: 16,
            ..DragonConfig::tiny()
        };
        let made = Dragon::new(&config, 1, &Device::flex()).unwrap();
        let file = model_file(&made, ModelInfo::default(), None);
        assert_eq!(file.hash(), model_hash(&made));
        file.write(&path).unwrap();
        let again = ModelFile::read(&path).unwrap();
        assert_eq!(again.hash(), model_hash(&made));
        let again = dragon(again, &path, &Device::flex()).unwrap();
        assert_eq!(model_hash(&again), model_hash(&made));
        let other = DragonConfig {
            dropout: 0.2,
            ..config
        };
        assert_ne!(
            model_hash(&Dragon::new(&other, 1, &Device::flex()).unwrap()),
            file.hash()
        );
    }

    #[test]
    fn parameters_are_those_of_the_formula() {
        for decay in [
            None,
            Some(burn_dragon_core::api::DecayConfig::Standard { learnable: true }),
        ] {
            let config = DragonConfig {
                decay,
                ..DragonConfig::tiny()
            };
            let tensors = LANGUAGE.tensors(&json!(config)).unwrap();
            let entries: u64 = tensors.iter().map(TensorSpec::entries).sum();
            assert_eq!(entries, config.cost().parameters());
        }
    }

    #[test]
    fn a_model_of_another_family_is_refused_by_name() {
        let config = DragonConfig {
            n_neurons: 64,
            d_model: 16,
            ..DragonConfig::tiny()
        };
        let made = Dragon::new(&config, 1, &Device::flex()).unwrap();
        let mut file = model_file(&made, ModelInfo::default(), None);
        file.family = "sudoku".into();
        let error = dragon(file, Path::new("m.bpk"), &Device::flex()).unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_bad_input() && text.contains("`sudoku`") && text.contains("language"),
            "{text}"
        );
    }
}
