//! Input of a selective scan for a backend: its own tensors, and the resets.

use crate::retention::Resets;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// A scan; shapes as in [`SelectiveScan`](crate::api::SelectiveScan).
#[derive(Clone, Debug)]
pub(crate) struct SelectiveScanOn<B: Backend> {
    pub(crate) x: FloatTensor<B>,
    pub(crate) logits: FloatTensor<B>,
    pub(crate) rates: FloatTensor<B>,
    pub(crate) b: FloatTensor<B>,
    pub(crate) c: FloatTensor<B>,
    pub(crate) skip: FloatTensor<B>,
    pub(crate) memory: FloatTensor<B>,
    pub(crate) resets: Resets,
}
