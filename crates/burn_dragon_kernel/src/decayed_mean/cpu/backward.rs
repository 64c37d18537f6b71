//! Gradients of a head.
//!
//! With G the gradient of `rho_t`, and `p = w / (z + eps)`:
//!
//! ```text
//! forward      dp_t = d_read_t . rho_t-1
//! back         dq_t = G_t v_t (as key);   dv_t = sum over n of q_t G_t;   G_t-1 = d G_t + p_t d_read_t
//! of decay     d G_t . rho_t-1 = e_t - q_t dq_t, where e_t = G_t . rho_t;   e_t-1 = that + p_t dp_t
//! ```
//!
//! So the gradient of the decay needs no memory and its gradient at once. Rows of G fade as those of memory do.

use super::tile::{OfTile, Step, TILE, Tile, active, fade, mean};
use super::{EPS, Head};
use crate::buffer::Buffer;
use crate::causal_read::Credit;
use crate::simd::{LANES, dot, fold, vectorized};

/// Gradients of the outputs of a head.
#[derive(Debug)]
pub(super) struct Outputs<'a> {
    pub(super) read: &'a [f32], // [T, padded]
    /// Products of the reads with their gradients, `[T]`.
    pub(super) along: &'a [f32],
    pub(super) memory: Option<&'a [f32]>, // [N, D + 1]
    pub(super) credit: Credit,
}

/// Gradients of the operands of a head, to be written.
#[derive(Debug)]
pub(super) struct Gradients<'a> {
    pub(super) q: &'a mut [f32],     // [T, N]
    pub(super) v: &'a mut [f32],     // [T, padded], added to
    pub(super) decay: &'a mut [f32], // [N]
    pub(super) memory: Option<&'a mut [f32]>,
}

/// What the way back needs of the tokens of a tile.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// z before each token.
    z: Vec<OfTile>,
    /// Gradients of p.
    dp: Vec<OfTile>,
}

/// Gradients with respect to the memory of a tile, on the way back.
#[derive(Debug, Default)]
pub(super) struct Back {
    /// `[TILE, padded]`
    rows: Buffer,
    z: OfTile,
    faded: OfTile,
    /// Products of memory and gradient.
    e: [f64; TILE],
    decay: [f64; TILE],
}

/// Writes all gradients.
pub(super) fn head(head: &Head<'_>, outputs: &Outputs<'_>, gradients: &mut Gradients<'_>) {
    let (mut tile, mut kept, mut back) = (Tile::default(), Kept::default(), Back::default());
    kept.z.resize(head.sizes.tokens, [0.0; TILE]);
    kept.dp.resize(head.sizes.tokens, [0.0; TILE]);
    for first in (0..head.sizes.neurons).step_by(TILE) {
        tile.load(head, first);
        forth(head, outputs, first, &mut tile, &mut kept);
        back.load(head, outputs, first, &tile);
        back_through(head, outputs, first, (&tile.decay, &kept), &mut back, gradients);
        let decays = &mut gradients.decay[first..first + head.size(first)];
        for (decay, found) in decays.iter_mut().zip(back.decay) {
            *decay = found as f32;
        }
        if let Some(memory) = &mut gradients.memory {
            back.store(head, first, memory);
        }
    }
}

impl Back {
    /// The gradients after the window.
    fn load(&mut self, head: &Head<'_>, outputs: &Outputs<'_>, first: usize, tile: &Tile) {
        let (padded, width) = (head.sizes.padded, head.sizes.width);
        self.decay = [0.0; TILE];
        self.clear(padded);
        let Some(memory) = outputs.memory else { return };
        let memory = &memory[first * (width + 1)..][..head.size(first) * (width + 1)];
        let rows = self
            .rows
            .chunks_exact_mut(padded)
            .zip(memory.chunks_exact(width + 1));
        for (n, ((row, d), of_tile)) in rows.zip(tile.rows.chunks_exact(padded)).enumerate() {
            row[..width].copy_from_slice(&d[..width]);
            self.z[n] = d[width];
            self.e[n] = f64::from(tile.faded[n]) * f64::from(dot(row, of_tile));
        }
    }

    /// No gradient of the memory.
    fn clear(&mut self, padded: usize) {
        self.rows.sized(TILE * padded).fill(0.0);
        (self.z, self.faded, self.e) = ([0.0; TILE], [1.0; TILE], [0.0; TILE]);
    }

    /// Writes the gradients before the window.
    fn store(&self, head: &Head<'_>, first: usize, memory: &mut [f32]) {
        let width = head.sizes.width;
        let into = &mut memory[first * (width + 1)..][..head.size(first) * (width + 1)];
        let rows = self.rows.chunks_exact(head.sizes.padded).enumerate();
        for (into, (n, row)) in into.chunks_exact_mut(width + 1).zip(rows) {
            if head.starts_empty {
                into.fill(0.0);
                continue;
            }
            for (into, row) in into.iter_mut().zip(&row[..width]) {
                *into = self.faded[n] * row;
            }
            into[width] = self.z[n];
        }
    }

    /// Goes back past a token: gradients of the queries, given those as keys, and what is left for the tokens before.
    #[inline(always)]
    fn step(&mut self, token: &Token<'_>, as_keys: &OfTile, into: &mut OfTile) {
        let Token { q, z, dp, decay, .. } = token;
        for n in 0..TILE {
            let over = (z[n] + EPS as f32).recip();
            let along = q[n] * token.scale * over * dp[n];
            let fading = self.e[n] - f64::from(q[n] * as_keys[n]);
            self.e[n] = fading + f64::from(along);
            self.decay[n] += fading + f64::from(decay[n] * self.z[n] * z[n]);
            let as_query = (dp[n] * over - token.along) * token.scale;
            let as_key = if token.credits_keys {
                as_keys[n] + self.z[n]
            } else {
                0.0
            };
            into[n] = if q[n] > 0.0 { as_query + as_key } else { 0.0 };
            self.z[n] = decay[n] * self.z[n] - along * over;
        }
        fade(&mut self.faded, q, decay);
    }
}

/// A token of a tile on the way back.
struct Token<'a> {
    q: &'a OfTile,
    z: &'a OfTile,
    dp: &'a OfTile,
    decay: &'a OfTile,
    scale: f32,
    along: f32,
    credits_keys: bool,
}

/// Product of a row with `d`, and the row after its write.
#[inline(always)]
fn touch(row: &mut [f32], d: &[f32], v: &[f32], keep: f32, write: f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (rows, _) = row.as_chunks_mut::<LANES>();
    let (ds, vs) = (d.as_chunks::<LANES>().0, v.as_chunks::<LANES>().0);
    for ((row, d), v) in rows.iter_mut().zip(ds).zip(vs) {
        for lane in 0..LANES {
            sums[lane] += row[lane] * d[lane];
            row[lane] = keep * row[lane] + write * v[lane];
        }
    }
    fold(sums, |a, b| a + b)
}

/// As [`touch`], with `write` times `d` added to the row, and `add` times the row added to `dv`.
#[inline(always)]
fn touch_back(
    row: &mut [f32],
    [v, d]: [&[f32]; 2],
    dv: &mut [f32],
    add: f32,
    [keep, write]: [f32; 2],
) -> f32 {
    let mut sums = [0.0; LANES];
    let (rows, _) = row.as_chunks_mut::<LANES>();
    let (vs, ds) = (v.as_chunks::<LANES>().0, d.as_chunks::<LANES>().0);
    let (dvs, _) = dv.as_chunks_mut::<LANES>();
    for (((row, v), d), dv) in rows.iter_mut().zip(vs).zip(ds).zip(dvs) {
        for lane in 0..LANES {
            sums[lane] += row[lane] * v[lane];
            dv[lane] += add * row[lane];
            row[lane] = keep * row[lane] + write * d[lane];
        }
    }
    fold(sums, |a, b| a + b)
}

vectorized! {
    /// The memory again, for the gradients of p.
    forth(head: &Head<'_>, outputs: &Outputs<'_>, first: usize, tile: &mut Tile, kept: &mut Kept) {
        let padded = head.sizes.padded;
        let (mut step, mut found) = (Step::default(), [0; TILE]);
        for piece in &head.pieces {
            if piece.start > 0 {
                tile.clear(padded);
            }
            for token in piece.clone() {
                let q = head.queries(token, first);
                kept.z[token] = tile.z;
                tile.step(&q, head.scales[token], &mut step);
                let count = active(&q, &mut found);
                let row = token * padded..(token + 1) * padded;
                let (d, v, dp) = (&outputs.read[row.clone()], &head.v[row], &mut kept.dp[token]);
                for &n in &found[..count] {
                    let row = &mut tile.rows[n * padded..(n + 1) * padded];
                    dp[n] = step.faded[n] * touch(row, d, v, step.keep[n], q[n]);
                }
            }
        }
    }

    /// The way back through all tokens.
    back_through(head: &Head<'_>, outputs: &Outputs<'_>, first: usize, tile: (&OfTile, &Kept), back: &mut Back, gradients: &mut Gradients<'_>) {
        let (padded, size, (decay, kept)) = (head.sizes.padded, head.size(first), tile);
        let mut found = [0; TILE];
        for piece in head.pieces.iter().rev() {
            if piece.end < head.sizes.tokens {
                back.clear(padded);
            }
            for at in piece.clone().rev() {
                let q = head.queries(at, first);
                let row = at * padded..(at + 1) * padded;
                let (v, d) = (&head.v[row.clone()], &outputs.read[row.clone()]);
                let (dv, z) = (&mut gradients.v[row], &kept.z[at]);
                let (count, mut as_keys) = (active(&q, &mut found), [0.0; TILE]);
                for &n in &found[..count] {
                    let row = &mut back.rows[n * padded..(n + 1) * padded];
                    let faded = back.faded[n];
                    let factors = [decay[n] * faded, mean(q[n], head.scales[at], z[n])];
                    as_keys[n] = faded * touch_back(row, [v, d], dv, q[n] * faded, factors);
                }
                let token = Token {
                    q: &q,
                    z,
                    dp: &kept.dp[at],
                    decay,
                    scale: head.scales[at],
                    along: outputs.along[at],
                    credits_keys: outputs.credit == Credit::Full,
                };
                let mut dq = [0.0; TILE];
                back.step(&token, &as_keys, &mut dq);
                gradients.q[at * head.sizes.neurons + first..][..size].copy_from_slice(&dq[..size]);
            }
        }
    }
}
