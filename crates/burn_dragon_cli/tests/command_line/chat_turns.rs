//! `dragon chat`: turns that are taken back, the two modes, and lines that are not read.

use crate::support::{Answer, Place};

const GREEDY: &[&str] = &["chat", "run", "--temperature", "0", "--max-tokens", "6"];

fn chat(place: &Place, more: &[&str], input: impl AsRef<[u8]>) -> Answer {
    place.dragon_reads(&[GREEDY, more].concat(), input.as_ref())
}

/// The memory after a chat, as the bytes of its file.
fn memory(place: &Place, more: &[&str], input: impl AsRef<[u8]>) -> Vec<u8> {
    chat(place, &[&["--state-out", "end.state"], more].concat(), input).done();
    std::fs::read(place.path("end.state")).unwrap()
}

#[test]
fn an_undo_leaves_the_bits_of_a_chat_without_the_turn() {
    let place = Place::remembering();
    for mode in ["lines", "continue"] {
        let mode = ["--mode", mode];
        let without = memory(&place, &mode, "Hugo hid\nMira hid\n");
        for with in [
            "Hugo hid\nDora\n/undo\nMira hid\n",
            "Hugo hid\nMira hid\nDora\nAda\n/undo\n/undo\n",
            "Dora\n/undo\nHugo hid\nAda\nDora\n/undo\n/undo\nMira hid\n",
        ] {
            assert_eq!(memory(&place, &mode, with), without, "{with}");
        }
        assert_ne!(memory(&place, &mode, "Hugo hid\nDora\nMira hid\n"), without);
        // What was said after the undo is what would have been said.
        let said = |input: &str| chat(&place, &mode, input).done().stdout;
        let [plain, undone] = ["Hugo\nMira\n", "Hugo\nDora\n/undo\nMira\n"].map(said);
        let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
        assert_eq!(lines(&plain)[1..], lines(&undone)[2..]);
    }
}

#[test]
fn commands_that_change_the_memory_are_taken_back_too() {
    let place = Place::remembering();
    let expected = memory(&place, &[], "Hugo hid\n");
    memory(&place, &[], "Ada\n/save other.state\n");
    for command in ["/reset", "/load other.state", "/fork empty"] {
        let input = format!("/fork empty\nHugo hid\n{command}\n/undo\n");
        assert_eq!(memory(&place, &[], input), expected, "{command}");
        let kept = format!("/fork empty\nHugo hid\n{command}\n");
        assert_ne!(memory(&place, &[], kept), expected, "{command}");
    }
    let answer = chat(&place, &[], "/undo\nHugo\n/undo\n/undo\n").done();
    let said = answer.stderr.matches("there is no turn to take back").count();
    assert_eq!(said, 2, "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .contains("took back `Hugo`; the memory has 0 tokens"),
        "{}",
        answer.stderr
    );
    // A line that cannot be continued leaves nothing: here no text at all.
    let empty = chat(&place, &[], "\n/history\n").done();
    assert!(
        empty.stderr.contains("prompt is empty") && empty.stderr.contains("no turns yet"),
        "{}",
        empty.stderr
    );
}

#[test]
fn the_history_shows_the_turns_that_were_not_taken_back() {
    let place = Place::remembering();
    let answer = chat(&place, &[], "Hugo\nMira\n/undo\n/history\n").done();
    let said = answer.stdout.lines().next().unwrap();
    let shown: Vec<&str> = answer
        .stderr
        .lines()
        .skip_while(|line| !line.contains("> Hugo"))
        .collect();
    assert!(
        shown[0].contains(" tokens  > Hugo") && shown[1].trim() == said.trim(),
        "{}",
        answer.stderr
    );
    assert!(!answer.stderr.contains("> Mira"), "{}", answer.stderr);
}

#[test]
fn a_run_on_tales_continues_a_line_without_a_newline() {
    let place = Place::remembering();
    let greedy = ["generate", "run", "--temperature", "0", "--max-tokens", "6"];
    let stops = ["--stop", ".", "--stop", "!", "--stop", "?", "--stop", "\n"];
    let first = place.dragon(&[&greedy[..], &stops, &["--json", "Hugo hid"]].concat());
    let first = first.done().json()["text"].as_str().unwrap().to_string();
    let said = chat(&place, &[], "Hugo hid\n").done().stdout;
    assert!(said.starts_with(&first), "{first:?} {said:?}");
    assert_eq!(
        said,
        chat(&place, &["--mode", "continue"], "Hugo hid\n").done().stdout
    );
    assert_ne!(
        said,
        chat(&place, &["--mode", "lines"], "Hugo hid\n").done().stdout
    );
    // The file knows it too, wherever it is, in every form.
    let file = "run/checkpoint/step-000012/model.bpk";
    std::fs::copy(place.path(file), place.path("alone.bpk")).unwrap();
    place.dragon(&["convert", "run", "alone.safetensors"]).done();
    for model in ["alone.bpk", "alone.safetensors"] {
        let words = [&["chat", model], &GREEDY[2..]].concat();
        assert_eq!(
            place.dragon_reads(&words, b"Hugo hid\n").done().stdout,
            said,
            "{model}"
        );
    }
    // The same text in one line or two, and an empty line goes on.
    let parts = ["--max-tokens", "0"];
    let alone = |input: &str| {
        let words = ["chat", "run", "--temperature", "0"];
        let out = ["--state-out", "a.state"];
        place
            .dragon_reads(&[&words[..], &parts, &out].concat(), input.as_bytes())
            .done();
        place
            .dragon(&["state", "info", "a.state", "--json"])
            .done()
            .json()["tokens"]
            .clone()
    };
    assert_eq!(alone("Hugo\n"), 4);
    assert_eq!(alone("Hugo\nhid\n"), 8); // with a space between the words
    assert_eq!(alone("Hugo\n hid\n"), 8);
    assert_eq!(alone("Hugo\n, who\n"), 9);
    assert_eq!(alone("Hugo\n\n"), 4);
    assert_eq!(alone("/mode lines\nHugo\n/mode continue\nhid\n"), 8); // the newline separates
}

#[test]
fn a_run_on_a_text_answers_lines() {
    let place = Place::new();
    place.write(
        "text.txt",
        "One dragon went away.\nTwo dragons stayed.\n".repeat(60),
    );
    place
        .train_on("text.txt", &["--out", "run", "model.init_std=0.3"])
        .done();
    let lines = memory(&place, &["--mode", "lines"], "Hugo hid\n");
    assert_eq!(memory(&place, &[], "Hugo hid\n"), lines);
    assert_ne!(memory(&place, &["--mode", "continue"], "Hugo hid\n"), lines);
    place
        .dragon(&["chat", "run", "--mode", "poem"])
        .refused(2, &["poem", "continue", "lines"]);
}

#[test]
fn a_memory_of_the_other_mode_is_noted() {
    let place = Place::remembering();
    let opened = |written: &str, read: &str| {
        memory(&place, &["--mode", written], "Hugo hid\n");
        chat(
            &place,
            &["--state-in", "end.state", "--mode", read],
            "/load end.state\n",
        )
        .done()
        .stderr
    };
    assert_eq!(
        opened("lines", "continue")
            .matches("/mode lines continues it")
            .count(),
        2
    );
    assert_eq!(
        opened("continue", "lines")
            .matches("/mode continue continues it")
            .count(),
        2
    );
    assert!(!opened("lines", "lines").contains("note:"));
    assert!(!opened("continue", "continue").contains("note:"));
}

#[test]
fn control_characters_are_not_read() {
    let place = Place::remembering();
    let expected = memory(&place, &[], "Hugo hid\nMira\n");
    let input = b"Hugo hid\n\x1b[A\nMira\x7f\n\0\nMi\rra\n\xc2\x9bA\n/fork \x1b\nMira\n";
    let answer = chat(&place, &["--state-out", "end.state"], input).done();
    assert_eq!(std::fs::read(place.path("end.state")).unwrap(), expected);
    let errors: Vec<&str> = answer
        .stderr
        .lines()
        .filter(|line| line.starts_with("error:"))
        .collect();
    assert_eq!(errors.len(), 6, "{}", answer.stderr);
    assert!(errors[0].contains("U+001B at byte 1"), "{}", errors[0]);
    assert!(errors[1].contains("U+007F at byte 5"), "{}", errors[1]);
    // A tab is text, and so are bytes that are no text.
    for text in [&b"Hugo\thid\n"[..], b"\xff\xfe\n"] {
        assert!(!chat(&place, &[], text).done().stderr.contains("error:"));
    }
}

#[test]
fn a_text_longer_than_those_of_the_training_is_warned_about_once() {
    let place = Place::remembering();
    let line = "0123456789 ".repeat(2); // the windows of the small model have 32 tokens
    let warned = |more: &[&str], input: &str| {
        let answer = chat(&place, more, input).done();
        let warnings = answer
            .stderr
            .lines()
            .filter(|line| line.contains("was trained on up to 32"));
        warnings.map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(warned(&[], &format!("{line}\n")).len(), 0);
    let long = warned(&[], &format!("{line}\n{line}\n{line}\n"));
    assert_eq!(long.len(), 1, "{long:?}");
    assert!(
        long[0].contains("sequence.block_size") && long[0].contains("now holds 5"),
        "{long:?}"
    );
    // A window that forgets is never longer.
    assert_eq!(
        warned(&["--context-window", "16"], &format!("{line}\n{line}\n{line}\n")).len(),
        0
    );
}
