//! Backends with their own implementations: operations of this crate, forward and backward, on a backend's own tensors.
//!
//! A backend with its own kernels implements [`DragonBackend`] and gets a line in `on_backends`. The autodiff graph is
//! written once for all backends, in the `backward.rs` or `graph.rs` of each operation. An operation that no backend
//! takes is computed by its `reference.rs`.

pub(crate) mod adamw;
pub(crate) mod graph;
pub(crate) mod level;
pub(crate) mod local_grid;
pub(crate) mod partition;
pub(crate) mod recurrence;
pub(crate) mod selective_scan;
pub(crate) mod short_convolution;

use crate::decayed_mean::DecayedMeanForm;
use crate::decode::device::{DeviceStreams, ParametersOn};
use crate::hyper::HyperStep;
use crate::retention::Resets;
use crate::sinkhorn::SinkhornForm;
use adamw::AdamWStep;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, NodeGuard, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend};
use burn::tensor::{DType, Int, Tensor};
use graph::{GraphReadOn, GraphRecallOn, GraphWriteOn};
use level::{HalfOn, LevelOn, LevelRun, MemoryOn, Sizes, SpeakOn};
use local_grid::{LocalGridBack, LocalGridGradients, LocalGridOn, LocalGridRun};
use partition::PartitionLevelOn;
use recurrence::{OutputGradients, Ran};
use selective_scan::SelectiveScanOn;
use short_convolution::ShortConvolutionOn;
use std::fmt::Debug;

/// Data that the gradient of an operation needs.
pub(crate) trait Kept: Clone + Send + Debug + 'static {}

impl<T: Clone + Send + Debug + 'static> Kept for T {}

/// Operations that a backend may implement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// [`level`](crate::level::level()).
    Level,
    /// [`perceive`](crate::level::perceive()).
    Perceive,
    /// [`speak`](crate::level::speak()).
    Speak,
    /// [`speak`](crate::level::speak()) that rounds y.
    SpeakInLevels,
    /// [`norm`](crate::norm::norm()).
    Norm,
    /// [`join`](crate::join::join()).
    Join,
    /// [`cross_entropy`](crate::cross_entropy::cross_entropy()).
    CrossEntropy,
    /// Reads and writes of the [memories of a graph](crate::graph).
    Graph,
    /// [`sum_of_squares`](crate::sum_of_squares::sum_of_squares()).
    SumOfSquares,
    /// [`adamw`](crate::adamw::adamw()).
    AdamW,
    /// [`newton_schulz`](crate::newton_schulz::newton_schulz()).
    NewtonSchulz,
    /// [`sinkhorn`](crate::sinkhorn::sinkhorn()).
    Sinkhorn,
    /// Steps of [hyper-connections](crate::hyper).
    Hyper,
    /// Scores of a [polar read](crate::polar_read::polar_read()).
    PolarScores,
    /// [`local_grid`](crate::local_grid::local_grid()).
    LocalGrid,
    /// [`partition_level`](crate::partition::partition_level()).
    PartitionLevel,
    /// [`triangular_solve`](crate::triangular::triangular_solve()).
    TriangularSolve,
    /// [`decayed_mean`](crate::decayed_mean::decayed_mean()).
    DecayedMean,
    /// [`gated_delta`](crate::gated_delta::gated_delta()).
    GatedDelta,
    /// [`selective_scan`](crate::selective_scan::selective_scan()).
    SelectiveScan,
    /// [`short_convolution`](crate::short_convolution::short_convolution()).
    ShortConvolution,
    /// [`silu_gate`](crate::silu_gate::silu_gate()).
    SiluGate,
    /// [`Rotation::rotate`](crate::rotation::Rotation::rotate).
    Rotation,
}

/// A tensor on a backend: its numbers, and its place in the graph of gradients, where it has autodiff.
#[derive(Debug)]
pub(crate) struct On<B: Backend> {
    pub(crate) numbers: FloatTensor<B>,
    pub(crate) node: Option<NodeGuard>,
}

/// Backend with its own implementations. The results of `_back` functions are in the order of the inputs.
///
/// Tensors are passed by value: their memory may be reused for the result, unless another tensor shares it. Gradients
/// may have any memory layout.
pub(crate) trait DragonBackend: Backend {
    /// Data that the gradient of a norm needs.
    type Norm: Kept;
    /// Data that the gradient of a join needs.
    type Join: Kept;
    /// Data that the gradient of a cross entropy needs.
    type CrossEntropy: Kept;
    /// Data that the gradient of a level needs; nothing neuron-wide.
    type Level: Kept;
    /// Data that the gradient of x needs; nothing neuron-wide.
    type Perceive: Kept;
    /// Data that the gradient of the second half of a level needs; nothing neuron-wide.
    type Speak: Kept;
    /// Data that the gradient of a step on a grid needs: its input.
    type LocalGrid: Kept;

    /// Whether the backend implements an operation on numbers of this type.
    fn computes(operation: Operation, dtype: DType) -> bool;

    /// Whether the backend's kernels can count the entries of a level's largest tensors; `chunk` is the largest number of
    /// tokens in a window, where the caller gave it.
    fn fits(_sizes: &Sizes, _chunk: Option<usize>) -> bool {
        true
    }

    /// Whether the backend's kernels for memories of places take tensors of these shapes.
    fn takes(_shapes: &[&[usize]]) -> bool {
        true
    }

    /// The backend's form of a tensor, with autodiff or without; the tensor again if it is on another backend. The
    /// numbers are shared only if the tensor was.
    fn take<const R: usize>(tensor: Tensor<R>) -> Result<On<Self>, Tensor<R>>;

    /// Whether a tensor is on this backend.
    fn has<const R: usize>(tensor: &Tensor<R>) -> bool {
        Self::take(tensor.clone()).is_ok()
    }

    /// The backend's form of an integer tensor, if it is on this backend.
    fn take_int<const R: usize>(tensor: Tensor<R, Int>) -> Option<IntTensor<Self>>;

    /// A tensor without autodiff.
    fn give<const R: usize>(numbers: FloatTensor<Self>) -> Tensor<R>;

    /// A tensor with autodiff.
    fn give_tracked<const R: usize>(tensor: FloatTensor<Autodiff<Self>>) -> Tensor<R>;

    /// `(v - mean) / sqrt(variance + eps)` of each row.
    fn norm(v: FloatTensor<Self>, eps: f64) -> (FloatTensor<Self>, Self::Norm);

    /// The gradient of v.
    fn norm_back(kept: Self::Norm, d: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `norm(v + norm(u))`.
    fn join(v: FloatTensor<Self>, u: FloatTensor<Self>, eps: f64) -> (FloatTensor<Self>, Self::Join);

    /// The gradients of v and u.
    fn join_back(kept: Self::Join, d: FloatTensor<Self>) -> [FloatTensor<Self>; 2];

    /// `[B, T]` from logits `[B, T, V]` and targets `[B, T]`, which are i32 or i64.
    ///
    /// # Panics
    /// If a target is not below V.
    fn cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> (FloatTensor<Self>, Self::CrossEntropy);

    /// The gradient of the logits.
    fn cross_entropy_back(kept: Self::CrossEntropy, d: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Output of a level, and the data that its gradient needs, if `keep`.
    fn level(input: LevelOn<Self>, memory: MemoryOn<Self>, keep: bool) -> LevelRun<Self, Self::Level>;

    /// The gradients of v, decoder_x, decoder_y, encoder, then of the memory before the stream, where gradients pass
    /// it, and last of the slopes. Where they do, d is flat: of u and then of the memory after the stream.
    fn level_back(kept: Self::Level, d: FloatTensor<Self>) -> Vec<FloatTensor<Self>>;

    /// x, `[B, H, T, N]`.
    fn perceive(input: HalfOn<Self>) -> (FloatTensor<Self>, Self::Perceive);

    /// The gradients of v and decoder_x.
    fn perceive_back(kept: Self::Perceive, d: FloatTensor<Self>) -> [FloatTensor<Self>; 2];

    /// Contribution of a level, from its read, and the data that its gradient needs, if `keep`.
    fn speak(input: SpeakOn<Self>, keep: bool) -> LevelRun<Self, Self::Speak>;

    /// The gradients of the read, v, decoder_x, decoder_y and encoder.
    fn speak_back(kept: Self::Speak, d: FloatTensor<Self>) -> [FloatTensor<Self>; 5];

    /// What is read of the memories of a graph, `[B, H, S, D]`. This and the next five are called only where
    /// [`computes`](Self::computes) says that the backend has them.
    fn graph_read(_input: &GraphReadOn<Self>) -> FloatTensor<Self> {
        unreachable!("the backend computes no memories of a graph")
    }

    /// The gradients of q, rho and the gates, where they are wanted.
    fn graph_read_back(
        _input: &GraphReadOn<Self>,
        _d: FloatTensor<Self>,
        _wanted: [bool; 3],
    ) -> [Option<FloatTensor<Self>>; 3] {
        unreachable!("the backend computes no memories of a graph")
    }

    /// The memories after a write, `[B, H, T, N, D]`, from those before.
    fn graph_write(_input: &GraphWriteOn<Self>, _rho: FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("the backend computes no memories of a graph")
    }

    /// The gradients of q, v, rho and the gates, where they are wanted.
    fn graph_write_back(
        _input: &GraphWriteOn<Self>,
        _d: FloatTensor<Self>,
        _wanted: [bool; 4],
    ) -> [Option<FloatTensor<Self>>; 4] {
        unreachable!("the backend computes no memories of a graph")
    }

    /// What is read of one write, `[B, H, S, D]`, and the products of queries and keys, `[B, H, E]`.
    fn graph_recall(_input: &GraphRecallOn<Self>) -> [FloatTensor<Self>; 2] {
        unreachable!("the backend computes no memories of a graph")
    }

    /// The gradients of q, the keys, v and the gates, where they are wanted; `scores` are the products of the forward pass.
    fn graph_recall_back(
        _input: &GraphRecallOn<Self>,
        _scores: FloatTensor<Self>,
        _d: FloatTensor<Self>,
        _wanted: [bool; 4],
    ) -> [Option<FloatTensor<Self>>; 4] {
        unreachable!("the backend computes no memories of a graph")
    }

    /// The sum over all entries, in f64.
    fn sum_of_squares(x: FloatTensor<Self>) -> f64;

    /// A step of AdamW: value, gradient, first and second moment to value and moments.
    fn adamw(tensors: [FloatTensor<Self>; 4], step: &AdamWStep) -> [FloatTensor<Self>; 3];

    /// Newton-Schulz iterations on each of `[M, R, C]`.
    fn newton_schulz(matrices: FloatTensor<Self>, iterations: usize) -> FloatTensor<Self>;

    /// Each of `[M, n, n]` after so many rounds of Sinkhorn.
    fn sinkhorn(_logits: &FloatTensor<Self>, _form: SinkhornForm, _rounds: usize) -> FloatTensor<Self> {
        unreachable!("a backend that computes Sinkhorn has this function")
    }

    /// The gradient of the logits.
    fn sinkhorn_back(
        _logits: &FloatTensor<Self>,
        _d: FloatTensor<Self>,
        _form: SinkhornForm,
        _rounds: usize,
    ) -> FloatTensor<Self> {
        unreachable!("a backend that computes Sinkhorn has this function")
    }

    /// A step of hyper-connections.
    fn hyper(_step: HyperStep, _inputs: &[FloatTensor<Self>]) -> FloatTensor<Self> {
        unreachable!("a backend that computes hyper-connections has this function")
    }

    /// The gradients of the inputs of a step of hyper-connections.
    fn hyper_back(
        _step: HyperStep,
        _inputs: &[FloatTensor<Self>],
        _d: FloatTensor<Self>,
    ) -> Vec<FloatTensor<Self>> {
        unreachable!("a backend that computes hyper-connections has this function")
    }

    /// Pairs turned by the angles with these cosines and sines; `sign` -1 turns back.
    fn rotate(_x: FloatTensor<Self>, _tables: &[FloatTensor<Self>; 2], _sign: f32) -> FloatTensor<Self> {
        unreachable!("a backend that computes rotations has this function")
    }

    /// X of `(I + M) X = R`, `[M, n, D]`.
    fn triangular_solve(_matrix: &FloatTensor<Self>, _right: &FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("a backend that computes triangular solutions has this function")
    }

    /// The gradients of the matrix and of the right side, from the solution and its gradient.
    fn triangular_solve_back(
        _matrix: &FloatTensor<Self>,
        _solution: &FloatTensor<Self>,
        _d: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        unreachable!("a backend that computes triangular solutions has this function")
    }

    /// The reads and the memory of the gated delta rule, and what its gradient needs.
    fn gated_delta(
        _operands: &[FloatTensor<Self>; 5],
        _resets: &Resets,
    ) -> ([FloatTensor<Self>; 2], Vec<FloatTensor<Self>>) {
        unreachable!("a backend that computes the gated delta rule has this function")
    }

    /// The gradients of q, v, beta, the logarithms of decay and the memory; the memory's if it is wanted.
    fn gated_delta_back(
        _ran: &Ran<Self, 5>,
        _resets: &Resets,
        _d: OutputGradients<Self>,
        _memory: bool,
    ) -> [Option<FloatTensor<Self>>; 5] {
        unreachable!("a backend that computes the gated delta rule has this function")
    }

    /// The reads and the memory of a decayed mean.
    fn decayed_mean(_operands: &[FloatTensor<Self>; 4], _form: &DecayedMeanForm) -> [FloatTensor<Self>; 2] {
        unreachable!("a backend that computes decayed means has this function")
    }

    /// The gradients of q, v, `log_decay` and the memory; the memory's if it is wanted.
    fn decayed_mean_back(
        _operands: &[FloatTensor<Self>; 4],
        _read: &FloatTensor<Self>,
        _form: &DecayedMeanForm,
        _d: OutputGradients<Self>,
        _memory: bool,
    ) -> [Option<FloatTensor<Self>>; 4] {
        unreachable!("a backend that computes decayed means has this function")
    }

    /// Polar scores, `[B, H, T, T]`, from lengths, phases, cosines and sines.
    fn polar_scores(_inputs: &[FloatTensor<Self>; 4]) -> FloatTensor<Self> {
        unreachable!("a backend that computes polar scores has this function")
    }

    /// The gradients of lengths and phases.
    fn polar_scores_back(_inputs: &[FloatTensor<Self>; 4], _d: FloatTensor<Self>) -> [FloatTensor<Self>; 2] {
        unreachable!("a backend that computes polar scores has this function")
    }

    /// A step on a grid, and the data that its gradient needs, if `keep`.
    fn local_grid(_input: LocalGridOn<Self>, _keep: bool) -> LocalGridRun<Self, Self::LocalGrid> {
        unreachable!("a backend that computes steps on a grid has this function")
    }

    /// The gradients of query, memory, value and slopes.
    fn local_grid_back(_kept: Self::LocalGrid, _back: LocalGridBack<Self>) -> LocalGridGradients<Self> {
        unreachable!("a backend that computes steps on a grid has this function")
    }

    /// Contribution of a level with reads of parts, `[B, 1, T, D]`.
    fn partition_level(_input: &PartitionLevelOn<Self>) -> FloatTensor<Self> {
        unreachable!("a backend that computes levels with reads of parts has this function")
    }

    /// The gradients of v, decoder_x, decoder_y and encoder.
    fn partition_level_back(
        _input: &PartitionLevelOn<Self>,
        _d: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4] {
        unreachable!("a backend that computes levels with reads of parts has this function")
    }

    /// Outputs of a scan and its states after the window, `[B, T + S, E]`; if asked for, what its gradient needs.
    fn selective_scan(
        _input: &SelectiveScanOn<Self>,
        _keep: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        unreachable!("a backend that computes selective scans has this function")
    }

    /// The gradients of x, logits, rates, b, c, skip and memory.
    fn selective_scan_back(
        _input: &SelectiveScanOn<Self>,
        _kept: FloatTensor<Self>,
        _d: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 7] {
        unreachable!("a backend that computes selective scans has this function")
    }

    /// Outputs of a short convolution, `[B, T, E]`.
    fn short_convolution(_input: &ShortConvolutionOn<Self>) -> FloatTensor<Self> {
        unreachable!("a backend that computes short convolutions has this function")
    }

    /// The gradients of x, taps, bias and tail.
    fn short_convolution_back(
        _input: &ShortConvolutionOn<Self>,
        _d: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4] {
        unreachable!("a backend that computes short convolutions has this function")
    }

    /// `y z sigmoid(z)`.
    fn silu_gate(_y: &FloatTensor<Self>, _z: &FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("a backend that computes gates of SiLU has this function")
    }

    /// The gradients of y and z.
    fn silu_gate_back(
        _y: FloatTensor<Self>,
        _z: FloatTensor<Self>,
        _d: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        unreachable!("a backend that computes gates of SiLU has this function")
    }

    /// Streams that decode in the backend's memory, with an empty memory; none if the backend has no kernels for them.
    fn decode(_parameters: ParametersOn<Self>, _lanes: usize) -> Option<Box<dyn DeviceStreams>> {
        None
    }
}

/// The functions of a [`DragonBackend`] that pass its tensors from and to Burn's.
macro_rules! conversions {
    ($backend:ty) => {
        fn take<const R: usize>(tensor: Tensor<R>) -> Result<$crate::backend::On<Self>, Tensor<R>> {
            if tensor.is_autodiff() {
                // The handle goes before the parts are used, so that the numbers have one owner, if there is no other.
                let Ok(tracked) =
                    Tensor::<R, Float>::try_into_primitive::<Autodiff<$backend>>(tensor.clone())
                else {
                    return Err(tensor);
                };
                let (numbers, node) = tracked.into_parts();
                Ok($crate::backend::On {
                    numbers,
                    node: Some(node),
                })
            } else {
                let numbers = Tensor::<R, Float>::try_into_primitive::<$backend>(tensor.clone());
                let numbers = numbers.map_err(|_| tensor)?;
                Ok($crate::backend::On {
                    numbers,
                    node: None,
                })
            }
        }

        fn take_int<const R: usize>(tensor: Tensor<R, Int>) -> Option<IntTensor<Self>> {
            Tensor::<R, Int>::try_into_primitive::<$backend>(tensor.inner()).ok()
        }

        fn give<const R: usize>(numbers: FloatTensor<Self>) -> Tensor<R> {
            Tensor::<R, Float>::from_primitive::<$backend>(numbers)
        }

        fn give_tracked<const R: usize>(tensor: FloatTensor<Autodiff<Self>>) -> Tensor<R> {
            Tensor::<R, Float>::from_primitive::<Autodiff<$backend>>(tensor)
        }
    };
}
pub(crate) use conversions;

/// Calls a function with each backend that has implementations of its own, until one takes the input; otherwise gives
/// the error of the last, which is the input again.
///
/// A new backend is another `.or_else(|$input| { type $B = Backend; $call })` here.
#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
macro_rules! on_backends {
    ($B:ident, $input:ident = $value:expr => $call:expr) => {{
        let $input = $value;
        type $B = burn::backend::Flex;
        $call
    }};
}

/// The processor, then the GPU.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
macro_rules! on_backends {
    ($B:ident, $input:ident = $value:expr => $call:expr) => {{
        let $input = $value;
        let on_the_processor = {
            type $B = burn::backend::Flex;
            $call
        };
        on_the_processor.or_else(|$input| {
            type $B = burn_cubecl::CubeBackend;
            $call
        })
    }};
}
pub(crate) use on_backends;

/// Output of an operation on some tensors, recorded with the data that its gradient needs.
pub(crate) fn record<B, O, const N: usize>(
    backward: O,
    nodes: [NodeGuard; N],
    state: O::State,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B>>
where
    B: DragonBackend,
    O: Backward<B, N>,
{
    match backward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
