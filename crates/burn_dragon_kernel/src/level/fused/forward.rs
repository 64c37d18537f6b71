//! The forward pass of one head of one lane in one window.

use super::block::{Lines, Turned, activate, gate};
use super::{Fused, Room};
use crate::backend::level::Sizes;
use crate::level::read::Read;
use crate::level::rho::Rho;
use crate::level::scratch::Scratch;
use crate::matrix::native::bf16::{Blocks, Products};
use crate::matrix::{Block, PANEL, Packed, Side};
use std::ops::Range;

/// Computes x, scores and the normed read. The tokens read `rho`, and write to it after that.
pub(super) fn first_half<B: Blocks>(
    fused: &Fused<'_>,
    scratch: &mut Scratch,
    read: &mut Read,
    rho: &mut Rho<'_>,
    write: bool,
) {
    let Sizes {
        tokens,
        neurons,
        width,
        ..
    } = fused.head.sizes;
    let head = fused.head;
    let scores = read.scores.sized(tokens * tokens);
    let recalled = scratch.da.sized(tokens * width);
    let v = scratch.v.share(head.precision, head.v, width);
    let written = head.written(v, &mut scratch.late);
    let room = &mut scratch.fused;
    room.x.begin(Side::Left, tokens, neurons);
    let products = Products::<B>::new();
    for tile in head.sizes.fused_tiles() {
        let first = tile.start == 0;
        perceive(&products, fused, v.left.packed(), &tile, write, room);
        let q = room.q_left.packed();
        products.lower(scores, [q, room.q_keys.packed()], !first);
        if let Some(rows) = rho.rows(&tile, width) {
            products.multiply(recalled, width, q, rows, !first);
        }
        if write {
            let q = room.q_turned.packed();
            rho.write_by(head, &tile, |rows, add| {
                products.multiply(rows, width, q, written.right, add)
            });
        }
    }
    drop(products);
    head.read_scores([scores, recalled], v, rho, [&mut read.a, &mut read.scale]);
    if write {
        rho.written();
    }
}

/// The x and q of a tile, into the buffers.
fn perceive<B: Blocks>(
    products: &Products<B>,
    Fused { head, weights }: &Fused<'_>,
    v: Packed<'_>,
    tile: &Range<usize>,
    write: bool,
    room: &mut Room,
) {
    let (tokens, count) = (head.sizes.tokens, tile.len());
    room.q_left.begin(Side::Left, tokens, count);
    room.q_keys.begin(Side::Right, tokens, count);
    if write {
        room.q_turned.begin(Side::Left, count, tokens);
    }
    let (mut sums, mut lines) = (Block::default(), Lines::default());
    for [t, n] in head.sizes.blocks_of(tile) {
        products.block([v, weights.in_x.packed()], [t, n], &mut sums, false);
        let in_tile = n - tile.start;
        let q = Turned {
            rows: Some(room.q_left.step_mut(t, in_tile)),
            keys: Some(room.q_keys.step_mut(t, in_tile)),
            pairs: None,
            neurons: write.then(|| room.q_turned.step_mut(in_tile, t)),
        };
        let x = Some(room.x.step_mut(t, n));
        // SAFETY: there are products in bf16, so the processor has what they and this ask for.
        unsafe { activate(&sums, head.block_angles([t, n]), x, q, &mut lines) };
    }
}

/// From the read to `[T, D]` of u, and the numbers of active x and y; x is in the buffers.
pub(super) fn second_half<B: Blocks>(
    Fused { head, weights }: &Fused<'_>,
    scratch: &mut Scratch,
    read: &Read,
    u: &mut [f32],
) -> [u64; 2] {
    let Sizes { tokens, width, .. } = head.sizes;
    let a = scratch.a.share(head.precision, &read.a[..tokens * width], width);
    let room = &mut scratch.fused;
    let products = Products::<B>::new();
    let (mut active, mut sums, mut columns) = ([0; 2], Block::default(), [0; PANEL]);
    for tile in head.sizes.fused_tiles() {
        room.left.begin(Side::Left, tokens, tile.len());
        for [t, n] in head.sizes.blocks_of(&tile) {
            let sides = [a.left.packed(), weights.in_y.packed()];
            products.block(sides, [t, n], &mut sums, false);
            let dropout = head.block_dropout([t, n], &mut columns);
            let y = room.left.step_mut(t, n - tile.start);
            // SAFETY: there are products in bf16, so the processor has what they and this ask for.
            let counts = unsafe { gate(&sums, room.x.step(t, n), dropout, y) };
            (0..2).for_each(|which| active[which] += counts[which]);
        }
        let rows = weights.out_encoder.packed().part(&tile);
        products.multiply(u, width, room.left.packed(), rows, true);
    }
    active
}

/// The memory after the window from the memory before it, `[N, D]` each.
pub(super) fn remember<B: Blocks>(
    Fused { head, weights }: &Fused<'_>,
    scratch: &mut Scratch,
    before: Option<&[f32]>,
    after: &mut [f32],
) {
    let Sizes { tokens, width, .. } = head.sizes;
    let v = scratch.v.share(head.precision, head.v, width);
    let written = head.written(v, &mut scratch.late);
    let room = &mut scratch.fused;
    let products = Products::<B>::new();
    let (mut sums, mut lines) = (Block::default(), Lines::default());
    for tile in head.sizes.fused_tiles() {
        room.q_turned.begin(Side::Left, tile.len(), tokens);
        for [t, n] in head.sizes.blocks_of(&tile) {
            let sides = [v.left.packed(), weights.in_x.packed()];
            products.block(sides, [t, n], &mut sums, false);
            let q = Turned {
                rows: None,
                keys: None,
                pairs: None,
                neurons: Some(room.q_turned.step_mut(n - tile.start, t)),
            };
            // SAFETY: there are products in bf16, so the processor has what they and this ask for.
            unsafe { activate(&sums, head.block_angles([t, n]), None, q, &mut lines) };
        }
        let rows = tile.start * width..tile.end * width;
        if let Some(before) = before {
            head.keep(Some(&before[rows.clone()]), &mut after[rows.clone()]);
        }
        products.multiply(
            &mut after[rows],
            width,
            room.q_turned.packed(),
            written.right,
            before.is_some(),
        );
    }
}
