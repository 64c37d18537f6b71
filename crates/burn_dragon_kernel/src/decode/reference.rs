//! Definition of a decoding step, in plain loops and in f64.

use super::weights::{DecodeKeys, Parameters, Sizes};

/// State of `B` lanes.
#[derive(Clone, Debug)]
pub struct State {
    /// Memories, one `[B, H, K, D]` for each level.
    pub rho: Vec<Vec<f64>>,
    /// Position of each lane: the number of tokens it has read.
    pub positions: Vec<u64>,
}

impl State {
    /// An empty memory at position 0, for keys of the model.
    pub fn new(model: &Parameters<'_>, lanes: usize) -> Self {
        let Sizes {
            heads, width, levels, ..
        } = model.sizes;
        let rows = 2 * model.frequencies.turns().len();
        Self {
            rho: vec![vec![0.0; lanes * heads * rows * width]; levels],
            positions: vec![0; lanes],
        }
    }
}

/// Reads one token of each lane and returns the logits of the next token, `[B, V]`.
pub fn step(model: &Parameters<'_>, state: &mut State, tokens: &[u32]) -> Vec<f64> {
    step_with(model, &Inputs::EXACT, state, tokens)
}

/// What the matrices are multiplied by, functions of what they would be otherwise.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// Of the stream, `[D]`.
    pub(super) v: &'a dyn Fn(&[f64]) -> Vec<f64>,
    /// Of a head's read, `[D]`.
    pub(super) a: &'a dyn Fn(&[f64]) -> Vec<f64>,
    /// Of y, `[H, N]`.
    pub(super) y: &'a dyn Fn(&[f64]) -> Vec<f64>,
}

impl Inputs<'_> {
    /// The numbers themselves.
    const EXACT: Self = Self {
        v: &<[f64]>::to_vec,
        a: &<[f64]>::to_vec,
        y: &<[f64]>::to_vec,
    };
}

/// The same with other inputs of the matrices; the memory is asked with x and written with the stream itself.
pub(super) fn step_with(
    model: &Parameters<'_>,
    inputs: &Inputs<'_>,
    state: &mut State,
    tokens: &[u32],
) -> Vec<f64> {
    let Sizes {
        heads, width, vocab, ..
    } = model.sizes;
    let rows = 2 * model.frequencies.turns().len();
    let block = heads * rows * width;
    let mut logits = Vec::new();
    for (lane, &token) in tokens.iter().enumerate() {
        let embedded = &model.embed[token as usize * width..][..width];
        let mut v = norm(
            &embedded.iter().copied().map(f64::from).collect::<Vec<_>>(),
            model.eps,
        );
        for rho in &mut state.rho {
            let u = level(
                model,
                inputs,
                &v,
                &mut rho[lane * block..][..block],
                state.positions[lane],
            );
            let u = norm(&u, model.eps);
            v = norm(
                &v.iter().zip(u).map(|(v, u)| v + u).collect::<Vec<_>>(),
                model.eps,
            );
        }
        logits.extend((0..vocab).map(|token| column(&v, model.lm_head, vocab, token)));
        state.positions[lane] += 1;
    }
    logits
}

/// Contribution of a level to the stream of one lane, `[D]`; writes to `rho`, `[H, K, D]`.
fn level(model: &Parameters<'_>, inputs: &Inputs<'_>, v: &[f64], rho: &mut [f64], position: u64) -> Vec<f64> {
    let Sizes {
        heads,
        neurons,
        width,
        ..
    } = model.sizes;
    let (seen, mut y) = ((inputs.v)(v), Vec::with_capacity(heads * neurons));
    for head in 0..heads {
        let of_head = head * neurons * width;
        let decoder_x = &model.decoder_x[of_head..][..neurons * width];
        let decoder_y = &model.decoder_y[of_head..][..neurons * width];
        let x: Vec<f64> = (0..neurons)
            .map(|n| column(&seen, decoder_x, neurons, n).max(0.0))
            .collect();
        let mut read = vec![0.0; width];
        let [queries, keys] = queries_and_keys(model, head, &x, position);
        let rows = &mut rho[head * queries.len() * width..][..queries.len() * width];
        for ((q, k), row) in queries.into_iter().zip(keys).zip(rows.chunks_exact_mut(width)) {
            for d in 0..width {
                read[d] += q * row[d];
                row[d] += k * v[d];
            }
        }
        if let Some(slope) = model.slopes.get(head) {
            rows.iter_mut().for_each(|entry| *entry *= (-slope).exp());
        }
        let a = (inputs.a)(&norm(&read, model.eps));
        let gated = |(n, x): (usize, &f64)| column(&a, decoder_y, neurons, n).max(0.0) * x;
        y.extend(x.iter().enumerate().map(gated));
    }
    let mut u = vec![0.0; width];
    for (y, row) in (inputs.y)(&y).iter().zip(model.encoder.chunks_exact(width)) {
        u.iter_mut().zip(row).for_each(|(u, e)| *u += y * f64::from(*e));
    }
    u
}

/// The product of a row `[D]` with one column of a matrix `[D, columns]`.
fn column(row: &[f64], matrix: &[f32], columns: usize, index: usize) -> f64 {
    row.iter()
        .enumerate()
        .map(|(d, v)| v * f64::from(matrix[d * columns + index]))
        .sum()
}

/// Queries and keys of a head, one number for each row of its memory.
fn queries_and_keys(model: &Parameters<'_>, head: usize, x: &[f64], position: u64) -> [Vec<f64>; 2] {
    let turns = model.frequencies.turns();
    let DecodeKeys::Polar { phases } = model.keys else {
        let q = rotate(x, turns, position);
        return [q.clone(), q];
    };
    let vectors = |phase: &dyn Fn(usize) -> f64| {
        let vector = |(n, (x, turns)): (usize, (&f64, &f64))| {
            let angle = (position as f64 * turns).fract() * std::f64::consts::TAU + phase(n);
            [x * angle.cos(), x * angle.sin()]
        };
        x.iter().zip(turns).enumerate().flat_map(vector).collect()
    };
    let phase = |n: usize| {
        phases
            .get(head * x.len() + n)
            .map_or(0.0, |phase| f64::from(*phase))
    };
    [vectors(&|_| 0.0), vectors(&phase)]
}

fn rotate(x: &[f64], turns: &[f64], position: u64) -> Vec<f64> {
    let pairs = x.as_chunks::<2>().0.iter().zip(turns);
    pairs
        .flat_map(|([first, second], turns)| {
            let (sin, cos) = ((position as f64 * turns).fract() * std::f64::consts::TAU).sin_cos();
            [first * cos - second * sin, second * cos + first * sin]
        })
        .collect()
}

fn norm(v: &[f64], eps: f64) -> Vec<f64> {
    let width = v.len() as f64;
    let mean = v.iter().sum::<f64>() / width;
    let variance = v.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width;
    v.iter().map(|v| (v - mean) / (variance + eps).sqrt()).collect()
}
