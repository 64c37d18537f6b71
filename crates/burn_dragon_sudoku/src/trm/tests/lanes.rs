//! Lanes: which puzzle and which state they have, and that a checkpoint keeps both.

use super::{config, numbers};
use crate::config::{Reads, SudokuConfig};
use crate::data::{Augment, DatasetConfig, GeneratorConfig, Pair};
use crate::grid::Grid;
use crate::model::{SudokuModel, SudokuPass};
use crate::task::SudokuTask;
use crate::trm::training::halting_loss;
use crate::trm::{FILE, Halting, Lanes, Latents, supervise};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::load;
use burn_dragon_train::api::{LossContext, Task, TaskState};

/// A task of 10 puzzles with 2 lanes in each of `accumulate` batches.
fn task(accumulate: u32, supervision_steps: usize) -> SudokuTask {
    let mut config = SudokuConfig {
        dataset: DatasetConfig::Embedded(GeneratorConfig {
            puzzles: 10,
            validation_puzzles: 9,
            givens: [50, 60].into(),
            augment: Augment::Symmetries,
            ..GeneratorConfig::default()
        }),
        model: config(Reads::Dense),
        ..SudokuConfig::default()
    };
    config.model.trm.as_mut().unwrap().supervision_steps = supervision_steps;
    (config.training.batch_size, config.training.accumulate) = (2, accumulate);
    SudokuTask::new(&config, &Device::flex().autodiff()).unwrap()
}

const CONTEXT: LossContext = LossContext {
    dropout_seed: 1,
    watch: true,
};

/// Losses of some steps, of which each has all its batches, without updates.
fn losses(task: &SudokuTask, model: &SudokuModel, lanes: &mut Option<Lanes>, steps: usize) -> Vec<f64> {
    let batches = steps * task.config().training.accumulate as usize;
    (0..batches)
        .map(|_| {
            let loss = task.loss(model, Vec::new(), lanes, CONTEXT).unwrap();
            loss.value.into_scalar::<f64>()
        })
        .collect()
}

fn units(lanes: &Lanes) -> Vec<u64> {
    let all = lanes.batches.iter().flat_map(|batch| &batch.lanes);
    all.map(|lane| lane.unit).collect()
}

#[test]
fn each_lane_keeps_its_puzzle_until_it_is_finished_and_another_begins_from_the_initial_state() {
    let task = task(1, 3);
    let model = task.new_model().unwrap();
    let mut lanes = Lanes::new(&model, 1, 2, 3);
    let (units, latents) = lanes.begin();
    assert_eq!(units, [0, 1]);
    assert_eq!(numbers(&latents.answer), vec![0.0; 2 * 81 * 6]);
    let ones = |lanes: &Lanes| {
        let ones = lanes.batches[0].latents.answer.ones_like();
        Latents {
            answer: ones.clone(),
            reasoning: ones * 2.0,
        }
    };
    // The second lane is halted: the first goes on with its puzzle and its state.
    let after = ones(&lanes);
    lanes.end(after, &[false, true]);
    assert_eq!(lanes.mean_steps(), Some(1.0));
    let (units, latents) = lanes.begin();
    assert_eq!((units, lanes.drawn()), (vec![0, 2], 3));
    let half = 81 * 6;
    for (latent, one) in [(&latents.answer, 1.0), (&latents.reasoning, 2.0)] {
        let latent = numbers(latent);
        assert_eq!(
            (&latent[..half], &latent[half..]),
            (&[one; 486][..], &[0.0; 486][..])
        );
    }
    // After three steps of its own the first lane is finished too.
    let after = ones(&lanes);
    lanes.end(after.clone(), &[false, false]);
    assert_eq!(lanes.begin().0, [0, 2]);
    lanes.end(after.clone(), &[false, false]);
    assert_eq!(lanes.begin().0, [3, 2]);
    assert_eq!(lanes.mean_steps(), Some(2.0), "three steps, and one");
    lanes.end(after, &[false, false]);
    assert_eq!(lanes.begin().0, [3, 4]);
}

/// With a state that was carried over from another puzzle, it would be another loss.
#[test]
fn no_state_of_a_puzzle_reaches_the_next_one() {
    let task = task(1, 2);
    let model = task.new_model().unwrap();
    let mut lanes = task.carry(&model).unwrap();
    losses(&task, &model, &mut lanes, 2);
    let before = lanes.as_ref().unwrap().batches[0].latents.clone();
    let third = losses(&task, &model, &mut lanes, 1)[0];
    let carried = lanes.as_ref().unwrap();
    assert_eq!((units(carried), carried.drawn()), (vec![2, 3], 4));

    let pairs: Vec<Pair> = [2, 3].map(|unit| task.drawn(unit)).into();
    let puzzles: Vec<Grid> = pairs.iter().map(|pair| pair.puzzle).collect();
    let of = |latents| {
        let found = supervise(&model, &puzzles, latents, SudokuPass::default());
        let cells = crate::evaluate::OpenCells::of(&pairs).losses(found.logits, task.config().loss.kind);
        let loss = cells.mean() + halting_loss(found.halting, &[false; 2]) * 0.5;
        (loss.into_scalar::<f64>(), numbers(&found.latents.answer))
    };
    let (fresh, of_fresh) = of(Latents::initial(&model, 2));
    let (stale, of_stale) = of(before);
    assert_eq!(numbers(&carried.batches[0].latents.answer), of_fresh);
    assert!((third - fresh).abs() < 1e-9, "{third} {fresh}");
    assert!((stale - fresh).abs() > 1e-6, "{stale} {fresh}");
    assert_ne!(of_stale, of_fresh);
}

#[test]
fn a_halted_lane_takes_another_puzzle_and_figures_say_so() {
    let task = task(1, 9);
    let sure = load(task.new_model().unwrap(), |name, shape| {
        (name == "halting_bias").then(|| TensorData::new(vec![3.0f32], shape.to_vec()))
    });
    let mut lanes = task.carry(&sure).unwrap();
    for step in 1..=3 {
        let loss = task.loss(&sure, Vec::new(), &mut lanes, CONTEXT).unwrap();
        assert_eq!(loss.metrics["halted"], 1.0);
        assert_eq!(loss.metrics["supervision_steps"], 1.0);
        // No answer of an untrained model is right: ln(1 + exp(3)).
        assert_eq!(loss.metrics["solved"], 0.0);
        assert!((loss.metrics["halting_loss"] - 3.048_587).abs() < 1e-5);
        assert_eq!(lanes.as_ref().unwrap().drawn(), 2 * step);
    }
    let found = Halting::of(&sure.valid(), &task.puzzles().validation, 4).unwrap();
    assert_eq!((found.halted, found.right, found.steps), (1.0, 0.0, 1.0));
    let never = task.new_model().unwrap().valid();
    let found = Halting::of(&never, &task.puzzles().validation, 4).unwrap();
    assert_eq!((found.halted, found.right, found.steps), (0.0, 0.0, 4.0));
}

fn snapshot(task: &SudokuTask, model: &SudokuModel, lanes: &Option<Lanes>, folder: &std::path::Path) {
    let state = TaskState {
        model,
        cursor: &(),
        carry: lanes,
        step: 3,
        units: 12,
    };
    for (name, content) in task.snapshot(state).unwrap() {
        let burn_dragon_checkpoint::api::Content::Tensors(file) = content else {
            panic!("{name} is a file of tensors")
        };
        file.write(&folder.join(name)).unwrap();
    }
}

#[test]
fn lanes_go_on_from_a_checkpoint_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(2, 3);
    let model = task.new_model().unwrap();
    let mut lanes = task.carry(&model).unwrap();
    losses(&task, &model, &mut lanes, 4);
    snapshot(&task, &model, &lanes, folder.path());
    let expected = losses(&task, &model, &mut lanes, 4);

    let mut again = task.carry(&model).unwrap();
    task.restore_carried(&model, &mut (), &mut again, folder.path())
        .unwrap();
    assert_eq!(losses(&task, &model, &mut again, 4), expected);
    assert_eq!(units(again.as_ref().unwrap()), units(lanes.as_ref().unwrap()));
    let mut new = task.carry(&model).unwrap();
    assert_ne!(losses(&task, &model, &mut new, 4), expected);
    // The model's file says how many puzzles it has seen.
    let file = burn_dragon_checkpoint::api::ModelFile::read(&folder.path().join("model.bpk")).unwrap();
    assert_eq!(file.info.units, 8, "4 lanes, each with its second puzzle");
    assert_eq!(task.carried_bytes(), 4 * 2 * 81 * 6 * 4);
}

#[test]
fn lanes_of_another_run_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let one = task(1, 3);
    let model = one.new_model().unwrap();
    let mut lanes = one.carry(&model).unwrap();
    losses(&one, &model, &mut lanes, 2);
    snapshot(&one, &model, &lanes, folder.path());
    let other = task(2, 3);
    let mut new = other.carry(&model).unwrap();
    let refused = |task: &SudokuTask, lanes: &mut Option<Lanes>| {
        let error = task.restore_carried(&model, &mut (), lanes, folder.path());
        error.unwrap_err().to_string()
    };
    let error = refused(&other, &mut new);
    assert!(
        error.contains("training.batch_size = 4 lanes") && error.contains("has 2"),
        "{error}"
    );
    let path = folder.path().join(FILE);
    let file = burn_dragon_checkpoint::api::expert::TensorFile::read(&path).unwrap();
    let text = file.metadata["lanes"].clone();
    for (says, damage) in [
        ("format", ("format", "burn_dragon.streams/1".to_string())),
        (
            "lane 0 has puzzle 0",
            ("lanes", text.replace("\"drawn\":2", "\"drawn\":0")),
        ),
        ("lanes: ", ("lanes", text.replace("drawn", "took"))),
    ] {
        let mut file = file.clone();
        file.metadata.insert(damage.0.into(), damage.1);
        file.write(&path).unwrap();
        let error = refused(&one, &mut lanes);
        assert!(error.contains(says) && error.contains(FILE), "{error}");
    }
    for (says, data) in [
        ("`answer` has the shape", TensorData::zeros::<f32, _>([2, 81, 5])),
        ("`answer` is f64", TensorData::zeros::<f64, _>([2, 81, 6])),
        (
            "`answer` holds values",
            TensorData::full::<f32, _>([2, 81, 6], f32::NAN),
        ),
    ] {
        let mut file = file.clone();
        file.tensors.insert("answer".into(), data);
        file.write(&path).unwrap();
        let error = refused(&one, &mut lanes).to_lowercase();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_state_that_is_not_finite_is_dropped_with_its_puzzle() {
    let task = task(1, 9);
    let model = task.new_model().unwrap();
    let mut lanes = task.carry(&model).unwrap();
    losses(&task, &model, &mut lanes, 1);
    assert_eq!(task.forget_damage(&mut lanes).unwrap(), 0);
    let latents = &mut lanes.as_mut().unwrap().batches[0].latents;
    let nan = latents.reasoning.clone().narrow(0, 1, 1).full_like(f32::NAN);
    latents.reasoning = Tensor::cat(vec![latents.reasoning.clone().narrow(0, 0, 1), nan], 0);
    assert_eq!(task.forget_damage(&mut lanes).unwrap(), 1);
    let (next, latents) = lanes.as_mut().unwrap().begin();
    assert_eq!(next, [0, 2]);
    let answer = numbers(&latents.answer);
    assert!(answer[..486].iter().any(|&y| y != 0.0));
    assert_eq!(numbers(&latents.reasoning)[486..], [0.0; 486]);
    assert_eq!(answer[486..], [0.0; 486]);
}
