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

use super::tile::{OfTile, Step, TILE, Tile, WIDE, active, fade, for_blocks, mean};
use super::{EPS, Head};
use crate::buffer::Buffer;
use crate::causal_read::Credit;
use crate::simd::{LANES, dot, vectorized};

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
    fn step(&mut self, token: &Token<'_>, [q, z, dp, as_keys]: [OfTile; 4]) -> OfTile {
        let (decay, of_z) = (*token.decay, self.z);
        let [mut dq, mut along, mut of_decay] = [[0.0; TILE]; 3];
        for n in 0..TILE {
            let over = (z[n] + EPS as f32).recip();
            along[n] = q[n] * token.scale * over * dp[n];
            of_decay[n] = decay[n] * of_z[n] * z[n];
            self.z[n] = decay[n] * of_z[n] - along[n] * over;
            let as_query = (dp[n] * over - token.along) * token.scale;
            let all = as_query + token.key_credit * (as_keys[n] + of_z[n]);
            dq[n] = if q[n] > 0.0 { all } else { 0.0 };
        }
        for n in 0..TILE {
            let fading = self.e[n] - f64::from(q[n] * as_keys[n]);
            self.e[n] = fading + f64::from(along[n]);
            self.decay[n] += fading + f64::from(of_decay[n]);
        }
        fade(&mut self.faded, &q, &decay);
        dq
    }
}

/// A token on the way back.
struct Token<'a> {
    decay: &'a OfTile,
    scale: f32,
    along: f32,
    /// 1 if queries are credited as keys, else 0.
    key_credit: f32,
}

/// Sums of products with a row of each neuron, to be folded.
type Products = [[f32; LANES]; TILE];

/// The sum of a vector.
#[inline(always)]
fn total(sums: &[f32; LANES]) -> f32 {
    let (mut eight, mut four) = ([0.0; LANES / 2], [0.0; LANES / 4]);
    for lane in 0..LANES / 2 {
        eight[lane] = sums[lane] + sums[lane + LANES / 2];
    }
    for lane in 0..LANES / 4 {
        four[lane] = eight[lane] + eight[lane + LANES / 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Products of some columns of the rows of active neurons with `d`, and the rows after the write.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "the arrays are read in step, so that they are vectors"
)]
fn touch<const W: usize>(
    rows: &mut [f32],
    [stride, block]: [usize; 2],
    active: &[usize],
    [keep, write]: [&OfTile; 2],
    [v, d]: [&[f32]; 2],
    products: &mut Products,
) {
    let (rows, _) = rows.as_chunks_mut::<W>();
    let (v, d) = (v.as_chunks::<W>().0[block], d.as_chunks::<W>().0[block]);
    for &n in active {
        let row = &mut rows[n * stride + block];
        let (keep, write, mut product) = (keep[n], write[n], products[n]);
        for part in (0..W).step_by(LANES) {
            for lane in 0..LANES {
                let column = part + lane;
                product[lane] += row[column] * d[column];
                row[column] = keep * row[column] + write * v[column];
            }
        }
        products[n] = product;
    }
}

/// As [`touch`], on the way back: products with v; `write` times `d` is written, and `add` times each row added to `dv`.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "the arrays are read in step, so that they are vectors"
)]
fn touch_back<const W: usize>(
    rows: &mut [f32],
    [stride, block]: [usize; 2],
    active: &[usize],
    [keep, write, add]: [&OfTile; 3],
    [v, d]: [&[f32]; 2],
    (dv, products): (&mut [f32], &mut Products),
) {
    let (rows, _) = rows.as_chunks_mut::<W>();
    let (v, d) = (v.as_chunks::<W>().0[block], d.as_chunks::<W>().0[block]);
    let dv = &mut dv.as_chunks_mut::<W>().0[block];
    let mut sum = *dv;
    for &n in active {
        let row = &mut rows[n * stride + block];
        let (keep, write, add, mut product) = (keep[n], write[n], add[n], products[n]);
        for part in (0..W).step_by(LANES) {
            for lane in 0..LANES {
                let column = part + lane;
                product[lane] += row[column] * v[column];
                sum[column] += add * row[column];
                row[column] = keep * row[column] + write * d[column];
            }
        }
        products[n] = product;
    }
    *dv = sum;
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
                (kept.z[token], kept.dp[token]) = (tile.z, [0.0; TILE]);
                tile.step(&q, head.scales[token], &mut step);
                let count = active(&q, &mut found);
                let (active, row) = (&found[..count], token * padded..(token + 1) * padded);
                let operands = [&head.v[row.clone()], &outputs.read[row]];
                let mut products = [[0.0; LANES]; TILE];
                let factors = [&step.keep, &q];
                for_blocks!(padded, |W, place| touch::<W>(&mut tile.rows, place, active, factors, operands, &mut products));
                for &n in active {
                    kept.dp[token][n] = step.faded[n] * total(&products[n]);
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
                let (z, count) = (kept.z[at], active(&q, &mut found));
                let (active, scale, faded) = (&found[..count], head.scales[at], back.faded);
                let [mut keep, mut write, mut add] = [[0.0; TILE]; 3];
                for n in 0..TILE {
                    (keep[n], write[n], add[n]) = (decay[n] * faded[n], mean(q[n], scale, z[n]), q[n] * faded[n]);
                }
                let (mut products, mut as_keys) = ([[0.0; LANES]; TILE], [0.0; TILE]);
                let (factors, dv) = ([&keep, &write, &add], &mut gradients.v[row]);
                for_blocks!(padded, |W, place| touch_back::<W>(&mut back.rows, place, active, factors, [v, d], (dv, &mut products)));
                for &n in active {
                    as_keys[n] = faded[n] * total(&products[n]);
                }
                let token = Token {
                    decay,
                    scale,
                    along: outputs.along[at],
                    key_credit: f32::from(u8::from(outputs.credit == Credit::Full)),
                };
                let dq = back.step(&token, [q, z, kept.dp[at], as_keys]);
                gradients.q[at * head.sizes.neurons + first..][..size].copy_from_slice(&dq[..size]);
            }
        }
    }
}
