//! Requests before the download of a file: its version, its head, or a short text.

use super::address::Address;
use super::cache::Record;
use super::error::FetchError;
use super::http::{Answer, Client, Linked};
use super::location::Location;
use super::pace::read_short;
use super::progress::Meter;
use super::retry::{Tries, unwelcome};
use ureq::http::header;

/// Comparison of the cached version with the server's.
pub(super) enum Freshness {
    Same,
    Other,
    /// The server cannot be asked, with the reason.
    Unknown(String),
}

impl Client {
    /// Asks the server whether the cached version is current.
    pub(super) fn freshness(&self, location: &Location, record: &Record, meter: &Meter<'_>) -> Freshness {
        let address = location.file(&record.probe, None);
        let known = record
            .etag
            .iter()
            .map(|etag| (header::IF_NONE_MATCH, etag.clone()));
        let known: Vec<_> = known.collect();
        let mut tries = Tries::few(self.limits(), &address, meter);
        let answer = match self.ask(&address, &known, &mut tries) {
            Ok(answer) => answer,
            Err(FetchError::Network { reason, .. }) => return Freshness::Unknown(reason),
            Err(_) => return Freshness::Other, // and so to the error that it is
        };
        let same = |known: &Option<String>, now: Option<String>| known.is_some() && *known == now;
        let unchanged = answer.status == 304
            || answer.status == 200
                && (same(&record.etag, answer.etag())
                    || same(&record.commit, answer.linked.commit.clone())
                    || same(&record.linked, answer.linked.etag.clone()));
        if unchanged {
            Freshness::Same
        } else {
            Freshness::Other
        }
    }

    /// Answer with an unread body, or the confirmation that the version with this strong ETag is unchanged.
    pub(super) fn first(
        &self,
        address: &Address,
        known: Option<&str>,
        meter: &Meter<'_>,
    ) -> Result<Answer, FetchError> {
        let mut tries = Tries::new(self.limits(), address, meter);
        let headers: Vec<_> = known
            .map(|etag| (header::IF_NONE_MATCH, etag.to_string()))
            .into_iter()
            .collect();
        let answer = self.ask(address, &headers, &mut tries)?;
        match answer.status {
            200 => Ok(answer),
            304 if known.is_some() => Ok(answer),
            status => Err(unwelcome(address, status, self.bearer(address).is_some())),
        }
    }

    /// Content of a short file.
    pub(super) fn text(
        &self,
        address: &Address,
        most: u64,
        meter: &Meter<'_>,
    ) -> Result<(Vec<u8>, Option<String>, Linked), FetchError> {
        let mut tries = Tries::new(self.limits(), address, meter);
        loop {
            let answer = self.ask(address, &[], &mut tries)?;
            if answer.status != 200 {
                return Err(unwelcome(address, answer.status, self.bearer(address).is_some()));
            }
            let (etag, linked, declared) = (answer.etag(), answer.linked.clone(), answer.length());
            let mut text = Vec::new();
            let read = read_short(answer.body, most + 1, self.limits(), &mut text);
            let bytes = text.len() as u64;
            if bytes > most || declared.is_some_and(|declared| declared > most) {
                return Err(FetchError::refused(
                    address,
                    format!("it is longer than {most} bytes, the limit for this file"),
                ));
            }
            match read {
                Ok(()) if declared.is_none_or(|declared| declared == bytes) => {
                    return Ok((text, etag, linked));
                }
                Ok(()) => tries.again(format!("it ended after {bytes} bytes"), None)?,
                Err(reason) => tries.again(reason, None)?,
            }
        }
    }
}
