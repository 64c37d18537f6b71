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
    /// Projection of the stream to what a Mamba block works with, `[D, _]`.
    pub in_proj: Option<Param<Tensor<2>>>,
    /// Weights of its short convolution, the oldest token first, `[K, channels]`.
    pub conv: Option<Param<Tensor<2>>>,
    /// What the convolution adds, `[channels]`.
    pub conv_bias: Option<Param<Tensor<1>>>,
    /// Projection of the inner channels to steps and directions, `[E, R + 2 S]`.
    pub x_proj: Option<Param<Tensor<2>>>,
    /// Projection to the steps of the channels, `[R, E]`.
    pub dt_proj: Option<Param<Tensor<2>>>,
    /// What is added to the logits of steps, one a head or channel.
    pub dt_bias: Option<Param<Tensor<1>>>,
    /// Logarithms of the rates of decay of the states of channels, `[S, E]`.
    pub log_rates: Option<Param<Tensor<2>>>,
    /// Share of the input that passes by the recurrence, one a head or channel.
    pub skip: Option<Param<Tensor<1>>>,
    /// Factors behind the norm of the directions of writes, `[S]`.
    pub b_gain: Option<Param<Tensor<1>>>,
    /// Factors behind the norm of the directions of reads, `[S]`.
    pub c_gain: Option<Param<Tensor<1>>>,
    /// What is added to the directions of writes, `[H, S]`.
    pub b_bias: Option<Param<Tensor<2>>>,
    /// What is added to the directions of reads, `[H, S]`.
    pub c_bias: Option<Param<Tensor<2>>>,
    /// Factors behind the norm of the inner channels, `[E]`.
    pub norm_gain: Option<Param<Tensor<1>>>,
    /// Projection of the inner channels to the model width, `[E, D]`.
    pub out_proj: Option<Param<Tensor<2>>>,
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
            in_proj: build.optional("mixer.in_proj"),
            conv: build.optional("mixer.conv"),
            conv_bias: build.optional("mixer.conv_bias"),
            x_proj: build.optional("mixer.x_proj"),
            dt_proj: build.optional("mixer.dt_proj"),
            dt_bias: build.optional("mixer.dt_bias"),
            log_rates: build.optional("mixer.log_rates"),
            skip: build.optional("mixer.skip"),
            b_gain: build.optional("mixer.b_gain"),
            c_gain: build.optional("mixer.c_gain"),
            b_bias: build.optional("mixer.b_bias"),
            c_bias: build.optional("mixer.c_bias"),
            norm_gain: build.optional("mixer.norm_gain"),
            out_proj: build.optional("mixer.out_proj"),
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
