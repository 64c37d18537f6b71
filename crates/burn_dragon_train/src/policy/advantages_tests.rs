use super::*;

/// Two groups of four rollouts with two rewards, of the reference values.
const REWARDS: [[f64; 2]; 8] = [
    [1.0, 0.0],
    [1.0, 1.0],
    [0.0, 1.0],
    [0.0, 0.0],
    [0.0, 1.0],
    [0.0, 1.0],
    [0.0, 1.0],
    [1.0, 1.0],
];

fn rewards(shape: [usize; 3], values: &[f64]) -> Rewards {
    Rewards::new(shape, values.to_vec()).unwrap()
}

fn reference() -> Rewards {
    rewards([2, 4, 2], REWARDS.as_flattened())
}

fn estimator(method: AdvantageMethod) -> Estimator {
    Estimator::new(method, vec![Term::weighted(1.0); 2])
}

/// The second reward counts where the first is at least 1.
fn gated() -> Estimator {
    let mut estimator = estimator(AdvantageMethod::Gdpo);
    estimator.terms[1] = Some(Term {
        weight: 1.0,
        condition: Some(Condition {
            reward: 0,
            at_least: 1.0,
        }),
    });
    estimator
}

#[track_caller]
fn close(found: &[f64], expected: &[f64], within: f64) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let worst = worst.fold(0.0, f64::max);
    assert!(worst <= within, "{found:?} is not {expected:?}: {worst}");
}

#[test]
fn advantages_are_those_of_the_published_equations() {
    let rewards = reference();
    let grpo = estimator(AdvantageMethod::Grpo).advantages(&rewards).unwrap();
    close(&grpo[..4], &[0.0, 1.224_595, 0.0, -1.224_595], 5e-7);
    close(&grpo[4..], &[-0.4999, -0.4999, -0.4999, 1.4997], 5e-7);
    let gdpo = estimator(AdvantageMethod::Gdpo);
    let first = gdpo.weighted_advantages(&rewards);
    close(&first[..4], &[0.0, 1.731_751, 0.0, -1.731_751], 5e-7);
    close(&first[4..], &[-0.4999, -0.4999, -0.4999, 1.4997], 5e-7);
    let last = gdpo.advantages(&rewards).unwrap();
    close(&last[..4], &[0.0, 1.527_404, 0.0, -1.527_404], 5e-7);
    close(&last[4..], &[-0.440_912, -0.440_912, -0.440_912, 1.322_735], 5e-7);
}

#[test]
fn a_reward_may_count_only_where_another_is_large_enough() {
    let rewards = reference();
    let first = gated().weighted_advantages(&rewards);
    close(
        &first,
        &[
            0.365_975, 2.365_575, -1.365_775, -1.365_775, -0.9998, -0.9998, -0.9998, 2.9994,
        ],
        5e-7,
    );
    let last = gated().advantages(&rewards).unwrap();
    close(
        &last,
        &[
            0.209_028, 1.351_105, -0.780_066, -0.780_066, -0.571_038, -0.571_038, -0.571_038, 1.713_115,
        ],
        5e-7,
    );
}

/// Group relative advantages cannot tell one reward more from two rewards more; decoupled ones can.
#[test]
fn two_rollouts_with_two_rewards_are_told_apart_by_gdpo_alone() {
    let pair = |worse: [f64; 2], better: [f64; 2]| rewards([1, 2, 2], &[worse, better].concat());
    let one = |method, rewards: &Rewards| {
        let mut estimator = estimator(method);
        estimator.eps = 1e-12;
        match method {
            AdvantageMethod::Grpo => estimator.advantages(rewards).unwrap()[1],
            AdvantageMethod::Gdpo => estimator.weighted_advantages(rewards)[1],
        }
    };
    let (more, most) = (pair([0.0, 0.0], [1.0, 0.0]), pair([0.0, 0.0], [1.0, 1.0]));
    let half = 0.5f64.sqrt();
    for rewards in [&more, &most] {
        close(&[one(AdvantageMethod::Grpo, rewards)], &[half], 1e-9);
    }
    close(&[one(AdvantageMethod::Gdpo, &more)], &[half], 1e-9);
    close(&[one(AdvantageMethod::Gdpo, &most)], &[2.0 * half], 1e-9);
}

#[test]
fn a_group_that_says_nothing_has_advantages_of_exactly_zero() {
    // The mean of three times 0.1 is not 0.1, and the mean of the other group's sums is not exactly 0.
    let values = [0.1, 0.7, 0.1, 0.7, 0.1, 0.7, 0.3, 0.0, 0.9, 0.1, 0.2, 0.5];
    let mixed = rewards([2, 3, 2], &values);
    for method in [AdvantageMethod::Grpo, AdvantageMethod::Gdpo] {
        let advantages = estimator(method).advantages(&mixed).unwrap();
        assert_eq!(advantages[..3], [0.0; 3], "{method:?}");
        assert!(advantages[3..].iter().all(|advantage| *advantage != 0.0));
        let alone = estimator(method)
            .advantages(&rewards([3, 1, 2], &values[..6]))
            .unwrap();
        assert_eq!(alone, [0.0; 3], "{method:?}: a group of one");
        let none = estimator(method).advantages(&rewards([0, 4, 2], &[])).unwrap();
        assert!(none.is_empty());
    }
}

#[test]
fn groups_are_rows_and_do_not_mix() {
    // Each group has the same spread around another level. Normalised over columns instead, levels would count.
    let values = [0.0, 1.0, 100.0, 101.0, -50.0, -49.0];
    let rewards = rewards([3, 2, 1], &values);
    let estimator = Estimator::new(AdvantageMethod::Gdpo, vec![Term::weighted(1.0)]);
    let advantages = estimator.advantages(&rewards).unwrap();
    for group in advantages.chunks(2) {
        close(group, &advantages[..2], 1e-12);
        assert!(group[0] < 0.0 && group[1] > 0.0);
    }
    close(&rewards.means(), &[103.0 / 6.0], 1e-12);
}

#[test]
fn weights_act_on_advantages_in_gdpo_and_on_rewards_in_grpo() {
    // The first reward has a hundred times the spread of the second.
    let rewards = rewards([1, 3, 2], &[0.0, 1.0, 100.0, 0.0, 50.0, 2.0]);
    let of = |method| estimator(method).advantages(&rewards).unwrap();
    assert!(
        of(AdvantageMethod::Grpo)[1] > 0.9,
        "the large reward decides alone"
    );
    assert!(of(AdvantageMethod::Gdpo)[1].abs() < 1e-3, "both count alike");
    let mut one = estimator(AdvantageMethod::Gdpo);
    one.terms[0] = Some(Term::weighted(0.0));
    let mut other = one.clone();
    other.terms[0] = None;
    assert_eq!(
        one.advantages(&rewards).unwrap(),
        other.advantages(&rewards).unwrap()
    );
}

#[test]
fn a_deviation_has_a_minimum_and_an_advantage_a_limit() {
    // The first group is nearly constant, the second is not.
    let rewards = rewards([2, 2, 1], &[0.5, 0.5 + 1e-6, 0.0, 1.0]);
    let mut estimator = Estimator::new(AdvantageMethod::Gdpo, vec![Term::weighted(1.0)]);
    estimator.eps = 1e-12;
    let blown_up = estimator.advantages(&rewards).unwrap();
    close(&[blown_up[1]], &[blown_up[3]], 1e-3);
    estimator.min_deviation = 0.1;
    let kept_small = estimator.advantages(&rewards).unwrap();
    assert!(
        kept_small[1].abs() < 1e-4 && kept_small[3] > 1.0,
        "{kept_small:?}"
    );
    estimator.clip = Some(0.3);
    assert_eq!(estimator.advantages(&rewards).unwrap()[2..], [-0.3, 0.3]);
}

#[test]
fn rewards_that_are_no_numbers_are_refused_with_their_place() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e39] {
        let mut values = REWARDS.as_flattened().to_vec();
        values[5 * 2 + 1] = value;
        let error = Rewards::new([2, 4, 2], values).unwrap_err();
        let PolicyError::NotFinite {
            kind, rollout, group, ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((kind, rollout, group), (1, 1, 1));
        assert!(error.to_string().contains("reward 1 of rollout 1 of group 1"));
    }
    let error = Rewards::new([2, 4, 2], vec![0.0; 15]).unwrap_err();
    assert!(
        error.to_string().contains("16 numbers, and 15 were given"),
        "{error}"
    );
}

#[test]
fn an_estimator_of_other_rewards_is_refused() {
    let three = Estimator::new(AdvantageMethod::Gdpo, vec![Term::weighted(1.0); 3]);
    let kinds = |estimator: &Estimator| estimator.advantages(&reference()).unwrap_err();
    assert_eq!(
        kinds(&three),
        PolicyError::Kinds {
            expected: 3,
            given: 2
        }
    );
    let mut beyond = gated();
    if let Some(Some(term)) = beyond.terms.get_mut(1) {
        term.condition = Some(Condition {
            reward: 6,
            at_least: 0.0,
        });
    }
    assert_eq!(
        kinds(&beyond),
        PolicyError::Kinds {
            expected: 7,
            given: 2
        }
    );
}
