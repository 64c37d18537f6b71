//! A folder to run programs in, and what they answered.

use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::expert::train::{MetricsLog, without_time};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A model that trains in a fraction of a second: 11,264 parameters, 12 steps of 64 tokens.
const SMALL: &[&str] = &[
    "model.d_model=16",
    "model.n_neurons=64",
    "model.n_levels=2",
    "training.batch_size=2",
    "sequence.block_size=32",
    "training.max_steps=12",
    "training.log_every=2",
    "schedule.warmup_steps=2",
    "evaluation.every=5",
    "evaluation.batches=1",
    "evaluation.sample_every=100",
    "checkpoint.every=4",
    "generation.max_tokens=8",
];

/// The settings of the small model, beside more: a run has steps or epochs.
fn small(more: &[&str]) -> Vec<&'static str> {
    let epochs = more.iter().any(|word| word.starts_with("training.epochs"));
    let settings = SMALL.iter().copied();
    settings
        .filter(|setting| !(epochs && setting.starts_with("training.max_steps")))
        .collect()
}

/// The embedded tales, a few of them.
const TALES: &[&str] = &["dataset.train_bytes=40000", "dataset.validation_tales=8"];

/// A folder to run programs in, gone with the test.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A place where the small model has been trained on the tales, into the folder `run`.
    pub(crate) fn trained() -> Self {
        let place = Self::new();
        place.train(&["--out", "run"]).done();
        place
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }

    /// One of the package's programs, to be run here.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(match name {
            "dragon" => env!("CARGO_BIN_EXE_dragon"),
            "train" => env!("CARGO_BIN_EXE_train"),
            "infer" => env!("CARGO_BIN_EXE_infer"),
            "export_burnpack" => env!("CARGO_BIN_EXE_export_burnpack"),
            other => panic!("there is no program {other}"),
        });
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// `dragon` with these arguments.
    pub(crate) fn dragon(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.program("dragon").args(arguments))
    }

    /// `dragon` with these arguments, and this on standard input.
    pub(crate) fn dragon_reads(&self, arguments: &[&str], input: &[u8]) -> Answer {
        let mut command = self.program("dragon");
        command.args(arguments).stdin(Stdio::piped());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Answer::read(&child.wait_with_output().unwrap())
    }

    /// A place with the small model in the folder `run`, whose weights are so large that what it remembers shows.
    pub(crate) fn remembering() -> Self {
        let place = Self::new();
        place.train(&["model.init_std=0.3", "--out", "run"]).done();
        place
    }

    /// `dragon train` of the small model on the tales.
    pub(crate) fn train(&self, more: &[&str]) -> Answer {
        self.dragon(&Self::training(more))
    }

    /// The arguments of [`train`](Self::train).
    pub(crate) fn training<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["train"], &small(more)[..], TALES, more].concat()
    }

    /// `dragon train` of the small model on a text.
    pub(crate) fn train_on(&self, text: &str, more: &[&str]) -> Answer {
        let paths = format!("dataset.paths=[\"{text}\"]");
        self.dragon(&Self::training_on(&paths, more))
    }

    /// The arguments of [`train_on`](Self::train_on), with the setting of the paths.
    pub(crate) fn training_on<'a>(paths: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["train"], &small(more)[..], &["dataset.type=text", paths], more].concat()
    }
}

/// A run that goes on by itself.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    /// Waits until it is so.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, so: impl Fn() -> bool) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !so() {
            assert!(Instant::now() < patience, "still waiting for {what}");
            assert!(self.0.try_wait().unwrap().is_none(), "it ended before {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn answer(self) -> Answer {
        Answer::read(&self.0.wait_with_output().unwrap())
    }

    /// Sends a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }
}

/// What a program answered.
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::read(&command.output().unwrap())
    }

    /// Whatever a program answers, it does not panic.
    pub(crate) fn read(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let answer = Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        assert!(!answer.stderr.contains("panicked at"), "{}", answer.stderr);
        answer
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Ended with this code and one error, which says all of these.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        let errors = self.stderr.lines().filter(|line| line.starts_with("error:"));
        assert_eq!(errors.count(), 1, "{}", self.stderr);
        let (_, error) = self.stderr.split_once("error:").unwrap();
        for part in says {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        assert!(!self.stdout.contains("error:"), "{}", self.stdout);
        self
    }

    /// The JSON object that is the last line of standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        let value: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: `{last}`"));
        assert!(
            value.is_object() && self.stdout.ends_with("}\n"),
            "{}",
            self.stdout
        );
        value
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The lines of a run's `metrics.jsonl` without what depends on the clock.
pub(crate) fn metrics(run: &Path) -> Vec<Map<String, Value>> {
    let lines = MetricsLog::read(run.join("metrics.jsonl")).unwrap();
    lines.into_iter().map(without_time).collect()
}

/// The losses of a run's lines of one kind, with their steps.
pub(crate) fn losses(run: &Path, kind: &str) -> Vec<(u64, f64)> {
    let lines = metrics(run).into_iter().filter(|line| line["kind"] == kind);
    lines
        .map(|line| (line["step"].as_u64().unwrap(), line["loss"].as_f64().unwrap()))
        .collect()
}

pub(crate) fn checkpoint(run: &Path, step: u64) -> PathBuf {
    run.join(format!("checkpoint/step-{step:06}"))
}

/// The weights of a checkpoint by name, as bits.
pub(crate) fn weights(run: &Path, step: u64) -> BTreeMap<String, Vec<u8>> {
    let file = ModelFile::read(&checkpoint(run, step).join("model.bpk")).unwrap();
    let tensors = file.tensors.into_iter();
    tensors
        .map(|(name, data)| (name, data.data().as_bytes().to_vec()))
        .collect()
}

/// Model, optimiser and trainer of two runs are the same bits, and so is what they wrote on the way.
#[track_caller]
pub(crate) fn assert_same_run(a: &Path, b: &Path, step: u64) {
    let (a_weights, b_weights) = (weights(a, step), weights(b, step));
    let differing: Vec<&String> = a_weights
        .keys()
        .filter(|&name| a_weights[name] != b_weights[name])
        .collect();
    assert!(differing.is_empty(), "weights differ: {differing:?}");
    for file in ["optimizer.bpk", "trainer.json"] {
        let [a, b] = [a, b].map(|run| std::fs::read(checkpoint(run, step).join(file)).unwrap());
        assert!(a == b, "{file} differs");
    }
    assert_eq!(metrics(a), metrics(b));
}

/// Changes one byte of a file, near its end, where the values are.
pub(crate) fn flip_a_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let place = bytes.len() - 100;
    bytes[place] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// A path as an argument.
pub(crate) fn text(path: impl AsRef<OsStr>) -> String {
    path.as_ref().to_str().unwrap().to_string()
}

/// The folder of the official model's numbers, or a line that says what was skipped.
pub(crate) fn fixtures(name: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("DRAGON_FIXTURES") else {
        println!("skipped: DRAGON_FIXTURES is not set, so {name} was not compared with the official model");
        return None;
    };
    Some(PathBuf::from(root).join(name))
}

/// A tensor of a `.safetensors` file: its shape, and its values read from four bytes each.
pub(crate) fn tensor<T>(path: &Path, name: &str, value: impl Fn([u8; 4]) -> T) -> (Vec<usize>, Vec<T>) {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values = view.data().as_chunks::<4>().0.iter().map(|&four| value(four));
    (view.shape().to_vec(), values.collect())
}

/// Writes a `.safetensors` file with one i32 tensor.
pub(crate) fn write_i32(path: &Path, name: &str, values: &[i32], shape: [usize; 2]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::I32, shape.to_vec(), &bytes).unwrap();
    std::fs::write(path, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
}
