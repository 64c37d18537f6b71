//! `dragon chat` and `dragon generate` on a terminal: the lines are edited, and keys never reach the memory.
//!
//! The terminal is one of Python's module `pty`; without a `python3` these tests say that they were skipped.

use crate::support::Place;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a program on a terminal. Each step waits for a text, then types: `WAIT<TAB>TYPED`, in Python's notation for both.
/// Prints all that the terminal showed, and ends with the program's exit code.
const TERMINAL: &str = r#"
import os, pty, re, select, sys, time
steps = [line.split("\t") for line in sys.argv[1].split("\n") if line]
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown, seen = b"", 0
def more(until):
    global shown
    end = time.time() + 60
    while not until():
        if time.time() > end:
            sys.stdout.buffer.write(shown)
            sys.exit("still waiting")
        ready, _, _ = select.select([fd], [], [], 1)
        if ready:
            try:
                data = os.read(fd, 65536)
            except OSError:
                return False
            if not data:
                return False
            shown += data
    return True
for wait, typed in steps:
    wait, typed = [eval("b'" + part + "'") for part in (wait, typed)]
    if not more(lambda: wait in shown[seen:]):
        break
    seen = shown.index(wait, seen) + len(wait)
    time.sleep(0.2)
    os.write(fd, typed)
more(lambda: False) if steps else None
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

/// What a terminal showed.
struct Shown {
    text: String,
    code: Option<i32>,
}

/// Runs `dragon` on a terminal with colours, typing as the steps say; `None` without Python.
fn on_terminal(place: &Place, steps: &[(&str, &str)], arguments: &[&str]) -> Option<Shown> {
    on_terminal_with(place, steps, arguments, ("NO_COLOR", ""))
}

/// The same with a variable of the environment.
fn on_terminal_with(
    place: &Place,
    steps: &[(&str, &str)],
    arguments: &[&str],
    (name, value): (&str, &str),
) -> Option<Shown> {
    let typed: Vec<String> = steps
        .iter()
        .map(|(wait, typed)| format!("{wait}\t{typed}"))
        .collect();
    let mut command = Command::new("python3");
    command.current_dir(place.path("."));
    command.args(["-c", TERMINAL, &typed.join("\n"), env!("CARGO_BIN_EXE_dragon")]);
    command.args(arguments);
    command.env("XDG_STATE_HOME", place.path("state"));
    command.env("TERM", "xterm").env(name, value);
    let Ok(Output {
        status,
        stdout,
        stderr,
    }) = command.output()
    else {
        println!("skipped: there is no python3 to open a terminal with");
        return None;
    };
    let shown = Shown {
        text: String::from_utf8_lossy(&stdout).into_owned(),
        code: status.code(),
    };
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(
        complaint.is_empty() && !shown.text.contains("panicked at"),
        "{complaint} {}",
        shown.text
    );
    Some(shown)
}

const CHAT: &[&str] = &[
    "chat",
    "run",
    "--temperature",
    "0",
    "-n",
    "6",
    "--state-out",
    "a.state",
];

/// What the editor sends when it begins to read a line: from now on pasted text is marked.
const READY: &str = "\\x1b[?2004h";

const UP: &str = "\\x1b[A";

fn saved(place: &Place, state: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(place.path(state)).unwrap()
}

/// The memory after the same lines from a pipe.
fn piped(place: &Place, lines: &str) -> Vec<u8> {
    let words = [&CHAT[..CHAT.len() - 1], &["b.state"]].concat();
    place.dragon_reads(&words, lines.as_bytes()).done();
    saved(place, "b.state")
}

#[test]
fn up_recalls_a_line_and_no_key_reaches_the_memory() {
    let place = Place::remembering();
    let steps = [
        (READY, "Hugo hid\\r"),
        (READY, &format!("{UP}\\r")),                     // the same line again
        (READY, "Mirb\\x7fa\\r"),                         // a letter that is deleted
        (READY, "ida\\x1b[D\\x1b[D\\x1b[DAd\\x1b[3~\\r"), // arrows and Delete: Ada
        (READY, "\\x04"),
    ];
    let Some(shown) = on_terminal(&place, &steps, CHAT) else {
        return;
    };
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    assert_eq!(
        saved(&place, "a.state"),
        piped(&place, "Hugo hid\nHugo hid\nMira\nAdda\n")
    );
    // The next chat recalls the lines of this one, and without a history none.
    let history = std::fs::read_to_string(place.path("state/burn_dragon/chat_history")).unwrap();
    assert!(
        history.contains("Hugo hid") && history.contains("Mira"),
        "{history}"
    );
    let recall = [(READY, &*format!("{UP}{UP}\\r")), (READY, "\\x04")];
    on_terminal(&place, &recall, CHAT);
    assert_eq!(saved(&place, "a.state"), piped(&place, "Mira\n"));
    let none = [(READY, &*format!("{UP}Dora\\r")), (READY, "\\x04")];
    on_terminal(&place, &none, &[CHAT, &["--no-history"]].concat());
    assert_eq!(saved(&place, "a.state"), piped(&place, "Dora\n"));
    let after = std::fs::read_to_string(place.path("state/burn_dragon/chat_history")).unwrap();
    assert!(!after.contains("Dora"), "{after}");
}

#[test]
fn ctrl_c_clears_the_line_and_stops_an_answer() {
    let place = Place::remembering();
    let steps = [
        (READY, "Dora\\x03"),
        ("/quit ends the chat", "Hugo hid\\r"),
        (READY, "\\x04"),
    ];
    let Some(shown) = on_terminal(&place, &steps, CHAT) else {
        return;
    };
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    assert_eq!(saved(&place, "a.state"), piped(&place, "Hugo hid\n"));
    // An answer without an end; after the stop the chat goes on without the lines that came meanwhile, and the turn can be
    // taken back.
    let endless = [
        "chat",
        "run",
        "--stop",
        "\u{3b1}\u{3b2}",
        "-n",
        "100000000",
        "--state-out",
        "a.state",
    ];
    let steps = [
        (READY, "Hugo hid\\rMira\\r"),
        ("\\n", "Ada\\r\\x03"),
        ("stopping", ""),
        (READY, "/undo\\r"),
        ("took back", ""),
        (READY, "\\x04"),
    ];
    let Some(shown) = on_terminal(&place, &steps, &endless) else {
        return;
    };
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    assert!(shown.text.contains("the memory has 0 tokens"), "{}", shown.text);
}

/// Lines that came before they were asked for: pasted together, or typed while an answer was being written.
#[test]
fn lines_that_arrive_together_are_all_read() {
    let place = Place::remembering();
    let steps = [
        (READY, "Hugo hid\\rMira\\rAda\\r"),
        (READY, ""),
        (READY, ""),
        (READY, "\\x04"),
    ];
    let Some(shown) = on_terminal(&place, &steps, CHAT) else {
        return;
    };
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    assert_eq!(saved(&place, "a.state"), piped(&place, "Hugo hid\nMira\nAda\n"));
    // An answer of this length, whatever the model writes.
    let long = [
        "chat",
        "run",
        "--stop",
        "\u{3b1}\u{3b2}",
        "-n",
        "3000",
        "--state-out",
    ];
    let steps = [
        (READY, "Hugo hid\\r"),
        ("\\n", "Mira\\rAda\\r"),
        (READY, ""),
        (READY, ""),
        (READY, "\\x04"),
    ];
    let words = |out| [&long[..], &[out]].concat();
    let shown = on_terminal(&place, &steps, &words("a.state")).unwrap();
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    let lines = b"Hugo hid\nMira\nAda\n";
    place.dragon_reads(&words("b.state"), lines).done();
    assert_eq!(saved(&place, "a.state"), saved(&place, "b.state"));
}

#[test]
fn a_control_character_that_is_typed_on_purpose_is_refused() {
    let place = Place::remembering();
    let steps = [
        (READY, "Hugo\\x16\\x1b hid\\r"),
        ("control character", ""),
        (READY, "Mira\\r"),
        (READY, "\\x04"),
    ];
    let Some(shown) = on_terminal(&place, &steps, CHAT) else {
        return;
    };
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    assert_eq!(saved(&place, "a.state"), piped(&place, "Mira\n"));
}

#[test]
fn a_prompt_is_dim_on_a_terminal_and_plain_in_a_pipe() {
    let place = Place::remembering();
    let words = ["generate", "run", "--temperature", "0", "-n", "4", "Hugo hid"];
    let piped = place.dragon(&words).done().stdout;
    assert!(piped.starts_with("Hugo hid"), "{piped}");
    for streaming in [&[][..], &["--streaming"]] {
        let words = [&words[..], streaming].concat();
        let shown = |variable| on_terminal_with(&place, &[("model", "")], &words, variable);
        let Some(coloured) = shown(("NO_COLOR", "")) else {
            return;
        };
        assert!(
            coloured.text.contains("\u{1b}[2mHugo hid\u{1b}[0m"),
            "{}",
            coloured.text
        );
        for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let plain = shown(variable).unwrap().text;
            assert!(
                plain.contains("Hugo hid") && !plain.contains("\u{1b}[2m"),
                "{plain}"
            );
        }
        assert_eq!(place.dragon(&words).done().stdout, piped);
    }
}
