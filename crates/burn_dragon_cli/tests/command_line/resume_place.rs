//! How much is left of a run that goes on with other settings.

use super::support::{Answer, Place, losses, metrics};
use std::path::Path;

/// The files that say what a run is.
fn said(run: &Path) -> [Vec<u8>; 3] {
    ["config.toml", "run.json", "metrics.jsonl"].map(|name| std::fs::read(run.join(name)).unwrap())
}

/// Tokens of an epoch: 100 windows of 32.
const EPOCH: u64 = 3200;

/// A run on a text of one epoch, ended after 16 steps of 4 windows: at 64 %.
fn part_of_an_epoch() -> Place {
    let place = Place::new();
    place.write("text.txt", "0123456789abcde\n".repeat(200) + "x");
    let words = [
        "training.batch_size=4",
        "training.max_steps=16",
        "dataset.windows=document",
        "dataset.validation={ type = \"text\", paths = [\"text.txt\"] }",
        "--out",
        "run",
    ];
    place.train_on("text.txt", &words).done();
    place
}

fn resume(place: &Place, more: &[&str]) -> Answer {
    place.dragon(&[&["train", "--resume", "run", "--json"], more].concat())
}

#[test]
fn an_epoch_that_goes_on_with_another_batch_size_ends_where_the_epoch_ends() {
    for (setting, tokens_a_step) in [
        ("training.batch_size=8", 256),
        ("training.batch_size=2", 64),
        ("training.accumulate=3", 384),
        ("training.batch_size=4", 128),
    ] {
        let place = part_of_an_epoch();
        let answer = resume(&place, &["training.epochs=1", setting]).done().json();
        let tokens = answer["tokens"].as_u64().unwrap();
        let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
        assert!(config.contains("epochs = 1.0"), "{config}");
        let left = EPOCH - 16 * 128;
        assert_eq!(
            tokens,
            16 * 128 + left.div_ceil(tokens_a_step) * tokens_a_step,
            "{setting}"
        );
        assert_eq!(answer["steps"], 16 + left.div_ceil(tokens_a_step), "{setting}");
        assert!(tokens >= EPOCH && tokens < EPOCH + tokens_a_step, "{setting}");
    }
}

#[test]
fn the_lines_of_a_run_whose_length_changed_go_on_to_its_new_end() {
    let place = part_of_an_epoch();
    let schedule = ["schedule.type=linear", "schedule.final_factor=0"];
    let words = [&["training.batch_size=8", "training.epochs=1"], &schedule[..]].concat();
    let answer = resume(&place, &words).done();
    let steps = answer.json()["steps"].as_u64().unwrap();
    let says = format!("the run has {steps} steps now, not 16: the schedule stretches over them");
    assert!(answer.stderr.contains(&says), "{}", answer.stderr);
    assert!(answer.stderr.contains(&format!("/{steps}")), "{}", answer.stderr);
    let rates: Vec<(u64, f64)> = metrics(&place.path("run"))
        .iter()
        .filter(|line| line["kind"] == "train")
        .map(|line| {
            (
                line["step"].as_u64().unwrap(),
                line["learning_rate"].as_f64().unwrap(),
            )
        })
        .filter(|(step, _)| *step > 16)
        .collect();
    // After two steps of warm-up a line from 1 to 0, which the step after the last one would have.
    for (step, rate) in &rates {
        let expected = 4e-3 * (1.0 - (*step - 1 - 2) as f64 / (steps - 2) as f64);
        assert!((rate - expected).abs() < 1e-9, "{step}: {rate} {expected}");
    }
    assert_eq!(rates.last().unwrap().0, steps);
    assert_eq!(losses(&place.path("run"), "final").len(), 2);
}

#[test]
fn a_dry_run_of_a_run_that_goes_on_counts_what_is_left_and_writes_nothing() {
    let place = part_of_an_epoch();
    let before = said(&place.path("run"));
    let words = ["training.epochs=1", "training.batch_size=8", "--dry-run"];
    let answer = resume(&place, &words).done();
    let steps = answer.json()["steps"].as_u64().unwrap();
    assert_eq!(answer.json()["steps_done"], 16);
    assert!(
        answer.stderr.contains(&format!("{} more steps", steps - 16)),
        "{}",
        answer.stderr
    );
    // The run's weights, not new ones: a new model knows nothing of the text.
    let loss = answer.json()["train_loss"].as_f64().unwrap();
    assert!(loss < 5.0, "{loss}");
    assert!(said(&place.path("run")) == before);
    let taken = resume(&place, &["training.epochs=1", "training.batch_size=8"]).done();
    assert_eq!(taken.json()["steps"], steps);
}

#[test]
fn steps_that_are_taken_are_nothing_to_do_and_leave_the_run_alone() {
    let place = Place::trained();
    let before = said(&place.path("run"));
    for (words, says) in [
        (&["--max-steps", "5"][..], "training.max_steps = 5"),
        (&["training.max_steps=11"], "training.max_steps = 11"),
        (&["training.epochs=0.0001"], "training.epochs = 0.0001"),
    ] {
        let answer = place.dragon(&[&["train", "--resume", "run"], words].concat());
        answer.refused(2, &["nothing to do", "12 steps", says, "--max-steps above 12"]);
        assert!(said(&place.path("run")) == before, "{words:?}");
    }
    let setting = ["train", "--resume", "run", "evaluation.batches=2"];
    let says = ["nothing to do", "12 steps", "evaluation.batches = 2 instead of 1"];
    place.dragon(&setting).refused(2, &says);
    assert!(said(&place.path("run")) == before);
}

#[test]
fn a_complete_run_says_so_and_is_left_alone() {
    let place = Place::trained();
    let before = said(&place.path("run"));
    for words in [
        &[][..],
        &["--max-steps", "12"],
        &["training.max_steps=12", "--dry-run"],
    ] {
        let answer = resume(&place, words).done();
        assert_eq!(answer.json()["steps"], 12);
        if !words.contains(&"--dry-run") {
            assert!(answer.stderr.contains("all 12 steps"), "{}", answer.stderr);
        }
        assert!(said(&place.path("run")) == before, "{words:?}");
    }
}

#[test]
fn a_run_that_time_ended_is_not_shortened_to_the_steps_it_took() {
    let place = Place::new();
    let words = [
        "training.max_steps=1000000",
        "training.max_minutes=0.05",
        "--out",
        "run",
        "--json",
    ];
    let steps = place.train(&words).done().json()["steps"].as_u64().unwrap();
    let before = said(&place.path("run"));
    let steps = steps.to_string();
    let answer = place.dragon(&["train", "--resume", "run", "--max-steps", &steps]);
    answer.refused(2, &["nothing to do", &steps]);
    assert!(said(&place.path("run")) == before);
}

#[test]
fn epochs_and_max_steps_typed_together_are_refused() {
    let place = Place::trained();
    let both = [
        ["training.epochs=1", "training.max_steps=5"],
        ["training.max_steps=5", "training.epochs=1"],
        ["training.epochs=1", "--max-steps=5"],
        ["training={ epochs = 1.0, max_steps = 5 }", "training.seed=1"],
    ];
    for words in both {
        let says = ["training.epochs", "max_steps", "together"];
        place
            .train(&[&words[..], &["--out", "new"]].concat())
            .refused(2, &says);
        resume(&place, &words).refused(2, &says);
        place
            .train(&[&words[..], &["--print-config"]].concat())
            .refused(2, &says);
    }
    assert!(!place.path("new").exists());
    let large = place.train(&["--max-steps", "18446744073709551615"]);
    large.refused(2, &["--max-steps", "too large"]);
}

#[test]
fn typed_max_steps_win_over_the_epochs_of_a_file() {
    let place = Place::new();
    place.write("epochs.toml", "[training]\nepochs = 2.0\nmax_steps = 3\n");
    for words in [&["training.max_steps=5"][..], &["--max-steps", "5"]] {
        let print = [&["train", "-c", "epochs.toml", "--print-config"], words].concat();
        let config = place.dragon(&print).done().stdout;
        assert!(
            config.contains("max_steps = 5") && !config.contains("epochs ="),
            "{config}"
        );
    }
    let config = place
        .dragon(&["train", "-c", "epochs.toml", "--print-config"])
        .done()
        .stdout;
    assert!(config.contains("epochs = 2.0"), "in a file, epochs win: {config}");
}
