//! The gradient of a level, by hand.
//!
//! Nothing neuron-wide survives the forward pass: x, scores and the read are computed again, tile by tile.
//! With `M = dS + dS^T` (`Q = K`, so both uses of q meet in one symmetric matrix):
//!
//! ```text
//! dz = du encoder^T            dy = dz * kept
//! dg = dy * x  where a decoder_y > 0          dx  = dy * relu(a decoder_y)
//! da = dg decoder_y^T          dr = norm'(da)
//! dS = strict(dr v^T)          dx += unrotate(M q), and zero where x = 0
//! dv = dx decoder_x^T + S^T dr
//! ```

use super::LevelInput;
use super::chunked::{Around, Felt};
use super::cpu::{Forward, Memory, forward, with_scratch};
use super::elementwise::{add, gate_back, gated, relu_back, transpose};
use super::tile::{Head, Operands, Read, Scratch, Sizes};
use crate::buffer::Buffer;
use crate::flex::{tensor, with_autodiff};
use crate::matrix::Matrix;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Float, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// The level, where its tensors are on the processor and with autodiff.
pub(super) fn tracked(input: &LevelInput, chunk: Option<usize>) -> Option<Tensor<4>> {
    let tensors = tensors(input)?;
    let memory = memory(input, &tensors, chunk)?;
    let Forward { u, reads, .. } = forward(&memory.operands(), None, true);
    let u = tensor(u, input.v.dims());
    let output = match LevelBackward
        .prepare::<NoCheckpointing>(tensors.map(|tensor| tensor.node()))
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish((memory, reads.into()), u),
        OpsKind::UnTracked(prepared) => prepared.finish(u),
    };
    Some(Tensor::<4, Float>::from_primitive::<Autodiff<Flex>>(output))
}

/// A tensor on the processor with autodiff.
pub(super) type Tracked = FloatTensor<Autodiff<Flex>>;

/// What a level is differentiated by: v, decoder_x, decoder_y, encoder.
pub(super) fn tensors(input: &LevelInput) -> Option<[Tracked; 4]> {
    Some([
        with_autodiff(&input.v)?,
        with_autodiff(input.weights.decoder_x())?,
        with_autodiff(input.weights.decoder_y())?,
        with_autodiff(input.weights.encoder())?,
    ])
}

/// A level with autodiff in plain memory.
pub(super) fn memory(input: &LevelInput, tensors: &[Tracked; 4], chunk: Option<usize>) -> Option<Memory> {
    let [v, weights @ ..] = tensors
        .each_ref()
        .map(|tensor| tensor.primitive().to_contiguous());
    let untracked = LevelInput {
        rotation: input.rotation.clone().inner(),
        ..input.clone()
    };
    Memory::new(&untracked, v, weights.each_ref(), chunk)
}

#[derive(Debug)]
struct LevelBackward;

impl Backward<Flex, 4> for LevelBackward {
    type State = (Memory, Arc<[Read]>);

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let (memory, reads) = ops.state;
        let du = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let sums = backward(&memory.operands(), &reads, du.storage(), None).into_tensors(memory.sizes);
        register(
            ops.parents.map(|parent| parent.map(|node| node.id)),
            sums,
            gradients,
        );
    }
}

/// Adds the gradients of an operation's inputs, where they are wanted.
pub(super) fn register<const N: usize>(
    parents: [Option<NodeId>; N],
    sums: [FlexTensor; N],
    gradients: &mut Gradients,
) {
    for (parent, gradient) in parents.into_iter().zip(sums) {
        if let Some(id) = parent {
            gradients.register::<Flex>(id, gradient);
        }
    }
}

/// The gradients of a level's inputs, each in its input's layout.
pub(super) struct LevelGradients {
    v: Vec<f32>,
    decoder_x: Vec<f32>,
    decoder_y: Vec<f32>,
    encoder: Vec<f32>,
    /// `[B, H, N, D]`, where a memory was carried.
    pub(super) rho: Vec<f32>,
}

impl LevelGradients {
    /// Of v, decoder_x, decoder_y, encoder.
    pub(super) fn into_tensors(self, sizes: Sizes) -> [FlexTensor; 4] {
        let Sizes {
            lanes,
            heads,
            tokens,
            neurons,
            width,
        } = sizes;
        [
            tensor(self.v, [lanes, 1, tokens, width]),
            tensor(self.decoder_x, [heads, width, neurons]),
            tensor(self.decoder_y, [heads, width, neurons]),
            tensor(self.encoder, [heads * neurons, width]),
        ]
    }
}

/// A memory that was carried, `[B, H, N, D]` each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried<'a> {
    /// The memory before the stream.
    pub(super) before: &'a [f32],
    /// The gradient of the memory after it.
    pub(super) gradient: &'a [f32],
}

/// The gradients that one head collects over some lanes.
struct Part {
    v: Vec<Buffer>,    // a [T, D] for each lane
    rho: Vec<Buffer>,  // a [N, D] for each lane, where a memory was carried
    decoder_x: Buffer, // [N, D]
    decoder_y: Buffer, // [N, D]
    encoder: Buffer,   // [N, D]
}

/// Tasks that the gradients are split into, at least where there are lanes enough: a number of its own, not that of
/// the threads, so that sums have one order on every machine.
const TASKS: usize = 8;

pub(super) fn backward(
    operands: &Operands<'_>,
    reads: &[Read],
    du: &[f32],
    carried: Option<Carried<'_>>,
) -> LevelGradients {
    let Sizes {
        lanes,
        heads,
        tokens,
        neurons,
        width,
    } = operands.sizes;
    let groups = TASKS.div_ceil(heads).min(lanes);
    let group_lanes = |group: usize| group * lanes / groups..(group + 1) * lanes / groups;
    let parts: Vec<Part> = (0..heads * groups)
        .into_par_iter()
        .map(|task| {
            let (head, lanes) = (task / groups, group_lanes(task % groups));
            collect(operands, reads, du, carried, head, lanes)
        })
        .collect();
    let size = width * neurons;
    let mut sum = LevelGradients {
        v: vec![0.0; lanes * tokens * width],
        decoder_x: vec![0.0; heads * width * neurons],
        decoder_y: vec![0.0; heads * width * neurons],
        encoder: vec![0.0; heads * width * neurons],
        rho: vec![0.0; carried.map_or(0, |carried| carried.before.len())],
    };
    // Head after head, group after group: one order on every machine.
    for (task, part) in parts.iter().enumerate() {
        for (lane, part) in group_lanes(task % groups).zip(&part.v) {
            add(
                &mut sum.v[lane * tokens * width..(lane + 1) * tokens * width],
                part,
            );
        }
        for (lane, part) in group_lanes(task % groups).zip(&part.rho) {
            let index = lane * heads + task / groups;
            sum.rho[index * size..(index + 1) * size].copy_from_slice(part);
        }
    }
    let heads = sum
        .decoder_x
        .par_chunks_exact_mut(size)
        .zip(sum.decoder_y.par_chunks_exact_mut(size))
        .zip(sum.encoder.par_chunks_exact_mut(size))
        .zip(parts.into_par_iter().chunks(groups));
    heads.for_each(|(((decoder_x, decoder_y), encoder), mut parts)| {
        let (first, others) = parts
            .split_first_mut()
            .unwrap_or_else(|| unreachable!("a head has a group"));
        for other in others {
            add(&mut first.decoder_x, &other.decoder_x);
            add(&mut first.decoder_y, &other.decoder_y);
            add(&mut first.encoder, &other.encoder);
        }
        transpose(&first.decoder_x, width, width, decoder_x);
        transpose(&first.decoder_y, width, width, decoder_y);
        encoder.copy_from_slice(&first.encoder);
    });
    sum
}

/// The gradients of one head over some lanes.
fn collect(
    operands: &Operands<'_>,
    reads: &[Read],
    du: &[f32],
    carried: Option<Carried<'_>>,
    head: usize,
    lanes: Range<usize>,
) -> Part {
    let Sizes {
        heads,
        tokens,
        neurons,
        width,
        ..
    } = operands.sizes;
    let size = neurons * width;
    let zeros = || Buffer::zeros(size);
    let mut part = Part {
        v: Vec::new(),
        rho: Vec::new(),
        decoder_x: zeros(),
        decoder_y: zeros(),
        encoder: zeros(),
    };
    let windows = reads.len() / (operands.sizes.lanes * heads);
    for lane in lanes {
        let index = lane * heads + head;
        let (reads, place) = (
            &reads[index * windows..(index + 1) * windows],
            index * size..(index + 1) * size,
        );
        let du = &du[lane * tokens * width..(lane + 1) * tokens * width];
        let head = operands.head(lane, head);
        let mut dv = Buffer::zeros(tokens * width);
        let mut gradient = Buffer::default();
        let rho = carried.map(|carried| {
            gradient.copied(&carried.gradient[place.clone()]);
            (&carried.before[place], &mut *gradient)
        });
        with_scratch(|scratch| {
            let mut between = std::mem::take(&mut scratch.between);
            between.walk_back(
                &head,
                operands.chunk,
                rho,
                scratch,
                |scratch, index, window, around| {
                    let (rows, read) = (head.sizes.rows_of(&window), &reads[index]);
                    let window = head.window(&window);
                    through_gate(&window, scratch, read, &du[rows.clone()], &mut part);
                    through_read(&window, scratch, read, around, &mut dv[rows], &mut part);
                },
            );
            scratch.between = between;
        });
        part.v.push(dv);
        if carried.is_some() {
            part.rho.push(gradient);
        }
    }
    part
}

/// From du to da, and to what x feels through the gate.
fn through_gate(head: &Head<'_>, scratch: &mut Scratch, read: &Read, du: &[f32], part: &mut Part) {
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = head.sizes;
    let du = scratch.du.share(head.precision, du, width);
    let a = scratch.a.share(head.precision, &read.a[..tokens * width], width);
    let v = scratch.v.share(head.precision, head.v, width);
    let (x, dx) = (
        scratch.x.sized(tokens * neurons),
        scratch.dx.sized(tokens * neurons),
    );
    let da = scratch.da.sized(tokens * width);
    da.fill(0.0);
    for tile in head.sizes.tiles() {
        let (count, place) = (tile.len(), head.place(&tile));
        let (x, dx) = (&mut x[place.clone()], &mut dx[place]);
        let gate = scratch.gate.sized(x.len());
        let y = scratch.y.sized(x.len());
        let dy = scratch.tile.sized(x.len());
        head.project(&tile, v, x);
        scratch.fired.mark(x, count);
        head.open(&tile, a, &scratch.fired, gate);
        gated(gate, x, y);
        head.drop_out(&tile, y);
        scratch.kept.mark(y, count);
        let rows = tile.start * width..tile.end * width;
        head.add_outer(y, &scratch.kept, du, &mut part.encoder[rows.clone()]);
        head.multiply_rows(du, head.rows(head.encoder, &tile), dy, Some(&scratch.kept));
        // The gate's place takes its own gradient, dx what x feels through it.
        gate_back(gate, x, y, dy, head.kept_scale(), dx);
        head.add_outer(gate, &scratch.kept, a, &mut part.decoder_y[rows]);
        head.add_to_width(gate, &scratch.kept, head.rows(head.decoder_y, &tile), da);
    }
}

/// From da through the norm, the read and the rotation to v.
fn through_read(
    head: &Head<'_>,
    scratch: &mut Scratch,
    read: &Read,
    mut around: Around<'_, '_>,
    dv: &mut [f32],
    part: &mut Part,
) {
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = head.sizes;
    let v = scratch.v.share(head.precision, head.v, width);
    let dr = scratch.da.sized(tokens * width);
    head.norm_back(dr, &read.a, &read.scale);
    head.add_read_back(&read.scores, dr, dv);
    let both = scratch.both.sized(tokens * tokens);
    head.symmetric_outer(dr, &mut scratch.factor, both);
    let both = Matrix::new(both, tokens, tokens, tokens);
    let both = scratch.factor.left(head.precision, both);
    let (x, dx) = (
        scratch.x.sized(tokens * neurons),
        scratch.dx.sized(tokens * neurons),
    );
    for tile in head.sizes.tiles() {
        let (count, place) = (tile.len(), head.place(&tile));
        let (x, dx) = (&x[place.clone()], &mut dx[place]);
        let q = scratch.q.sized(x.len());
        let dq = scratch.tile.sized(x.len());
        let turned = scratch.gate.sized(x.len());
        head.rotate(&tile, x, q, false);
        let q = Matrix::new(q, tokens, count, count);
        head.precision.multiply(dq, count, both, q, false);
        around.add_gradients(head, &tile, v, q, dr, Felt { dq, dv });
        head.rotate(&tile, dq, turned, true);
        relu_back(dx, turned, x);
        scratch.fired.mark(x, count);
        let rows = tile.start * width..tile.end * width;
        head.add_to_width(dx, &scratch.fired, head.rows(head.decoder_x, &tile), dv);
        head.add_outer(dx, &scratch.fired, v, &mut part.decoder_x[rows]);
    }
    around.passed();
}
