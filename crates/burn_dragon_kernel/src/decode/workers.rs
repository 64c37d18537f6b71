//! Threads that help whoever is decoding, for the length of a token.
//!
//! A token takes tens of microseconds to some milliseconds and has two phases a level: too short for a thread pool to be
//! asked each time. Helpers stay with a step from token to token, and go back to sleep when no next one comes. They
//! are never waited for unless they hold a part: alone, the caller does everything.

use super::token_step::TokenStep;
use super::work_queue::End;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

/// Looks for work that a helper takes before it goes back to sleep: some 100 microseconds.
const PATIENCE: usize = 4096;
/// Looks for work between two offers of the processor to others.
const POLITE: usize = 64;

/// Computes the step's token with whatever help there is; returns when it is done.
pub(super) fn conduct(token_step: &Arc<TokenStep>) {
    if token_step.wants_help() {
        workers().call(token_step);
    }
    let mut looks = 0;
    while !token_step.at_rest() {
        if token_step.work(End::Front) {
            looks = 0;
        } else {
            assert!(!token_step.is_broken(), "decode: a helper panicked");
            pause(&mut looks);
        }
    }
}

/// How many helpers there are: one less than rayon has threads.
pub(super) fn helpers() -> usize {
    workers().size
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
    token_step: Weak<TokenStep>,
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
    fn call(&self, token_step: &Arc<TokenStep>) {
        let mut call = self.bell.call.lock().unwrap_or_else(PoisonError::into_inner);
        call.token_step = Arc::downgrade(token_step);
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
            let token_step = {
                let call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
                let call = self.rung.wait_while(call, |call| call.number == heard);
                let call = call.unwrap_or_else(PoisonError::into_inner);
                heard = call.number;
                call.token_step.upgrade()
            };
            if let Some(token_step) = token_step
                && token_step.admit()
            {
                if catch_unwind(AssertUnwindSafe(|| help(&token_step, end))).is_err() {
                    token_step.give_up();
                }
                token_step.dismiss();
            }
        }
    }
}

fn help(token_step: &TokenStep, end: End) {
    let mut looks = 0;
    while looks < PATIENCE {
        if token_step.work(end) {
            looks = 0;
        } else {
            pause(&mut looks);
        }
    }
}
