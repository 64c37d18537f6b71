//! Progress on standard error: one live line on a terminal, else a line now and then.

use burn_dragon::api::expert::checkpoint::printable;
use burn_dragon_train::api::Output;
use std::time::{Duration, Instant};

/// Between two looks of a person at a live line, and between two lines of a log.
const LIVE: Duration = Duration::from_millis(200);
const LOGGED: Duration = Duration::from_secs(5);

/// A line that is shown again and again, but not more often than somebody can read it.
#[derive(Debug)]
pub(super) struct Line {
    live: bool,
    next: Instant,
    /// Whether it is on the screen.
    open: bool,
}

impl Line {
    /// A line that is not shown before there was time to read one.
    pub(super) fn new() -> Self {
        let live = Output::detect(false, false).terminal;
        Self {
            live,
            next: Instant::now() + if live { LIVE } else { LOGGED },
            open: false,
        }
    }

    /// Shows what is the case now, if it is time for it or `at_once`.
    pub(super) fn show(&mut self, at_once: bool, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if now < self.next && !at_once {
            return;
        }
        self.next = now + if self.live { LIVE } else { LOGGED };
        if self.live {
            crate::show::mark(&format!("\r\x1b[K{}", printable(&text())));
            self.open = true;
        } else {
            tell!("{}", text());
        }
    }

    /// Ends it; what it said last stays.
    #[cfg(feature = "fetch")]
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            tell!("");
        }
    }

    /// Ends it, and leaves no trace of it on the screen.
    pub(super) fn erase(&mut self) {
        if std::mem::take(&mut self.open) {
            crate::show::mark("\r\x1b[K");
        }
    }
}
