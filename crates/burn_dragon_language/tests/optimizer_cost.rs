//! What a step costs with each method, beside AdamW's, in one process and in turn:
//!
//! ```sh
//! cargo test --release -p burn_dragon_language --test optimizer_cost -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used, reason = "a measurement stops where it fails")]

use burn::tensor::{Device, Int, Tensor};
use burn_dragon_core::api::{Dragon, DragonConfig, cross_entropy};
use burn_dragon_language::api::{BASE, Language, LanguageConfig, LanguageTask};
use burn_dragon_train::api::expert::{BenchSteps, GradientSet, ModelOptimizer};
use burn_dragon_train::api::{EmaConfig, Layers, Method, OptimizerConfig, Task, resolve};
use std::path::Path;
use std::time::Instant;

/// Every method, and AdamW with an average of weights.
fn all() -> Vec<(String, OptimizerConfig, Option<EmaConfig>)> {
    let of = |name| {
        toml::from_str::<OptimizerConfig>(&format!("method = '{name}'\nlearning_rate = 1e-4")).unwrap()
    };
    let mut all: Vec<_> = Method::NAMES
        .map(|name| (name.to_string(), of(name), None))
        .into();
    all.push(("adamw + ema".into(), of("adamw"), Some(EmaConfig::default())));
    all
}

/// The default run.
fn base() -> LanguageConfig {
    let layers = Layers::new().embedded("base.toml", BASE).unwrap();
    resolve::<Language>(layers).unwrap().value
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
#[ignore = "a measurement, for a release build on a quiet machine"]
fn steps_of_the_default_run() {
    let device = Device::flex().autodiff();
    let config = base();
    let task = LanguageTask::new(&config, Path::new("."), &device).unwrap();
    let mut runs: Vec<_> = all()
        .into_iter()
        .map(|(name, optimizer, ema)| {
            let mut plan = config.plan();
            (plan.optimizer, plan.ema) = (optimizer, ema);
            let model = task.new_model().unwrap();
            let steps = BenchSteps::new(&task, plan, &model).unwrap();
            (name, steps, Some(model), Vec::new())
        })
        .collect();
    for round in 0..105 {
        for (_, steps, model, times) in &mut runs {
            let started = Instant::now();
            *model = Some(steps.step(model.take().unwrap()).unwrap().0);
            if round >= 5 {
                times.push(started.elapsed().as_secs_f64());
            }
        }
    }
    // Paired: each step beside AdamW's of the same round.
    let base = runs[0].3.clone();
    println!(
        "a step of the default run: median of 100, and median of the ratios to AdamW's of the same round"
    );
    for (name, _, _, times) in runs {
        let ratios = times.iter().zip(&base).map(|(time, base)| time / base).collect();
        println!(
            "{name:<20} {:>8.3} ms {:>+7.2} %",
            1e3 * median(times),
            100.0 * (median(ratios) - 1.0)
        );
    }
}

#[test]
#[ignore = "a measurement, for a release build on a quiet machine"]
fn updates_alone_of_a_small_and_of_the_official_model() {
    let device = Device::flex().autodiff();
    let small = base().model.with_vocabulary(256).unwrap();
    for (what, shape, rounds) in [("default", small, 50), ("official", DragonConfig::paper(), 5)] {
        println!(
            "an update alone, {what} model, {} weights",
            shape.cost().parameters()
        );
        let dragon = Dragon::new(&shape, 1, &device).unwrap();
        let window = |from: i32| {
            let tokens: Vec<i32> = (from..from + 8).collect();
            Tensor::<1, Int>::from_data(&tokens[..], &device).reshape([1, 8])
        };
        let loss = cross_entropy(dragon.forward(window(0)), window(1));
        let mut gradients = GradientSet::default();
        gradients.add(loss.backward(), &dragon);
        for (name, config, _) in all().into_iter().filter(|(_, _, ema)| ema.is_none()) {
            let mut optimizer = ModelOptimizer::new(&config, &dragon).unwrap();
            let (mut model, mut times) = (dragon.clone(), Vec::new());
            for _ in 0..rounds + 2 {
                let given = gradients.clone();
                let started = Instant::now();
                model = optimizer.step(model, given, 1.0);
                times.push(started.elapsed().as_secs_f64());
            }
            println!("{name:<20} {:>9.3} ms", 1e3 * median(times.split_off(2)));
        }
    }
}
