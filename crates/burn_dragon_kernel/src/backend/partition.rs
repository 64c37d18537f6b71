//! Input of a level with reads of parts for a backend: its own tensors, the partitions, and numbers.

use crate::backend::level::Sizes;
use crate::partition::Partition;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

/// A level whose tokens read the memories of their parts.
#[derive(Clone, Debug)]
pub(crate) struct PartitionLevelOn<B: Backend> {
    pub(crate) sizes: Sizes,
    /// `[B, 1, T, D]`.
    pub(crate) v: FloatTensor<B>,
    /// `[H, D, N]`.
    pub(crate) decoder_x: FloatTensor<B>,
    /// `[H, D, N]`.
    pub(crate) decoder_y: FloatTensor<B>,
    /// `[H*N, D]`.
    pub(crate) encoder: FloatTensor<B>,
    /// As many heads for each, in order.
    pub(crate) partitions: Arc<[Partition]>,
    pub(crate) eps: f64,
}

impl<B: Backend> PartitionLevelOn<B> {
    /// Number of heads of a partition.
    pub(crate) fn heads_of_each(&self) -> usize {
        self.sizes.heads / self.partitions.len()
    }
}
