//! Worker threads that help a decoder with its tokens.
//!
//! A token takes tens of microseconds to some milliseconds and has two phases a level. These are too short to use a
//! thread pool for each. Helper threads stay with their work from token to token, and sleep when there is none. The
//! caller waits for them only while they hold a part; without helpers, it does all the work.

use super::work_queue::End;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

/// Number of polls for work before a helper goes back to sleep: some 100 microseconds.
const PATIENCE: usize = 4096;
/// Number of polls between two yields of the processor to other threads.
const POLITE: usize = 64;

/// Work that helpers share.
pub(super) trait Work: Send + Sync + 'static {
    /// Works on one part, if one is left; returns whether there was one.
    fn work(&self, end: End) -> bool;

    /// Whether no work is in progress.
    fn at_rest(&self) -> bool;

    /// Helpers of this work.
    fn help(&self) -> &Help;
}

/// Helpers of some work, and their limit.
#[derive(Debug)]
pub(super) struct Help {
    here: AtomicUsize,
    most: AtomicUsize,
    broken: AtomicBool,
}

impl Help {
    /// No helpers yet, and at most `most`.
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            here: AtomicUsize::new(0),
            most: AtomicUsize::new(most.min(workers().size)),
            broken: AtomicBool::new(false),
        }
    }

    /// No helpers yet, with the same limit.
    pub(super) fn fork(&self) -> Self {
        Self::at_most(self.most.load(Ordering::Relaxed))
    }

    /// Limits the number of helpers, without the caller's thread.
    pub(super) fn limit(&self, most: usize) {
        self.most.store(most.min(workers().size), Ordering::Relaxed);
    }

    /// Whether there are fewer helpers than the limit.
    fn is_wanted(&self) -> bool {
        self.here.load(Ordering::Relaxed) < self.most.load(Ordering::Relaxed)
    }

    /// Registers a helper; false if it is not needed.
    fn admit(&self) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let come = |here| (here < most).then_some(here + 1);
        self.here
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, come)
            .is_ok()
    }

    /// Removes a helper.
    fn dismiss(&self) {
        self.here.fetch_sub(1, Ordering::Relaxed);
    }

    /// Records that a helper panicked, so that its part will never be done.
    fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

/// Does the work, together with the helpers; returns when it is done.
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

/// Request for helpers; the number distinguishes it from the request before.
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
            // If no thread can be started, the caller works alone.
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
    /// Main loop of a helper.
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
