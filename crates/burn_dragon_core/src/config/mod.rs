//! Configuration of a model's shape: [`DragonConfig`] of a language model, [`TrunkConfig`] of the part that every
//! family shares.
//!
//! | what | where |
//! |---|---|
//! | vocabulary and trunk; presets; the form in model files | here |
//! | sizes, numbers and kinds of a trunk; their ranges; its tensors and its memory | `trunk.rs` |
//! | slopes of a memory that fades | `decay.rs` |
//! | errors of a shape | `error.rs` |

mod decay;
mod error;
mod trunk;

pub use decay::DecayConfig;
pub use error::ConfigError;
pub use trunk::TrunkConfig;

use crate::auxiliary::{NeuronRecurrence, SummaryMemory};
use crate::connector::Connector;
use crate::fanout::Fanout;
use crate::initial::InitConfig;
use crate::low_bit::{QuantConfig, RhoConfig};
use crate::mixer::Mixer;
use crate::norm::NormConfig;
use crate::positions::Positions;
use crate::read::Read;
use crate::shapes::{MemoryShape, TensorShape};
use burn_dragon_kernel::api::Frequencies;
use serde::{Deserialize, Serialize};

/// Configuration of a Dragon Hatchling model: every setting that its weights do not hold.
///
/// All keys but the vocabulary belong to the [trunk](Self::trunk). A next-token model reads
/// [causally](Read::Causal) or by another [mixer](Mixer); other reads are for families that build on a [`TrunkConfig`] themselves.
///
/// Model files contain it as JSON, and hashes of models include that text. So a key that is added must be absent from
/// the JSON where it has its default.
///
/// Every function that makes a model from a configuration calls [`validate`](Self::validate).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DragonConfig {
    /// Number of tokens in the vocabulary (V).
    pub vocab_size: usize,
    /// Model width (D).
    pub d_model: usize,
    /// Number of heads that the neurons are split into (H).
    pub n_heads: usize,
    /// Number of neurons in all heads together (n = H N).
    pub n_neurons: usize,
    /// Number of levels (L): passes through the one shared block.
    pub n_levels: usize,
    /// Share of y that is dropped in training: 0, or 1.6e-5 to 0.99998.
    pub dropout: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Epsilon that the norms add to the variance.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights.
    pub init_std: f64,
    /// Decay of memory; if absent, memory does not fade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<DecayConfig>,
    /// Kind of position encoding; rotary if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub positions: Positions,
    /// Sequence mixer; the linear read if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mixer: Mixer,
    /// Number of neurons by level; all in each if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fanout: Option<Fanout>,
    /// Fading mean of earlier chunks that is added to the input of a level; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_memory: Option<SummaryMemory>,
    /// Activity that chunks leave to the next; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neuron_recurrence: Option<NeuronRecurrence>,
    /// Kind of connector between levels; `norm(v + norm(u))` if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connector: Connector,
    /// Kind of norm, at all sites; a layer norm that learns nothing if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm: NormConfig,
    /// Initial weights and thresholds; normal ones without thresholds if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub init: InitConfig,
    /// Low-bit weights and activities; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quant: Option<QuantConfig>,
    /// Precision and compression of carried memory; it is carried as it is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rho: Option<RhoConfig>,
}

/// Whether a value is the default, which an absent key stands for.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for DragonConfig {
    fn default() -> Self {
        Self::small()
    }
}

impl DragonConfig {
    fn preset(n_levels: usize, d_model: usize, n_neurons: usize) -> Self {
        Self {
            vocab_size: 256,
            d_model,
            n_heads: 4,
            n_neurons,
            n_levels,
            dropout: 0.1,
            rope_theta: 65536.0,
            norm_eps: 1e-5,
            init_std: 0.02,
            decay: None,
            positions: Positions::default(),
            mixer: Mixer::default(),
            fanout: None,
            summary_memory: None,
            neuron_recurrence: None,
            connector: Connector::default(),
            norm: NormConfig::default(),
            init: InitConfig::default(),
            quant: None,
            rho: None,
        }
    }

    /// 4 levels, D64, n2048: 0.4 M parameters, minutes on a laptop.
    pub fn tiny() -> Self {
        Self::preset(4, 64, 2048)
    }

    /// 4 levels, D128, n4096: 1.6 M parameters, an hour on a laptop.
    pub fn small() -> Self {
        Self::preset(4, 128, 4096)
    }

    /// 6 levels, D192, n12288: 7.2 M parameters.
    pub fn base() -> Self {
        Self::preset(6, 192, 12_288)
    }

    /// 6 levels, D256, n16384: 12.7 M parameters.
    pub fn large() -> Self {
        Self::preset(6, 256, 16_384)
    }

    /// The default of the official release: 6 levels, D256, n32768, 25,296,896 parameters.
    pub fn paper() -> Self {
        Self::preset(6, 256, 32_768)
    }

    /// The preset called `name`, if there is one: `tiny`, `small`, `base`, `large`, `paper`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "tiny" => Self::tiny(),
            "small" => Self::small(),
            "base" => Self::base(),
            "large" => Self::large(),
            "paper" => Self::paper(),
            _ => return None,
        })
    }

    /// Configuration of the trunk: all keys but the vocabulary.
    pub fn trunk(&self) -> TrunkConfig {
        let Self {
            vocab_size: _,
            d_model,
            n_heads,
            n_neurons,
            n_levels,
            dropout,
            rope_theta,
            norm_eps,
            init_std,
            decay,
            positions,
            mixer,
            fanout,
            summary_memory,
            neuron_recurrence,
            connector,
            norm,
            init,
            quant,
            rho,
        } = self.clone();
        TrunkConfig {
            d_model,
            n_heads,
            n_neurons,
            n_levels,
            dropout,
            rope_theta,
            norm_eps,
            init_std,
            decay,
            positions,
            fanout,
            summary_memory,
            neuron_recurrence,
            connector,
            norm,
            init,
            quant,
            rho,
            read: Read::of(mixer),
        }
    }

    /// Tensors of the model, in the order of its modules: `embed`, those of the trunk, `lm_head`.
    pub fn tensors(&self) -> Vec<TensorShape> {
        let (vocab, width) = (self.vocab_size, self.d_model);
        let mut tensors = vec![TensorShape::new("embed", [vocab, width])];
        tensors.extend(self.trunk().tensors());
        tensors.push(TensorShape::new("lm_head", [width, vocab]));
        tensors
    }

    /// Number of neurons per head (N).
    pub fn neurons_per_head(&self) -> usize {
        self.n_neurons / self.n_heads
    }

    /// Frequencies of the neuron pairs of a head, in turns per token.
    pub fn frequencies(&self) -> Frequencies {
        self.trunk().frequencies()
    }

    /// Checks that a model of this shape can exist.
    ///
    /// # Errors
    /// The first key that is wrong, with its value and the values that it may have.
    pub fn validate(&self) -> Result<(), ConfigError> {
        trunk::check_size("vocab_size", self.vocab_size)?;
        self.trunk().validate()
    }
}

impl From<&DragonConfig> for TrunkConfig {
    fn from(config: &DragonConfig) -> Self {
        config.trunk()
    }
}

impl From<&DragonConfig> for MemoryShape {
    fn from(config: &DragonConfig) -> Self {
        config.trunk().memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid() {
        for name in ["tiny", "small", "base", "large", "paper"] {
            DragonConfig::named(name).expect(name).validate().expect(name);
        }
    }

    #[test]
    fn an_error_shows_the_values() {
        let config = DragonConfig {
            n_neurons: 100,
            n_heads: 3,
            ..DragonConfig::tiny()
        };
        let text = config.validate().unwrap_err().to_string();
        assert!(
            text.contains("100") && text.contains('3') && text.contains("multiple of 6"),
            "{text}"
        );
        let config = DragonConfig {
            dropout: 1.0,
            ..DragonConfig::tiny()
        };
        assert!(config.validate().unwrap_err().to_string().contains("dropout = 1"));
        let config = DragonConfig {
            d_model: 0,
            ..DragonConfig::tiny()
        };
        assert!(config.validate().unwrap_err().to_string().contains("d_model"));
        let config = DragonConfig {
            n_heads: usize::MAX,
            decay: Some(DecayConfig::Standard { learnable: false }),
            ..DragonConfig::tiny()
        };
        assert!(
            config
                .validate()
                .unwrap_err()
                .to_string()
                .contains("at most 1024")
        );
        let config = DragonConfig {
            norm_eps: f64::NAN,
            ..DragonConfig::tiny()
        };
        assert!(config.validate().is_err());
    }

    /// The texts are those of the files of 2026-11: hashes of models are made of them.
    #[test]
    fn the_json_of_a_plain_model_is_what_it_was_before_it_had_kinds_of_parts() {
        let plain = r#"{"vocab_size":256,"d_model":64,"n_heads":4,"n_neurons":2048,"n_levels":4,"dropout":0.1,"rope_theta":65536.0,"norm_eps":0.00001,"init_std":0.02}"#;
        assert_eq!(serde_json::to_string(&DragonConfig::tiny()).unwrap(), plain);
        assert_eq!(
            serde_json::from_str::<DragonConfig>(plain).unwrap(),
            DragonConfig::tiny()
        );
        let fading = DragonConfig {
            decay: Some(DecayConfig::Standard { learnable: true }),
            ..DragonConfig::tiny()
        };
        let text = plain.replace('}', r#","decay":{"type":"standard","learnable":true}}"#);
        assert_eq!(serde_json::to_string(&fading).unwrap(), text);
    }

    #[test]
    fn other_kinds_of_parts_stand_in_the_json_and_unknown_ones_are_answered_with_those_there_are() {
        let config = DragonConfig {
            positions: Positions::None,
            ..DragonConfig::tiny()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert!(text.ends_with(r#""positions":"none"}"#), "{text}");
        assert_eq!(serde_json::from_str::<DragonConfig>(&text).unwrap(), config);
        for (key, value, known) in [
            ("positions", r#""spiral""#, "`rotary`, `none`, `pope`"),
            (
                "connector",
                r#"{"type":"hyper"}"#,
                "`plain`, `attention_residual`",
            ),
            ("read", r#""full""#, "unknown field `read`"),
        ] {
            let text = text.replace(r#""positions":"none""#, &format!(r#""{key}":{value}"#));
            let error = serde_json::from_str::<DragonConfig>(&text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(known), "{error}");
        }
    }

    #[test]
    fn a_model_has_an_embedding_the_tensors_of_its_trunk_and_a_readout() {
        let config = DragonConfig {
            decay: Some(DecayConfig::Standard { learnable: true }),
            ..DragonConfig::tiny()
        };
        let listed: Vec<(String, Vec<usize>)> = config
            .tensors()
            .into_iter()
            .map(|tensor| (tensor.name, tensor.shape))
            .collect();
        let expected: [(&str, &[usize]); 6] = [
            ("embed", &[256, 64]),
            ("decoder_x", &[4, 64, 512]),
            ("decoder_y", &[4, 64, 512]),
            ("encoder", &[2048, 64]),
            ("decay", &[4]),
            ("lm_head", &[64, 256]),
        ];
        assert_eq!(
            listed,
            expected.map(|(name, shape)| (name.to_string(), shape.to_vec()))
        );
    }
}
