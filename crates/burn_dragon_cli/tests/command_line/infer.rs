//! `infer`: generation under the flags that BDH users know.

use crate::support::{Answer, Place};
use std::io::Read;
use std::process::Stdio;

fn infer(place: &Place, arguments: &[&str]) -> Answer {
    Answer::of(place.program("infer").args(arguments))
}

#[test]
fn it_writes_what_dragon_generate_writes() {
    let place = Place::trained();
    let drawing = [
        "--prompt",
        "Hugo",
        "--max-tokens",
        "30",
        "--temperature",
        "0.9",
        "--top-k",
        "20",
    ];
    let inferred = infer(
        &place,
        &[&["--checkpoint", "run", "--backend", "cpu"], &drawing[..]].concat(),
    )
    .done();
    let generated = place
        .dragon(&[&["generate", "run"], &drawing[..]].concat())
        .done();
    assert_eq!(inferred.stdout, generated.stdout);
    let streamed = infer(
        &place,
        &[&["--checkpoint", "run", "--streaming"], &drawing[..]].concat(),
    )
    .done();
    assert_eq!(streamed.stdout, generated.stdout);
}

#[test]
fn without_flags_it_continues_the_prompt_of_the_latest_run() {
    let place = Place::new();
    infer(&place, &[]).refused(1, &["runs/latest", "dragon train"]);
    place.train(&[]).done();
    let answer = infer(&place, &[]).done();
    assert!(
        answer.stdout.starts_with("Mira hid the red key under the mill."),
        "{}",
        answer.stdout
    );
}

#[test]
fn epoch_takes_the_checkpoint_of_a_step() {
    let place = Place::trained();
    let answer = infer(&place, &["--checkpoint", "run", "--epoch", "10"]).done();
    assert!(answer.stderr.contains("step 10"), "{}", answer.stderr);
    infer(&place, &["--checkpoint", "run", "--epoch", "3"]).refused(1, &["step 3", "10, 12"]);
}

#[test]
fn a_sliding_window_forgets_and_one_that_holds_everything_does_not() {
    let place = Place::new();
    // Large weights, so that what is remembered shows in what is written.
    place.train(&["model.init_std=0.3", "--out", "run"]).done();
    let greedy = [
        "--checkpoint",
        "run",
        "--prompt",
        "Hugo went away",
        "--temperature",
        "0",
        "--max-tokens",
        "30",
    ];
    let write = |context: &[&str]| infer(&place, &[&greedy[..], context].concat()).done().stdout;
    let infinite = write(&[]);
    assert_eq!(write(&["--context-mode", "infinite"]), infinite);
    assert_eq!(
        write(&["--context-mode", "sliding", "--context-window", "64"]),
        infinite
    );
    let narrow = write(&["--context-mode", "sliding", "--context-window", "1"]);
    assert!(
        narrow.starts_with("Hugo went away") && narrow != infinite,
        "{narrow}"
    );
    assert_eq!(write(&["--context-window", "1"]), narrow); // a window is asked for to be used
    let zero = [
        &greedy[..],
        &["--context-mode", "sliding", "--context-window", "0"],
    ]
    .concat();
    infer(&place, &zero).refused(2, &["window", "at least 1"]);
}

#[test]
fn a_configuration_file_gives_the_settings() {
    let place = Place::trained();
    place.write(
        "mine.toml",
        "[generation]\nprompt = \"Once\"\nmax_tokens = 5\ntemperature = 0.0\n",
    );
    let answer = infer(&place, &["--checkpoint", "run", "-c", "mine.toml"]).done();
    let typed = [
        "generate",
        "run",
        "--prompt",
        "Once",
        "--max-tokens",
        "5",
        "--temperature",
        "0",
    ];
    assert_eq!(answer.stdout, place.dragon(&typed).done().stdout);
}

#[test]
fn text_without_end_is_shown_as_it_comes_and_ends_with_its_reader() {
    let place = Place::trained();
    let mut command = place.program("infer");
    command.args(["--checkpoint", "run", "--prompt", "Hugo", "--max-tokens", "-1"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap(); // and drops the pipe
    assert!(some.starts_with(b"Hugo"));
    Answer::read(&child.wait_with_output().unwrap()).done();
}

#[test]
fn its_messages_call_it_by_its_name() {
    let place = Place::new();
    let answer = infer(&place, &["--bogus"]).refused(2, &["--bogus"]);
    assert!(
        answer.stderr.contains("Usage: infer [OPTIONS]"),
        "{}",
        answer.stderr
    );
}
