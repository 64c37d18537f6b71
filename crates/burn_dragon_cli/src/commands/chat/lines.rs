//! Lines of standard input that Ctrl-C can interrupt.

use crate::show::mark;
use burn_dragon::api::expert::checkpoint::unmarked;
use burn_dragon_train::api::Interrupt;
use std::io::{self, BufRead, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Interval at which a reader that waits for a line checks for an interruption.
const GLANCE: Duration = Duration::from_millis(50);

/// Lines of standard input, read by a thread of their own: a signal does not wake a thread that waits for input.
pub(super) struct Lines {
    receiver: Receiver<io::Result<Vec<u8>>>,
    person: bool,
}

impl Lines {
    pub(super) fn listen() -> Self {
        let (sender, receiver) = sync_channel(1);
        thread::spawn(move || forward(&sender));
        Self {
            receiver,
            person: io::stdin().is_terminal(),
        }
    }

    /// Whether the input is a terminal.
    pub(super) fn a_person_types(&self) -> bool {
        self.person
    }

    /// The next line without its line end; `None` at the end of the input or after an interruption.
    pub(super) fn next(&self, interrupt: &Interrupt) -> io::Result<Option<Vec<u8>>> {
        if self.person {
            mark("> ");
        }
        while !interrupt.requested() {
            match self.receiver.recv_timeout(GLANCE) {
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
