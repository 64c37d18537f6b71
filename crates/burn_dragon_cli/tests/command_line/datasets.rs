//! Sources of data: caches of tokens, records, mixtures, and data sets of a hub on this machine.

use crate::support::{Answer, Place};
use burn_dragon_testing::server::{Files, Server};
use serde_json::json;
use std::process::Command;

fn lines(count: usize, salt: usize) -> String {
    let line =
        |at: usize| json!({ "question": format!("what is {at} and {salt}?"), "answer": at * 7 + salt });
    (0..count).map(|at| format!("{}\n", line(at))).collect()
}

/// The final validation loss, and the number of training documents.
fn figures(place: &Place, answer: &Answer) -> (f64, u64) {
    let answer = answer.json();
    let run = std::fs::read_to_string(place.path("run/run.json")).unwrap();
    let documents = serde_json::from_str::<serde_json::Value>(&run).unwrap()["train_documents"].as_u64();
    let documents = documents.or_else(|| answer["train_documents"].as_u64());
    let loss = answer
        .as_object()
        .unwrap()
        .iter()
        .find(|(key, _)| key.contains("val") && key.contains("loss"));
    (
        loss.map_or(f64::NAN, |(_, loss)| loss.as_f64().unwrap_or(f64::NAN)),
        documents.unwrap_or(0),
    )
}

#[test]
fn a_run_on_a_cache_is_the_run_in_memory_and_reads_the_text_once() {
    let place = Place::new();
    place.write(
        "book.txt",
        "The dragon sleeps in the cave.\n\n".repeat(400) + &lines(200, 1),
    );
    let separator = "dataset.document_separator=\"\\n\\n\"";
    let train = |more: &[&str]| place.train_on("book.txt", &[&[separator], more].concat()).done();
    train(&["--out", "memory"]);
    train(&["--out", "cached", "dataset.cache_dir=\"cache\""]);
    let weights = |run: &str| crate::support::weights(&place.path(run), 12);
    assert_eq!(weights("memory"), weights("cached"));
    let losses = |run: &str| crate::support::losses(&place.path(run), "train");
    assert_eq!(losses("memory"), losses("cached"));
    let entries = || crate::support::names(&place.path("cache/tokens"));
    assert_eq!(entries().len(), 1);
    train(&["--out", "again", "dataset.cache_dir=\"cache\""]);
    assert_eq!(entries().len(), 1);
    // A resumed run may drop it: it is only where tokens are kept.
    place
        .dragon(&["train", "--resume", "cached", "training.max_steps=14"])
        .done();
}

/// Kilobytes of memory that a program may have beside the files that it maps.
#[cfg(target_os = "linux")]
const LITTLE: usize = 400_000;

#[test]
#[cfg(target_os = "linux")]
fn a_text_larger_than_memory_is_trained_on_within_it() {
    use std::io::Write;
    let place = Place::new();
    let mut file = std::io::BufWriter::new(std::fs::File::create(place.path("long.txt")).unwrap());
    let paragraph = "The dragon sleeps in the cave and wakes when the egg is warm. ".repeat(64);
    // 100 MB of text, and 4 bytes a token of it in memory.
    for at in 0..100_000_000 / paragraph.len() {
        write!(file, "{at} {paragraph}\n\n").unwrap();
    }
    drop(file);
    place.write("held.txt", &paragraph);
    let limited = |more: &[&str]| {
        let mut command = Command::new("bash");
        command
            .args([
                "-c",
                &format!("ulimit -d {LITTLE}; exec \"$@\""),
                "dragon",
                env!("CARGO_BIN_EXE_dragon"),
            ])
            .args(["train", "dataset.type=text", "dataset.paths=[\"long.txt\"]"])
            .args([
                "dataset.document_separator=\"\\n\\n\"",
                "dataset.validation.type=text",
            ])
            .arg("dataset.validation.paths=[\"held.txt\"]")
            .args(small())
            .args(more)
            .current_dir(place.path(""));
        command
    };
    let memory = limited(&["--out", "memory"]).output().unwrap();
    assert!(!memory.status.success());
    Answer::of(&mut limited(&["--out", "cached", "dataset.cache_dir=\"cache\""])).done();
}

#[test]
fn json_lines_csv_and_mixtures_are_trained_on() {
    let place = Place::new();
    place.write("qa.jsonl", lines(300, 1));
    place.write(
        "poems.csv",
        format!("Title,Poem\n{}", "Eggs,\"one\ntwo\"\n".repeat(100)),
    );
    let template = "dataset.template=\"Q: {question}\\nA: {answer}\\n\"";
    let records = ["dataset.type=records", "dataset.paths=[\"qa.jsonl\"]", template];
    let train =
        |settings: &[&str]| place.dragon(&[&Place::training_on("", &[])[..1], &small(), settings].concat());
    let answer = train(&[&records[..], &["--out", "run", "--json"]].concat()).done();
    assert!(figures(&place, &answer).1 > 200);
    let absent = [
        "dataset.type=records",
        "dataset.paths=[\"qa.jsonl\"]",
        "--out",
        "none",
    ];
    train(&absent).refused(3, &["qa.jsonl", "record 1", "`text`", "answer, question"]);
    place.write(
        "mix.toml",
        "[dataset]\ntype = \"mixture\"\n[[dataset.sources]]\nweight = 2\ntype = \"records\"\npaths = [\"qa.jsonl\"]\n\
         text_fields = [\"question\"]\n[[dataset.sources]]\nweight = 1\ntype = \"records\"\npaths = [\"poems.csv\"]\n\
         template = \"{Title}: {Poem}\"\n",
    );
    let base = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../burn_dragon_language/config/base.toml"
    );
    let answer = train(&["-c", base, "-c", "mix.toml", "--out", "mixed", "--json"]).done();
    assert!(
        answer.stderr.contains("the mixture ends where source"),
        "{}",
        answer.stderr
    );
}

/// The settings of the small model without its source.
fn small() -> Vec<&'static str> {
    let training = Place::training_on("dataset.paths=[]", &[]);
    let source = |word: &&str| !word.starts_with("dataset.") && **word != *"train";
    training.into_iter().filter(source).collect()
}

struct Hub {
    place: Place,
    server: Server,
}

impl Hub {
    fn new() -> Self {
        let files = Files::default();
        for at in 0..3 {
            let path = format!("/datasets/owner/set/resolve/main/data/train-{at:02}.jsonl");
            files.put(&path, lines(120, at));
        }
        files.put("/datasets/owner/set/resolve/v2/held.jsonl", lines(50, 9));
        files.put("/datasets/owner/set/resolve/main/held.jsonl", lines(50, 9));
        files.put(
            "/input.txt",
            "First Citizen:\nBefore we proceed any further, hear me speak.\n\n".repeat(60),
        );
        let server = Server::of(&files);
        Self {
            place: Place::new(),
            server,
        }
    }

    fn command(&self, settings: &[&str]) -> Command {
        let mut command = self.place.program("dragon");
        command
            .arg("train")
            .args(small())
            .args(settings)
            .env("BURN_DRAGON_CACHE_DIR", self.place.path("models"))
            .env("HF_ENDPOINT", self.server.url(""))
            .env("HF_TOKEN", "hf_secret")
            .env_remove("BURN_DRAGON_OFFLINE")
            .env_remove("BURN_DRAGON_MAX_BYTES");
        command
    }
}

const SET: [&str; 4] = [
    "dataset.type=hugging_face",
    "dataset.repo_id=owner/set",
    "dataset.train_files=[\"data/train-{00..02}.jsonl\"]",
    "dataset.text_fields=[\"question\", \"answer\"]",
];

#[test]
fn a_data_set_of_a_hub_is_fetched_once_with_the_token() {
    let hub = Hub::new();
    let train = |more: &[&str]| Answer::of(&mut hub.command(&[&SET[..], more].concat()));
    let answer = train(&[
        "dataset.validation_files=[\"held.jsonl\"]",
        "--out",
        "run",
        "--json",
    ])
    .done();
    assert_eq!(figures(&hub.place, &answer).1, 360);
    let asked = hub.server.asked();
    assert!(
        asked
            .iter()
            .all(|request| request.header("authorization") == Some("Bearer hf_secret"))
    );
    let sent = hub.server.sent();
    train(&["dataset.validation_files=[\"held.jsonl\"]", "--out", "again"]).done();
    assert_eq!(hub.server.sent(), sent, "nothing is fetched twice");
    let offline = [
        &SET[..],
        &["dataset.validation_files=[\"held.jsonl\"]", "--out", "offline"],
    ]
    .concat();
    Answer::of(hub.command(&offline).env("BURN_DRAGON_OFFLINE", "1")).done();
}

#[test]
fn what_a_hub_does_not_have_is_named_with_file_address_and_folder() {
    let hub = Hub::new();
    let train = |settings: &[&str], offline: bool| {
        let mut command = hub.command(&[settings, &["--out", "run"]].concat());
        if offline {
            command.env("BURN_DRAGON_OFFLINE", "1");
        }
        Answer::of(&mut command)
    };
    let folder = hub.place.path("models/models");
    let says = [
        "train-00.jsonl",
        "/datasets/owner/set/resolve/main/data",
        folder.to_str().unwrap(),
        "BURN_DRAGON_OFFLINE",
    ];
    train(&SET, true).refused(1, &says);
    let other = [&SET[..2], &["dataset.train_files=[\"none.jsonl\"]", SET[3]]].concat();
    train(&other, false).refused(1, &["none.jsonl"]);
    let climbing = [&SET[..2], &["dataset.train_files=[\"../x.jsonl\"]", SET[3]]].concat();
    train(&climbing, false).refused(2, &["../x.jsonl", "plain names"]);
}

#[test]
fn a_text_of_a_server_is_fetched_once() {
    let hub = Hub::new();
    let url = format!("dataset.url=\"{}\"", hub.server.url("/input.txt"));
    let train = |out: &str| {
        Answer::of(&mut hub.command(&["dataset.type=tiny_shakespeare", &url, "--out", out])).done()
    };
    train("run");
    let sent = hub.server.sent();
    train("again");
    assert_eq!(hub.server.sent(), sent);
}

#[test]
fn files_of_ids_are_trained_on() {
    let place = Place::new();
    let ids: Vec<u8> = (0..6000u32)
        .flat_map(|at| ((at * at % 50) as u16).to_le_bytes())
        .collect();
    place.write("ids.u16", &ids);
    let source = [
        "dataset.type=pretokenized",
        "dataset.paths=[\"ids.u16\"]",
        "dataset.tokenizer.type=ids",
    ];
    let train = |more: &[&str]| place.dragon(&[&["train"], &small()[..], &source, more].concat());
    let prompt = "generation.prompt=\"1 2\"";
    let answer = train(&[
        "dataset.tokenizer.vocab_size=50",
        prompt,
        "--out",
        "run",
        "--json",
    ])
    .done();
    assert!(answer.json()["val_bits_per_byte"].is_null(), "{}", answer.stdout);
    let small = ["dataset.tokenizer.vocab_size=40", prompt, "--out", "small"];
    train(&small).refused(2, &["outside the vocabulary of 40"]);
    place.write("odd.u16", &ids[1..]);
    let odd = [
        "dataset.tokenizer.vocab_size=50",
        prompt,
        "dataset.paths=[\"odd.u16\"]",
        "--out",
        "odd",
    ];
    train(&odd).refused(1, &["odd.u16", "multiple of 2"]);
}
