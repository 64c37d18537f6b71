//! What a norm learns.

use super::NormConfig;
use crate::initial::ParameterBuilder;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

/// Weights of a norm, shared by all its sites; those of other kinds are `None`. In files they are called `norm.gain` and so
/// on.
#[derive(Module, Debug)]
pub struct NormWeights {
    /// Factor of each dimension, `[D]`.
    pub gain: Option<Param<Tensor<1>>>,
    /// What is added to each dimension, `[D]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Factor before the function, `[1]`.
    pub alpha: Option<Param<Tensor<1>>>,
    /// What is added before the function, `[1]`.
    pub shift: Option<Param<Tensor<1>>>,
}

impl NormWeights {
    /// The weights of a norm; `None` for one that learns nothing.
    pub(crate) fn build<F: FnMut(&str, &[usize]) -> TensorData>(
        config: NormConfig,
        build: &mut ParameterBuilder<'_, F>,
    ) -> Option<Self> {
        (!config.tensors(1).is_empty()).then(|| Self {
            gain: build.optional("norm.gain"),
            bias: build.optional("norm.bias"),
            alpha: build.optional("norm.alpha"),
            shift: build.optional("norm.shift"),
        })
    }
}
