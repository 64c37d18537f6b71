//! Decay of the memories of places.

use crate::retention::{Decay, WriteOrder};
use burn::tensor::Tensor;

/// Decay of the memories of places at each write, by `lambda = exp(-slope)` of the head.
#[derive(Clone, Debug, Default)]
pub struct PlaceDecay {
    /// Slopes of the heads, in 1/writes; gradients flow to tracked ones. `None`: memories do not decay.
    pub decay: Option<Decay>,
    /// Order of decay and write.
    pub order: WriteOrder,
}

impl PlaceDecay {
    /// Decay over `time` writes, which need not be a whole number. Over 0, memories do not decay.
    ///
    /// # Panics
    /// If `time` is negative or not finite.
    pub fn over(&self, time: f64) -> Self {
        assert!(
            time >= 0.0 && time.is_finite(),
            "decay over {time}, expected a finite time of at least 0"
        );
        let slopes = self.decay.as_ref().filter(|_| time > 0.0).map(Decay::slopes);
        Self {
            decay: slopes.map(|slopes| Decay::new(slopes.clone() * time)),
            order: self.order,
        }
    }

    /// Panics unless there is a slope for each head, where memories decay.
    #[track_caller]
    pub(super) fn check(&self, operation: &str, heads: usize) {
        if let Some(decay) = &self.decay {
            crate::assert_shape(operation, "the decay", decay.slopes().dims(), [heads]);
        }
    }

    /// lambda of each head as a tensor, `[H]`; `None` if memories do not decay.
    pub(super) fn factors(&self) -> Option<Tensor<1>> {
        self.decay
            .as_ref()
            .map(|decay| decay.slopes().clone().neg().exp())
    }

    /// lambda of each head as numbers; `None` if memories do not decay.
    pub(super) fn constants(&self) -> Option<Vec<f32>> {
        let numbers = self.decay.as_ref()?.numbers();
        Some(numbers.iter().map(|slope| (-slope).exp() as f32).collect())
    }

    /// lambda of each head as a tensor, if it is learnt, and the decay that is not.
    pub(super) fn parted(&self) -> (Option<Tensor<1>>, Self) {
        let is_learnt = self
            .decay
            .as_ref()
            .is_some_and(|decay| decay.slopes().is_tracked());
        let constant = self.decay.clone().filter(|_| !is_learnt);
        let rest = Self {
            decay: constant,
            order: self.order,
        };
        (self.factors().filter(|_| is_learnt), rest)
    }

    /// Whether the slopes are in the graph of gradients.
    pub(super) fn is_autodiff(&self) -> bool {
        self.decay
            .as_ref()
            .is_some_and(|decay| decay.slopes().is_autodiff())
    }

    /// The slopes as constants in the graph of gradients, if the others are in it.
    pub(super) fn alike(&self, is_autodiff: bool) -> Self {
        if self.is_autodiff() == is_autodiff {
            return self.clone();
        }
        let slopes = self.decay.as_ref().map(Decay::slopes).cloned();
        Self {
            decay: slopes.map(|slopes| Decay::new(super::alike(slopes, is_autodiff))),
            order: self.order,
        }
    }
}
