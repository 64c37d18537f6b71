//! Work queue: gives the parts of a phase to threads, and detects when all are done.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// End of the queue from which parts are taken. A thread that always uses the same end gets nearly the same parts each
/// time, so they stay in its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Front,
    Back,
}

/// Part of a phase, for the thread that claimed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkItem {
    pub(super) phase: usize,
    pub(super) index: usize,
}

/// Work queue of one phase at a time. A phase without parts is rest.
///
/// One word holds the phase, the number of parts, and the numbers taken from either end, sixteen bits each. So a late
/// claim is valid for the phase that it meets, whichever that is.
#[derive(Debug, Default)]
pub(super) struct WorkQueue {
    ticket: AtomicU64,
    done: AtomicUsize,
}

/// Largest number of parts of a phase; the rest of the sixteen bits is for claims after the last part.
pub(super) const MOST_PARTS: usize = 1 << 15;

impl WorkQueue {
    /// Begins a phase; called by the thread that finished the phase before, or at rest.
    pub(super) fn open(&self, phase: usize, parts: usize) {
        debug_assert!(parts <= MOST_PARTS && phase <= usize::from(u16::MAX));
        self.done.store(0, Ordering::Relaxed);
        self.ticket
            .store((phase as u64) << 48 | (parts as u64) << 32, Ordering::Release);
    }

    /// Whether the phase has no parts.
    pub(super) fn at_rest(&self) -> bool {
        field(self.ticket.load(Ordering::Acquire), 32) == 0
    }

    /// Claims a part that no thread has, if one is left.
    pub(super) fn claim(&self, end: End) -> Option<WorkItem> {
        let seen = self.ticket.load(Ordering::Relaxed);
        if field(seen, 0) + field(seen, 16) >= field(seen, 32) {
            return None;
        }
        let step = match end {
            End::Front => 1,
            End::Back => 1 << 16,
        };
        let ticket = self.ticket.fetch_add(step, Ordering::AcqRel);
        let (front, back, parts) = (field(ticket, 0), field(ticket, 16), field(ticket, 32));
        (front + back < parts).then(|| WorkItem {
            phase: field(ticket, 48),
            index: if end == End::Front {
                front
            } else {
                parts - 1 - back
            },
        })
    }

    /// Records that one of the phase's parts is done; true for the last part, whose thread opens the next phase.
    pub(super) fn finish(&self) -> bool {
        let parts = field(self.ticket.load(Ordering::Relaxed), 32);
        self.done.fetch_add(1, Ordering::AcqRel) + 1 == parts
    }
}

fn field(ticket: u64, shift: u32) -> usize {
    (ticket >> shift) as usize & 0xFFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_handed_out_once_from_either_end() {
        let queue = WorkQueue::default();
        assert!(queue.at_rest() && queue.claim(End::Front).is_none());
        queue.open(3, 3);
        let index = |end| queue.claim(end).map(|part| (part.phase, part.index));
        assert_eq!(index(End::Back), Some((3, 2)));
        assert_eq!(index(End::Front), Some((3, 0)));
        assert_eq!(index(End::Back), Some((3, 1)));
        assert_eq!((index(End::Back), index(End::Front)), (None, None));
        assert_eq!(
            [queue.finish(), queue.finish(), queue.finish()],
            [false, false, true]
        );
    }
}
