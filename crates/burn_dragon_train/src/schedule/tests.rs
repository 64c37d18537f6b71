//! Every schedule by hand-computed values, its ends, and what is refused.

use super::*;

const TOTAL: u64 = 110;

/// One of each, with 10 steps of warm-up.
fn all() -> [Schedule; 8] {
    let warmup_steps = 10;
    [
        Schedule::Constant { warmup_steps },
        Schedule::Linear {
            warmup_steps,
            final_factor: 0.2,
        },
        Schedule::Cosine {
            warmup_steps,
            final_factor: 0.0,
        },
        Schedule::Exponential {
            warmup_steps,
            gamma: 0.99,
        },
        Schedule::Step {
            warmup_steps,
            step_size: 20,
            gamma: 0.5,
        },
        Schedule::Noam { warmup_steps },
        Schedule::Wsd {
            warmup_steps,
            decay_steps: 50,
            final_factor: 0.0,
            shape: DecayShape::Linear,
        },
        Schedule::Bitnet {
            warmup_steps,
            drop_at: 0.6,
            drop_factor: 0.5,
            final_factor: 0.1,
            decay_factor: 0.0,
        },
    ]
}

#[test]
fn rates_of_a_run_of_a_hundred_steps_are_known_numbers() {
    let warmup_steps = 10;
    let cosine = Schedule::Cosine {
        warmup_steps,
        final_factor: 0.1,
    };
    let wsd = Schedule::Wsd {
        warmup_steps,
        decay_steps: 20,
        final_factor: 0.0,
        shape: DecayShape::Sqrt,
    };
    let of_cosine = [(0, 1e-4), (9, 1e-3), (10, 1e-3), (55, 5.5e-4), (99, 1.0027e-4)];
    let of_wsd = [
        (0, 1e-4),
        (9, 1e-3),
        (50, 1e-3),
        (80, 1e-3),
        (85, 5e-4),
        (99, 2.532e-5),
    ];
    let expected = of_cosine
        .map(|at| (cosine, at))
        .into_iter()
        .chain(of_wsd.map(|at| (wsd, at)));
    for (schedule, (step, rate)) in expected {
        let given = 1e-3 * schedule.factor(step, 100);
        assert!(
            (given / rate - 1.0).abs() < 1e-4,
            "{schedule:?} at {step}: {given:e}"
        );
    }
}

#[test]
fn factors_equal_hand_computed_values() {
    let [constant, linear, cosine, exponential, step, noam, wsd, bitnet] = all();
    let cases = [
        (constant, 109, 1.0),
        (linear, 35, 0.8),          // a quarter of the way from 1 to 0.2
        (linear, 109, 0.208),       // 99 of 100 steps
        (cosine, 35, 0.853_553_39), // (1 + cos 45 deg) / 2
        (cosine, 60, 0.5),
        (exponential, 12, 0.9801),
        (step, 29, 1.0),
        (step, 30, 0.5),
        (step, 109, 0.0625), // four stairs down
        (noam, 39, 0.5),     // sqrt(10 / 40)
        (wsd, 60, 1.0),
        (wsd, 85, 0.5),
        (wsd, 109, 0.02),
        (bitnet, 65, 1.0), // 0.6 of 110 steps is 66
        (bitnet, 66, 0.5),
        (bitnet, 88, 0.3), // half of the second stage
        (bitnet, 109, 0.109_090_909),
    ];
    for (schedule, at, expected) in cases {
        let factor = schedule.factor(at, TOTAL);
        assert!(
            (factor - expected).abs() < 1e-8,
            "{schedule:?} at {at}: {factor}, not {expected}"
        );
    }
}

#[test]
fn warm_up_is_a_line_from_one_over_its_length_to_one() {
    for schedule in all() {
        for step in 0..10 {
            assert_eq!(
                schedule.factor(step, TOTAL),
                (step + 1) as f64 / 10.0,
                "{schedule:?}"
            );
        }
    }
}

#[test]
fn the_edge_of_the_warm_up_has_no_jump() {
    for schedule in all() {
        let (before, after) = (schedule.factor(9, TOTAL), schedule.factor(10, TOTAL));
        assert_eq!(before, 1.0);
        assert!((before - after).abs() < 0.05, "{schedule:?}: {before} {after}");
    }
}

#[test]
fn factors_never_rise_after_the_warm_up_and_stay_in_their_bounds() {
    for schedule in all() {
        for step in 0..TOTAL {
            let factor = schedule.factor(step, TOTAL);
            assert!(factor > 0.0 && factor <= 1.0, "{schedule:?} at {step}: {factor}");
            assert!(
                step < 10 || schedule.factor(step + 1, TOTAL) <= factor,
                "{schedule:?} at {step}"
            );
        }
    }
    assert!(
        Schedule::Exponential {
            warmup_steps: 0,
            gamma: 0.5
        }
        .factor(1_000_000, 1_000_001)
            > 0.0
    );
}

#[test]
fn decays_end_at_the_final_factor_and_stay_there() {
    for schedule in [
        Schedule::Linear {
            warmup_steps: 10,
            final_factor: 0.3,
        },
        Schedule::Cosine {
            warmup_steps: 10,
            final_factor: 0.3,
        },
        Schedule::Wsd {
            warmup_steps: 10,
            decay_steps: 20,
            final_factor: 0.3,
            shape: DecayShape::Linear,
        },
    ] {
        for step in [TOTAL, TOTAL + 1, 10 * TOTAL] {
            assert!((schedule.factor(step, TOTAL) - 0.3).abs() < 1e-12, "{schedule:?}");
        }
    }
}

#[test]
fn a_run_that_is_all_warm_up_has_no_decay() {
    let schedule = Schedule::Cosine {
        warmup_steps: 5,
        final_factor: 0.1,
    };
    assert_eq!(schedule.validate(5), Ok(()));
    assert_eq!(schedule.factor(4, 5), 1.0);
    assert_eq!(schedule.factor(5, 5), 1.0);
}

#[test]
fn a_run_may_end_within_its_warm_up_but_a_decay_must_fit() {
    assert!(Schedule::Constant { warmup_steps: 200 }.validate(100).is_ok());
    let wsd = Schedule::Wsd {
        warmup_steps: 60,
        decay_steps: 50,
        final_factor: 0.0,
        shape: DecayShape::Linear,
    };
    assert!(wsd.validate(110).is_ok());
    assert!(
        wsd.validate(109)
            .unwrap_err()
            .to_string()
            .contains("needs 110 steps")
    );
}

#[test]
fn a_count_of_zero_is_refused() {
    let zero = |schedule: Schedule| matches!(schedule.validate(10), Err(ScheduleError::Zero { .. }));
    assert!(zero(Schedule::Noam { warmup_steps: 0 }));
    assert!(zero(Schedule::Step {
        warmup_steps: 0,
        step_size: 0,
        gamma: 0.5
    }));
}

#[test]
fn a_factor_out_of_range_is_refused() {
    for given in [-0.1, 1.5, f64::NAN] {
        let linear = Schedule::Linear {
            warmup_steps: 0,
            final_factor: given,
        };
        assert!(matches!(
            linear.validate(10),
            Err(ScheduleError::OutOfRange {
                key: "final_factor",
                ..
            })
        ));
    }
    for given in [0.0, 1.5, f64::NAN] {
        let exponential = Schedule::Exponential {
            warmup_steps: 0,
            gamma: given,
        };
        assert!(matches!(
            exponential.validate(10),
            Err(ScheduleError::OutOfRange { key: "gamma", .. })
        ));
    }
}

#[test]
fn toml_gives_a_type_and_its_keys_only() {
    let read = |text: &str| toml::from_str::<Schedule>(text);
    assert_eq!(
        read("type = 'linear'").unwrap(),
        Schedule::Linear {
            warmup_steps: 0,
            final_factor: 0.1
        }
    );
    assert!(
        read("type = 'constant'\ngamma = 0.5")
            .unwrap_err()
            .message()
            .contains("unknown field `gamma`")
    );
    for schedule in all() {
        assert_eq!(read(&toml::to_string(&schedule).unwrap()).unwrap(), schedule);
    }
}

#[test]
fn a_gamma_that_leaves_nothing_is_refused_with_the_least_that_leaves_some() {
    let warmup_steps = 10;
    let exponential = |gamma| Schedule::Exponential { warmup_steps, gamma };
    let stairs = |gamma| Schedule::Step {
        warmup_steps,
        step_size: 5,
        gamma,
    };
    // 9 steps after the warm-up leave 1e-36, a tenth 1e-40; so do stairs of 5 steps at the 10th of them.
    for (schedule, longest) in [(exponential(1e-4), 20), (stairs(1e-4), 60)] {
        assert_eq!(schedule.validate(longest), Ok(()));
        assert!((schedule.factor(longest - 1, longest) as f32).is_normal());
        let Err(ScheduleError::Vanishes { times, least, .. }) = schedule.validate(longest + 1) else {
            panic!("{schedule:?}");
        };
        assert_eq!(times, 10);
        let text = schedule.validate(longest + 1).unwrap_err().to_string();
        assert!(text.contains("`gamma`") && text.contains("0.0001"), "{text}");
        let right = match schedule {
            Schedule::Step { .. } => stairs(least),
            _ => exponential(least),
        };
        assert_eq!(right.validate(longest + 1), Ok(()), "{least}");
    }
}

#[test]
fn the_second_stage_of_bitnet_has_its_own_weight_decay_and_no_other_schedule_has_one() {
    for schedule in all() {
        for step in [0, 9, 10, 65, 66, 109] {
            let second = matches!(schedule, Schedule::Bitnet { .. }) && step >= 66;
            let Factors { learning, decay } = schedule.factors(step, TOTAL);
            assert_eq!(learning, schedule.factor(step, TOTAL), "{schedule:?} at {step}");
            assert_eq!(decay, if second { 0.0 } else { 1.0 }, "{schedule:?} at {step}");
        }
    }
    let default: Schedule = toml::from_str("type = 'bitnet'").unwrap();
    let factors = default.factors(500, 1000);
    assert_eq!((factors.learning, factors.decay), (2.0 / 3.0, 0.0));
    for (keys, key) in [
        ("drop_at = 0.0", "drop_at"),
        ("drop_at = 1.0", "drop_at"),
        ("drop_factor = 0.0", "drop_factor"),
        ("drop_factor = 1.5", "drop_factor"),
        ("drop_factor = 0.2\nfinal_factor = 0.3", "final_factor"),
        ("decay_factor = -0.1", "decay_factor"),
    ] {
        let schedule: Schedule = toml::from_str(&format!("type = 'bitnet'\n{keys}")).unwrap();
        let error = schedule.validate(1000).unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}`")), "{keys}: {error}");
    }
}
