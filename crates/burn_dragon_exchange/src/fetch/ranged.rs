//! Download of a range of bytes of one file on a server: the whole file, or a segment.
//!
//! Received bytes are kept when the connection is cut or the process is killed. A note beside them holds the strong
//! ETag of the server. With it the rest is requested (`Range`, `If-Range`). Without it, or when the server has another
//! version, the download starts again. Bytes of two versions are never mixed in one file.

use super::download::{RangedDownload, Segment, too_large};
use super::error::FetchError;
use super::http::{Answer, Client, Linked};
use super::partial_file::{End, Note, PartialFile};
use super::progress::Meter;
use super::retry::{Tries, unwelcome};
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::hex;
use sha2::Digest;
use ureq::http::header::{self, HeaderName};

/// Result of a complete download.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// ETag of the answer, strong or weak.
    pub(super) etag: Option<String>,
    /// Headers that a hub sent before its redirect; `None` if the file was complete and no request was made.
    pub(super) linked: Option<Linked>,
}

impl Client {
    /// Downloads until all bytes are there. `first` is an answer to an earlier request, which is used first.
    pub(super) fn download(
        &self,
        download: &RangedDownload<'_>,
        mut first: Option<Answer>,
        meter: &Meter<'_>,
    ) -> Result<Landed, FetchError> {
        let mut under_way = UnderWay::new(self, download, first.is_none(), meter)?;
        while !under_way.is_whole() {
            let answer = match first.take() {
                Some(answer) => answer,
                None => under_way.ask()?,
            };
            let end = match under_way.judge(&answer)? {
                None => under_way.pour(answer)?,
                Some(reason) => End::Cut(reason, 0),
            };
            match end {
                End::Whole => break,
                End::Cut(reason, bytes) => under_way.again(reason, bytes)?,
            }
        }
        under_way.land()
    }
}

/// Download in progress.
struct UnderWay<'a> {
    client: &'a Client,
    download: &'a RangedDownload<'a>,
    meter: &'a Meter<'a>,
    tries: Tries<'a>,
    partial: PartialFile,
    /// Version of the received bytes, if known.
    note: Option<Note>,
    /// ETag of the current answer, strong or weak.
    etag: Option<String>,
    /// Size of the whole file in bytes, if known.
    total: Option<u64>,
    linked: Option<Linked>,
}

impl<'a> UnderWay<'a> {
    /// A download that keeps the existing bytes if `keep` is set and their version is known.
    fn new(
        client: &'a Client,
        download: &'a RangedDownload<'a>,
        keep: bool,
        meter: &'a Meter<'a>,
    ) -> Result<Self, FetchError> {
        let note = match download.segment {
            Some(segment) => Some(Note {
                etag: segment.etag.to_string(),
                total: download.total,
            }),
            None => Note::read(download.into),
        };
        let partial = PartialFile::open(download.into, note.is_some() && keep)?;
        meter.add(partial.have);
        Ok(Self {
            client,
            download,
            meter,
            tries: Tries::new(client.limits(), download.address, meter),
            partial,
            etag: note.as_ref().map(|note| note.etag.clone()),
            total: download.total.or(note.as_ref().and_then(|note| note.total)),
            note,
            linked: None,
        })
    }

    /// Offset of the next byte in the file.
    fn at(&self) -> u64 {
        self.start() + self.partial.have
    }

    fn start(&self) -> u64 {
        self.download.segment.map_or(0, |segment| segment.start)
    }

    /// Offset after the last byte, if known.
    fn end(&self) -> Option<u64> {
        self.download.segment.map(|segment| segment.end).or(self.total)
    }

    fn is_whole(&self) -> bool {
        self.partial.have > 0 && self.end().is_some_and(|end| self.at() >= end)
    }

    /// Whether only a range of the file is requested.
    fn is_ranged(&self) -> bool {
        self.download.segment.is_some() || self.partial.have > 0
    }

    /// Requests the missing bytes.
    fn ask(&mut self) -> Result<Answer, FetchError> {
        let headers = if self.is_ranged() {
            range(self.at(), self.download.segment, self.note.as_ref())
        } else {
            Vec::new()
        };
        self.client.ask(self.download.address, &headers, &mut self.tries)
    }

    /// Whether the body of an answer continues the download. If not, but another answer may, the reason.
    fn judge(&mut self, answer: &Answer) -> Result<Option<String>, FetchError> {
        self.linked = Some(answer.linked.clone());
        match (answer.status, self.is_ranged()) {
            (206, true) => self.rest(answer),
            // Segments must all be of the same version.
            (200 | 416, _) if self.download.segment.is_some() => Err(self.changed()),
            (200, _) => self.anew(answer).map(|()| None),
            (416, true) => {
                self.empty()?;
                Ok(Some("the server has fewer bytes than it sent before".into()))
            }
            (status, _) => {
                let has_token = self.client.bearer(self.download.address).is_some();
                Err(unwelcome(self.download.address, status, has_token))
            }
        }
    }

    /// Status 206: the rest of the file, if it is of the same version.
    fn rest(&mut self, answer: &Answer) -> Result<Option<String>, FetchError> {
        if let Err(reason) = check_range(answer, self.at(), self.end(), self.total) {
            return Err(self.partial.refuse(self.download, self.meter, reason));
        }
        let etags = self.note.as_ref().zip(answer.strong_etag());
        if etags.is_some_and(|(note, etag)| note.etag != etag) {
            if self.download.segment.is_some() {
                return Err(self.changed());
            }
            self.empty()?;
            return Ok(Some("the file on the server has changed".into()));
        }
        self.total = self
            .total
            .or_else(|| answer.range().and_then(|(_, _, whole)| whole));
        if self.total.is_some_and(|total| total > self.download.most) {
            return Err(self.dropped(too_large(self.download, "longer than that")));
        }
        Ok(None)
    }

    /// Status 200: the whole file; earlier bytes are removed.
    fn anew(&mut self, answer: &Answer) -> Result<(), FetchError> {
        self.empty()?;
        self.etag = answer.etag();
        self.total = declared(self.download, answer).map_err(|error| self.dropped(error))?;
        if let Some(etag) = answer.strong_etag() {
            let total = self.total;
            let note = Note { etag, total };
            note.write(self.download.into)?;
            self.note = Some(note);
        }
        Ok(())
    }

    /// Writes the next body to the file.
    fn pour(&mut self, answer: Answer) -> Result<End, FetchError> {
        if let (None, None, Some(total)) = (self.download.segment, self.download.total, self.total) {
            self.meter.expect(total);
        }
        let whole = self.end().map(|end| end - self.start());
        self.partial
            .pour(answer, whole, self.download, self.meter, self.client.limits())
    }

    /// Waits for the next try, or gives up.
    fn again(&mut self, reason: String, brought: u64) -> Result<(), FetchError> {
        self.tries.brought(brought);
        if self.note.is_none() {
            self.empty()?; // nothing tells that the rest would be of the same
        }
        self.tries.again(reason, None)
    }

    fn empty(&mut self) -> Result<(), FetchError> {
        if self.download.segment.is_none() {
            Note::remove(self.download.into);
            self.note = None;
        }
        self.partial.empty(self.download, self.meter)
    }

    fn changed(&self) -> FetchError {
        self.dropped(FetchError::Changed {
            address: self.download.address.to_string(),
        })
    }

    fn dropped(&self, error: FetchError) -> FetchError {
        self.partial.drop_with(self.download, self.meter, error)
    }

    /// Result, when all bytes are there.
    fn land(self) -> Result<Landed, FetchError> {
        self.partial
            .file
            .sync_all()
            .map_err(CheckpointError::io("sync", self.download.into))?;
        Ok(Landed {
            bytes: self.partial.have,
            sha256: hex(&self.partial.hash.finalize()),
            etag: self.etag,
            linked: self.linked,
        })
    }
}

/// Declared length of the whole file, if it has the expected value and is within the limit.
fn declared(download: &RangedDownload<'_>, answer: &Answer) -> Result<Option<u64>, FetchError> {
    let declared = answer.length();
    if let (Some(declared), Some(total)) = (declared, download.total)
        && declared != total
    {
        let reason = format!("the server declares {declared} bytes, it must have {total}");
        return Err(FetchError::refused(download.address, reason));
    }
    if let Some(declared) = declared.filter(|&declared| declared > download.most) {
        return Err(too_large(download, &format!("{declared} bytes")));
    }
    Ok(download.total.or(declared))
}

/// Headers that request the missing bytes.
fn range(from: u64, segment: Option<Segment<'_>>, note: Option<&Note>) -> Vec<(HeaderName, String)> {
    let last = segment.map_or(String::new(), |segment| (segment.end - 1).to_string());
    let if_range = note.map(|note| (header::IF_RANGE, note.etag.clone()));
    std::iter::once((header::RANGE, format!("bytes={from}-{last}")))
        .chain(if_range)
        .collect()
}

/// Whether a 206 answer has the requested range.
fn check_range(answer: &Answer, from: u64, end: Option<u64>, total: Option<u64>) -> Result<(), String> {
    let (first, last, whole) = answer
        .range()
        .ok_or("the answer to a range request has no readable Content-Range")?;
    if first != from || last < first || end.is_some_and(|end| last >= end) {
        return Err(format!(
            "the answer holds bytes {first} to {last}, but those from {from} were asked for"
        ));
    }
    if whole.zip(total).is_some_and(|(whole, total)| whole != total) {
        return Err("the length of the whole file in its Content-Range has changed".into());
    }
    if answer.length().is_some_and(|length| length != last - first + 1) {
        return Err("its Content-Length and its Content-Range disagree".into());
    }
    Ok(())
}
