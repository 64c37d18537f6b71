//! Input and output of a level and its halves for a backend: its own tensors, and numbers.

use crate::causal_read::Credit;
use crate::dropout::DropoutMask;
use crate::level::Levels;
use crate::matrix::Precision;
use crate::reach::Reach;
use crate::retention::Resets;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// Sizes of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) lanes: usize,
    pub(crate) heads: usize,
    pub(crate) tokens: usize,
    pub(crate) neurons: usize,
    pub(crate) width: usize,
}

impl Sizes {
    /// The shape of the stream.
    pub(crate) fn stream(&self) -> [usize; 4] {
        [self.lanes, 1, self.tokens, self.width]
    }

    /// The shape of what heads read.
    pub(crate) fn read(&self) -> [usize; 4] {
        [self.lanes, self.heads, self.tokens, self.width]
    }

    /// The shape of activities.
    pub(crate) fn activities(&self) -> [usize; 4] {
        [self.lanes, self.heads, self.tokens, self.neurons]
    }

    /// The shape of a memory.
    pub(crate) fn memory(&self) -> [usize; 4] {
        [self.lanes, self.heads, self.neurons, self.width]
    }

    /// The shape of decoder_x and of decoder_y.
    pub(crate) fn decoder(&self) -> [usize; 3] {
        [self.heads, self.width, self.neurons]
    }

    /// The shape of the encoder.
    pub(crate) fn encoder(&self) -> [usize; 2] {
        [self.heads * self.neurons, self.width]
    }
}

/// Packed weights of a backend, each kind made once for all levels of a pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaidOut(Arc<Mutex<Vec<Arc<dyn Any + Send + Sync>>>>);

impl LaidOut {
    /// Packed weights of a kind; made by `make` on first use.
    pub(crate) fn get<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = kinds.iter().find_map(|kind| kind.clone().downcast::<T>().ok());
        made.unwrap_or_else(|| {
            let made = Arc::new(make());
            kinds.push(made.clone());
            made
        })
    }
}

/// The weights of a level.
#[derive(Debug)]
pub(crate) struct WeightsOn<B: Backend> {
    /// `[H, D, N]`.
    pub(crate) decoder_x: FloatTensor<B>,
    /// `[H, D, N]`.
    pub(crate) decoder_y: FloatTensor<B>,
    /// `[H*N, D]`.
    pub(crate) encoder: FloatTensor<B>,
    /// Packed weights of this backend, if they were made before.
    pub(crate) laid_out: LaidOut,
}

/// Stream and weights, from which x is computed.
#[derive(Debug)]
pub(crate) struct HalfOn<B: Backend> {
    pub(crate) sizes: Sizes,
    /// `[B, 1, T, D]`.
    pub(crate) v: FloatTensor<B>,
    pub(crate) weights: WeightsOn<B>,
    pub(crate) precision: Precision,
}

/// A level.
#[derive(Debug)]
pub(crate) struct LevelOn<B: Backend> {
    pub(crate) half: HalfOn<B>,
    /// Cosines and sines of the pairs' angles, `[1 or B, 1, T, N/2]`.
    pub(crate) angles: [FloatTensor<B>; 2],
    pub(crate) eps: f64,
    pub(crate) dropout: Option<DropoutMask>,
    /// Slopes of the heads, if memory decays.
    pub(crate) slopes: Option<Vec<f64>>,
    /// Whether gradients of the slopes are needed.
    pub(crate) learns_slopes: bool,
    pub(crate) resets: Resets,
    pub(crate) credit: Credit,
    pub(crate) reach: Reach,
    pub(crate) chunk: Option<usize>,
    /// Whether active neurons are counted; a backend may count them anyway.
    #[cfg_attr(
        not(any(feature = "wgpu", feature = "cuda")),
        expect(dead_code, reason = "the processor counts without extra work")
    )]
    pub(crate) count: bool,
}

/// Input of the part after the read.
#[derive(Debug)]
pub(crate) struct SpeakOn<B: Backend> {
    pub(crate) half: HalfOn<B>,
    /// `[B, H, T, D]`.
    pub(crate) read: FloatTensor<B>,
    /// Epsilon of the norm of the read; none if it is normed already.
    pub(crate) norm: Option<f64>,
    /// Levels that y is rounded to, on a backend that does so; their scales are of tokens or of heads.
    pub(crate) levels: Option<Levels>,
    pub(crate) dropout: Option<DropoutMask>,
    /// Whether active neurons are counted; a backend may count them anyway.
    #[cfg_attr(
        not(any(feature = "wgpu", feature = "cuda")),
        expect(dead_code, reason = "the processor counts without extra work")
    )]
    pub(crate) count: bool,
}

/// The memory before a stream, `[B, H, N, D]`.
#[derive(Debug)]
pub(crate) enum MemoryOn<B: Backend> {
    /// No memory, before or after the stream.
    None,
    /// Without gradients: extended in place, unless another tensor shares it.
    Extended(FloatTensor<B>),
    /// No gradients pass through it, but gradients of the stream need its value before the stream.
    Constant(FloatTensor<B>),
    /// Gradients pass through it: the memory after the stream is part of the output.
    Passed(FloatTensor<B>),
}

/// Output of a level.
#[derive(Debug)]
pub(crate) struct LevelRun<B: Backend, K> {
    /// Contribution, `[B, 1, T, D]`; flat and followed by the memory after the stream, if gradients pass through that.
    pub(crate) u: FloatTensor<B>,
    /// Memory after the stream, if there is one and gradients do not pass through it.
    pub(crate) memory: Option<FloatTensor<B>>,
    /// Numbers of entries of x and of y above zero, where they were asked for.
    pub(crate) active: [u64; 2],
    /// Data that the gradient needs, if requested.
    pub(crate) kept: Option<K>,
}
