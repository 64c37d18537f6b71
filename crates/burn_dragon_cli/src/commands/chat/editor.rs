//! Line editor on a terminal: arrow keys, and the lines of earlier chats.
//!
//! The editor has a thread of its own, which reads one line for each request. Between two requests the terminal is in its
//! ordinary mode, so that Ctrl-C is a signal while the model answers. Lines that arrive before they are asked for wait, in
//! the terminal or in the editor (its feature `buffer-redux`).

use super::control::ControlCharacter;
use crate::show::mark;
use burn_dragon_train::api::Interrupt;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Behavior, Config};
use std::cell::Cell;
use std::env;
use std::ffi::OsString;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Interval at which a reader that waits for a line checks for an interruption.
pub(super) const GLANCE: Duration = Duration::from_millis(50);

/// Most lines of a history.
const MOST_LINES: usize = 1000;

/// Terminals without the movements that an editor needs.
const PLAIN: [&str; 3] = ["dumb", "cons25", "emacs"];

/// A line; `None` at the end of the input.
type Line = io::Result<Option<Vec<u8>>>;

/// Editor of lines.
pub(super) struct Editor {
    /// Each asks for a line, and says whether those that wait are forgotten before.
    request: SyncSender<bool>,
    lines: Receiver<Line>,
    terminal: Terminal,
    /// Whether lines that wait are forgotten at the next request.
    forgets: Cell<bool>,
}

impl Editor {
    /// Editor on the terminal of the process; `None` if that has none, or none with movements. With `history` the lines
    /// are kept in [`history_file`].
    pub(super) fn of_terminal(history: bool) -> Option<Self> {
        if env::var("TERM").is_ok_and(|term| PLAIN.contains(&term.as_str())) {
            return None;
        }
        let config = Config::builder()
            .behavior(Behavior::PreferTerm) // marks are no results, so they do not go to standard output
            .max_history_size(MOST_LINES)
            .and_then(|config| config.history_ignore_dups(true))
            .ok()?
            .build();
        let terminal = Terminal::remembered();
        let mut editor = rustyline::Editor::<(), FileHistory>::with_config(config.clone()).ok()?;
        let file = history.then(history_file).flatten();
        if let Some(file) = &file {
            let _ = editor.load_history(file); // there is none before the first line
        }
        let (request, requests) = sync_channel(1);
        let (sender, lines) = sync_channel(1);
        thread::spawn(move || {
            let mut desk = Desk {
                editor,
                config,
                file,
                told: false,
            };
            for forgets in requests {
                if forgets {
                    desk.forget();
                }
                if sender.send(desk.line()).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            request,
            lines,
            terminal,
            forgets: Cell::new(false),
        })
    }

    /// Forgets lines that wait. At Ctrl-C the terminal forgets those that it still has.
    pub(super) fn forget(&self) {
        self.forgets.set(true);
    }

    /// The next line; `None` at the end of the input or after a signal.
    pub(super) fn next(&self, interrupt: &Interrupt) -> Line {
        if self.request.send(self.forgets.take()).is_err() {
            return Ok(None);
        }
        loop {
            match self.lines.recv_timeout(GLANCE) {
                Ok(line) => return line,
                Err(RecvTimeoutError::Timeout) if interrupt.requested() => {
                    self.terminal.restore();
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

/// The thread's part of the editor.
struct Desk {
    editor: rustyline::Editor<(), FileHistory>,
    config: Config,
    /// File of the history, if it is kept.
    file: Option<PathBuf>,
    /// Whether the user was told what Ctrl-C does.
    told: bool,
}

impl Desk {
    /// Replaces the editor by one that has read nothing, with the same history.
    fn forget(&mut self) {
        let history = mem::take(self.editor.history_mut());
        if let Ok(editor) = rustyline::Editor::with_history(self.config.clone(), history) {
            self.editor = editor;
        }
    }

    /// Reads a line. Ctrl-C clears it.
    fn line(&mut self) -> Line {
        loop {
            match self.editor.readline("> ") {
                Ok(line) => {
                    self.keep(&line);
                    return Ok(Some(line.into_bytes()));
                }
                Err(ReadlineError::Interrupted) => {
                    if !mem::replace(&mut self.told, true) {
                        tell!("Ctrl-C clears the line and stops an answer; Ctrl-D or /quit ends the chat");
                    }
                }
                Err(ReadlineError::Eof) => return Ok(None),
                Err(ReadlineError::Io(error)) => return Err(error),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Adds a line to the history. Without a place to keep it, the history is that of this chat.
    fn keep(&mut self, line: &str) {
        if line.trim().is_empty() || ControlCharacter::first(line.as_bytes()).is_some() {
            return;
        }
        let _ = self.editor.add_history_entry(line); // in memory
        let Some(file) = &self.file else { return };
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let kept = folder
            .map_err(ReadlineError::from)
            .and_then(|()| self.editor.append_history(file));
        if let Err(error) = kept {
            tell!(
                "note: the lines are not kept for later chats: cannot write {}: {error}",
                file.display()
            );
            self.file = None;
        }
    }
}

/// File with the lines of earlier chats, in the user's state folder.
pub(super) fn history_file() -> Option<PathBuf> {
    history_file_of(|name| env::var_os(name))
}

fn history_file_of(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("burn_dragon").join("chat_history"))
}

/// Settings of the terminal before the editor changed them. The end of the program during an edit leaves them changed.
#[cfg(unix)]
struct Terminal(Option<nix::sys::termios::Termios>);

#[cfg(unix)]
impl Terminal {
    fn remembered() -> Self {
        Self(nix::sys::termios::tcgetattr(io::stdin()).ok())
    }

    /// Gives the terminal its settings back, also that pasted text is not marked.
    fn restore(&self) {
        if let Some(settings) = &self.0 {
            let now = nix::sys::termios::SetArg::TCSANOW;
            let _ = nix::sys::termios::tcsetattr(io::stdin(), now, settings); // the terminal may be gone
            mark("\x1b[?2004l\r\n");
        }
    }
}

/// Elsewhere the editor's settings end with the program.
#[cfg(not(unix))]
struct Terminal;

#[cfg(not(unix))]
impl Terminal {
    fn remembered() -> Self {
        Self
    }

    fn restore(&self) {
        mark("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_kept_in_the_users_state_folder() {
        let file = |variables: &[(&str, &str)]| {
            let found = history_file_of(|name| {
                let of = variables.iter().find(|(variable, _)| *variable == name);
                of.map(|(_, value)| value.into())
            });
            found.map(|path| path.to_str().unwrap().to_string())
        };
        let home = ("HOME", "/home/mira");
        assert_eq!(
            file(&[home]).unwrap(),
            "/home/mira/.local/state/burn_dragon/chat_history"
        );
        assert_eq!(
            file(&[home, ("XDG_STATE_HOME", "/s")]).unwrap(),
            "/s/burn_dragon/chat_history"
        );
        // The standard says that a relative path is to be ignored.
        let relative = ("XDG_STATE_HOME", "s");
        assert_eq!(file(&[home, relative]), file(&[home]));
        assert_eq!(file(&[relative]), None);
    }
}
