//! The processor: Burn's Flex backend, with the implementations of this crate in f32.

use crate::backend::adamw::AdamWStep;
use crate::backend::graph::{GraphReadOn, GraphRecallOn, GraphWriteOn};
use crate::backend::level::{HalfOn, LevelOn, LevelRun, MemoryOn, SpeakOn};
use crate::backend::local_grid::{LocalGridBack, LocalGridGradients, LocalGridOn, LocalGridRun};
use crate::backend::partition::PartitionLevelOn;
use crate::backend::recurrence::{OutputGradients, Ran};
use crate::backend::selective_scan::SelectiveScanOn;
use crate::backend::short_convolution::ShortConvolutionOn;
use crate::backend::{DragonBackend, Operation, conversions};
use crate::decayed_mean::DecayedMeanForm;
use crate::flex::{contiguous, tensor};
use crate::hyper::HyperStep;
use crate::level::{backward, cpu, halves};
use crate::retention::Resets;
use crate::sinkhorn::SinkhornForm;
use crate::{
    adamw, cross_entropy, decayed_mean, gated_delta, graph, hyper, join, local_grid, newton_schulz, norm,
    partition, polar_read, rotation, selective_scan, short_convolution, silu_gate, sinkhorn, sum_of_squares,
    triangular,
};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Float, Int, Tensor};
use burn_flex::FlexTensor;

impl DragonBackend for Flex {
    type Norm = norm::cpu::Normed;
    type Join = join::cpu::Joined;
    type CrossEntropy = cross_entropy::cpu::Rows;
    type Level = cpu::Kept;
    type Perceive = halves::Perceived;
    type Speak = halves::Spoken;
    type LocalGrid = local_grid::cpu::Kept;

    fn computes(_: Operation, dtype: DType) -> bool {
        dtype == DType::F32
    }

    conversions!(Flex);

    fn norm(v: FlexTensor, eps: f64) -> (FlexTensor, Self::Norm) {
        norm::cpu::norm(contiguous(v), eps)
    }

    fn norm_back(kept: Self::Norm, d: FlexTensor) -> FlexTensor {
        norm::cpu::norm_back(&kept, contiguous(d))
    }

    fn join(v: FlexTensor, u: FlexTensor, eps: f64) -> (FlexTensor, Self::Join) {
        let joined = join::cpu::join(contiguous(v), contiguous(u), eps);
        (joined.stream.clone(), joined)
    }

    fn join_back(kept: Self::Join, d: FlexTensor) -> [FlexTensor; 2] {
        join::cpu::join_back(kept, contiguous(d))
    }

    fn cross_entropy(logits: FlexTensor, targets: FlexTensor) -> (FlexTensor, Self::CrossEntropy) {
        let shape = targets.layout().shape().clone();
        let rows = cross_entropy::cpu::Rows::new(contiguous(logits), &contiguous(targets));
        (tensor(rows.losses(), shape), rows)
    }

    fn cross_entropy_back(kept: Self::CrossEntropy, d: FlexTensor) -> FlexTensor {
        kept.back(contiguous(d).storage())
    }

    fn level(input: LevelOn<Self>, memory: MemoryOn<Self>, keep: bool) -> LevelRun<Self, Self::Level> {
        cpu::level(input, memory, keep)
    }

    fn level_back(kept: Self::Level, d: FlexTensor) -> Vec<FlexTensor> {
        backward::level_back(&kept, &contiguous(d))
    }

    fn perceive(input: HalfOn<Self>) -> (FlexTensor, Self::Perceive) {
        halves::perceive(input)
    }

    fn perceive_back(kept: Self::Perceive, d: FlexTensor) -> [FlexTensor; 2] {
        halves::perceive_back(&kept, &contiguous(d))
    }

    fn speak(input: SpeakOn<Self>, keep: bool) -> LevelRun<Self, Self::Speak> {
        halves::speak(input, keep)
    }

    fn speak_back(kept: Self::Speak, d: FlexTensor) -> [FlexTensor; 5] {
        halves::speak_back(&kept, &contiguous(d))
    }

    fn graph_read(input: &GraphReadOn<Self>) -> FlexTensor {
        graph::cpu::read(input)
    }

    fn graph_read_back(
        input: &GraphReadOn<Self>,
        d: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        graph::cpu::read_back(input, contiguous(d), wanted)
    }

    fn graph_write(input: &GraphWriteOn<Self>, rho: FlexTensor) -> FlexTensor {
        graph::cpu::write(input, contiguous(rho))
    }

    fn graph_write_back(
        input: &GraphWriteOn<Self>,
        d: FlexTensor,
        wanted: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        graph::cpu::write_back(input, contiguous(d), wanted)
    }

    fn graph_recall(input: &GraphRecallOn<Self>) -> [FlexTensor; 2] {
        graph::cpu::recall(input)
    }

    fn graph_recall_back(
        input: &GraphRecallOn<Self>,
        scores: FlexTensor,
        d: FlexTensor,
        wanted: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        graph::cpu::recall_back(input, &scores, contiguous(d), wanted)
    }

    fn sum_of_squares(x: FlexTensor) -> f64 {
        sum_of_squares::cpu::sum_of_squares(&contiguous(x))
    }

    fn adamw(tensors: [FlexTensor; 4], step: &AdamWStep) -> [FlexTensor; 3] {
        adamw::cpu::adamw(tensors.map(contiguous), step)
    }

    fn newton_schulz(matrices: FlexTensor, iterations: usize) -> FlexTensor {
        newton_schulz::cpu::newton_schulz(contiguous(matrices), iterations)
    }

    fn sinkhorn(logits: &FlexTensor, form: SinkhornForm, rounds: usize) -> FlexTensor {
        sinkhorn::cpu::sinkhorn(&contiguous(logits.clone()), form, rounds)
    }

    fn sinkhorn_back(logits: &FlexTensor, d: FlexTensor, form: SinkhornForm, rounds: usize) -> FlexTensor {
        sinkhorn::cpu::sinkhorn_back(&contiguous(logits.clone()), &contiguous(d), form, rounds)
    }

    fn hyper(step: HyperStep, inputs: &[FlexTensor]) -> FlexTensor {
        hyper::cpu::step(step, inputs)
    }

    fn hyper_back(step: HyperStep, inputs: &[FlexTensor], d: FlexTensor) -> Vec<FlexTensor> {
        hyper::cpu::step_back(step, inputs, d)
    }

    fn rotate(x: FlexTensor, [cos, sin]: &[FlexTensor; 2], sign: f32) -> FlexTensor {
        rotation::cpu::rotate(x, cos, sin, sign)
    }

    fn triangular_solve(matrix: &FlexTensor, right: &FlexTensor) -> FlexTensor {
        triangular::cpu::triangular_solve(&contiguous(matrix.clone()), &contiguous(right.clone()))
    }

    fn triangular_solve_back(matrix: &FlexTensor, solution: &FlexTensor, d: FlexTensor) -> [FlexTensor; 2] {
        triangular::cpu::triangular_solve_back(&contiguous(matrix.clone()), solution, &contiguous(d))
    }

    fn gated_delta(operands: &[FlexTensor; 5], resets: &Resets) -> ([FlexTensor; 2], Vec<FlexTensor>) {
        gated_delta::cpu::gated_delta(operands, resets)
    }

    fn gated_delta_back(
        ran: &Ran<Self, 5>,
        resets: &Resets,
        d: OutputGradients<Self>,
        memory: bool,
    ) -> [Option<FlexTensor>; 5] {
        gated_delta::cpu::gated_delta_back(ran, resets, d, memory)
    }

    fn decayed_mean(operands: &[FlexTensor; 4], form: &DecayedMeanForm) -> [FlexTensor; 2] {
        decayed_mean::cpu::decayed_mean(operands, form)
    }

    fn decayed_mean_back(
        operands: &[FlexTensor; 4],
        read: &FlexTensor,
        form: &DecayedMeanForm,
        d: OutputGradients<Self>,
        memory: bool,
    ) -> [Option<FlexTensor>; 4] {
        decayed_mean::cpu::decayed_mean_back(operands, read, form, d, memory)
    }

    fn polar_scores(inputs: &[FlexTensor; 4]) -> FlexTensor {
        polar_read::cpu::scores(inputs)
    }

    fn polar_scores_back(inputs: &[FlexTensor; 4], d: FlexTensor) -> [FlexTensor; 2] {
        polar_read::cpu::scores_back(inputs, d)
    }

    fn local_grid(input: LocalGridOn<Self>, keep: bool) -> LocalGridRun<Self, Self::LocalGrid> {
        local_grid::cpu::local_grid(input, keep)
    }

    fn local_grid_back(kept: Self::LocalGrid, back: LocalGridBack<Self>) -> LocalGridGradients<Self> {
        local_grid::gradient::local_grid_back(&kept, back)
    }

    fn partition_level(input: &PartitionLevelOn<Self>) -> FlexTensor {
        partition::cpu::level(input)
    }

    fn partition_level_back(input: &PartitionLevelOn<Self>, d: FlexTensor) -> [FlexTensor; 4] {
        partition::cpu::level_back(input, &contiguous(d))
    }

    fn selective_scan(input: &SelectiveScanOn<Self>, keep: bool) -> (FlexTensor, Option<FlexTensor>) {
        selective_scan::cpu::selective_scan(input, keep)
    }

    fn selective_scan_back(
        input: &SelectiveScanOn<Self>,
        kept: FlexTensor,
        d: FlexTensor,
    ) -> [FlexTensor; 7] {
        selective_scan::gradient::selective_scan_back(input, kept, d)
    }

    fn short_convolution(input: &ShortConvolutionOn<Self>) -> FlexTensor {
        short_convolution::cpu::short_convolution(input)
    }

    fn short_convolution_back(input: &ShortConvolutionOn<Self>, d: FlexTensor) -> [FlexTensor; 4] {
        short_convolution::cpu::short_convolution_back(input, d)
    }

    fn silu_gate(y: &FlexTensor, z: &FlexTensor) -> FlexTensor {
        silu_gate::cpu::silu_gate(y.clone(), z.clone())
    }

    fn silu_gate_back(y: FlexTensor, z: FlexTensor, d: FlexTensor) -> [FlexTensor; 2] {
        silu_gate::cpu::silu_gate_back(y, z, d)
    }
}
