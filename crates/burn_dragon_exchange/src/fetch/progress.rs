//! Progress events of a fetch.

use super::error::FetchError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Event of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Waiting for another process that fetches the same model.
    Waiting,
    /// Bytes were received.
    Bytes {
        /// Number of bytes so far, with those of earlier, interrupted fetches.
        done: u64,
        /// Number of bytes in all, if known.
        total: Option<u64>,
    },
    /// A try failed, and another one will follow.
    Again {
        /// Reason of the failure.
        reason: String,
        /// Pause before the next try.
        pause: Duration,
    },
    /// All files are complete and are being checked.
    Checking,
    /// The server cannot be asked for a newer version, so the cached model is used.
    Unasked {
        /// Reason.
        reason: String,
    },
}

/// Byte counter of all threads of a fetch. It also stops the threads of one job when one of them fails.
pub(super) struct Meter<'a> {
    tell: &'a (dyn Fn(Event) + Sync),
    counts: Arc<Counts>,
    /// First failure. Its presence stops the other threads, so none of them can report that it was stopped before this
    /// one is stored.
    failed: OnceLock<FetchError>,
}

#[derive(Default)]
struct Counts {
    done: AtomicU64,
    /// Number of bytes in all; 0 if it is not known.
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

    /// Meter for several threads of one job. Their bytes also count here. A stop stays among them.
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

    /// Subtracts bytes that were counted and are thrown away.
    pub(super) fn take_back(&self, bytes: u64) {
        self.counts.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Stops the whole job. Later failures are consequences of the stop, and are not kept.
    pub(super) fn fail(&self, error: FetchError) {
        let _ = self.failed.set(error);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.failed.get().is_some()
    }

    /// First failure, if there was one.
    pub(super) fn outcome(self) -> Result<(), FetchError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }
}
