use super::*;
use burn_dragon_core::api::expert::derive;
use std::collections::BTreeMap;

const LOGITS: [f32; 5] = [0.4, -1.1, 9.0, 0.9, 0.0];

/// Options that are open: not the one with the largest logit.
const OPEN: [usize; 4] = [0, 1, 3, 4];

fn numbers(tensor: &Tensor<2>) -> Vec<f64> {
    tensor
        .clone()
        .into_data()
        .convert::<f64>()
        .iter::<f64>()
        .collect()
}

/// Probability of choices in an order, by hand.
fn by_hand(logits: &[f32], open: &[usize], taken: &[usize]) -> f64 {
    let mut left = open.to_vec();
    let mut probability = 1.0;
    for &choice in taken {
        let sum: f64 = left.iter().map(|&option| f64::from(logits[option]).exp()).sum();
        probability *= f64::from(logits[choice]).exp() / sum;
        left.retain(|&option| option != choice);
    }
    probability
}

fn all_pairs() -> Vec<Vec<usize>> {
    let pairs = OPEN.iter().flat_map(|&one| OPEN.map(|other| vec![one, other]));
    pairs.filter(|pair| pair[0] != pair[1]).collect()
}

#[test]
fn log_probabilities_are_those_of_choices_without_replacement() {
    let pairs = all_pairs();
    let mut choices = Choices::new(5, 3);
    pairs.iter().for_each(|pair| choices.push(&OPEN, pair.clone()));
    let logits = LOGITS.repeat(pairs.len());
    let logits = TensorData::new(logits, [pairs.len(), 5]);
    let found = choices.log_probs(Tensor::from_data(logits, &Device::flex()));
    let (log_probs, entropies) = (numbers(&found.log_probs), numbers(&found.entropies));
    let mut sum = 0.0;
    for (row, pair) in pairs.iter().enumerate() {
        let (here, entropy) = (&log_probs[row * 3..][..3], &entropies[row * 3..][..3]);
        let first = by_hand(&LOGITS, &OPEN, &pair[..1]);
        let both = by_hand(&LOGITS, &OPEN, pair);
        assert!((here[0] - first.ln()).abs() < 1e-5 && (here[1] - (both / first).ln()).abs() < 1e-5);
        assert_eq!(
            (here[2], entropy[2]),
            (0.0, 0.0),
            "the row has two choices of at most three"
        );
        sum += (here[0] + here[1]).exp();
        let of = OPEN.map(|option| by_hand(&LOGITS, &OPEN, &[option]));
        let expected = -of.iter().map(|p| p * p.ln()).sum::<f64>();
        assert!((entropy[0] - expected).abs() < 1e-5, "{entropy:?} {expected}");
    }
    assert!((sum - 1.0).abs() < 1e-5, "the pairs are all there are: {sum}");
}

#[test]
fn draws_have_the_probabilities_that_are_claimed() {
    let (mut rng, draws) = (Rng::new(derive(1, "test", 0, 0)), 40_000);
    let mut counts: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
    for _ in 0..draws {
        *counts.entry(drawn(&LOGITS, &OPEN, 2, &mut rng)).or_default() += 1;
    }
    assert_eq!(counts.len(), 12);
    for pair in all_pairs() {
        let (found, expected) = (
            f64::from(counts[&pair]) / f64::from(draws),
            by_hand(&LOGITS, &OPEN, &pair),
        );
        // Four deviations of a share.
        let deviation = (expected * (1.0 - expected) / f64::from(draws)).sqrt();
        assert!(
            (found - expected).abs() < 4.0 * deviation,
            "{pair:?}: {found} {expected}"
        );
    }
}

#[test]
fn the_largest_come_in_their_order_and_the_first_of_equals() {
    assert_eq!(largest(&LOGITS, &OPEN, 2), [3, 0]);
    assert_eq!(largest(&[1.0; 5], &OPEN, 3), [0, 1, 3]);
    assert_eq!(largest(&LOGITS, &OPEN, 9).len(), 4);
    assert!(largest(&LOGITS, &[], 2).is_empty());
    let mut rng = Rng::new(3);
    assert_eq!(drawn(&LOGITS, &[2], 2, &mut rng), [2]);
}

#[test]
fn a_row_without_choices_or_options_is_finite_and_has_no_gradient() {
    let device = Device::flex().autodiff();
    let mut choices = Choices::new(5, 2);
    choices.push(&OPEN, vec![]);
    choices.push(&[], vec![]);
    choices.push(&OPEN, vec![1]);
    let logits = TensorData::new(LOGITS.repeat(3), [3, 5]);
    let logits = Tensor::<2>::from_data(logits, &device).require_grad();
    let found = choices.log_probs(logits.clone());
    assert!(numbers(&found.log_probs)[..4].iter().all(|value| *value == 0.0));
    assert_eq!(choices.mask(), [false, false, false, false, true, false]);
    let gradients = (found.log_probs + found.entropies).sum().backward();
    let gradient = numbers(&logits.grad(&gradients).unwrap());
    assert!(gradient[..10].iter().all(|value| *value == 0.0), "{gradient:?}");
    assert!(
        gradient[10..].iter().all(|value| value.is_finite()),
        "{gradient:?}"
    );
    assert!(gradient[11].abs() > 0.1 && gradient[12] == 0.0, "{gradient:?}");
}

#[test]
#[should_panic(expected = "option 2 is not open")]
fn a_choice_that_was_not_open_is_refused() {
    Choices::new(5, 2).push(&OPEN, vec![1, 2]);
}

#[test]
#[should_panic(expected = "option 1 is not open")]
fn a_choice_that_was_taken_is_refused() {
    Choices::new(5, 2).push(&OPEN, vec![1, 1]);
}
