//! Prompts: shown as they were given, read in pieces, broken off and gone on with.

use crate::support::{Answer, Place};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

/// Longer than any machine reads in the time to the first word of progress.
fn novel() -> String {
    "Hugo hid the red key under the mill. ".repeat(800_000)
}

/// Starts a program, lets it read from a file, and stops it with Ctrl-C when it says how far it is.
fn stopped(place: &Place, arguments: &[&str], file: &str) -> Answer {
    let input = std::fs::File::open(place.path(file)).unwrap();
    let mut command = place.program("dragon");
    command.args(arguments);
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(" tokens read, ") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "{said}");
    }
    interrupt(&child);
    lines.read_to_string(&mut said).unwrap();
    let mut answer = Answer::read(&child.wait_with_output().unwrap());
    answer.stderr = said;
    answer
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
}

/// The numbers in the line that says how far a text was read.
fn extent(answer: &Answer) -> (usize, usize) {
    let line = answer
        .stderr
        .lines()
        .find(|line| line.starts_with("interrupted: "))
        .unwrap();
    let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1])
}

fn tokens(place: &Place, state: &str) -> Value {
    place.dragon(&["state", "info", state, "--json"]).done().json()["tokens"].clone()
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_a_prompt_is_read_keeps_what_was_read_and_the_rest_goes_on_as_if_nothing_had_been() {
    let place = Place::remembering();
    let text = novel();
    place.write("novel.txt", &text);
    let drawing = [
        "--temperature",
        "1",
        "--repetition-penalty",
        "1.5",
        "--max-tokens",
        "12",
        "--json",
    ];
    let generate = |more: &[&str], input: &str| {
        let words = [&["generate", "run", "-"], &drawing[..], more].concat();
        place.dragon_reads(&words, input.as_bytes()).done().json()
    };
    let words = [
        &["generate", "run", "-"],
        &drawing[..],
        &["--state-out", "part.state"],
    ]
    .concat();
    let answer = stopped(&place, &words, "novel.txt");
    assert_eq!(answer.code, Some(130), "{}", answer.stderr);
    let (read, of) = extent(&answer);
    assert!(0 < read && read < of && of == text.len(), "{}", answer.stderr);
    let said = answer.json();
    for (key, value) in [
        ("interrupted", Value::from(true)),
        ("prompt_tokens", of.into()),
        ("prompt_tokens_read", read.into()),
        ("tokens_read", read.into()),
        ("text", "".into()),
    ] {
        assert_eq!(said[key], value, "{key}");
    }
    assert_eq!(answer.stdout.lines().count(), 1, "{}", answer.stdout);
    assert_eq!(tokens(&place, "part.state"), read);
    // The memory is that of the prompt up to there, bit for bit, and the rest of a text is read as if at once.
    let keep = [
        "generate",
        "run",
        "-",
        "--max-tokens",
        "0",
        "--state-out",
        "whole.state",
    ];
    place.dragon_reads(&keep, &text.as_bytes()[..read]).done();
    let diff = place.dragon(&["state", "diff", "part.state", "whole.state", "--json"]);
    assert_eq!(diff.done().json()["same"], true);
    let whole = generate(&[], &text[..read + 3000]);
    let rest = generate(&["--state-in", "part.state"], &text[read..read + 3000]);
    assert_eq!(rest["token_ids"], whole["token_ids"]);
    assert_eq!(rest["tokens_read"], whole["tokens_read"]);
    assert_eq!(
        (&rest["prompt_tokens_read"], &rest["interrupted"]),
        (&3000.into(), &false.into())
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_a_line_of_a_chat_is_read_keeps_what_was_read() {
    let place = Place::trained();
    place.write("novel.txt", novel());
    let answer = stopped(&place, &["chat", "run", "--state-out", "part.state"], "novel.txt");
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (Some(130), ""),
        "{}",
        answer.stderr
    );
    let (read, of) = extent(&answer);
    assert!(0 < read && read < of, "{}", answer.stderr);
    assert_eq!(tokens(&place, "part.state"), read);
}

#[test]
fn a_short_prompt_is_read_without_a_word() {
    let place = Place::trained();
    let text = "Hugo hid the red key. ".repeat(300);
    for words in [
        &["generate", "run", "--prompt", &text][..],
        &["infer", "--checkpoint", "run", "--prompt", &text],
    ] {
        let answer = place.dragon(words).done();
        assert!(!answer.stderr.contains("tokens read, "), "{}", answer.stderr);
    }
}

#[test]
fn a_prompt_is_shown_as_it_was_given() {
    let place = Place::new();
    place.write("text.txt", "abcdefghij ".repeat(300));
    let char = [
        "dataset.tokenizer.type=char",
        "generation.prompt=abc",
        "--out",
        "run",
    ];
    place.train_on("text.txt", &char).done();
    let given = "a\u{e9}Z \u{1f409}b"; // most of it unknown to the model
    for (program, more) in [
        ("dragon", &["generate", "run"][..]),
        ("dragon", &["generate", "run", "--streaming"]),
        ("infer", &["--checkpoint", "run"]),
        ("infer", &["--checkpoint", "run", "--streaming"]),
    ] {
        let words = [
            more,
            &["--prompt", given, "--max-tokens", "3", "--temperature", "0"],
        ]
        .concat();
        let answer = Answer::of(place.program(program).args(words)).done();
        assert!(answer.stdout.starts_with(given), "{more:?}: {}", answer.stdout);
    }
    // Bytes that are no text are given back as they are.
    let place = Place::trained();
    let given = b"\xffA\xc3\x00";
    let mut command = place.program("dragon");
    command.args(["generate", "run", "-", "--max-tokens", "0"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(given).unwrap();
    assert_eq!(
        child.wait_with_output().unwrap().stdout,
        [&given[..], b"\n"].concat()
    );
}
