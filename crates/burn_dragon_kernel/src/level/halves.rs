//! Halves of a level on the processor, each a separate operation with its gradient.
//!
//! Neither keeps a neuron-wide tensor: both compute x again from the stream. Here tokens do not depend on each other;
//! windows only keep the working set in cache.

use super::backward::{through_gate, through_x};
use super::cpu::{Forward, OfHead, Prepared, second_half};
use super::elementwise::{gate, largest, where_active};
use super::gradients::{GradientLayout, Gradients, HeadGradients, gather};
use super::head::{Head, Operands};
use super::levels::{Levels, SharedScale};
use super::read::Read;
use super::scratch::{Scratch, with_scratch};
use crate::backend::level::{HalfOn, LevelRun, Sizes, SpeakOn};
use crate::buffer::Buffer;
use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use burn::backend::Flex;
use burn_flex::FlexTensor;
use std::ops::Range;
use std::sync::Arc;

/// Data that the gradient of x needs.
#[derive(Clone, Debug)]
pub(crate) struct Perceived(Prepared);

/// x, `[B, H, T, N]`.
pub(crate) fn perceive(input: HalfOn<Flex>) -> (FlexTensor, Perceived) {
    let prepared = Prepared::perceive(input);
    let (sizes, operands) = (prepared.sizes, prepared.operands());
    let size = sizes.tokens * sizes.neurons;
    let mut x = vec![0.0; sizes.lanes * sizes.heads * size];
    x.par_chunks_exact_mut(size).enumerate().for_each(|(index, x)| {
        let (lane, head) = (index / sizes.heads, index % sizes.heads);
        let head = operands.head(lane, head);
        with_scratch(|scratch| {
            for window in operands.windows(lane) {
                let x = &mut x[window.tokens.start * sizes.neurons..window.tokens.end * sizes.neurons];
                activate(&head.window(&window.tokens), scratch, x);
            }
        });
    });
    (tensor(x, sizes.activities()), Perceived(prepared))
}

/// The x of a window, `[T, N]`.
fn activate(head: &Head<'_>, scratch: &mut Scratch, into: &mut [f32]) {
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = head.sizes;
    let v = scratch.v.share(head.precision, head.v, width);
    for tile in head.sizes.tiles() {
        let x = scratch.tile.sized(tokens * tile.len());
        head.project(&tile, v, x);
        for (from, into) in x.chunks_exact(tile.len()).zip(into.chunks_exact_mut(neurons)) {
            into[tile.clone()].copy_from_slice(from);
        }
    }
}

/// The gradients of v and decoder_x from that of x.
pub(crate) fn perceive_back(Perceived(prepared): &Perceived, d: &FlexTensor) -> [FlexTensor; 2] {
    let (sizes, operands) = (prepared.sizes, prepared.operands());
    let sum = gather(sizes, GradientLayout::Rows, |head, lanes, part| {
        collect_perceived(&operands, d.storage(), (head, lanes), part);
    });
    [
        tensor(sum.v, sizes.stream()),
        tensor(sum.decoder_x, sizes.decoder()),
    ]
}

fn collect_perceived(
    operands: &Operands<'_>,
    d: &[f32],
    (head, lanes): (usize, Range<usize>),
    part: &mut HeadGradients<'_>,
) {
    let sizes = operands.sizes;
    for lane in lanes {
        let first = (lane * sizes.heads + head) * sizes.tokens;
        let head = operands.head(lane, head);
        let mut dv = Buffer::zeros(sizes.tokens * sizes.width);
        with_scratch(|scratch| {
            for window in operands.windows(lane) {
                let tokens = first + window.tokens.start..first + window.tokens.end;
                let d = &d[tokens.start * sizes.neurons..tokens.end * sizes.neurons];
                let dv = &mut dv[sizes.rows_of(&window.tokens)];
                deactivate(&head.window(&window.tokens), scratch, d, dv, part);
            }
        });
        part.of_lanes.v.push(dv);
    }
}

/// Gradients from the x of a window, `[T, N]`, to v and decoder_x.
fn deactivate(
    head: &Head<'_>,
    scratch: &mut Scratch,
    d: &[f32],
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
    for tile in head.sizes.tiles() {
        let x = scratch.tile.sized(tokens * tile.len());
        let dx = scratch.gate.sized(tokens * tile.len());
        head.project(&tile, v, x);
        for (into, from) in dx.chunks_exact_mut(tile.len()).zip(d.chunks_exact(neurons)) {
            into.copy_from_slice(&from[tile.clone()]);
        }
        where_active(dx, x);
        through_x(head, &tile, [x, dx], &mut scratch.fired, v, dv, part.decoder_x);
    }
}

/// Data that the gradient of the second half needs: the normed reads, lane by lane and head by head, each window by
/// window.
#[derive(Clone, Debug)]
pub(crate) struct Spoken {
    prepared: Prepared,
    reads: Arc<[Vec<Read>]>,
}

/// Contribution of a level, from its read.
pub(crate) fn speak(input: SpeakOn<Flex>, keep: bool) -> LevelRun<Flex, Spoken> {
    let mut prepared = Prepared::speak(input.half, input.norm, input.dropout);
    let sizes = prepared.sizes;
    let (read, size) = (contiguous(input.read), sizes.tokens * sizes.width);
    prepared.per_unit = input
        .levels
        .map(|levels| per_unit(&prepared.operands(), read.storage(), levels));
    let operands = prepared.operands();
    let heads: Vec<OfHead> = read
        .storage::<f32>()
        .par_chunks_exact(size)
        .enumerate()
        .map(|(index, read)| contribute(&operands, index, read, keep))
        .collect();
    let Forward { u, reads, active } = Forward::sum(heads, sizes);
    let reads = reads.into();
    LevelRun {
        u: tensor(u, sizes.stream()),
        memory: None,
        active,
        kept: keep.then_some(Spoken { prepared, reads }),
    }
}

/// Steps in a unit of y, `[B, H, T]`, from the reads, `[B, H, T, D]`.
fn per_unit(operands: &Operands<'_>, read: &[f32], levels: Levels) -> Arc<[f32]> {
    let Sizes {
        heads, tokens, width, ..
    } = operands.sizes;
    let mut most = vec![Levels::LEAST; read.len() / width]; // [B, H, T]
    let of_heads = most
        .par_chunks_exact_mut(tokens)
        .zip(read.par_chunks_exact(tokens * width));
    of_heads.enumerate().for_each(|(index, (most, read))| {
        let (lane, head) = (index / heads, index % heads);
        let head = operands.head(lane, head);
        with_scratch(|scratch| {
            for window in operands.windows(lane) {
                let rows = operands.sizes.rows_of(&window.tokens);
                let (head, most) = (head.window(&window.tokens), &mut most[window.tokens.clone()]);
                find_largest(&head, scratch, &normed(&head, &read[rows]), most);
            }
        });
    });
    if levels.shared == SharedScale::Token {
        most.chunks_exact_mut(heads * tokens).for_each(|lane| {
            for t in 0..tokens {
                let of_token = (0..heads).map(|head| lane[head * tokens + t]);
                let largest = of_token.fold(Levels::LEAST, f32::max);
                (0..heads).for_each(|head| lane[head * tokens + t] = largest);
            }
        });
    }
    most.iter()
        .map(|most| most.recip() * levels.count as f32)
        .collect()
}

/// The largest y of each token of a window, if it is above what stands in `most`.
fn find_largest(head: &Head<'_>, scratch: &mut Scratch, read: &Read, most: &mut [f32]) {
    let Sizes { tokens, width, .. } = head.sizes;
    let a = scratch.a.share(head.precision, &read.a[..tokens * width], width);
    let v = scratch.v.share(head.precision, head.v, width);
    for tile in head.sizes.tiles() {
        let x = scratch.tile.sized(tokens * tile.len());
        let y = scratch.y.sized(x.len());
        head.project(&tile, v, x);
        scratch.fired.mark(x, tile.len());
        head.open(&tile, a, &scratch.fired, y);
        gate(y, x);
        let rows = y.chunks_exact(tile.len()).zip(&mut *most);
        rows.for_each(|(row, most)| *most = most.max(largest(row)));
    }
}

/// One head of one lane, from its read, `[T, D]`.
fn contribute(operands: &Operands<'_>, index: usize, read: &[f32], keep: bool) -> OfHead {
    let (lane, sizes) = (index / operands.sizes.heads, operands.sizes);
    let head = operands.head(lane, index % sizes.heads);
    let (mut u, mut reads, mut active) = (Buffer::zeros(read.len()), Vec::new(), [0; 2]);
    with_scratch(|scratch| {
        for window in operands.windows(lane) {
            let rows = sizes.rows_of(&window.tokens);
            let head = head.window(&window.tokens);
            let read = normed(&head, &read[rows.clone()]);
            perceive_window(&head, scratch);
            let counts = second_half(&head, scratch, &read, &mut u[rows]);
            (0..2).for_each(|which| active[which] += counts[which]);
            if keep {
                reads.push(read);
            }
        }
    });
    (u, reads, active)
}

/// Normed read of a window.
fn normed(head: &Head<'_>, rows: &[f32]) -> Read {
    let mut read = Read::default();
    read.a.copied(rows);
    head.norm(&mut read.a, read.scale.sized(head.sizes.tokens));
    read
}

/// The x of a window, into the buffers.
fn perceive_window(head: &Head<'_>, scratch: &mut Scratch) {
    let v = scratch.v.share(head.precision, head.v, head.sizes.width);
    let x = scratch.x.sized(head.sizes.tokens * head.sizes.neurons);
    for tile in head.sizes.tiles() {
        head.project(&tile, v, &mut x[head.place(&tile)]);
    }
}

/// The gradients of the read, v, decoder_x, decoder_y and encoder from that of the contribution.
pub(crate) fn speak_back(kept: &Spoken, du: &FlexTensor) -> [FlexTensor; 5] {
    let (sizes, operands) = (kept.prepared.sizes, kept.prepared.operands());
    let sum = gather(sizes, GradientLayout::Rows, |head, lanes, part| {
        collect_spoken(&operands, &kept.reads, du.storage(), (head, lanes), part);
    });
    let Gradients {
        v,
        decoder_x,
        decoder_y,
        encoder,
        own,
        ..
    } = sum;
    [
        tensor(own, sizes.read()),
        tensor(v, sizes.stream()),
        tensor(decoder_x, sizes.decoder()),
        tensor(decoder_y, sizes.decoder()),
        tensor(encoder, sizes.encoder()),
    ]
}

fn collect_spoken(
    operands: &Operands<'_>,
    reads: &[Vec<Read>],
    du: &[f32],
    (head, lanes): (usize, Range<usize>),
    part: &mut HeadGradients<'_>,
) {
    let sizes = operands.sizes;
    let stream = sizes.tokens * sizes.width;
    for lane in lanes {
        let reads = &reads[lane * sizes.heads + head];
        let du = &du[lane * stream..(lane + 1) * stream];
        let head = operands.head(lane, head);
        let (mut dv, mut dread) = (Buffer::zeros(stream), Buffer::zeros(stream));
        with_scratch(|scratch| {
            for (window, read) in operands.windows(lane).iter().zip(reads) {
                let (rows, head) = (sizes.rows_of(&window.tokens), head.window(&window.tokens));
                through_gate(&head, scratch, read, &du[rows.clone()], part);
                let dr = scratch.da.sized(rows.len());
                head.norm_back(dr, &read.a, &read.scale);
                dread[rows.clone()].copy_from_slice(dr);
                through_activities(&head, scratch, &mut dv[rows], part);
            }
        });
        part.of_lanes.v.push(dv);
        part.of_lanes.own.push(dread);
    }
}

/// Gradients from x, through the gate, to v and decoder_x. x and its gradient are in the buffers; the gradient is zero
/// where x is.
fn through_activities(head: &Head<'_>, scratch: &mut Scratch, dv: &mut [f32], part: &mut HeadGradients<'_>) {
    let v = scratch.v.share(head.precision, head.v, head.sizes.width);
    for tile in head.sizes.tiles() {
        let place = head.place(&tile);
        let (x, dx) = (&scratch.x[place.clone()], &scratch.dx[place]);
        through_x(head, &tile, [x, dx], &mut scratch.fired, v, dv, part.decoder_x);
    }
}
