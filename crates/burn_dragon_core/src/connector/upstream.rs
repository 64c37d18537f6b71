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

/// Keys of both forms.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamConfig {
    pub(super) n_heads: usize,
    pub(super) recency_bias: f64,
    /// Number of levels in a block; `None` if nothing is pooled.
    pub(super) levels_per_block: Option<usize>,
}

/// The stream of `attention_residual_upstream` and `block_upstream`.
pub(super) struct UpstreamResidual {
    config: UpstreamConfig,
    norm: Norm,
    query: Tensor<2>,
    key: Tensor<2>,
    value: Tensor<2>,
    output: Tensor<2>,
    gate: Tensor<1>,
    /// The stream, `[B, 1, T, D]`.
    x: Tensor<4>,
    /// The input of the first level, and what each level has changed.
    history: Vec<Tensor<4>>,
    /// Input of the level that is being computed.
    now: Option<Tensor<4>>,
}

impl UpstreamResidual {
    /// # Panics
    /// If the weights are not there.
    pub(super) fn new(v: Tensor<4>, config: UpstreamConfig, setting: Setting<'_>) -> Self {
        let of = |param: &Option<burn::module::Param<Tensor<2>>>| param.as_ref().map(|param| param.val());
        Self {
            config,
            norm: setting.norm.clone(),
            query: setting.learnt("query", |weights| of(&weights.query)),
            key: setting.learnt("key", |weights| of(&weights.key)),
            value: setting.learnt("value", |weights| of(&weights.value)),
            output: setting.learnt("output", |weights| of(&weights.output)),
            gate: setting.learnt("gate", |weights| weights.gate.as_ref().map(|gate| gate.val())),
            history: vec![v.clone()],
            x: v,
            now: None,
        }
    }

    /// Entries that are attended: with blocks, means of the older ones and the newest as they are.
    fn entries(&self) -> Vec<Tensor<4>> {
        let Some(size) = self.config.levels_per_block else {
            return self.history.clone();
        };
        let (older, newest) = self.history.split_at(self.history.len().saturating_sub(size));
        let pooled = older.chunks(size).map(|block| {
            let sum = block.iter().cloned().reduce(|sum, entry| sum + entry);
            sum.map_or_else(
                || unreachable!("a chunk has entries"),
                |sum| sum / block.len() as f64,
            )
        });
        pooled.chain(newest.iter().cloned()).collect()
    }

    /// Mean of the history, `[B, 1, T, D]`.
    fn mixed(&self) -> Tensor<4> {
        let [lanes, _, tokens, width] = self.x.dims();
        let heads = self.config.n_heads;
        let split = |x: Tensor<2>| x.reshape([lanes * tokens, heads, width / heads]);
        let query = self.query.clone().reshape([1, heads, width / heads]);
        let entries = self.entries();
        let count = entries.len();
        let (scores, values): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .enumerate()
            .map(|(index, entry)| {
                let entry = entry.reshape([lanes * tokens, width]);
                let key = split(entry.clone().matmul(self.key.clone()));
                let scale = (key.clone().square().mean_dim(2) + self.norm.eps()).sqrt();
                let score = (key / scale * query.clone()).sum_dim(2) / ((width / heads) as f64).sqrt();
                let score = score - self.config.recency_bias * (count - 1 - index) as f64;
                (score, split(entry.matmul(self.value.clone())))
            })
            .unzip();
        let shares = activation::softmax(Tensor::cat(scores, 2), 2); // [B*T, heads, n]
        let terms = values.into_iter().enumerate();
        let mean = terms
            .map(|(index, value)| value * shares.clone().narrow(2, index, 1))
            .reduce(|sum, term| sum + term);
        match mean {
            Some(mean) => mean
                .reshape([lanes * tokens, width])
                .matmul(self.output.clone())
                .reshape([lanes, 1, tokens, width]),
            None => unreachable!("the input is in the history"),
        }
    }
}

impl Stream for UpstreamResidual {
    fn input(&mut self) -> Tensor<4> {
        let gate = self.gate.clone().tanh().reshape([1, 1, 1, 1]);
        let input = self.x.clone() + (self.mixed() - self.x.clone()) * gate;
        self.now = Some(input.clone());
        input
    }

    fn join(&mut self, u: Tensor<4>) {
        let Some(input) = self.now.take() else {
            unreachable!("a level has an input before it has an output");
        };
        let x = self.norm.of(self.x.clone() + self.norm.join(input, u));
        self.history.push(x.clone() - self.x.clone());
        self.x = x;
    }

    fn output(&self) -> Tensor<4> {
        self.x.clone()
    }
}
