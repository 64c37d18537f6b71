//! The model once more, in plain f64 loops over one stream, written from its equations and from nothing else: what the
//! tests of long streams and of the memory's algebra compare with.

#![allow(dead_code, reason = "each test file uses its part")]

use crate::subject::values;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::snapshot;
use burn_dragon_core::api::{Dragon, DragonConfig};

/// How positions enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turning {
    /// Keys and queries are turned by their position; the memory lies still.
    Tokens,
    /// The memory is turned back by one step after each token; keys and queries are not turned (Eq. 8).
    Memory,
}

/// One stream of a model.
#[derive(Clone)]
pub(crate) struct Oracle {
    config: DragonConfig,
    turning: Turning,
    embed: Vec<f64>,
    decoder_x: Vec<f64>,
    decoder_y: Vec<f64>,
    encoder: Vec<f64>,
    lm_head: Vec<f64>,
    turns: Vec<f64>,
    /// Per level, `[H, N, D]`.
    pub(crate) rho: Vec<Vec<f64>>,
    pub(crate) position: u64,
}

impl Oracle {
    pub(crate) fn new(dragon: &Dragon, turning: Turning, position: u64) -> Self {
        let config = dragon.config().clone();
        let weights = snapshot(dragon);
        let of = |name: &str| values(weights[name].clone());
        let pairs = config.neurons_per_head() / 2;
        let turn = |i| config.rope_theta.powf(-(i as f64) / pairs as f64) / std::f64::consts::TAU;
        Self {
            turning,
            embed: of("embed"),
            decoder_x: of("decoder_x"),
            decoder_y: of("decoder_y"),
            encoder: of("encoder"),
            lm_head: of("lm_head"),
            turns: (0..pairs).map(turn).collect(),
            rho: vec![vec![0.0; config.n_neurons * config.d_model]; config.n_levels],
            position,
            config,
        }
    }

    /// Reads a token: the logits of what follows.
    pub(crate) fn step(&mut self, token: usize) -> Vec<f64> {
        let (d, eps) = (self.config.d_model, self.config.norm_eps);
        let mut v = norm(&self.embed[token * d..][..d], eps);
        for level in 0..self.config.n_levels {
            let u = self.level(level, &v);
            let added = v.iter().zip(norm(&u, eps)).map(|(v, u)| v + u);
            v = norm(&added.collect::<Vec<_>>(), eps);
        }
        self.position += 1;
        let vocab = self.config.vocab_size;
        let column = |id| (0..d).map(|i| v[i] * self.lm_head[i * vocab + id]).sum();
        (0..vocab).map(column).collect()
    }

    fn level(&mut self, level: usize, v: &[f64]) -> Vec<f64> {
        let (d, n) = (self.config.d_model, self.config.neurons_per_head());
        let mut u = vec![0.0; d];
        let mut rho = std::mem::take(&mut self.rho[level]);
        for (head, rho) in rho.chunks_mut(n * d).enumerate() {
            let x = relu(&product(v, &self.decoder_x[head * d * n..][..d * n], n));
            let q = match self.turning {
                Turning::Tokens => self.turned(&x, self.position as f64),
                Turning::Memory => x.clone(),
            };
            let a = norm(&product(&q, rho, d), self.config.norm_eps); // read, and only then written
            for (q, row) in q.iter().zip(rho.chunks_mut(d)) {
                row.iter_mut().zip(v).for_each(|(entry, v)| *entry += q * v);
            }
            if self.turning == Turning::Memory {
                self.turn_back(rho);
            }
            let y = relu(&product(&a, &self.decoder_y[head * d * n..][..d * n], n));
            let y: Vec<f64> = y.iter().zip(&x).map(|(y, x)| y * x).collect();
            let out = product(&y, &self.encoder[head * n * d..][..n * d], d);
            u.iter_mut().zip(out).for_each(|(u, out)| *u += out);
        }
        self.rho[level] = rho;
        u
    }

    fn turned(&self, x: &[f64], steps: f64) -> Vec<f64> {
        let pairs = x.chunks_exact(2).zip(&self.turns);
        let turn = |(pair, turns): (&[f64], &f64)| {
            let (sin, cos) = angle(steps, *turns).sin_cos();
            [pair[0] * cos - pair[1] * sin, pair[1] * cos + pair[0] * sin]
        };
        pairs.flat_map(turn).collect()
    }

    /// Every column of a head's memory, one step back.
    fn turn_back(&self, rho: &mut [f64]) {
        let d = self.config.d_model;
        for (pair, turns) in rho.chunks_exact_mut(2 * d).zip(&self.turns) {
            let (sin, cos) = angle(1.0, *turns).sin_cos();
            let (even, odd) = pair.split_at_mut(d);
            for (even, odd) in even.iter_mut().zip(odd) {
                (*even, *odd) = (*even * cos + *odd * sin, *odd * cos - *even * sin);
            }
        }
    }
}

/// The angle after a whole number of steps; the product is exact, as the sum of two numbers, before whole turns go.
fn angle(steps: f64, turns: f64) -> f64 {
    let high = steps * turns;
    let low = steps.mul_add(turns, -high);
    (high.fract() + low) * std::f64::consts::TAU
}

/// A row times a matrix of `columns` columns.
fn product(row: &[f64], matrix: &[f64], columns: usize) -> Vec<f64> {
    let mut out = vec![0.0; columns];
    for (&value, row) in row.iter().zip(matrix.chunks_exact(columns)) {
        if value != 0.0 {
            out.iter_mut()
                .zip(row)
                .for_each(|(out, entry)| *out += value * entry);
        }
    }
    out
}

fn relu(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.max(0.0)).collect()
}

fn norm(values: &[f64], eps: f64) -> Vec<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    values
        .iter()
        .map(|value| (value - mean) / (variance + eps).sqrt())
        .collect()
}

/// One lane of tokens.
pub(crate) fn lane(tokens: &[usize]) -> Tensor<2, Int> {
    let ids: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    Tensor::from_data(TensorData::new(ids, [1, tokens.len()]), &Device::flex())
}

#[track_caller]
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |largest: f64, next| {
        if next.is_nan() {
            f64::NAN
        } else {
            largest.max(next)
        }
    })
}
