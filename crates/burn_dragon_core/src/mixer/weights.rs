//! What mixers learn.

use crate::initial::ParameterBuilder;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

/// Weights of a mixer; those of other kinds are `None`. In files they are called `mixer.gates` and so on.
#[derive(Module, Debug)]
pub struct MixerWeights {
    /// Projection of the stream to gates of the heads, `[D, gates H]`: of `gated_delta`, the logits of the decay and of the
    /// write.
    pub gates: Option<Param<Tensor<2>>>,
    /// What is added to these, `[gates H]`.
    pub gate_bias: Option<Param<Tensor<1>>>,
    /// Logarithms of the rates of decay, one a head or channel.
    pub log_rate: Option<Param<Tensor<1>>>,
    /// Logits of the decay of each neuron, `[H, N]`.
    pub decay_logits: Option<Param<Tensor<2>>>,
}

impl MixerWeights {
    /// The weights of a mixer; `None` for one that learns nothing.
    pub(crate) fn build<F: FnMut(&str, &[usize]) -> TensorData>(
        learns: bool,
        build: &mut ParameterBuilder<'_, F>,
    ) -> Option<Self> {
        learns.then(|| Self {
            gates: build.optional("mixer.gates"),
            gate_bias: build.optional("mixer.gate_bias"),
            log_rate: build.optional("mixer.log_rate"),
            decay_logits: build.optional("mixer.decay_logits"),
        })
    }
}

/// A weight as a tensor.
///
/// # Panics
/// If it is not there.
pub(crate) fn learnt<const R: usize>(name: &str, weight: Option<&Param<Tensor<R>>>) -> Tensor<R> {
    weight
        .map(Param::val)
        .unwrap_or_else(|| panic!("Trunk: the mixer has no weight `{name}`"))
}
