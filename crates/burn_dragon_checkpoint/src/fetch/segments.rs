//! Several things at once, and one large file in segments at once.

use super::address::Address;
use super::error::FetchError;
use super::filling::Note;
use super::http::{Answer, Client};
use super::piece::{Landed, Piece};
use super::progress::Meter;
use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::hash::hex;

use crate::plain;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs jobs on a few threads. The first that fails stops them all, and is what is told.
pub(super) fn at_once<T: Sync, R: Send>(
    threads: usize,
    meter: &Meter<'_>,
    jobs: &[T],
    run: impl Fn(usize, &T) -> Result<R, FetchError> + Sync,
) -> Result<Vec<R>, FetchError> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<FetchError>> = Mutex::new(None);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                while !meter.is_stopped() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else {
                        return;
                    };
                    match run(index, job) {
                        Ok(result) => {
                            done.lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push((index, result));
                        }
                        Err(error) => {
                            meter.stop();
                            failed
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// How a file was cut into segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    etag: String,
    total: u64,
    segment: u64,
}

impl Plan {
    fn path(of: &Path) -> PathBuf {
        of.with_extension("plan")
    }

    fn read(of: &Path) -> Option<Self> {
        let plan: Self = serde_json::from_slice(&plain::read(&Self::path(of), 4096).ok()?).ok()?;
        (plan.segment > 0 && plan.total / plan.segment < 1 << 16).then_some(plan)
    }

    /// Of an answer that can be had in segments, and is worth it.
    fn of(answer: &Answer, segment: u64, most: u64) -> Option<Self> {
        let total = answer.length().filter(|&total| total <= most)?;
        let worth =
            segment > 0 && total >= segment.saturating_mul(2) && answer.status == 200 && answer.has_ranges();
        worth.then_some(Self {
            etag: answer.strong_etag()?,
            total,
            segment: segment.max(total >> 12), // at most some thousand of them
        })
    }

    /// First byte and the one after the last of each segment.
    fn segments(&self) -> Vec<(u64, u64)> {
        let starts = (0..self.total).step_by(usize::try_from(self.segment).unwrap_or(usize::MAX));
        starts
            .map(|start| (start, (start + self.segment).min(self.total)))
            .collect()
    }
}

impl Client {
    /// Fetches a file whose length only the server knows: in segments where it is large and the server can do that.
    pub(super) fn whole(
        &self,
        address: &Address,
        into: &Path,
        first: Option<Answer>,
        meter: &Meter<'_>,
    ) -> Result<Landed, FetchError> {
        let (most, segment) = (self.limits().bytes, self.limits().segment);
        let new = first.as_ref().and_then(|first| Plan::of(first, segment, most));
        let (plan, first) = match (new, Plan::read(into).filter(|_| first.is_none())) {
            (Some(plan), _) => {
                begin(&plan, into)?;
                (Some((plan, first.map(|first| first.linked))), None) // its body is let go
            }
            (None, Some(plan)) => (Some((plan, None)), None),
            (None, None) => (None, first),
        };
        if let Some((plan, linked)) = plan {
            meter.expect(plan.total);
            match self.in_segments(&plan, address, into, meter) {
                Ok(mut landed) => {
                    landed.linked = linked.unwrap_or(landed.linked);
                    return Ok(landed);
                }
                Err(FetchError::Changed { .. }) => {
                    forget(&plan, into);
                    meter.go_on();
                }
                Err(error) => return Err(error),
            }
        }
        let piece = Piece {
            address,
            into,
            segment: None,
            total: None,
            most,
        };
        self.piece(&piece, first, meter)
    }

    fn in_segments(
        &self,
        plan: &Plan,
        address: &Address,
        into: &Path,
        meter: &Meter<'_>,
    ) -> Result<Landed, FetchError> {
        let segments = plan.segments();
        let landed = at_once(self.limits().at_once, meter, &segments, |index, &segment| {
            let piece = Piece {
                address,
                into: &segment_path(into, index),
                segment: Some(segment),
                total: Some(plan.total),
                most: plan.total,
            };
            self.piece(&piece, None, meter)
        })?;
        let linked = landed
            .into_iter()
            .next_back()
            .map(|landed| landed.linked)
            .unwrap_or_default();
        let sha256 = join(into, segments.len())?;
        forget(plan, into);
        Ok(Landed {
            bytes: plan.total,
            sha256,
            etag: Some(plan.etag.clone()),
            linked,
        })
    }
}

/// Notes what every segment is of, then how there are any: where the plan is, all the notes are.
fn begin(plan: &Plan, into: &Path) -> Result<(), FetchError> {
    forget(plan, into);
    let note = Note {
        etag: plan.etag.clone(),
        total: Some(plan.total),
    };
    for index in 0..plan.segments().len() {
        note.write(&segment_path(into, index))?;
    }
    let path = Plan::path(into);
    let text = serde_json::to_vec(plan).map_err(|error| CheckpointError::corrupt(&path, error))?;
    Ok(write_atomic(&Os, &path, |sink| sink.write_all(&text))?)
}

fn forget(plan: &Plan, into: &Path) {
    let _ = fs::remove_file(Plan::path(into)); // none is fine, here and below
    for index in 0..plan.segments().len() {
        let path = segment_path(into, index);
        Note::remove(&path);
        let _ = fs::remove_file(path);
    }
}

fn segment_path(into: &Path, index: usize) -> PathBuf {
    into.with_extension(format!("segment-{index:05}"))
}

/// Puts the segments together, and gives the hash of the whole.
fn join(into: &Path, segments: usize) -> Result<String, CheckpointError> {
    let mut whole = File::create(into).map_err(CheckpointError::io("create", into))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for index in 0..segments {
        let path = segment_path(into, index);
        let mut segment = File::open(&path).map_err(CheckpointError::io("open", &path))?;
        loop {
            let read = segment
                .read(&mut buffer)
                .map_err(CheckpointError::io("read", &path))?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            whole
                .write_all(&buffer[..read])
                .map_err(CheckpointError::io("write", into))?;
        }
    }
    whole.sync_all().map_err(CheckpointError::io("sync", into))?;
    Ok(hex(&hash.finalize()))
}
