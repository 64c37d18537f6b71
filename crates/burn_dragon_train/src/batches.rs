//! The batches of a run, in the order of its steps: made when a step asks for one, or one ahead on a thread.

use crate::error::TrainError;
use crate::task::{DataPosition, Task};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

/// Where batches come from.
pub(crate) struct Batches<'t, T: Task> {
    task: &'t T,
    ahead: Option<Ahead<T>>,
}

/// A thread that makes batches, and the one that it is making.
struct Ahead<T: Task> {
    requests: Sender<Request<T>>,
    made: Receiver<Result<Made<T>, TrainError>>,
    pending: Option<DataPosition>,
}

/// A batch that is to be made.
struct Request<T: Task> {
    position: DataPosition,
    cursor: T::Cursor,
}

/// A batch, and the cursor after it.
struct Made<T: Task> {
    batch: T::Batch,
    cursor: T::Cursor,
}

impl<'t, T: Task> Batches<'t, T> {
    /// Batches that are made when they are asked for.
    pub(crate) fn at_once(task: &'t T) -> Self {
        Self { task, ahead: None }
    }

    /// As the task wants them, on a thread of `scope` where it wants them ahead and the system has one.
    pub(crate) fn of<'scope>(task: &'t T, scope: &'scope Scope<'scope, '_>) -> Self
    where
        't: 'scope,
        T: 'scope,
    {
        let ahead = task.prefetches().then(|| Ahead::start(task, scope)).flatten();
        Self { task, ahead }
    }

    /// The batch of a position. The cursor moves on with the batch that is given, not with one that is made ahead.
    ///
    /// # Errors
    /// If the data cannot be had.
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
                    break; // nobody wants it
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

    /// The batch of a position, and the cursor after it; absent where the thread is gone.
    fn next(&mut self, position: DataPosition, cursor: &T::Cursor) -> Option<Result<Made<T>, TrainError>> {
        if self.pending.is_some_and(|pending| pending != position) {
            self.made.recv().ok().map(drop)?; // of another position: not what is learnt from
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
        // Where the thread is gone, whoever waits for the batch learns it.
        let _ = self.requests.send(Request { position, cursor });
        self.pending = Some(position);
    }
}
