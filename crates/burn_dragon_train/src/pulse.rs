//! Sign of life: what long work is doing, where nothing else is said for some seconds.

use crate::amounts::duration;
use crate::progress::Output;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Silence after which the first line is written. Each further one comes after twice as long, at most [`LONGEST`].
const SILENCE: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_secs(60);

/// Thread that tells what is being done, as long as the value lives: after 3 s without another line, and then less and
/// less often.
#[derive(Debug)]
pub(crate) struct Pulse {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Debug)]
struct State {
    /// Work in progress; `None` if there is none.
    doing: Option<(&'static str, Instant)>,
    /// Time at which it is told.
    due: Instant,
    wait: Duration,
    /// Number of steps taken, and of all.
    steps: Option<(u64, u64)>,
    ended: bool,
}

impl Pulse {
    /// Begins to tell about work: `writing the tables`. Nothing is told on a quiet output, or if the system cannot start
    /// a thread.
    pub(crate) fn start(output: Output, what: &'static str) -> Self {
        let pulse = Self::idle(move |line| output.tell(line));
        pulse.doing(what);
        pulse
    }

    /// A pulse without work, which tells by `tell`.
    pub(crate) fn idle(tell: impl Fn(&str) + Send + 'static) -> Self {
        let now = Instant::now();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                doing: None,
                due: now,
                wait: SILENCE,
                steps: None,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = Builder::new()
            .name("pulse".into())
            .spawn(move || theirs.watch(&tell));
        Self {
            shared,
            thread: thread.ok(),
        }
    }

    /// Begins other work.
    pub(crate) fn doing(&self, what: &'static str) {
        let now = Instant::now();
        self.set(|state| {
            state.doing = Some((what, now));
            (state.due, state.wait) = (now + SILENCE, SILENCE);
        });
    }

    /// Notes how many steps are taken, of how many.
    pub(crate) fn at(&self, step: u64, of: u64) {
        self.shared.lock().steps = Some((step, of)); // who waits need not know
    }

    /// Notes that something else was told.
    pub(crate) fn told(&self) {
        let mut state = self.shared.lock();
        (state.due, state.wait) = (Instant::now() + SILENCE, SILENCE);
        state.doing = state.doing.map(|(what, _)| (what, Instant::now()));
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.set(|state| state.ended = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it only writes lines
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, tell: &dyn Fn(&str)) {
        let mut state = self.lock();
        while !state.ended {
            let now = Instant::now();
            let Some((what, since)) = state.doing else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if now < state.due {
                let left = state.due - now;
                state = self
                    .changed
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                continue;
            }
            state.wait = (2 * state.wait).min(LONGEST);
            state.due = now + state.wait;
            let steps = state.steps.map(|(step, of)| format!(": step {step} of {of}"));
            drop(state); // who works does not wait for a slow terminal
            let time = duration((now - since).as_secs_f64());
            tell(&format!(
                "still   {what}, for {time}{}",
                steps.unwrap_or_default()
            ));
            state = self.lock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn work_is_told_after_a_silence_until_it_ends() {
        let (send, told) = channel();
        let pulse = Pulse::idle(move |line| drop(send.send(line.to_string())));
        pulse.doing("counting sheep");
        pulse.shared.lock().due = Instant::now(); // three seconds later
        pulse.shared.changed.notify_all();
        let line = told.recv().unwrap();
        assert!(line.starts_with("still   counting sheep, for "), "{line}");
        pulse.at(3, 7);
        pulse.shared.lock().due = Instant::now();
        pulse.shared.changed.notify_all();
        let line = told.recv().unwrap();
        assert!(line.ends_with("s: step 3 of 7"), "{line}");
        drop(pulse);
        assert!(told.recv().is_err(), "nothing more was told");
    }
}
