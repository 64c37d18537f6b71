//! State as a value: lanes are reset, selected and merged; the state is moved, measured, and rebased to position 0.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::{Dragon, DragonConfig, DragonState, StateError};
use subject::config;

fn dragon(dtype: DType) -> Dragon {
    subject::dragon(&config(), dtype, &Device::flex())
}

/// `[lanes, length]` tokens, lane by lane different.
fn tokens(lanes: usize, length: usize) -> Tensor<2, Int> {
    let ids: Vec<i32> = (0..lanes * length).map(|i| (i * i * 7 + i) as i32 % 31).collect();
    Tensor::from_data(TensorData::new(ids, [lanes, length]), &Device::flex())
}

/// The state of a number of lanes that have read different tokens.
fn state(dragon: &Dragon, lanes: usize) -> DragonState {
    let empty = dragon.empty_state(lanes);
    dragon.forward_with_state(tokens(lanes, 12), empty).unwrap().1
}

fn memory(state: &DragonState) -> Vec<Vec<f64>> {
    state.rho().iter().map(|rho| values(rho.clone())).collect()
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f64> {
    subject::values(tensor.into_data())
}

/// What each lane says to the same next tokens, `[lanes, ...]`.
fn answers(dragon: &Dragon, state: &DragonState) -> Vec<Vec<f64>> {
    let row = tokens(1, 5).repeat_dim(0, state.lanes());
    let (logits, _) = dragon.forward_with_state(row, state.clone()).unwrap();
    let logits = values(logits);
    let lane = logits.len() / state.lanes();
    logits.chunks(lane).map(<[f64]>::to_vec).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn an_emptied_lane_speaks_as_one_that_never_read_and_the_others_as_before() {
    let dragon = dragon(DType::F64);
    let (before, new) = (state(&dragon, 3), dragon.empty_state(1));
    for emptied in [vec![1], vec![2, 0, 2], vec![0, 1, 2]] {
        let mut state = before.clone();
        state.reset_lanes(&emptied).unwrap();
        let (now, then) = (answers(&dragon, &state), answers(&dragon, &before));
        let fresh = &answers(&dragon, &new)[0];
        for lane in 0..3 {
            let empty = emptied.contains(&lane);
            assert_eq!(state.positions()[lane], if empty { 0 } else { 12 });
            let expected = if empty { fresh } else { &then[lane] };
            assert!(distance(&now[lane], expected) < 1e-12, "{emptied:?} {lane}");
            assert!(distance(&then[lane], fresh) > 1e-3);
        }
    }
    let mut state = before.clone();
    state.reset();
    assert_eq!((state.positions(), state.lanes()), (&[0; 3][..], 3));
    assert!(state.norms().iter().flatten().all(|&norm| norm == 0.0));
    assert!(
        before.norms().iter().flatten().all(|&norm| norm > 0.0),
        "a fork is not emptied"
    );
}

#[test]
fn lanes_are_chosen_in_any_order_and_more_than_once() {
    let dragon = dragon(DType::F64);
    let mut three = state(&dragon, 3);
    three.reset_lanes(&[0]).unwrap();
    let chosen = three.select_lanes(&[2, 0, 2, 1]).unwrap();
    assert_eq!(chosen.positions(), [12, 0, 12, 12]);
    let (all, some) = (answers(&dragon, &three), answers(&dragon, &chosen));
    for (lane, from) in [2, 0, 2, 1].into_iter().enumerate() {
        assert!(distance(&some[lane], &all[from]) < 1e-12, "{lane}");
    }
}

#[test]
fn states_side_by_side_are_their_lanes_and_come_apart_again() {
    let dragon = dragon(DType::F64);
    let (two, mut one) = (state(&dragon, 2), state(&dragon, 1));
    one.reset_lanes(&[0]).unwrap();
    let merged = DragonState::merge(vec![two.clone(), one.clone(), two.clone()]).unwrap();
    assert_eq!(merged.positions(), [12, 12, 0, 12, 12]);
    assert_eq!(merged.bytes(), 2 * two.bytes() + one.bytes());
    assert_eq!(memory(&merged.select_lanes(&[2]).unwrap()), memory(&one));
    assert_eq!(memory(&merged.select_lanes(&[3, 4]).unwrap()), memory(&two));
}

#[test]
fn what_does_not_fit_is_refused_with_both_sides_and_changes_nothing() {
    let dragon = dragon(DType::F32);
    let mut two = state(&dragon, 2);
    let before = memory(&two);
    let no_lane = StateError::NoSuchLane { lane: 2, lanes: 2 };
    assert_eq!(two.reset_lanes(&[0, 2]), Err(no_lane.clone()));
    assert_eq!(two.select_lanes(&[2]).unwrap_err(), no_lane);
    assert!(no_lane.to_string().contains("lane 2") && no_lane.to_string().contains("2 lanes"));
    assert_eq!((memory(&two), two.positions()), (before, &[12, 12][..]));
    assert_eq!(two.select_lanes(&[]).unwrap_err(), StateError::NoLanes);
    assert_eq!(DragonState::merge(vec![]).unwrap_err(), StateError::NoLanes);

    let narrow = DragonConfig {
        d_model: 8,
        ..config()
    };
    let shallow = DragonConfig {
        n_levels: 1,
        ..config()
    };
    for (other, says) in [
        (DragonState::new(&narrow, 1, &Device::flex()), "[2, 32, 8]"),
        (DragonState::new(&shallow, 1, &Device::flex()), "1 levels"),
        (two.clone().cast(DType::F64), "f64"),
    ] {
        let error = DragonState::merge(vec![two.clone(), other])
            .unwrap_err()
            .to_string();
        for says in ["state 1", says, "3 levels", "[2, 32, 16] f32"] {
            assert!(error.contains(says), "`{says}` is not in: {error}");
        }
    }
    let shallow = DragonState::new(&shallow, 2, &Device::flex());
    assert!(matches!(two.distances(&shallow), Err(StateError::Unlike { .. })));
    let narrow = DragonState::new(&narrow, 2, &Device::flex());
    assert!(matches!(two.distances(&narrow), Err(StateError::Unlike { .. })));
    assert!(matches!(narrow.rebase(&config()), Err(StateError::Shape { .. })));
    let one = two.select_lanes(&[0]).unwrap();
    assert!(matches!(two.distances(&one), Err(StateError::Unlike { .. })));
}

#[test]
fn a_state_moves_between_training_inference_and_precisions() {
    let dragon = dragon(DType::F32);
    let state = state(&dragon, 2);
    let there = state.clone().autodiff();
    assert!(there.rho().iter().all(Tensor::is_autodiff));
    let back = there.detach().inner();
    assert!(!back.rho().iter().any(Tensor::is_autodiff));
    assert_eq!(memory(&back), memory(&state));
    assert_eq!(back.positions(), state.positions());
    let there = state.clone().to_device(&Device::flex()).cast(DType::F64);
    assert_eq!(
        (there.bytes(), state.bytes()),
        (2 * state.bytes(), 4 * 3 * 2 * 64 * 16)
    );
    assert_eq!(memory(&there.cast(DType::F32)), memory(&state));
}

#[test]
fn gradients_end_where_a_state_was_detached() {
    let device = Device::flex().autodiff();
    let mut dragon = Dragon::new(&config(), 9, &device).unwrap();
    dragon.embed = dragon.embed.map(|w| w.detach().require_grad());
    let part = |start| tokens(1, 8).narrow(1, start, 4).to_device(&device);
    let gradient = |detached: bool| {
        let empty = dragon.empty_state(1).autodiff();
        let (_, state) = dragon.forward_with_state(part(0), empty).unwrap();
        let state = if detached { state.detach() } else { state };
        let (logits, _) = dragon.forward_with_state(part(4), state).unwrap();
        let gradients = (logits.clone() * logits).sum().backward();
        let first = part(0).into_data().convert::<i32>().try_to_vec::<i32>().unwrap();
        let rows = values(dragon.embed.val().grad(&gradients).unwrap());
        let later = part(4).into_data().convert::<i32>().try_to_vec::<i32>().unwrap();
        let only_first = first.into_iter().find(|id| !later.contains(id)).unwrap() as usize;
        rows[only_first * 16..][..16].iter().map(|g| g.abs()).sum::<f64>()
    };
    assert!(gradient(false) > 1e-6);
    assert_eq!(gradient(true), 0.0);
}

/// A state of one level whose only lane and heads hold these blocks, `[H, N, D]`.
fn holding(blocks: &[f64], shape: [usize; 3]) -> DragonState {
    let [heads, neurons, width] = shape;
    let data = TensorData::new(blocks.to_vec(), [1, heads, neurons, width]);
    let rho = Tensor::from_data(data, (&Device::flex(), DType::F64));
    DragonState::from_parts(vec![rho], vec![7])
}

#[test]
fn norms_and_effective_ranks_are_those_of_blocks_known_by_hand() {
    // One direction; two directions evenly; nothing.
    let blocks = [
        [3.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0; 12],
    ];
    let state = holding(&blocks.concat(), [3, 4, 3]);
    let ranks = state.effective_ranks();
    for (rank, expected) in ranks[0][0].iter().zip([1.0, 2.0, 0.0]) {
        assert!((rank - expected).abs() < 1e-12, "{ranks:?}");
    }
    assert!((state.norms()[0][0] - 33f64.sqrt()).abs() < 1e-12);
    // Singular values 3 and 1: (9 + 1)^2 / (81 + 1), whatever the scale.
    for scale in [1.0, 1e-30, 1e30] {
        let block = [3.0 * scale, 0.0, 0.0, scale];
        let rank = holding(&block, [1, 2, 2]).effective_ranks()[0][0][0];
        assert!((rank - 100.0 / 82.0).abs() < 1e-12, "{rank}");
    }
}

#[test]
fn each_lane_has_its_norm_its_ranks_and_its_distance() {
    let dragon = dragon(DType::F32);
    let mut two = state(&dragon, 2);
    let before = two.clone();
    two.reset_lanes(&[1]).unwrap();
    for level in 0..3 {
        let (norms, ranks) = (&two.norms()[level], &two.effective_ranks()[level]);
        assert!(norms[0] > 0.0 && norms[1] == 0.0, "{norms:?}");
        assert!(
            ranks[0].iter().all(|rank| (1.0..=16.0).contains(rank)),
            "{ranks:?}"
        );
        assert_eq!(ranks[1], [0.0, 0.0]);
        assert_eq!(two.distances(&before).unwrap()[level], [0.0, 1.0]);
        assert_eq!(two.distances(&two).unwrap()[level], [0.0, 0.0]);
    }
    let half = two.clone();
    let (rho, positions) = half.into_parts();
    let half = DragonState::from_parts(rho.into_iter().map(|rho| rho * 0.5).collect(), positions);
    for distances in two.distances(&half).unwrap() {
        assert!((distances[0] - 0.5).abs() < 1e-6, "{distances:?}");
    }
}

#[test]
fn invariant_8_a_rebased_state_gives_the_same_outputs() {
    for (dtype, position, tolerance) in [
        (DType::F64, 12, 1e-9),
        (DType::F64, 100_003, 1e-9),
        (DType::F64, 1_000_000_007, 1e-5),
        (DType::F32, 12, 1e-4),
        (DType::F32, 1_000_000_007, 1e-4),
    ] {
        let dragon = dragon(dtype);
        // Two lanes at positions of their own, read there.
        let (rho, _) = dragon.empty_state(2).into_parts();
        let start = DragonState::from_parts(rho, vec![position, 3]);
        let (_, state) = dragon.forward_with_state(tokens(2, 12), start).unwrap();
        let rebased = state.clone().rebase(&config()).unwrap();
        assert_eq!(rebased.positions(), [0, 0]);
        let (expected, given) = (answers(&dragon, &state), answers(&dragon, &rebased));
        for lane in 0..2 {
            let off = distance(&given[lane], &expected[lane]);
            assert!(off < tolerance, "{dtype:?} at {position}, lane {lane}: {off:e}");
        }
        // The turn matters: the same memory at position 0 without it is another one.
        let (rho, _) = state.clone().into_parts();
        let unturned = DragonState::from_parts(rho, vec![0, 0]);
        assert!(distance(&answers(&dragon, &unturned)[0], &expected[0]) > 1e-3);
        // Lengths stay, and so does what is at position 0.
        for (a, b) in state
            .norms()
            .iter()
            .flatten()
            .zip(rebased.norms().iter().flatten())
        {
            assert!((a - b).abs() < 1e-5 * a);
        }
        let again = rebased.clone().rebase(&config()).unwrap();
        assert_eq!(memory(&again), memory(&rebased));
    }
}
