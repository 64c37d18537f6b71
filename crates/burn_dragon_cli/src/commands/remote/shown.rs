//! Progress of a transfer on the terminal.

use super::super::live::Line;
use burn_dragon::api::exchange::fetch::Event;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Progress of one transfer.
pub(in crate::commands) struct Shown {
    what: String,
    line: Mutex<Line>,
}

impl Shown {
    pub(in crate::commands) fn new(what: &str) -> Self {
        Self {
            what: what.to_string(),
            line: Mutex::new(Line::new()),
        }
    }

    /// Shows what happens.
    pub(in crate::commands) fn tell(&self, event: Event) {
        let what = &self.what;
        let text = match event {
            Event::Bytes { done, total } => return self.bytes(done, total),
            Event::Waiting => format!("{what}: waiting for another process that does the same"),
            Event::Again { reason, pause } => {
                format!("{what}: {reason}; again in {:.1} s", pause.as_secs_f64())
            }
            Event::Checking => format!("{what}: complete, checking it"),
            Event::Unasked { reason } => {
                format!("{what}: the server does not answer ({reason}); using the cache")
            }
        };
        self.line().end();
        tell!("{text}");
    }

    fn bytes(&self, done: u64, total: Option<u64>) {
        self.line().show(total == Some(done), || {
            let of = total.map_or(String::new(), |total| {
                format!(
                    " of {}, {:.0} %",
                    size(total),
                    100.0 * done as f64 / total.max(1) as f64
                )
            });
            format!("{}: {}{of}", self.what, size(done))
        });
    }

    /// Ends a live line.
    pub(in crate::commands) fn end(&self) {
        self.line().end();
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
