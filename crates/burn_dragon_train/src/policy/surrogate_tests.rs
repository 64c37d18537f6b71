use super::*;
use crate::policy::Choices;
use burn::tensor::Device;

fn numbers(tensor: &Tensor<2>) -> Vec<f64> {
    tensor
        .clone()
        .into_data()
        .convert::<f64>()
        .iter::<f64>()
        .collect()
}

fn leaf(values: &[f32], shape: [usize; 2]) -> Tensor<2> {
    let device = Device::flex().autodiff();
    Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device).require_grad()
}

/// Loss, and its gradient by the log-probabilities.
fn of(log_probs: &[f32], taken: &Taken) -> (f64, Vec<f64>) {
    let rollouts = taken.advantages.len();
    let leaf = leaf(log_probs, [rollouts, log_probs.len() / rollouts]);
    let loss = surrogate(leaf.clone(), taken, 0.2);
    let gradients = loss.backward();
    (
        loss.into_scalar::<f64>(),
        numbers(&leaf.grad(&gradients).unwrap()),
    )
}

fn every(stored: &[f32], advantages: &[f64]) -> Taken {
    Taken {
        stored: stored.to_vec(),
        mask: vec![true; stored.len()],
        advantages: advantages.to_vec(),
    }
}

/// All ways to take two of four options, of which the reward is a function.
fn pairs() -> Vec<Vec<usize>> {
    let pairs = (0..4).flat_map(|one| (0..4).map(move |other| vec![one, other]));
    pairs.filter(|pair| pair[0] != pair[1]).collect()
}

fn reward(pair: &[usize]) -> f64 {
    [0.3, -1.0, 2.0, 0.7][pair[0]] * 1.5 + [1.0, 0.2, -0.4, 0.9][pair[1]]
}

/// Expected reward of a policy with these logits: a sum over everything that it may do, in f64.
fn expected_reward(logits: &[f64]) -> f64 {
    let probability = |pair: &[usize]| {
        let all: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let first = logits[pair[0]].exp();
        first / all * logits[pair[1]].exp() / (all - first)
    };
    pairs().iter().map(|pair| probability(pair) * reward(pair)).sum()
}

#[test]
fn the_gradient_is_that_of_the_expected_reward_and_is_not_zero() {
    let logits = [0.2f32, -0.5, 0.8, 0.1];
    let (pairs, count) = (pairs(), pairs().len());
    let mut choices = Choices::new(4, 2);
    pairs
        .iter()
        .for_each(|pair| choices.push(&[0, 1, 2, 3], pair.clone()));
    let leaf = leaf(&logits, [1, 4]);
    let found = choices.log_probs(leaf.clone().repeat_dim(0, count));
    let stored: Vec<f32> = found.log_probs.clone().into_data().iter::<f32>().collect();
    // Everything is done once, in proportion to its probability. The loss is a mean over rollouts and over the two choices of each.
    let weighted = |(row, pair): (usize, &Vec<usize>)| {
        let probability = f64::from(stored[row * 2] + stored[row * 2 + 1]).exp();
        reward(pair) * probability * (count * 2) as f64
    };
    let taken = Taken {
        mask: choices.mask(),
        advantages: pairs.iter().enumerate().map(weighted).collect(),
        stored: stored.clone(),
    };
    let gradients = surrogate(found.log_probs, &taken, 0.2).backward();
    let gradient = numbers(&leaf.grad(&gradients).unwrap());
    let mut largest: f64 = 0.0;
    for option in 0..4 {
        let moved = |by: f64| {
            let mut logits = logits.map(f64::from);
            logits[option] += by;
            expected_reward(&logits)
        };
        let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!(
            (gradient[option] + difference).abs() < 1e-4,
            "{option}: {} is not {}",
            gradient[option],
            -difference
        );
        largest = largest.max(difference.abs());
    }
    assert!(largest > 0.1, "{largest}");
}

#[test]
fn a_ratio_beyond_the_clip_has_no_gradient_where_it_would_gain_more() {
    let stored = [-1.0f32; 4];
    // Ratios of e^0.5 and e^-0.5, with a positive and a negative advantage each.
    let (loss, gradient) = of(
        &[-0.5, -0.5, -1.5, -1.5],
        &every(&stored, &[1.0, -1.0, 1.0, -1.0]),
    );
    let (up, down) = (0.5f64.exp(), (-0.5f64).exp());
    let expected = -(1.2 - up + down - 0.8) / 4.0;
    assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
    for (found, expected) in gradient.iter().zip([0.0, up / 4.0, -down / 4.0, 0.0]) {
        assert!((found - expected).abs() < 1e-6, "{gradient:?}");
    }
}

#[test]
fn the_stored_policy_stands_still() {
    // The same policy: the ratio is 1, and the loss minus the mean advantage, though its gradient is not zero.
    let stored = [-0.7f32, -2.0, -0.1];
    let (loss, gradient) = of(&stored, &every(&stored, &[2.0, -1.0, 0.5]));
    assert!((loss + 0.5).abs() < 1e-6, "{loss}");
    for (found, advantage) in gradient.iter().zip([2.0, -1.0, 0.5]) {
        assert!((found + advantage / 3.0).abs() < 1e-6, "{gradient:?}");
    }
}

#[test]
fn a_choice_that_was_nearly_impossible_stays_finite() {
    let (loss, gradient) = of(&[-0.1, -500.0], &every(&[-500.0, -0.1], &[-1.0, 1.0]));
    assert!(loss.is_finite() && loss > 1e8 && loss < 1e9, "{loss}"); // e^20 / 2
    assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
}

#[test]
fn a_long_rollout_weighs_as_a_short_one_and_padding_nothing() {
    let log_probs = [-1.0f32, -1.0, -1.0, f32::NEG_INFINITY, 0.0, 0.0];
    let taken = Taken {
        stored: vec![-1.0, -1.0, -1.0, 7.0, 0.0, 0.0],
        mask: vec![true, true, true, false, false, false],
        advantages: vec![1.0, 4.0, 9.0],
    };
    let (loss, gradient) = of(&log_probs, &taken);
    assert!((loss + (1.0 + 4.0 + 0.0) / 3.0).abs() < 1e-6, "{loss}");
    let expected = [-1.0 / 6.0, -1.0 / 6.0, -4.0 / 3.0, 0.0, 0.0, 0.0];
    for (found, expected) in gradient.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{gradient:?}");
    }
}

#[test]
#[should_panic(expected = "numbers of log-probabilities")]
fn what_was_taken_in_other_rollouts_is_refused() {
    surrogate(leaf(&[0.0; 4], [2, 2]), &every(&[0.0; 4], &[1.0]), 0.2);
}
