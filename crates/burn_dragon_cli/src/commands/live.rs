//! Progress on standard error: one live line on a terminal, else a line now and then.

use burn_dragon::api::expert::checkpoint::printable;
use burn_dragon_train::api::Output;
use std::time::{Duration, Instant};

/// Interval between two updates of a live line, and between two lines of a log.
const LIVE: Duration = Duration::from_millis(200);
const LOGGED: Duration = Duration::from_secs(5);

/// Progress line that is updated repeatedly, at most at a readable rate.
#[derive(Debug)]
pub(super) struct Line {
    live: bool,
    next: Instant,
    /// Whether it is on the terminal.
    open: bool,
}

impl Line {
    /// A line that is not shown before the first interval is over.
    pub(super) fn new() -> Self {
        let live = Output::detect(false, false).terminal;
        Self {
            live,
            next: Instant::now() + if live { LIVE } else { LOGGED },
            open: false,
        }
    }

    /// Shows the current state, if the interval is over or with `at_once`.
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

    /// Ends the line; its last text stays.
    #[cfg(feature = "fetch")]
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            tell!("");
        }
    }

    /// Ends the line and removes it from the terminal.
    pub(super) fn erase(&mut self) {
        if std::mem::take(&mut self.open) {
            crate::show::mark("\r\x1b[K");
        }
    }
}
