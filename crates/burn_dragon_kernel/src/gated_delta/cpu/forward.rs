//! Reads of a head, and its memory after the window.

use super::Head;
use super::chunk::{
    CHUNK, Factors, add_rows, left, lengths, multiply, multiply_each, rows, scale, scale_rows,
};
use crate::buffer::Buffer;
use crate::matrix::{Matrix, Precision};
use crate::simd::vectorized;
use std::ops::Range;

/// Outputs of a head, and what its gradient needs, to be written.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) read: &'a mut [f32],    // [T, D]
    pub(super) updates: &'a mut [f32], // [T, D]
    pub(super) scores: &'a mut [f32],  // [T, C]
    pub(super) lengths: &'a mut [f32], // [T]
    pub(super) memory: &'a mut [f32],  // [K, D]: that of the chunk, and at last that after the window
}

/// Writes all outputs.
pub(super) fn head(head: &Head<'_>, found: &mut Found<'_>) {
    found.memory.copy_from_slice(head.memory);
    let mut scaled = Buffer::default();
    let mut factors = Buffer::zeros(CHUNK * CHUNK);
    for (tokens, empty) in head.chunks() {
        if empty {
            found.memory.fill(0.0);
        }
        chunk(head, &tokens, found, (&mut scaled, &mut factors));
    }
}

/// A chunk: its reads, and the memory after it.
fn chunk(head: &Head<'_>, tokens: &Range<usize>, found: &mut Found<'_>, room: (&mut Buffer, &mut Buffer)) {
    let (size, width, keys) = (tokens.len(), head.sizes.width, head.sizes.keys);
    let (scaled, left_room) = room;
    let wide = tokens.start * width..tokens.end * width;
    let q = rows(&head.q[tokens.start * keys..tokens.end * keys], size, keys);
    let scores = &mut found.scores[tokens.start * CHUNK..tokens.end * CHUNK];
    products(scores, q);
    let factors = Factors::new(head, tokens, lengths(scores, size));
    left(&factors, left_room);
    multiply_each(scores, left_room);
    let (read, updates) = (&mut found.read[wide.clone()], &mut found.updates[wide.clone()]);
    let scaled = scaled.sized(size * width);
    multiply(scaled, q, rows(found.memory, keys, width), false);
    scale_rows(scaled, &factors.recalled, width, read);
    substitute(scores, &head.v[wide], &head.beta[tokens.clone()], read, updates);
    write(found.memory, q, updates, &factors, scaled);
    found.lengths[tokens.clone()].copy_from_slice(&factors.lengths[..size]);
}

/// Products of keys among themselves, `[C, C]`.
fn products(into: &mut [f32], q: Matrix<'_>) {
    Precision::F32.multiply(into, CHUNK, q, q.transposed(), false);
}

/// The memory after a chunk, in place of that before it.
pub(super) fn write(
    memory: &mut [f32],
    q: Matrix<'_>,
    updates: &[f32],
    factors: &Factors,
    scaled: &mut [f32],
) {
    let width = updates.len() / factors.size;
    scale_rows(updates, &factors.written, width, scaled);
    if factors.kept < 1.0 {
        scale(memory, factors.kept);
    }
    multiply(memory, q.transposed(), rows(scaled, factors.size, width), true);
}

vectorized! {
    /// Adds what is read of the chunk's own updates to the reads, and computes the updates, token by token.
    substitute(scores: &[f32], v: &[f32], beta: &[f32], read: &mut [f32], updates: &mut [f32]) {
        let width = v.len() / beta.len();
        for (t, ((scores, v), beta)) in scores.chunks_exact(CHUNK).zip(v.chunks_exact(width)).zip(beta).enumerate() {
            let (before, update) = updates.split_at_mut(t * width);
            let read = &mut read[t * width..(t + 1) * width];
            add_rows(read, before, scores.iter().copied());
            for ((update, v), read) in update.iter_mut().zip(v).zip(read) {
                *update = beta * (v - *read);
            }
        }
    }
}
