//! GPUs: Burn's CubeCL backend (CUDA, Vulkan, Metal, WebGPU), with the kernels of this crate.
//!
//! One source for every device. A kernel assumes a cube of 256 units and 32 KiB of shared memory, and nothing about the
//! width of a plane, about tensor cores or about bf16.
//!
//! Burn's fusion stays off. What it would fuse is one launch here already; it would put a graph of its own before every
//! operation, and its handles would hide whether a tensor has another owner, so that AdamW could not work in place.

pub(crate) mod array;
mod plain;
pub(crate) mod product;
pub(crate) mod reduce;

use crate::backend::adamw::AdamWStep;
use crate::backend::graph::{GraphReadOn, GraphRecallOn, GraphWriteOn};
use crate::backend::level::{HalfOn, LevelOn, LevelRun, MemoryOn, Sizes, SpeakOn};
use crate::backend::local_grid::{LocalGridBack, LocalGridGradients, LocalGridOn, LocalGridRun};
use crate::backend::{DragonBackend, Operation, conversions};
use crate::decode::device::{DeviceStreams, ParametersOn};
use crate::{
    adamw, cross_entropy, decode, graph, join, level, local_grid, newton_schulz, norm, sum_of_squares,
};
use burn::backend::Autodiff;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, Float, Int, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

/// Entries of the largest tensor of an operation on memories: a launch may have more units than that, which are counted in
/// 32 bits.
const MOST_ENTRIES: usize = 1 << 31;

impl DragonBackend for CubeBackend {
    type Norm = norm::cube::Normed;
    type Join = join::cube::Joined;
    type CrossEntropy = cross_entropy::cube::Rows;
    type Level = level::cube::Kept;
    type Perceive = level::cube::Perceived;
    type Speak = level::cube::Spoken;
    type LocalGrid = local_grid::cube::Kept;

    fn computes(operation: Operation, dtype: DType) -> bool {
        match operation {
            Operation::Norm | Operation::Join | Operation::CrossEntropy => {
                matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
            }
            Operation::PartitionLevel
            | Operation::SpeakInLevels
            | Operation::Sinkhorn
            | Operation::Hyper
            | Operation::PolarScores
            | Operation::TriangularSolve
            | Operation::DecayedMean
            | Operation::GatedDelta
            | Operation::SelectiveScan
            | Operation::ShortConvolution
            | Operation::SiluGate
            | Operation::Rotation => false,
            _ => dtype == DType::F32,
        }
    }

    /// Kernels count entries in 32 bits.
    fn fits(sizes: &Sizes, chunk: Option<usize>) -> bool {
        let most = |shape: [usize; 4]| {
            let entries = shape.into_iter().map(|size| size as u128).product::<u128>();
            entries <= u128::from(u32::MAX)
        };
        let window = level::cube::window_length(*sizes, chunk);
        most(sizes.activities()) && most(sizes.memory()) && most([sizes.lanes, sizes.heads, window, window])
    }

    fn takes(shapes: &[&[usize]]) -> bool {
        shapes.iter().all(|shape| {
            let entries = shape
                .iter()
                .try_fold(1, |all: usize, size| all.checked_mul(*size));
            entries.is_some_and(|entries| (1..=MOST_ENTRIES).contains(&entries))
        })
    }

    conversions!(CubeBackend);

    fn norm(v: CubeTensor, eps: f64) -> (CubeTensor, Self::Norm) {
        let normed = norm::cube::norm(v, eps);
        (normed.a.clone(), normed)
    }

    fn norm_back(kept: Self::Norm, d: CubeTensor) -> CubeTensor {
        norm::cube::norm_back(kept, d)
    }

    fn join(v: CubeTensor, u: CubeTensor, eps: f64) -> (CubeTensor, Self::Join) {
        let joined = join::cube::join(v, u, eps);
        (joined.stream.clone(), joined)
    }

    fn join_back(kept: Self::Join, d: CubeTensor) -> [CubeTensor; 2] {
        join::cube::join_back(kept, d)
    }

    fn cross_entropy(logits: CubeTensor, targets: CubeTensor) -> (CubeTensor, Self::CrossEntropy) {
        cross_entropy::cube::cross_entropy(logits, targets)
    }

    fn cross_entropy_back(kept: Self::CrossEntropy, d: CubeTensor) -> CubeTensor {
        cross_entropy::cube::cross_entropy_back(kept, d)
    }

    fn level(input: LevelOn<Self>, memory: MemoryOn<Self>, keep: bool) -> LevelRun<Self, Self::Level> {
        level::cube::level(input, memory, keep)
    }

    fn level_back(kept: Self::Level, d: CubeTensor) -> Vec<CubeTensor> {
        level::cube::level_back(&kept, d)
    }

    fn perceive(input: HalfOn<Self>) -> (CubeTensor, Self::Perceive) {
        level::cube::perceive(input)
    }

    fn perceive_back(kept: Self::Perceive, d: CubeTensor) -> [CubeTensor; 2] {
        level::cube::perceive_back(&kept, d)
    }

    fn speak(input: SpeakOn<Self>, keep: bool) -> LevelRun<Self, Self::Speak> {
        level::cube::speak(input, keep)
    }

    fn speak_back(kept: Self::Speak, d: CubeTensor) -> [CubeTensor; 5] {
        level::cube::speak_back(&kept, d)
    }

    fn graph_read(input: &GraphReadOn<Self>) -> CubeTensor {
        graph::cube::read(input)
    }

    fn graph_read_back(
        input: &GraphReadOn<Self>,
        d: CubeTensor,
        wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        graph::cube::read_back(input, d, wanted)
    }

    fn graph_write(input: &GraphWriteOn<Self>, rho: CubeTensor) -> CubeTensor {
        graph::cube::write(input, rho)
    }

    fn graph_write_back(
        input: &GraphWriteOn<Self>,
        d: CubeTensor,
        wanted: [bool; 4],
    ) -> [Option<CubeTensor>; 4] {
        graph::cube::write_back(input, d, wanted)
    }

    fn graph_recall(input: &GraphRecallOn<Self>) -> [CubeTensor; 2] {
        graph::cube::recall(input)
    }

    fn graph_recall_back(
        input: &GraphRecallOn<Self>,
        scores: CubeTensor,
        d: CubeTensor,
        wanted: [bool; 4],
    ) -> [Option<CubeTensor>; 4] {
        graph::cube::recall_back(input, &scores, d, wanted)
    }

    fn sum_of_squares(x: CubeTensor) -> f64 {
        sum_of_squares::cube::sum_of_squares(x)
    }

    fn adamw(tensors: [CubeTensor; 4], step: &AdamWStep) -> [CubeTensor; 3] {
        adamw::cube::adamw(tensors, step)
    }

    fn newton_schulz(matrices: CubeTensor, iterations: usize) -> CubeTensor {
        newton_schulz::cube::newton_schulz(matrices, iterations)
    }

    fn local_grid(input: LocalGridOn<Self>, keep: bool) -> LocalGridRun<Self, Self::LocalGrid> {
        local_grid::cube::local_grid(input, keep)
    }

    fn local_grid_back(kept: Self::LocalGrid, back: LocalGridBack<Self>) -> LocalGridGradients<Self> {
        local_grid::cube::local_grid_back(&kept, back)
    }

    fn decode(parameters: ParametersOn<Self>, lanes: usize) -> Option<Box<dyn DeviceStreams>> {
        decode::cube::streams(parameters, lanes)
    }
}

#[cfg(test)]
pub(crate) mod tests;
