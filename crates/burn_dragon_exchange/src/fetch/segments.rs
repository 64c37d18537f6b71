//! Parallel downloads, and the download of one large file in parallel segments.

use super::address::Address;
use super::download::{RangedDownload, Segment};
use super::error::FetchError;
use super::http::{Answer, Client};
use super::partial_file::Note;
use super::progress::Meter;
use super::ranged::Landed;
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{Os, hex, plain, write_atomic};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs jobs on a few threads. The first failure stops all jobs through their meter, and is returned; else the results
/// are returned in order.
pub(super) fn at_once<T: Sync, R: Send>(
    threads: usize,
    meter: &Meter<'_>,
    jobs: &[T],
    run: impl Fn(usize, &T, &Meter<'_>) -> Result<R, FetchError> + Sync,
) -> Result<Vec<R>, FetchError> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let meter = meter.together();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                while !meter.is_stopped() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else {
                        return;
                    };
                    match run(index, job, &meter) {
                        Ok(result) => done
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((index, result)),
                        Err(error) => meter.fail(error),
                    }
                }
            });
        }
    });
    meter.outcome()?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// Plan of a file in segments.
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

    /// Plan for the file of an answer, if the server supports segments and the file is large enough.
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

    /// All segments, in order.
    fn segments(&self) -> Vec<Segment<'_>> {
        let starts = (0..self.total).step_by(usize::try_from(self.segment).unwrap_or(usize::MAX));
        starts
            .map(|start| Segment {
                start,
                end: (start + self.segment).min(self.total),
                etag: &self.etag,
            })
            .collect()
    }
}

impl Client {
    /// Fetches a file whose length only the server knows, in segments if it is large and the server supports them.
    /// Earlier segments are kept if the server confirms that the version is unchanged.
    pub(super) fn whole(
        &self,
        address: &Address,
        into: &Path,
        meter: &Meter<'_>,
    ) -> Result<Landed, FetchError> {
        let (most, segment) = (self.limits().bytes, self.limits().segment);
        let plan = Plan::read(into);
        let note = Note::read(into).map(|note| note.etag);
        let known = plan.as_ref().map(|plan| plan.etag.clone()).or(note);
        let answer = self.first(address, known.as_deref(), meter)?;
        let linked = answer.linked.clone();
        let (plan, first) = match (plan, answer) {
            (plan, answer) if answer.is_still(known.as_deref()) => (plan, None),
            (old, answer) => {
                if let Some(old) = old {
                    forget(&old, into);
                }
                match Plan::of(&answer, segment, most) {
                    Some(plan) => {
                        begin(&plan, into)?;
                        (Some(plan), None) // its body is let go
                    }
                    None => (None, Some(answer)),
                }
            }
        };
        if let Some(plan) = plan {
            meter.expect(plan.total);
            match self.in_segments(&plan, address, into, meter) {
                Err(FetchError::Changed { .. }) => forget(&plan, into),
                landed => {
                    let linked = Some(linked);
                    return landed.map(|landed| Landed { linked, ..landed });
                }
            }
        }
        let download = RangedDownload {
            address,
            into,
            segment: None,
            total: None,
            most,
        };
        let landed = self.download(&download, first, meter)?;
        let linked = landed.linked.or(Some(linked));
        Ok(Landed { linked, ..landed })
    }

    fn in_segments(
        &self,
        plan: &Plan,
        address: &Address,
        into: &Path,
        meter: &Meter<'_>,
    ) -> Result<Landed, FetchError> {
        let segments = plan.segments();
        at_once(
            self.limits().at_once,
            meter,
            &segments,
            |index, &segment, meter| {
                let download = RangedDownload {
                    address,
                    into: &segment_path(into, index),
                    segment: Some(segment),
                    total: Some(plan.total),
                    most: plan.total,
                };
                self.download(&download, None, meter)
            },
        )?;
        let sha256 = join(into, segments.len())?;
        forget(plan, into);
        Ok(Landed {
            bytes: plan.total,
            sha256,
            etag: Some(plan.etag.clone()),
            linked: None,
        })
    }
}

/// Writes the plan of a file, which gives the version of its segments. Segments of another plan are removed first.
fn begin(plan: &Plan, into: &Path) -> Result<(), FetchError> {
    forget(plan, into);
    Note::remove(into); // of another version, which the joined one is not
    let path = Plan::path(into);
    let text = serde_json::to_vec(plan).map_err(|error| CheckpointError::corrupt(&path, error))?;
    Ok(write_atomic(&Os, &path, |sink| sink.write_all(&text))?)
}

fn forget(plan: &Plan, into: &Path) {
    let _ = fs::remove_file(Plan::path(into)); // none is fine, here and below
    for index in 0..plan.segments().len() {
        let _ = fs::remove_file(segment_path(into, index));
    }
}

fn segment_path(into: &Path, index: usize) -> PathBuf {
    into.with_extension(format!("segment-{index:05}"))
}

/// Joins the segments. Returns the hash of the whole file.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn what_fails_first_is_what_is_told() {
        for _ in 0..2000 {
            let (meter, both) = (Meter::new(&|_| {}), Barrier::new(2));
            let error = at_once(
                2,
                &meter,
                &[true, false],
                |_, &first, meter| -> Result<(), FetchError> {
                    both.wait();
                    if !first {
                        while !meter.is_stopped() {
                            std::thread::yield_now();
                        }
                    }
                    // Both without an allocation, whose time would be measured too.
                    let address = String::new();
                    Err(match first {
                        true => FetchError::Changed { address },
                        false => FetchError::Network {
                            address,
                            reason: String::new(),
                            tries: 1,
                        },
                    })
                },
            );
            assert!(matches!(error, Err(FetchError::Changed { .. })), "{error:?}");
        }
    }
}
