//! Contract of a prefetched stream with its consumer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::channel,
    },
    thread::{sleep, spawn},
    time::Duration,
};

use burn_dragon_stream::api::{Documents, LanePosition, LaneWindow, Lanes, Order, Prefetch, StreamError};

/// Fails a test that hangs.
fn within_seconds(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = channel();
    let worker = spawn(move || {
        test();
        done.send(()).ok();
    });
    match wait.recv_timeout(Duration::from_secs(20)) {
        Ok(()) => worker.join().unwrap(),
        Err(_) if worker.is_finished() => worker.join().unwrap(),
        Err(_) => panic!("it hangs"),
    }
}

fn numbers(count: u64) -> impl FnMut(u64) -> Result<Option<u64>, Infallible> + Send + 'static {
    move |number| Ok((number < count).then_some(number))
}

#[test]
fn items_come_in_order_whatever_the_depth() {
    within_seconds(|| {
        for depth in [0, 1, 3, 1000] {
            let items: Result<Vec<_>, _> = Prefetch::new(0, depth, numbers(500)).unwrap().collect();
            assert!(items.unwrap().into_iter().eq(0..500), "{depth}");
        }
    });
}

#[test]
fn what_was_taken_counts_not_what_is_ready() {
    within_seconds(|| {
        let made = Arc::new(AtomicU64::new(0));
        let counter = made.clone();
        let mut items = Prefetch::new(7, 4, move |number| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Some(number))
        })
        .unwrap();
        assert_eq!(items.next().unwrap().unwrap(), 7);
        while made.load(Ordering::SeqCst) < 6 {
            sleep(Duration::from_millis(1));
        }
        assert_eq!(items.position(), 8);
        drop(items);
        // One taken, four ready, one in hand.
        assert_eq!(made.load(Ordering::SeqCst), 6);

        let mut resumed = Prefetch::new(8, 4, numbers(100)).unwrap();
        assert_eq!(resumed.next().unwrap().unwrap(), 8);
    });
}

#[test]
fn lanes_resume_from_what_was_taken() {
    fn batches(start: Option<&[LanePosition]>) -> Prefetch<(Vec<LaneWindow>, Vec<LanePosition>)> {
        let documents = Documents::from_lengths(&[50, 8, 31]).unwrap();
        let mut lanes = Lanes::new(&documents, Order::Shuffled { seed: 5 }, 2).unwrap();
        if let Some(positions) = start {
            lanes.seek(positions).unwrap();
        }
        let next = move |_| Ok::<_, Infallible>(Some((lanes.next(13), lanes.positions())));
        Prefetch::new(0, 3, next).unwrap()
    }

    within_seconds(|| {
        let all: Vec<_> = batches(None).take(20).map(Result::unwrap).collect();
        for taken in 1..20 {
            let (next, _) = batches(Some(&all[taken - 1].1)).next().unwrap().unwrap();
            assert_eq!(next, all[taken].0);
        }
    });
}

#[test]
fn an_error_comes_in_its_turn_and_ends_the_stream() {
    within_seconds(|| {
        let mut items = Prefetch::new(0, 8, |number| match number {
            3 => Err(io::Error::other("the disk is gone")),
            _ => Ok(Some(number)),
        })
        .unwrap();
        for number in 0..3 {
            assert_eq!(items.next().unwrap().unwrap(), number);
        }
        let error = items.next().unwrap().unwrap_err();
        assert!(matches!(error, StreamError::Producer { item: 3, .. }));
        assert!(error.to_string().contains("the disk is gone"), "{error}");
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.downcast_ref::<io::Error>().is_some());
        assert_eq!(items.position(), 3);
        assert!(items.next().is_none());
    });
}

#[test]
fn a_panic_is_an_error_too() {
    within_seconds(|| {
        let mut items = Prefetch::new(0, 8, |number| {
            assert!(number < 2, "no item {number}");
            Ok::<_, Infallible>(Some(number))
        })
        .unwrap();
        assert_eq!(items.by_ref().take(2).map(Result::unwrap).sum::<u64>(), 1);
        let error = items.next().unwrap().unwrap_err();
        assert!(
            matches!(&error, StreamError::Panic { item: 2, message } if message == "no item 2"),
            "{error}"
        );
        assert!(items.next().is_none());
    });
}

#[test]
fn the_end_stays_the_end() {
    within_seconds(|| {
        let mut items = Prefetch::new(0, 2, numbers(1)).unwrap();
        assert!(items.next().is_some());
        assert!(items.next().is_none() && items.next().is_none());
        assert_eq!(items.position(), 1);
    });
}

/// Says when it is dropped.
struct Guard(Arc<AtomicU64>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn dropping_it_ends_the_thread_however_full_the_queue() {
    within_seconds(|| {
        for depth in [0, 1, 5] {
            for take in [0, 1, 3] {
                let ended = Arc::new(AtomicU64::new(0));
                let guard = Guard(ended.clone());
                let mut items = Prefetch::new(0, depth, move |number| {
                    let _guard = &guard;
                    Ok::<_, Infallible>(Some(number))
                })
                .unwrap();
                assert_eq!(items.by_ref().take(take).count(), take);
                drop(items);
                assert_eq!(
                    ended.load(Ordering::SeqCst),
                    1,
                    "the producer is gone when drop returns"
                );
            }
        }
    });
}

#[test]
fn dropping_it_after_a_panic_is_quiet() {
    within_seconds(|| {
        drop(Prefetch::new(0, 1, |_| -> Result<Option<()>, Infallible> { panic!("at once") }).unwrap());
    });
}
