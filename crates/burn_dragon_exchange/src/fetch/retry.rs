//! Asking again, with pauses, a bounded number of times.

use super::address::Address;
use super::error::FetchError;
use super::http::{Answer, Client, Failed};
use super::limits::Limits;
use super::progress::{Event, Meter};
use std::time::Duration;
use ureq::http::header::HeaderName;

/// The tries at one thing.
pub(super) struct Tries<'a> {
    limits: &'a Limits,
    address: &'a Address,
    meter: &'a Meter<'a>,
    /// All of them.
    made: u32,
    /// Those since something came.
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

    /// Two tries at most, for what can be done without.
    pub(super) fn few(limits: &'a Limits, address: &'a Address, meter: &'a Meter<'a>) -> Self {
        let barren = limits.tries.saturating_sub(1).max(1);
        Self {
            barren,
            ..Self::new(limits, address, meter)
        }
    }

    /// The last try brought so many bytes.
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
    /// Asks until there is an answer that is one: not a busy or broken server's.
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

/// Whether a status may be another one soon.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || (500..600).contains(&status)
}

/// What a status means that is not an answer.
pub(super) fn unwelcome(address: &Address, status: u16, has_token: bool) -> FetchError {
    let address = address.to_string();
    match status {
        401 | 403 => FetchError::Denied {
            address,
            status,
            remedy: match has_token {
                true => "the token in HF_TOKEN is not allowed to read it".into(),
                false => "if it is a private or gated repository of a hub, put a token that may read it into HF_TOKEN"
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
