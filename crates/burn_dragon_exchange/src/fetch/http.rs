//! One question to a server: its redirects, its secrets, its answer's head.

use super::address::{Address, printable};
use super::error::FetchError;
use super::limits::Limits;
use std::fmt;
use std::time::Duration;
use ureq::http::header::{self, HeaderMap, HeaderName};
use ureq::{Agent, BodyReader, Error};

/// What asks.
pub(super) struct Client {
    /// Through the proxy of the environment, where there is one.
    agent: Agent,
    /// To this machine, past any proxy.
    near: Agent,
    token: Option<Token>,
    limits: Limits,
}

/// A secret, and the only origin it is told to.
pub(super) struct Token {
    pub(super) origin: String,
    pub(super) secret: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client") // nothing of the token
    }
}

/// An answer whose body was not read yet.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) linked: Linked,
    pub(super) body: BodyReader<'static>,
}

/// What a hub says of a file before it sends elsewhere for its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Linked {
    /// The commit of the repository.
    pub(super) commit: Option<String>,
    /// Of the file: for large ones, the SHA-256 of its bytes.
    pub(super) etag: Option<String>,
}

/// Why there is no answer.
pub(super) enum Failed {
    /// It may be there next time.
    Again(String),
    /// It will not.
    For(FetchError),
}

impl Client {
    pub(super) fn new(limits: &Limits, token: Option<Token>) -> Self {
        let config = || {
            Agent::config_builder()
                .max_redirects(0) // followed here, where each is judged
                .http_status_as_error(false)
                .accept_encoding("identity")
                .accept("*/*")
                .user_agent(concat!("burn_dragon/", env!("CARGO_PKG_VERSION")))
                .max_response_header_size(64 * 1024)
                .timeout_connect(Some(limits.connect))
                .timeout_recv_response(Some(limits.silence))
                .timeout_per_read(Some(limits.silence))
                .timeout_per_write(Some(limits.silence))
        };
        Self {
            agent: config().build().new_agent(),
            near: config().proxy(None).build().new_agent(),
            token,
            limits: limits.clone(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The agent for an address.
    pub(super) fn agent(&self, address: &Address) -> &Agent {
        if address.is_loopback() {
            &self.near
        } else {
            &self.agent
        }
    }

    /// The token, if it may be told to this address.
    pub(super) fn bearer(&self, address: &Address) -> Option<String> {
        let token = self
            .token
            .as_ref()
            .filter(|token| token.origin == address.origin());
        token.map(|token| format!("Bearer {}", token.secret))
    }

    /// Asks for an address, with these headers.
    pub(super) fn get(&self, asked: &Address, headers: &[(HeaderName, String)]) -> Result<Answer, Failed> {
        let mut address = asked.clone();
        let mut linked = Linked::default();
        for _ in 0..=self.limits.redirects {
            let mut request = self.agent(&address).get(address.whole());
            for (name, value) in headers {
                request = request.header(name, value);
            }
            if let Some(bearer) = self.bearer(&address) {
                request = request.header(header::AUTHORIZATION, bearer);
            }
            let response = request.call().map_err(|error| failed(asked, error))?;
            let (head, body) = response.into_parts();
            if address.origin() == asked.origin() {
                linked.take(&head.headers);
            }
            let status = head.status.as_u16();
            if matches!(status, 301 | 302 | 303 | 307 | 308) {
                let location = text(&head.headers, header::LOCATION);
                let location = location.ok_or_else(|| refused(asked, "it redirects to nowhere"))?;
                address = next(&address, location).map_err(|reason| {
                    let location = printable(location.split('?').next().unwrap_or_default());
                    refused(
                        asked,
                        format!("it redirects to {location}, which is not followed: {reason}"),
                    )
                })?;
                continue;
            }
            return answer(asked, status, head.headers, body.into_reader(), linked);
        }
        let reason = format!("it redirects more than {} times", self.limits.redirects);
        Err(refused(asked, reason))
    }
}

fn answer(
    asked: &Address,
    status: u16,
    headers: HeaderMap,
    body: BodyReader<'static>,
    linked: Linked,
) -> Result<Answer, Failed> {
    let encoding = text(&headers, header::CONTENT_ENCODING).filter(|&encoding| encoding != "identity");
    if let Some(encoding) = encoding.filter(|_| matches!(status, 200 | 206)) {
        let encoding = printable(encoding);
        let reason = format!("it comes packed as `{encoding}`, and nothing that is fetched is unpacked");
        return Err(refused(asked, reason));
    }
    Ok(Answer {
        status,
        headers,
        linked,
        body,
    })
}

/// Where a redirect leads, if it is followed there.
fn next(from: &Address, location: &str) -> Result<Address, String> {
    let to = from.follow(location)?;
    if from.is_https() && !to.is_https() {
        return Err("it leaves https".into());
    }
    allowed(from, &to)?;
    Ok(to)
}

/// Whether a server may send to another one: over https, or on the machine that it is itself on.
pub(super) fn allowed(from: &Address, to: &Address) -> Result<(), String> {
    if from.origin() == to.origin() {
        return Ok(());
    }
    match (from.is_loopback(), to.is_loopback()) {
        (true, true) => Ok(()),
        (false, true) => Err("it leads to this machine".into()),
        (_, false) if to.is_https() => Ok(()),
        (_, false) => Err("it leads to another host without https".into()),
    }
}

impl Answer {
    /// The length that the body is said to have.
    pub(super) fn length(&self) -> Option<u64> {
        text(&self.headers, header::CONTENT_LENGTH)?.parse().ok()
    }

    /// The ETag as it stands.
    pub(super) fn etag(&self) -> Option<String> {
        text(&self.headers, header::ETAG).map(str::to_string)
    }

    /// The ETag, if it stands for the very bytes.
    pub(super) fn strong_etag(&self) -> Option<String> {
        self.etag().filter(|etag| etag.starts_with('"'))
    }

    /// Whether it says that there is still what this strong ETag stands for.
    pub(super) fn is_still(&self, known: Option<&str>) -> bool {
        known.is_some() && (self.status == 304 || self.strong_etag().as_deref() == known)
    }

    /// Whether it can be asked for in ranges.
    pub(super) fn has_ranges(&self) -> bool {
        text(&self.headers, header::ACCEPT_RANGES).is_some_and(|unit| unit == "bytes")
    }

    /// First byte, last byte and length of the whole, as `Content-Range` has them.
    pub(super) fn range(&self) -> Option<(u64, u64, Option<u64>)> {
        let range = text(&self.headers, header::CONTENT_RANGE)?.strip_prefix("bytes ")?;
        let (range, total) = range.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = (total != "*").then(|| total.parse()).transpose().ok()?;
        Some((first.parse().ok()?, last.parse().ok()?, total))
    }

    /// How long to wait, in seconds; a date is not read.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = text(&self.headers, header::RETRY_AFTER)?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

impl Linked {
    fn take(&mut self, headers: &HeaderMap) {
        let text = |name: &'static str| text(headers, HeaderName::from_static(name));
        let commit = text("x-repo-commit")
            .filter(|commit| commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()));
        self.commit = commit.map(str::to_string).or_else(|| self.commit.take());
        self.etag = text("x-linked-etag")
            .map(str::to_string)
            .or_else(|| self.etag.take());
    }

    /// The SHA-256 of the bytes, where the ETag is one.
    pub(super) fn sha256(&self) -> Option<String> {
        let etag = self.etag.as_deref()?.trim_matches('"');
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (etag.len() == 64 && etag.bytes().all(digit)).then(|| etag.to_string())
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn refused(address: &Address, reason: impl ToString) -> Failed {
    Failed::For(FetchError::refused(address, reason))
}

/// Whether it is worth another try.
pub(super) fn failed(address: &Address, error: Error) -> Failed {
    match error {
        Error::Timeout(which) => Failed::Again(format!("the server does not answer in time ({which})")),
        Error::LargeResponseHeader(..) => refused(address, "its head is longer than 64 KiB"),
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) | Error::TlsRequired => {
            Failed::For(FetchError::Network {
                address: address.to_string(),
                reason: format!("no secure connection: {error}"),
                tries: 1,
            })
        }
        Error::Http(_) | Error::BadUri(_) | Error::InvalidProxyUrl => Failed::For(FetchError::Source {
            given: address.to_string(),
            reason: error.to_string(),
        }),
        other => Failed::Again(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(from: &str, location: &str) -> Result<String, String> {
        next(&Address::parse(from).unwrap(), location).map(|to| to.to_string())
    }

    #[test]
    fn a_redirect_never_leaves_https() {
        assert!(leads("https://h/x", "https://cdn.org/x").is_ok());
        for to in ["http://h/x", "http://cdn.org/x", "http://127.0.0.1/x"] {
            assert!(leads("https://h/x", to).unwrap_err().contains("https"), "{to}");
        }
    }

    #[test]
    fn another_host_is_reached_over_https_or_from_this_machine_to_itself() {
        assert!(leads("http://h/x", "/y").is_ok());
        assert!(leads("http://h/x", "https://cdn.org/y").is_ok());
        assert!(leads("http://127.0.0.1:1/x", "http://127.0.0.1:2/y").is_ok());
        assert!(
            leads("http://h/x", "http://cdn.org/y")
                .unwrap_err()
                .contains("without https")
        );
        for from in ["http://h/x", "https://h/x"] {
            assert!(
                leads(from, "https://localhost/y")
                    .unwrap_err()
                    .contains("this machine")
            );
        }
        assert!(leads("http://127.0.0.1:1/x", "http://h/y").is_err());
    }
}
