//! Runs of the trainer through its public doors: files, a configuration, a task, `Trainer::fit`, and what it leaves.

use crate::model::{Parameter, Weights};
use crate::randomness::derive;
use crate::settings::Settings;
use burn::tensor::{Device, TensorData};
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_checkpoint::api::{CheckpointFolder, Checkpoints, ModelFile, Pointer};
use burn_dragon_core::api::expert::snapshot;

use burn_dragon_language::api::{LanguageConfig, LanguageTask};
use burn_dragon_train::api::expert::{Line, MetricsLog};
use burn_dragon_train::api::{Interrupt, Layers, Output, RunFolder, Task, Trainer};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use tempfile::TempDir;

/// What a run left in its folder.
#[derive(Debug)]
pub(crate) struct Files {
    /// `metrics.jsonl`.
    pub(crate) lines: Vec<Line>,
    pub(crate) weights: Weights,
    /// Moments by parameter: `embed.first`, `embed.second`, ...
    pub(crate) moments: BTreeMap<String, Vec<f64>>,
    /// Memories by level, rows first; none where none are carried.
    pub(crate) memories: BTreeMap<String, Vec<f64>>,
    /// The steps of the checkpoints that were kept.
    pub(crate) checkpoints: BTreeSet<u64>,
    /// The step that `checkpoint/best` points at.
    pub(crate) best: u64,
}

/// Files to train on and what is asked of a run, laid out in a folder that goes with this value.
pub(crate) struct Ground {
    run: RunFolder,
    pub(crate) config: LanguageConfig,
    pub(crate) task: LanguageTask,
    _place: TempDir,
}

impl Ground {
    pub(crate) fn new(settings: &Settings, training: &[String], held_out: &[String]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str, documents: &[String]| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            for (index, document) in documents.iter().enumerate() {
                fs::write(folder.join(format!("{index:02}.txt")), document).unwrap();
            }
            folder.to_str().unwrap().to_string()
        };
        let text = settings.toml(&folder("train", training), &folder("held_out", held_out));
        let layers = Layers::new().embedded("run.toml", &text).unwrap();
        let config = layers.resolve::<LanguageConfig>();
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}")).value;
        let path = place.path().join("run");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("config.toml"), &text).unwrap();
        Self {
            run: RunFolder::open(&path).unwrap(),
            task: LanguageTask::new(&config, place.path(), &Device::flex().autodiff()).unwrap(),
            config,
            _place: place,
        }
    }

    /// Trains from the start or the newest checkpoint: the weights of a new model, and what the run left.
    pub(crate) fn train(&self) -> (Weights, Files) {
        let Self {
            run, config, task, ..
        } = self;
        let model = task.new_model().unwrap();
        let initial = weights(snapshot(&model));
        let trainer = Trainer::new(task, config.plan(), run, Output::silent(), Interrupt::none());
        let (_, outcome) = trainer.unwrap().fit(model).unwrap();

        let checkpoint = run.checkpoint(outcome.steps);
        let file = |name: &str| {
            let file = TensorFile::read(&checkpoint.join(name)).unwrap();
            let tensors = file.tensors.into_iter();
            tensors.map(|(name, data)| (name, numbers(&data))).collect()
        };
        let kept = Checkpoints::new(run.checkpoints());
        let files = Files {
            lines: MetricsLog::read(run.metrics()).unwrap(),
            weights: weights(
                ModelFile::read(&checkpoint.join("model.bpk"))
                    .unwrap()
                    .into_floats(),
            ),
            moments: file("optimizer.bpk"),
            memories: match config.sequence.streams {
                Some(_) => file("streams.bpk"),
                None => BTreeMap::new(),
            },
            checkpoints: kept.all().unwrap().iter().map(CheckpointFolder::step).collect(),
            best: kept.pointed(Pointer::Best).unwrap().unwrap().step(),
        };
        (initial, files)
    }

    /// Leaves the run as if its process had died with the checkpoint of `step` as the newest one.
    pub(crate) fn dies_after(&self, step: u64) {
        let checkpoints = Checkpoints::new(self.run.checkpoints());
        for newer in checkpoints
            .all()
            .unwrap()
            .iter()
            .filter(|folder| folder.step() > step)
        {
            fs::remove_dir_all(newer.path()).unwrap();
        }
        checkpoints.point(Pointer::Last, step).unwrap();
        fs::remove_file(self.run.checkpoints().join("best")).unwrap();
    }
}

fn weights(tensors: BTreeMap<String, TensorData>) -> Weights {
    let parameter = |data: TensorData| Parameter {
        shape: data.shape().to_vec(),
        values: numbers(&data),
    };
    tensors
        .into_iter()
        .map(|(name, data)| (name, parameter(data)))
        .collect()
}

fn numbers(data: &TensorData) -> Vec<f64> {
    data.iter::<f32>().map(f64::from).collect()
}

/// Documents of a few syllables, of which one has more bytes than letters: something to learn, and no two alike.
pub(crate) fn documents(seed: u64, count: u64) -> Vec<String> {
    const SYLLABLES: [&str; 6] = ["ba", "da", "do ", "gé", "gu ", "di"];
    let document = |index: u64| -> String {
        let length = 12 + derive(seed, "length", index, 0) % 25;
        let mut last = 0;
        let syllables = (0..length).map(|place| {
            // The next syllable is one of two that may follow the last.
            last = (2 * last + 1 + derive(seed, "syllable", index, place) % 2) % 6;
            SYLLABLES[last as usize]
        });
        syllables.collect()
    };
    (0..count).map(document).collect()
}
