//! Runs on a disk that fails: the error comes back from the trainer, the older checkpoint is as it was, and the run
//! goes on from it to the bits of a run that nothing happened to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn::tensor::Device;
use burn_dragon_checkpoint::api::Checkpoints;
use burn_dragon_checkpoint::api::expert::{Disk, Fault, Faulty, Os};
use burn_dragon_core::api::DragonConfig;
use burn_dragon_language::api::expert::{SplitKind, Tokens};
use burn_dragon_language::api::{
    Corpus, DatasetConfig, LanguageConfig, LanguageTask, SequenceConfig, SourceConfig, StreamConfig,
    TextConfig, TokenizerConfig,
};
use burn_dragon_train::api::{
    CheckpointConfig, EvaluationConfig, Interrupt, Outcome, Output, RunFolder, Schedule, Task, TrainError,
    Trainer, TrainingConfig,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A run of four steps with carried memory that is saved after the second and the last.
fn task(shape: DragonConfig) -> (LanguageConfig, LanguageTask) {
    let config = LanguageConfig {
        dataset: DatasetConfig {
            source: SourceConfig::Text(TextConfig {
                paths: Vec::new(),
                document_separator: None,
            }),
            ..DatasetConfig::default()
        },
        model: shape.into(),
        sequence: SequenceConfig {
            block_size: 16,
            streams: Some(StreamConfig::default()),
            ..SequenceConfig::default()
        },
        training: TrainingConfig {
            batch_size: 2,
            max_steps: 4,
            ..TrainingConfig::default()
        },
        schedule: Schedule::Constant { warmup_steps: 0 },
        evaluation: EvaluationConfig {
            every: 100,
            batches: 1,
            sample_every: 0,
        },
        checkpoint: CheckpointConfig { every: 2, keep: 2 },
        ..LanguageConfig::default()
    };
    let text = b"the dragon sleeps in the cave and wakes and flies away again ".repeat(10);
    let tokens = Tokens {
        ids: text.iter().map(|&byte| u32::from(byte)).collect(),
        starts: vec![0, 250],
        bytes: text.len(),
        ..Tokens::default()
    };
    let corpus = Corpus {
        tokenizer: TokenizerConfig::default().train(&[]).unwrap(),
        train: tokens.clone(),
        validation: tokens,
        split: SplitKind::OwnSource,
        notes: Vec::new(),
    };
    let device = Device::flex().autodiff();
    let task = LanguageTask::with_corpus(&config, corpus, &device).unwrap();
    (config, task)
}

fn tiny() -> DragonConfig {
    DragonConfig {
        n_levels: 1,
        d_model: 16,
        n_heads: 2,
        n_neurons: 64,
        ..DragonConfig::tiny()
    }
}

fn fit(
    (config, task): &(LanguageConfig, LanguageTask),
    run: &Path,
    disk: Arc<dyn Disk>,
) -> Result<Outcome, TrainError> {
    let run = RunFolder::open(run).unwrap();
    let trainer = Trainer::new(task, config.plan(), &run, Output::silent(), Interrupt::none())?;
    let (_, outcome) = trainer.on_disk(disk)?.fit(task.new_model().unwrap())?;
    Ok(outcome)
}

/// Every file of a checkpoint.
fn files(run: &Path, step: u64) -> BTreeMap<String, Vec<u8>> {
    let folder = Checkpoints::new(run.join("checkpoint")).step(step).unwrap();
    folder.verify().unwrap();
    let entries = fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn faults_at_every_point_of_a_run_are_returned_and_the_run_goes_on_bit_for_bit() {
    let task = task(tiny());
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    fs::create_dir(&whole).unwrap();
    fs::write(whole.join("config.toml"), "").unwrap();
    fit(&task, &whole, Arc::new(Os)).unwrap();
    let (second, last) = (files(&whole, 2), files(&whole, 4));
    assert_eq!(last.len(), 5, "model, optimizer, streams, trainer, manifest");

    // As if it had died after its second step.
    let died = place.path().join("died");
    copy(&whole, &died);
    fs::remove_dir_all(died.join("checkpoint/step-000004")).unwrap();
    fs::write(died.join("checkpoint/last"), "step-000002\n").unwrap();
    fs::remove_file(died.join("checkpoint/best")).unwrap();

    let mut points = 0;
    for fault in Fault::ALL {
        let counting = Faulty::counting(fault);
        let run = tempfile::tempdir().unwrap();
        copy(&died, run.path());
        fit(&task, run.path(), Arc::new(counting.clone())).unwrap();
        assert_eq!(files(run.path(), 4), last);
        for at in 0..counting.count() {
            let case = format!("{fault:?} at operation {at}");
            let run = tempfile::tempdir().unwrap();
            copy(&died, run.path());
            let error = fit(&task, run.path(), Arc::new(Faulty::new(fault, at, false))).expect_err(&case);
            assert!(matches!(error, TrainError::Checkpoint(_)), "{case}: {error}");
            assert_eq!(files(run.path(), 2), second, "{case}");
            let found = Checkpoints::new(run.path().join("checkpoint"))
                .newest_verified()
                .unwrap();
            assert!(found.0.is_some() && found.1.is_empty(), "{case}");
            fit(&task, run.path(), Arc::new(Os)).expect(&case);
            assert_eq!(files(run.path(), 4), last, "{case}");
            points += 1;
        }
    }
    assert!(points > 0);
    println!(
        "faults: a run that goes on: {points} points of {} kinds",
        Fault::ALL.len()
    );
}

#[test]
#[ignore = "a measurement"]
fn a_step_waits_for_the_copy_and_not_for_the_disk() {
    let shape = DragonConfig {
        n_levels: 1,
        d_model: 256,
        n_heads: 4,
        n_neurons: 8192,
        ..DragonConfig::tiny()
    };
    let task = task(shape);
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("config.toml"), "").unwrap();
    let outcome = fit(&task, place.path(), Arc::new(Os)).unwrap();
    let bytes: usize = files(place.path(), 4).values().map(Vec::len).sum();
    let saving = outcome.saving;
    let each = |seconds: f64| 1e3 * seconds / saving.checkpoints as f64;
    println!(
        "{} checkpoints of {:.1} MB: training stood still {:.1} ms for each, writing each took {:.1} ms",
        saving.checkpoints,
        bytes as f64 / 1e6,
        each(saving.blocked_seconds),
        each(saving.writing_seconds)
    );
    assert!(saving.blocked_seconds < saving.writing_seconds);
}
