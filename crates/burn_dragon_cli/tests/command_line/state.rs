//! Memory as a file: `--state-in`, `--state-out`, `dragon state`.

use crate::support::{Place, flip_a_byte};
use burn::tensor::Device;
use burn_dragon::api::expert::checkpoint::TensorFile;
use burn_dragon::api::language::LanguageState;
use serde_json::Value;

const GREEDY: &[&str] = &["--temperature", "0", "--max-tokens", "6", "--json"];
const NOVEL: &str = "Hugo hid the red key under the mill.";

fn generate(place: &Place, more: &[&str]) -> Value {
    place
        .dragon(&[&["generate", "run"], GREEDY, more].concat())
        .done()
        .json()
}

/// A place where the novel has been read into `novel.state`, and nothing written.
fn read() -> Place {
    let place = Place::remembering();
    let read = [
        "--prompt",
        NOVEL,
        "--max-tokens",
        "0",
        "--state-out",
        "novel.state",
    ];
    let words = [&["generate", "run", "--json"], &read[..]].concat();
    assert_eq!(place.dragon(&words).done().json()["tokens_read"], NOVEL.len());
    place
}

fn info(place: &Place, file: &str) -> Value {
    place.dragon(&["state", "info", file, "--json"]).done().json()
}

#[test]
fn a_text_read_once_is_continued_by_many_without_being_read_again() {
    let place = read();
    for question in [" Who took it?", " Mira", "!"] {
        let whole = generate(&place, &["--prompt", &format!("{NOVEL}{question}")]);
        let from = generate(&place, &["--state-in", "novel.state", "--prompt", question]);
        assert_eq!(from["token_ids"], whole["token_ids"]);
        assert_eq!(from["tokens_read"], whole["tokens_read"]);
    }
    let other = generate(&place, &["--prompt", " Mira"]);
    let from = generate(&place, &["--state-in", "novel.state", "--prompt", " Mira"]);
    assert_ne!(
        from["token_ids"], other["token_ids"],
        "there is nothing to remember"
    );
}

#[test]
fn a_prompt_in_two_parts_is_the_same_prompt_under_every_option() {
    let place = Place::remembering();
    let text = format!("{NOVEL} Dora thanked Mira for it.");
    for option in [
        &["--repetition-penalty", "2.5"][..],
        &["--repetition-penalty", "0.4", "--temperature", "0"],
        &["--temperature", "0.7", "--seed", "3"],
        &["--top-k", "4"],
        &["--top-p", "0.4"],
        &["--stop", "e", "--stop", "\u{fffd}"],
    ] {
        let temperature = match option.contains(&"--temperature") {
            true => &[][..],
            false => &["--temperature", "1"],
        };
        let words = ["generate", "run", "--json", "--max-tokens", "12"];
        let option = [&words[..], temperature, option].concat();
        let run = |more: &[&str]| place.dragon(&[&option[..], more].concat()).done().json();
        let whole = run(&["--prompt", &text]);
        for at in [1, 16, 36, text.len() - 1] {
            let (first, then) = text.split_at(at);
            let keep = [
                "generate",
                "run",
                "--max-tokens",
                "0",
                "--state-out",
                "part.state",
            ];
            place.dragon(&[&keep[..], &["--prompt", first]].concat()).done();
            place
                .dragon(&["state", "rebase", "part.state", "--out", "zero.state"])
                .done();
            for state in ["part.state", "zero.state"] {
                let part = run(&["--state-in", state, "--prompt", then]);
                for key in ["text", "token_ids", "stopped", "tokens_read"] {
                    assert_eq!(part[key], whole[key], "{option:?} {at} {state}");
                }
            }
        }
    }
}

#[test]
fn a_memory_knows_which_tokens_it_has_seen() {
    let place = read();
    let distinct: std::collections::BTreeSet<u8> = NOVEL.bytes().collect();
    assert_eq!(
        info(&place, "novel.state")["seen"],
        Value::from(vec![distinct.len()])
    );
    let more = ["--state-in", "novel.state", "--prompt", "XX", "--max-tokens", "0"];
    let words = [&["generate", "run"], &more[..], &["--state-out", "more.state"]].concat();
    place.dragon(&words).done();
    let diff = |a: &str, b: &str| place.dragon(&["state", "diff", a, b, "--json"]).done().json();
    let apart = diff("novel.state", "more.state");
    assert_eq!(apart["same_seen"], false);
    assert_eq!(
        apart["seen"],
        Value::from(vec![vec![distinct.len()], vec![distinct.len() + 1]])
    );
    // The same memory of which something else was seen goes on with another text: it is not the same.
    let mut file = LanguageState::read(&place.path("novel.state"), &Device::flex()).unwrap();
    file.seen[0].insert(b'X'.into());
    file.write(&place.path("other.state")).unwrap();
    let other = diff("novel.state", "other.state");
    assert_eq!(
        (&other["same"], &other["same_seen"]),
        (&false.into(), &false.into())
    );
    place
        .dragon(&["state", "rebase", "novel.state", "--out", "zero.state"])
        .done();
    assert_eq!(
        info(&place, "zero.state")["seen"],
        Value::from(vec![distinct.len()])
    );
    let person = place
        .dragon(&["state", "diff", "novel.state", "more.state"])
        .done()
        .stdout;
    let said = format!(
        "{} and {} different tokens, of which the other has not seen 0 and 1",
        distinct.len(),
        distinct.len() + 1
    );
    assert!(person.contains(&said), "{person}");
}

#[test]
fn a_memory_from_before_it_knew_that_is_refused_with_the_way_out() {
    let place = read();
    let path = place.path("novel.state");
    let mut old = TensorFile::read(&path).unwrap();
    old.metadata.insert("format".into(), "burn_dragon.state/1".into());
    old.tensors.remove("seen");
    old.write(&path).unwrap();
    for words in [
        &["generate", "run", "--state-in", "novel.state", "--prompt", "x"][..],
        &["chat", "run", "--state-in", "novel.state"],
        &["state", "info", "novel.state"],
        &["verify", "novel.state"],
    ] {
        let answer = place.dragon(words);
        assert_eq!(answer.code, Some(3), "{}", answer.stderr);
        let said = answer.stdout + &answer.stderr;
        assert!(
            said.contains("burn_dragon.state/1") && said.contains("read the text again"),
            "{said}"
        );
    }
}

#[test]
fn what_was_written_is_in_the_memory_too() {
    let place = read();
    let both = ["--state-in", "novel.state", "--state-out", "next.state"];
    let first = generate(&place, &[&both[..], &["--prompt", " Mira"]].concat());
    assert_eq!(first["tokens_read"], NOVEL.len() + 5 + 6);
    let ids = first["token_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap() as u8);
    let text: Vec<u8> = NOVEL
        .bytes()
        .chain(" Mira".bytes())
        .chain(ids)
        .chain(" Ada".bytes())
        .collect();
    let ids: Vec<String> = text.iter().map(ToString::to_string).collect();
    let whole = generate(&place, &["--prompt-tokens", &ids.join(",")]);
    let from = generate(&place, &["--state-in", "next.state", "--prompt", " Ada"]);
    assert_eq!(from["token_ids"], whole["token_ids"]);
}

#[test]
fn a_state_needs_a_token_to_go_on_from() {
    let place = read();
    for prompt in [&[][..], &["--prompt", ""]] {
        let words = ["generate", "run", "--state-in", "novel.state"];
        let answer = place.dragon(&[&words, prompt].concat());
        answer.refused(2, &["holds what was read", "at least one token"]);
    }
}

#[test]
fn info_says_what_is_in_a_memory_and_whose_it_is() {
    let place = read();
    let info = info(&place, "novel.state");
    for (key, value) in [
        ("tokens", NOVEL.len().into()),
        ("positions", vec![NOVEL.len()].into()),
        ("streams", 1.into()),
        ("shape", vec![1, 4, 16, 16].into()),
        ("bytes", (4 * 2 * 64 * 16).into()),
        ("precision", "f32".into()),
        ("sliding", Value::Null),
    ] {
        assert_eq!(info[key], value, "{key}");
    }
    assert_eq!(info["config"]["n_levels"], 2);
    for hash in ["model", "tokenizer"] {
        assert_eq!(info[hash].as_str().unwrap().len(), 64);
    }
    for level in 0..2 {
        assert!(info["norms"][level][0].as_f64().unwrap() > 0.0);
        let ranks = info["effective_ranks"][level][0].as_array().unwrap();
        assert_eq!(ranks.len(), 4);
        assert!(
            ranks
                .iter()
                .all(|rank| (1.0..=16.0).contains(&rank.as_f64().unwrap()))
        );
    }
    let person = place.dragon(&["state", "info", "novel.state"]).done().stdout;
    for part in [
        "position 36",
        "2 levels",
        "f32",
        "infinite",
        "effective rank",
        info["model"].as_str().unwrap(),
    ] {
        assert!(person.contains(part), "`{part}` is not in: {person}");
    }
}

#[test]
fn a_rebased_memory_is_at_position_0_and_answers_as_before() {
    let place = read();
    place
        .dragon(&["state", "rebase", "novel.state", "--out", "zero.state"])
        .done();
    let zero = info(&place, "zero.state");
    assert_eq!(
        (&zero["positions"], &zero["tokens"]),
        (&vec![0].into(), &NOVEL.len().into())
    );
    let [a, b] = ["novel.state", "zero.state"]
        .map(|file| generate(&place, &["--state-in", file, "--prompt", " Mira"])["token_ids"].clone());
    assert_eq!(a, b);
    let diff = place.dragon(&["state", "diff", "novel.state", "zero.state", "--json"]);
    let diff = diff.done().json();
    assert_eq!(
        (&diff["same"], &diff["same_model"]),
        (&false.into(), &true.into())
    );
    assert_eq!(diff["positions"], Value::from(vec![vec![36], vec![0]]));
    for level in 0..2 {
        assert!(
            diff["distances_rebased"][level][0].as_f64().unwrap() < 1e-5,
            "{diff}"
        );
        assert!(
            diff["distances_as_stored"][level][0].as_f64().unwrap() > 0.1,
            "{diff}"
        );
    }
}

#[test]
fn diff_says_how_far_two_memories_are_apart() {
    let place = read();
    let more = [
        "--state-in",
        "novel.state",
        "--prompt",
        " Mira",
        "--state-out",
        "more.state",
    ];
    generate(&place, &more);
    let diff = |a: &str, b: &str| {
        let diff = place.dragon(&["state", "diff", a, b, "--json"]).done().json();
        let level = |level: usize| diff["distances_rebased"][level][0].as_f64().unwrap();
        (diff["same"].clone(), level(0), level(1))
    };
    assert_eq!(diff("novel.state", "novel.state"), (true.into(), 0.0, 0.0));
    let (same, first, second) = diff("novel.state", "more.state");
    assert!(same == false && first > 0.01 && second > 0.01, "{first} {second}");
    let person = place
        .dragon(&["state", "diff", "novel.state", "more.state"])
        .done()
        .stdout;
    assert!(
        person.contains("different") && person.contains("36 and 47"),
        "{person}"
    );
    // Of another shape.
    place.train(&["model.n_levels=3", "--out", "deep"]).done();
    let deep = [
        "generate",
        "deep",
        "--state-out",
        "deep.state",
        "--max-tokens",
        "1",
    ];
    place.dragon(&deep).done();
    let answer = place.dragon(&["state", "diff", "novel.state", "deep.state"]);
    answer.refused(3, &["novel.state", "deep.state", "cannot be compared"]);
}

#[test]
fn bf16_halves_the_file() {
    let place = read();
    let half = [
        "--prompt",
        NOVEL,
        "--state-out",
        "half.state",
        "--state-precision",
        "bf16",
        "--max-tokens",
        "0",
    ];
    place.dragon(&[&["generate", "run"], &half[..]].concat()).done();
    let size = |file| std::fs::metadata(place.path(file)).unwrap().len();
    assert!(size("half.state") < size("novel.state") * 7 / 10);
    assert_eq!(info(&place, "half.state")["precision"], "bf16");
    generate(&place, &["--state-in", "half.state", "--prompt", " Mira"]);
    // A rebased one stays as small.
    place
        .dragon(&["state", "rebase", "half.state", "--out", "zero.state"])
        .done();
    assert_eq!(info(&place, "zero.state")["precision"], "bf16");
    let alone = place.dragon(&["generate", "run", "--state-precision", "bf16"]);
    alone.refused(2, &["--state-precision", "--state-out"]);
    let wrong = place.dragon(&[
        "generate",
        "run",
        "--state-out",
        "a.state",
        "--state-precision",
        "f16",
    ]);
    wrong.refused(2, &["f16", "f32 or bf16"]);
}

#[test]
fn a_memory_that_is_damaged_or_foreign_is_refused_with_the_reason() {
    let place = read();
    place
        .train(&["model.init_std=0.3", "training.seed=7", "--out", "other"])
        .done();
    place.train(&["model.d_model=32", "--out", "wide"]).done();
    let whole = std::fs::read(place.path("novel.state")).unwrap();
    place.write("cut.state", &whole[..whole.len() / 2]);
    place.write("flipped.state", &whole);
    flip_a_byte(&place.path("flipped.state"));
    place.write("text.state", NOVEL.repeat(30));
    std::fs::copy(
        place.path("run/checkpoint/step-000012/model.bpk"),
        place.path("model.state"),
    )
    .unwrap();
    let mut three = LanguageState::read(&place.path("novel.state"), &Device::flex()).unwrap();
    three.state = three.state.select_lanes(&[0, 0, 0]).unwrap();
    three.seen = vec![three.seen[0].clone(); 3];
    three.write(&place.path("three.state")).unwrap();
    for (model, file, says) in [
        ("run", "cut.state", &["corrupt"][..]),
        ("run", "flipped.state", &["blake3"]),
        ("run", "text.state", &["not what it should be"]),
        (
            "run",
            "model.state",
            &["burn_dragon.model/2", "burn_dragon.state/3"],
        ),
        ("run", "three.state", &["number of its streams is 3", "must be 1"]),
        (
            "other",
            "novel.state",
            &["the model that wrote it", "read the text again"],
        ),
        (
            "wide",
            "novel.state",
            &["shape of its model", "width 16", "width 32"],
        ),
    ] {
        for verb in ["generate", "chat"] {
            let answer = place.dragon(&[verb, model, "--state-in", file]);
            answer.refused(3, &[&[file], says].concat());
        }
    }
    for file in ["cut.state", "flipped.state", "text.state", "model.state"] {
        place.dragon(&["state", "info", file]).refused(3, &[file]);
        place
            .dragon(&["state", "rebase", file, "--out", "new.state"])
            .refused(3, &[file]);
        place
            .dragon(&["state", "diff", "novel.state", file])
            .refused(3, &[file]);
    }
    assert!(!place.path("new.state").exists());
    place
        .dragon(&["state", "info", "nowhere.state"])
        .refused(1, &["nowhere.state"]);
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_anything_is_read() {
    let place = read();
    for verb in ["generate", "chat"] {
        let nowhere = place.dragon(&[verb, "run", "--state-out", "no/where.state"]);
        nowhere.refused(1, &["no/where.state", "no folder no"]);
        place
            .dragon(&[verb, "run", "--state-out", "run"])
            .refused(2, &["--state-out run", "folder"]);
    }
}

/// A memory is of one checkpoint: what wrote it and what was given are named by step and run.
#[test]
fn a_memory_of_another_step_is_refused_with_both_steps() {
    let place = Place::trained();
    let words = ["--prompt", "Mira", "--max-tokens", "4", "--temperature", "0"];
    let saved = [
        &["generate", "run", "--step", "10"],
        &words[..],
        &["--state-out", "a.state"],
    ]
    .concat();
    place.dragon(&saved).done();
    let read = [&["generate", "run"], &words[..], &["--state-in", "a.state"]].concat();
    place.dragon(&read).refused(
        3,
        &[
            "step 10 of the run run",
            "step 12 of the run run",
            "read the text again",
        ],
    );
    let info = place
        .dragon(&["state", "info", "a.state", "--json"])
        .done()
        .json();
    assert_eq!(
        (&info["written_by"]["step"], &info["written_by"]["run"]),
        (&10.into(), &"run".into())
    );
}
