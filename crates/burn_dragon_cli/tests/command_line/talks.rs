//! Conversations and records as JSON lines: how they are recognised, where their tokens are kept, and the model files.

use crate::support::{Answer, Place, metrics, weights};
use crate::tuning::{READY, chats};
use serde_json::json;

/// A run of two steps on files.
const SHORT: &[&str] = &[
    "model.d_model=16",
    "model.n_neurons=64",
    "model.n_levels=2",
    "training.batch_size=2",
    "sequence.block_size=32",
    "training.max_steps=2",
    "schedule.warmup_steps=1",
    "evaluation.batches=1",
    "generation.max_tokens=8",
];

fn train(place: &Place, words: &[&str], more: &[&str]) -> Answer {
    place.dragon(&[&["train"], words, SHORT, more].concat())
}

fn settings(place: &Place, run: &str) -> String {
    std::fs::read_to_string(place.path(run).join("config.toml")).unwrap()
}

#[test]
fn a_file_of_conversations_trains_a_model_to_talk_to() {
    let place = Place::new();
    chats(&place, "talks.jsonl", 40);
    let answer = train(&place, &["talks.jsonl"], &["--out", "run"]).done();
    let said = "note   data is read as conversations in `messages`; as plain text: dataset.type=text";
    assert!(answer.stderr.contains(said), "{}", answer.stderr);
    for says in [
        "loss   on what the assistant writes",
        "now try\n",
        "dragon chat run\n",
        "samples answer \"System: Add.\\u{3}\\nUser: What is 36 and 1?\\u{3}\\nAssistant: \"",
    ] {
        assert!(answer.stdout.contains(says), "{says}: {}", answer.stdout);
    }
    let config = settings(&place, "run");
    for says in ["windows = \"document\"", "stop = [\"\"\"\n\\u0003\n\"\"\"]"] {
        assert!(config.contains(says), "{says}: {config}");
    }
    // The same as with the configuration written out, and with a file of another name.
    let spelt = [
        "dataset.type=records",
        "dataset.paths=talks.jsonl",
        "dataset.chat.messages=messages",
        "dataset.windows=document",
    ];
    train(&place, &[], &[&spelt[..], &["--out", "spelt"]].concat()).done();
    std::fs::copy(place.path("talks.jsonl"), place.path("talks.json")).unwrap();
    train(&place, &["talks.json"], &["--out", "other"]).done();
    for run in ["spelt", "other"] {
        assert_eq!(
            weights(&place.path("run"), 2),
            weights(&place.path(run), 2),
            "{run}"
        );
    }
    // Enter alone is no message.
    for (lines, said) in [(&b"Hi\n"[..], 1), (b"\n \nHi\n\n", 1), (b"Hi\nHi\n", 2)] {
        let words = ["chat", "run", "-n", "0", "--state-out", "a.state"];
        place.dragon_reads(&words, lines).done();
        let state = place
            .dragon(&["state", "info", "a.state", "--json"])
            .done()
            .json();
        assert_eq!(state["tokens"], said * TURN, "{lines:?}");
    }
}

/// Tokens of a turn in which the user says "Hi" and the model nothing.
const TURN: usize = "User: Hi\u{3}\nAssistant: \u{3}\n".len();

#[test]
fn a_configuration_of_conversations_takes_other_files() {
    let place = Place::new();
    chats(&place, "mine.jsonl", 20);
    let answer = train(&place, &["-c", READY, "mine.jsonl"], &["--out", "run"]).done();
    assert!(!answer.stderr.contains("data is read as"), "{}", answer.stderr);
    let config = settings(&place, "run");
    assert!(
        config.contains("mine.jsonl") && config.contains("[dataset.chat.template]"),
        "{config}"
    );
}

#[test]
fn json_lines_with_one_text_are_records_unless_plain_text_is_asked_for() {
    let place = Place::new();
    let line = |at: usize| format!("{}\n", json!({ "body": format!("Dragon {at} slept."), "n": at }));
    let lines: String = (10..60).map(line).collect();
    place.write("a.jsonl", &lines);
    let answer = train(&place, &["a.jsonl"], &["--dry-run"]).done();
    let said = "records with texts in `body`";
    assert!(answer.stderr.contains(said), "{}", answer.stderr);
    assert!(
        answer.stdout.contains("in 45 documents for training"),
        "{}",
        answer.stdout
    );
    let answer = train(&place, &["a.jsonl"], &["--dry-run", "dataset.type=text"]).done();
    assert!(!answer.stderr.contains(said), "{}", answer.stderr);
    assert!(
        answer.stdout.contains("in 1 document for training"),
        "{}",
        answer.stdout
    );
    let planned = place.dragon(&[&["plan", "a.jsonl"], SHORT].concat()).done();
    assert!(planned.stderr.contains(said), "{}", planned.stderr);
}

#[test]
fn json_that_can_be_read_in_several_ways_is_refused_with_the_setting() {
    let place = Place::new();
    place.write("book.txt", "One dragon went away.\n".repeat(60));
    chats(&place, "talks.jsonl", 20);
    let pair = json!({ "prompt": "What is 1 and 1?", "answer": "2" });
    place.write("pairs.jsonl", format!("{pair}\n").repeat(20));
    let shared = json!({ "conversations": [{ "from": "human", "value": "Hello" }] });
    place.write("shared.jsonl", format!("{shared}\n").repeat(20));
    place.write("array.json", format!("[{pair},\n{pair}]\n"));
    for (files, says) in [
        (
            &["pairs.jsonl"][..],
            &["pairs.jsonl", "`answer`, `prompt`", "dataset.text_fields='"][..],
        ),
        (&["shared.jsonl"], &["`from`, `value`", "`role`", "`content`"]),
        (&["array.json"], &["JSON lines", "jq -c", "dataset.type=text"]),
        (
            &["talks.jsonl", "book.txt"],
            &["plain text", "conversations", "mixture"],
        ),
    ] {
        train(&place, files, &["--out", "run"]).refused(2, says);
        assert!(!place.path("run").exists());
    }
    let fields = "dataset.text_fields=[\"prompt\", \"answer\"]";
    train(&place, &["pairs.jsonl", fields], &["--out", "run"]).done();
}

#[test]
fn conversations_in_a_cache_train_the_same_model() {
    let place = Place::new();
    chats(&place, "talks.jsonl", 40);
    train(&place, &["talks.jsonl"], &["--out", "memory"]).done();
    for run in ["written", "mapped"] {
        let answer = train(
            &place,
            &["talks.jsonl"],
            &["dataset.cache_dir=cache", "--out", run],
        )
        .done();
        assert!(
            answer.stdout.contains("loss   on what the assistant writes"),
            "{}",
            answer.stdout
        );
        assert_eq!(
            weights(&place.path("memory"), 2),
            weights(&place.path(run), 2),
            "{run}"
        );
        assert_eq!(metrics(&place.path("memory")), metrics(&place.path(run)), "{run}");
    }
    let judged = |run: &str| place.dragon(&["eval", run, "--json"]).done().json();
    let [memory, mapped] = ["memory", "mapped"].map(judged);
    for key in ["loss", "tokens", "bytes", "documents"] {
        assert_eq!(memory[key], mapped[key], "{key}");
    }
}

#[test]
fn what_a_model_learnt_is_in_every_form_of_its_file() {
    let place = Place::new();
    chats(&place, "talks.jsonl", 20);
    train(&place, &["talks.jsonl"], &["--out", "run"]).done();
    place.dragon(&["convert", "run", "a.safetensors"]).done();
    place.dragon(&["convert", "a.safetensors", "back.bpk"]).done();
    place.dragon(&["export", "run", "--output", "alone.bpk"]).done();
    for (a, b) in [
        ("run", "a.safetensors"),
        ("run", "back.bpk"),
        ("a.safetensors", "back.bpk"),
    ] {
        let difference = place.dragon(&["diff", a, b, "--json"]).done().json();
        let difference = &difference["difference"];
        assert_eq!(
            (&difference["equal"], &difference["info"]),
            (&true.into(), &json!([])),
            "{a} {b}"
        );
    }
    for model in ["run", "a.safetensors", "back.bpk", "alone.bpk"] {
        place.dragon(&["verify", model]).done();
        let info = place.dragon(&["info", model, "--json"]).done().json();
        let info = &info["info"];
        assert_eq!(info["chat_template"]["user"], "User: {content}\u{3}\n", "{model}");
        assert_eq!(info["text"], "conversations", "{model}");
        let chat = place
            .dragon_reads(&["chat", model, "-n", "2", "--state-out", "a.state"], b"Hi\n")
            .done();
        let state = place
            .dragon(&["state", "info", "a.state", "--json"])
            .done()
            .json();
        let turn = "User: Hi\u{3}\nAssistant: \u{3}\n".len() + 2;
        assert_eq!(state["tokens"], turn, "{model}: {}", chat.stderr);
    }
}
