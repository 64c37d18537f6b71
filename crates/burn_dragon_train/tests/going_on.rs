//! A run that goes on is the run that was saved, or says what is different.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

mod point;

use burn_dragon_checkpoint::api::Content;
use burn_dragon_train::api::{
    CheckpointConfig, DataHash, DataHashes, DataPosition, Ending, Evaluation, EvaluationConfig, Identity,
    Interrupt, Loss, LossContext, Metrics, OptimizerConfig, Outcome, Output, Plan, ResumePoint, RunFolder,
    Schedule, Scope, Task, TaskState, TrainError, Trainer, TrainingConfig,
};
use point::{Point, run_folder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A point that comes closer to 0, judged as it is told to be.
#[derive(Clone, Debug)]
struct Toy {
    identity: Identity,
    held_out_loss: f64,
    batch_size: usize,
}

fn hash(name: &str, items: u64) -> DataHash {
    DataHash {
        sha256: name.into(),
        sizes: [("items".to_string(), items)].into(),
    }
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            identity: Identity {
                settings: [("model.width".to_string(), "3".to_string())].into(),
                data: DataHashes {
                    training: hash("a", 10),
                    validation: hash("b", 2),
                },
            },
            held_out_loss: 1.0,
            batch_size: 1,
        }
    }
}

impl Task for Toy {
    type Model = Point;
    type Batch = ();
    /// Batches since it began.
    type Cursor = u64;
    type Carry = ();

    fn new_model(&self) -> Result<Point, TrainError> {
        Ok(Point::at([1.0, -2.0, 0.5]))
    }
    fn cursor(&self) -> Result<u64, TrainError> {
        Ok(0)
    }
    fn carry(&self, _: &Point) -> Result<(), TrainError> {
        Ok(())
    }
    fn batch(&self, _: DataPosition, cursor: &mut u64) -> Result<(), TrainError> {
        *cursor += 1;
        Ok(())
    }
    fn loss(&self, model: &Point, (): (), (): &mut (), _: LossContext) -> Result<Loss, TrainError> {
        Ok(Loss {
            value: model.place.val().powi_scalar(2).mean(),
            metrics: Metrics::new(),
        })
    }
    fn evaluate(&self, _: &Point, _: Scope) -> Result<Evaluation, TrainError> {
        Ok(Evaluation {
            loss: self.held_out_loss,
            ..Evaluation::default()
        })
    }
    fn identity(&self) -> Identity {
        self.identity.clone()
    }
    fn units_per_batch(&self) -> u64 {
        self.batch_size as u64
    }
    fn units_per_epoch(&self) -> u64 {
        10
    }
    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        Ok(state.model.files("cursor", state.cursor.to_string()))
    }
    fn restore(&self, model: Point, folder: &Path) -> Result<Point, TrainError> {
        model.of(folder)
    }
    fn restore_carried(
        &self,
        _: &Point,
        cursor: &mut u64,
        (): &mut (),
        folder: &Path,
    ) -> Result<(), TrainError> {
        *cursor = fs::read_to_string(folder.join("cursor"))
            .unwrap()
            .parse()
            .unwrap();
        Ok(())
    }
}

/// Trains to a step. Accepting, it goes on though data has changed.
fn fit(task: &Toy, steps: u64, run: &Path, accepting: bool) -> Result<Outcome, TrainError> {
    let run = run_folder(run);
    let plan = Plan {
        training: TrainingConfig {
            batch_size: task.batch_size,
            max_steps: steps,
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
        checkpoint: CheckpointConfig { every: 0, keep: 9 },
    };
    let mut trainer = Trainer::new(task, plan, &run, Output::silent(), Interrupt::none())?;
    if accepting {
        trainer = trainer.accepting_changed_data();
    }
    Ok(trainer.fit(task.new_model()?)?.1)
}

fn state(run: &Path, step: u64) -> Value {
    let folder = run.join(format!("checkpoint/step-{step:06}"));
    serde_json::from_slice(&fs::read(folder.join("trainer.json")).unwrap()).unwrap()
}

fn carried(run: &Path, step: u64) -> u64 {
    let folder = run.join(format!("checkpoint/step-{step:06}"));
    fs::read_to_string(folder.join("cursor"))
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn data_that_has_changed_is_refused_unless_that_is_accepted() {
    let (task, folder) = (Toy::default(), tempfile::tempdir().unwrap());
    let run = folder.path();
    fit(&task, 3, run, false).unwrap();
    for part in ["training", "validation"] {
        let mut other = task.clone();
        let data = &mut other.identity.data;
        *match part {
            "training" => &mut data.training,
            _ => &mut data.validation,
        } = hash("c", 11);
        let error = fit(&other, 5, run, false).unwrap_err();
        let TrainError::ChangedData { changed } = &error else {
            panic!("{error}")
        };
        assert_eq!(changed.parts(), [part]);
        assert!(error.to_string().contains("--accept-changed-data"), "{error}");
    }
    let resume_point = ResumePoint::newest(&RunFolder::open(run).unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(
        (resume_point.done.steps, &resume_point.identity),
        (3, &task.identity)
    );
    let mut other = task.clone();
    other.identity.data.training = hash("c", 11);
    fit(&other, 5, run, true).unwrap();
    assert_eq!(state(run, 5)["identity"]["data"]["training"]["sha256"], "c");
    // What was accepted is the run's from now on.
    fit(&other, 6, run, false).unwrap();
    fit(&task, 7, run, false).unwrap_err();
}

#[test]
fn what_is_carried_begins_anew_where_training_data_has_changed() {
    let change: [fn(&mut DataHashes); 3] = [
        |_| (),
        |data| data.validation = hash("c", 3),
        |data| data.training = hash("c", 3),
    ];
    for (change, expected) in change.into_iter().zip([5, 5, 2]) {
        let (mut task, folder) = (Toy::default(), tempfile::tempdir().unwrap());
        let run = folder.path();
        fit(&task, 3, run, false).unwrap();
        change(&mut task.identity.data);
        fit(&task, 5, run, true).unwrap();
        assert_eq!(carried(run, 5), expected);
    }
}

#[test]
fn a_setting_that_a_run_keeps_is_refused_by_the_trainer_itself() {
    let (mut task, folder) = (Toy::default(), tempfile::tempdir().unwrap());
    let run = folder.path();
    fit(&task, 3, run, false).unwrap();
    task.identity.settings.insert("model.width".into(), "4".into());
    for accepting in [false, true] {
        let error = fit(&task, 5, run, accepting).unwrap_err();
        assert!(matches!(error, TrainError::ChangedSettings { .. }), "{error}");
        assert!(
            error.to_string().contains("model.width = 4 instead of 3"),
            "{error}"
        );
    }
}

#[test]
fn the_best_figure_starts_anew_where_it_is_measured_on_something_else() {
    let change: [fn(&mut Toy); 4] = [
        |_| (),
        |task| task.identity.data.training = hash("c", 3),
        |task| task.identity.data.validation = hash("c", 3),
        |task| task.batch_size = 2,
    ];
    for (change, expected) in change.into_iter().zip([3, 3, 5, 5]) {
        let (mut task, folder) = (Toy::default(), tempfile::tempdir().unwrap());
        let run = folder.path();
        fit(&task, 3, run, false).unwrap();
        change(&mut task);
        task.held_out_loss = 2.0; // worse
        fit(&task, 5, run, true).unwrap();
        assert_eq!(state(run, 5)["best_step"], expected);
        let best = fs::read_to_string(run.join("checkpoint/best")).unwrap();
        assert_eq!(best.trim(), format!("step-{expected:06}"));
    }
}

#[test]
fn a_run_with_a_deadline_is_complete_by_then_and_says_how_many_steps_it_took() {
    const MANY: u64 = 100_000_000;
    let (task, folder) = (Toy::default(), tempfile::tempdir().unwrap());
    let run = run_folder(folder.path());
    let config = folder.path().join("config.toml");
    fs::write(&config, format!("[training]\nmax_steps = {MANY}\nseed = 1\n")).unwrap();
    let plan = |max_steps| Plan {
        training: TrainingConfig {
            max_steps,
            log_every: 1000,
            ..TrainingConfig::default()
        },
        evaluation: EvaluationConfig {
            every: 0,
            ..EvaluationConfig::default()
        },
        checkpoint: CheckpointConfig { every: 0, keep: 1 },
        ..Plan::default()
    };
    let trainer = Trainer::new(&task, plan(MANY), &run, Output::silent(), Interrupt::none()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let trainer = trainer.complete_by(deadline);
    let (_, outcome) = trainer.fit(task.new_model().unwrap()).unwrap();
    assert_eq!(outcome.ending, Ending::Complete);
    assert!((50..MANY).contains(&outcome.steps), "{}", outcome.steps);
    let text = fs::read_to_string(&config).unwrap();
    let expected = format!("[training]\nmax_steps = {}\nseed = 1\n", outcome.steps);
    assert_eq!(text, expected);
    assert_eq!(
        state(folder.path(), outcome.steps)["schedule_steps"],
        outcome.steps
    );
    // A deadline that is far away changes nothing.
    let (other, rest) = (tempfile::tempdir().unwrap(), Duration::from_secs(3600));
    let run = run_folder(other.path());
    let trainer = Trainer::new(&task, plan(100), &run, Output::silent(), Interrupt::none()).unwrap();
    let trainer = trainer.complete_by(Instant::now() + rest);
    assert_eq!(trainer.fit(task.new_model().unwrap()).unwrap().1.steps, 100);
}
