//! Saves on a thread of their own: a step waits for the copy of what is saved, not for the disk.
//!
//! One snapshot is written at a time and at most [`ROOM`] wait. A newer one takes the place of one that waits, unless
//! that is a best one; where all that wait are, whoever brings another waits too. What goes wrong is kept until it is
//! asked for, by [`Writer::check`] after every step and by [`Writer::wait`] at the end.

use crate::error::TrainError;
use burn_dragon_checkpoint::CheckpointError;
use burn_dragon_checkpoint::folder::{Checkpoints, Pointer, Snapshot};
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// Snapshots that can wait beside the one that is written.
const ROOM: usize = 2;

/// A snapshot to be written.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) snapshot: Snapshot,
    /// Whether it has the lowest validation loss so far.
    pub(crate) best: bool,
}

/// The thread, and what it shares with the one that trains. Dropped, it finishes what it was given.
#[derive(Debug)]
pub(crate) struct Writer {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What is to be written, and what became of it.
#[derive(Debug, Default)]
struct Desk {
    papers: Mutex<Papers>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Papers {
    waiting: VecDeque<Job>,
    writing: bool,
    closed: bool,
    failed: Option<TrainError>,
    written: u64,
    seconds: f64,
}

impl Writer {
    /// A writer of these checkpoints that keeps so many of them.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub(crate) fn new(checkpoints: Checkpoints, keep: usize) -> Result<Self, TrainError> {
        let desk = Arc::new(Desk::default());
        let (theirs, root) = (Arc::clone(&desk), checkpoints.root().to_path_buf());
        let thread = Builder::new()
            .name("checkpoints".into())
            .spawn(move || theirs.work(&checkpoints, keep))
            .map_err(TrainError::file("start a thread that writes", &root))?;
        Ok(Self {
            desk,
            thread: Some(thread),
        })
    }

    /// Gives a snapshot away.
    pub(crate) fn submit(&self, job: Job) {
        let mut papers = self.desk.lock();
        let replaced = |waiting: &Job| !waiting.best || waiting.snapshot.step == job.snapshot.step;
        papers.waiting.retain(|waiting| !replaced(waiting));
        while papers.waiting.len() >= ROOM {
            papers = self.desk.wait(papers);
        }
        papers.waiting.push_back(job);
        self.desk.changed.notify_all();
    }

    /// What went wrong since this was last asked.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        self.desk.lock().failed.take().map_or(Ok(()), Err)
    }

    /// Waits until all is written, then as [`check`](Self::check).
    pub(crate) fn wait(&self) -> Result<(), TrainError> {
        let mut papers = self.desk.lock();
        while papers.writing || !papers.waiting.is_empty() {
            papers = self.desk.wait(papers);
        }
        papers.failed.take().map_or(Ok(()), Err)
    }

    /// Checkpoints written so far, and the seconds that took.
    pub(crate) fn written(&self) -> (u64, f64) {
        let papers = self.desk.lock();
        (papers.written, papers.seconds)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.desk.lock().closed = true;
        self.desk.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panics were caught
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, papers: MutexGuard<'a, Papers>) -> MutexGuard<'a, Papers> {
        self.changed.wait(papers).unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes, until nothing more can.
    fn work(&self, checkpoints: &Checkpoints, keep: usize) {
        while let Some(job) = self.next() {
            let started = Instant::now();
            // A panic would let whoever waits wait forever.
            let written = catch_unwind(AssertUnwindSafe(|| write(checkpoints, keep, &job)));
            let outcome = match written {
                Ok(outcome) => outcome.map_err(TrainError::from),
                Err(panic) => Err(panicked(checkpoints, &*panic).into()),
            };
            drop(job); // its memory is free before anyone goes on
            let mut papers = self.lock();
            papers.writing = false;
            papers.seconds += started.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => papers.written += 1,
                Err(error) => papers.failed = papers.failed.take().or(Some(error)), // the first is the cause
            }
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut papers = self.lock();
        loop {
            if let Some(job) = papers.waiting.pop_front() {
                papers.writing = true;
                self.changed.notify_all(); // there is room
                return Some(job);
            }
            if papers.closed {
                return None;
            }
            papers = self.wait(papers);
        }
    }
}

/// One save: the checkpoint, what points at it, and the end of older ones.
fn write(checkpoints: &Checkpoints, keep: usize, job: &Job) -> Result<(), CheckpointError> {
    let step = job.snapshot.step;
    checkpoints.commit(&job.snapshot)?;
    checkpoints.point(Pointer::Last, step)?;
    if job.best {
        checkpoints.point(Pointer::Best, step)?;
    }
    checkpoints.retain(keep)
}

fn panicked(checkpoints: &Checkpoints, panic: &(dyn Any + Send)) -> CheckpointError {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = format!("a save panicked: {}", text.unwrap_or_default());
    CheckpointError::io("write", checkpoints.root())(std::io::Error::other(text))
}
