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

use super::cpu::{Memory, Settings, drop_out, forward, sum_heads, tensor, with_scratch};
use super::elementwise::{add, gate_back, gated, relu_back};
use super::tile::{Head, Operands, Scratch, Sizes, sized};
use super::{LevelInput, plain, with_autodiff};
use crate::matrix::{Matrix, multiply};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Float, Tensor};
use rayon::prelude::*;

/// The level, where its tensors are on the processor and with autodiff.
pub(super) fn tracked(input: &LevelInput) -> Option<Tensor<4>> {
    let v = with_autodiff(&input.v)?;
    let decoder_x = with_autodiff(&input.decoder_x)?;
    let decoder_y = with_autodiff(&input.decoder_y)?;
    let encoder = with_autodiff(&input.encoder)?;
    let settings = Settings::of(input);
    let memory = Memory {
        v: v.primitive().to_contiguous(),
        decoder_x: decoder_x.primitive().to_contiguous(),
        decoder_y: decoder_y.primitive().to_contiguous(),
        encoder: encoder.primitive().to_contiguous(),
        cos: plain(&input.rotation.cos.clone().inner())?,
        sin: plain(&input.rotation.sin.clone().inner())?,
    };
    let u = forward(&memory.operands(&settings)).u;
    let u = tensor(u, input.v.dims());
    let nodes = [v.node(), decoder_x.node(), decoder_y.node(), encoder.node()];
    let output = match LevelBackward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish((memory, settings), u),
        OpsKind::UnTracked(prepared) => prepared.finish(u),
    };
    Some(Tensor::<4, Float>::from_primitive::<Autodiff<Flex>>(output))
}

#[derive(Debug)]
struct LevelBackward;

impl Backward<Flex, 4> for LevelBackward {
    type State = (Memory, Settings);

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let (memory, settings) = ops.state;
        let du = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let Sizes {
            lanes,
            heads,
            tokens,
            neurons,
            width,
        } = settings.sizes;
        let sum = backward(&memory.operands(&settings), du.storage());
        let sums = [
            tensor(sum.v, [lanes, 1, tokens, width]),
            tensor(sum.decoder_x, [heads, width, neurons]),
            tensor(sum.decoder_y, [heads, width, neurons]),
            tensor(sum.encoder, [heads * neurons, width]),
        ];
        for (parent, gradient) in ops.parents.into_iter().zip(sums) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// The gradients of a level's inputs, each in its input's layout.
struct LevelGradients {
    v: Vec<f32>,
    decoder_x: Vec<f32>,
    decoder_y: Vec<f32>,
    encoder: Vec<f32>,
}

/// The gradients that one head collects over some lanes.
struct Part {
    v: Vec<Vec<f32>>,    // a [T, D] for each lane
    decoder_x: Vec<f32>, // [D, N]
    decoder_y: Vec<f32>, // [D, N]
    encoder: Vec<f32>,   // [N, D]
}

/// Tasks that the gradients are split into, at least where there are lanes enough: a number of its own, not that of
/// the threads, so that sums have one order on every machine.
const TASKS: usize = 8;

fn backward(operands: &Operands<'_>, du: &[f32]) -> LevelGradients {
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
        .map(|task| collect(operands, du, task / groups, group_lanes(task % groups)))
        .collect();
    let size = width * neurons;
    let mut sum = LevelGradients {
        v: Vec::new(),
        decoder_x: vec![0.0; heads * size],
        decoder_y: vec![0.0; heads * size],
        encoder: vec![0.0; heads * size],
    };
    let mut streams = vec![Vec::new(); lanes * heads];
    for (task, part) in parts.into_iter().enumerate() {
        let (head, group) = (task / groups, task % groups);
        let place = head * size..(head + 1) * size;
        add(&mut sum.decoder_x[place.clone()], &part.decoder_x);
        add(&mut sum.decoder_y[place.clone()], &part.decoder_y);
        add(&mut sum.encoder[place], &part.encoder);
        group_lanes(group)
            .zip(part.v)
            .for_each(|(lane, v)| streams[lane * heads + head] = v);
    }
    sum.v = sum_heads(streams.into_iter(), lanes, heads, tokens * width);
    sum
}

/// The gradients of one head over some lanes.
fn collect(operands: &Operands<'_>, du: &[f32], head: usize, lanes: std::ops::Range<usize>) -> Part {
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = operands.sizes;
    let zeros = || vec![0.0; width * neurons];
    let mut part = Part {
        v: Vec::new(),
        decoder_x: zeros(),
        decoder_y: zeros(),
        encoder: zeros(),
    };
    for lane in lanes {
        let du = &du[lane * tokens * width..(lane + 1) * tokens * width];
        let head = operands.head(lane, head);
        let mut dv = vec![0.0; tokens * width];
        with_scratch(|scratch| {
            head.first_half(scratch);
            through_gate(&head, scratch, du, &mut part);
            through_read(&head, scratch, &mut dv, &mut part);
        });
        part.v.push(dv);
    }
    part
}

/// From du to da, and to what x feels through the gate.
fn through_gate(head: &Head<'_>, scratch: &mut Scratch, du: &[f32], part: &mut Part) {
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = head.sizes;
    let du = Matrix::new(du, tokens, width, width);
    let a = Matrix::new(&scratch.a, tokens, width, width);
    let dx = sized(&mut scratch.dx, tokens * neurons);
    let da = sized(&mut scratch.da, tokens * width);
    da.fill(0.0);
    for tile in head.sizes.tiles() {
        let (count, place) = (tile.len(), head.place(&tile));
        let x = &scratch.x[place.clone()];
        let gate = sized(&mut scratch.gate, x.len());
        let dy = sized(&mut scratch.tile, x.len());
        let y = sized(&mut scratch.q, x.len());
        multiply(gate, count, a, head.columns(head.decoder_y, &tile), false);
        multiply(dy, count, du, head.encoder_rows(&tile).transposed(), false);
        gated(gate, x, y);
        if head.drops() {
            drop_out(head, &tile, y);
            drop_out(head, &tile, dy);
        }
        let rows = tile.start * width..tile.end * width;
        let y = Matrix::new(y, tokens, count, count);
        multiply(&mut part.encoder[rows], width, y.transposed(), du, true);
        // The gate's place takes its own gradient, dx what x feels through it.
        gate_back(gate, x, dy, &mut dx[place]);
        let gate = Matrix::new(gate, tokens, count, count);
        multiply(
            &mut part.decoder_y[tile.start..],
            neurons,
            a.transposed(),
            gate,
            true,
        );
        multiply(
            da,
            width,
            gate,
            head.columns(head.decoder_y, &tile).transposed(),
            true,
        );
    }
}

/// From da through the norm, the read and the rotation to v.
fn through_read(head: &Head<'_>, scratch: &mut Scratch, dv: &mut [f32], part: &mut Part) {
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = head.sizes;
    let dr = &mut scratch.da[..tokens * width];
    head.norm_back(dr, &scratch.a, &scratch.scale);
    head.add_read_back(&scratch.scores, dr, dv);
    let both = sized(&mut scratch.turned, tokens * tokens);
    head.symmetric_outer(dr, both);
    let both = Matrix::new(both, tokens, tokens, tokens);
    for tile in head.sizes.tiles() {
        let (count, place) = (tile.len(), head.place(&tile));
        let x = &scratch.x[place.clone()];
        let q = sized(&mut scratch.q, x.len());
        let dq = sized(&mut scratch.tile, x.len());
        let turned = sized(&mut scratch.gate, x.len());
        head.rotate(&tile, x, q, false);
        multiply(dq, count, both, Matrix::new(q, tokens, count, count), false);
        head.rotate(&tile, dq, turned, true);
        let dx = &mut scratch.dx[place];
        relu_back(dx, turned, x);
        let dx = Matrix::new(dx, tokens, count, count);
        multiply(
            dv,
            width,
            dx,
            head.columns(head.decoder_x, &tile).transposed(),
            true,
        );
        multiply(
            &mut part.decoder_x[tile.start..],
            neurons,
            head.stream().transposed(),
            dx,
            true,
        );
    }
}
