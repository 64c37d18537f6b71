//! Threads that help whoever is decoding, for the length of a token.
//!
//! A token takes tens of microseconds to some milliseconds and has two phases a level: too short for a thread pool to be
//! asked each time. Helpers stay with a stage from token to token, and go back to sleep when no next one comes. They
//! are never waited for unless they hold a part: alone, the caller does everything.

use super::stage::Stage;
use super::turnstile::End;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

/// Looks for work that a helper takes before it goes back to sleep: some 100 microseconds.
const PATIENCE: usize = 4096;
/// Looks for work between two offers of the processor to others.
const POLITE: usize = 64;

/// Does the stage's token with whatever help there is; returns when it is done.
pub(super) fn conduct(stage: &Arc<Stage>) {
    if stage.wants_help() {
        team().call(stage);
    }
    let mut looks = 0;
    while !stage.at_rest() {
        if stage.work(End::Front) {
            looks = 0;
        } else {
            assert!(!stage.is_broken(), "decode: a helper panicked");
            pause(&mut looks);
        }
    }
}

/// How many helpers there are: one less than rayon has threads.
pub(super) fn helpers() -> usize {
    team().size
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
struct Team {
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
    stage: Weak<Stage>,
    number: u64,
}

fn team() -> &'static Team {
    static TEAM: OnceLock<Team> = OnceLock::new();
    TEAM.get_or_init(|| {
        let bell = Arc::new(Bell::default());
        let started = (1..rayon::current_num_threads()).map_while(|index| {
            let bell = bell.clone();
            let end = if index % 2 == 1 { End::Back } else { End::Front };
            // Where threads cannot be had, the caller works alone.
            thread::Builder::new()
                .name(format!("decode-{index}"))
                .spawn(move || bell.answer(end))
                .ok()
        });
        Team {
            size: started.count(),
            bell: bell.clone(),
        }
    })
}

impl Team {
    fn call(&self, stage: &Arc<Stage>) {
        let mut call = self.bell.call.lock().unwrap_or_else(PoisonError::into_inner);
        call.stage = Arc::downgrade(stage);
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
            let stage = {
                let call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
                let call = self.rung.wait_while(call, |call| call.number == heard);
                let call = call.unwrap_or_else(PoisonError::into_inner);
                heard = call.number;
                call.stage.upgrade()
            };
            if let Some(stage) = stage
                && stage.admit()
            {
                if catch_unwind(AssertUnwindSafe(|| help(&stage, end))).is_err() {
                    stage.give_up();
                }
                stage.dismiss();
            }
        }
    }
}

fn help(stage: &Stage, end: End) {
    let mut looks = 0;
    while looks < PATIENCE {
        if stage.work(end) {
            looks = 0;
        } else {
            pause(&mut looks);
        }
    }
}
