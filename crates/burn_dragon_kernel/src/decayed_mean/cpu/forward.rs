//! Reads of a head, and its memory after the window.

use super::Head;
use super::tile::{Step, TILE, Tile, WIDE, active, for_blocks};
use crate::simd::{LANES, vectorized};

/// Adds the reads of all neurons to `read`, `[T, padded]`, and writes the memory after the window.
pub(super) fn head(head: &Head<'_>, read: &mut [f32], memory: &mut [f32]) {
    let width = head.sizes.width;
    let mut tile = Tile::default();
    for first in (0..head.sizes.neurons).step_by(TILE) {
        tile.load(head, first);
        run(head, first, &mut tile, read);
        let into = &mut memory[first * (width + 1)..][..head.size(first) * (width + 1)];
        let rows = tile.rows.chunks_exact(head.sizes.padded).enumerate();
        for (into, (n, row)) in into.chunks_exact_mut(width + 1).zip(rows) {
            for (into, row) in into.iter_mut().zip(&row[..width]) {
                *into = tile.faded[n] * row;
            }
            into[width] = tile.z[n];
        }
    }
}

/// Reads and writes some columns of the rows of active neurons.
#[inline(always)]
fn touch<const W: usize>(
    rows: &mut [f32],
    place: [usize; 2],
    active: &[usize],
    (step, q): (&Step, &[f32; TILE]),
    v: &[f32],
    read: &mut [f32],
) {
    let [stride, block] = place;
    let (rows, _) = rows.as_chunks_mut::<W>();
    let (v, _) = v.as_chunks::<W>();
    let (read, _) = read.as_chunks_mut::<W>();
    let (v, mut sum) = (v[block], read[block]);
    for &n in active {
        let row = &mut rows[n * stride + block];
        let (factor, keep, write) = (step.read[n], step.keep[n], q[n]);
        for column in 0..W {
            sum[column] += factor * row[column];
            row[column] = keep * row[column] + write * v[column];
        }
    }
    read[block] = sum;
}

vectorized! {
    /// All tokens of the window.
    run(head: &Head<'_>, first: usize, tile: &mut Tile, read: &mut [f32]) {
        let padded = head.sizes.padded;
        let (mut step, mut found) = (Step::default(), [0; TILE]);
        for piece in &head.pieces {
            if piece.start > 0 {
                tile.clear(padded);
            }
            for token in piece.clone() {
                let q = head.queries(token, first);
                tile.step(&q, head.scales[token], &mut step);
                let count = active(&q, &mut found);
                let (active, row) = (&found[..count], token * padded..(token + 1) * padded);
                let (v, read) = (&head.v[row.clone()], &mut read[row]);
                for_blocks!(padded, |W, place| touch::<W>(&mut tile.rows, place, active, (&step, &q), v, read));
            }
        }
    }
}
