//! A run of bytes of one file on a server, into a file here: the whole of it, or a segment.
//!
//! What came is kept when the connection is cut or the process is killed, beside a note that says of what it is: the
//! server's strong ETag. With that the rest is asked for (`Range`, `If-Range`); without it, or when the server says
//! that there is something else now, the piece starts anew. Bytes of two versions never meet in one file.

use super::address::Address;
use super::error::FetchError;
use super::http::{Answer, Client, Linked};
use super::limits::Limits;
use super::progress::Meter;
use super::retry::{Tries, unwelcome};
use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::hash::hex;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use ureq::http::header::{self, HeaderName};

/// What is to be fetched, and where to.
pub(super) struct Piece<'a> {
    pub(super) address: &'a Address,
    /// The file that it is put into. What is in it already is kept if its note says that it belongs there.
    pub(super) into: &'a Path,
    /// The first byte, and the one after the last, of a segment; `None` for a whole file.
    pub(super) segment: Option<(u64, u64)>,
    /// Bytes of the whole file, if somebody trusted has said it.
    pub(super) total: Option<u64>,
    /// Most bytes of the whole file.
    pub(super) most: u64,
}

/// What came.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// The ETag of the answer, strong or weak.
    pub(super) etag: Option<String>,
    /// What a hub said before it sent elsewhere.
    pub(super) linked: Linked,
}

/// What a file that is not whole yet is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) etag: String,
    pub(super) total: Option<u64>,
}

impl Note {
    fn path(of: &Path) -> PathBuf {
        let mut name = of.as_os_str().to_owned();
        name.push(".from");
        name.into()
    }

    pub(super) fn read(of: &Path) -> Option<Self> {
        let text = crate::plain::read(&Self::path(of), 4096).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(super) fn write(&self, of: &Path) -> Result<(), CheckpointError> {
        let path = Self::path(of);
        let text = serde_json::to_vec(self).map_err(|error| CheckpointError::corrupt(&path, error))?;
        write_atomic(&Os, &path, |sink| sink.write_all(&text))
    }

    pub(super) fn remove(of: &Path) {
        let _ = std::fs::remove_file(Self::path(of)); // none is fine
    }
}

/// The file that is being filled, and the hash of what is in it.
struct Filling {
    file: File,
    hash: Sha256,
    have: u64,
}

/// How one try ended.
enum End {
    Whole,
    /// Cut, with this many bytes more than before.
    Cut(String, u64),
}

impl Client {
    /// Fetches a piece, until it is there. `first` is an answer that was asked for already.
    pub(super) fn piece(
        &self,
        piece: &Piece<'_>,
        mut first: Option<Answer>,
        meter: &Meter<'_>,
    ) -> Result<Landed, FetchError> {
        let mut note = Note::read(piece.into);
        let mut filling = Filling::open(piece.into, note.is_some() && first.is_none())?;
        meter.add(filling.have);
        let mut etag = note.as_ref().map(|note| note.etag.clone());
        let mut total = piece.total.or(note.as_ref().and_then(|note| note.total));
        let mut linked = Linked::default();
        let mut tries = Tries::new(self.limits(), piece.address, meter);
        loop {
            let start = piece.segment.map_or(0, |(start, _)| start);
            let end = piece.segment.map(|(_, end)| end).or(total);
            if end.is_some_and(|end| start + filling.have >= end) && filling.have > 0 {
                break;
            }
            let ranged = piece.segment.is_some() || filling.have > 0;
            let answer = match first.take() {
                Some(answer) => answer,
                None => self.ask(
                    piece.address,
                    &range(ranged, start + filling.have, piece.segment, &note),
                    &mut tries,
                )?,
            };
            linked = answer.linked.clone();
            match (answer.status, ranged) {
                (206, true) => {
                    if let Err(reason) = check_range(&answer, start + filling.have, end, total) {
                        return Err(filling.refuse(piece, meter, reason));
                    }
                    let other = note
                        .as_ref()
                        .zip(answer.strong_etag())
                        .is_some_and(|(note, etag)| note.etag != etag);
                    if other && piece.segment.is_some() {
                        return Err(filling.drop_with(piece, meter, changed(piece)));
                    }
                    if other {
                        filling.empty(piece, meter, &mut note)?;
                        tries.again("the file on the server has changed".into(), None)?;
                        continue;
                    }
                    total = total.or(answer.range().and_then(|(_, _, whole)| whole));
                    if total.is_some_and(|total| total > piece.most) {
                        return Err(filling.drop_with(piece, meter, too_large(piece, "longer than that")));
                    }
                }
                (200 | 416, _) if piece.segment.is_some() => {
                    return Err(filling.drop_with(piece, meter, changed(piece)));
                }
                (200, _) => {
                    filling.empty(piece, meter, &mut note)?;
                    etag = answer.etag();
                    total = self
                        .declared(piece, &answer)
                        .map_err(|error| filling.drop_with(piece, meter, error))?;
                    if let Some(strong) = answer.strong_etag() {
                        let new = Note { etag: strong, total };
                        new.write(piece.into)?;
                        note = Some(new);
                    }
                }
                (416, true) => {
                    filling.empty(piece, meter, &mut note)?;
                    tries.again("the server has less than what came from it before".into(), None)?;
                    continue;
                }
                (status, _) => {
                    return Err(unwelcome(
                        piece.address,
                        status,
                        self.bearer(piece.address).is_some(),
                    ));
                }
            }
            let end = piece.segment.map(|(_, end)| end).or(total);
            match filling.pour(answer, end.map(|end| end - start), piece, meter, self.limits())? {
                End::Whole => break,
                End::Cut(reason, bytes) => {
                    tries.brought(bytes);
                    if note.is_none() && piece.segment.is_none() {
                        filling.empty(piece, meter, &mut note)?; // nothing tells that the rest would be of the same
                    }
                    tries.again(reason, None)?;
                }
            }
        }
        filling
            .file
            .sync_all()
            .map_err(CheckpointError::io("sync", piece.into))?;
        Ok(Landed {
            bytes: filling.have,
            sha256: hex(&filling.hash.finalize()),
            etag,
            linked,
        })
    }

    /// The length of the whole that an answer declares, if it is the one that it must be, and not too much.
    fn declared(&self, piece: &Piece<'_>, answer: &Answer) -> Result<Option<u64>, FetchError> {
        let declared = answer.length();
        if let (Some(declared), Some(total)) = (declared, piece.total)
            && declared != total
        {
            let reason = format!("the server declares {declared} bytes, it must have {total}");
            return Err(FetchError::refused(piece.address, reason));
        }
        if let Some(declared) = declared.filter(|&declared| declared > piece.most) {
            return Err(too_large(piece, &format!("{declared} bytes")));
        }
        Ok(piece.total.or(declared))
    }
}

/// Segments are of one version or of none.
fn changed(piece: &Piece<'_>) -> FetchError {
    FetchError::Changed {
        address: piece.address.to_string(),
    }
}

fn too_large(piece: &Piece<'_>, given: &str) -> FetchError {
    FetchError::TooLarge {
        address: piece.address.to_string(),
        given: given.to_string(),
        limit: piece.most,
    }
}

/// The headers that ask for what is missing.
fn range(
    ranged: bool,
    from: u64,
    segment: Option<(u64, u64)>,
    note: &Option<Note>,
) -> Vec<(HeaderName, String)> {
    if !ranged {
        return Vec::new();
    }
    let last = segment.map_or(String::new(), |(_, end)| (end - 1).to_string());
    let if_range = note.iter().map(|note| (header::IF_RANGE, note.etag.clone()));
    std::iter::once((header::RANGE, format!("bytes={from}-{last}")))
        .chain(if_range)
        .collect()
}

/// Whether a 206 is of what was asked for.
fn check_range(answer: &Answer, from: u64, end: Option<u64>, total: Option<u64>) -> Result<(), String> {
    let (first, last, whole) = answer
        .range()
        .ok_or("a part of it comes without a readable Content-Range")?;
    if first != from || last < first || end.is_some_and(|end| last >= end) {
        return Err(format!(
            "bytes {first} to {last} come where those from {from} were asked for"
        ));
    }
    if whole.zip(total).is_some_and(|(whole, total)| whole != total) {
        return Err("the length of the whole in its Content-Range is another than before".into());
    }
    if answer.length().is_some_and(|length| length != last - first + 1) {
        return Err("its Content-Length and its Content-Range disagree".into());
    }
    Ok(())
}

impl Filling {
    /// Opens the file, with what is in it or emptied.
    fn open(path: &Path, keep: bool) -> Result<Self, FetchError> {
        let io = |action| CheckpointError::io(action, path);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(!keep)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io("create"))?;
        let (mut hash, mut have) = (Sha256::new(), 0);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(io("read"))? {
                0 => break,
                read => {
                    hash.update(&buffer[..read]);
                    have += read as u64;
                }
            }
        }
        Ok(Self { file, hash, have })
    }

    fn empty(
        &mut self,
        piece: &Piece<'_>,
        meter: &Meter<'_>,
        note: &mut Option<Note>,
    ) -> Result<(), FetchError> {
        if piece.segment.is_none() {
            Note::remove(piece.into);
            *note = None;
        }
        meter.take_back(self.have);
        self.file
            .set_len(0)
            .map_err(CheckpointError::io("empty", piece.into))?;
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(CheckpointError::io("empty", piece.into))?;
        (self.hash, self.have) = (Sha256::new(), 0);
        Ok(())
    }

    /// Throws away what came, since what comes is not what it should be.
    fn refuse(&self, piece: &Piece<'_>, meter: &Meter<'_>, reason: String) -> FetchError {
        self.drop_with(piece, meter, FetchError::refused(piece.address, reason))
    }

    fn drop_with(&self, piece: &Piece<'_>, meter: &Meter<'_>, error: FetchError) -> FetchError {
        Note::remove(piece.into);
        let _ = std::fs::remove_file(piece.into); // the error that matters is the other one
        meter.take_back(self.have);
        error
    }

    /// Takes a body until it ends, is cut, or is more than it may be. `whole` is the length of the piece, where known.
    fn pour(
        &mut self,
        mut answer: Answer,
        whole: Option<u64>,
        piece: &Piece<'_>,
        meter: &Meter<'_>,
        limits: &Limits,
    ) -> Result<End, FetchError> {
        let before = self.have;
        let most = whole.unwrap_or(piece.most);
        let mut buffer = vec![0; 1 << 16];
        let (mut since, mut came) = (Instant::now(), 0);
        loop {
            if meter.is_stopped() {
                return Ok(End::Cut("another part of it failed".into(), self.have - before));
            }
            let read = match answer.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    return Ok(End::Cut(
                        format!("the connection was cut: {error}"),
                        self.have - before,
                    ));
                }
            };
            if self.have + read as u64 > most {
                let error = match whole {
                    Some(whole) => {
                        FetchError::refused(piece.address, format!("it is longer than its {whole} bytes"))
                    }
                    None => too_large(piece, "without a declared end"),
                };
                return Err(self.drop_with(piece, meter, error));
            }
            self.file
                .write_all(&buffer[..read])
                .map_err(CheckpointError::io("write", piece.into))?;
            self.hash.update(&buffer[..read]);
            self.have += read as u64;
            meter.add(read as u64);
            came += read as u64;
            if since.elapsed() >= limits.silence {
                if came < Limits::SLOWEST {
                    let reason = format!("the server sent {came} bytes in {} s", since.elapsed().as_secs());
                    return Ok(End::Cut(reason, self.have - before));
                }
                (since, came) = (Instant::now(), 0);
            }
        }
        match whole {
            Some(whole) if self.have < whole => {
                let reason = format!("it ended after {} of {whole} bytes", self.have);
                Ok(End::Cut(reason, self.have - before))
            }
            _ => Ok(End::Whole),
        }
    }
}
