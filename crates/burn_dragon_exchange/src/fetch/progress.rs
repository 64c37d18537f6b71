//! What is told while a model comes.

use super::error::FetchError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
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

/// Counts what all threads of a fetch bring, and stops those that work at one thing where one of them has failed.
pub(super) struct Meter<'a> {
    tell: &'a (dyn Fn(Event) + Sync),
    counts: Arc<Counts>,
    /// The first failure. That it is there is what stops the others: none of them can fail of being stopped before it
    /// is told.
    failed: OnceLock<FetchError>,
}

#[derive(Default)]
struct Counts {
    done: AtomicU64,
    /// 0 where it is not known.
    total: AtomicU64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(tell: &'a (dyn Fn(Event) + Sync)) -> Self {
        Self {
            tell,
            counts: Arc::default(),
            failed: OnceLock::new(),
        }
    }

    /// One for several threads that work at one thing: what they bring counts here too; that they
    /// are stopped stays among them.
    pub(super) fn together(&self) -> Self {
        Self {
            tell: self.tell,
            counts: self.counts.clone(),
            failed: OnceLock::new(),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        (self.tell)(event);
    }

    pub(super) fn expect(&self, total: u64) {
        self.counts.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64) {
        let done = self.counts.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total = self.counts.total.load(Ordering::Relaxed);
        self.tell(Event::Bytes {
            done,
            total: (total > 0).then_some(total),
        });
    }

    /// Bytes that were counted and are thrown away.
    pub(super) fn take_back(&self, bytes: u64) {
        self.counts.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Stops all that work together. What fails later fails of that, and is not kept.
    pub(super) fn fail(&self, error: FetchError) {
        let _ = self.failed.set(error);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.failed.get().is_some()
    }

    /// The first failure, if there was one.
    pub(super) fn outcome(self) -> Result<(), FetchError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }
}
