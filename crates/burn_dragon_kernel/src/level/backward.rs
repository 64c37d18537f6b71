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
//!
//! Where queries alone are credited, `M = dS` and dv is `dx decoder_x^T`. Decay is in `retention.rs`, as the gradient
//! of its slopes.

use super::chunked::{Around, CarriedBack, Felt, Through};
use super::cpu::with_scratch;
use super::elementwise::{add, gate_back, gated, relu_back, transpose};
use super::tile::{Head, Operands, Read, Scratch, Sizes};
use crate::buffer::Buffer;
use crate::causal_read::Credit;
use crate::matrix::Matrix;
use rayon::prelude::*;
use std::ops::Range;

/// The gradients of a level's inputs, each in its input's layout.
pub(super) struct LevelGradients {
    pub(super) v: Vec<f32>,
    pub(super) decoder_x: Vec<f32>,
    pub(super) decoder_y: Vec<f32>,
    pub(super) encoder: Vec<f32>,
    /// `[B, H, N, D]`, where a memory was carried that is not a constant.
    pub(super) rho: Vec<f32>,
    /// Of the slopes, `[H]`.
    pub(super) slopes: Vec<f32>,
}

/// A memory that was carried, `[B, H, N, D]` each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried<'a> {
    /// The memory before the stream.
    pub(super) before: &'a [f32],
    /// The gradient of the memory after it; none where both are constants.
    pub(super) gradient: Option<&'a [f32]>,
}

/// The gradients that one head collects over some lanes.
struct Part {
    v: Vec<Buffer>,    // a [T, D] for each lane
    rho: Vec<Buffer>,  // a [N, D] for each lane, where a memory was carried that is not a constant
    decoder_x: Buffer, // [N, D]
    decoder_y: Buffer, // [N, D]
    encoder: Buffer,   // [N, D]
    slope: f64,        // of ln lambda
}

/// Tasks that the gradients are split into, at least where there are lanes enough: a number of its own, not that of
/// the threads, so that sums have one order on every machine.
const TASKS: usize = 8;

pub(super) fn backward(
    operands: &Operands<'_>,
    reads: &[Vec<Read>],
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
        rho: vec![
            0.0;
            carried
                .and_then(|carried| carried.gradient)
                .map_or(0, <[f32]>::len)
        ],
        slopes: slopes(&parts, groups),
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

/// The gradients of the slopes, summed over groups of lanes: a slope is `-ln lambda`.
fn slopes(parts: &[Part], groups: usize) -> Vec<f32> {
    let sum = |parts: &[Part]| parts.iter().map(|part| part.slope).sum::<f64>();
    parts
        .chunks_exact(groups)
        .map(|parts| -sum(parts) as f32)
        .collect()
}

/// The gradients of one head over some lanes.
fn collect(
    operands: &Operands<'_>,
    reads: &[Vec<Read>],
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
        slope: 0.0,
    };
    for lane in lanes {
        let index = lane * heads + head;
        let (reads, place) = (&reads[index], index * size..(index + 1) * size);
        let du = &du[lane * tokens * width..(lane + 1) * tokens * width];
        let head = operands.head(lane, head);
        let mut dv = Buffer::zeros(tokens * width);
        let mut gradient = Buffer::default();
        let is_constant = carried.is_none_or(|carried| carried.gradient.is_none());
        let rho = carried.map(|carried| CarriedBack {
            before: &carried.before[place.clone()],
            gradient: carried.gradient.map(|after| {
                gradient.copied(&after[place]);
                &mut *gradient
            }),
        });
        with_scratch(|scratch| {
            let mut between = std::mem::take(&mut scratch.between);
            between.walk_back(
                &head,
                operands.windows(lane),
                rho,
                scratch,
                |scratch, index, window, around| {
                    let (rows, read) = (head.sizes.rows_of(&window.tokens), &reads[index]);
                    let window = head.window(&window.tokens);
                    through_gate(&window, scratch, read, &du[rows.clone()], &mut part);
                    through_read(&window, scratch, read, around, &mut dv[rows], &mut part);
                },
            );
            scratch.between = between;
        });
        part.v.push(dv);
        if !is_constant {
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

/// From da through the norm, the read and the rotation to v, and to the slope.
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
    let through = Through {
        v: head.written(v, &mut scratch.late),
        dr: head.asked(dr, &mut scratch.early),
    };
    let both = scratch.both.sized(tokens * tokens);
    part.slope += head.outer_of_reads(dr, &read.scores, &mut scratch.factor, both);
    let both = Matrix::new(both, tokens, tokens, tokens);
    let both = scratch.factor.left(head.precision, both);
    let (x, dx) = (
        scratch.x.sized(tokens * neurons),
        scratch.dx.sized(tokens * neurons),
    );
    // What values feel has a place of its own where it decays, or is not credited.
    let is_apart = head.powers.is_some() || head.credit == Credit::Queries;
    let felt = scratch.felt.sized(if is_apart { tokens * width } else { 0 });
    felt.fill(0.0);
    if !is_apart {
        head.add_read_back(&read.scores, dr, dv);
    }
    for tile in head.sizes.tiles() {
        let (count, place) = (tile.len(), head.place(&tile));
        let (x, dx) = (&x[place.clone()], &mut dx[place]);
        let q = scratch.q.sized(x.len());
        let dq = scratch.tile.sized(x.len());
        let turned = scratch.gate.sized(x.len());
        head.rotate(&tile, x, q, false);
        let q = Matrix::new(q, tokens, count, count);
        head.precision.multiply(dq, count, both, q, false);
        let into = Felt {
            dq,
            dv: if is_apart { &mut *felt } else { &mut *dv },
        };
        part.slope += around.add_gradients(head, &tile, q, through, into, &mut scratch.y);
        head.rotate(&tile, dq, turned, true);
        relu_back(dx, turned, x);
        scratch.fired.mark(x, count);
        let rows = tile.start * width..tile.end * width;
        head.add_to_width(dx, &scratch.fired, head.rows(head.decoder_x, &tile), dv);
        head.add_outer(dx, &scratch.fired, v, &mut part.decoder_x[rows]);
    }
    around.passed();
    if is_apart && head.remembers_back() {
        head.fade_to_end(felt);
    }
    if head.slopes {
        part.slope += head.slope_of_rows(felt, head.v, width, |s| tokens - s);
    }
    if is_apart && head.credit == Credit::Full {
        head.add_read_back(&read.scores, dr, felt);
        add(dv, felt);
    }
}
