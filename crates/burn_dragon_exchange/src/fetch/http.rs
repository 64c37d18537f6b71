//! One HTTP request: its redirects, its token, and the head of the answer.

use super::address::{Address, printable};
use super::error::FetchError;
use super::limits::Limits;
use std::fmt;
use std::time::Duration;
use ureq::http::header::{self, HeaderMap, HeaderName};
use ureq::{Agent, BodyReader, Error};

/// HTTP client.
pub(super) struct Client {
    /// Agent that uses the proxy of the environment, if there is one.
    agent: Agent,
    /// Agent for this machine, without a proxy.
    near: Agent,
    token: Option<Token>,
    limits: Limits,
}

/// Secret, and the only origin that it is sent to.
pub(super) struct Token {
    pub(super) origin: String,
    pub(super) secret: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client") // nothing of the token
    }
}

/// Answer whose body is not read yet.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) linked: Linked,
    pub(super) body: BodyReader<'static>,
}

/// Headers of a hub's answer before it redirects to the bytes of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Linked {
    /// Commit of the repository.
    pub(super) commit: Option<String>,
    /// ETag of the file; for large files the SHA-256 of its bytes.
    pub(super) etag: Option<String>,
}

/// Failure of a request.
pub(super) enum Failed {
    /// Temporary failure, with its reason: another try can succeed.
    Again(String),
    /// Permanent failure.
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

    /// Agent for an address.
    pub(super) fn agent(&self, address: &Address) -> &Agent {
        if address.is_loopback() {
            &self.near
        } else {
            &self.agent
        }
    }

    /// Authorization header, if the token may be sent to this address.
    pub(super) fn bearer(&self, address: &Address) -> Option<String> {
        let token = self
            .token
            .as_ref()
            .filter(|token| token.origin == address.origin());
        token.map(|token| format!("Bearer {}", token.secret))
    }

    /// Sends a GET request with these headers, and follows redirects.
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
                let location = location
                    .ok_or_else(|| refused(asked, "it redirects without a target (no `Location` header)"))?;
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
        let reason = format!("the answer is compressed as `{encoding}`, expected uncompressed bytes");
        return Err(refused(asked, reason));
    }
    Ok(Answer {
        status,
        headers,
        linked,
        body,
    })
}

/// Target of a redirect, if it may be followed.
fn next(from: &Address, location: &str) -> Result<Address, String> {
    let to = from.follow(location)?;
    if from.is_https() && !to.is_https() {
        return Err("it leaves https".into());
    }
    allowed(from, &to)?;
    Ok(to)
}

/// Whether a server may redirect to another address: over https, or within the server's own machine.
pub(super) fn allowed(from: &Address, to: &Address) -> Result<(), String> {
    if from.origin() == to.origin() {
        return Ok(());
    }
    match (from.is_loopback(), to.is_loopback()) {
        (true, true) => Ok(()),
        (false, true) => Err("it leads to this machine (a loopback address)".into()),
        (_, false) if to.is_https() => Ok(()),
        (_, false) => Err("it leads to another host without https".into()),
    }
}

impl Answer {
    /// Declared length of the body.
    pub(super) fn length(&self) -> Option<u64> {
        text(&self.headers, header::CONTENT_LENGTH)?.parse().ok()
    }

    /// ETag of the answer, unchanged.
    pub(super) fn etag(&self) -> Option<String> {
        text(&self.headers, header::ETAG).map(str::to_string)
    }

    /// ETag of the answer, if it is a strong one.
    pub(super) fn strong_etag(&self) -> Option<String> {
        self.etag().filter(|etag| etag.starts_with('"'))
    }

    /// Whether the answer confirms that the version with this strong ETag is unchanged.
    pub(super) fn is_still(&self, known: Option<&str>) -> bool {
        known.is_some() && (self.status == 304 || self.strong_etag().as_deref() == known)
    }

    /// Whether the server supports ranges for the file.
    pub(super) fn has_ranges(&self) -> bool {
        text(&self.headers, header::ACCEPT_RANGES).is_some_and(|unit| unit == "bytes")
    }

    /// First byte, last byte and length of the whole file, from `Content-Range`.
    pub(super) fn range(&self) -> Option<(u64, u64, Option<u64>)> {
        let range = text(&self.headers, header::CONTENT_RANGE)?.strip_prefix("bytes ")?;
        let (range, total) = range.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = (total != "*").then(|| total.parse()).transpose().ok()?;
        Some((first.parse().ok()?, last.parse().ok()?, total))
    }

    /// Waiting time from `Retry-After` in seconds. A date is ignored.
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

    /// SHA-256 of the bytes, if the ETag is one.
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

/// Failure of a request: temporary or permanent.
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
