//! Tests of sweeps, with a function instead of a training.

use super::*;
use crate::records::testing::run;
use crate::run::{RunInfo, RunOutcome};
use std::cell::RefCell;

fn request(root: &Path, axes: &[&str]) -> SweepRequest {
    SweepRequest {
        run: RunRequest {
            assignments: vec!["model.n_levels=2".into()],
            json: true,
            ..RunRequest::default()
        },
        axes: axes.iter().map(|word| Axis::typed(word).unwrap()).collect(),
        out: Some(root.join("sweep")),
        retry: false,
    }
}

fn ended(interrupted: bool) -> Result<Ran, TrainError> {
    Ok(Ran {
        interrupted,
        json: None,
    })
}

/// A training that writes a run whose loss is its learning rate, and keeps what it was asked.
struct Trainings(RefCell<Vec<RunRequest>>);

impl Trainings {
    fn new() -> Self {
        Self(RefCell::default())
    }

    fn asked(&self, request: &RunRequest) -> usize {
        self.0.borrow_mut().push(request.clone());
        self.0.borrow().len()
    }

    fn train(&self, request: &RunRequest) -> Result<Ran, TrainError> {
        self.asked(request);
        let value = |key: &str| -> f64 {
            let typed = request
                .assignments
                .iter()
                .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            typed.unwrap().parse().unwrap()
        };
        let out = request.out.clone().unwrap();
        let (rate, seed) = (value("optimizer.learning_rate"), value("training.seed"));
        let name = out.file_name().unwrap().to_str().unwrap();
        run(out.parent().unwrap(), name, seed as u64, rate, rate + seed);
        ended(false)
    }

    fn outs(&self) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_string();
        let asked = self.0.borrow();
        asked
            .iter()
            .map(|request| name(request.out.as_ref().or(request.resume.as_ref()).unwrap()))
            .collect()
    }
}

const AXES: [&str; 2] = ["optimizer.learning_rate=0.5,0.25", "training.seed=1,2"];
const NAMES: [&str; 4] = [
    "01-learning_rate-0.5-seed-1",
    "02-learning_rate-0.5-seed-2",
    "03-learning_rate-0.25-seed-1",
    "04-learning_rate-0.25-seed-2",
];

#[test]
fn values_are_divided_at_outer_commas_only() {
    let values = |word: &str| Axis::typed(word).map(|axis| axis.values);
    assert_eq!(values("a.b=1, 2,3").unwrap(), ["1", "2", "3"]);
    assert_eq!(values("a=[1,2],[3]").unwrap(), ["[1,2]", "[3]"]);
    assert_eq!(values("a=\"x,y\",z").unwrap(), ["\"x,y\"", "z"]);
    assert_eq!(values("a={ x = 1, y = 2 }"), None);
    assert_eq!(values("a=1"), None);
    assert_eq!(values("language"), None);
}

#[test]
fn every_combination_is_a_run_and_the_last_setting_varies_fastest() {
    let root = tempfile::tempdir().unwrap();
    let mut sweep = Sweep::open(request(root.path(), &AXES)).unwrap();
    let trainings = Trainings::new();
    let end = sweep.train(&|request| trainings.train(request), &|_| {}).unwrap();
    assert_eq!((end, sweep.len()), (SweepEnd::Complete, 4));
    assert_eq!(trainings.outs(), NAMES);
    let first = &trainings.0.borrow()[0];
    assert_eq!(
        first.assignments,
        [
            "model.n_levels=2",
            "optimizer.learning_rate=0.5",
            "training.seed=1"
        ]
    );
}

#[test]
fn the_same_request_does_nothing_again_and_shows_the_same_table() {
    let root = tempfile::tempdir().unwrap();
    let mut sweep = Sweep::open(request(root.path(), &AXES)).unwrap();
    let trainings = Trainings::new();
    sweep.train(&|request| trainings.train(request), &|_| {}).unwrap();
    let mut again = Sweep::open(request(root.path(), &AXES)).unwrap();
    let never =
        |_: &RunRequest| -> Result<Ran, TrainError> { panic!("a run that is done was trained again") };
    assert_eq!(again.train(&never, &|_| {}).unwrap(), SweepEnd::Complete);
    assert_eq!(again.lines(), sweep.lines());
    let lines = sweep.lines();
    assert_eq!(lines[0], "run  learning_rate  seed  outcome   steps   loss  time");
    assert_eq!(
        lines[3],
        "03            0.25     1  complete     10  1.250    4s  best"
    );
    assert_eq!(lines[6], "over seeds");
    assert_eq!(lines[8], "0.5            2.000       0.71      2");
    assert_eq!(sweep.json()["best"], NAMES[2]);
    assert_eq!(sweep.json()["over_seeds"][1]["loss"]["mean"], 1.75);
}

#[test]
fn a_run_that_failed_is_shown_and_the_others_go_on() {
    let root = tempfile::tempdir().unwrap();
    let mut sweep = Sweep::open(request(root.path(), &AXES)).unwrap();
    let trainings = Trainings::new();
    let taken = || trainings.0.borrow().len();
    let train = |request: &RunRequest| match taken() {
        1 => {
            trainings.asked(request);
            Err(TrainError::Usage("refused".into()))
        }
        2 => {
            trainings.asked(request);
            panic!("out of paper")
        }
        _ => trainings.train(request),
    };
    assert_eq!(sweep.train(&train, &|_| {}).unwrap(), SweepEnd::SomeFailed);
    let lines = sweep.lines();
    assert!(
        lines[2].contains("failed") && lines[4].contains("complete"),
        "{lines:?}"
    );
    assert!(
        lines.contains(&format!("{} failed: refused", NAMES[1])),
        "{lines:?}"
    );
    assert!(
        lines.contains(&format!("{} failed: it panicked: out of paper", NAMES[2])),
        "{lines:?}"
    );

    // They are tried again only when that is asked.
    let mut again = Sweep::open(request(root.path(), &AXES)).unwrap();
    let trainings = Trainings::new();
    assert_eq!(
        again.train(&|request| trainings.train(request), &|_| {}).unwrap(),
        SweepEnd::SomeFailed
    );
    assert!(trainings.outs().is_empty());
    let retried = SweepRequest {
        retry: true,
        ..request(root.path(), &AXES)
    };
    let end = Sweep::open(retried)
        .unwrap()
        .train(&|request| trainings.train(request), &|_| {})
        .unwrap();
    assert_eq!(
        (end, trainings.outs()),
        (SweepEnd::Complete, vec![NAMES[1].into(), NAMES[2].into()])
    );
}

#[test]
fn an_interrupted_sweep_goes_on_with_the_run_that_was_stopped() {
    let root = tempfile::tempdir().unwrap();
    let mut sweep = Sweep::open(request(root.path(), &AXES)).unwrap();
    let trainings = Trainings::new();
    let train = |request: &RunRequest| {
        let first = trainings.0.borrow().is_empty();
        trainings.train(request)?;
        if first {
            return ended(false);
        }
        let path = request.out.as_ref().unwrap().join("run.json");
        let mut info = RunInfo::load(&path).unwrap();
        info.outcome = Some(RunOutcome::ended(crate::run::RunState::Stopped, 10, 5, 1.0));
        info.save(&path).unwrap();
        ended(true)
    };
    assert_eq!(sweep.train(&train, &|_| {}).unwrap(), SweepEnd::Interrupted);
    assert_eq!(trainings.outs(), &NAMES[..2]);
    assert!(sweep.lines()[4].contains("not begun"));

    let mut again = Sweep::open(request(root.path(), &AXES)).unwrap();
    let resumed = Trainings::new();
    let train = |request: &RunRequest| match &request.resume {
        Some(path) => {
            resumed.asked(request);
            assert!(request.assignments.is_empty() && request.out.is_none() && request.max_steps.is_none());
            let path = path.join("run.json");
            let mut info = RunInfo::load(&path).unwrap();
            info.outcome = Some(RunOutcome::ended(crate::run::RunState::Complete, 10, 10, 2.0));
            info.save(&path).unwrap();
            ended(false)
        }
        None => resumed.train(request),
    };
    assert_eq!(again.train(&train, &|_| {}).unwrap(), SweepEnd::Complete);
    assert_eq!(resumed.outs(), &NAMES[1..]);
}

#[cfg(unix)]
#[test]
fn a_run_in_which_another_process_trains_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut sweep = Sweep::open(request(root.path(), &AXES)).unwrap();
    let first = run(sweep.folder(), NAMES[0], 1, 0.5, 1.5);
    let mut info = first.info.clone().unwrap();
    info.outcome = Some(RunOutcome::running(10, 5, 1.0));
    info.save(&first.folder.run_json()).unwrap();
    let _lock = first.folder.lock().unwrap();
    let error = sweep.train(&|_| ended(false), &|_| {}).unwrap_err();
    assert!(matches!(error, TrainError::RunBusy { .. }), "{error}");
}

#[test]
fn a_folder_of_another_sweep_is_refused_with_what_it_holds() {
    let root = tempfile::tempdir().unwrap();
    Sweep::open(request(root.path(), &AXES)).unwrap();
    let error = Sweep::open(request(root.path(), &AXES[1..]))
        .unwrap_err()
        .to_string();
    for part in [
        "another sweep",
        "optimizer.learning_rate=0.5,0.25 training.seed=1,2",
        "--out",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_is_no_sweep_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let many = format!(
        "a=1,2{}",
        (3..=101).map(|value| format!(",{value}")).collect::<String>()
    );
    let cases: [(&[&str], &str); 5] = [
        (&[], "nothing varies"),
        (&["a=1,2", "a=3,4"], "given twice"),
        (&["a=1,"], "empty or repeated"),
        (&["a=1,1"], "empty or repeated"),
        (&[&many, &many.replace("a=", "b=")], "more than 10000 runs"),
    ];
    for (axes, says) in cases {
        let error = Sweep::open(request(root.path(), axes)).unwrap_err().to_string();
        assert!(error.contains(says), "{axes:?}: {error}");
    }
    assert!(!root.path().join("sweep").exists());
}

#[test]
fn the_folder_is_named_after_the_request() {
    let name = |axes: &[&str]| {
        let file = SweepFile::of(&request(Path::new("x"), axes)).unwrap();
        sha256(file.identity().unwrap().as_bytes())
    };
    assert_eq!(name(&AXES), name(&AXES));
    assert_ne!(name(&AXES), name(&AXES[..1]));
}
