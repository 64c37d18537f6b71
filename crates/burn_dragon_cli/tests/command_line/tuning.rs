//! Fine-tuning: runs that start from a model, and frozen parameters.

use crate::support::{Place, checkpoint, losses, weights};
use burn_dragon::api::checkpoint::ModelFile;
use serde_json::{Value, json};

/// The settings of a short run on the tales, without those of its model.
const TALES: &[&str] = &[
    "dataset.train_bytes=40000",
    "dataset.validation_tales=8",
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

fn from(place: &Place, model: &str, more: &[&str]) -> crate::support::Answer {
    place.dragon(&[&["train", "--init-from", model], TALES, more].concat())
}

fn run_json(place: &Place, run: &str) -> Value {
    let text = std::fs::read_to_string(place.path(run).join("run.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn evaluations(place: &Place, run: &str) -> Vec<(u64, f64)> {
    losses(&place.path(run), "evaluation")
}

/// The figures of the last evaluation of a run are those of the first of the next, with every form of its model.
#[test]
fn a_run_starts_where_the_model_was_whatever_file_holds_it() {
    let place = Place::trained();
    let whole = evaluations(&place, "run").last().unwrap().1;
    place.dragon(&["convert", "run", "official.safetensors"]).done();
    let folder = "run/checkpoint/step-000012";
    let file = format!("{folder}/model.bpk");
    for (index, model) in ["run", folder, &file, "official.safetensors"].iter().enumerate() {
        let out = format!("run{index}");
        let answer = from(&place, model, &["--out", &out]).done();
        assert!(
            answer
                .stdout
                .contains(&format!("from   the weights of {model}, step 12")),
            "{}",
            answer.stdout
        );
        let (step, loss) = evaluations(&place, &out)[0];
        assert_eq!((step, loss.to_bits()), (0, whole.to_bits()), "{model}");
        let origin = &run_json(&place, &out)["initial_model"];
        let hash = ModelFile::read(&place.path(&file)).unwrap().hash();
        assert_eq!(
            (&origin["model"], &origin["step"]),
            (&Value::from(*model), &Value::from(12))
        );
        assert_eq!(origin["sha256"], hash);
        let settings = std::fs::read_to_string(place.path(&out).join("config.toml")).unwrap();
        assert!(
            settings.contains("d_model = 16\n") && settings.contains("n_levels = 2\n"),
            "{settings}"
        );
        assert_ne!(weights(&place.path(&out), 12), weights(&place.path("run"), 12));
    }
}

#[test]
fn the_optimiser_begins_anew_and_steps_are_counted_from_0() {
    let place = Place::trained();
    let again = ["training.seed=1337", "--out"];
    from(&place, "run", &[&again[..], &["a"]].concat()).done();
    let state = std::fs::read_to_string(checkpoint(&place.path("a"), 12).join("trainer.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!((&state["step"], &state["units"]), (&12.into(), &(12 * 64).into()));
    // Equal settings and weights give equal bits, whatever the model's own run has behind it.
    std::fs::copy(
        checkpoint(&place.path("run"), 12).join("model.bpk"),
        place.path("alone.bpk"),
    )
    .unwrap();
    from(&place, "alone.bpk", &[&again[..], &["c"]].concat()).done();
    assert_eq!(weights(&place.path("a"), 12), weights(&place.path("c"), 12));
}

#[test]
fn a_setting_that_disagrees_with_the_model_is_refused_before_data_is_read() {
    let place = Place::trained();
    let nothing = ["dataset.type=text", "dataset.paths=nothing.txt"];
    let refused = |setting: &str, says: &[&str]| {
        let mut words = vec!["train", "--init-from", "run", "--out", "second"];
        words.extend(nothing);
        words.push(setting);
        place.dragon(&words).refused(2, says);
        assert!(!place.path("second").exists());
    };
    refused(
        "model.d_model=32",
        &["model.d_model is 32", "command line", "run has 16"],
    );
    refused("model.decay.type=standard", &["model.decay", "run has none"]);
    refused(
        "dataset.tokenizer.type=char",
        &["dataset.tokenizer.type is char", "run has byte"],
    );
    place.write("shape.toml", "[model]\nn_levels = 3\n");
    place
        .dragon(&[
            "train",
            "--init-from",
            "run",
            "-c",
            "shape.toml",
            "--out",
            "second",
        ])
        .refused(2, &["model.n_levels is 3", "shape.toml:2", "run has 2"]);
    // What acts in training alone may be another.
    from(&place, "run", &["model.dropout=0.1", "--out", "second"]).done();
    let both = place.dragon(&["train", "--init-from", "run", "--resume", "run"]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
    from(&place, "nowhere", &[]).refused(1, &["nowhere"]);
}

#[test]
fn a_tokenizer_that_was_made_of_a_text_is_taken_over_to_another_text() {
    let place = Place::new();
    place.write("a.txt", "the dragon went up the hill\n".repeat(60));
    place.write("b.txt", "the dead oar went out to the deep end\n".repeat(40));
    place
        .train_on(
            "a.txt",
            &[
                "dataset.tokenizer.type=char",
                "generation.prompt=the",
                "--out",
                "run",
            ],
        )
        .done();
    let mut words = vec![
        "train",
        "--init-from",
        "run",
        "b.txt",
        "--out",
        "second",
        "generation.prompt=the",
    ];
    words.extend(TALES.iter().filter(|word| !word.starts_with("dataset.")));
    place.dragon(&words).done();
    let tokenizer = |run: &str| std::fs::read(place.path(run).join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer("run"), tokenizer("second"));
    let settings = std::fs::read_to_string(place.path("second/config.toml")).unwrap();
    assert!(settings.contains("type = \"char\""), "{settings}");
}

#[test]
fn a_run_that_started_from_a_model_resumes_without_it() {
    let place = Place::trained();
    from(&place, "run", &["--out", "second"]).done();
    std::fs::rename(place.path("run"), place.path("gone")).unwrap();
    place
        .dragon(&["train", "--resume", "second", "--max-steps", "16"])
        .done();
    assert_eq!(run_json(&place, "second")["initial_model"]["model"], "run");
    std::fs::remove_dir_all(place.path("second/checkpoint")).unwrap();
    std::fs::create_dir(place.path("second/checkpoint")).unwrap();
    place
        .dragon(&["train", "--resume", "second"])
        .refused(2, &["before its first checkpoint", "--init-from run"]);
}

#[test]
fn what_is_frozen_keeps_its_bits_and_the_run_says_how_much_is_trained() {
    let place = Place::trained();
    let freeze = "training.freeze=[\"embed\", \"lm_*\"]";
    let answer = from(&place, "run", &[freeze, "ema.decay=0.5", "--out", "second"]).done();
    // Embedding and readout have 256 x 16 values each.
    let says = "train  3072 of 11264 parameters; frozen: embed, lm_head";
    assert!(
        answer.stdout.replace(',', "").contains(&says.replace(',', "")),
        "{}",
        answer.stdout
    );
    let (before, after) = (
        weights(&place.path("run"), 12),
        weights(&place.path("second"), 12),
    );
    for (name, bits) in &before {
        assert_eq!(
            after[name] == *bits,
            ["embed", "lm_head"].contains(&name.as_str()),
            "{name}"
        );
    }
    place.dragon(&["verify", "second"]).done();
    place
        .dragon(&["train", "--resume", "second", "--max-steps", "16"])
        .done();
    assert_eq!(weights(&place.path("second"), 16)["embed"], before["embed"]);
    place
        .dragon(&[
            "train",
            "--resume",
            "second",
            "--max-steps",
            "20",
            "training.freeze=[]",
        ])
        .refused(2, &["training.freeze"]);
    let refused = |list: &str, says: &[&str]| {
        from(
            &place,
            "run",
            &[&format!("training.freeze={list}")[..], "--out", "third"],
        )
        .refused(2, says);
        assert!(!place.path("third").exists());
    };
    refused(
        "[\"embd\"]",
        &["training.freeze", "`embd`", "did you mean `embed`?", "lm_head"],
    );
    refused("[\"*\"]", &["training.freeze", "all of them are frozen"]);
}

/// Conversations of questions and answers, one a line.
pub(crate) fn chats(place: &Place, name: &str, count: usize) {
    let line = |at: usize| {
        let messages = json!([
            { "role": "system", "content": "Add." },
            { "role": "user", "content": format!("What is {at} and 1?") },
            { "role": "assistant", "content": format!("It is {}.", at + 1) },
            { "role": "user", "content": "Thanks." },
            { "role": "assistant", "content": "Any time." },
        ]);
        format!("{}\n", json!({ "messages": messages, "id": at }))
    };
    place.write(name, (0..count).map(line).collect::<String>());
}

pub(crate) const READY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../config/language/finetune_chat.toml"
);

#[test]
fn the_ready_configuration_tunes_a_model_to_conversations() {
    let place = Place::trained();
    chats(&place, "chats.jsonl", 40);
    let small = [
        "sequence.block_size=32",
        "training.batch_size=2",
        "evaluation.batches=1",
        "generation.max_tokens=8",
    ];
    let mut words = vec![
        "train",
        "-c",
        READY,
        "--init-from",
        "run",
        "--out",
        "tuned",
        "--max-steps",
        "6",
        "--json",
    ];
    words.extend(small);
    let answer = place.dragon(&words).done();
    let json = answer.json();
    // A conversation has two answers: "It is N." or "It is NN.", "Any time.", each with U+0003 and a line end.
    let of = |at: usize| format!("It is {}.", at + 1).len() + 2 + "Any time.".len() + 2;
    let (train, held_out): (usize, usize) = ((0..36).map(of).sum(), (36..40).map(of).sum());
    assert_eq!(json["train_tokens_with_loss"], train);
    assert_eq!(json["validation_tokens_with_loss"], held_out);
    assert!(
        answer.stderr.contains("on what the assistant writes"),
        "{}",
        answer.stderr
    );

    let judged = place.dragon(&["eval", "tuned", "--json"]).done().json();
    assert_eq!(
        (&judged["tokens"], &judged["bytes"]),
        (&held_out.into(), &held_out.into())
    );
    assert_eq!(judged["loss"], json["val_loss"]);

    // The template goes where the model goes.
    place.dragon(&["export", "tuned", "--output", "alone.bpk"]).done();
    for model in ["tuned", "alone.bpk"] {
        let info = place.dragon(&["info", model, "--json"]).done().json();
        let template = &info["info"]["chat_template"];
        assert_eq!(
            template["assistant"], "Assistant: {content}\u{3}\n",
            "{model}: {info}"
        );
        place.dragon(&["verify", model]).done();
    }
    a_chat_speaks_the_template(&place, "alone.bpk");
    let said = place.dragon(&["info", "alone.bpk"]).done().stdout;
    assert!(said.contains("with the roles assistant, system, user"), "{said}");

    place
        .dragon(&[
            "train",
            "--resume",
            "tuned",
            "--max-steps",
            "9",
            "dataset.chat.mask=all",
        ])
        .refused(2, &["dataset.chat.mask", "the data of the run has changed"]);
    place
        .dragon(&["train", "--resume", "tuned", "--max-steps", "9"])
        .done();
}

/// A chat with a model of conversations is the text of the template, an answer that was cut off included; without a template
/// there is no such mode.
fn a_chat_speaks_the_template(place: &Place, model: &str) {
    let greedy = ["--temperature", "0", "--max-tokens", "3"];
    let chat = ["chat", model, "--state-out", "chat.state"];
    place
        .dragon_reads(&[&chat[..], &greedy].concat(), b"What is 1 and 1?\nThanks.\n")
        .done();

    let mut text = String::new();
    for line in ["What is 1 and 1?", "Thanks."] {
        text += &format!("User: {line}\u{3}\nAssistant: ");
        let words = ["generate", model, "-", "--json", "--stop", "\u{3}\n"];
        let answer = place
            .dragon_reads(&[&words[..], &greedy].concat(), text.as_bytes())
            .done();
        text += answer.json()["text"].as_str().unwrap();
        text += "\u{3}\n";
    }
    let read = [
        "generate",
        model,
        "-",
        "--max-tokens",
        "0",
        "--state-out",
        "read.state",
    ];
    place.dragon_reads(&read, text.as_bytes()).done();
    let state = |name: &str| place.dragon(&["state", "info", name, "--json"]).done().json();
    assert_eq!(
        state("chat.state")["tokens"],
        state("read.state")["tokens"],
        "{text:?}"
    );
    let diff = ["state", "diff", "chat.state", "read.state", "--json"];
    let diff = place.dragon(&diff).done().json();
    assert_eq!(diff["same_seen"], true, "{diff}");
    for level in diff["distances_as_stored"].as_array().unwrap() {
        for distance in level.as_array().unwrap() {
            assert!(distance.as_f64().unwrap() < 1e-4, "{diff}");
        }
    }

    place
        .dragon_reads(&["chat", "run", "--mode", "messages"], b"")
        .refused(2, &["no chat template", "`continue` or `lines`"]);
}

#[test]
fn with_the_mask_of_all_every_token_has_a_loss() {
    let place = Place::trained();
    chats(&place, "chats.jsonl", 40);
    let words = [
        "train",
        "-c",
        READY,
        "--init-from",
        "run",
        "--out",
        "tuned",
        "--max-steps",
        "2",
        "--json",
    ];
    let more = [
        "sequence.block_size=32",
        "evaluation.batches=1",
        "generation.max_tokens=8",
        "dataset.chat.mask=all",
    ];
    let json = place.dragon(&[&words[..], &more].concat()).done().json();
    let judged = place.dragon(&["eval", "tuned", "--json"]).done().json();
    // All but the first of each of the four held-out conversations.
    let held_out = json["validation_tokens_with_loss"].as_u64().unwrap();
    assert_eq!(judged["tokens"], held_out - 4);
}

#[test]
fn a_record_that_is_no_conversation_is_named_with_what_is_wrong() {
    let place = Place::new();
    let refused = |line: &str, more: &[&str], code: i32, says: &[&str]| {
        let good =
            r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#;
        place.write("chats.jsonl", format!("{good}\n{line}\n"));
        let mut words = vec!["train", "-c", READY, "--out", "tuned"];
        words.extend(more);
        place.dragon(&words).refused(code, says);
        assert!(!place.path("tuned").exists());
    };
    let with = |messages: &str| format!(r#"{{"messages": {messages}}}"#);
    refused(
        r#"{"text": "a"}"#,
        &[],
        3,
        &["record 2", "no field `messages`", "it has text"],
    );
    refused(&with(r#""a""#), &[], 3, &["record 2", "`messages` is not a list"]);
    refused(
        &with(r#"[{"role": "user"}]"#),
        &[],
        3,
        &["record 2", "message 1", "`content`"],
    );
    refused(
        &with(r#"[{"role": "tool", "content": "a"}, {"role": "assistant", "content": "b"}]"#),
        &[],
        3,
        &["record 2", "no role `tool`", "assistant, system, user"],
    );
    refused(
        &with(r#"[{"role": "assistant", "content": "a\u0003\nUser: b"}]"#),
        &[],
        3,
        &["record 2", "`assistant`", "which ends it"],
    );
    refused(
        &with(r#"[{"role": "user", "content": "a"}]"#),
        &[],
        3,
        &["record 2", "no message of `assistant`", "dataset.chat.mask"],
    );
    let good = with(r#"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]"#);
    for (setting, says) in [
        ("dataset.one_document=true", "chat"),
        ("dataset.template={text}", "template"),
        ("dataset.chat.template.user=no place", "{content} in it once"),
        ("dataset.chat.mask=user", "`assistant`"),
    ] {
        refused(&good, &[setting], 2, &[says]);
    }
}
