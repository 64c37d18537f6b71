//! Residual convolutions: a control for the backbones with memories, and a teacher.
//!
//! ```text
//! v = v + W2 * gelu(norm(W1 * gelu(norm(v))))            3 x 3 patches, a block of weights for each step
//! ```
//!
//! Steps after the last block change nothing.

use super::config::ModelConfig;
use super::step::{Backbone, State, StepPass};
use crate::error::VisionError;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData, activation};
use burn_dragon_core::api::TensorShape;
use burn_dragon_core::api::expert::{ParameterBuilder, norm};
use burn_dragon_core::api::structured::StepMode;

/// Patches that a convolution reads: itself and its eight neighbours.
const PATCHES: usize = 9;

/// Weights of the blocks.
#[derive(Module, Debug)]
pub struct Convolutions {
    /// First convolution of each block, `[9 D, D]`, neighbours row by row.
    pub first: Vec<Param<Tensor<2>>>,
    /// Second convolution of each block, `[9 D, D]`.
    pub second: Vec<Param<Tensor<2>>>,
}

/// The blocks in a pass.
#[derive(Clone, Copy, Debug)]
pub struct ConvolutionSteps<'a> {
    convolutions: &'a Convolutions,
    config: &'a ModelConfig,
}

/// Names and shapes of the weights.
pub(super) fn tensors(config: &ModelConfig) -> Vec<TensorShape> {
    let shape = [PATCHES * config.d_model, config.d_model];
    let of = |which: &'static str| {
        (0..config.n_levels).map(move |block| TensorShape::new(name(which, block), shape))
    };
    of("first").chain(of("second")).collect()
}

fn name(which: &str, block: usize) -> String {
    format!("convolutions.{which}.{block}")
}

impl Convolutions {
    pub(super) fn build<F: FnMut(&str, &[usize]) -> TensorData>(
        config: &ModelConfig,
        build: &mut ParameterBuilder<'_, F>,
    ) -> Self {
        let mut of = |which| {
            (0..config.n_levels)
                .map(|block| build.parameter(&name(which, block)))
                .collect()
        };
        Self {
            first: of("first"),
            second: of("second"),
        }
    }

    pub(super) fn steps<'a>(&'a self, config: &'a ModelConfig) -> ConvolutionSteps<'a> {
        ConvolutionSteps {
            convolutions: self,
            config,
        }
    }
}

impl ConvolutionSteps<'_> {
    /// `W * gelu(norm(v))`, `[B, P, D]`.
    fn convolve(&self, v: Tensor<3>, weight: &Param<Tensor<2>>) -> Tensor<3> {
        let [lanes, patches, d] = v.dims();
        let (height, width) = (self.config.grid().height, self.config.grid().width);
        let x = activation::gelu(norm(v, self.config.norm_eps)).reshape([lanes, height, width, d]);
        let edge = |shape: [usize; 4]| Tensor::zeros(shape, (&x.device(), x.dtype()));
        let (top, side) = (edge([lanes, 1, width, d]), edge([lanes, height + 2, 1, d]));
        let x = Tensor::cat(vec![top.clone(), x.clone(), top], 1);
        let x = Tensor::cat(vec![side.clone(), x, side], 2); // [B, height + 2, width + 2, D]
        let shifted = |index: usize| x.clone().narrow(1, index / 3, height).narrow(2, index % 3, width);
        let around = Tensor::cat((0..PATCHES).map(shifted).collect(), 3);
        around
            .reshape([lanes * patches, PATCHES * d])
            .matmul(weight.val())
            .reshape([lanes, patches, d])
    }
}

impl Backbone for ConvolutionSteps<'_> {
    fn start(&self, v: Tensor<4>) -> State {
        State::of_patches(v)
    }

    fn step(&self, state: &mut State, mode: StepMode, _pass: StepPass) -> Result<(), VisionError> {
        let stream = state.stream();
        let [lanes, _, patches, d] = stream.dims();
        let blocks = self.convolutions.first.iter().zip(&self.convolutions.second);
        let next = match blocks.into_iter().nth(state.steps()) {
            None => stream,
            Some((first, second)) => {
                let v = stream.reshape([lanes, patches, d]);
                let u = self.convolve(self.convolve(v.clone(), first), second);
                (v + u).reshape([lanes, 1, patches, d])
            }
        };
        state.advance(next, mode);
        Ok(())
    }

    fn summary(&self, state: &State) -> Result<Tensor<2>, VisionError> {
        let stream = norm(state.stream(), self.config.norm_eps);
        let [lanes, _, _, d] = stream.dims();
        Ok(stream.mean_dim(2).reshape([lanes, d]))
    }
}
