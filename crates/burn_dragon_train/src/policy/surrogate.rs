//! Clipped surrogate of a policy's expected reward (PPO, arXiv 1707.06347, equation 7).

use super::choices::bools;
use burn::tensor::{Tensor, TensorData};

/// Limit on the size of a log-ratio, so that no ratio is infinite in f32.
const MOST_LOG_RATIO: f64 = 20.0;

/// What was done in some rollouts, and what came of it. All of it is constant in the loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Log-probabilities of the choices under the policy that made them, `[R, T]` in rows.
    pub stored: Vec<f32>,
    /// Whether there is a choice at each place, `[R, T]` in rows.
    pub mask: Vec<bool>,
    /// Advantage of each rollout, `[R]`.
    pub advantages: Vec<f64>,
}

/// Loss of a policy whose choices had these advantages: minus the clipped surrogate, averaged over the choices of a rollout and then
/// over rollouts. A rollout without choices counts as 0.
///
/// Where the policy is the one that acted, the gradient is minus that of the mean of `A log pi(choice)`.
///
/// # Shapes
/// - `log_probs`: `[R, T]`, under the policy of today
/// - output: `[1]`
///
/// # Panics
/// If what was taken has other sizes.
pub fn surrogate(log_probs: Tensor<2>, taken: &Taken, ratio_clip: f64) -> Tensor<1> {
    let ([rollouts, choices], device) = (log_probs.dims(), log_probs.device());
    let given = [taken.stored.len(), taken.mask.len(), taken.advantages.len()];
    let expected = [rollouts * choices, rollouts * choices, rollouts];
    assert_eq!(
        given, expected,
        "surrogate: numbers of log-probabilities, of places, of advantages"
    );
    let stored = Tensor::from_data(
        TensorData::new(taken.stored.clone(), [rollouts, choices]),
        &device,
    );
    let advantages: Vec<f32> = taken
        .advantages
        .iter()
        .map(|&advantage| advantage as f32)
        .collect();
    let advantages = Tensor::<2>::from_data(TensorData::new(advantages, [rollouts, 1]), &device);
    let absent: Vec<bool> = taken.mask.iter().map(|is_there| !is_there).collect();
    let absent = bools(absent, [rollouts, choices], &device);
    let log_ratio = (log_probs - stored).mask_fill(absent, 0.0);
    let ratio = log_ratio.clamp(-MOST_LOG_RATIO, MOST_LOG_RATIO).exp(); // [R, T]
    let clipped = ratio.clone().clamp(1.0 - ratio_clip, 1.0 + ratio_clip);
    let gained = (ratio * advantages.clone()).min_pair(clipped * advantages);
    masked_mean(gained, &taken.mask).neg()
}

/// Mean over rollouts of the mean over their choices. A rollout without choices counts as 0.
///
/// # Shapes
/// - `values`: `[R, T]`
/// - `mask`: whether there is a choice at each place, `[R, T]` in rows
/// - output: `[1]`
///
/// # Panics
/// If the mask has another size.
pub fn masked_mean(values: Tensor<2>, mask: &[bool]) -> Tensor<1> {
    let ([rollouts, choices], device) = (values.dims(), values.device());
    assert_eq!(mask.len(), rollouts * choices, "masked_mean: number of places");
    let shares = mask.chunks(choices.max(1)).flat_map(|row| {
        let count = row.iter().filter(|is_there| **is_there).count();
        let share = 1.0 / (count.max(1) * rollouts) as f32;
        row.iter()
            .map(move |is_there| if *is_there { share } else { 0.0 })
    });
    let shares = TensorData::new(shares.collect::<Vec<f32>>(), [rollouts, choices]);
    let absent: Vec<bool> = mask.iter().map(|is_there| !is_there).collect();
    let absent = bools(absent, [rollouts, choices], &device);
    (values.mask_fill(absent, 0.0) * Tensor::from_data(shares, &device)).sum()
}

#[cfg(test)]
#[path = "surrogate_tests.rs"]
mod tests;
