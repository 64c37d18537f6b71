//! The public implementation's attention residuals, which are not those of the paper of that name.
//!
//! ```text
//! history: h_0 = x_0, h_i = x_i - x_(i-1)                      n entries; of blocks, all but the newest are pooled
//! k_i = rms_norm(h_i K), w_i = h_i V                           head by head
//! a = softmax over i of (q . k_i / sqrt(d) - bias (n - 1 - i))
//! input = x + tanh(g) (sum of a_i w_i O - x)                   g = 0 and q = 0 at the start
//! x = norm(x + norm(input + norm(u)))                          the level has a residual sum of its own
//! ```

use super::{Setting, Stream};
use crate::norm::Norm;
use burn::tensor::{Tensor, activation};
use burn_dragon_kernel::api::hyper_read;

/// Keys of both forms.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamConfig {
    pub(super) n_heads: usize,
    pub(super) recency_bias: f64,
    /// Number of levels in a block; `None` if nothing is pooled.
    pub(super) levels_per_block: Option<usize>,
}

/// An entry of the history as it is attended, made once: a pass has one query, and what a level has changed stays as it is.
#[derive(Clone)]
struct Entry {
    /// Key before its norm, `[M, heads, D / heads]`, M = B T tokens.
    key: Tensor<3>,
    /// Value, `[M, heads, D / heads]`.
    value: Tensor<3>,
    /// `q . k / sqrt(d)`, `[M, heads, 1]`.
    score: Tensor<3>,
}

/// What entries are made with.
struct Projections {
    /// `[1, heads, D / heads]`.
    query: Tensor<3>,
    /// `[D, D]`.
    key: Tensor<2>,
    /// `[D, D]`.
    value: Tensor<2>,
    eps: f64,
}

impl Projections {
    /// The entry of a tensor `[B, 1, T, D]`.
    fn entry(&self, h: Tensor<4>) -> Entry {
        let [lanes, _, tokens, width] = h.dims();
        let [_, heads, part] = self.query.dims();
        let h = h.reshape([lanes * tokens, width]);
        let split = |product: Tensor<2>| product.reshape([lanes * tokens, heads, part]);
        let key = split(h.clone().matmul(self.key.clone()));
        self.with_score(key, split(h.matmul(self.value.clone())))
    }

    /// The mean of some entries: keys are linear until their norm, and values are.
    fn mean(&self, entries: &[Entry]) -> Entry {
        let mean = |of: fn(&Entry) -> &Tensor<3>| {
            let sum = entries.iter().map(of).cloned().reduce(|sum, part| sum + part);
            match sum {
                Some(sum) => sum / entries.len() as f64,
                None => unreachable!("a block has entries"),
            }
        };
        self.with_score(mean(|entry| &entry.key), mean(|entry| &entry.value))
    }

    fn with_score(&self, key: Tensor<3>, value: Tensor<3>) -> Entry {
        let scale = (key.clone().square().mean_dim(2) + self.eps).sqrt();
        let product = (key.clone() * self.query.clone()).sum_dim(2);
        let score = product / scale / (key.dims()[2] as f64).sqrt();
        Entry { key, value, score }
    }
}

/// The stream of `attention_residual_upstream` and `block_upstream`.
pub(super) struct UpstreamResidual {
    config: UpstreamConfig,
    norm: Norm,
    projections: Projections,
    output: Tensor<2>,
    gate: Tensor<1>,
    /// The stream, `[B, 1, T, D]`.
    x: Tensor<4>,
    /// What the last level has changed, or the input of the first; taken when a level follows.
    newest: Option<Tensor<4>>,
    /// Everything before.
    history: Vec<Entry>,
    /// Means of the whole blocks of the history that are pooled.
    pooled: Vec<Entry>,
    /// Input of the level that is being computed.
    now: Option<Tensor<4>>,
}

impl UpstreamResidual {
    /// # Panics
    /// If the weights are not there.
    pub(super) fn new(v: Tensor<4>, config: UpstreamConfig, setting: Setting<'_>) -> Self {
        let of = |param: &Option<burn::module::Param<Tensor<2>>>| param.as_ref().map(|param| param.val());
        let (heads, width) = (config.n_heads, v.dims()[3]);
        let query = setting.learnt("query", |weights| of(&weights.query));
        Self {
            config,
            norm: setting.norm.clone(),
            projections: Projections {
                query: query.reshape([1, heads, width / heads]),
                key: setting.learnt("key", |weights| of(&weights.key)),
                value: setting.learnt("value", |weights| of(&weights.value)),
                eps: setting.norm.eps(),
            },
            output: setting.learnt("output", |weights| of(&weights.output)),
            gate: setting.learnt("gate", |weights| weights.gate.as_ref().map(|gate| gate.val())),
            newest: Some(v.clone()),
            history: Vec::new(),
            pooled: Vec::new(),
            x: v,
            now: None,
        }
    }

    /// Entries that are attended: with blocks, means of the older ones and the newest as they are.
    fn entries(&mut self) -> Vec<Entry> {
        if let Some(newest) = self.newest.take() {
            self.history.push(self.projections.entry(newest));
        }
        let Some(size) = self.config.levels_per_block else {
            return self.history.clone();
        };
        let (older, newest) = self.history.split_at(self.history.len().saturating_sub(size));
        let blocks = older.chunks_exact(size);
        let rest = blocks.remainder();
        for block in blocks.skip(self.pooled.len()) {
            self.pooled.push(self.projections.mean(block));
        }
        let rest = (!rest.is_empty()).then(|| self.projections.mean(rest));
        let pooled = self.pooled.iter().cloned().chain(rest);
        pooled.chain(newest.iter().cloned()).collect()
    }

    /// Weighted mean of the history, `[M, D]`.
    fn mean(&mut self) -> Tensor<2> {
        let (entries, bias) = (self.entries(), self.config.recency_bias);
        let [tokens, heads, part] = entries[0].value.dims();
        let ages = (0..entries.len()).rev();
        let scores = entries.iter().zip(ages);
        let scores = scores.map(|(entry, age)| entry.score.clone() - bias * age as f64);
        let shares = activation::softmax(Tensor::cat(scores.collect(), 2), 2); // [M, heads, n]
        let terms = entries.into_iter().enumerate().map(|(index, entry)| {
            let share = shares.clone().narrow(2, index, 1).reshape([tokens * heads, 1]);
            hyper_read(entry.value.reshape([tokens * heads, 1, part]), share)
        });
        match terms.reduce(|sum, term| sum + term) {
            Some(mean) => mean.reshape([tokens, heads * part]),
            None => unreachable!("the input is in the history"),
        }
    }
}

impl Stream for UpstreamResidual {
    fn input(&mut self) -> Tensor<4> {
        let gate = self.gate.clone().tanh();
        let output = self.output.clone() * gate.clone().reshape([1, 1]); // of D D entries rather than of M D
        let mixed = self.mean().matmul(output).reshape(self.x.dims());
        let input = self.x.clone() * (-gate + 1.0).reshape([1, 1, 1, 1]) + mixed;
        self.now = Some(input.clone());
        input
    }

    fn join(&mut self, u: Tensor<4>) {
        let Some(input) = self.now.take() else {
            unreachable!("a level has an input before it has an output");
        };
        let x = self.norm.of(self.x.clone() + self.norm.join(input, u));
        self.newest = Some(x.clone() - self.x.clone());
        self.x = x;
    }

    fn output(&self) -> Tensor<4> {
        self.x.clone()
    }
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
