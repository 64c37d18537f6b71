//! Prefetch: items made ahead of time on a thread.

use std::{
    any::Any,
    error::Error,
    fmt,
    sync::mpsc::{Receiver, sync_channel},
    thread::{Builder, JoinHandle},
};

use crate::error::StreamError;

/// Iterator whose items are made ahead of time, on a separate thread, in order.
///
/// The producer gets the number of the item to make. [`Prefetch::position`] is the number of the next item to *take*,
/// however many more are ready. A new `Prefetch` from that position gives the same items as one that never stopped. A
/// producer with a position of its own, such as [`Lanes`](crate::api::Lanes), puts it into the item:
///
/// ```
/// use burn_dragon_stream::api::{Documents, Lanes, Order, Prefetch, StreamError};
///
/// let documents = Documents::from_lengths(&[100, 40, 7])?;
/// let mut lanes = Lanes::new(&documents, Order::Given, 2)?;
/// let mut batches = Prefetch::new(0, 2, move |_| {
///     let windows = lanes.next(16);
///     Ok::<_, StreamError>(Some((windows, lanes.positions())))
/// })?;
/// let Some((windows, positions)) = batches.next().transpose()? else { unreachable!() };
/// assert_eq!(windows.len(), 2);
/// assert_eq!(positions[0].offset, 16); // after what was taken, not after what is ready
/// assert_eq!(batches.position(), 1);
/// # Ok::<(), StreamError>(())
/// ```
///
/// An error or a panic of the producer is returned after the items made before it; there are no more items after it.
/// Dropping a `Prefetch` stops the thread and waits until the producer has finished its current item.
pub struct Prefetch<T> {
    position: u64,
    /// `None` if there are no more items.
    items: Option<Receiver<Made<T>>>,
    producer: Option<JoinHandle<()>>,
}

/// Result of the producer: an item, the end, or an error.
enum Made<T> {
    Item(T),
    End,
    Failed(Box<dyn Error + Send + Sync>),
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts a thread that makes the items from number `position` on.
    ///
    /// Up to `depth` items are ready ahead of time, beside the one that is being made. The producer returns `None` at
    /// the end.
    ///
    /// # Errors
    /// [`StreamError::Thread`] if the system cannot start a thread.
    pub fn new<F, E>(position: u64, depth: usize, mut producer: F) -> Result<Self, StreamError>
    where
        F: FnMut(u64) -> Result<Option<T>, E> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let (sender, items) = sync_channel(depth);
        let make_all = move || {
            for number in position.. {
                let made = match producer(number) {
                    Ok(Some(item)) => Made::Item(item),
                    Ok(None) => Made::End,
                    Err(error) => Made::Failed(error.into()),
                };
                let last = !matches!(made, Made::Item(_));
                // Sending fails once the consumer is dropped.
                if sender.send(made).is_err() || last {
                    break;
                }
            }
        };
        let producer = Builder::new()
            .name("prefetch".into())
            .spawn(make_all)
            .map_err(StreamError::Thread)?;
        Ok(Self {
            position,
            items: Some(items),
            producer: Some(producer),
        })
    }
}

impl<T> Prefetch<T> {
    /// Number of the next item to take.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Ends the thread; returns the message of its panic, if it panicked.
    fn stop(&mut self) -> Option<String> {
        // Without a receiver, a producer that waits to send an item stops.
        self.items = None;
        let panic = self.producer.take()?.join().err()?;
        Some(message(&*panic))
    }
}

impl<T> Iterator for Prefetch<T> {
    type Item = Result<T, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.position;
        match self.items.as_ref()?.recv() {
            Ok(Made::Item(made)) => {
                self.position += 1;
                return Some(Ok(made));
            }
            Ok(Made::Failed(source)) => {
                self.stop();
                return Some(Err(StreamError::Producer { item, source }));
            }
            Ok(Made::End) | Err(_) => {}
        }
        let message = self.stop()?;
        Some(Err(StreamError::Panic { item, message }))
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<T> fmt::Debug for Prefetch<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Prefetch")
            .field("position", &self.position)
            .field("ended", &self.items.is_none())
            .finish_non_exhaustive()
    }
}

/// Message of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_string()
}
