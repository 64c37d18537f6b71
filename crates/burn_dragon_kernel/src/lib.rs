//! Numeric operations of Dragon Hatchling models.
//!
//! Each operation has a folder with the same file names. `mod.rs` is the contract (equation, shapes) and selects an
//! implementation. `reference.rs` is the definition in plain tensor operations, slow and simple. Every other
//! implementation must equal `reference.rs`, in values and gradients.
//!
//! | operation | equation |
//! |---|---|
//! | [`projection`](api::projection) | `x = relu(v W)` |
//! | [`Rotation`](api::Rotation) | pairs `(2i, 2i+1)` turned by `position * frequency_i` |
//! | [`causal_read`](api::causal_read) | `read_t = q_t rho + sum over s < t of (q_t . q_s) v_s` |
//! | [`polar_read`](api::polar_read) | the same where neurons are lengths of vectors that turn |
//! | [`full_read`](api::full_read) | the same over all s |
//! | [`gated_delta`](api::gated_delta) | a recurrence that replaces what a key reads |
//! | [`decayed_mean`](api::decayed_mean) | mean over neurons of the decayed means of what each has seen |
//! | [`selective_scan`](api::selective_scan) | a recurrence of each channel whose steps, writes and reads the tokens choose |
//! | [`state_space`](api::state_space) | a linear read of a memory that fades as the token says |
//! | [`short_convolution`](api::short_convolution) | a weighted sum of a few tokens back, channel by channel, and SiLU |
//! | [`silu_gate`](api::silu_gate) | `y z sigmoid(z)` |
//! | [`Retention`](api::Retention) | factor on each term of a read: `exp(-slope (t - s))`, and 0 across a reset |
//! | [`gated_projection`](api::gated_projection) | `y = relu(a W) * x` |
//! | [`norm`](api::norm) | `(v - mean) / sqrt(variance + eps)` |
//! | [`level`](api::level) | all of these in one: the contribution of a level to the stream, before its norm |
//! | [`perceive`](api::perceive), [`speak`](api::speak) | its halves, before and after the read |
//! | [`partition_level`](api::partition_level) | a level in which each token reads the memory of its part of the tokens |
//! | [`local_grid`](api::local_grid) | read of the memories of neighbours on a grid, then a write of each place to its own |
//! | [`pyramid`](api::pyramid) | the same on patches and coarse cells, with reads and writes between them and hubs |
//! | [`join`](api::join) | `norm(v + norm(u))`: the stream after a contribution u |
//! | [`graph_read`](api::graph::graph_read) | `read_s = sum over edges (s, t) of w q_s rho_t`; its writes, and its factored form |
//! | [`cross_entropy`](api::cross_entropy) | `-log softmax(logits)[target]` |
//! | [`Decode`](api::Decode) | one token of each lane through a whole model, memory in place |
//! | [`LowBitMatrix`](api::low_bit::LowBitMatrix) | a matrix in whole numbers and scales, packed for files and multiplied as it is |
//! | [`DeviceDecode`](api::DeviceDecode) | the same in the memory of a GPU, where tokens are drawn as well |
//! | [`Draw`](api::Draw) | a token from logits: penalty, temperature, top-k, top-p |
//! | [`DropoutMask`](api::DropoutMask) | a neuron is kept if a hash of its index is below a threshold |
//! | [`adamw`](api::adamw) | one optimiser step of a parameter and its moments |
//! | [`newton_schulz`](api::newton_schulz) | nearly semi-orthogonal form of a matrix |
//! | [`hyper_logits`](api::hyper_logits), [`hyper_read`](api::hyper_read), [`hyper_write`](api::hyper_write) | several streams of each token: a mixture is read, another written |
//! | [`sinkhorn`](api::sinkhorn) | small nonnegative matrices whose rows and columns sum to 1 |
//! | [`triangular_solve`](api::triangular_solve) | X of `(I + M) X = R`, where M is below the diagonal |
//! | [`sum_of_squares`](api::sum_of_squares) | sum of the squares of a gradient, for its norm |
//!
//! A backend implements its operations in one trait (`backend/`); `processor.rs` is the implementation for the
//! processor, `gpu.rs` that for GPUs. [`Kernels`](api::Kernels) says which one a device has. [`machine`](api::machine) measures the peak speed of the machine.
//!
//! Shapes use the project's letters: B lanes, T tokens, D model width, H heads, N neurons per head.
//! Wrong shapes are errors of the programmer: the operations panic with the expected and the given shape.

mod activity;
mod adamw;
mod backend;
mod buffer;
mod causal_read;
mod cross_entropy;
mod decayed_mean;
mod decode;
mod draw;
mod dropout;
mod flex;
mod full_read;
mod gated_delta;
mod gated_projection;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
mod graph;
mod heap;
mod hyper;
mod instructions;
mod join;
mod kernels;
mod level;
mod local_grid;
mod low_bit;
#[cfg(not(target_family = "wasm"))]
mod machine;
mod matrix;
mod mix;
mod newton_schulz;
mod norm;
mod parallel;
mod partition;
mod polar_read;
mod processor;
mod projection;
mod pyramid;
mod reach;
mod retention;
mod rotation;
mod selective_scan;
mod short_convolution;
mod silu_gate;
mod simd;
mod sinkhorn;
mod state_space;
mod sum_of_squares;
#[cfg(test)]
mod testing;
mod triangular;

/// Curated names of this crate.
pub mod api {
    pub use crate::activity::Activity;
    pub use crate::adamw::{AdamWStep, Moments, adamw};
    pub use crate::causal_read::{
        Credit, causal_read, causal_read_by_keys, causal_read_by_keys_with_memory, causal_read_with_memory,
    };
    pub use crate::cross_entropy::cross_entropy;
    pub use crate::decayed_mean::{DecayedMean, decayed_mean};
    pub use crate::decode::{
        Ahead, Decode, DecodeKeys, DeviceDecode, DeviceParameters, Drawn, MemoryPrecision, Parameters, Sizes,
        Weights,
    };
    pub use crate::draw::{Draw, NotFinite};
    pub use crate::dropout::DropoutMask;
    pub use crate::full_read::{full_read, full_read_with_memory};
    pub use crate::gated_delta::{GatedDelta, gated_delta};
    pub use crate::gated_projection::gated_projection;
    pub use crate::hyper::{hyper_logits, hyper_read, hyper_write};
    pub use crate::instructions::{Instructions, UnknownInstructions};
    pub use crate::join::join;
    pub use crate::kernels::Kernels;
    pub use crate::level::{
        LevelInput, LevelOutput, LevelWeights, Levels, SharedScale, SpeakInput, level, perceive, speak,
    };
    pub use crate::local_grid::{
        Border, Grid, LocalGridInput, LocalGridOutput, NeighbourShape, Neighbourhood, local_grid,
        local_grid_read, local_grid_write,
    };
    pub use crate::matrix::Precision;
    pub use crate::newton_schulz::newton_schulz;
    pub use crate::norm::norm;
    pub use crate::partition::{Partition, partition_level};
    pub use crate::polar_read::polar_read;
    pub use crate::projection::projection;
    pub use crate::pyramid::{
        Link, Links, OfTokens, Pyramid, PyramidDecay, PyramidInput, PyramidMemory, PyramidOutput,
        PyramidQueries, pyramid,
    };
    pub use crate::reach::Reach;
    pub use crate::retention::{Decay, Resets, Retention, WriteOrder};
    pub use crate::rotation::{Frequencies, Rotation};
    pub use crate::selective_scan::{SelectiveScan, selective_scan};
    pub use crate::short_convolution::{ShortConvolution, short_convolution};
    pub use crate::silu_gate::silu_gate;
    pub use crate::sinkhorn::{SINKHORN_EPS, SinkhornForm, sinkhorn};
    pub use crate::state_space::{StateSpace, state_space};
    pub use crate::sum_of_squares::sum_of_squares;
    pub use crate::triangular::triangular_solve;

    /// Memories of the places of a graph.
    pub mod graph {
        pub use crate::graph::{
            Adjacency, AdjacencyError, Edges, History, Normalisation, PlaceDecay, SelfEdges, graph_read,
            graph_recall, graph_write, place_write,
        };
    }

    /// Weights and activations in whole numbers, and their packed formats.
    pub mod low_bit {
        pub use crate::decode::{InputGroups, LowBit, NeuronInput, RowInput};
        pub use crate::low_bit::{
            Levels, LowBitError, LowBitFormat, LowBitMatrix, Packing, ScaleGroups, hadamard, quantise_row,
        };
    }

    /// Memory of the machine, and its measured peak speed, which is not available in a browser: it has no clock for it.
    pub mod machine {
        pub use crate::heap::{keep_freed_memory, use_huge_pages};
        #[cfg(not(target_family = "wasm"))]
        pub use crate::machine::{Peak, peak_bf16_flops, peak_flops, read_bandwidth, threads};
    }

    /// Reference definitions, against which faster implementations are tested, and parts that other crates build on.
    pub mod expert {
        pub use crate::adamw::reference as adamw_reference;
        pub use crate::causal_read::reference as causal_read_reference;
        pub use crate::cross_entropy::reference as cross_entropy_reference;
        pub use crate::decayed_mean::reference as decayed_mean_reference;
        pub use crate::decode::reference as decode_reference;
        pub use crate::draw::reference as draw_reference;
        pub use crate::full_read::reference as full_read_reference;
        pub use crate::gated_delta::reference as gated_delta_reference;
        pub use crate::gated_projection::reference as gated_projection_reference;
        pub use crate::graph::reference as graph_reference;
        pub use crate::hyper::reference as hyper_reference;
        pub use crate::join::reference as join_reference;
        pub use crate::level::reference as level_reference;
        pub use crate::level::{chunk_length, gpu_chunk_length, straight_through};
        pub use crate::local_grid::reference as local_grid_reference;
        pub use crate::mix::mix;
        pub use crate::newton_schulz::reference as newton_schulz_reference;
        pub use crate::norm::reference as norm_reference;
        pub use crate::partition::reference as partition_reference;
        pub use crate::polar_read::reference as polar_read_reference;
        pub use crate::projection::reference as projection_reference;
        pub use crate::pyramid::reference as pyramid_reference;
        pub use crate::retention::reference as retention_reference;
        pub use crate::rotation::reference as rotation_reference;
        pub use crate::selective_scan::reference as selective_scan_reference;
        pub use crate::short_convolution::reference as short_convolution_reference;
        pub use crate::silu_gate::reference as silu_gate_reference;
        pub use crate::sinkhorn::reference as sinkhorn_reference;
        pub use crate::state_space::reference as state_space_reference;
        pub use crate::sum_of_squares::reference as sum_of_squares_reference;
        pub use crate::triangular::reference as triangular_reference;
    }
}

/// Panics unless `given` is `expected`; `operation` and `what` name the place.
#[track_caller]
pub(crate) fn assert_shape<const R: usize>(
    operation: &str,
    what: &str,
    given: [usize; R],
    expected: [usize; R],
) {
    assert!(
        given == expected,
        "{operation}: {what} has shape {given:?}, expected {expected:?}"
    );
}
