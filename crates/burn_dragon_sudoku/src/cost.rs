//! Tensors of a sudoku model and the cost of its passes, from its configuration.

use crate::config::{ModelConfig, ModelType, Places, Reads, Tokens, TrmConfig};
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
        if self.recursion().is_some() {
            tensors.push(TensorShape::new("halting", [d, 1]));
            tensors.push(TensorShape::new("halting_bias", [1]));
        }
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
    /// level with their gradients. Of a TRM model, the levels of a cycle, and the logits of one supervision step.
    pub fn training_bytes(&self, puzzles: usize) -> u64 {
        let (kept, answers) = match self.recursion() {
            Some(trm) => (trm.calls().saturating_mul(self.n_levels), 1),
            None => (self.n_levels, self.n_levels as u64),
        };
        let logits = 4 * 3 * (CELLS * DIGITS) as u64;
        let logits = logits.saturating_mul(puzzles as u64).saturating_mul(answers);
        let levels = match self.reading() {
            Reads::Dense => self.deep(kept).cost().training_bytes(puzzles, CELLS),
            Reads::Constraint => self.constraint_bytes(puzzles, kept),
        };
        levels.saturating_add(logits)
    }

    /// Weights with moments and gradients; for each level and token x, read and its norm, state, and what the reads keep.
    fn constraint_bytes(&self, puzzles: usize, levels: usize) -> u64 {
        let of = |size: usize| size as u64;
        let (d, n, heads) = (of(self.d_model), of(self.n_neurons), of(self.n_heads));
        let kept = n + 2 * heads * d + 6 * d + 9 * heads;
        let carried = if self.decay > 0.0 { n * d / 9 } else { 0 };
        let tokens = of(self.tokens.count()).saturating_mul(of(puzzles));
        let levels = tokens
            .saturating_mul(4 * (kept + carried))
            .saturating_mul(of(levels));
        self.parameters().saturating_mul(16).saturating_add(levels)
    }

    /// Bytes of what a policy sees of the cells of a puzzle at a glimpse.
    pub(crate) fn glimpse_bytes(&self) -> u64 {
        (4 * CELLS as u64).saturating_mul(2 * self.d_model as u64)
    }

    /// The trunk with so many levels.
    fn deep(&self, levels: usize) -> TrunkConfig {
        TrunkConfig {
            n_levels: levels,
            ..self.trunk()
        }
    }

    /// FLOPs of a forward pass per puzzle with `levels` levels, or supervision steps of a TRM model, and a readout after each.
    pub fn forward_flops(&self, levels: usize) -> u64 {
        let cycles = self.recursion().map_or(1, |trm| trm.cycles as u64);
        let of_levels = match self.recursion() {
            Some(trm) => self.cycle_flops(&trm),
            None => self.level_flops(),
        };
        let readout = (2 * self.d_model * DIGITS * CELLS) as u64;
        of_levels
            .saturating_mul(cycles)
            .saturating_add(readout)
            .saturating_mul(levels as u64)
    }

    /// Training FLOPs of a supervision step of a puzzle: cycles forward, and the last one backward too.
    pub(crate) fn supervision_flops(&self, trm: &TrmConfig) -> u64 {
        let backward = self.cycle_flops(trm).saturating_mul(2);
        self.forward_flops(1).saturating_add(backward)
    }

    fn cycle_flops(&self, trm: &TrmConfig) -> u64 {
        let levels = trm.calls().saturating_mul(self.n_levels) as u64;
        self.level_flops().saturating_mul(levels)
    }

    /// FLOPs of a level per puzzle.
    fn level_flops(&self) -> u64 {
        match self.reading() {
            Reads::Dense => {
                let flops = self.deep(1).cost().forward_flops_per_token(CELLS);
                flops.saturating_mul(CELLS as u64)
            }
            Reads::Constraint => self.constraint_flops(),
        }
    }

    /// Three products of every neuron with the width; nine products of queries and keys, and nine weighted values, a head.
    fn constraint_flops(&self) -> u64 {
        let of = |size: usize| size as u64;
        let (d, n, heads) = (of(self.d_model), of(self.n_neurons), of(self.n_heads));
        let reads = if self.decay > 0.0 {
            4 * n * d
        } else {
            18 * (n + heads * d)
        };
        of(self.tokens.count()).saturating_mul(6 * n * d + reads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervision_step_costs_its_levels_and_one_readout() {
        for (reads, kind, n_heads) in [
            (Reads::Dense, ModelType::Dense, 4),
            (Reads::Constraint, ModelType::Constraint, 6),
        ] {
            let plain = ModelConfig {
                kind,
                n_heads,
                n_neurons: 96,
                n_levels: 2,
                ..ModelConfig::default()
            };
            let trm = TrmConfig {
                reads,
                reasoning_updates: 4,
                cycles: 3,
                supervision_steps: 8,
            };
            let model = ModelConfig {
                kind: ModelType::Trm,
                trm: Some(trm.clone()),
                ..plain.clone()
            };
            let readout = (2 * 81 * 9 * plain.d_model) as u64;
            let level = plain.forward_flops(1) - readout;
            assert_eq!(plain.forward_flops(6), 6 * (level + readout));
            // 3 cycles of 5 applications of 2 levels.
            assert_eq!(model.forward_flops(1), 30 * level + readout);
            assert_eq!(model.forward_flops(8), 8 * model.forward_flops(1));
            // Backward through the last of them.
            assert_eq!(model.supervision_flops(&trm), 50 * level + readout);
            let head = plain.d_model as u64 + 1;
            assert_eq!(model.parameters(), plain.parameters() + head);
            // What is kept for gradients: 10 levels of one cycle.
            let deep = ModelConfig {
                n_levels: 10,
                ..plain
            };
            let (one, other) = (model.training_bytes(16), deep.training_bytes(16));
            assert!(one <= other && one > other * 3 / 4, "{one} {other}");
        }
    }
}
