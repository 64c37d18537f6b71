//! Configuration of a trunk.

use super::decay::DecayConfig;
use super::error::ConfigError;
use crate::auxiliary::{Margins, NeuronRecurrence, SummaryMemory};
use crate::connector::Connector;
use crate::fanout::Fanout;
use crate::initial::{InitConfig, Thresholds};
use crate::low_bit::{LowBit, QuantConfig, RhoConfig};
use crate::mixer::{Mixer, Sizes};
use crate::norm::NormConfig;
use crate::positions::Positions;
use crate::range::Range;
use crate::read::Read;
use crate::shapes::{MemoryShape, TensorShape};
use burn_dragon_kernel::api::Frequencies;
use serde::{Deserialize, Serialize};

/// Largest vocabulary, width and number of neurons: up to it, nothing that is computed with sizes from a file
/// overflows.
const MAX_SIZE: usize = 1 << 28;

/// Largest number of heads, and of levels: lists with one entry for each head or level are allocated at once.
const MAX_COUNT: usize = 1024;

/// Range of the epsilon of norms: a value above 1 would outweigh the variance.
const NORM_EPS: Range = Range {
    most: 1.0,
    words: "a number from 1.2e-38 to 1: it is added to variances of about 1, and 1.2e-38 is about the smallest normal \
            number in f32",
    ..Range::POSITIVE
};

/// Range of the standard deviation of initial weights: with larger ones, the levels' products of four weights, and the
/// squares of these, overflow f32.
const INIT_STD: Range = Range {
    most: 1000.0,
    words: "a number from 1.1e-19 to 1000: with a smaller one its square underflows f32, with a larger one \
            products of weights in the levels overflow it",
    ..Range::SQUARED
};

/// Range of the slopes of a decay: above 100, nothing remains of a memory after one token.
const SLOPES: Range = Range {
    most: 100.0,
    words: "0, or a number from 1.2e-38 to 100",
    ..Range::FROM_ZERO
};

/// Range of the slopes of a decay that are learnt.
const LEARNT_SLOPES: Range = Range {
    least: 1e-30,
    most: 100.0,
    zero: false,
    words: "a number from 1e-30 to 100, since its logarithm is learnt",
};

/// Configuration of a [`Trunk`](crate::trunk::Trunk): sizes, numbers, and the kinds of its parts.
///
/// [`tensors`](Self::tensors) is the one list of what the parts learn, and [`memory`](Self::memory) the one shape of
/// what they carry. Weights, parameter counts, costs and files follow from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkConfig {
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
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub positions: Positions,
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
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub connector: Connector,
    /// Kind of norm, at all sites; a layer norm that learns nothing if absent.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub norm: NormConfig,
    /// Initial weights and thresholds; normal ones without thresholds if absent.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub init: InitConfig,
    /// Low-bit weights and activities; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quant: Option<QuantConfig>,
    /// Precision and compression of carried memory; it is carried as it is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rho: Option<RhoConfig>,
    /// Kind of read: the tokens that a token reads; those before it if absent.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub read: Read,
}

impl TrunkConfig {
    /// Number of neurons per head (N).
    pub fn neurons_per_head(&self) -> usize {
        self.n_neurons / self.n_heads
    }

    /// Number of neurons of a head that a level has.
    pub fn neurons_at(&self, level: usize) -> usize {
        let all = self.neurons_per_head();
        let of = |fanout: &Fanout| fanout.neurons_per_head(level, self.n_levels, self.n_heads, all);
        self.fanout.as_ref().map_or(all, of)
    }

    /// Frequencies of the neuron pairs of a head, in turns per token.
    pub fn frequencies(&self) -> Frequencies {
        self.positions
            .frequencies(self.rope_theta, self.neurons_per_head())
    }

    /// Tensors of the trunk, in the order of its fields.
    pub fn tensors(&self) -> Vec<TensorShape> {
        let (heads, width, neurons) = (self.n_heads, self.d_model, self.neurons_per_head());
        let mut tensors = vec![
            TensorShape::new("decoder_x", [heads, width, neurons]),
            TensorShape::new("decoder_y", [heads, width, neurons]),
            TensorShape::new("encoder", [heads * neurons, width]),
        ];
        if self.decay.as_ref().is_some_and(DecayConfig::learnable) {
            tensors.push(TensorShape::new("decay", [heads]));
        }
        tensors.extend(self.positions.tensors(heads, neurons));
        if let Some(mixer) = self.read.mixer() {
            tensors.extend(mixer.tensors(self.sizes()));
        }
        tensors.extend(self.connector.tensors(self.n_levels, width));
        tensors.extend(self.norm.tensors(width));
        tensors
    }

    /// Sizes that the read depends on.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            heads: self.n_heads,
            keys: self.neurons_per_head() * self.positions.numbers_per_neuron(),
            width: self.d_model,
        }
    }

    /// Whether the operation `decode` can compute this trunk, if it has its keys: one stream, a causal read, a layer norm that
    /// learns nothing, memory that is carried as it is, and nothing more in its levels.
    pub(crate) fn is_plain_within(&self) -> bool {
        let levels = self.fanout.is_none() && self.auxiliary() == Margins::default();
        let memory = self.rho.is_none_or(|rho| !rho.changes());
        let neurons = self.norm.is_plain() && self.init.firing.is_none();
        self.read == Read::Causal && levels && neurons && memory && self.connector == Connector::Plain {}
    }

    /// What is quantised, and how; `None` if nothing is, or the table is not valid.
    pub fn low_bit(&self) -> Option<LowBit> {
        self.quant.as_ref()?.low_bit(self).ok()?
    }

    /// Thresholds of the neurons, `None` for 0: constants of the configuration.
    pub fn thresholds(&self) -> Option<Thresholds> {
        self.init.firing.map(|firing| firing.thresholds(self))
    }

    /// Shape of the memories that the trunk carries.
    pub fn memory(&self) -> MemoryShape {
        let mixer = self.read.mixer().unwrap_or(&Mixer::Linear {});
        let memory = mixer.memory(self.sizes(), self.n_levels);
        let Margins { rows, columns } = self.auxiliary();
        MemoryShape {
            keys: memory.keys + rows,
            width: memory.width + columns,
            ..memory
        }
    }

    /// Checks that a trunk of this shape can exist.
    ///
    /// # Errors
    /// The first key that is wrong, with its value and the values that it may have.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_size("d_model", self.d_model)?;
        check_count("n_heads", self.n_heads)?;
        check_size("n_neurons", self.n_neurons)?;
        check_count("n_levels", self.n_levels)?;
        if !self.n_neurons.is_multiple_of(2 * self.n_heads) {
            return Err(ConfigError::Heads {
                n_neurons: self.n_neurons,
                n_heads: self.n_heads,
            });
        }
        self.check_numbers()?;
        if !self.positions.is_of_pairs() && !self.read.is_ordered() {
            return Err(ConfigError::PolarWithoutOrder);
        }
        if let Some(mixer) = self.read.mixer() {
            if self.decay.is_some() {
                let mixer = mixer.name();
                return Err(ConfigError::DecayWithMixer { mixer });
            }
            if self.fanout.is_some() {
                let mixer = mixer.name();
                return Err(ConfigError::FanoutWithMixer { mixer });
            }
            mixer.validate(self.sizes(), self.positions)?;
        }
        self.check_auxiliary()?;
        if let Some(fanout) = &self.fanout {
            fanout.validate(self.n_levels, self.n_heads, self.n_neurons)?;
        }
        self.connector.validate(self.n_levels, self.d_model)?;
        self.init.validate(self)?;
        if let Some(quant) = &self.quant {
            quant.low_bit(self)?;
        }
        if let Some(rho) = &self.rho {
            rho.validate(self)?;
        }
        self.decay
            .as_ref()
            .map_or(Ok(()), |decay| self.check_decay(decay))
    }

    /// Refuses auxiliary recurrences beside another read than the causal one, and keys outside their ranges.
    fn check_auxiliary(&self) -> Result<(), ConfigError> {
        let (summary, neurons) = (&self.summary_memory, &self.neuron_recurrence);
        for (key, is_given) in [
            ("summary_memory", summary.is_some()),
            ("neuron_recurrence", neurons.is_some()),
        ] {
            if is_given && self.read != Read::Causal {
                return Err(ConfigError::AuxiliaryWithoutLinearRead { key });
            }
        }
        if neurons.is_some() && self.fanout.is_some() {
            return Err(ConfigError::RecurrenceWithFanout);
        }
        summary.as_ref().map_or(Ok(()), SummaryMemory::validate)?;
        neurons.as_ref().map_or(Ok(()), NeuronRecurrence::validate)
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        check_number("dropout", self.dropout, Range::DROPPED)?;
        if !(self.rope_theta > 1.0 && self.rope_theta.is_finite()) {
            return Err(ConfigError::Range {
                name: "rope_theta",
                value: self.rope_theta,
                expected: "a finite number above 1",
            });
        }
        check_number("norm_eps", self.norm_eps, NORM_EPS)?;
        check_number("init_std", self.init_std, INIT_STD)
    }

    /// Refuses any decay with a read without order, a number of slopes that is not the number of heads, and slopes
    /// outside their range.
    fn check_decay(&self, decay: &DecayConfig) -> Result<(), ConfigError> {
        if !self.read.is_ordered() {
            return Err(ConfigError::DecayWithoutOrder);
        }
        let (slopes, n_heads) = (decay.slopes(self.n_heads), self.n_heads);
        if slopes.len() != n_heads {
            return Err(ConfigError::Slopes {
                given: slopes.len(),
                n_heads,
            });
        }
        let range = if decay.learnable() { LEARNT_SLOPES } else { SLOPES };
        slopes
            .into_iter()
            .try_for_each(|value| check_number("decay.slopes", value, range))
    }
}

impl From<&Self> for TrunkConfig {
    fn from(config: &Self) -> Self {
        config.clone()
    }
}

impl From<&TrunkConfig> for MemoryShape {
    fn from(config: &TrunkConfig) -> Self {
        config.memory()
    }
}

/// Refuses a size of 0 and one above [`MAX_SIZE`].
pub(super) fn check_size(name: &'static str, value: usize) -> Result<(), ConfigError> {
    check_whole(name, value, MAX_SIZE)
}

/// Refuses 0 heads or levels, and more than [`MAX_COUNT`].
fn check_count(name: &'static str, value: usize) -> Result<(), ConfigError> {
    check_whole(name, value, MAX_COUNT)
}

fn check_whole(name: &'static str, value: usize, most: usize) -> Result<(), ConfigError> {
    match value {
        0 => Err(ConfigError::Zero { name }),
        _ if value > most => Err(ConfigError::TooLarge { name, value, most }),
        _ => Ok(()),
    }
}

fn check_number(name: &'static str, value: f64, range: Range) -> Result<(), ConfigError> {
    range.check(value).map_err(|expected| ConfigError::Range {
        name,
        value,
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DragonConfig;

    #[test]
    fn a_read_without_order_has_nothing_to_fade_along() {
        let mut config = DragonConfig::tiny().trunk();
        config.read = Read::Full;
        config.validate().unwrap();
        config.decay = Some(DecayConfig::Standard { learnable: false });
        let error = config.validate().unwrap_err().to_string();
        assert!(
            error.contains("model.decay") && error.contains("model.read = \"full\""),
            "{error}"
        );
        config.read = Read::Causal;
        config.validate().unwrap();
    }

    #[test]
    fn a_trunk_says_in_json_what_kinds_its_parts_are_of_where_they_are_not_the_usual() {
        let mut config = DragonConfig::tiny().trunk();
        let text = serde_json::to_string(&config).unwrap();
        assert!(!text.contains("read") && !text.contains("positions"), "{text}");
        (config.read, config.positions) = (Read::Full, Positions::None);
        let text = serde_json::to_string(&config).unwrap();
        assert!(text.ends_with(r#""positions":"none","read":"full"}"#), "{text}");
        assert_eq!(serde_json::from_str::<TrunkConfig>(&text).unwrap(), config);
    }
}
