//! What a person sees while bytes come or go: on standard error, one live line on a terminal, else a line now and then.

use burn_dragon::api::checkpoint::fetch::Event;
use burn_dragon::api::expert::checkpoint::printable;
use burn_dragon::api::train::Output;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks of a person at a live line, and between two lines of a log.
const LIVE: Duration = Duration::from_millis(200);
const LOGGED: Duration = Duration::from_secs(5);

/// Progress of one transfer.
pub(in crate::commands) struct Shown {
    what: String,
    live: bool,
    state: Mutex<State>,
}

struct State {
    next: Instant,
    /// Whether a live line is on the screen.
    open: bool,
}

impl Shown {
    pub(in crate::commands) fn new(what: &str) -> Self {
        let live = Output::detect(false, false).terminal;
        Self {
            what: what.to_string(),
            live,
            state: Mutex::new(State {
                next: Instant::now() + if live { LIVE } else { LOGGED },
                open: false,
            }),
        }
    }

    /// Shows what happens.
    pub(in crate::commands) fn tell(&self, event: Event) {
        let what = &self.what;
        let text = match event {
            Event::Bytes { done, total } => return self.bytes(done, total),
            Event::Waiting => format!("{what}: another process does the same, waiting for it"),
            Event::Again { reason, pause } => {
                format!("{what}: {reason}; again in {:.1} s", pause.as_secs_f64())
            }
            Event::Checking => format!("{what}: all is there, checking it"),
            Event::Unasked { reason } => {
                format!("{what}: the server cannot be asked ({reason}); using what is in the cache")
            }
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        close(&mut state);
        tell!("{text}");
    }

    fn bytes(&self, done: u64, total: Option<u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now < state.next && total != Some(done) {
            return;
        }
        state.next = now + if self.live { LIVE } else { LOGGED };
        let of = total.map_or(String::new(), |total| {
            format!(
                " of {}, {:.0} %",
                size(total),
                100.0 * done as f64 / total.max(1) as f64
            )
        });
        let text = format!("{}: {}{of}", self.what, size(done));
        if self.live {
            eprint!("\r\x1b[K{}", printable(&text));
            let _ = std::io::stderr().flush(); // a closed standard error is nobody's loss
            state.open = true;
        } else {
            tell!("{text}");
        }
    }

    /// Ends a live line.
    pub(in crate::commands) fn end(&self) {
        close(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn close(state: &mut State) {
    if std::mem::take(&mut state.open) {
        eprintln!();
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
