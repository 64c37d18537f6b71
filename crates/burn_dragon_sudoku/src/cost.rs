//! Tensors of a sudoku model and the cost of its passes, from its configuration.

use crate::config::{ModelConfig, ModelType, Places, Tokens};
use crate::units::CELLS;
use burn_dragon_core::api::{TensorShape, TrunkConfig};

/// Number of digits.
const DIGITS: usize = 9;

impl ModelConfig {
    /// Tensors of a model, in the order of its fields.
    pub fn tensors(&self) -> Vec<TensorShape> {
        let d = self.d_model;
        let (said, logits) = match self.tokens {
            Tokens::Cells => (DIGITS + 1, DIGITS),
            Tokens::Candidates => (3, 1),
        };
        let mut tensors = vec![TensorShape::new("digits", [said, d])];
        if self.places == Places::Embedded {
            tensors.extend(["rows", "columns", "boxes"].map(|name| TensorShape::new(name, [9, d])));
        }
        tensors.extend(self.trunk().tensors());
        tensors.push(TensorShape::new("readout", [d, logits]));
        if self.kind == ModelType::Saccade {
            tensors.push(TensorShape::new("policy", [2 * d, 1]));
        }
        tensors
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        let numbers = self.tensors().into_iter().map(|tensor| tensor.numbers().0);
        numbers.fold(0, u64::saturating_add)
    }

    /// Approximate peak memory in bytes of a training step of `puzzles` puzzles: that of the levels, and the logits of every
    /// level with their gradients.
    pub fn training_bytes(&self, puzzles: usize) -> u64 {
        let logits = 4 * 3 * (CELLS * DIGITS) as u64;
        let logits = logits
            .saturating_mul(puzzles as u64)
            .saturating_mul(self.n_levels as u64);
        let levels = match self.kind {
            ModelType::Dense => self.trunk().cost().training_bytes(puzzles, CELLS),
            ModelType::Constraint | ModelType::Saccade => self.constraint_bytes(puzzles),
        };
        levels.saturating_add(logits)
    }

    /// Weights with moments and gradients; for each level and token x, read and its norm, state, and what the reads keep.
    fn constraint_bytes(&self, puzzles: usize) -> u64 {
        let of = |size: usize| size as u64;
        let (d, n, heads) = (of(self.d_model), of(self.n_neurons), of(self.n_heads));
        let kept = n + 2 * heads * d + 6 * d + 9 * heads;
        let carried = if self.decay > 0.0 { n * d / 9 } else { 0 };
        let tokens = of(self.tokens.count()).saturating_mul(of(puzzles));
        let levels = tokens
            .saturating_mul(4 * (kept + carried))
            .saturating_mul(of(self.n_levels));
        self.parameters().saturating_mul(16).saturating_add(levels)
    }

    /// Bytes of what a policy sees of the cells of a puzzle at a glimpse.
    pub(crate) fn glimpse_bytes(&self) -> u64 {
        (4 * CELLS as u64).saturating_mul(2 * self.d_model as u64)
    }

    /// FLOPs of a forward pass per puzzle with `levels` levels and a readout after each.
    pub fn forward_flops(&self, levels: usize) -> u64 {
        match self.kind {
            ModelType::Dense => self.dense_flops(levels),
            ModelType::Constraint | ModelType::Saccade => self.constraint_flops(levels),
        }
    }

    fn dense_flops(&self, levels: usize) -> u64 {
        let trunk = TrunkConfig {
            n_levels: levels,
            ..self.trunk()
        };
        let readouts = (2 * self.d_model * DIGITS * levels) as u64;
        (CELLS as u64).saturating_mul(
            trunk
                .cost()
                .forward_flops_per_token(CELLS)
                .saturating_add(readouts),
        )
    }

    /// Three products of every neuron with the width; nine products of queries and keys, and nine weighted values, a head.
    fn constraint_flops(&self, levels: usize) -> u64 {
        let of = |size: usize| size as u64;
        let (d, n, heads) = (of(self.d_model), of(self.n_neurons), of(self.n_heads));
        let logits = of(DIGITS * CELLS / self.tokens.count());
        let reads = if self.decay > 0.0 {
            4 * n * d
        } else {
            18 * (n + heads * d)
        };
        of(self.tokens.count())
            .saturating_mul(6 * n * d + reads + 2 * d * logits)
            .saturating_mul(of(levels))
    }
}
