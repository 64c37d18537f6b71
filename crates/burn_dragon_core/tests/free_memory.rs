//! The algebra of the memory, by the numbers of `docs/invariants.md`: forms that are equal, sums that are exact.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod oracle;
mod subject;

use burn::tensor::{DType, Device, Tensor};
use burn_dragon_core::api::{Dragon, DragonState};
use oracle::{Oracle, Turning, distance, lane};
use subject::{config, dragon, values};

fn tokens(length: usize) -> Vec<usize> {
    (0..length).map(|i| (i * i * 7 + 3 * i) % 31).collect()
}

#[test]
fn invariant_3_turning_the_memory_step_by_step_is_turning_tokens_by_their_position() {
    let dragon = dragon(&config(), DType::F64, &Device::flex());
    let tokens = tokens(60);
    let expected = values(dragon.forward(lane(&tokens)).into_data());
    let mut by_memory = Oracle::new(&dragon, Turning::Memory, 0);
    let mut by_tokens = Oracle::new(&dragon, Turning::Tokens, 0);
    for (&token, expected) in tokens.iter().zip(expected.chunks(32)) {
        let off = distance(&by_memory.step(token), expected);
        assert!(off < 1e-10, "{off:e}");
        assert!(distance(&by_tokens.step(token), expected) < 1e-10);
    }
    // What it has turned to is what the rebased memory is.
    let read = dragon
        .forward_with_state(lane(&tokens), dragon.empty_state(1))
        .unwrap()
        .1;
    let rebased = read.clone().rebase(&config()).unwrap();
    for level in 0..3 {
        let of = |state: &DragonState| values(state.rho()[level].to_data());
        assert!(distance(&of(&rebased), &by_memory.rho[level]) < 1e-10);
        assert!(distance(&of(&read), &by_tokens.rho[level]) < 1e-10);
        assert!(distance(&of(&read), &of(&rebased)) > 0.1);
    }
}

/// What tokens leave in an empty memory when the first of them is at `start`.
fn trace(dragon: &Dragon, tokens: &[usize], start: u64, memory: Option<&DragonState>) -> DragonState {
    let empty = dragon.empty_state(1);
    let (rho, _) = memory.unwrap_or(&empty).clone().into_parts();
    let state = DragonState::from_parts(rho, vec![start]);
    dragon.forward_with_state(lane(tokens), state).unwrap().1
}

fn level(state: &DragonState, level: usize) -> Tensor<4> {
    state.rho()[level].clone()
}

/// How far two memories of a level are apart, of the first one's size.
fn apart(a: &Tensor<4>, b: &Tensor<4>) -> f64 {
    let state = |rho: &Tensor<4>| DragonState::from_parts(vec![rho.clone()], vec![0]);
    state(a).distances(&state(b)).unwrap()[0][0]
}

#[test]
fn invariant_11_the_memory_of_level_0_is_the_sum_of_what_each_token_leaves() {
    let dragon = dragon(&config(), DType::F64, &Device::flex());
    let tokens = tokens(40);
    let all = trace(&dragon, &tokens, 0, None);
    let each: Vec<DragonState> = (0..40)
        .map(|s| trace(&dragon, &tokens[s..=s], s as u64, None))
        .collect();
    let sum = |l: usize| {
        let zeros = Tensor::zeros([1, 2, 32, 16], (&Device::flex(), DType::F64));
        each.iter().fold(zeros, |sum, state| sum + level(state, l))
    };
    assert!(apart(&level(&all, 0), &sum(0)) < 1e-13);
    assert!(
        apart(&level(&all, 1), &sum(1)) > 1e-2,
        "from level 1 on a token depends on what came before"
    );
    // An outer product: one direction of the width in each head.
    for rank in &each[5].effective_ranks()[0][0] {
        assert!((rank - 1.0).abs() < 1e-9, "{rank}");
    }
}

#[test]
fn invariant_11_a_token_is_removed_exactly_at_level_0_and_only_there() {
    let dragon = dragon(&config(), DType::F64, &Device::flex());
    let (tokens, k) = (tokens(40), 17);
    let before = trace(&dragon, &tokens[..k], 0, None);
    let with = trace(&dragon, &tokens[k..=k], k as u64, Some(&before));
    let all = trace(&dragon, &tokens[k + 1..], k as u64 + 1, Some(&with));
    // Its place stays empty: the others keep their positions.
    let without = trace(&dragon, &tokens[k + 1..], k as u64 + 1, Some(&before));
    let removed = |l| level(&all, l) - (level(&with, l) - level(&before, l));
    assert!(apart(&removed(0), &level(&without, 0)) < 1e-13);
    assert!(
        apart(&level(&all, 0), &level(&without, 0)) > 1e-2,
        "there is nothing to remove"
    );
    for l in 1..3 {
        assert!(apart(&removed(l), &level(&without, l)) > 1e-3, "level {l}");
    }
}
