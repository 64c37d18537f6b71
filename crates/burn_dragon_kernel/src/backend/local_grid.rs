//! A step on a grid, on a backend's tensors.

use crate::local_grid::Neighbours;
use crate::retention::WriteOrder;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

/// Sizes of a step on a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GridSizes {
    pub(crate) lanes: usize,
    pub(crate) heads: usize,
    pub(crate) places: usize,
    pub(crate) neurons: usize,
    pub(crate) width: usize,
}

impl GridSizes {
    /// Heads of all lanes.
    pub(crate) fn planes(&self) -> usize {
        self.lanes * self.heads
    }

    /// Numbers in the memory of a place.
    pub(crate) fn memory(&self) -> usize {
        self.neurons * self.width
    }
}

/// The write of a step.
#[derive(Clone, Debug)]
pub(crate) struct WriteOn<B: Backend> {
    /// `[B, H, P, D]` or `[B, 1, P, D]`.
    pub(crate) value: FloatTensor<B>,
    /// Whether all heads write the same values.
    pub(crate) shared: bool,
    /// Decay factor of each head.
    pub(crate) factors: Vec<f32>,
    pub(crate) order: WriteOrder,
}

/// A step on a grid: a read, a write, or both.
#[derive(Clone, Debug)]
pub(crate) struct LocalGridOn<B: Backend> {
    pub(crate) sizes: GridSizes,
    /// `[B, H, P, N]`.
    pub(crate) query: FloatTensor<B>,
    /// `[B, H, P, N, D]`.
    pub(crate) rho: FloatTensor<B>,
    pub(crate) reads: Option<Arc<Neighbours>>,
    pub(crate) write: Option<WriteOn<B>>,
}

/// Output of a step on a grid.
#[derive(Debug)]
pub(crate) struct LocalGridRun<B: Backend, K> {
    /// `[B, H, P, D]`, if it reads.
    pub(crate) read: Option<FloatTensor<B>>,
    /// `[B, H, P, N, D]`, if it writes.
    pub(crate) memory: Option<FloatTensor<B>>,
    /// Data that the gradient needs, if requested.
    pub(crate) kept: Option<K>,
}

/// Gradients of the outputs of a step, and those that are needed of its inputs.
#[derive(Debug)]
pub(crate) struct LocalGridBack<B: Backend> {
    /// Gradient of the read; `None` if nothing depends on it.
    pub(crate) read: Option<FloatTensor<B>>,
    /// Gradient of the memory after the step; `None` if nothing depends on it.
    pub(crate) memory: Option<FloatTensor<B>>,
    /// Whether that of the memory before the step is needed.
    pub(crate) needs_rho: bool,
    /// Whether those of the slopes are needed.
    pub(crate) needs_slopes: bool,
}

/// Gradients of the inputs of a step.
#[derive(Debug)]
pub(crate) struct LocalGridGradients<B: Backend> {
    pub(crate) query: FloatTensor<B>,
    /// If it is needed.
    pub(crate) rho: Option<FloatTensor<B>>,
    /// If the step writes.
    pub(crate) value: Option<FloatTensor<B>>,
    /// `[H]`, if they are needed.
    pub(crate) slopes: Option<FloatTensor<B>>,
}
