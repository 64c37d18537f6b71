//! What is told while a model comes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another process fetches the same.
    Waiting,
    /// Bytes have come.
    Bytes {
        /// So many, with those of earlier, interrupted fetches.
        done: u64,
        /// Of so many, where that is known.
        total: Option<u64>,
    },
    /// A try failed, and there will be another.
    Again {
        /// Why it failed.
        reason: String,
        /// After which pause.
        pause: Duration,
    },
    /// All is there and is checked.
    Checking,
    /// The server cannot be asked whether the cached model is still the newest: it is used.
    Unasked {
        /// Why not.
        reason: String,
    },
}

/// Counts what all threads of a fetch bring, and stops them all where one has failed.
pub(super) struct Meter<'a> {
    tell: &'a (dyn Fn(Event) + Sync),
    done: AtomicU64,
    /// 0 where it is not known.
    total: AtomicU64,
    stopped: AtomicBool,
}

impl<'a> Meter<'a> {
    pub(super) fn new(tell: &'a (dyn Fn(Event) + Sync)) -> Self {
        Self {
            tell,
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        (self.tell)(event);
    }

    pub(super) fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total = self.total.load(Ordering::Relaxed);
        self.tell(Event::Bytes {
            done,
            total: (total > 0).then_some(total),
        });
    }

    /// Bytes that were counted and are thrown away.
    pub(super) fn take_back(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Lets them go on, with something else.
    pub(super) fn go_on(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
