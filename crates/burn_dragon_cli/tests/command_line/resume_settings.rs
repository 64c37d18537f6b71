//! What a run that goes on may be asked to change, and what not.

use super::support::{Answer, Place, checkpoint};
use std::path::Path;

fn said(run: &Path) -> [Vec<u8>; 4] {
    ["config.toml", "run.json", "metrics.jsonl", "tokenizer.json"]
        .map(|name| std::fs::read(run.join(name)).unwrap())
}

fn resume(place: &Place, more: &[&str]) -> Answer {
    place.dragon(&[&["train", "--resume", "run", "--max-steps", "14", "--json"], more].concat())
}

fn config(place: &Place) -> toml::Table {
    let text = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    text.parse().unwrap()
}

#[test]
fn what_cannot_change_is_refused_by_name_with_both_values_and_nothing_is_written() {
    let place = Place::trained();
    let before = said(&place.path("run"));
    let settings = [
        (
            "dataset.tokenizer.type=char",
            "dataset.tokenizer.type = \"char\" instead of \"byte\"",
        ),
        (
            "dataset.windows=document",
            "dataset.windows = \"document\" instead of \"in_order\"",
        ),
        (
            "dataset.type=needle",
            "dataset.windows = \"document\" instead of \"in_order\"",
        ),
        ("model.d_model=32", "model.d_model = 32 instead of 16"),
        ("model.n_heads=2", "model.n_heads = 2 instead of 4"),
        ("model.n_neurons=128", "model.n_neurons = 128 instead of 64"),
        ("model.n_levels=1", "model.n_levels = 1 instead of 2"),
        ("model.dropout=0.1", "model.dropout = 0.1 instead of 0.0"),
        (
            "model.rope_theta=64.0",
            "model.rope_theta = 64.0 instead of 128.0",
        ),
        ("model.norm_eps=1e-6", "model.norm_eps = 1e-6 instead of 0.00001"),
        ("model.init_std=0.01", "model.init_std = 0.01 instead of 0.02"),
        (
            "model.decay={ type = \"standard\" }",
            "model.decay.type = \"standard\", which the run does not have",
        ),
        ("training.seed=7", "training.seed = 7 instead of 1337"),
        ("sequence.block_size=16", "sequence.block_size = 16 instead of 32"),
        (
            "sequence.streams={}",
            "sequence.streams.persistent = 1.0, which the run does not have",
        ),
    ];
    for (setting, says) in settings {
        for more in [
            &[setting][..],
            &[setting, "--dry-run"],
            &[setting, "--accept-changed-data"],
        ] {
            resume(&place, more).refused(2, &[says, "start a new run", "docs/configuration.md"]);
        }
        assert!(said(&place.path("run")) == before, "{setting}");
    }
    let both = resume(&place, &["model.d_model=32", "training.seed=7"]);
    both.refused(
        2,
        &[
            "model.d_model = 32 instead of 16",
            "training.seed = 7 instead of 1337",
        ],
    );
    resume(&place, &[]).done();
}

#[test]
fn a_char_run_does_not_become_one_of_bytes_nor_lose_its_special_tokens() {
    let place = Place::new();
    place.write(
        "text.txt",
        "all work and no play makes a dull dragon\n".repeat(100),
    );
    let char = [
        "dataset.tokenizer.type=char",
        "generation.prompt=dragon",
        "--out",
        "run",
    ];
    place.train_on("text.txt", &char).done();
    let before = said(&place.path("run"));
    for (setting, says) in [
        (
            "dataset.tokenizer.type=byte",
            "dataset.tokenizer.type = \"byte\" instead of \"char\"",
        ),
        (
            "dataset.tokenizer.special_tokens=false",
            "dataset.tokenizer.special_tokens = false instead of true",
        ),
    ] {
        resume(&place, &[setting]).refused(2, &[says]);
        assert!(said(&place.path("run")) == before, "{setting}");
    }
    resume(&place, &["dataset.tokenizer.type=char"]).done();
}

/// Of a run with `training.precision=auto` only the choice is kept, so a run that goes on keeps its precision.
#[test]
fn a_precision_of_auto_is_settled_once_and_its_name_is_saved() {
    let place = Place::new();
    let named = |answer: &Answer| {
        let line = answer.stderr.lines().find(|line| line.starts_with("precision "));
        let words = line.map(|line| line.split(' ').map(String::from).collect::<Vec<_>>());
        words.map(|words| (words[0].clone(), words[1].clone()))
    };
    let saved = || {
        let precision = config(&place)["training"]["precision"].clone();
        precision.as_str().unwrap().to_string()
    };
    let answer = place.train(&["training.precision=auto", "--out", "run"]).done();
    let (word, precision) = named(&answer).unwrap();
    assert_eq!(word, "precision");
    assert!(["f32", "bf16"].contains(&precision.as_str()), "{precision}");
    assert_eq!(saved(), precision);
    assert_eq!(named(&resume(&place, &[]).done()), None, "it is settled");
    assert_eq!(saved(), precision);
    let more = ["training.precision=auto", "--max-steps", "16"];
    let again = place
        .dragon(&[&["train", "--resume", "run"], &more[..]].concat())
        .done();
    assert_eq!(
        named(&again).unwrap().1,
        precision,
        "settled anew, by the same rule"
    );
    assert_eq!(saved(), precision);
}

#[test]
fn what_can_change_is_in_force_and_stands_in_the_configuration() {
    let place = Place::trained();
    let settings = [
        "training.batch_size=4",
        "training.accumulate=2",
        "training.clip_norm=0.5",
        "training.log_every=1",
        "training.max_minutes=5.0",
        "sequence.credit=queries",
        "training.guard.window=16",
        "optimizer.learning_rate=0.002",
        "optimizer.beta_2=0.95",
        "optimizer.weight_decay=0.2",
        "schedule.type=cosine",
        "evaluation.batches=2",
        "evaluation.every=1",
        "checkpoint.keep=1",
        "generation.max_tokens=4",
        "model.vocab_size=256",
    ];
    let answer = resume(&place, &settings).done();
    // Twelve steps of two windows of 32 tokens, then two of eight.
    assert_eq!(answer.json()["tokens"], 12 * 64 + 2 * 256);
    assert!(
        answer.stderr.contains("sample of 8 sequences now, not of 2"),
        "{}",
        answer.stderr
    );
    let config = config(&place);
    let said = |table: &str, key: &str| config[table][key].to_string();
    for setting in settings.iter().filter(|setting| !setting.contains("guard")) {
        let (key, value) = setting.split_once('=').unwrap();
        let (table, key) = key.split_once('.').unwrap();
        assert_eq!(said(table, key).trim_matches('"'), value, "{setting}");
    }
    assert_eq!(config["training"]["guard"]["window"].as_integer(), Some(16));
    let lines = std::fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    let of_13 = lines.lines().filter(|line| line.contains("\"step\":13,")).count();
    assert_eq!(of_13, 2, "a line of training and an evaluation: {lines}");
}

#[test]
fn a_value_that_the_run_has_already_may_be_typed() {
    let place = Place::trained();
    let same = [
        "training.seed=1337",
        "sequence.block_size=32",
        "model.d_model=16",
        "model.dropout=0",
        "dataset.tokenizer.type=byte",
        "dataset.windows=in_order",
        "dataset.train_bytes=40000",
    ];
    resume(&place, &same).done();
}

/// A file that was edited says what it says; the checkpoint knows what the run is.
#[test]
fn a_configuration_that_was_edited_by_hand_is_refused_where_the_run_cannot_change() {
    let place = Place::trained();
    let written = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    for (from, to, says) in [
        (
            "seed = 1337\nbatch",
            "seed = 7\nbatch",
            "training.seed = 7 instead of 1337",
        ),
        ("d_model = 16", "d_model = 32", "model.d_model = 32 instead of 16"),
        (
            "type = \"byte\"",
            "type = \"char\"",
            "dataset.tokenizer.type = \"char\" instead of \"byte\"",
        ),
    ] {
        let edited = written.replace(from, to);
        assert_ne!(edited, written, "{from}");
        place.write("run/config.toml", &edited);
        resume(&place, &[]).refused(2, &[says]);
        assert_eq!(
            std::fs::read_to_string(place.path("run/config.toml")).unwrap(),
            edited
        );
    }
    place.write(
        "run/config.toml",
        written.replace("learning_rate = 0.004", "learning_rate = 0.001"),
    );
    resume(&place, &[]).done();
    assert_eq!(
        config(&place)["optimizer"]["learning_rate"].as_float(),
        Some(0.001)
    );
}

#[test]
fn files_do_not_go_with_a_run_that_goes_on() {
    let place = Place::trained();
    place.write("more.toml", "[training]\nmax_steps = 20\n");
    let answer = place.dragon(&["train", "--resume", "run", "-c", "more.toml"]);
    answer.refused(2, &["--resume", "--config"]);
}

#[test]
fn a_run_that_died_before_its_first_checkpoint_begins_again_with_what_is_asked() {
    let place = Place::trained();
    let run = place.path("run");
    std::fs::remove_dir_all(run.join("checkpoint")).unwrap();
    let words = [
        "dataset.tokenizer.type=char",
        "training.seed=7",
        "generation.prompt=Mira",
    ];
    let answer = resume(&place, &words).done();
    assert_eq!(answer.json()["tokens"], 14 * 64);
    assert!(checkpoint(&run, 14).is_dir());
    let tokenizer = std::fs::read_to_string(run.join("tokenizer.json")).unwrap();
    assert!(tokenizer.contains("\"char\""), "{tokenizer}");
    let info = std::fs::read_to_string(run.join("run.json")).unwrap();
    assert!(info.contains("\"seed\": 7"), "{info}");
    assert_eq!(
        config(&place)["dataset"]["tokenizer"]["type"].as_str(),
        Some("char")
    );
    place.dragon(&["eval", "run"]).done();
}
