//! Threads that help whoever is decoding, for the length of a token.
//!
//! A token takes tens of microseconds to some milliseconds and has two phases a level: too short for a thread pool to be
//! asked each time. Helpers stay with their work from token to token, and go back to sleep when none comes. They are
//! never waited for unless they hold a part: alone, the caller does everything.

use super::work_queue::End;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

/// Looks for work that a helper takes before it goes back to sleep: some 100 microseconds.
const PATIENCE: usize = 4096;
/// Looks for work between two offers of the processor to others.
const POLITE: usize = 64;

/// What helpers help with.
pub(super) trait Work: Send + Sync + 'static {
    /// Works on one part, if there is one left.
    fn work(&self, end: End) -> bool;

    /// Whether nothing is being worked on.
    fn at_rest(&self) -> bool;

    /// Who helps.
    fn help(&self) -> &Help;
}

/// Who helps with some work.
#[derive(Debug)]
pub(super) struct Help {
    here: AtomicUsize,
    most: AtomicUsize,
    broken: AtomicBool,
}

impl Help {
    /// Nobody yet, and at most so many.
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            here: AtomicUsize::new(0),
            most: AtomicUsize::new(most.min(workers().size)),
            broken: AtomicBool::new(false),
        }
    }

    /// As many at most.
    pub(super) fn fork(&self) -> Self {
        Self::at_most(self.most.load(Ordering::Relaxed))
    }

    /// At most this many threads beside the caller's.
    pub(super) fn limit(&self, most: usize) {
        self.most.store(most.min(workers().size), Ordering::Relaxed);
    }

    /// Whether more may come than are here.
    fn is_wanted(&self) -> bool {
        self.here.load(Ordering::Relaxed) < self.most.load(Ordering::Relaxed)
    }

    /// A helper comes; false if it is not needed.
    fn admit(&self) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let come = |here| (here < most).then_some(here + 1);
        self.here
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, come)
            .is_ok()
    }

    /// A helper goes.
    fn dismiss(&self) {
        self.here.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that a helper panicked: its part will never be done.
    fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

/// Does the work with whatever help there is; returns when it is done.
pub(super) fn conduct<W: Work>(work: &Arc<W>) {
    if work.help().is_wanted() {
        let work: Arc<dyn Work> = work.clone();
        workers().call(&work);
    }
    let mut looks = 0;
    while !work.at_rest() {
        if work.work(End::Front) {
            looks = 0;
        } else {
            let is_broken = work.help().broken.load(Ordering::Relaxed);
            assert!(!is_broken, "decode: a helper panicked");
            pause(&mut looks);
        }
    }
}

fn pause(looks: &mut usize) {
    *looks += 1;
    if looks.is_multiple_of(POLITE) {
        thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

#[derive(Default)]
struct Workers {
    size: usize,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Bell {
    call: Mutex<Call>,
    rung: Condvar,
}

/// Who wants help; the number tells a call from the one before.
#[derive(Default)]
struct Call {
    work: Option<Weak<dyn Work>>,
    number: u64,
}

fn workers() -> &'static Workers {
    static WORKERS: OnceLock<Workers> = OnceLock::new();
    WORKERS.get_or_init(|| {
        let bell = Arc::new(Bell::default());
        let started = (1..crate::parallel::threads()).map_while(|index| {
            let bell = bell.clone();
            let end = if index % 2 == 1 { End::Back } else { End::Front };
            // Where threads cannot be had, the caller works alone.
            thread::Builder::new()
                .name(format!("decode-{index}"))
                .spawn(move || bell.answer(end))
                .ok()
        });
        Workers {
            size: started.count(),
            bell: bell.clone(),
        }
    })
}

impl Workers {
    fn call(&self, work: &Arc<dyn Work>) {
        let mut call = self.bell.call.lock().unwrap_or_else(PoisonError::into_inner);
        call.work = Some(Arc::downgrade(work));
        call.number += 1;
        drop(call);
        self.bell.rung.notify_all();
    }
}

impl Bell {
    /// The life of a helper.
    fn answer(&self, end: End) {
        let mut heard = 0;
        loop {
            let work = {
                let call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
                let call = self.rung.wait_while(call, |call| call.number == heard);
                let call = call.unwrap_or_else(PoisonError::into_inner);
                heard = call.number;
                call.work.as_ref().and_then(Weak::upgrade)
            };
            if let Some(work) = work
                && work.help().admit()
            {
                if catch_unwind(AssertUnwindSafe(|| help(&*work, end))).is_err() {
                    work.help().give_up();
                }
                work.help().dismiss();
            }
        }
    }
}

fn help(work: &dyn Work, end: End) {
    let mut looks = 0;
    while looks < PATIENCE {
        if work.work(end) {
            looks = 0;
        } else {
            pause(&mut looks);
        }
    }
}
