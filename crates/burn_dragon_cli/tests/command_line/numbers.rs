//! Numbers that vanish or are infinite where they are used, and numbers that are none.

use crate::support::Place;

/// Keys, a number that is refused, and the least that is not.
const KEYS: &[(&str, &str, &str)] = &[
    ("model.norm_eps", "1e-50", "1.2e-38"),
    ("model.norm_eps", "1e39", "1"),
    ("model.init_std", "1e-50", "1.1e-19"),
    ("model.init_std", "1e39", "1000"),
    ("model.dropout", "1e-50", "1.6e-5"),
    ("model.rope_theta", "inf", "1e39"),
    (
        "model.decay",
        "{type=\"custom\",slopes=[1e-50,0.1,0.1,0.1]}",
        "{type=\"custom\",slopes=[1.2e-38,0,0.1,100]}",
    ),
    ("optimizer.learning_rate", "1e-50", "1.2e-38"),
    ("optimizer.beta_1", "1e-50", "1.2e-38"),
    ("optimizer.beta_2", "0.99999999", "0.9999999"),
    ("optimizer.eps", "1e-50", "1.1e-19"),
    ("optimizer.weight_decay", "5e-324", "1.2e-38"),
    (
        "optimizer.groups",
        "[{parameters=[\"embed\"],learning_rate_factor=1e-50}]",
        "[{parameters=[\"embed\"],learning_rate_factor=0}]",
    ),
    (
        "schedule",
        "{type=\"linear\",final_factor=1e-50}",
        "{type=\"linear\",final_factor=1.2e-38}",
    ),
    (
        "schedule",
        "{type=\"exponential\",gamma=1e-5}",
        "{type=\"exponential\",gamma=0.000362}",
    ),
    ("training.clip_norm", "1e-50", "1.1e-19"),
    ("training.clip_norm", "1e39", "inf"),
    ("training.max_minutes", "1e-50", "inf"),
    ("sequence.streams.persistent", "1e-50", "1.2e-38"),
    ("training.guard.loss_z", "1e39", "3.4e38"),
    ("training.guard.norm_z", "1e-50", "1.2e-38"),
    ("generation.temperature", "1e-50", "1.2e-38"),
    ("generation.top_p", "1e-308", "1.2e-38"),
    ("generation.repetition_penalty", "1e-308", "1.2e-38"),
];

#[test]
fn a_number_that_f32_does_not_hold_is_refused_by_its_key_before_anything_is_written() {
    let place = Place::new();
    for (key, wrong, right) in KEYS {
        let assign = |value: &str| format!("{key}={value}");
        let answer = place.train(&[&assign(wrong), "--out", "run"]);
        let (_, last) = key.rsplit_once('.').unwrap_or(("", key));
        let name = match *key {
            "schedule" => "of the learning-rate schedule",
            _ => last,
        };
        answer.refused(2, &[name]);
        assert!(!place.path("run").exists(), "{key}");
        // What the message names works.
        let answer = place.train(&[&assign(right), "--dry-run"]);
        assert_eq!(answer.code, Some(0), "{key}={right}: {}", answer.stderr);
    }
}

#[test]
fn the_flags_that_draw_refuse_what_their_keys_refuse() {
    let place = Place::trained();
    for value in ["-1", "1e-50", "-1e-50", "1e39", "inf", "-inf", "nan", "5e-324"] {
        for (flag, key) in [
            ("--temperature", "generation.temperature"),
            ("--top-p", "generation.top_p"),
            ("--repetition-penalty", "generation.repetition_penalty"),
        ] {
            for verb in ["generate", "chat"] {
                let answer = place
                    .dragon(&[verb, "run", flag, value])
                    .refused(2, &[key, "expected"]);
                assert!(!answer.stderr.contains("tip:"), "{}", answer.stderr);
            }
        }
        let words = ["infer", "--checkpoint", "run", "--temperature", value];
        place
            .dragon(&words)
            .refused(2, &["generation.temperature", "expected"]);
    }
    for value in ["-1", "-7", "1.5", "x"] {
        for words in [
            &["generate", "run", "--top-k", value][..],
            &["generate", "run", "--seed", value],
            &["generate", "run", "--prompt-tokens", value],
            &["chat", "run", "--context-window", value],
            &["eval", "run", "--block-size", value],
            &["train", "--max-steps", value],
        ] {
            let answer = place.dragon(words).refused(2, &[value]);
            assert!(!answer.stderr.contains("tip:"), "{}", answer.stderr);
        }
    }
    // The limits themselves are drawn with: 0, and as little or as much as f32 holds.
    for words in [
        &["--temperature", "0", "--repetition-penalty", "1.2e-38"][..],
        &["--temperature", "-0.0"],
        &["--temperature", "1.2e-38", "--top-p", "1.2e-38"],
        &["--temperature", "3.4e38", "--repetition-penalty", "3.4e38"],
    ] {
        place.dragon(&[&["generate", "run"], words].concat()).done();
    }
}
