//! Cost of a vision run, from its configuration.

use crate::config::{MaeHiding, ObjectiveConfig, VisionConfig};
use crate::encoder::{BackboneKind, DenseRead, ModelConfig, StemKind};
use burn_dragon_core::api::structured::StepMode;

/// Bytes of a number.
const BYTES: u64 = 4;

impl ModelConfig {
    /// FLOPs of a forward pass per picture, with `levels` levels of `tokens` tokens.
    pub fn forward_flops(&self, tokens: usize, levels: usize) -> u64 {
        let levels = (0..levels).map(|level| self.level_flops(tokens, level));
        levels.fold(self.stem_flops(), u64::saturating_add)
    }

    /// FLOPs of a level, counted from 0, per picture.
    fn level_flops(&self, tokens: usize, level: usize) -> u64 {
        let (grid, d) = (self.grid(), self.d_model);
        if let Some(cellular) = self.cellular() {
            return cellular.step_flops(&self.trunk(), grid, level + 1);
        }
        if let Some(pyramid) = self.pyramid() {
            return pyramid.step_flops(d, grid, StepMode::Refine);
        }
        let of = |size: usize| size as u64;
        if self.kind == BackboneKind::Convolution {
            return 36 * of(grid.places()) * of(d) * of(d); // two of 9 patches each
        }
        // Three products of every neuron with the width, and the read.
        let (t, n, heads, d) = (of(tokens), of(self.n_neurons), of(self.n_heads), of(d));
        let read = match self.read {
            DenseRead::Full => 4 * n * d,
            DenseRead::Softmax | DenseRead::RowL1 => 2 * t * (n + heads * d),
        };
        t.saturating_mul(6 * n * d + read)
    }

    fn stem_flops(&self) -> u64 {
        let numbers = self.stem_places();
        numbers
            .into_iter()
            .map(|(places, numbers)| 2 * places * numbers)
            .sum()
    }

    /// Places of each matrix of the stem, and its numbers.
    fn stem_places(&self) -> Vec<(u64, u64)> {
        let patches = self.patches() as u64;
        let matrices: Vec<u64> = self
            .tensors()
            .into_iter()
            .filter(|tensor| tensor.name.starts_with("stem."))
            .map(|tensor| tensor.numbers().0)
            .collect();
        let last = matrices.len();
        let places = |index: usize| match self.stem {
            StemKind::Conv => patches << (2 * (last - 1 - index)),
            StemKind::Linear | StemKind::Identity => patches,
        };
        matrices
            .into_iter()
            .enumerate()
            .map(|(index, numbers)| (places(index), numbers))
            .collect()
    }

    /// Approximate bytes that a training step keeps for a picture.
    fn kept_bytes(&self, tokens: usize, levels: usize) -> u64 {
        let of = |size: usize| size as u64;
        let (t, d, n, heads) = (of(tokens), of(self.d_model), of(self.n_neurons), of(self.n_heads));
        let of_token = match (self.kind, self.read) {
            (BackboneKind::Dense, DenseRead::Full) => 6 * d + 2 * heads * d,
            (BackboneKind::Dense, _) => 6 * d + 3 * n + 4 * heads * t,
            (BackboneKind::Cellular, _) => 8 * d + 2 * heads * d + 2 * n,
            (BackboneKind::Pyramid, _) => 16 * d,
            (BackboneKind::Convolution, _) => 32 * d,
        };
        let memories = self
            .pyramid()
            .map_or(0, |pyramid| 4 * pyramid.memory_bytes(self.grid()));
        let levels = (BYTES * t * of_token + memories).saturating_mul(of(levels));
        let stem: u64 = self
            .stem_places()
            .iter()
            .map(|(places, _)| BYTES * places * d * 6)
            .sum();
        levels.saturating_add(stem)
    }
}

impl VisionConfig {
    /// Number of views of a picture in a step, and of tokens of a view. Of a clip, those of its frames, or one of all.
    fn views(&self) -> (usize, usize) {
        let (tokens, frames) = (self.model.tokens(), self.dataset.frames());
        match &self.objective {
            ObjectiveConfig::Lejepa(lejepa) => (lejepa.views.count(), tokens),
            ObjectiveConfig::Mae(mae) if mae.hiding == MaeHiding::Dropped => {
                (1, tokens - mae.hidden_patches(self.model.patches()))
            }
            ObjectiveConfig::Vjepa21(_) if self.model.kind == BackboneKind::Dense => (1, frames * tokens),
            ObjectiveConfig::Vjepa21(_) | ObjectiveConfig::VideoLejepa(_) => (frames, tokens),
            _ => (1, tokens),
        }
    }

    /// Training FLOPs per picture: forward, and twice that backward; a teacher forward alone is not counted.
    pub(crate) fn step_flops(&self) -> u64 {
        let (views, tokens) = self.views();
        let learnt = self
            .model
            .forward_flops(tokens, self.model.n_levels)
            .saturating_mul(3);
        learnt.saturating_mul(views as u64)
    }

    /// Approximate peak memory in bytes of a training step of `pictures` pictures.
    pub(crate) fn step_bytes(&self, pictures: usize) -> u64 {
        let (views, tokens) = self.views();
        let kept = self
            .model
            .kept_bytes(tokens, self.model.n_levels)
            .saturating_mul(views as u64);
        let weights = self.model.parameters().saturating_mul(4 * BYTES);
        weights.saturating_add(kept.saturating_mul(pictures as u64))
    }
}
