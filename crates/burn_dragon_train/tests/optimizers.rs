//! Runs with every method, with and without an average of the weights: resumed, skipped, evaluated, saved.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_checkpoint::api::Content;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_core::api::expert as parameters;
use burn_dragon_train::api::{
    CheckpointConfig, DataPosition, EmaConfig, Evaluation, EvaluationConfig, GuardConfig, Identity,
    Interrupt, Loss, LossContext, Method, Metrics, OptimizerConfig, Outcome, Output, Plan, RunFolder,
    Schedule, Scope, Task, TaskState, TrainError, Trainer, TrainingConfig,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

#[derive(Module, Debug)]
struct Net {
    heads: Param<Tensor<3>>,
    embed: Param<Tensor<2>>,
}

type Weights = BTreeMap<String, TensorData>;

/// Weights that come closer to a target that moves about; a step may go wrong, or the data end.
#[derive(Debug, Default)]
struct Toy {
    not_finite: Option<u64>,
    dies: Option<u64>,
    /// The weights that the last loss was of, and those that were evaluated last.
    trained: Mutex<Weights>,
    evaluated: Mutex<Weights>,
}

fn model() -> Net {
    let device = Device::flex().autodiff();
    let wave = |size: u16| -> Vec<f32> { (0..size).map(|i| (f32::from(i) * 0.7).sin()).collect() };
    let heads = Tensor::from_data(TensorData::new(wave(30), [2, 3, 5]), &device);
    let embed = Tensor::from_data(TensorData::new(wave(12), [4, 3]), &device);
    Net {
        heads: Param::from_tensor(heads),
        embed: Param::from_tensor(embed),
    }
}

impl Task for Toy {
    type Model = Net;
    type Batch = u64;
    type Cursor = ();
    type Carry = ();

    fn new_model(&self) -> Result<Net, TrainError> {
        Ok(model())
    }
    fn cursor(&self) -> Result<(), TrainError> {
        Ok(())
    }
    fn carry(&self, _: &Net) -> Result<(), TrainError> {
        Ok(())
    }
    fn batch(&self, position: DataPosition, (): &mut ()) -> Result<u64, TrainError> {
        match self.dies {
            Some(step) if position.units / 2 == step => Err(TrainError::task(std::io::Error::other("dead"))),
            _ => Ok(position.units),
        }
    }
    fn loss(&self, model: &Net, batch: u64, (): &mut (), _: LossContext) -> Result<Loss, TrainError> {
        *self.trained.lock().unwrap() = parameters::snapshot(model);
        let target = 0.1 * (7 * batch % 5) as f64;
        let away = (model.heads.val() - target).powi_scalar(2).mean() * 2.0;
        let value = away + (model.embed.val() + target).powi_scalar(2).mean();
        let broken = self.not_finite == Some(batch / 2);
        Ok(Loss {
            value: if broken { value * f64::NAN } else { value },
            metrics: Metrics::new(),
        })
    }
    fn evaluate(&self, model: &Net, _: Scope) -> Result<Evaluation, TrainError> {
        *self.evaluated.lock().unwrap() = parameters::snapshot(model);
        let loss = model.heads.val().powi_scalar(2).mean().into_scalar::<f64>();
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
        file.tensors.extend(parameters::snapshot(state.model));
        Ok([("model.bpk".to_string(), Content::Tensors(file))].into())
    }
    fn restore(&self, model: Net, folder: &Path) -> Result<Net, TrainError> {
        let mut file = TensorFile::read(&folder.join("model.bpk"))?;
        Ok(parameters::load(model, |name, _| file.tensors.remove(name)))
    }
    fn restore_carried(&self, _: &Net, (): &mut (), (): &mut (), _: &Path) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Every method, with an average and without.
fn all() -> Vec<(OptimizerConfig, Option<EmaConfig>)> {
    let of = |name| toml::from_str::<OptimizerConfig>(&format!("method = '{name}'\nlearning_rate = 0.01"));
    let methods = Method::NAMES.into_iter().map(|name| of(name).unwrap());
    methods
        .flat_map(|method| [None, Some(EmaConfig { decay: 0.9 })].map(|ema| (method.clone(), ema)))
        .collect()
}

fn fit(
    task: &Toy,
    steps: u64,
    (optimizer, ema): &(OptimizerConfig, Option<EmaConfig>),
    run: &Path,
) -> Result<Outcome, TrainError> {
    fit_with(task, steps, (optimizer, ema), run, &[])
}

fn fit_with(
    task: &Toy,
    steps: u64,
    (optimizer, ema): (&OptimizerConfig, &Option<EmaConfig>),
    run: &Path,
    freeze: &[&str],
) -> Result<Outcome, TrainError> {
    fs::create_dir_all(run).unwrap();
    fs::write(run.join("config.toml"), "").unwrap();
    let run = RunFolder::open(run).unwrap();
    let plan = Plan {
        training: TrainingConfig {
            accumulate: 2,
            max_steps: steps,
            clip_norm: Some(0.5),
            freeze: freeze.iter().map(ToString::to_string).collect(),
            log_every: 1,
            guard: Some(GuardConfig::default()),
            ..TrainingConfig::default()
        },
        optimizer: optimizer.clone(),
        ema: *ema,
        schedule: Schedule::Constant { warmup_steps: 4 },
        evaluation: EvaluationConfig {
            every: 0,
            batches: 1,
            sample_every: 0,
        },
        checkpoint: CheckpointConfig { every: 5, keep: 9 },
    };
    let trainer = Trainer::new(task, plan, &run, Output::silent(), Interrupt::none())?;
    Ok(trainer.fit(model())?.1)
}

/// Every file of a checkpoint but the manifest, which holds the hashes of the others.
fn files(run: &Path, step: u64) -> BTreeMap<String, Vec<u8>> {
    let folder = run.join(format!("checkpoint/step-{step:06}"));
    let names = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names
        .filter(|name| name != "manifest.json")
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

fn tensors(run: &Path, step: u64, name: &str) -> Weights {
    let path = run.join(format!("checkpoint/step-{step:06}/{name}"));
    TensorFile::read(&path).unwrap().tensors
}

#[test]
fn a_run_that_died_goes_on_bit_for_bit_with_every_method() {
    let place = tempfile::tempdir().unwrap();
    for (index, method) in all().iter().enumerate() {
        let [whole, run] = ["whole", "run"].map(|name| place.path().join(format!("{name}{index}")));
        fit(&Toy::default(), 12, method, &whole).unwrap();
        for dies in [8, 11] {
            let task = Toy {
                dies: Some(dies),
                ..Toy::default()
            };
            fit(&task, 12, method, &run).unwrap_err();
        }
        fit(&Toy::default(), 12, method, &run).unwrap();
        let names: Vec<String> = files(&run, 12).into_keys().collect();
        assert_eq!(
            names.contains(&"weights.bpk".into()),
            method.1.is_some(),
            "{names:?}"
        );
        assert!(files(&run, 12) == files(&whole, 12), "{method:?}");
    }
}

#[test]
fn a_step_that_is_skipped_leaves_no_trace_with_any_method() {
    let place = tempfile::tempdir().unwrap();
    for (index, method) in all().iter().enumerate() {
        let [short, long] = ["short", "long"].map(|name| place.path().join(format!("{name}{index}")));
        fit(&Toy::default(), 7, method, &short).unwrap();
        let task = Toy {
            not_finite: Some(7),
            ..Toy::default()
        };
        assert_eq!(fit(&task, 8, method, &long).unwrap().skipped, Some(1));
        let (mut expected, mut given) = (files(&short, 7), files(&long, 8));
        for files in [&mut expected, &mut given] {
            files.remove("trainer.json").unwrap(); // it counts the step
        }
        assert!(given == expected, "{method:?}");
    }
}

#[test]
fn what_is_saved_as_the_model_is_what_was_evaluated() {
    let place = tempfile::tempdir().unwrap();
    for (index, method) in all().iter().enumerate() {
        let run = place.path().join(index.to_string());
        fit(&Toy::default(), 8, method, &run).unwrap();
        let task = Toy::default();
        fit(&task, 9, method, &run).unwrap();
        assert_eq!(
            tensors(&run, 9, "model.bpk"),
            *task.evaluated.lock().unwrap(),
            "{method:?}"
        );
        // The weights that step 9 began with are those after step 8.
        let averaged = method.1.is_some() || method.0.method.name() == "schedule_free_adamw";
        let trained = task.trained.lock().unwrap();
        assert_eq!(tensors(&run, 8, "model.bpk") != *trained, averaged, "{method:?}");
        if method.1.is_some() {
            assert_eq!(tensors(&run, 8, "weights.bpk"), *trained, "{method:?}");
        }
    }
}

#[test]
fn another_method_begins_anew_from_the_weights_that_were_evaluated() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path();
    let of = |name: &str| {
        all()
            .into_iter()
            .find(|(config, _)| config.method.name() == name)
            .unwrap()
    };
    fit(&Toy::default(), 8, &of("schedule_free_adamw"), run).unwrap();
    let task = Toy::default();
    fit(&task, 9, &of("lion"), run).unwrap();
    assert_eq!(tensors(run, 8, "model.bpk"), *task.trained.lock().unwrap());
    let file = TensorFile::read(&run.join("checkpoint/step-000009/optimizer.bpk")).unwrap();
    assert_eq!(file.metadata["steps"], "1");
}

#[test]
fn an_average_may_begin_and_end_when_a_run_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path();
    let adamw = OptimizerConfig::default();
    let (without, with) = ((adamw.clone(), None), (adamw, Some(EmaConfig { decay: 0.9 })));
    fit(&Toy::default(), 5, &without, run).unwrap();
    fit(&Toy::default(), 7, &with, run).unwrap();
    let file = TensorFile::read(&run.join("checkpoint/step-000007/weights.bpk")).unwrap();
    assert_eq!(file.metadata["updates"], "2");
    let task = Toy::default();
    fit(&task, 8, &without, run).unwrap();
    assert_eq!(file.tensors, *task.trained.lock().unwrap());
    // The same as if there had never been one.
    let whole = place.path().join("whole");
    fit(&Toy::default(), 8, &without, &whole).unwrap();
    for name in ["model.bpk", "optimizer.bpk"] {
        assert_eq!(files(run, 8)[name], files(&whole, 8)[name], "{name}");
    }
}

/// A plan that leaves `embed` as it is.
fn fit_frozen(
    task: &Toy,
    steps: u64,
    (optimizer, ema): &(OptimizerConfig, Option<EmaConfig>),
    run: &Path,
) -> Result<Outcome, TrainError> {
    fit_with(task, steps, (optimizer, ema), run, &["emb*"])
}

#[test]
fn what_is_frozen_keeps_its_bits_with_every_method_and_the_rest_learns_as_if_it_were_a_constant() {
    let place = tempfile::tempdir().unwrap();
    let first = parameters::snapshot(&model());
    for (index, method) in all().iter().enumerate() {
        let [whole, run] = ["whole", "run"].map(|name| place.path().join(format!("{name}{index}")));
        fit_frozen(&Toy::default(), 12, method, &whole).unwrap();
        let dying = Toy {
            dies: Some(8),
            ..Toy::default()
        };
        fit_frozen(&dying, 12, method, &run).unwrap_err();
        fit_frozen(&Toy::default(), 12, method, &run).unwrap();
        assert!(files(&run, 12) == files(&whole, 12), "{method:?}: resumed");
        let trained = tensors(&whole, 12, "model.bpk");
        assert_eq!(trained["embed"], first["embed"], "{method:?}");
        assert_ne!(trained["heads"], first["heads"], "{method:?}");
        let state = tensors(&whole, 12, "optimizer.bpk");
        assert!(
            state.keys().all(|name| name.starts_with("heads.")),
            "{method:?}: {:?}",
            state.keys()
        );
        if method.1.is_some() {
            assert_eq!(tensors(&whole, 12, "weights.bpk")["embed"], first["embed"]);
        }
    }
}

/// Of `heads` alone: 4/30 of the distance to a target of 0, for each of its values.
#[test]
fn a_frozen_parameter_is_no_part_of_the_norm() {
    let place = tempfile::tempdir().unwrap();
    let method = all().swap_remove(0);
    let run = place.path().join("run");
    fit_frozen(&Toy::default(), 1, &method, &run).unwrap();
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = text.lines().find(|line| line.contains("gradient_norm")).unwrap();
    let said: serde_json::Value = serde_json::from_str(line).unwrap();
    // Two micro-batches with the targets 0 and 0.2: their mean gradient is that of the target 0.1.
    let heads = parameters::snapshot(&model()).remove("heads").unwrap();
    let squares = heads.iter::<f64>().map(|w| (4.0 / 30.0 * (w - 0.1)).powi(2));
    let expected = squares.sum::<f64>().sqrt();
    let given = said["gradient_norm"].as_f64().unwrap();
    assert!((given - expected).abs() < 1e-6, "{given}, expected {expected}");
}

#[test]
fn a_list_that_freezes_everything_or_nothing_that_there_is_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let method = all().swap_remove(0);
    let refused = |freeze: &[&str]| {
        let ended = fit_with(
            &Toy::default(),
            1,
            (&method.0, &method.1),
            &place.path().join("run"),
            freeze,
        );
        ended.unwrap_err().to_string()
    };
    let said = refused(&["heads", "embed"]);
    assert!(
        said.contains("training.freeze") && said.contains("all of them"),
        "{said}"
    );
    let said = refused(&["heads", "embde"]);
    assert!(
        said.contains("training.freeze") && said.contains("did you mean `embed`?"),
        "{said}"
    );
}
