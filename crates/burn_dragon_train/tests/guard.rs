//! Runs with steps that go wrong: what is skipped leaves no trace in the weights, and what is not is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use burn_dragon_checkpoint::api::Content;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_core::api::expert::{load, snapshot};

use burn_dragon_train::api::expert::{MetricsLog, without_time};
use burn_dragon_train::api::{
    CheckpointConfig, DataPosition, Evaluation, EvaluationConfig, GuardConfig, GuardPolicy, Identity,
    Interrupt, Loss, LossContext, Metrics, OptimizerConfig, Outcome, Output, Plan, RunFolder, Schedule,
    Scope, Task, TaskState, TrainError, Trainer, TrainingConfig,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// What goes wrong with a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mishap {
    /// The loss and its gradient are a thousand times as large.
    Spike,
    /// The gradient alone is.
    SteepSpike,
    /// The loss of the second of two batches is not finite.
    Loss,
    /// The gradient is not, though the loss is.
    Gradient,
    /// The data cannot be had, as if the process had died.
    Death,
}

#[derive(Module, Debug)]
struct Point {
    place: Param<Tensor<1>>,
}

/// Comes closer to a target that moves about a little.
#[derive(Debug, Default)]
struct Toy {
    mishaps: BTreeMap<u64, Mishap>,
    /// The weights that each step began with.
    seen: Mutex<BTreeMap<u64, Vec<f32>>>,
}

impl Toy {
    fn new(mishaps: impl IntoIterator<Item = (u64, Mishap)>) -> Self {
        Self {
            mishaps: mishaps.into_iter().collect(),
            ..Self::default()
        }
    }

    fn model() -> Point {
        let place = Tensor::from_floats([1.0, -2.0, 0.5], &Device::flex().autodiff());
        Point {
            place: Param::from_tensor(place),
        }
    }
}

impl Task for Toy {
    type Model = Point;
    type Batch = (u64, u32);
    /// How often damage was to be forgotten.
    type Carry = u64;
    type Cursor = ();

    fn new_model(&self) -> Result<Point, TrainError> {
        Ok(Self::model())
    }
    fn cursor(&self) -> Result<(), TrainError> {
        Ok(())
    }
    fn carry(&self, _: &Point) -> Result<u64, TrainError> {
        Ok(0)
    }
    fn batch(&self, place: DataPosition, (): &mut ()) -> Result<(u64, u32), TrainError> {
        let (step, micro) = (place.units / 2, (place.units % 2) as u32);
        match self.mishaps.get(&step) {
            Some(Mishap::Death) => Err(TrainError::task(std::io::Error::other("dead"))),
            _ => Ok((step, micro)),
        }
    }
    fn loss(
        &self,
        model: &Point,
        (step, micro): (u64, u32),
        _: &mut u64,
        _: LossContext,
    ) -> Result<Loss, TrainError> {
        let place = model.place.val();
        self.seen.lock().unwrap().insert(step, bits(model));
        let target = 0.1 * f64::from((7 * step as u32 + 3 * micro) % 5);
        let distance = (place.clone() - target).powi_scalar(2).mean() + 1.0;
        let value = match (self.mishaps.get(&step), micro) {
            (Some(Mishap::Spike), _) => distance * 1e3,
            (Some(Mishap::SteepSpike), _) => distance.clone() + (distance.clone() - distance.detach()) * 1e3,
            (Some(Mishap::Loss), 1) => distance * f64::NAN,
            (Some(Mishap::Gradient), _) => distance + (place * 0.0).sqrt().sum(),
            _ => distance,
        };
        let metrics = Metrics::new();
        Ok(Loss { value, metrics })
    }
    fn forget_damage(&self, carry: &mut u64) -> Result<usize, TrainError> {
        *carry += 1;
        Ok(1)
    }
    fn evaluate(&self, model: &Point, _: Scope) -> Result<Evaluation, TrainError> {
        let loss = model.place.val().powi_scalar(2).mean().into_scalar::<f64>();
        Ok(Evaluation {
            loss,
            ..Evaluation::default()
        })
    }
    fn identity(&self) -> Identity {
        Identity::default()
    }
    fn units_per_batch(&self) -> u64 {
        1
    }
    fn units_per_epoch(&self) -> u64 {
        1
    }
    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        let mut file = TensorFile::default();
        file.tensors.extend(snapshot(state.model));
        Ok(BTreeMap::from([
            ("model.bpk".to_string(), Content::Tensors(file)),
            ("carry".to_string(), Content::Text(state.carry.to_string())),
        ]))
    }
    fn restore(&self, model: Point, folder: &Path) -> Result<Point, TrainError> {
        let mut file = TensorFile::read(&folder.join("model.bpk"))?;
        Ok(load(model, |name, _| file.tensors.remove(name)))
    }
    fn restore_carried(
        &self,
        _: &Point,
        (): &mut (),
        carry: &mut u64,
        folder: &Path,
    ) -> Result<(), TrainError> {
        *carry = fs::read_to_string(folder.join("carry")).unwrap().parse().unwrap();
        Ok(())
    }
}

fn bits(model: &Point) -> Vec<f32> {
    model.place.val().into_data().try_to_vec().unwrap()
}

fn guard() -> GuardConfig {
    GuardConfig {
        window: 8,
        patience: 3,
        ..GuardConfig::default()
    }
}

fn fit(task: &Toy, steps: u64, guard: Option<GuardConfig>, run: &Path) -> Result<Outcome, TrainError> {
    fs::create_dir_all(run).unwrap();
    fs::write(run.join("config.toml"), "").unwrap();
    let run = RunFolder::open(run).unwrap();
    let plan = Plan {
        training: TrainingConfig {
            accumulate: 2,
            max_steps: steps,
            clip_norm: Some(1.0),
            log_every: 1,
            guard,
            ..TrainingConfig::default()
        },
        optimizer: OptimizerConfig::default(),
        ema: None,
        schedule: Schedule::default(),
        evaluation: EvaluationConfig {
            every: 0,
            batches: 1,
            sample_every: 0,
        },
        checkpoint: CheckpointConfig { every: 10, keep: 9 },
    };
    let trainer = Trainer::new(task, plan, &run, Output::silent(), Interrupt::none())?;
    Ok(trainer.fit(Toy::model())?.1)
}

/// Every file of a checkpoint but the manifest, which holds the hashes of the others.
fn files(run: &Path, step: u64) -> BTreeMap<String, Vec<u8>> {
    let folder = run.join(format!("checkpoint/step-{step:06}"));
    ["model.bpk", "optimizer.bpk", "carry", "trainer.json"]
        .map(|name| (name.to_string(), fs::read(folder.join(name)).unwrap()))
        .into()
}

fn lines(run: &Path) -> Vec<serde_json::Map<String, Value>> {
    let lines = MetricsLog::read(run.join("metrics.jsonl")).unwrap();
    lines.into_iter().map(without_time).collect()
}

const MISHAPS: [(u64, Mishap); 5] = [
    (12, Mishap::Spike),
    (15, Mishap::Loss),
    (21, Mishap::Gradient),
    (26, Mishap::SteepSpike),
    (33, Mishap::Spike),
];

#[test]
fn a_step_that_is_skipped_leaves_weights_and_moments_bit_for_bit_as_they_were() {
    let place = tempfile::tempdir().unwrap();
    let task = Toy::new(MISHAPS);
    let run = place.path().join("run");
    let outcome = fit(&task, 40, Some(guard()), &run).unwrap();
    assert_eq!((outcome.skipped, outcome.steps, outcome.units), (Some(5), 40, 80));
    let seen = task.seen.lock().unwrap();
    for step in 0..39 {
        let skipped = MISHAPS.iter().any(|(at, _)| *at == step);
        assert_eq!(seen[&step] == seen[&(step + 1)], skipped, "step {step}");
    }
    for line in lines(&run).iter().filter(|line| line["kind"] == "train") {
        let step = line["step"].as_u64().unwrap();
        let before = MISHAPS.iter().filter(|(at, _)| *at < step).count();
        assert_eq!(line["skipped"].as_f64(), Some(before as f64), "step {step}");
        assert_eq!(line["loss"].is_null(), step == 16, "step {step}");
    }
    assert_eq!(
        files(&run, 40)["carry"],
        b"2",
        "after the two that were not finite"
    );

    // The optimiser's file is that of a run that ended before the step.
    for (_, mishap) in MISHAPS {
        let (short, long) = (place.path().join("short"), place.path().join("long"));
        fit(&Toy::default(), 10, Some(guard()), &short).unwrap();
        fit(&Toy::new([(10, mishap)]), 11, Some(guard()), &long).unwrap();
        for name in ["optimizer.bpk", "model.bpk"] {
            assert!(
                files(&short, 10)[name] == files(&long, 11)[name],
                "{mishap:?} {name}"
            );
        }
        [short, long]
            .iter()
            .for_each(|run| fs::remove_dir_all(run).unwrap());
    }
}

#[test]
fn a_guarded_run_that_died_goes_on_bit_for_bit() {
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    fit(&Toy::new(MISHAPS), 40, Some(guard()), &whole).unwrap();
    for death in [11, 13, 16, 22, 27, 31] {
        let run = place.path().join(death.to_string());
        let dies = Toy::new(MISHAPS.into_iter().chain([(death, Mishap::Death)]));
        fit(&dies, 40, Some(guard()), &run).unwrap_err();
        let resumed = Toy::new(MISHAPS);
        let outcome = fit(&resumed, 40, Some(guard()), &run).unwrap();
        assert_eq!(
            resumed.seen.lock().unwrap().keys().next(),
            Some(&(death / 10 * 10))
        );
        assert_eq!(outcome.skipped, Some(5), "in all");
        assert!(files(&run, 40) == files(&whole, 40), "{death}");
        assert_eq!(lines(&run), lines(&whole), "{death}");
    }
}

#[test]
fn more_skipped_steps_in_a_row_than_patience_end_the_run() {
    let place = tempfile::tempdir().unwrap();
    let run = |count: u64| {
        let task = Toy::new((12..12 + count).map(|step| (step, Mishap::Loss)));
        fit(&task, 30, Some(guard()), &place.path().join(count.to_string()))
    };
    assert_eq!(run(3).unwrap().skipped, Some(3));
    let error = run(4).unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Skipped {
                count: 4,
                step: 16,
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    for part in [
        "4 steps in a row",
        "step 16 the loss is NaN",
        "checkpoint is step 10",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn with_the_policy_stop_an_outlier_ends_the_run_and_says_why() {
    let place = tempfile::tempdir().unwrap();
    let stop = GuardConfig {
        policy: GuardPolicy::Stop,
        ..guard()
    };
    let run = |mishap, name: &str| {
        let task = Toy::new([(12, mishap)]);
        let error = fit(&task, 30, Some(stop.clone()), &place.path().join(name));
        error.unwrap_err().to_string()
    };
    let text = run(Mishap::Spike, "spike");
    for part in [
        "step 13",
        "the loss is",
        "above",
        "mean",
        "6 deviations of",
        "8 steps",
        "step 10",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let text = run(Mishap::SteepSpike, "steep");
    assert!(
        text.contains("step 13 is an outlier: the gradient norm is"),
        "{text}"
    );
    let text = run(Mishap::Gradient, "gradient");
    assert!(text.contains("the gradient norm of step 13 is NaN"), "{text}");
}

#[test]
fn without_a_guard_only_what_is_not_finite_ends_a_run_and_nothing_more_is_written() {
    let place = tempfile::tempdir().unwrap();
    let [none, high, nan] = ["none", "high", "nan"].map(|name| place.path().join(name));
    let spike = || Toy::new([(12, Mishap::Spike)]);
    let outcome = fit(&spike(), 30, None, &none).unwrap();
    assert_eq!(outcome.skipped, None);
    let error = fit(&Toy::new([(12, Mishap::Loss)]), 30, None, &nan)
        .unwrap_err()
        .to_string();
    assert!(error.contains("the loss of step 13 is NaN"), "{error}");

    // A guard that finds nothing: the same files, but for what it remembers and counts.
    let blind = GuardConfig {
        loss_z: 1e9,
        norm_z: 1e9,
        ..guard()
    };
    fit(&spike(), 30, Some(blind), &high).unwrap();
    let (mut of_none, mut of_high) = (files(&none, 30), files(&high, 30));
    let state = |files: &mut BTreeMap<String, Vec<u8>>| -> BTreeMap<String, Value> {
        serde_json::from_slice(&files.remove("trainer.json").unwrap()).unwrap()
    };
    let (none_state, mut high_state) = (state(&mut of_none), state(&mut of_high));
    assert_eq!(
        high_state.remove("guard").unwrap()["losses"]
            .as_array()
            .unwrap()
            .len(),
        8
    );
    assert_eq!(none_state, high_state);
    assert!(of_none == of_high);
    let mut counted = lines(&high);
    let count = counted
        .iter_mut()
        .filter_map(|line| line.remove("skipped"))
        .count();
    assert_eq!(count, 30);
    assert_eq!(lines(&none), counted);
}
