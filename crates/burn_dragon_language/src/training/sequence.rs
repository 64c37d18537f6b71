//! Table `[sequence]`: windows of text, and memory carried from step to step (truncated backpropagation through time).
//!
//! ```text
//! lane 0   | document 7 .............|......|document 2 ....|........   each | is a step's window; memory goes on
//! lane 1   |.....| document 3 .......|..............|document 9 .....   over it and is emptied where a document
//!                                                                       begins, also inside a window
//! ```
//!
//! Gradients end at the edge of the window, or reach back over the last [`backprop`](StreamConfig::backprop) windows of
//! a step. The paper trains so, on pieces of 2,048 bytes (arXiv:2509.26507, appendix B).

use burn_dragon_core::api::Credit;
use burn_dragon_core::api::expert::Range;
use burn_dragon_stream::api::TbpttWindow;
use burn_dragon_train::api::expert::{MOST_UNITS, at_least_one, check};
use burn_dragon_train::api::{TrainError, TrainingConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of windows in a step. A run can be interrupted between steps only.
const MOST_WINDOWS: usize = 1024;

/// Table `[sequence]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SequenceConfig {
    /// Number of tokens in a training window.
    pub block_size: usize,
    /// Credit: paths of the gradients through memory.
    #[serde(with = "CreditName")]
    pub credit: Credit,
    /// Memory carried from step to step. If absent, each window begins with an empty memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamConfig>,
}

/// [`Credit`] as it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Credit", rename_all = "lowercase")]
enum CreditName {
    /// Through queries, keys, values and a carried memory.
    Full,
    /// Through queries alone; keys, values and a carried memory are constants. This is the paper's training without
    /// backpropagation through time.
    Queries,
}

impl Default for SequenceConfig {
    fn default() -> Self {
        Self {
            block_size: 256,
            credit: Credit::Full,
            streams: None,
        }
    }
}

impl SequenceConfig {
    /// Checks the values together with the batch size.
    pub(crate) fn validate(&self, training: &TrainingConfig) -> Result<(), TrainError> {
        at_least_one("sequence.block_size", self.block_size as u64)?;
        self.check_step(training)?;
        let tokens = training.batch_size * self.block_size;
        let streams = self.streams.as_ref();
        streams.map_or(Ok(()), |streams| streams.validate(tokens))
    }

    /// Refuses a step of too many tokens.
    fn check_step(&self, training: &TrainingConfig) -> Result<(), TrainError> {
        let sizes = [
            ("training.batch_size", training.batch_size as u64),
            ("sequence.block_size", self.block_size as u64),
            ("training.accumulate", u64::from(training.accumulate)),
        ];
        let tokens = sizes
            .iter()
            .try_fold(1u64, |tokens, (_, size)| tokens.checked_mul(*size));
        if tokens.is_some_and(|tokens| tokens <= MOST_UNITS) {
            return Ok(());
        }
        // The largest size is the likeliest mistake.
        let (key, given) = sizes
            .into_iter()
            .max_by_key(|(_, size)| *size)
            .unwrap_or_default();
        Err(TrainError::Setting {
            key: key.into(),
            given: given.to_string(),
            expected: "fewer than 2^48 tokens a step (batch_size * block_size * accumulate)",
        })
    }
}

/// Table `[sequence.streams]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
    /// Share of the lanes whose memory is carried, in (0, 1], at least one lane. The other lanes read a new window with an empty memory
    /// each step.
    pub persistent: f64,
    /// Order in which the lanes read documents.
    pub order: DocumentOrder,
    /// Number of tokens of a document after which its memory is emptied. If absent, never. Lanes take turns, so that
    /// memories of every age are in a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_context: Option<usize>,
    /// Number of windows that a lane reads in one step, one after the other.
    pub unroll: usize,
    /// Number of last windows of a step with a loss. Gradients pass through the memory between them. Earlier windows
    /// only fill the memory.
    pub backprop: usize,
    /// Mixture of window lengths. Each step has one length and the same number of tokens: few lanes with long windows, or
    /// many with short ones, in turn. The lengths divide `batch_size * block_size`. If empty, all windows have `block_size`
    /// tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub scales: Vec<ScaleConfig>,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            persistent: 1.0,
            order: DocumentOrder::Shuffled,
            max_context: None,
            unroll: 1,
            backprop: 1,
            scales: Vec::new(),
        }
    }
}

/// Order of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentOrder {
    /// Shuffled, differently in each epoch.
    #[default]
    Shuffled,
    /// In the order of the text.
    InOrder,
}

/// Window length of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleConfig {
    /// Number of tokens in a window.
    pub block_size: usize,
    /// Relative weight: how often the length comes.
    pub weight: u32,
}

impl StreamConfig {
    /// Windows of a step, of which the last have a loss.
    ///
    /// # Errors
    /// If no window has a loss, or more windows have one than are read.
    pub fn window(&self) -> Result<TbpttWindow, TrainError> {
        at_least_one("sequence.streams.unroll", self.unroll as u64)?;
        at_least_one("sequence.streams.backprop", self.backprop as u64)?;
        TbpttWindow::try_new(self.unroll, self.backprop).map_err(|_| TrainError::Setting {
            key: "sequence.streams.backprop".into(),
            given: self.backprop.to_string(),
            expected: "at most sequence.streams.unroll",
        })
    }

    /// Number of lanes, out of `lanes`, whose memory is carried; at least one.
    pub fn persistent_lanes(&self, lanes: usize) -> usize {
        // A decimal share that is close to a whole number of lanes means that number.
        ((self.persistent * lanes as f64 + 1e-9) as usize).clamp(1, lanes)
    }

    /// Checks the values. The windows of all lanes have `tokens` tokens together.
    pub(crate) fn validate(&self, tokens: usize) -> Result<(), TrainError> {
        let refuse = |key: &str, given: String, expected| {
            let key = format!("sequence.streams.{key}");
            Err(TrainError::Setting { key, given, expected })
        };
        check(
            "sequence.streams.persistent".into(),
            self.persistent,
            Range::SHARE,
        )?;
        if self.max_context == Some(0) {
            return refuse(
                "max_context",
                "0".into(),
                "at least 1; leave the key out for no limit",
            );
        }
        if self.unroll > MOST_WINDOWS {
            return refuse("unroll", self.unroll.to_string(), "at most 1024");
        }
        self.window()?;
        for scale in &self.scales {
            if scale.block_size == 0 || !tokens.is_multiple_of(scale.block_size) {
                return refuse(
                    "scales",
                    format!("block_size = {}", scale.block_size),
                    "lengths that divide batch_size * block_size, so that every step has the same number of tokens",
                );
            }
        }
        if !self.scales.is_empty() && self.scales.iter().all(|scale| scale.weight == 0) {
            return refuse(
                "scales",
                "only weights of 0".into(),
                "at least one weight above 0",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_stream_can_be_is_refused_by_name() {
        let scale = |block_size, weight| ScaleConfig { block_size, weight };
        let base = StreamConfig::default;
        let wrong = [
            (
                StreamConfig {
                    persistent: 0.0,
                    ..base()
                },
                "persistent = 0",
            ),
            (
                StreamConfig {
                    persistent: f64::NAN,
                    ..base()
                },
                "persistent",
            ),
            (
                StreamConfig {
                    max_context: Some(0),
                    ..base()
                },
                "max_context",
            ),
            (StreamConfig { unroll: 0, ..base() }, "unroll"),
            (
                StreamConfig {
                    unroll: usize::MAX,
                    ..base()
                },
                "at most 1024",
            ),
            (
                StreamConfig {
                    backprop: 2,
                    ..base()
                },
                "backprop = 2",
            ),
            (
                StreamConfig {
                    scales: vec![scale(48, 1)],
                    ..base()
                },
                "block_size = 48",
            ),
            (
                StreamConfig {
                    scales: vec![scale(64, 0)],
                    ..base()
                },
                "scales",
            ),
        ];
        for (config, said) in wrong {
            let text = config.validate(1024).unwrap_err().to_string();
            assert!(text.contains(said), "{text}");
        }
        let mixture = StreamConfig {
            scales: vec![scale(64, 1), scale(512, 3)],
            unroll: 3,
            backprop: 2,
            ..base()
        };
        assert!(mixture.validate(1024).is_ok());
    }

    #[test]
    fn a_share_of_lanes_is_rounded_down_to_at_least_one() {
        let config = StreamConfig {
            persistent: 0.6,
            ..StreamConfig::default()
        };
        assert_eq!([1, 2, 8].map(|lanes| config.persistent_lanes(lanes)), [1, 1, 4]);
        let config = StreamConfig {
            persistent: 0.29,
            ..config
        };
        assert_eq!(config.persistent_lanes(100), 29);
    }
}
