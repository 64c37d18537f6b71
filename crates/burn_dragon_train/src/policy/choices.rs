//! Choices without replacement: how they are drawn, and their log-probabilities.
//!
//! ```text
//! pi(a_1, ..., a_K) = prod_i softmax(logits of the options that are open before choice i)[a_i]      Plackett-Luce
//! ```
//!
//! The K options with the largest `logit + noise`, in this order, are such choices if the noise is Gumbel's (Yellott, 1977).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::Rng;

/// Logit of an option that is not open. Its probability is 0 in f32, and no number that follows from it is infinite.
const CLOSED: f64 = -1e30;

/// Options with the largest logits, the largest first; the first one of equals.
pub fn largest(logits: &[f32], open: &[usize], count: usize) -> Vec<usize> {
    let keys = open.iter().map(|&option| (f64::from(logits[option]), option));
    first(keys.collect(), count)
}

/// Options drawn without replacement with probabilities in proportion to `exp(logit)`, in the order of the draws.
pub fn drawn(logits: &[f32], open: &[usize], count: usize, rng: &mut Rng) -> Vec<usize> {
    let keys = open.iter().map(|&option| {
        let gumbel = -(-(1.0 - rng.uniform()).ln()).ln();
        (f64::from(logits[option]) + gumbel, option)
    });
    first(keys.collect(), count)
}

/// Options with the largest keys, in their order.
fn first(mut keys: Vec<(f64, usize)>, count: usize) -> Vec<usize> {
    keys.sort_by(|one, other| other.0.total_cmp(&one.0));
    keys.into_iter().take(count).map(|(_, option)| option).collect()
}

/// Choices of several rows: what was open, and what was taken in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    options: usize,
    most: usize,
    /// Rows of options that were open before the first choice, and of the choices.
    rows: Vec<(Vec<bool>, Vec<usize>)>,
}

/// Log-probabilities and entropies of choices.
#[derive(Clone, Debug)]
pub struct ChoiceLogProbs {
    /// Log-probability of each choice given those before it in its row, `[R, K]`; 0 where a row has fewer choices.
    pub log_probs: Tensor<2>,
    /// Entropy of each choice in nats, `[R, K]`; 0 where a row has fewer choices.
    pub entropies: Tensor<2>,
}

impl Choices {
    /// No rows yet, of at most `most` choices (K) among as many options (C).
    pub fn new(options: usize, most: usize) -> Self {
        Self {
            options,
            most,
            rows: Vec::new(),
        }
    }

    /// Adds a row: the options that are open, and the choices in their order. A row may have no choices.
    ///
    /// # Panics
    /// If there are more choices than K, or one of them is not open or was taken before.
    pub fn push(&mut self, open: &[usize], taken: Vec<usize>) {
        assert!(
            taken.len() <= self.most,
            "Choices::push: {} choices, expected at most {}",
            taken.len(),
            self.most
        );
        let mut is_open = vec![false; self.options];
        open.iter().for_each(|&option| is_open[option] = true);
        let mut left = is_open.clone();
        for &choice in &taken {
            assert!(left[choice], "Choices::push: option {choice} is not open");
            left[choice] = false;
        }
        self.rows.push((is_open, taken));
    }

    /// Number of rows (R).
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is a choice at each place, `[R, K]` in rows.
    pub fn mask(&self) -> Vec<bool> {
        let rows = self.rows.iter();
        rows.flat_map(|(_, taken)| (0..self.most).map(|place| place < taken.len()))
            .collect()
    }

    /// Log-probabilities of the choices under a policy with these logits.
    ///
    /// # Shapes
    /// - `logits`: `[R, C]`
    ///
    /// # Panics
    /// If the shape is another.
    pub fn log_probs(&self, logits: Tensor<2>) -> ChoiceLogProbs {
        let (rows, most, options) = (self.rows(), self.most, self.options);
        assert_eq!(
            logits.dims(),
            [rows, options],
            "Choices::log_probs: the shape of the logits is not [rows, options]"
        );
        let device = logits.device();
        let logits = logits.reshape([rows, 1, options]).repeat_dim(1, most); // [R, K, C]
        let closed = bools(self.closed(), [rows, most, options], &device);
        let all = log_softmax(logits.mask_fill(closed, CLOSED), 2); // [R, K, C]
        let places = self.rows.iter().flat_map(|(_, taken)| {
            (0..most).map(|place| taken.get(place).copied().unwrap_or_default() as i32)
        });
        let places = TensorData::new(places.collect::<Vec<_>>(), [rows, most, 1]);
        let chosen = all
            .clone()
            .gather(2, Tensor::<3, Int>::from_data(places, &device)); // [R, K, 1]
        let entropies = (all.clone().exp() * all).sum_dim(2).neg(); // [R, K, 1]
        let absent: Vec<bool> = self.mask().into_iter().map(|is_there| !is_there).collect();
        let absent = bools(absent, [rows, most], &device);
        let of = |values: Tensor<3>| values.reshape([rows, most]).mask_fill(absent.clone(), 0.0);
        ChoiceLogProbs {
            log_probs: of(chosen),
            entropies: of(entropies),
        }
    }

    /// Options that are not open before each choice, `[R, K, C]`.
    fn closed(&self) -> Vec<bool> {
        let mut all = Vec::with_capacity(self.rows() * self.most * self.options);
        for (open, taken) in &self.rows {
            let mut closed: Vec<bool> = open.iter().map(|open| !open).collect();
            for place in 0..self.most {
                all.extend_from_slice(&closed);
                if let Some(&choice) = taken.get(place) {
                    closed[choice] = true;
                }
            }
        }
        all
    }
}

/// A tensor of truth values.
pub(super) fn bools<const R: usize>(
    values: Vec<bool>,
    shape: [usize; R],
    device: &Device,
) -> Tensor<R, Bool> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
#[path = "choices_tests.rs"]
mod tests;
