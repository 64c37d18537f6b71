//! Every number with a fraction that a configuration has: what vanishes or is infinite where it is used is refused.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn_dragon_core::api::DecayConfig;
use burn_dragon_language::api::{LanguageConfig, StreamConfig};
use burn_dragon_train::api::{
    AdamW, DecayShape, Done, GuardConfig, Method, OptimizerConfig, ParameterGroup, Schedule,
};
use std::collections::BTreeSet;
use toml::Value;

/// Configurations in which every optional number is given.
fn all() -> Vec<LanguageConfig> {
    let mut config = LanguageConfig::default();
    config.training.epochs = Some(1.5);
    config.training.max_minutes = Some(3.5);
    config.training.clip_norm = Some(1.0);
    config.sequence.streams = Some(StreamConfig::default());
    config.training.guard = Some(GuardConfig::default());
    config.optimizer.groups = vec![ParameterGroup {
        parameters: vec!["embed".into()],
        learning_rate_factor: 0.5,
        weight_decay: Some(0.1),
    }];
    config.generation.top_p = Some(0.9);
    config.generation.repetition_penalty = Some(1.1);
    let (warmup_steps, final_factor, gamma) = (2, 0.1, 0.9);
    let schedules = [
        Schedule::Constant { warmup_steps },
        Schedule::Linear {
            warmup_steps,
            final_factor,
        },
        Schedule::Cosine {
            warmup_steps,
            final_factor,
        },
        Schedule::Exponential { warmup_steps, gamma },
        Schedule::Step {
            warmup_steps,
            step_size: 2,
            gamma,
        },
        Schedule::Noam { warmup_steps },
        Schedule::Wsd {
            warmup_steps,
            decay_steps: 2,
            final_factor,
            shape: DecayShape::Sqrt,
        },
        Schedule::Bitnet {
            warmup_steps,
            drop_at: 0.5,
            drop_factor: 0.7,
            final_factor,
            decay_factor: 0.1,
        },
    ];
    let decays = [true, false]
        .into_iter()
        .cycle()
        .map(|learnable| DecayConfig::Custom {
            slopes: vec![0.1, 0.2, 0.3, 0.4],
            learnable,
        });
    let pairs = schedules.into_iter().zip(decays);
    pairs
        .map(|(schedule, decay)| {
            let mut config = config.clone();
            (config.schedule, config.model.decay) = (schedule, Some(decay));
            config
        })
        .collect()
}

/// Why a configuration is refused, if it is.
fn refusal(config: &LanguageConfig) -> Option<String> {
    let text = |error: &dyn ToString| error.to_string();
    let model = config
        .model
        .with_vocabulary(256)
        .map(|_| ())
        .map_err(|error| text(&error));
    let steps = config
        .training
        .total_steps(100_000, 2048, Done::default())
        .map_err(|error| text(&error));
    let schedule = |steps| config.schedule.validate(steps).map_err(|error| text(&error));
    model
        .and(config.optimizer.validate().map_err(|error| text(&error)))
        .and(config.generation.validate().map_err(|error| text(&error)))
        .and(config.validate().map_err(|error| text(&error)))
        .and(steps.and_then(schedule))
        .err()
}

/// The paths of all numbers with a fraction.
fn paths(value: &Value, path: Vec<String>, into: &mut Vec<Vec<String>>) {
    let below = |name: String| path.iter().cloned().chain([name]).collect();
    match value {
        Value::Float(_) => into.push(path),
        Value::Table(table) => table
            .iter()
            .for_each(|(key, value)| paths(value, below(key.clone()), into)),
        Value::Array(list) => (0..)
            .zip(list)
            .for_each(|(index, value)| paths(value, below(index.to_string()), into)),
        _ => {}
    }
}

fn with(config: &LanguageConfig, path: &[String], number: f64) -> LanguageConfig {
    let mut value = Value::try_from(config).unwrap();
    let place = path.iter().fold(&mut value, |value, step| match value {
        Value::Array(list) => &mut list[step.parse::<usize>().unwrap()],
        value => value.get_mut(step).unwrap(),
    });
    *place = Value::Float(number);
    value.try_into().unwrap()
}

/// Numbers that some keys may have though f32 does not hold them, and why.
fn may_have(path: &str, number: f64) -> bool {
    match path {
        "model.rope_theta" => number == 1e39, // its powers are taken in f64, and are no larger than 1
        "training.clip_norm" | "training.max_minutes" => number == f64::INFINITY, // no limit
        _ => false,
    }
}

#[test]
fn no_number_that_vanishes_or_is_none_gets_past_its_key() {
    let mut keys = BTreeSet::new();
    for config in all() {
        assert_eq!(refusal(&config), None, "{config:?}");
        let mut found = Vec::new();
        paths(&Value::try_from(&config).unwrap(), Vec::new(), &mut found);
        for path in found {
            let name = path.join(".");
            for number in [
                1e-50,
                -1e-50,
                1e-308,
                5e-324,
                -5e-324,
                f64::from(f32::MIN_POSITIVE) / 2.0,
                1e39,
                f64::MAX,
                -1.0,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::NAN,
            ] {
                let said = refusal(&with(&config, &path, number));
                if may_have(&name, number) || (name == "model.rope_theta" && number == f64::MAX) {
                    assert_eq!(said, None, "{name} = {number:?}");
                    continue;
                }
                let said = said.unwrap_or_else(|| panic!("{name} = {number:?} is taken"));
                // By its key; of a list, by the list's.
                let key = path
                    .iter()
                    .rev()
                    .find(|step| step.parse::<usize>().is_err())
                    .unwrap();
                assert!(said.contains(key.as_str()), "{name} = {number:?}: {said}");
                assert!(
                    said.contains(&format!("{number:?}")),
                    "{name} = {number:?}: {said}"
                );
            }
            // 0 is one number, however it is written.
            let [plus, minus] = [0.0, -0.0].map(|zero| refusal(&with(&config, &path, zero)).is_none());
            assert_eq!(plus, minus, "{name}");
            keys.insert(name);
        }
    }
    // What there is to go through: a new key belongs here, with a range of its own.
    let groups = ["learning_rate_factor", "weight_decay"].map(|key| format!("optimizer.groups.0.{key}"));
    let slopes = (0..4).map(|head| format!("model.decay.slopes.{head}"));
    let expected = [
        "generation.repetition_penalty",
        "generation.temperature",
        "generation.top_p",
        "model.dropout",
        "model.init_std",
        "model.norm_eps",
        "model.rope_theta",
        "optimizer.beta_1",
        "optimizer.beta_2",
        "optimizer.eps",
        "optimizer.learning_rate",
        "optimizer.weight_decay",
        "schedule.decay_factor",
        "schedule.drop_at",
        "schedule.drop_factor",
        "schedule.final_factor",
        "schedule.gamma",
        "sequence.streams.persistent",
        "training.clip_norm",
        "training.epochs",
        "training.guard.loss_z",
        "training.guard.norm_z",
        "training.max_minutes",
    ];
    let expected = expected.map(String::from).into_iter().chain(groups).chain(slopes);
    assert_eq!(keys, expected.collect());
}

#[test]
fn the_least_and_the_largest_number_of_a_refusal_are_taken() {
    for config in all() {
        let mut found = Vec::new();
        paths(&Value::try_from(&config).unwrap(), Vec::new(), &mut found);
        for path in found {
            let Some(said) = refusal(&with(&config, &path, -1.0)) else {
                continue;
            };
            let Some((_, range)) = said.split_once("expected ") else {
                continue;
            };
            let (range, _) = range.split_once(':').unwrap_or((range, ""));
            let words = range.split([' ', ',']).take_while(|word| *word != "above");
            let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).take(3).collect();
            for number in numbers.into_iter().filter(|number| *number < 1e30) {
                let said = refusal(&with(&config, &path, number));
                // Other keys may not go with it: steps too few for a schedule, a product that vanishes.
                let of_key = |said: &String| said.contains(range) && !said.contains(" * ");
                assert!(
                    !said.as_ref().is_some_and(of_key),
                    "{path:?} = {number:?}: {said:?}"
                );
            }
        }
    }
}

fn adamw(change: impl FnOnce(&mut AdamW)) -> OptimizerConfig {
    let mut adamw = AdamW::default();
    change(&mut adamw);
    Method::AdamW(adamw).into()
}

/// Numbers that f32 holds, but not what is made of them.
#[test]
fn a_number_whose_use_vanishes_or_overflows_is_refused_too() {
    let refused = |change: &dyn Fn(&mut LanguageConfig)| {
        let mut config = LanguageConfig::default();
        change(&mut config);
        refusal(&config).unwrap()
    };
    for (said, says) in [
        // A gradient whose square vanishes would be divided by less than itself.
        (
            refused(&|config| config.optimizer = adamw(|adamw| adamw.eps = 1e-20)),
            ["optimizer.eps = 1e-20", "1.1e-19"],
        ),
        (
            refused(&|config| config.training.clip_norm = Some(1e-20)),
            ["training.clip_norm = 1e-20", "1.1e-19"],
        ),
        (
            refused(&|config| config.model.init_std = 1e-20),
            ["model.init_std = 1e-20", "1.1e-19"],
        ),
        (
            refused(&|config| config.model.init_std = 1001.0),
            ["model.init_std = 1001", "to 1000"],
        ),
        (
            refused(&|config| config.model.norm_eps = 1.5),
            ["model.norm_eps = 1.5", "to 1"],
        ),
        (
            refused(&|config| config.model.dropout = 1e-6),
            ["model.dropout = 1e-6", "16 bits"],
        ),
        (
            refused(&|config| config.optimizer = adamw(|adamw| adamw.beta_1 = 0.999_999_99)),
            ["optimizer.beta_1", "0.9999999"],
        ),
        (
            refused(&|config| {
                config.optimizer = adamw(|adamw| adamw.learning_rate = 1e-30);
                config.optimizer.groups = vec![ParameterGroup {
                    parameters: vec!["embed".into()],
                    learning_rate_factor: 1e-30,
                    weight_decay: None,
                }];
            }),
            ["learning_rate * groups[0].learning_rate_factor", "1.2e-38"],
        ),
    ] {
        assert!(says.iter().all(|part| said.contains(part)), "{said}");
    }
}
