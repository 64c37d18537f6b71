//! Input of a short convolution for a backend: its own tensors, and the resets.

use crate::retention::Resets;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// A convolution; shapes as in [`ShortConvolution`](crate::api::ShortConvolution).
#[derive(Clone, Debug)]
pub(crate) struct ShortConvolutionOn<B: Backend> {
    pub(crate) x: FloatTensor<B>,
    pub(crate) taps: FloatTensor<B>,
    pub(crate) bias: FloatTensor<B>,
    pub(crate) tail: FloatTensor<B>,
    pub(crate) resets: Resets,
}
