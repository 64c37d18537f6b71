//! Table `[model.mixer]`: kinds and keys.

use super::gated_delta::GatedDeltaConfig;
use super::mamba::{Mamba1Config, Mamba2Config, Mamba3Config};
use super::rwkv8::Rwkv8Config;
use super::{Kind, Mixed, MixerWeights, Sizes};
use crate::config::ConfigError;
use crate::positions::Positions;
use crate::read::Rule;
use crate::seed::Rng;
use crate::shapes::{MemoryShape, TensorShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::Saturating;
use std::sync::Arc;

/// Kind of sequence mixer, `[model.mixer]`: how a token reads the tokens before it.
// Kinds without keys have braces: serde takes any keys beside the name of a kind without them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mixer {
    /// The paper's linear read of a fast-weight memory.
    Linear {},
    /// Gated delta rule (arXiv:2412.06464): a write replaces what its key read, and memory fades as the token says.
    GatedDelta(GatedDeltaConfig),
    /// Normalised decay form: each neuron has a decay of its own, and what is read is a mean of what active neurons saw.
    Rwkv8(Rwkv8Config),
    /// Mamba (arXiv:2312.00752): a selective scan of the stream, which ignores the queries.
    Mamba1(Mamba1Config),
    /// Mamba-2 (arXiv:2405.21060): a scan with one decay a head.
    Mamba2(Mamba2Config),
    /// Mamba-3 (arXiv:2603.15569): a scan with states that turn and trapezoidal writes.
    Mamba3(Mamba3Config),
}

impl Default for Mixer {
    fn default() -> Self {
        Self::Linear {}
    }
}

impl Mixer {
    /// Name of the kind in configurations.
    pub fn name(&self) -> &'static str {
        self.kind().map_or("linear", Kind::name)
    }

    /// The kind, with its keys; `None` for the linear read.
    fn kind(&self) -> Option<&dyn Kind> {
        match self {
            Self::Linear {} => None,
            Self::GatedDelta(config) => Some(config),
            Self::Rwkv8(config) => Some(config),
            Self::Mamba1(config) => Some(config),
            Self::Mamba2(config) => Some(config),
            Self::Mamba3(config) => Some(config),
        }
    }

    /// Checks the keys, and the positions beside them.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub(crate) fn validate(&self, sizes: Sizes, positions: Positions) -> Result<(), ConfigError> {
        let Some(kind) = self.kind() else { return Ok(()) };
        if positions != Positions::None && !kind.turns() {
            return Err(ConfigError::MixerDoesNotTurn {
                mixer: kind.name(),
                positions: positions.name(),
            });
        }
        kind.validate(sizes)
    }

    /// Tensors that are learnt.
    pub(crate) fn tensors(&self, sizes: Sizes) -> Vec<TensorShape> {
        self.kind().map_or_else(Vec::new, |kind| kind.tensors(sizes))
    }

    /// Initial values of a tensor, named without `mixer.`; `None` for those that are drawn as the trunk's weights.
    pub(crate) fn initial(&self, field: &str, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>> {
        self.kind()?.initial(field, shape, rng)
    }

    /// Shape of the memories.
    pub(crate) fn memory(&self, sizes: Sizes, levels: usize) -> MemoryShape {
        let Sizes { heads, keys, width } = sizes;
        let linear = [heads, keys, width];
        let [heads, keys, width] = self.kind().map_or(linear, |kind| kind.memory(sizes));
        MemoryShape {
            levels,
            heads,
            keys,
            width,
        }
    }

    /// FLOPs of a token in a level, recurrent form.
    pub(crate) fn flops(&self, sizes: Sizes) -> Saturating<u64> {
        let linear = [4, sizes.heads, sizes.keys, sizes.width].map(|size| Saturating(size as u64));
        let linear = linear
            .into_iter()
            .fold(Saturating(1), |product, size| product * size);
        self.kind().map_or(linear, |kind| kind.flops(sizes))
    }

    /// Approximate number of values that a training step keeps of one token in a level, in windows of `tokens`.
    pub(crate) fn kept(&self, sizes: Sizes, tokens: usize) -> Saturating<u64> {
        self.kind().map_or(Saturating(0), |kind| kind.kept(sizes, tokens))
    }

    /// Rule of the read, with what it learns.
    ///
    /// # Panics
    /// If the mixer is the linear read, or its weights are not given.
    pub(crate) fn rule(&self, learnt: Option<&MixerWeights>, sizes: Sizes, eps: f64) -> Arc<dyn Rule> {
        let (Some(kind), Some(learnt)) = (self.kind(), learnt) else {
            panic!("Read: a mixer needs its weights");
        };
        Arc::new(Mixed {
            recurrence: kind.recurrence(learnt, eps),
            sizes,
            memory: kind.memory(sizes),
        })
    }
}
