//! Configuration with the official keys, and the checks that refuse other models.

use super::FAMILY;
use burn_dragon_checkpoint::api::expert::{Unique, plain, shortened};
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile, StoredConfig};
use burn_dragon_core::api::{Connector, DragonConfig, InitConfig, Mixer, NormConfig, Positions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// Required keys.
const NEEDED: [&str; 5] = [
    "n_layer",
    "n_embd",
    "n_head",
    "mlp_internal_dim_multiplier",
    "vocab_size",
];

/// Upper limit of a size. A larger value is a mistake or an attack.
const LARGEST: u64 = 1 << 31;

/// Limit on the number of keys.
const MOST_KEYS: usize = 4096;

/// Limit on the size of a configuration file in bytes.
const LONGEST: u64 = 1 << 20;

/// Base of the rotary frequencies in the official code, which has no key for it.
pub(crate) const OFFICIAL_THETA: f64 = 65536.0;

/// Configuration with the official keys. Unknown keys are ignored, since such files hold more of them. Exceptions are
/// keys that show that the model is another one; they are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfficialConfig {
    /// Number of levels.
    pub n_layer: usize,
    /// Model width.
    pub n_embd: usize,
    /// Number of heads.
    pub n_head: usize,
    /// Number of all neurons, as a multiple of the model width.
    pub mlp_internal_dim_multiplier: usize,
    /// Number of tokens in the vocabulary.
    pub vocab_size: usize,
    /// Dropout rate of y in training.
    #[serde(default)]
    pub dropout: f64,
    /// Base of the rotary frequencies. If it is absent, the base of the official code is used, provided that
    /// `attn.freqs` beside the weights matches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// Epsilon of the norms, added to the variance. The official code has no key for it.
    #[serde(default = "official_eps")]
    pub layer_norm_eps: f64,
}

fn official_eps() -> f64 {
    1e-5
}

impl OfficialConfig {
    /// Reads a JSON file with the official keys.
    ///
    /// # Errors
    /// If it cannot be read, lacks a key, or describes a model that computes something else.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let text = plain::read_text(path, LONGEST).map_err(CheckpointError::unread(path))?;
        Self::parse(path, &text)
    }

    /// Parses the text of a configuration. `path` is the name of the file in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        // A repeated key is refused: its two values could differ.
        let keys: Unique<Value, MOST_KEYS> = serde_json::from_str(text).map_err(|error| {
            corrupt(format!(
                "it is not a JSON object in which each key occurs once: {error}"
            ))
        })?;
        let keys = Map::from_iter(keys.0);
        if let Some((what, given, expected)) = other_model(&keys) {
            return Err(CheckpointError::Convention {
                path: path.to_path_buf(),
                what,
                given,
                expected,
            });
        }
        let absent: Vec<&str> = NEEDED
            .into_iter()
            .filter(|key| !keys.contains_key(*key))
            .collect();
        if !absent.is_empty() {
            return Err(CheckpointError::ConfigKeys {
                path: path.to_path_buf(),
                keys: absent,
            });
        }
        check_numbers(&keys).map_err(corrupt)?;
        let config: Self =
            serde_json::from_value(Value::Object(keys)).map_err(|error| corrupt(error.to_string()))?;
        config
            .to_dragon()
            .validate()
            .map_err(|error| corrupt(error.to_string()))?;
        Ok(config)
    }

    /// Official configuration of a model.
    ///
    /// # Errors
    /// The reason, if the official release cannot hold the model.
    pub fn of_model(model: &ModelFile) -> Result<Self, String> {
        if model.family != FAMILY {
            return Err(format!(
                "it is of the family `{}`, not `{FAMILY}`",
                shortened(&model.family)
            ));
        }
        let config: DragonConfig = model.config.read()?;
        config.validate().map_err(|error| error.to_string())?;
        Self::of(&config)
    }

    /// Configuration of a model file that contains its own, after a check that this one describes the same function.
    ///
    /// # Errors
    /// If the two differ, or the model is not of the family of the official release. `path` is the file, for the error.
    pub(crate) fn agreed_with(
        &self,
        model: &ModelFile,
        path: &Path,
    ) -> Result<StoredConfig, CheckpointError> {
        let corrupt = |error: String| CheckpointError::corrupt(path, error);
        if model.family != FAMILY {
            let reason = format!(
                "it is a model of the family `{}`, to which --model-config does not apply; leave out --model-config",
                shortened(&model.family)
            );
            return Err(CheckpointError::refused(path, reason));
        }
        let own = model.config.read().map_err(corrupt)?;
        StoredConfig::of(&self.agreed(path, own)?).map_err(corrupt)
    }

    /// Configuration of a model that contains its own, after a check that this one describes the same function.
    ///
    /// # Errors
    /// If the two differ. `path` is the model, for the error.
    pub(crate) fn agreed(&self, path: &Path, own: DragonConfig) -> Result<DragonConfig, CheckpointError> {
        let same = DragonConfig {
            dropout: own.dropout,
            init_std: own.init_std,
            rope_theta: self.rope_theta.unwrap_or(own.rope_theta),
            ..self.to_dragon()
        };
        if same == own {
            return Ok(own);
        }
        let json = |config: &DragonConfig| serde_json::to_string(config).unwrap_or_default();
        Err(CheckpointError::Foreign {
            path: path.to_path_buf(),
            what: "the configuration in its metadata",
            given: json(&own),
            expected: json(&same),
            remedy: "leave out --model-config: the file contains its own configuration",
        })
    }

    /// The same configuration under our names.
    pub fn to_dragon(&self) -> DragonConfig {
        DragonConfig {
            vocab_size: self.vocab_size,
            d_model: self.n_embd,
            n_heads: self.n_head,
            n_neurons: self.n_embd.saturating_mul(self.mlp_internal_dim_multiplier),
            n_levels: self.n_layer,
            dropout: self.dropout,
            rope_theta: self.rope_theta.unwrap_or(OFFICIAL_THETA),
            norm_eps: self.layer_norm_eps,
            init_std: 0.02,
            decay: None,
            positions: Positions::Rotary,
            mixer: Mixer::Linear {},
            fanout: None,
            summary_memory: None,
            neuron_recurrence: None,
            connector: Connector::Plain {},
            norm: NormConfig::default(),
            init: InitConfig::default(),
            quant: None,
            rho: None,
        }
    }

    /// The same configuration under the official names.
    ///
    /// # Errors
    /// The property that the official model cannot have.
    pub fn of(config: &DragonConfig) -> Result<Self, String> {
        if config.decay.is_some() {
            return Err("its memory decays (`decay`), which the official model has no setting for".into());
        }
        let plain = (Positions::Rotary, Mixer::default(), Connector::default());
        if (config.positions, &config.mixer, &config.connector) != (plain.0, &plain.1, &plain.2) {
            return Err(
                "its `positions`, its `mixer` or its `connector` is of a kind that the official model does not have"
                    .into(),
            );
        }
        let more = [
            ("fanout", config.fanout.is_some()),
            ("summary_memory", config.summary_memory.is_some()),
            ("neuron_recurrence", config.neuron_recurrence.is_some()),
            ("rho", config.rho.is_some()),
        ];
        if let Some((key, _)) = more.into_iter().find(|(_, is_given)| *is_given) {
            return Err(format!(
                "it has a `{key}`, which the official model has no setting for"
            ));
        }
        if config.quant.as_ref().is_some_and(|quant| !quant.packed) {
            return Err(
                "its matrices are quantised in every pass (`quant`), which the official code does not do: pack them first, with \
                 dragon export MODEL --output FILE.bpk --low-bit"
                    .into(),
            );
        }
        if !config.norm.is_plain() || config.init.firing.is_some() {
            return Err(
                "its `norm` or its thresholds (`init.firing`) are of a kind that the official model does not have".into(),
            );
        }
        if !config.n_neurons.is_multiple_of(config.d_model) {
            return Err(format!(
                "its {} neurons are not a multiple of its width {}",
                config.n_neurons, config.d_model
            ));
        }
        Ok(Self {
            n_layer: config.n_levels,
            n_embd: config.d_model,
            n_head: config.n_heads,
            mlp_internal_dim_multiplier: config.n_neurons / config.d_model,
            vocab_size: config.vocab_size,
            dropout: config.dropout,
            rope_theta: Some(config.rope_theta),
            layer_norm_eps: config.norm_eps,
        })
    }
}

/// Checks that sizes are positive whole numbers and the other values are numbers. Written by hand, so that an error
/// names the key.
fn check_numbers(keys: &Map<String, Value>) -> Result<(), String> {
    let wrong = |key: &str, expected: &str| {
        let given: String = keys[key].to_string().chars().take(80).collect();
        Err(format!("`{key}` is {given}, expected {expected}"))
    };
    let size = |value: &Value| value.as_u64().is_some_and(|size| (1..=LARGEST).contains(&size));
    if let Some(key) = NEEDED.into_iter().find(|key| !size(&keys[*key])) {
        return wrong(key, &format!("a whole number from 1 to {LARGEST}"));
    }
    for key in ["dropout", "rope_theta", "layer_norm_eps"] {
        let absent = |value: &Value| key == "rope_theta" && value.is_null();
        if keys
            .get(key)
            .is_some_and(|value| !value.is_number() && !absent(value))
        {
            return wrong(key, "a number");
        }
    }
    Ok(())
}

/// Key with which a configuration shows that its model computes something else, with the value and the expected value.
/// Other models turn the two halves of a head instead of neighbours, turn only a part of it, or read without a causal
/// mask. Their weights have the same names and shapes, but another function.
fn other_model(keys: &Map<String, Value>) -> Option<(String, String, String)> {
    let refused = |key: &str, expected: &str| {
        let given = keys[key].to_string();
        Some((key.to_string(), given, expected.to_string()))
    };
    let word = |value: &Value| {
        value
            .as_str()
            .map(|word| word.to_lowercase().replace(['-', ' '], "_"))
    };
    let is = |value: &Value, words: &[&str]| word(value).is_some_and(|word| words.contains(&word.as_str()));
    for (key, value) in keys {
        if value.is_null() {
            continue;
        }
        let neighbours = [
            "interleaved",
            "adjacent",
            "adjacent_pairs",
            "pairs",
            "gptj",
            "gpt_j",
            "official",
        ];
        let fine = match key.as_str() {
            "rope_style" | "rope_convention" | "rope_layout" | "rope_pairing" | "rotary_style" => {
                is(value, &neighbours)
            }
            "rope_type" => is(value, &neighbours) || is(value, &["default"]),
            "rope_interleaved" | "rotary_interleaved" | "causal" | "is_causal" => {
                value.as_bool() == Some(true)
            }
            "rope_half_split" | "rope_split_half" | "rope_neox" | "tie_word_embeddings" | "tie_weights" => {
                value.as_bool() == Some(false)
            }
            "partial_rotary_factor" | "rotary_percent" | "rotary_pct" | "rope_fraction" => {
                value.as_f64() == Some(1.0)
            }
            "rope_scaling" | "rope_dim" | "rotary_dim" | "rotary_emb_dim" | "rope_head_dim" => false,
            "model_type" => is(value, &MODEL_TYPES),
            "architectures" => value
                .as_array()
                .is_some_and(|names| names.iter().all(|name| is(name, &ARCHITECTURES))),
            _ => continue,
        };
        if fine {
            continue;
        }
        return match key.as_str() {
            "model_type" => refused(key, &MODEL_TYPES.join(", ")),
            "architectures" => refused(key, &ARCHITECTURES.join(", ")),
            "causal" | "is_causal" => refused(key, "true: a token reads what was before it"),
            "tie_word_embeddings" | "tie_weights" => {
                refused(key, "false: the readout has weights of its own")
            }
            _ => refused(
                key,
                "neighbouring neurons turned in pairs, all of a head (the official convention)",
            ),
        };
    }
    None
}

const MODEL_TYPES: [&str; 5] = [
    "bdh",
    "bdh_gpu",
    "dragon",
    "dragon_hatchling",
    "baby_dragon_hatchling",
];
const ARCHITECTURES: [&str; 5] = ["bdh", "bdhmodel", "bdhforcausallm", "bdhgpu", "bdhlmheadmodel"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> Result<OfficialConfig, CheckpointError> {
        let text = format!(
            r#"{{"n_layer":2,"n_embd":8,"n_head":2,"mlp_internal_dim_multiplier":4,"vocab_size":16{more}}}"#
        );
        OfficialConfig::parse(Path::new("config.json"), &text)
    }

    #[test]
    fn keys_that_say_nothing_of_the_function_are_ignored() {
        for more in [
            "",
            r#","learning_rate":0.001,"rope_scaling":null,"torch":"2.4""#,
            r#","rope_style":"interleaved","model_type":"bdh","architectures":["BDH"],"causal":true"#,
            r#","rope_type":"default","partial_rotary_factor":1.0,"rope_interleaved":true"#,
        ] {
            assert_eq!(parse(more).unwrap().to_dragon(), parse("").unwrap().to_dragon());
        }
    }

    #[test]
    fn another_convention_is_refused_by_its_key_and_value() {
        for (more, says) in [
            (r#","rope_style":"half_split""#, ["rope_style", "half_split"]),
            (r#","rope_style":"split-half""#, ["rope_style", "split-half"]),
            (r#","rope_type":"yarn""#, ["rope_type", "yarn"]),
            (r#","rope_type":"neox""#, ["rope_type", "neox"]),
            (r#","rope_interleaved":false"#, ["rope_interleaved", "false"]),
            (r#","rope_scaling":{"factor":2}"#, ["rope_scaling", "factor"]),
            (
                r#","partial_rotary_factor":0.5"#,
                ["partial_rotary_factor", "0.5"],
            ),
            (r#","rotary_dim":32"#, ["rotary_dim", "32"]),
            (r#","causal":false"#, ["causal", "false"]),
            (r#","tie_word_embeddings":true"#, ["tie_word_embeddings", "true"]),
            (r#","model_type":"bdh-cq""#, ["model_type", "bdh-cq"]),
            (r#","model_type":"llama""#, ["model_type", "llama"]),
            (r#","architectures":["BDHCQ"]"#, ["architectures", "BDHCQ"]),
        ] {
            let error = parse(more).unwrap_err();
            assert!(matches!(error, CheckpointError::Convention { .. }), "{error}");
            for part in says {
                assert!(error.to_string().contains(part), "{error}");
            }
        }
    }

    #[test]
    fn all_missing_keys_are_named_at_once() {
        let error =
            OfficialConfig::parse(Path::new("c.json"), r#"{"n_embd":8,"vocab_size":16}"#).unwrap_err();
        for key in [
            "n_layer",
            "n_head",
            "mlp_internal_dim_multiplier",
            "--model-config",
        ] {
            assert!(error.to_string().contains(key), "{error}");
        }
        assert!(!error.to_string().contains("n_embd"), "{error}");
    }

    #[test]
    fn sizes_beyond_reason_are_refused() {
        for (key, size) in [
            ("n_embd", "99999999999999"),
            ("n_head", "0"),
            ("n_head", "3"),
            ("n_layer", "-1"),
        ] {
            let text =
                r#"{"n_layer":2,"n_embd":8,"n_head":2,"mlp_internal_dim_multiplier":4,"vocab_size":16}"#;
            let mut keys: Map<String, Value> = serde_json::from_str(text).unwrap();
            keys.insert(key.into(), serde_json::from_str(size).unwrap());
            let text = Value::Object(keys).to_string();
            assert!(
                OfficialConfig::parse(Path::new("c.json"), &text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_number_and_what_is_there_twice_is_refused_by_its_key() {
        let text = r#"{"n_layer":L,"n_embd":8,"n_head":2,"mlp_internal_dim_multiplier":4,"vocab_size":16}"#;
        for size in ["-1", "\"32\"", "2.5", "0", "null", "[1]"] {
            let text = text.replace('L', size);
            let error = OfficialConfig::parse(Path::new("c.json"), &text).unwrap_err();
            let says = format!("`n_layer` is {size}, expected");
            assert!(error.to_string().contains(&says), "{error}");
        }
        for (more, says) in [
            (r#","dropout":"none""#, "`dropout` is \"none\""),
            (r#","layer_norm_eps":null"#, "`layer_norm_eps` is null"),
            (r#","n_layer":2"#, "`n_layer` is there twice"),
            (r#","rope_theta":1,"rope_theta":2"#, "`rope_theta` is there twice"),
        ] {
            let error = parse(more).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
        parse(r#","rope_theta":null"#).unwrap();
    }

    #[test]
    fn a_shape_of_ours_comes_back_from_the_official_names() {
        let ours = DragonConfig::paper();
        assert_eq!(OfficialConfig::of(&ours).unwrap().to_dragon(), ours);
        let odd = DragonConfig {
            n_neurons: 2048 + 8,
            ..DragonConfig::tiny()
        };
        assert!(OfficialConfig::of(&odd).unwrap_err().contains("2056"));
    }
}
