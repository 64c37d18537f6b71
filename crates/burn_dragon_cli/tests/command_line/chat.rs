//! `dragon chat`: one text, whose memory lasts from line to line.

use crate::support::{Answer, Place};
use burn_dragon::api::expert::core::derive;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Greedy, so that a text says all about the memory that continues it.
const GREEDY: &[&str] = &["--temperature", "0", "--max-tokens", "6"];

/// A chat of lines: the small model was trained on tales, whose default mode is another.
fn chat(place: &Place, more: &[&str], input: &str) -> Answer {
    let words = [&["chat", "run", "--mode", "lines"], GREEDY, more].concat();
    place.dragon_reads(&words, input.as_bytes())
}

/// The model's lines.
fn answers(place: &Place, more: &[&str], input: &str) -> Vec<String> {
    let answer = chat(place, more, input).done();
    answer.stdout.lines().map(String::from).collect()
}

/// What the model writes after these bytes, up to a newline.
fn continuation(place: &Place, text: &[u8]) -> (String, Vec<u8>) {
    let ids: Vec<String> = text.iter().map(ToString::to_string).collect();
    let ids = ids.join(",");
    let words = [
        "generate",
        "run",
        "--json",
        "--stop",
        "\n",
        "--prompt-tokens",
        &ids,
    ];
    let answer = place.dragon(&[&words[..], GREEDY].concat()).done().json();
    let ids = answer["token_ids"].as_array().unwrap().iter();
    let bytes = ids
        .map(|id| u8::try_from(id.as_u64().unwrap()).unwrap())
        .collect();
    (answer["text"].as_str().unwrap().to_string(), bytes)
}

#[test]
fn a_chat_is_one_text_of_lines_in_turn() {
    let place = Place::remembering();
    let mut text = Vec::new();
    let lines = ["Hugo hid the red key.", "", "Where is it?", "And now?"];
    let expected: Vec<String> = lines
        .into_iter()
        .map(|line| {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
            let (answer, bytes) = continuation(&place, &text);
            text.extend(bytes);
            if text.last() != Some(&b'\n') {
                text.push(b'\n');
            }
            answer
        })
        .collect();
    let given = answers(&place, &[], &(lines.join("\n") + "\n"));
    assert_eq!(given, expected);
    assert!(
        expected.iter().any(|answer| answer != &expected[0]),
        "{expected:?}"
    );
}

#[test]
fn only_the_answers_are_on_standard_output_and_no_marks_are_made_for_a_script() {
    let place = Place::remembering();
    let answer = chat(&place, &[], "/help\nHugo\n/fork\n/fork a\n/fork\n//help").done(); // no newline at the end
    assert_eq!(answer.stdout.lines().count(), 2, "{}", answer.stdout);
    for said in [
        "/save FILE",
        "not trained to follow instructions",
        "no copies yet",
        "kept as a, ",
    ] {
        assert!(
            answer.stderr.contains(said),
            "`{said}` is not in: {}",
            answer.stderr
        );
    }
    assert!(!answer.stderr.contains("> "), "{}", answer.stderr);
    let none = place.dragon(&["chat", "run"]).done();
    assert_eq!(none.stdout, "");
    let help = place.dragon(&["chat", "--help"]).done().stdout;
    assert!(help.contains("not trained to follow instructions"), "{help}");
}

#[test]
fn a_fork_is_gone_back_to_as_often_as_one_likes() {
    let place = Place::remembering();
    let lines = "Hugo\n/fork here\nMira\nAda\n/fork here\nMira\nDora\n/fork here\nMira\n/fork\n";
    let said = answers(&place, &[], lines);
    let [_, mira, ada, again, dora, once_more] = said.try_into().unwrap();
    assert_eq!((&mira, &mira), (&again, &once_more));
    let plain = answers(&place, &[], "Hugo\nMira\nAda\n");
    assert_eq!(plain[1..], [mira, ada]);
    assert_eq!(answers(&place, &[], "Hugo\nMira\nDora\n")[2], dora);
}

#[test]
fn a_reset_forgets_everything() {
    let place = Place::remembering();
    let said = answers(&place, &[], "Hugo\nMira\n/reset\nHugo\n");
    assert_eq!(said[0], said[2]);
    assert_ne!(said[0], said[1], "there is nothing to forget");
}

#[test]
fn memory_lasts_from_one_chat_to_the_next() {
    let place = Place::remembering();
    let whole = answers(&place, &[], "Hugo\nMira\nAda\n");
    let out = ["--state-out", "a.state"];
    let first = answers(&place, &out, "Hugo\nMira\n");
    let then = answers(&place, &["--state-in", "a.state"], "Ada\n");
    assert_eq!([first, then].concat(), whole);
    // The commands do the same.
    answers(&place, &[], "Hugo\nMira\n/save b.state\nDora\n");
    assert_eq!(answers(&place, &[], "Dora\n/load b.state\nAda\n")[1], whole[2]);
    // What was heard at last is kept too, and so is a chat without a line.
    answers(
        &place,
        &["--state-in", "a.state", "--state-out", "c.state"],
        "/quit\nAda\n",
    );
    let diff = place.dragon(&["state", "diff", "a.state", "c.state", "--json"]);
    assert_eq!(diff.done().json()["same"], true);
}

#[test]
fn what_goes_wrong_with_a_line_does_not_end_the_chat() {
    let place = Place::remembering();
    place.write(
        "text.state",
        "Once upon a time there was a file that was no memory.\n".repeat(9),
    );
    let wrong = "/sing\n/save\n/load nowhere.state\n/load text.state\n/save no/where.state\n/reset now\n";
    let answer = chat(&place, &[], &format!("Hugo\n{wrong}Mira\n")).done();
    let errors = answer.stderr.lines().filter(|line| line.starts_with("error:"));
    assert_eq!(errors.count(), 6, "{}", answer.stderr);
    for part in [
        "no command /sing",
        "needs a file",
        "nowhere.state",
        "text.state",
        "no/where.state",
    ] {
        assert!(
            answer.stderr.contains(part),
            "`{part}` is not in: {}",
            answer.stderr
        );
    }
    let said: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!(said, answers(&place, &[], "Hugo\nMira\n"));
}

#[test]
fn a_sliding_context_is_kept_with_the_memory() {
    let place = Place::remembering();
    let window = ["--context-window", "8"];
    let whole = answers(&place, &window, "Hugo hid a red key.\nMira\nAda\n");
    answers(
        &place,
        &[&window[..], &["--state-out", "a.state"]].concat(),
        "Hugo hid a red key.\nMira\n",
    );
    let info = place
        .dragon(&["state", "info", "a.state", "--json"])
        .done()
        .json();
    assert_eq!(
        (&info["sliding"]["window"], &info["streams"]),
        (&8.into(), &1.into())
    );
    assert_eq!(info["positions"].as_array().unwrap().len(), 2);
    for flags in [
        &["--state-in", "a.state"][..],
        &["--state-in", "a.state", "--context-window", "8"],
    ] {
        assert_eq!(answers(&place, flags, "Ada\n"), whole[2..]);
    }
    let other = ["--state-in", "a.state", "--context-window", "9"];
    chat(&place, &other, "").refused(2, &["--context-window", "leave it out"]);
    // What is older than two windows is forgotten.
    let late = "0123456789abcdef";
    let after = |first: &str| answers(&place, &window, &format!("{first}\n{late}\n{late}\n"))[2].clone();
    assert_eq!(
        after("Hugo hid a red key."),
        after("Dora hid a tan cap.."[..19].into())
    );
}

/// Drawn, so that seed and repetition penalty show.
const DRAWN: &[&str] = &[
    "chat",
    "run",
    "--mode",
    "lines",
    "--temperature",
    "1",
    "--repetition-penalty",
    "1.6",
    "--max-tokens",
    "16",
];

fn drawn(place: &Place, more: &[&str], input: &str) -> Vec<String> {
    let answer = place
        .dragon_reads(&[DRAWN, more].concat(), input.as_bytes())
        .done();
    answer.stdout.lines().map(String::from).collect()
}

#[test]
fn an_answer_is_a_function_of_the_seed_and_the_text_so_far() {
    let place = Place::remembering();
    let said = drawn(
        &place,
        &["--seed", "1"],
        "Hugo\n/reset\nHugo\nHugo\n/reset\n/seed 2\nHugo\n",
    );
    let other = drawn(&place, &["--seed", "2"], "Hugo\n");
    assert_eq!((&said[0], &said[3]), (&said[1], &other[0]));
    assert!(said[0] != said[2] && said[0] != other[0], "{said:?}");
    // Each place in the text draws by a seed of its own, of the tokens that were read up to there.
    drawn(&place, &["--seed", "1", "--state-out", "a.state"], "Hugo\n");
    let info = place
        .dragon(&["state", "info", "a.state", "--json"])
        .done()
        .json();
    let tokens = info["tokens"].as_u64().unwrap() + 5;
    let seed = derive(1, "chat", tokens, 0).to_string();
    let words = [
        "--state-in",
        "a.state",
        "--prompt",
        "Hugo\n",
        "--stop",
        "\n",
        "--seed",
        &seed,
    ];
    let answer = place.dragon(&[&["generate", "run"], &DRAWN[4..], &words, &["--json"]].concat());
    assert_eq!(answer.done().json()["text"], said[2]);
}

#[test]
fn a_chat_that_stopped_goes_on_as_one_that_never_did() {
    let place = Place::remembering();
    let lines = ["Hugo hid a red key.", "", "Mira", "Ada", "Where is it?"];
    let typed = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    for context in [&[][..], &["--context-window", "9"]] {
        let whole = drawn(&place, context, &typed(&lines));
        for at in 1..lines.len() {
            let (first, then) = lines.split_at(at);
            let keep = [context, &["--state-out", "a.state"]].concat();
            assert_eq!(drawn(&place, &keep, &typed(first)), whole[..at]);
            assert_eq!(
                drawn(&place, &["--state-in", "a.state"], &typed(then)),
                whole[at..]
            );
            // The commands do the same, whatever was said before.
            let saved = typed(first) + "/save b.state\n/fork here\nDora\n/fork here\n" + &typed(then);
            let said = drawn(&place, context, &saved);
            assert_eq!((&said[..at], &said[at + 1..]), (&whole[..at], &whole[at..]));
            let loaded = "Hugo\nDora\n/load b.state\n".to_string() + &typed(then);
            assert_eq!(drawn(&place, &[], &loaded)[2..], whole[at..]);
        }
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_memory() {
    let place = Place::remembering();
    let mut command = place.program("dragon");
    command
        .args(["chat", "run", "--mode", "lines", "--state-out", "a.state"])
        .args(GREEDY);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap(); // stays open: the chat waits for a line
    input.write_all(b"Hugo\n").unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut byte = [0];
    while byte != *b"\n" {
        out.read_exact(&mut byte).unwrap(); // the answer
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let answer = Answer::read(&child.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(130), "{}", answer.stderr);
    drop(input);
    answers(&place, &["--state-out", "b.state"], "Hugo\n");
    let diff = place.dragon(&["state", "diff", "a.state", "b.state", "--json"]);
    assert_eq!(diff.done().json()["same"], true);
}
