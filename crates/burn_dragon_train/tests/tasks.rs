//! What a task may ask of the loop: batches made ahead, a teacher that follows, a score of its own, samples as files.

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
use burn_dragon_train::api::{
    CheckpointConfig, DataPosition, Evaluation, EvaluationConfig, GuardConfig, Identity, Interrupt, Loss,
    LossContext, Metrics, OptimizerConfig, Outcome, Output, Plan, RunFolder, Sample, SampleFile, Schedule,
    Scope, Task, TaskState, TrainError, Trainer, TrainingConfig,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

#[derive(Module, Debug)]
struct Point {
    place: Param<Tensor<1>>,
}

/// Comes closer to numbers that a stream gives, one after the other.
#[derive(Debug, Default)]
struct Follower {
    prefetches: bool,
    /// The batch after which the data ends, as if the process had died.
    dies_after: Option<u64>,
    /// A step whose loss is not finite.
    spoilt: Option<u64>,
    /// Where each batch was made, and the units before it.
    made: Mutex<Vec<(ThreadId, u64)>>,
    /// The weights that each update left.
    updates: Mutex<Vec<(u64, f64)>>,
}

impl Task for Follower {
    type Model = Point;
    /// The number, and the step that it is for.
    type Batch = (f64, u64);
    /// A state of the stream, which is no function of the position.
    type Cursor = u64;
    /// A teacher: an average of the weights that were learnt.
    type Carry = f64;

    fn new_model(&self) -> Result<Point, TrainError> {
        let place = Tensor::from_floats([1.0], &Device::flex().autodiff());
        let place = Param::from_tensor(place);
        Ok(Point { place })
    }
    fn cursor(&self) -> Result<u64, TrainError> {
        Ok(17)
    }
    fn carry(&self, model: &Point) -> Result<f64, TrainError> {
        Ok(value(model))
    }
    fn batch(&self, position: DataPosition, cursor: &mut u64) -> Result<(f64, u64), TrainError> {
        self.made
            .lock()
            .unwrap()
            .push((thread::current().id(), position.units));
        if self.dies_after.is_some_and(|last| position.units >= last) {
            return Err(TrainError::task(std::io::Error::other("dead")));
        }
        *cursor = cursor
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Ok(((*cursor >> 40) as f64 / f64::from(1 << 24), position.units / 2))
    }
    fn prefetches(&self) -> bool {
        self.prefetches
    }
    fn loss(
        &self,
        model: &Point,
        (target, step): (f64, u64),
        teacher: &mut f64,
        _: LossContext,
    ) -> Result<Loss, TrainError> {
        let place = model.place.val();
        let value = (place.clone() - target).powi_scalar(2) + (place - *teacher).powi_scalar(2);
        let value = if self.spoilt == Some(step) {
            value * f64::NAN
        } else {
            value
        };
        let metrics = Metrics::new();
        Ok(Loss { value, metrics })
    }
    fn after_update(&self, model: &Point, teacher: &mut f64, step: u64) -> Result<(), TrainError> {
        *teacher = 0.5 * *teacher + 0.5 * value(model);
        self.updates.lock().unwrap().push((step, value(model)));
        Ok(())
    }
    fn evaluate(&self, model: &Point, _: Scope) -> Result<Evaluation, TrainError> {
        Ok(Evaluation {
            loss: value(model),
            ..Evaluation::default()
        })
    }
    /// The other way round: the highest loss is best.
    fn score(&self, evaluation: &Evaluation) -> f64 {
        -evaluation.loss
    }
    fn sample(&self, _: &Point, step: u64) -> Result<Option<Sample>, TrainError> {
        let name = "weights.txt".into();
        let bytes = format!("at {step}").into_bytes();
        Ok(Some(Sample {
            text: None,
            files: vec![SampleFile { name, bytes }],
        }))
    }
    fn identity(&self) -> Identity {
        Identity::default()
    }
    fn units_per_batch(&self) -> u64 {
        1
    }
    fn units_per_epoch(&self) -> u64 {
        100
    }
    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        let mut file = TensorFile::default();
        file.tensors.extend(snapshot(state.model));
        let carried = format!("{} {}", state.cursor, state.carry.to_bits());
        Ok(BTreeMap::from([
            ("model.bpk".to_string(), Content::Tensors(file)),
            ("carried".to_string(), Content::Text(carried)),
        ]))
    }
    fn restore(&self, model: Point, folder: &Path) -> Result<Point, TrainError> {
        let mut file = TensorFile::read(&folder.join("model.bpk"))?;
        Ok(load(model, |name, _| file.tensors.remove(name)))
    }
    fn restore_carried(
        &self,
        _: &Point,
        cursor: &mut u64,
        teacher: &mut f64,
        folder: &Path,
    ) -> Result<(), TrainError> {
        let text = fs::read_to_string(folder.join("carried")).unwrap();
        let (place, bits) = text.split_once(' ').unwrap();
        (*cursor, *teacher) = (place.parse().unwrap(), f64::from_bits(bits.parse().unwrap()));
        Ok(())
    }
}

fn value(model: &Point) -> f64 {
    f64::from(model.place.val().into_scalar::<f32>())
}

/// Ten steps of two batches, saved after each, with a sample after every fourth.
fn fit(task: &Follower, run: &Path) -> Result<Outcome, TrainError> {
    fs::create_dir_all(run).unwrap();
    fs::write(run.join("config.toml"), "").unwrap();
    let run = RunFolder::open(run).unwrap();
    let plan = Plan {
        training: TrainingConfig {
            batch_size: 1,
            accumulate: 2,
            max_steps: 10,
            guard: Some(GuardConfig::default()),
            ..TrainingConfig::default()
        },
        optimizer: OptimizerConfig::default(),
        ema: None,
        schedule: Schedule::default(),
        evaluation: EvaluationConfig {
            every: 1,
            batches: 1,
            sample_every: 4,
        },
        checkpoint: CheckpointConfig { every: 1, keep: 20 },
    };
    let trainer = Trainer::new(task, plan, &run, Output::silent(), Interrupt::none())?;
    Ok(trainer.fit(task.new_model()?)?.1)
}

fn file(run: &Path, step: u64, name: &str) -> Vec<u8> {
    fs::read(run.join(format!("checkpoint/step-{step:06}")).join(name)).unwrap()
}

#[test]
fn batches_made_ahead_leave_the_bits_of_those_made_at_once_also_where_a_run_dies_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (at_once, ahead) = (folder.path().join("at_once"), folder.path().join("ahead"));
    fit(&Follower::default(), &at_once).unwrap();
    let prefetching = Follower {
        prefetches: true,
        dies_after: Some(13),
        ..Follower::default()
    };
    let error = fit(&prefetching, &ahead).unwrap_err().to_string();
    assert!(error.contains("dead"), "{error}");
    let prefetching = Follower {
        prefetches: true,
        ..Follower::default()
    };
    fit(&prefetching, &ahead).unwrap();
    let made = prefetching.made.lock().unwrap();
    let here = thread::current().id();
    assert!(made.iter().all(|(thread, _)| *thread != here), "{made:?}");
    // Six steps were whole; each batch after them is made once, in order, and one more that nobody takes.
    let units: Vec<u64> = made.iter().map(|(_, units)| *units).collect();
    assert_eq!(units, (12..=20).collect::<Vec<_>>());
    for step in 1..=10 {
        for name in ["model.bpk", "optimizer.bpk", "carried", "trainer.json"] {
            assert!(
                file(&at_once, step, name) == file(&ahead, step, name),
                "{name} of step {step}"
            );
        }
    }
}

#[test]
fn a_teacher_hears_of_every_update_once_and_of_no_step_that_was_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let task = Follower {
        spoilt: Some(4),
        ..Follower::default()
    };
    fit(&task, folder.path()).unwrap();
    let updates = task.updates.lock().unwrap();
    let steps: Vec<u64> = updates.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    let teacher = updates
        .iter()
        .fold(1.0, |teacher, (_, value)| 0.5 * teacher + 0.5 * value);
    let carried = String::from_utf8(file(folder.path(), 10, "carried")).unwrap();
    let (_, bits) = carried.split_once(' ').unwrap();
    assert_eq!(f64::from_bits(bits.parse().unwrap()), teacher);
}

#[test]
fn the_best_checkpoint_is_that_of_the_lowest_score() {
    let folder = tempfile::tempdir().unwrap();
    let task = Follower::default();
    let outcome = fit(&task, folder.path()).unwrap();
    let updates = task.updates.lock().unwrap();
    let highest = updates.iter().max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap();
    let best = fs::read_to_string(folder.path().join("checkpoint/best")).unwrap();
    assert_eq!(best.trim(), format!("step-{:06}", highest.0));
    assert_ne!(highest.0, 10, "a last step that is best would say nothing");
    assert_eq!(outcome.score, Some(-outcome.after.unwrap().loss));
}

#[test]
fn files_of_samples_lie_in_the_run_s_folder() {
    let folder = tempfile::tempdir().unwrap();
    fit(&Follower::default(), folder.path()).unwrap();
    for step in [4, 8] {
        let path = folder.path().join(format!("samples/step-{step:06}/weights.txt"));
        assert_eq!(fs::read_to_string(path).unwrap(), format!("at {step}"));
    }
    assert_eq!(fs::read_dir(folder.path().join("samples")).unwrap().count(), 2);
}
