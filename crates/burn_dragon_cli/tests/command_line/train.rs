//! `dragon train`: what it prints and what it writes.

use crate::support::{Answer, Place, assert_same_run, checkpoint, losses, metrics, names, text, weights};
use serde_json::Value;

#[test]
fn with_json_standard_output_is_one_object_with_the_figures_of_the_run() {
    let answer = Place::new().train(&["--json"]).done();
    assert_eq!(answer.stdout.lines().count(), 1, "{}", answer.stdout);
    let summary = answer.json();
    assert_eq!(
        (&summary["steps"], &summary["tokens"]),
        (&12.into(), &(12 * 64).into())
    );
    assert_eq!(summary["ending"], "complete");
    assert!(summary["run_dir"].as_str().unwrap().starts_with("runs"));
    for positive in [
        "train_loss",
        "val_loss",
        "val_bits_per_byte",
        "tokens_per_second",
        "seconds",
    ] {
        assert!(summary[positive].as_f64().unwrap() > 0.0, "{positive}: {summary}");
    }
    for share in ["recall_accuracy", "recall_chance", "x_density", "y_density"] {
        let value = summary[share].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value), "{share}: {summary}");
    }
    // Byte tokens: a token is a byte.
    let bits = summary["val_loss"].as_f64().unwrap() / std::f64::consts::LN_2;
    assert!(
        (bits - summary["val_bits_per_byte"].as_f64().unwrap()).abs() < 1e-9,
        "{summary}"
    );
}

#[test]
fn without_json_a_person_reads_what_was_learnt_and_what_to_type_next() {
    let answer = Place::new().train(&["--out", "run"]).done();
    for part in [
        "11,264 parameters",
        "bits per byte",
        "recall",
        "chance",
        "in its own words",
        "the run is in run",
        "now try",
        "generate run",
    ] {
        assert!(
            answer.stdout.contains(part),
            "`{part}` is not in: {}",
            answer.stdout
        );
    }
    for part in ["backend cpu", "12/12", "loss", "tok/s", "final at step 12"] {
        assert!(
            answer.stderr.contains(part),
            "`{part}` is not in: {}",
            answer.stderr
        );
    }
}

#[test]
fn a_run_folder_holds_all_that_the_run_is_made_of() {
    let place = Place::trained();
    let run = place.path("run");
    assert_eq!(
        names(&run),
        [
            "checkpoint",
            "config.toml",
            "metrics.jsonl",
            "run.json",
            "samples",
            "tokenizer.json"
        ]
    );
    let folder = checkpoint(&run, 12);
    assert_eq!(
        names(&folder),
        ["manifest.json", "model.bpk", "optimizer.bpk", "trainer.json"]
    );
    for pointer in ["last", "best"] {
        let named = std::fs::read_to_string(run.join("checkpoint").join(pointer)).unwrap();
        assert!(
            run.join("checkpoint").join(named.trim()).is_dir(),
            "{pointer}: {named}"
        );
    }
    let info: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!((&info["backend"], &info["seed"]), (&"cpu".into(), &1337.into()));
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    assert_eq!(config["model"]["d_model"].as_integer(), Some(16));
    assert_eq!(config["optimizer"]["beta_2"].as_float(), Some(0.99)); // what was not typed is there too
}

#[test]
fn metrics_come_every_few_steps_and_evaluations_when_they_are_due() {
    let place = Place::trained();
    let run = place.path("run");
    let steps = |kind| -> Vec<u64> { losses(&run, kind).into_iter().map(|(step, _)| step).collect() };
    assert_eq!(steps("train"), [2, 4, 6, 8, 10, 12]);
    assert_eq!(steps("evaluation"), [0, 5, 10, 12]);
    assert_eq!(steps("final"), [12]);
    for line in metrics(&run).iter().filter(|line| line["kind"] == "train") {
        for figure in [
            "loss",
            "bits_per_byte",
            "gradient_norm",
            "learning_rate",
            "x_density",
            "y_density",
        ] {
            assert!(line[figure].as_f64().unwrap() > 0.0, "{figure}: {line:?}");
        }
        assert_eq!(
            line["units"].as_u64().unwrap(),
            64 * line["step"].as_u64().unwrap()
        );
    }
}

#[test]
fn an_interval_of_zero_leaves_only_the_first_and_the_last() {
    let place = Place::new();
    let none = [
        "evaluation.every=0",
        "evaluation.sample_every=0",
        "checkpoint.every=0",
    ];
    let answer = place.train(&[&none[..], &["--out", "run"]].concat()).done();
    let run = place.path("run");
    let steps: Vec<u64> = losses(&run, "evaluation")
        .into_iter()
        .map(|(step, _)| step)
        .collect();
    assert_eq!(steps, [0, 12]);
    assert_eq!(names(&run.join("checkpoint")), ["best", "last", "step-000012"]);
    assert!(!answer.stderr.contains("sample at"), "{}", answer.stderr);
}

#[test]
fn a_model_learns() {
    let place = Place::new();
    let answer = place.train(&[
        "--out",
        "run",
        "--json",
        "training.max_steps=150",
        "optimizer.learning_rate=1e-2",
    ]);
    let before = losses(&place.path("run"), "evaluation")[0].1;
    let after = answer.done().json()["val_loss"].as_f64().unwrap();
    assert!((before - 256f64.ln()).abs() < 0.1, "{before}"); // a new model knows nothing of 256 bytes
    assert!(after < 0.75 * before, "{before} -> {after}");
}

/// So narrow a guard that it finds outliers in any run.
const NARROW: &str = "training.guard={ window = 8, loss_z = 0.5, norm_z = 0.5, patience = 40 }";

#[test]
fn a_guard_counts_what_it_skips_where_there_is_one() {
    let place = Place::new();
    let steps = "training.max_steps=40";
    let answer = place.train(&[steps, NARROW, "--out", "guarded", "--json"]).done();
    let skipped = answer.json()["skipped"].as_u64().unwrap();
    assert!((1..32).contains(&skipped), "{skipped}");
    let told = answer
        .stderr
        .lines()
        .filter(|line| line.contains("was skipped: the "));
    assert_eq!(told.count() as u64, skipped, "{}", answer.stderr);
    let last = metrics(&place.path("guarded"))
        .into_iter()
        .rfind(|line| line["kind"] == "train")
        .unwrap();
    assert_eq!(last["skipped"].as_f64(), Some(skipped as f64));

    // A guard that finds nothing changes nothing, and one that is not there leaves no trace.
    let high = "training.guard={ window = 8, loss_z = 1e6, norm_z = 1e6 }";
    let answer = place.train(&[steps, high, "--out", "high", "--json"]).done();
    assert_eq!(answer.json()["skipped"], 0);
    let answer = place.train(&[steps, "--out", "none", "--json"]).done();
    assert_eq!(answer.json().get("skipped"), None);
    let [high, none] = ["high", "none"].map(|run| place.path(run));
    assert_eq!(weights(&high, 40), weights(&none, 40));
    let mut lines = metrics(&high);
    lines.iter_mut().for_each(|line| drop(line.remove("skipped")));
    assert_eq!(lines, metrics(&none));
    let state = std::fs::read_to_string(checkpoint(&none, 40).join("trainer.json")).unwrap();
    assert!(!state.contains("guard"), "{state}");
}

#[test]
fn a_guard_that_is_to_stop_names_the_step_the_figures_and_the_way_back() {
    let place = Place::new();
    let stop = NARROW.replace("patience = 40", "policy = \"stop\"");
    place
        .train(&["training.max_steps=40", &stop, "--out", "run"])
        .refused(
            1,
            &[
                "is an outlier: the ",
                "above",
                "= mean",
                "0.5 deviations of",
                "over 8 steps",
                "the last good checkpoint is step",
                "training.guard.policy",
            ],
        );
    let impatient = NARROW.replace("_z = 0.5", "_z = 1e-9").replace("= 40", "= 1");
    place
        .train(&["training.max_steps=400", &impatient, "--out", "impatient"])
        .refused(
            1,
            &[
                "2 steps in a row were skipped",
                "training.guard.patience",
                "last good",
            ],
        );
}

#[test]
fn runs_latest_names_the_newest_run() {
    let place = Place::new();
    let first = place.train(&["--json"]).done().json();
    let second = place.train(&["--json", "training.max_steps=13"]).done().json();
    assert_ne!(first["run_dir"], second["run_dir"]);
    let named = |path: &str| std::fs::canonicalize(place.path(path)).unwrap();
    assert_eq!(named("runs/latest"), named(second["run_dir"].as_str().unwrap()));
    let info = place.dragon(&["info", "runs/latest", "--json"]).done().json();
    assert_eq!(info["info"]["step"], 13);
}

#[test]
fn a_second_run_into_one_folder_is_refused_and_leaves_the_first_alone() {
    let place = Place::trained();
    let before = std::fs::read(place.path("run/metrics.jsonl")).unwrap();
    place
        .train(&["--out", "run"])
        .refused(1, &["run already holds a run", "--resume run", "--out"]);
    assert_eq!(std::fs::read(place.path("run/metrics.jsonl")).unwrap(), before);
}

#[test]
fn a_run_that_is_refused_leaves_nothing_behind() {
    let place = Place::new();
    for setting in [
        "schedule={type=\"wsd\",decay_steps=100}",
        "optimizer.learning_rate=-1",
        "training.max_steps=0",
        "evaluation.batches=0",
        "training.batch_size=100000000",
        "generation.temperature=-1",
    ] {
        place.train(&[setting]);
        assert!(place.names().is_empty(), "{setting} left {:?}", place.names());
    }
}

#[test]
fn print_config_names_the_origin_of_every_value_and_does_nothing_else() {
    let place = Place::new();
    place.write("base.toml", "[model]\nd_model = 16\nn_levels = 3\n");
    place.write("mine.toml", "extends = \"base.toml\"\n\n[model]\nn_levels = 2\n");
    let arguments = [
        "train",
        "-c",
        "mine.toml",
        "training.seed=5",
        "--max-steps",
        "7",
        "--print-config",
    ];
    let answer = place.dragon(&arguments).done();
    for (key, value, origin) in [
        ("d_model", "16", "base.toml:2"),
        ("n_levels", "2", "mine.toml:4"),
        ("seed", "5", "command line"),
        ("max_steps", "7", "--max-steps"),
        ("batch_size", "8", "default"),
    ] {
        let (head, tail) = (format!("{key} = {value} "), format!("# {origin}"));
        let found = answer
            .stdout
            .lines()
            .any(|line| line.starts_with(&head) && line.ends_with(&tail));
        assert!(found, "`{head}... {tail}` is not in:\n{}", answer.stdout);
    }
    let values = answer
        .stdout
        .lines()
        .filter(|line| line.contains(" = ") && !line.contains("\"\"\""));
    assert!(values.clone().count() > 30, "{}", answer.stdout);
    for line in values {
        assert!(line.contains("   # "), "{line}");
    }
    let config: toml::Table = answer.stdout.parse().unwrap();
    assert_eq!(config["model"]["n_levels"].as_integer(), Some(2));
    assert_eq!(place.names(), ["base.toml", "mine.toml"]);
}

#[test]
fn a_dry_run_takes_a_step_and_writes_nothing() {
    let place = Place::new();
    let answer = place.train(&["--dry-run"]).done();
    assert!(
        answer.stdout.contains("one step: loss 5.") && answer.stdout.contains("12 steps"),
        "{}",
        answer.stdout
    );
    let json = place.train(&["--dry-run", "--json"]).done().json();
    assert_eq!(json["steps"], 12);
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn one_seed_is_one_run_with_dropout_and_accumulation() {
    let place = Place::new();
    let noisy = ["model.dropout=0.1", "training.accumulate=2"];
    for out in ["a", "b"] {
        place.train(&[&noisy[..], &["--out", out]].concat()).done();
    }
    assert_same_run(&place.path("a"), &place.path("b"), 12);
}

#[test]
fn two_batches_accumulated_are_one_batch_of_twice_the_size() {
    let place = Place::new();
    let run = |size, count| place.train(&[size, count, "--json"]).done().json();
    let accumulated = run("training.batch_size=2", "training.accumulate=2");
    let large = run("training.batch_size=4", "training.accumulate=1");
    assert_eq!(accumulated["tokens"], large["tokens"]);
    for loss in ["train_loss", "val_loss"] {
        let difference = accumulated[loss].as_f64().unwrap() - large[loss].as_f64().unwrap();
        assert!(difference.abs() < 1e-4, "{loss}: {accumulated} {large}");
    }
}

#[test]
fn another_seed_another_dropout_or_another_accumulation_is_another_run() {
    let place = Place::trained();
    for (out, setting) in [
        ("seed", "training.seed=1338"),
        ("dropout", "model.dropout=0.1"),
        ("accumulate", "training.accumulate=2"),
    ] {
        place.train(&[setting, "--out", out]).done();
        assert_ne!(
            weights(&place.path("run"), 12),
            weights(&place.path(out), 12),
            "{setting}"
        );
        assert_ne!(
            metrics(&place.path("run")),
            metrics(&place.path(out)),
            "{setting}"
        );
    }
}

#[test]
fn an_epoch_is_one_pass_over_the_text() {
    let place = Place::new();
    place.write(
        "text.txt",
        "All work and no play makes a dull dragon.\n".repeat(100),
    );
    let run = |epochs: &str| {
        let arguments = ["dataset.windows=anywhere", epochs, "--json"];
        place.train_on("text.txt", &arguments).done().json()
    };
    let once = run("training.epochs=1.0");
    let twice = run("training.epochs=2.0");
    let tokens = once["tokens"].as_f64().unwrap();
    let trained_on = 0.9 * 4200.0;
    assert!((trained_on..trained_on + 192.0).contains(&tokens), "{tokens}"); // whole windows, whole batches
    let (once, twice) = (once["steps"].as_u64().unwrap(), twice["steps"].as_u64().unwrap());
    assert!(once > 12 && twice.abs_diff(2 * once) <= 1, "{once} {twice}");
}

#[test]
fn max_steps_as_typed_wins_over_the_epochs_of_a_file() {
    let place = Place::trained();
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    place.write(
        "mine.toml",
        config.replace("[training]", "[training]\nepochs = 3.0"),
    );
    let typed = ["train", "-c", "mine.toml", "--max-steps", "4"];
    let answer = place.dragon(&[&typed[..], &["--json"]].concat()).done();
    assert_eq!(answer.json()["steps"], 4);
    let shown = place
        .dragon(&[&typed[..], &["--print-config"]].concat())
        .done()
        .stdout;
    assert!(
        shown.contains("max_steps = 4") && !shown.contains("epochs"),
        "{shown}"
    );
}

#[test]
fn a_run_whose_time_is_up_ends_as_one_that_is_complete() {
    let place = Place::new();
    let arguments = [
        "training.max_steps=10000000",
        "training.max_minutes=0.02",
        "--out",
        "run",
        "--json",
    ];
    let summary = place.train(&arguments).done().json();
    let steps = summary["steps"].as_u64().unwrap();
    assert_eq!(summary["ending"], "time_is_up");
    assert!(steps > 0 && summary["val_loss"].is_f64(), "{summary}");
    assert!(checkpoint(&place.path("run"), steps).is_dir());
}

#[test]
fn samples_are_shown_at_their_interval() {
    let answer = Place::new().train(&["evaluation.sample_every=4"]).done();
    let shown: Vec<&str> = answer
        .stderr
        .lines()
        .filter(|line| line.starts_with("sample at step"))
        .collect();
    assert_eq!(shown, ["sample at step 4:", "sample at step 8:"]);
    assert!(
        answer.stderr.contains("Mira hid the red key"),
        "{}",
        answer.stderr
    );
}

#[test]
fn the_best_checkpoint_is_kept_beside_the_last() {
    let place = Place::new();
    // So high a rate that the model is best before it is spoilt.
    let spoilt = [
        "optimizer.learning_rate=3.0",
        "training.clip_norm=1e9",
        "checkpoint.keep=1",
    ];
    place
        .train(&[&spoilt[..], &["schedule.warmup_steps=12", "--out", "run"]].concat())
        .done();
    let run = place.path("run");
    let judged: Vec<(u64, f64)> = losses(&run, "evaluation").into_iter().skip(1).collect();
    let best = judged.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert_ne!(best, 12, "{judged:?}");
    let kept: Vec<String> = names(&run.join("checkpoint"));
    assert_eq!(kept, ["best", "last", &format!("step-{best:06}"), "step-000012"]);
    let step = |words: &[&str]| place.dragon(words).done().json()["info"]["step"].clone();
    assert_eq!(step(&["info", "run", "--json"]), 12);
    assert_eq!(step(&["info", "run", "--best", "--json"]), best);
}

#[test]
fn a_run_on_text_has_no_recall_and_can_be_used_from_another_folder() {
    let place = Place::new();
    place.write(
        "text.txt",
        "All work and no play makes a dull dragon.\n".repeat(100),
    );
    let summary = place
        .train_on("text.txt", &["--out", "run", "--json"])
        .done()
        .json();
    assert!(
        summary.get("recall_accuracy").is_some_and(Value::is_null),
        "{summary}"
    );
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let mut command = place.program("dragon");
    command
        .current_dir(place.path("elsewhere"))
        .args(["eval", &text(place.path("run")), "--json"]);
    let figures = Answer::of(&mut command).done().json();
    let loss = |value: &Value| value.as_f64().unwrap();
    assert!((loss(&figures["loss"]) - loss(&summary["val_loss"])).abs() < 1e-6);
}

#[test]
fn the_program_train_is_dragon_train() {
    let place = Place::new();
    let mut command = place.program("train");
    command.args(&Place::training(&["--json", "--out", "a"])[1..]);
    assert_eq!(Answer::of(&mut command).done().json()["steps"], 12);
    place.train(&["--out", "b"]).done();
    assert_same_run(&place.path("a"), &place.path("b"), 12);
    let help = Answer::of(place.program("train").arg("--help")).done();
    assert!(help.stdout.contains("Usage: train [OPTIONS]"), "{}", help.stdout);
    let version = Answer::of(place.program("train").arg("--version")).done();
    assert!(
        version.stdout.contains(env!("CARGO_PKG_VERSION")),
        "{}",
        version.stdout
    );
}
