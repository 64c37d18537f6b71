//! The terminal as a screen, and as it was before.

use burn_dragon_train::api::Interrupt;
use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::termion::cursor;
use ratatui::termion::raw::{IntoRawMode, RawTerminal};
use ratatui::termion::screen::{ToAlternateScreen, ToMainScreen};
use std::io::{self, IsTerminal, Stderr, Write};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Terminal that is drawn on. Lines of other programs and results never go there: standard error is drawn on.
pub(super) type Screen = Terminal<TermionBackend<Stderr>>;

/// The terminal's mode before the screen; `None` while there is no screen. Its drop restores the mode.
static HELD: Mutex<Option<RawTerminal<Stderr>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<RawTerminal<Stderr>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn is_there() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !dumb && io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Takes the terminal over. It is given back by [`give_back`], by a panic, and before a second signal ends the process.
pub(super) fn take() -> io::Result<Screen> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
    let mut screen = io::stderr();
    *held() = Some(io::stderr().into_raw_mode()?);
    Interrupt::while_drawn(Some(give_back));
    let drawn = write!(screen, "{ToAlternateScreen}{}", cursor::Hide).and_then(|()| screen.flush());
    let screen = drawn.and_then(|()| Terminal::new(TermionBackend::new(screen)));
    if screen.is_err() {
        give_back();
    }
    screen
}

/// Whether the terminal is a screen now.
pub(super) fn is_taken() -> bool {
    held().is_some()
}

/// Gives the terminal back as it was. Does nothing if it was given back already.
pub(super) fn give_back() {
    let Some(before) = held().take() else { return };
    let mut screen = io::stderr();
    // A terminal that is gone needs no restoring.
    let _ = write!(screen, "{}{ToMainScreen}", cursor::Show).and_then(|()| screen.flush());
    drop(before);
    Interrupt::while_drawn(None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use nix::sys::termios::tcgetattr;
    use std::fs::File;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    #[ignore = "the child of the test below: it panics on a screen"]
    fn child_panics() {
        let _screen = take().unwrap();
        assert!(is_taken());
        panic!("in the middle of a screen");
    }

    /// A panic of any thread: its message is read in the lines after the screen.
    #[test]
    fn a_panic_gives_the_terminal_back_before_its_message() {
        let pair = openpty(None, None).unwrap();
        let before = tcgetattr(&pair.slave).unwrap();
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_panics", "--ignored", "--nocapture", "--test-threads=1"])
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .env("RUST_BACKTRACE", "0")
            .spawn()
            .unwrap();
        drop(pair.slave); // the last end is the child's
        let terminal = File::from(pair.master);
        let mut output = terminal.try_clone().unwrap();
        let reader = std::thread::spawn(move || {
            let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                text.extend_from_slice(&buffer[..count]);
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        assert!(!child.wait().unwrap().success());
        let text = reader.join().unwrap();
        let after = tcgetattr(&terminal).unwrap();
        assert_eq!(after.local_flags, before.local_flags);
        let (_, after) = text
            .split_once("\u{1b}[?1049l")
            .unwrap_or_else(|| panic!("{text}"));
        assert!(after.contains("in the middle of a screen"), "{text}");
    }
}
