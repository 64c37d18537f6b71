//! Attention residuals (arXiv:2603.15031): a level sees a weighted mean of what came before it.
//!
//! ```text
//! b_0 = v,  b_n = sum of norm(u_l) over the levels of block n          one level a block: the full form
//! h_l = sum over sources of a_i b_i,  a = softmax over i of (w_l . b_i / rms(b_i))
//! sources of level l: b_0 and the blocks before it, and the sum so far of its own
//! input of level l = norm(h_l);  output = norm(h) over all sources, with a query of its own
//! ```
//!
//! Keys are normed and values are not; there is no factor `1 / sqrt(D)`. Queries start at zero, so that means are uniform.
//! The gain of the paper's norm of keys is part of the query here.
//!
//! Queries are constants of a pass, so that a block is attended in two phases: the finished blocks for all of its queries
//! at its first level, then at each level the sum so far, by the rule of the online softmax.

use super::{Setting, Stream};
use crate::norm::Norm;
use burn::tensor::Tensor;

/// The stream of `attention_residual` and `block_attention_residual`.
pub(super) struct AttentionResidual {
    /// Queries, `[L, D]`: of the inputs of levels 1 to L - 1, and of the output.
    queries: Tensor<2>,
    levels_per_block: usize,
    norm: Norm,
    /// Number of levels that have been joined.
    level: usize,
    /// The input, and the finished blocks.
    sources: Vec<Source>,
    /// Sum so far of a block that is not finished.
    partial: Option<Tensor<4>>,
    /// Means over the finished blocks for the levels of this block.
    of_block: Vec<Attended>,
}

/// A source with the products of its key and all queries.
struct Source {
    /// `[B, 1, T, D]`.
    value: Tensor<4>,
    /// `[B, 1, T, L]`.
    scores: Tensor<4>,
}

impl Source {
    fn new(value: Tensor<4>, queries: &Tensor<2>, eps: f64) -> Self {
        let scale = (value.clone().square().mean_dim(3) + eps).sqrt().recip();
        let [_, _, tokens, width] = value.dims();
        let lanes = value.dims()[0];
        let rows = value.clone().reshape([lanes * tokens, width]);
        let count = queries.dims()[0];
        let products = rows.matmul(queries.clone().transpose()); // [B*T, L]
        Self {
            value,
            scores: products.reshape([lanes, 1, tokens, count]) * scale,
        }
    }

    /// Score of a query, `[B, 1, T, 1]`.
    fn score(&self, query: usize) -> Tensor<4> {
        self.scores.clone().narrow(3, query, 1)
    }
}

/// Mean over some sources, with what the rule of the online softmax needs.
#[derive(Clone)]
struct Attended {
    /// `[B, 1, T, D]`.
    mean: Tensor<4>,
    /// Largest score, a constant, `[B, 1, T, 1]`.
    largest: Tensor<4>,
    /// Sum of `exp(score - largest)`, `[B, 1, T, 1]`.
    sum: Tensor<4>,
}

impl Attended {
    /// Mean over sources for a query.
    fn over(sources: &[Source], query: usize) -> Self {
        let scores: Vec<Tensor<4>> = sources.iter().map(|source| source.score(query)).collect();
        let scores = Tensor::cat(scores, 3); // [B, 1, T, S]
        let largest = scores.clone().detach().max_dim(3);
        let weights = (scores - largest.clone()).exp();
        let sum = weights.clone().sum_dim(3);
        let shares = weights / sum.clone();
        let terms = sources.iter().enumerate();
        let mean = terms
            .map(|(index, source)| source.value.clone() * shares.clone().narrow(3, index, 1))
            .reduce(|sum, term| sum + term);
        match mean {
            Some(mean) => Self { mean, largest, sum },
            None => unreachable!("the input is a source"),
        }
    }

    /// Mean over these sources and one more.
    fn with(self, source: &Source, query: usize) -> Tensor<4> {
        let score = source.score(query);
        let largest = self.largest.clone().max_pair(score.clone().detach());
        let before = self.sum * (self.largest - largest.clone()).exp();
        let weight = (score - largest).exp();
        let share = weight.clone() / (before + weight);
        self.mean.clone() + (source.value.clone() - self.mean) * share
    }
}

impl AttentionResidual {
    /// # Panics
    /// If there are no queries.
    pub(super) fn new(v: Tensor<4>, levels_per_block: usize, setting: Setting<'_>) -> Self {
        let queries = setting.learnt("queries", |weights| {
            weights.queries.as_ref().map(|queries| queries.val())
        });
        let source = Source::new(v, &queries, setting.norm.eps());
        Self {
            queries,
            levels_per_block,
            norm: setting.norm.clone(),
            level: 0,
            sources: vec![source],
            partial: None,
            of_block: Vec::new(),
        }
    }

    fn count(&self) -> usize {
        self.queries.dims()[0]
    }

    /// Number of the query of a level's input, from level 1 on. A pass with more levels than in training goes on with the
    /// last one.
    fn query(&self, level: usize) -> usize {
        (level - 1).min(self.count().saturating_sub(2))
    }

    /// Weighted mean of the sources for a query, the partial sum included.
    fn attend(&self, query: usize) -> Tensor<4> {
        self.with_partial(Attended::over(&self.sources, query), query)
    }

    /// Weighted mean of the finished blocks, with the partial sum where there is one.
    fn with_partial(&self, finished: Attended, query: usize) -> Tensor<4> {
        match &self.partial {
            None => finished.mean,
            Some(partial) => finished.with(
                &Source::new(partial.clone(), &self.queries, self.norm.eps()),
                query,
            ),
        }
    }

    /// Weighted mean for the next level, in two phases.
    fn attend_in_block(&mut self) -> Tensor<4> {
        let (within, query) = (self.level % self.levels_per_block, self.query(self.level));
        if within == 0 || self.of_block.is_empty() {
            let last = self.level - within + self.levels_per_block;
            let queries = (self.level..last).map(|level| self.query(level));
            self.of_block = queries
                .map(|query| Attended::over(&self.sources, query))
                .collect();
            self.of_block.reverse(); // the next level's is the last
        }
        match self.of_block.pop() {
            Some(finished) => self.with_partial(finished, query),
            None => unreachable!("the first level of a block attends for all of its levels"),
        }
    }
}

impl AttentionResidual {
    /// Weighted mean that the next level sees, before its norm.
    fn seen(&mut self) -> Tensor<4> {
        match self.level {
            0 => self.sources[0].value.clone(),
            _ => self.attend_in_block(),
        }
    }

    /// Takes the normed output of a level.
    fn push(&mut self, output: Tensor<4>) {
        let sum = match self.partial.take() {
            Some(partial) => partial + output,
            None => output,
        };
        self.level += 1;
        if self.level.is_multiple_of(self.levels_per_block) {
            self.sources
                .push(Source::new(sum, &self.queries, self.norm.eps()));
        } else {
            self.partial = Some(sum);
        }
    }
}

impl Stream for AttentionResidual {
    fn input(&mut self) -> Tensor<4> {
        match self.level {
            0 => self.seen(), // normed already
            _ => {
                let seen = self.seen();
                self.norm.of(seen)
            }
        }
    }

    fn join(&mut self, u: Tensor<4>) {
        self.push(self.norm.of(u));
    }

    fn output(&self) -> Tensor<4> {
        match self.level {
            0 => self.sources[0].value.clone(),
            _ => self.norm.of(self.attend(self.count() - 1)),
        }
    }
}

#[cfg(test)]
#[path = "attention_residual_tests.rs"]
mod tests;
