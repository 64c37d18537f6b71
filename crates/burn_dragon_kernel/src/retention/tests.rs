//! The factors against the sentence that defines them, entry by entry.

use super::reference::factors;
use super::*;
use burn::tensor::{DType, Device, TensorData};

const TOKENS: usize = 7;

fn retention() -> Retention {
    let slopes = TensorData::new(vec![0.0, 0.5], [2]);
    Retention {
        decay: Some(Decay::new(Tensor::from_data(
            slopes,
            (&Device::flex(), DType::F64),
        ))),
        resets: Resets::new(vec![vec![2, 5], vec![], vec![0]]),
    }
}

fn values(tensor: Tensor<4>) -> Vec<f64> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn a_factor_is_the_decay_of_the_distance_and_nothing_across_a_reset() {
    let retention = retention();
    let like = Tensor::<4>::zeros([1, 1, 1, 1], (&Device::flex(), DType::F64));
    let found = factors(&retention, TOKENS, &like);
    assert_eq!(found.between.dims(), [3, 2, TOKENS, TOKENS]);
    assert_eq!(found.recalled.dims(), [3, 2, TOKENS, 1]);
    assert_eq!(found.written.dims(), [3, 2, TOKENS, 1]);
    assert_eq!(found.kept.dims(), [3, 2, 1, 1]);
    // Steps from a writer to a reader, each of which a reset may cut: None is the memory before the window.
    let left = |lane: usize, head: usize, t: usize, s: Option<usize>| {
        let first = s.map_or(0, |s| s + 1);
        let cut = (first..=t).any(|token| retention.resets.of_lane(lane).contains(&token));
        let power = (-[0.0, 0.5][head] * (t - s.unwrap_or(0)) as f64).exp();
        if cut { 0.0 } else { power }
    };
    let (between, recalled) = (values(found.between), values(found.recalled));
    let (written, kept) = (values(found.written), values(found.kept));
    for (lane, head) in (0..3).flat_map(|lane| [(lane, 0), (lane, 1)]) {
        let index = lane * 2 + head;
        let same =
            |given: f64, expected: f64| assert!((given - expected).abs() < 1e-14, "{given} {expected}");
        same(kept[index], left(lane, head, TOKENS, None));
        for t in 0..TOKENS {
            same(recalled[index * TOKENS + t], left(lane, head, t, None));
            same(written[index * TOKENS + t], left(lane, head, TOKENS, Some(t)));
            for s in 0..TOKENS {
                let expected = if s < t { left(lane, head, t, Some(s)) } else { 0.0 };
                same(between[(index * TOKENS + t) * TOKENS + s], expected);
            }
        }
    }
}

#[test]
fn pieces_cover_a_window_and_begin_at_its_resets() {
    let resets = Resets::new(vec![vec![], vec![0], vec![3], vec![0, 3, 9]]);
    let whole = 0..10;
    let expected = [
        vec![whole.clone()],
        vec![whole],
        vec![0..3, 3..10],
        vec![0..3, 3..9, 9..10],
    ];
    for (lane, expected) in expected.into_iter().enumerate() {
        assert_eq!(resets.pieces(lane, 10).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_window_has_the_resets_within_it_and_lists_without_any_are_none() {
    let resets = Resets::new(vec![vec![0, 3, 7], vec![4]]);
    assert_eq!(resets.window(3..5), Resets::new(vec![vec![0], vec![1]]));
    assert!(resets.window(5..7).is_empty());
    assert_eq!(Resets::new(vec![vec![], vec![]]), Resets::default());
    assert!(Retention::default().keeps_all() && !retention().keeps_all());
}

#[test]
#[should_panic(expected = "not ascending")]
fn resets_out_of_order_are_refused() {
    Resets::new(vec![vec![3, 3]]);
}

#[test]
#[should_panic(expected = "a reset at token 5 of 5")]
fn a_reset_after_the_window_is_refused() {
    retention().check("level", 3, 2, 5);
}
