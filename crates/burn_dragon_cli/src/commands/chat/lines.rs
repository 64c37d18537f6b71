//! Lines that a person types or a pipe sends, which Ctrl-C can interrupt.

use super::editor::{Editor, GLANCE};
use crate::show::mark;
use burn_dragon::api::expert::checkpoint::unmarked;
use burn_dragon_train::api::Interrupt;
use std::io::{self, BufRead, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

/// Lines of standard input, read by a thread of their own: a signal does not wake a thread that waits for input.
pub(super) struct Lines {
    source: Source,
    person: bool,
}

enum Source {
    /// Lines as they come.
    Plain(Receiver<io::Result<Vec<u8>>>),
    /// Lines that are edited on a terminal.
    Edited(Editor),
}

impl Lines {
    /// Lines of the process. On a terminal they are edited; with `history` those of earlier chats can be recalled.
    pub(super) fn listen(history: bool) -> Self {
        let person = io::stdin().is_terminal();
        let editor = person.then(|| Editor::of_terminal(history)).flatten();
        let source = editor.map_or_else(
            || {
                let (sender, receiver) = sync_channel(1);
                thread::spawn(move || forward(&sender));
                Source::Plain(receiver)
            },
            Source::Edited,
        );
        Self { source, person }
    }

    /// Whether the input is a terminal.
    pub(super) fn a_person_types(&self) -> bool {
        self.person
    }

    /// Forgets lines of a terminal that were typed or pasted and not read yet.
    pub(super) fn forget(&self) {
        if let Source::Edited(editor) = &self.source {
            editor.forget();
        }
    }

    /// The next line without its line end; `None` at the end of the input or after an interruption.
    pub(super) fn next(&self, interrupt: &Interrupt) -> io::Result<Option<Vec<u8>>> {
        match &self.source {
            Source::Plain(receiver) => self.plain(receiver, interrupt),
            Source::Edited(editor) => editor.next(interrupt),
        }
    }

    fn plain(
        &self,
        receiver: &Receiver<io::Result<Vec<u8>>>,
        interrupt: &Interrupt,
    ) -> io::Result<Option<Vec<u8>>> {
        if self.person {
            mark("> ");
        }
        while !interrupt.requested() {
            match receiver.recv_timeout(GLANCE) {
                Ok(line) => return line.map(Some),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if self.person {
                        mark("\n"); // Ctrl-D leaves the mark's line open
                    }
                    break;
                }
            }
        }
        Ok(None)
    }
}

fn forward(sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = input.read_until(b'\n', &mut line);
        let line = match read {
            Ok(0) => return,
            Ok(_) => Ok(without_end(unmarked(&line).to_vec())),
            Err(error) => Err(error),
        };
        let failed = line.is_err();
        if sender.send(line).is_err() || failed {
            return;
        }
    }
}

fn without_end(mut line: Vec<u8>) -> Vec<u8> {
    for end in [b'\n', b'\r'] {
        if line.last() == Some(&end) {
            line.pop();
        }
    }
    line
}
