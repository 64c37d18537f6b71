//! Retries of a request, with pauses and a limit.

use super::address::Address;
use super::error::FetchError;
use super::http::{Answer, Client, Failed};
use super::limits::Limits;
use super::progress::{Event, Meter};
use std::time::Duration;
use ureq::http::header::HeaderName;

/// Counter of the tries of one request.
pub(super) struct Tries<'a> {
    limits: &'a Limits,
    address: &'a Address,
    meter: &'a Meter<'a>,
    /// Number of all tries.
    made: u32,
    /// Number of tries since the last progress.
    barren: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(limits: &'a Limits, address: &'a Address, meter: &'a Meter<'a>) -> Self {
        Self {
            limits,
            address,
            meter,
            made: 1,
            barren: 1,
        }
    }

    /// At most two tries, for an optional request.
    pub(super) fn few(limits: &'a Limits, address: &'a Address, meter: &'a Meter<'a>) -> Self {
        let barren = limits.tries.saturating_sub(1).max(1);
        Self {
            barren,
            ..Self::new(limits, address, meter)
        }
    }

    /// Records the number of bytes that the last try brought.
    pub(super) fn brought(&mut self, bytes: u64) {
        if bytes >= Limits::PROGRESS {
            self.barren = 0;
        }
    }

    /// Waits for the next try, or gives up.
    pub(super) fn again(&mut self, reason: String, asked: Option<Duration>) -> Result<(), FetchError> {
        if self.barren >= self.limits.tries || self.made >= Limits::CONNECTIONS || self.meter.is_stopped() {
            return Err(FetchError::Network {
                address: self.address.to_string(),
                reason,
                tries: self.made,
            });
        }
        self.made += 1;
        self.barren += 1;
        let pause = self.limits.pause_before(self.made.min(self.barren), asked);
        self.meter.tell(Event::Again { reason, pause });
        std::thread::sleep(pause);
        Ok(())
    }
}

impl Client {
    /// Repeats a request until the answer is not that of a busy or broken server.
    pub(super) fn ask(
        &self,
        address: &Address,
        headers: &[(HeaderName, String)],
        tries: &mut Tries<'_>,
    ) -> Result<Answer, FetchError> {
        loop {
            let (reason, pause) = match self.get(address, headers) {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => (
                    format!("the server answers with status {}", answer.status),
                    answer.retry_after(),
                ),
                Err(Failed::Again(reason)) => (reason, None),
                Err(Failed::For(error)) => return Err(error),
            };
            tries.again(reason, pause)?;
        }
    }
}

/// Whether a status can be temporary.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || (500..600).contains(&status)
}

/// Error for a status that is not a success.
pub(super) fn unwelcome(address: &Address, status: u16, has_token: bool) -> FetchError {
    let address = address.to_string();
    match status {
        401 | 403 => FetchError::Denied {
            address,
            status,
            remedy: match has_token {
                true => "the token in HF_TOKEN is not allowed to read it".into(),
                false => "if it is a private or gated repository of a hub, set HF_TOKEN to a token that may read it"
                    .into(),
            },
        },
        404 | 410 => FetchError::NotFound {
            address,
            reason: format!("the server answers with status {status}"),
        },
        _ => FetchError::refused(address, format!("the server answers with status {status}")),
    }
}
