//! A run whose data has changed since it was trained.

use super::support::{Answer, Place, checkpoint, losses};
use serde_json::Value;
use std::path::Path;

const WORK: &str = "all work and no play makes a dull dragon\n";

/// Everything in a run's folder that is no clock: names and bytes.
fn said(run: &Path) -> [Vec<u8>; 4] {
    ["config.toml", "run.json", "metrics.jsonl", "tokenizer.json"]
        .map(|name| std::fs::read(run.join(name)).unwrap())
}

/// A run on `text.txt`, whose documents are its lines.
fn trained(more: &[&str]) -> Place {
    let place = Place::new();
    place.write("text.txt", WORK.repeat(100));
    let words = [more, &["dataset.document_separator=\"\\n\"", "--out", "run"]].concat();
    place.train_on("text.txt", &words).done();
    place
}

fn resume(place: &Place, more: &[&str]) -> Answer {
    place.dragon(&[&["train", "--resume", "run", "--max-steps", "14", "--json"], more].concat())
}

fn identity(run: &Path, step: u64) -> Value {
    let text = std::fs::read_to_string(checkpoint(run, step).join("trainer.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["identity"].clone()
}

#[test]
fn a_checkpoint_says_what_it_was_trained_and_judged_on() {
    let place = trained(&[]);
    let data = &identity(&place.path("run"), 12)["data"];
    let sizes = |part: &str| {
        let sizes = &data[part]["sizes"];
        (
            sizes["tokens"].as_u64().unwrap(),
            sizes["documents"].as_u64().unwrap(),
        )
    };
    let line = WORK.len() as u64;
    assert_eq!(
        (sizes("training"), sizes("validation")),
        ((90 * line, 90), (10 * line, 10))
    );
    assert_ne!(data["training"]["sha256"], data["validation"]["sha256"]);
    assert_eq!(data["training"]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_text_that_grew_or_shrank_or_became_another_is_refused_with_both_sizes() {
    let other: String = WORK.replace("dull", "tidy").repeat(100);
    let line = WORK.len();
    let was = [
        format!("training data was {} tokens in 90 documents", 90 * line),
        format!("validation data was {} tokens in 10 documents", 10 * line),
    ];
    let changes = [
        (WORK.repeat(200), [180, 20]),
        (WORK.repeat(50), [45, 5]),
        (other, [90, 10]),
    ];
    for (text, lines) in changes {
        let place = trained(&[]);
        let before = said(&place.path("run"));
        place.write("text.txt", text);
        let is = lines.map(|lines| format!("is {} tokens in {lines} documents", lines * line));
        for more in [&[][..], &["--dry-run"]] {
            let says = [
                &was[0],
                &is[0],
                &was[1],
                &is[1],
                "--accept-changed-data",
                "start a new run",
            ];
            resume(&place, more).refused(3, &says.map(|text| -> &str { text }));
        }
        assert!(said(&place.path("run")) == before);
        assert!(!checkpoint(&place.path("run"), 14).exists());
    }
}

#[test]
fn a_change_of_one_part_leaves_the_other_named_as_the_same() {
    let place = Place::new();
    place.write("text.txt", WORK.repeat(100));
    place.write("held.txt", WORK.repeat(10));
    let own = "dataset.validation={ type = \"text\", paths = [\"held.txt\"] }";
    place.train_on("text.txt", &[own, "--out", "run"]).done();
    place.write("held.txt", WORK.repeat(11));
    resume(&place, &[]).refused(
        3,
        &["training data is the same", "validation data was 410 tokens"],
    );
    place.write("held.txt", WORK.repeat(10));
    place.write("text.txt", WORK.repeat(101));
    resume(&place, &[]).refused(
        3,
        &["training data was 4100 tokens", "validation data is the same"],
    );
    // The same text with other documents is another stream.
    place.write("text.txt", WORK.repeat(100));
    let documents = resume(&place, &["dataset.document_separator=\"\\n\""]);
    let says = [
        "dataset.document_separator",
        "in 1 document (",
        "in 100 documents (",
    ];
    documents.refused(2, &says);
    resume(&place, &[]).done();
}

#[test]
fn a_typed_setting_of_the_data_is_named_unless_the_tokens_come_out_the_same() {
    let place = trained(&[]);
    let ratio = resume(&place, &["dataset.train_ratio=0.8"]);
    ratio.refused(
        2,
        &["dataset.train_ratio = 0.8 instead of 0.9", "training data was"],
    );
    std::fs::rename(place.path("text.txt"), place.path("moved.txt")).unwrap();
    let moved = resume(&place, &["dataset.paths=[\"moved.txt\"]"]).done();
    assert_eq!(moved.json()["steps"], 14);
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(config.contains("moved.txt"), "{config}");
}

#[test]
fn changed_data_that_is_accepted_says_what_becomes_of_validation_and_of_the_best_figure() {
    let place = trained(&["evaluation.every=4"]);
    let run = place.path("run");
    let easy = "a".repeat(WORK.len() - 1) + "\n";
    place.write("text.txt", easy.repeat(100));
    let accepted = resume(&place, &["--accept-changed-data"]).done();
    for says in [
        "held-out data has changed",
        "not comparable",
        "best one starts anew",
    ] {
        assert!(accepted.stderr.contains(says), "{says}: {}", accepted.stderr);
    }
    let info = std::fs::read_to_string(run.join("run.json")).unwrap();
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(
        info["resumed_at"][0]["changed_data"],
        serde_json::json!(["training", "validation"])
    );
    // From now on the new data is the run's.
    place.write("text.txt", WORK.repeat(100));
    let back = place.dragon(&["train", "--resume", "run", "--max-steps", "16"]);
    back.refused(3, &["--accept-changed-data"]);
}

#[test]
fn the_best_figure_starts_anew_where_held_out_text_has_changed_and_only_there() {
    for (grown, anew) in [("held.txt", true), ("text.txt", false)] {
        let place = Place::new();
        place.write("text.txt", WORK.repeat(100));
        place.write("held.txt", "a".repeat(400));
        let own = "dataset.validation={ type = \"text\", paths = [\"held.txt\"] }";
        place
            .train_on(
                "text.txt",
                &[own, "optimizer.learning_rate=0.001", "--out", "run"],
            )
            .done();
        let state = |step| -> Value {
            let text = std::fs::read_to_string(checkpoint(&place.path("run"), step).join("trainer.json"));
            serde_json::from_str(&text.unwrap()).unwrap()
        };
        // Worse by far, whatever it is measured on: digits were never seen.
        let text = if anew {
            "0123456789".repeat(40)
        } else {
            WORK.repeat(101)
        };
        place.write(grown, text);
        let words = [
            "--accept-changed-data",
            "optimizer.learning_rate=0.05",
            "training.clip_norm=inf",
        ];
        resume(&place, &words).done();
        let figures = losses(&place.path("run"), "evaluation");
        let (before, after) = (figures[figures.len() - 2].1, figures[figures.len() - 1].1);
        assert!(!anew || after > before, "{figures:?}");
        let best = state(14)["best_step"].as_u64().unwrap();
        assert!(
            if anew {
                best == 14
            } else {
                (after < before) == (best == 14)
            },
            "{best}"
        );
    }
}

#[test]
fn streams_begin_anew_in_a_text_that_has_changed() {
    let place = trained(&["sequence.streams={}"]);
    place.write("text.txt", WORK.replace("dull", "tidy").repeat(100));
    resume(&place, &[]).refused(3, &["training data was", "--accept-changed-data"]);
    let answer = resume(&place, &["--accept-changed-data"]).done();
    assert_eq!(answer.json()["steps"], 14);
    place
        .dragon(&["train", "--resume", "run", "--max-steps", "16"])
        .done();
}

#[test]
fn data_is_accepted_for_a_run_only() {
    let place = Place::new();
    place.train(&["--accept-changed-data"]).refused(2, &["--resume"]);
}

#[test]
fn a_run_that_is_judged_on_a_held_out_text_that_has_changed_says_so() {
    let place = trained(&[]);
    let eval = || place.dragon(&["eval", "run", "--json"]).done();
    let before = eval();
    assert!(!before.stderr.contains("held-out text"), "{}", before.stderr);
    assert_eq!(before.json()["notes"], serde_json::json!([]));
    place.write("text.txt", WORK.repeat(120));
    let after = eval();
    let line = WORK.len();
    let (was, is) = (10 * line, 12 * line);
    for part in [
        format!("was {was} tokens in 10 documents"),
        format!("is {is} tokens in 12"),
    ] {
        assert!(after.stderr.contains(&part), "{}", after.stderr);
        let note = after.json()["notes"][0].to_string();
        assert!(note.contains(&part), "{note}");
    }
}

#[test]
fn changed_data_is_not_accepted_by_a_run_that_is_complete() {
    let place = trained(&[]);
    let run = place.path("run");
    let trainer = || std::fs::read(checkpoint(&run, 12).join("trainer.json")).unwrap();
    let (before, state) = (said(&run), trainer());
    place.write("text.txt", WORK.repeat(120));
    place
        .dragon(&["train", "--resume", "run", "--accept-changed-data"])
        .refused(
            2,
            &[
                "nothing to do",
                "12 steps",
                "--accept-changed-data would change nothing",
            ],
        );
    assert_eq!((said(&run), trainer()), (before, state));
}

#[test]
fn a_tokenizer_that_was_exchanged_is_named_and_not_taken_for_changed_data() {
    let place = trained(&["dataset.tokenizer.type=char"]);
    let path = place.path("run/tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let symbols: String = tokenizer["symbols"].as_str().unwrap().chars().rev().collect();
    tokenizer["symbols"] = symbols.into();
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    for more in [&[][..], &["--accept-changed-data"]] {
        resume(&place, more).refused(3, &["tokenizer.json", "model.bpk", "restore the tokenizer"]);
    }
}
