//! Gradient of a level, written by hand.
//!
//! The forward pass keeps no neuron-wide tensor: x, scores and the read are computed again, tile by tile.
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
//! Where y is rounded, the gradient of the encoder is of what it is rounded to, and dy goes straight through.
//! If only queries are credited, `M = dS` and dv is `dx decoder_x^T`. Decay is in `retention.rs`, as the gradient
//! of its slopes.

use super::between::{Around, Between, CarriedBack, Felt, Through};
use super::cpu::Kept;
use super::elementwise::{add, gate_back, gated, relu_back};
use super::fused::Fused;
use super::gradients::{HeadGradients, gather};
use super::head::{Head, Operands};
use super::pattern::Pattern;
use super::read::Read;
use super::scratch::{Scratch, with_scratch};
use super::shared::Shared;
use crate::backend::level::Sizes;
use crate::buffer::Buffer;
use crate::causal_read::Credit;
use crate::flex::tensor;
use crate::matrix::Matrix;
use crate::reach::Reach;
use burn_flex::FlexTensor;
use std::ops::Range;

/// A memory that was carried, `[B, H, N, D]` each.
#[derive(Clone, Copy, Debug)]
struct Carried<'a> {
    /// The memory before the stream.
    before: &'a [f32],
    /// The gradient of the memory after it; none where both are constants.
    gradient: Option<&'a [f32]>,
}

/// The gradients of a level: of v, decoder_x, decoder_y, encoder, of the memory where gradients pass it, and of the
/// slopes.
pub(crate) fn level_back(kept: &Kept, d: &FlexTensor) -> Vec<FlexTensor> {
    let (prepared, operands) = (&kept.prepared, kept.prepared.operands());
    let sizes = prepared.sizes;
    let (du, after) = d.storage::<f32>().split_at(sizes.stream().iter().product());
    let carried = kept.rho.as_ref().map(|rho| Carried {
        before: rho.storage(),
        gradient: kept.passes.then_some(after),
    });
    let layout = operands.gradient_layout();
    let sum = gather(sizes, layout, |head, lanes, part| match prepared.reach {
        Reach::Causal => collect(&operands, &kept.reads, du, carried, (head, lanes), part),
        Reach::Full => collect_whole(&operands, &kept.reads, du, carried, (head, lanes), part),
    });
    let mut tensors = vec![
        tensor(sum.v, sizes.stream()),
        tensor(sum.decoder_x, sizes.decoder()),
        tensor(sum.decoder_y, sizes.decoder()),
        tensor(sum.encoder, sizes.encoder()),
    ];
    if kept.passes {
        tensors.push(tensor(sum.own, sizes.memory()));
    }
    tensors.push(tensor(sum.slopes, [sizes.heads]));
    tensors
}

/// The gradients of one head over some lanes.
fn collect(
    operands: &Operands<'_>,
    reads: &[Vec<Read>],
    du: &[f32],
    carried: Option<Carried<'_>>,
    (head, lanes): (usize, Range<usize>),
    part: &mut HeadGradients<'_>,
) {
    let sizes = operands.sizes;
    let (size, stream) = (sizes.neurons * sizes.width, sizes.tokens * sizes.width);
    for lane in lanes {
        let index = lane * sizes.heads + head;
        let (reads, place) = (&reads[index], index * size..(index + 1) * size);
        let du = &du[lane * stream..(lane + 1) * stream];
        let head = operands.head(lane, head);
        let mut dv = Buffer::zeros(stream);
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
            let mut between = Between::take(scratch);
            between.walk_back(
                &head,
                operands.windows(lane),
                rho,
                scratch,
                |scratch, index, window, around| {
                    let (rows, read) = (head.sizes.rows_of(&window.tokens), &reads[index]);
                    let window = head.window(&window.tokens);
                    if let Some(fused) = Fused::of(&window) {
                        return fused.back(scratch, read, &du[rows.clone()], around, &mut dv[rows], part);
                    }
                    through_gate(&window, scratch, read, &du[rows.clone()], part);
                    through_read(&window, scratch, read, around, &mut dv[rows], part);
                },
            );
            between.give_back(scratch);
        });
        part.of_lanes.v.push(dv);
        if !is_constant {
            part.of_lanes.own.push(gradient);
        }
    }
}

/// [`collect`] where every token reads every token.
fn collect_whole(
    operands: &Operands<'_>,
    reads: &[Vec<Read>],
    du: &[f32],
    carried: Option<Carried<'_>>,
    (head, lanes): (usize, Range<usize>),
    part: &mut HeadGradients<'_>,
) {
    let sizes = operands.sizes;
    let (size, stream) = (sizes.neurons * sizes.width, sizes.tokens * sizes.width);
    for lane in lanes {
        let index = lane * sizes.heads + head;
        let (read, place) = (&reads[index][0], index * size..(index + 1) * size);
        let du = &du[lane * stream..(lane + 1) * stream];
        let head = operands.head(lane, head);
        let mut dv = Buffer::zeros(stream);
        let mut gradient = Buffer::default();
        let rho = carried.map(|carried| CarriedBack {
            before: &carried.before[place.clone()],
            gradient: carried.gradient.map(|after| {
                gradient.copied(&after[place]);
                &mut *gradient
            }),
        });
        with_scratch(|scratch| {
            through_gate(&head, scratch, read, du, part);
            through_whole_read(&head, scratch, read, rho, &mut dv, part);
        });
        part.of_lanes.v.push(dv);
        if carried.is_some_and(|carried| carried.gradient.is_some()) {
            part.of_lanes.own.push(gradient);
        }
    }
}

/// Gradients from du to da, and to x through the gate.
pub(super) fn through_gate(
    head: &Head<'_>,
    scratch: &mut Scratch,
    read: &Read,
    du: &[f32],
    part: &mut HeadGradients<'_>,
) {
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
        let rounded = scratch.q.sized(if head.rounds() { y.len() } else { 0 });
        if head.rounds() {
            rounded.copy_from_slice(y);
            head.round(&tile, rounded);
            head.drop_out(&tile, rounded);
        }
        head.drop_out(&tile, y);
        scratch.kept.mark(y, count);
        let rows = tile.start * width..tile.end * width;
        let spoken = if head.rounds() { &*rounded } else { &*y };
        head.add_outer(spoken, &scratch.kept, du, &mut part.encoder[rows.clone()]);
        head.multiply_rows(du, head.rows(head.encoder, &tile), dy, Some(&scratch.kept));
        // The gate's buffer takes its own gradient, dx the gradient of x through it.
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
    part: &mut HeadGradients<'_>,
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
    let mut values = Values::begin(head, &mut scratch.felt, &read.scores, dr, dv);
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
            dv: values.through_memory(),
        };
        part.slope += around.add_gradients(head, &tile, q, through, into, &mut scratch.y);
        head.rotate(&tile, dq, turned, true);
        relu_back(dx, turned, x);
        through_x(
            head,
            &tile,
            [x, dx],
            &mut scratch.fired,
            v,
            values.stream,
            part.decoder_x,
        );
    }
    around.passed();
    part.slope += values.end(head, &read.scores, dr);
}

/// Gradient of the stream in a window, and of the stream as values that are read. The latter has its own buffer if it
/// decays, or is not credited.
pub(super) struct Values<'a> {
    /// Gradient of the stream.
    pub(super) stream: &'a mut [f32],
    apart: Option<&'a mut [f32]>,
}

impl<'a> Values<'a> {
    /// Begins with the gradient of the stream so far, and the part through the scores.
    pub(super) fn begin(
        head: &Head<'_>,
        room: &'a mut Buffer,
        scores: &[f32],
        dr: &[f32],
        stream: &'a mut [f32],
    ) -> Self {
        let is_apart = head.powers.is_some() || head.credit == Credit::Queries;
        let apart = is_apart.then(|| room.sized(stream.len()));
        let mut values = Self { stream, apart };
        match &mut values.apart {
            Some(apart) => apart.fill(0.0),
            None => head.add_read_back(scores, dr, values.stream),
        }
        values
    }

    /// Where the part through the memory after the window is added.
    pub(super) fn through_memory(&mut self) -> &mut [f32] {
        match &mut self.apart {
            Some(apart) => apart,
            None => self.stream,
        }
    }

    /// Ends with all in the gradient of the stream; returns the values' part in the gradient of `ln lambda`, if
    /// requested.
    pub(super) fn end(self, head: &Head<'_>, scores: &[f32], dr: &[f32]) -> f64 {
        let Some(apart) = self.apart else { return 0.0 };
        let Sizes { tokens, width, .. } = head.sizes;
        if head.remembers_back() {
            head.fade_to_end(apart);
        }
        let slope = match head.slopes {
            true => head.slope_of_rows(apart, head.v, width, |s| tokens - s),
            false => 0.0,
        };
        if head.credit == Credit::Full {
            head.add_read_back(scores, dr, apart);
            add(self.stream, apart);
        }
        slope
    }
}

/// From da through the norm, a read of the whole window and the rotation to v and to the memory.
///
/// With `S = rho + q^T v`, the read is `q S`. The gradient of S is `R = q^T dr` plus that of the memory after the
/// window. Then `dq = dr S^T + v R^T` and `dv = dx decoder_x^T + q R`, one tile of neurons at a time, and R is the
/// gradient of rho.
fn through_whole_read(
    head: &Head<'_>,
    scratch: &mut Scratch,
    read: &Read,
    mut rho: Option<CarriedBack<'_>>,
    dv: &mut [f32],
    part: &mut HeadGradients<'_>,
) {
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = head.sizes;
    let precision = head.precision;
    let v = scratch.v.share(precision, head.v, width);
    let dr = scratch.da.sized(tokens * width);
    head.norm_back(dr, &read.a, &read.scale);
    let dr = scratch.du.share(precision, dr, width);
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
        let memory = scratch.y.sized(count * width); // [C, D]: S, then R
        head.rotate(&tile, x, q, false);
        let q = Matrix::new(q, tokens, count, count);
        if let Some(rho) = &rho {
            memory.copy_from_slice(head.rows(rho.before, &tile));
        }
        precision.multiply(memory, width, q.transposed(), v.right, rho.is_some());
        let rows = Matrix::new(memory, count, width, width);
        precision.multiply(dq, count, dr.left, rows.transposed(), false);
        if head.credit == Credit::Full {
            let own = rho.as_mut().and_then(|rho| rho.gradient.as_deref_mut());
            let (felt, add) = match own {
                None => (memory, false),
                Some(own) => (&mut own[tile.start * width..tile.end * width], true),
            };
            precision.multiply(felt, width, q.transposed(), dr.right, add);
            let rows = Matrix::new(felt, count, width, width);
            precision.multiply(dq, count, v.left, rows.transposed(), true);
            precision.multiply(dv, width, q, rows, true);
        }
        head.rotate(&tile, dq, turned, true);
        relu_back(dx, turned, x);
        through_x(head, &tile, [x, dx], &mut scratch.fired, v, dv, part.decoder_x);
    }
}

/// Gradients from the x of a tile to v and decoder_x.
pub(super) fn through_x(
    head: &Head<'_>,
    tile: &Range<usize>,
    [x, dx]: [&[f32]; 2],
    fired: &mut Pattern,
    v: Shared<'_>,
    dv: &mut [f32],
    decoder_x: &mut [f32],
) {
    let width = head.sizes.width;
    fired.mark(x, tile.len());
    head.add_to_width(dx, fired, head.rows(head.decoder_x, tile), dv);
    let rows = tile.start * width..tile.end * width;
    head.add_outer(dx, fired, v, &mut decoder_x[rows]);
}
