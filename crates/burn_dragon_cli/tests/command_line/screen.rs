//! `dragon train --tui` in a pseudo-terminal, and without one.

use crate::support::{Place, assert_same_run, checkpoint};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A program on a terminal of its own.
struct OnTerminal {
    child: Child,
    terminal: File,
    before: Termios,
    seen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

const SCREEN: &str = "\u{1b}[?1049h";
const LINES: &str = "\u{1b}[?1049l";
const CURSOR: &str = "\u{1b}[?25h";

impl OnTerminal {
    /// Starts `dragon train --tui` with the keys pressed already.
    fn start(place: &Place, arguments: &[&str], (columns, rows): (u16, u16), keys: &str) -> Self {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).unwrap();
        let before = tcgetattr(&pair.slave).unwrap();
        let end = |slave: &OwnedFd| Stdio::from(slave.try_clone().unwrap());
        let mut command: Command = place.program("dragon");
        let words = [
            &Place::training(arguments)[..],
            &["--tui", "training.max_steps=300"],
        ]
        .concat();
        command.args(words).env("TERM", "xterm");
        command
            .stdin(end(&pair.slave))
            .stdout(end(&pair.slave))
            .stderr(end(&pair.slave));
        let mut terminal = File::from(pair.master);
        terminal.write_all(keys.as_bytes()).unwrap();
        let child = command.spawn().unwrap();
        drop((command, pair.slave));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, theirs) = (terminal.try_clone().unwrap(), Arc::clone(&seen));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It is an error when the last end is closed.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                theirs.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            child,
            terminal,
            before,
            seen,
            reader,
        }
    }

    fn press(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// Waits until this was drawn.
    #[track_caller]
    fn until(&self, part: &str) {
        let patience = Instant::now() + Duration::from_secs(60);
        let is_drawn = |text: &str| match part.starts_with('\u{1b}') {
            true => text.contains(part),
            false => squeezed(text).contains(&squeezed(part)),
        };
        while !is_drawn(&self.text()) {
            assert!(
                Instant::now() < patience,
                "still waiting for {part}:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end, at which the terminal is as it was. Returns the exit code, what was drawn, and what was written
    /// after the screen.
    #[track_caller]
    fn ended(mut self) -> (Option<i32>, String, String) {
        let code = self.child.wait().unwrap().code();
        let mode = tcgetattr(&self.terminal).unwrap();
        assert_eq!(mode.local_flags, self.before.local_flags, "the mode is restored");
        assert_eq!(mode.output_flags, self.before.output_flags);
        drop(self.terminal);
        self.reader.join().unwrap();
        let text = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
        assert!(!text.contains("panicked at"), "{text}");
        let (drawn, after) = text
            .rsplit_once(LINES)
            .unwrap_or_else(|| panic!("no end of the screen: {text}"));
        let (_, drawn) = drawn
            .rsplit_once(SCREEN)
            .unwrap_or_else(|| panic!("no screen: {text}"));
        assert!(
            drawn.contains(CURSOR) || after.contains(CURSOR),
            "the cursor is hidden: {text}"
        );
        (code, drawn.into(), after.into())
    }
}

/// Text without control sequences and blanks: only cells that change are drawn, and a blank seldom does.
fn squeezed(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_string();
    let rest = parts.map(|part| {
        part.split_once(|c: char| c.is_ascii_alphabetic())
            .map_or("", |(_, text)| text)
    });
    let all = first + &rest.collect::<String>();
    all.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn keys_pause_save_and_sample_and_the_run_has_the_bits_of_one_without_a_screen() {
    let place = Place::new();
    let mut run = OnTerminal::start(&place, &["--out", "shown"], (80, 24), "p");
    run.until("paused");
    let steps = || std::fs::read_to_string(place.path("shown/metrics.jsonl")).unwrap();
    let before = steps();
    run.press("sg");
    run.until("is being saved");
    run.until(" at step "); // the title of the sample, which had no step
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(steps(), before, "a pause takes no steps");
    run.press("p");
    let (code, drawn, after) = run.ended();
    assert_eq!(code, Some(0), "{after}");
    for part in ["active neurons", "loss", "tok/s", "p pause"] {
        assert!(squeezed(&drawn).contains(&squeezed(part)), "{part}: {drawn}");
    }
    // What was told on the screen is in the lines after it, and so is the result.
    for part in ["held-out sample", "is being saved", "the run is in shown"] {
        assert!(after.contains(part), "{part}: {after}");
    }
    place.train(&["training.max_steps=300", "--out", "plain"]).done();
    assert_same_run(&place.path("shown"), &place.path("plain"), 300);
}

#[test]
fn quitting_saves_with_the_code_of_an_interruption() {
    for key in ["q", "\u{3}"] {
        let place = Place::new();
        let mut run = OnTerminal::start(&place, &["--out", "run"], (80, 24), "p");
        run.until("paused");
        run.press(key);
        let (code, _, after) = run.ended();
        assert_eq!(code, Some(130), "{after}");
        assert!(after.contains("interrupted"), "{after}");
        place.dragon(&["train", "--resume", "run"]).done();
        assert!(checkpoint(&place.path("run"), 300).is_dir());
    }
}

#[test]
fn signals_restore_the_terminal_the_first_and_the_second() {
    let place = Place::new();
    let run = OnTerminal::start(&place, &["--out", "a"], (80, 24), "p");
    run.until("paused");
    run.signal("-TERM");
    let (code, _, after) = run.ended();
    assert_eq!(code, Some(130), "{after}");
    assert!(after.contains("interrupted"), "{after}");
    // The second one ends it at once, in the middle of a long step.
    let long = ["model.n_neurons=262144", "sequence.block_size=128", "--out", "b"];
    let run = OnTerminal::start(&place, &long, (80, 24), "");
    run.until(SCREEN);
    run.signal("-TERM");
    std::thread::sleep(Duration::from_millis(500));
    run.signal("-TERM");
    assert_eq!(run.ended().0, Some(130));
}

#[test]
fn an_error_restores_the_terminal_and_is_read_after_it() {
    let place = Place::new();
    let run = OnTerminal::start(
        &place,
        &["optimizer.learning_rate=1e30", "--out", "run"],
        (80, 24),
        "",
    );
    let (code, _, after) = run.ended();
    assert_eq!(code, Some(1), "{after}");
    assert!(after.contains("error:"), "{after}");
}

#[test]
fn a_terminal_of_any_size_will_do() {
    for size in [(10, 3), (1, 1), (0, 0), (300, 100)] {
        let place = Place::new();
        let (code, _, after) = OnTerminal::start(&place, &["--out", "run"], size, "?").ended();
        assert_eq!(code, Some(0), "{size:?}: {after}");
    }
}

#[test]
fn without_a_terminal_there_are_a_sentence_and_lines() {
    let place = Place::new();
    let told = place.train(&["--tui", "--out", "run"]).done();
    assert!(told.stderr.contains("must be a terminal"), "{}", told.stderr);
    assert!(!told.stderr.contains('\u{1b}'), "{}", told.stderr);
    let lines = told.stderr.lines().filter(|line| line.contains("/12  loss"));
    assert_eq!(lines.count(), 6, "{}", told.stderr);
}
