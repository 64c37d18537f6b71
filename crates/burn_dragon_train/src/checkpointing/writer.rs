//! Writer thread for checkpoints. A step waits for a copy of the state, not for the disk.
//!
//! One snapshot is written at a time, and at most [`ROOM`] wait. A newer one replaces a waiting one, unless that is a
//! best one. If all waiting ones are best ones, the caller waits too. An error is kept until [`Writer::check`] returns
//! it after a step, or [`Writer::wait`] at the end.

use crate::error::TrainError;
use crate::run::RunFolder;
use burn_dragon_checkpoint::api::{CheckpointError, Checkpoints, Pointer, Snapshot};
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// Number of snapshots that can wait beside the one that is written.
const ROOM: usize = 2;

/// Snapshot to be written.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) snapshot: Snapshot,
    /// Whether it has the lowest validation loss so far.
    pub(crate) best: bool,
    /// Whether the run deserves to be the latest one when this is on the disk.
    pub(crate) useful: bool,
}

/// Writer thread, and the state that it shares with the training thread. On drop it finishes the queued saves.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Arc<SaveQueue>,
    thread: Option<JoinHandle<()>>,
}

/// Queue of saves, and their results.
#[derive(Debug, Default)]
struct SaveQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<Job>,
    writing: bool,
    closed: bool,
    failed: Option<TrainError>,
    written: u64,
    seconds: f64,
}

impl Writer {
    /// A writer for these checkpoints of a run, of which `keep` are kept.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(crate) fn new(checkpoints: Checkpoints, keep: usize, run: RunFolder) -> Result<Self, TrainError> {
        let queue = Arc::new(SaveQueue::default());
        let (theirs, root) = (Arc::clone(&queue), checkpoints.root().to_path_buf());
        let mut place = Place {
            checkpoints,
            keep,
            unnamed: Some(run),
        };
        let thread = Builder::new()
            .name("checkpoints".into())
            .spawn(move || theirs.work(&mut place))
            .map_err(TrainError::file("start a thread that writes", &root))?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Queues a snapshot.
    pub(crate) fn submit(&self, job: Job) {
        let mut state = self.queue.lock();
        let replaced = |waiting: &Job| !waiting.best || waiting.snapshot.step == job.snapshot.step;
        state.waiting.retain(|waiting| !replaced(waiting));
        while state.waiting.len() >= ROOM {
            state = self.queue.wait(state);
        }
        state.waiting.push_back(job);
        self.queue.changed.notify_all();
    }

    /// Returns the error of a save since the last call, if there is one.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        self.queue.lock().failed.take().map_or(Ok(()), Err)
    }

    /// Waits until all saves are written, then returns like [`check`](Self::check).
    pub(crate) fn wait(&self) -> Result<(), TrainError> {
        let mut state = self.queue.lock();
        while state.writing || !state.waiting.is_empty() {
            state = self.queue.wait(state);
        }
        state.failed.take().map_or(Ok(()), Err)
    }

    /// Number of checkpoints written so far, and the seconds spent on them.
    pub(crate) fn written(&self) -> (u64, f64) {
        let state = self.queue.lock();
        (state.written, state.seconds)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panics were caught
        }
    }
}

impl SaveQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, QueueState>) -> MutexGuard<'a, QueueState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes snapshots until the queue is closed and empty.
    fn work(&self, place: &mut Place) {
        while let Some(job) = self.next() {
            let started = Instant::now();
            // After an uncaught panic, a waiting thread would wait forever.
            let written = catch_unwind(AssertUnwindSafe(|| place.write(&job)));
            let outcome = written.unwrap_or_else(|panic| Err(panicked(&place.checkpoints, &*panic).into()));
            drop(job); // its memory is freed before a waiting thread continues
            let mut state = self.lock();
            state.writing = false;
            state.seconds += started.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => state.written += 1,
                Err(error) => state.failed = state.failed.take().or(Some(error)), // the first is the cause
            }
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.writing = true;
                self.changed.notify_all(); // there is room
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.wait(state);
        }
    }
}

/// Place of the checkpoints.
struct Place {
    checkpoints: Checkpoints,
    /// Number of checkpoints that are kept beside the best one.
    keep: usize,
    /// The run, until a useful checkpoint has made it the latest one.
    unnamed: Option<RunFolder>,
}

impl Place {
    /// Writes one save: the checkpoint, its pointers, and the removal of older ones.
    fn write(&mut self, job: &Job) -> Result<(), TrainError> {
        let step = job.snapshot.step;
        self.checkpoints.commit(&job.snapshot)?;
        self.checkpoints.point(Pointer::Last, step)?;
        if job.best {
            self.checkpoints.point(Pointer::Best, step)?;
        }
        if job.useful
            && step > 0
            && let Some(run) = self.unnamed.take()
        {
            run.become_latest()?;
        }
        Ok(self.checkpoints.retain(self.keep)?)
    }
}

fn panicked(checkpoints: &Checkpoints, panic: &(dyn Any + Send)) -> CheckpointError {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = format!("a save panicked: {}", text.unwrap_or_default());
    CheckpointError::io("write", checkpoints.root())(std::io::Error::other(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_dragon_checkpoint::api::expert::{Disk, DiskFile, Os};
    use burn_dragon_checkpoint::api::expert::{Fault, Faulty};
    use burn_dragon_checkpoint::api::{CheckpointFolder, Content};
    use std::io;
    use std::path::{Path, PathBuf};
    use std::thread::{sleep, spawn};
    use std::time::Duration;

    /// Disk that blocks before it makes a folder, and reports the request.
    #[derive(Clone, Debug, Default)]
    struct Gate(Arc<(Mutex<(u32, bool)>, Condvar)>);

    impl Gate {
        fn open(&self) {
            self.0.0.lock().unwrap().1 = true;
            self.0.1.notify_all();
        }

        fn until_asked(&self) {
            let asked = self.0.0.lock().unwrap();
            drop(self.0.1.wait_while(asked, |(asked, _)| *asked == 0).unwrap());
        }
    }

    impl Disk for Gate {
        fn create_dir_all(&self, path: &Path) -> io::Result<()> {
            Os.create_dir_all(path)
        }
        fn create_dir(&self, path: &Path) -> io::Result<()> {
            let mut state = self.0.0.lock().unwrap();
            state.0 += 1;
            self.0.1.notify_all();
            drop(self.0.1.wait_while(state, |(_, open)| !*open).unwrap());
            Os.create_dir(path)
        }
        fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
            Os.create(path)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            Os.rename(from, to)
        }
        fn remove_file(&self, path: &Path) -> io::Result<()> {
            Os.remove_file(path)
        }
        fn remove_dir_all(&self, _: &Path) -> io::Result<()> {
            panic!("nothing is to be removed")
        }
        fn sync_dir(&self, path: &Path) -> io::Result<()> {
            Os.sync_dir(path)
        }
    }

    fn job(step: u64, best: bool) -> Job {
        let files = [("model.bpk".to_string(), Content::Text(format!("model {step}")))];
        let snapshot = Snapshot {
            step,
            files: files.into(),
            ..Snapshot::default()
        };
        Job {
            snapshot,
            best,
            useful: true,
        }
    }

    fn steps(root: &Path) -> Vec<u64> {
        let all = Checkpoints::new(root).all().unwrap();
        all.iter().map(CheckpointFolder::step).collect()
    }

    fn writer(root: &Path, disk: impl Disk + 'static, keep: usize) -> Writer {
        let run = RunFolder::open(run_beside(root)).unwrap();
        Writer::new(Checkpoints::on(Arc::new(disk), root), keep, run).unwrap()
    }

    /// A run folder that is not among the runs.
    fn run_beside(root: &Path) -> PathBuf {
        let run = root.join(".run");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join("config.toml"), "").unwrap();
        run
    }

    #[test]
    fn the_first_useful_checkpoint_with_a_step_makes_the_run_the_latest() {
        let runs = tempfile::tempdir().unwrap();
        let latest = runs.path().join("latest");
        let run = RunFolder::create(None, runs.path(), "language").unwrap();
        let checkpoints = Checkpoints::new(run.checkpoints());
        let writer = Writer::new(checkpoints, 9, run.clone()).unwrap();
        let save = |step, useful| {
            writer.submit(Job {
                useful,
                ..job(step, false)
            });
            writer.wait().unwrap();
        };
        save(0, true);
        save(3, false);
        assert!(!latest.exists());
        save(5, true);
        assert_eq!(
            std::fs::canonicalize(&latest).unwrap(),
            std::fs::canonicalize(run.path()).unwrap()
        );
        std::fs::remove_file(&latest).unwrap();
        save(7, true);
        assert!(!latest.exists(), "another run may have become the latest since");
    }

    #[test]
    fn a_newer_one_takes_the_place_of_one_that_waits_unless_that_is_a_best_one() {
        let (root, gate) = (tempfile::tempdir().unwrap(), Gate::default());
        let writer = writer(root.path(), gate.clone(), 9);
        writer.submit(job(1, false));
        gate.until_asked(); // it is being written, and stays so
        writer.submit(job(2, true));
        writer.submit(job(3, false));
        writer.submit(job(4, false));
        assert!(steps(root.path()).is_empty());
        gate.open();
        writer.wait().unwrap();
        assert_eq!(steps(root.path()), [1, 2, 4]);
        assert_eq!(writer.written().0, 3);
        let pointed = |pointer| {
            Checkpoints::new(root.path())
                .pointed(pointer)
                .unwrap()
                .unwrap()
                .step()
        };
        assert_eq!((pointed(Pointer::Last), pointed(Pointer::Best)), (4, 2));
    }

    #[test]
    fn where_only_best_ones_wait_another_waits_for_its_turn() {
        let (root, gate) = (tempfile::tempdir().unwrap(), Gate::default());
        let writer = writer(root.path(), gate.clone(), 9);
        writer.submit(job(1, true));
        gate.until_asked();
        writer.submit(job(2, true));
        writer.submit(job(3, true));
        let opener = spawn(move || {
            sleep(Duration::from_millis(50));
            gate.open();
        });
        writer.submit(job(4, true));
        assert!(steps(root.path()).contains(&1), "it waited for the first");
        writer.wait().unwrap();
        assert_eq!(steps(root.path()), [1, 2, 3, 4]);
        opener.join().unwrap();
    }

    #[test]
    fn an_error_is_told_once_and_the_next_save_may_succeed() {
        let root = tempfile::tempdir().unwrap();
        let writer = writer(root.path(), Faulty::new(Fault::NoSpace, 1, false), 2);
        writer.submit(job(1, false));
        let error = writer.wait().unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint(_)), "{error}");
        writer.check().unwrap();
        writer.submit(job(2, false));
        writer.wait().unwrap();
        assert_eq!(steps(root.path()), [2]);
    }

    #[test]
    fn a_panic_is_an_error_and_nobody_waits_forever() {
        let (root, gate) = (tempfile::tempdir().unwrap(), Gate::default());
        gate.open();
        let writer = writer(root.path(), gate, 1);
        writer.submit(job(1, false));
        writer.wait().unwrap();
        writer.submit(job(2, false)); // the first one is to be removed then
        let error = writer.wait().unwrap_err().to_string();
        assert!(error.contains("nothing is to be removed"), "{error}");
    }

    #[test]
    fn a_writer_that_is_dropped_finishes_what_it_was_given() {
        let root = tempfile::tempdir().unwrap();
        let writer = writer(root.path(), Os, 9);
        writer.submit(job(1, true));
        writer.submit(job(2, false));
        drop(writer);
        assert_eq!(steps(root.path()), [1, 2]);
    }
}
