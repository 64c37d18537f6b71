//! Batches of a run, in the order of its steps: made on request, or one ahead on a thread.

use crate::error::TrainError;
use crate::task::{DataPosition, Task};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

/// Source of batches.
pub(crate) struct Batches<'t, T: Task> {
    task: &'t T,
    ahead: Option<Ahead<T>>,
}

/// Thread that makes batches, and the batch in progress.
struct Ahead<T: Task> {
    requests: Sender<Request<T>>,
    made: Receiver<Result<Made<T>, TrainError>>,
    pending: Option<DataPosition>,
}

/// Request for a batch.
struct Request<T: Task> {
    position: DataPosition,
    cursor: T::Cursor,
}

/// Batch, and the cursor after it.
struct Made<T: Task> {
    batch: T::Batch,
    cursor: T::Cursor,
}

impl<'t, T: Task> Batches<'t, T> {
    /// Batches that are made on request.
    pub(crate) fn at_once(task: &'t T) -> Self {
        Self { task, ahead: None }
    }

    /// Batches as the task prefers: one ahead on a thread of `scope` if the task prefetches and the system can start
    /// one.
    pub(crate) fn of<'scope>(task: &'t T, scope: &'scope Scope<'scope, '_>) -> Self
    where
        't: 'scope,
        T: 'scope,
    {
        let ahead = task.prefetches().then(|| Ahead::start(task, scope)).flatten();
        Self { task, ahead }
    }

    /// Batch at a position. The cursor moves with the returned batch, not with one that is made ahead.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub(crate) fn next(
        &mut self,
        position: DataPosition,
        cursor: &mut T::Cursor,
    ) -> Result<T::Batch, TrainError> {
        let units = position.units.saturating_add(self.task.units_per_batch());
        let following = DataPosition { units, ..position };
        let made = self.ahead.as_mut().and_then(|ahead| ahead.next(position, cursor));
        let Some(made) = made else {
            self.ahead = None; // the thread is gone
            return self.task.batch(position, cursor);
        };
        let Made { batch, cursor: after } = made?;
        *cursor = after;
        if let Some(ahead) = &mut self.ahead {
            ahead.request(following, cursor);
        }
        Ok(batch)
    }
}

impl<T: Task> Ahead<T> {
    fn start<'scope>(task: &'scope T, scope: &'scope Scope<'scope, '_>) -> Option<Self> {
        let (requests, asked) = channel::<Request<T>>();
        let (send, made) = channel();
        let work = move || {
            for Request { position, mut cursor } in asked {
                let batch = task.batch(position, &mut cursor);
                if send.send(batch.map(|batch| Made { batch, cursor })).is_err() {
                    break; // there is no receiver
                }
            }
        };
        let thread = Builder::new().name("batches".into()).spawn_scoped(scope, work);
        thread.ok().map(|_| Self {
            requests,
            made,
            pending: None,
        })
    }

    /// Batch at a position, and the cursor after it; `None` if the thread has ended.
    fn next(&mut self, position: DataPosition, cursor: &T::Cursor) -> Option<Result<Made<T>, TrainError>> {
        if self.pending.is_some_and(|pending| pending != position) {
            self.made.recv().ok().map(drop)?; // a batch of another position is not used
            self.pending = None;
        }
        if self.pending.is_none() {
            self.request(position, cursor);
        }
        self.pending = None;
        self.made.recv().ok()
    }

    fn request(&mut self, position: DataPosition, cursor: &T::Cursor) {
        let cursor = cursor.clone();
        // If the thread has ended, the receiver of the batch reports it.
        let _ = self.requests.send(Request { position, cursor });
        self.pending = Some(position);
    }
}
