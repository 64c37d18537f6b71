//! Progress on standard error: one live line on a terminal, else a line now and then.

use burn_dragon::api::expert::checkpoint::printable;
use burn_dragon_train::api::Output;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longest silence of the program before [`Pulse`] shows what it does.
const PATIENCE: Duration = Duration::from_millis(2500);

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
            next: Instant::now() + if live { LIVE } else { PATIENCE },
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

/// Line that a thread of its own shows while the process works, after [`PATIENCE`] and from then on now and then. It
/// ends with the value.
#[derive(Debug)]
pub(super) struct Pulse {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// A pulse with the text of the moment; the argument is the time since the start.
    pub(super) fn of(text: impl Fn(Duration) -> String + Send + 'static) -> Self {
        let (stop, stopped) = channel();
        Self {
            stop: Some(stop),
            thread: Some(thread::spawn(move || beat(&stopped, text))),
        }
    }

    /// A pulse that names the work and its seconds: `reading a.state, 4 s`.
    pub(super) fn named(work: impl Into<String>) -> Self {
        let work = work.into();
        Self::of(move |since| format!("{work}, {} s", since.as_secs()))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // what it shows is nobody's result
        }
    }
}

fn beat(stopped: &Receiver<()>, text: impl Fn(Duration) -> String) {
    let (started, mut line, mut wait) = (Instant::now(), Line::new(), PATIENCE);
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        line.show(true, || text(started.elapsed()));
        wait = if line.live { LIVE } else { LOGGED };
    }
    line.erase();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_pulse_is_silent_for_less_than_three_seconds_and_then_is_not() {
        let (shown, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
        let count = shown.clone();
        let pulse = Pulse::of(move |since| {
            count.fetch_add(1, Ordering::SeqCst);
            format!("at work, {} s", since.as_secs())
        });
        thread::sleep(Duration::from_millis(1500));
        let early = shown.load(Ordering::SeqCst);
        assert!(early == 0 || started.elapsed() >= PATIENCE, "{early}"); // a busy machine may sleep longer
        while shown.load(Ordering::SeqCst) == 0 {
            assert!(started.elapsed() < Duration::from_secs(60), "nothing is shown");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(started.elapsed() >= PATIENCE);
        drop(pulse);
        let after = shown.load(Ordering::SeqCst);
        thread::sleep(Duration::from_millis(300));
        assert_eq!(shown.load(Ordering::SeqCst), after);
    }
}
