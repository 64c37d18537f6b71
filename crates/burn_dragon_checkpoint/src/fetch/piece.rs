//! A run of bytes of one file on a server, into a file here: the whole of it, or a segment.
//!
//! What came is kept when the connection is cut or the process is killed, beside a note that says of what it is: the
//! server's strong ETag. With that the rest is asked for (`Range`, `If-Range`); without it, or when the server says
//! that there is something else now, the piece starts anew. Bytes of two versions never meet in one file.

use super::address::Address;
use super::error::FetchError;
use super::filling::{End, Filling, Note};
use super::http::{Answer, Client, Linked};
use super::progress::Meter;
use super::retry::{Tries, unwelcome};
use crate::error::CheckpointError;
use crate::hash::hex;
use sha2::Digest;
use std::path::Path;
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
            if let (None, None, Some(total)) = (piece.segment, piece.total, total) {
                meter.expect(total);
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

pub(super) fn too_large(piece: &Piece<'_>, given: &str) -> FetchError {
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
