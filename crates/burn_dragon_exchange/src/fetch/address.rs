//! Addresses: `http` or `https`, a host and a path, checked strictly.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Limit on the length of an address in bytes.
const LONGEST: usize = 8192;

/// Parsed and checked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    https: bool,
    /// Host in lower case; an IPv6 address is in brackets.
    host: String,
    port: u16,
    /// Path, which begins with a slash.
    path: String,
    query: Option<String>,
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// A message, if the address is not valid.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("it does not begin with https:// or http://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(format!("`{}` is not https or http", printable(scheme))),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (host, port) = authority_of(authority)?;
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        check_path(path)?;
        query.map_or(Ok(()), check_characters)?;
        Ok(Self {
            https,
            host,
            port: port.unwrap_or(if https { 443 } else { 80 }),
            path: path.to_string(),
            query: query.map(str::to_string),
        })
    }

    /// Target of a redirect from this address.
    pub(super) fn follow(&self, location: &str) -> Result<Self, String> {
        let scheme = if self.https { "https" } else { "http" };
        let (before, _) = location.split_once(['/', '?', '#']).unwrap_or((location, ""));
        if before.contains(':') {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let origin = self.origin();
        if location.starts_with('/') {
            return Self::parse(&format!("{origin}{location}"));
        }
        let (folder, _) = self.path.rsplit_once('/').unwrap_or_default();
        Self::parse(&format!("{origin}{folder}/{location}"))
    }

    /// Scheme, host and port. A secret is sent only to its own origin.
    pub fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let standard = self.port == if self.https { 443 } else { 80 };
        match standard {
            true => format!("{scheme}://{}", self.host),
            false => format!("{scheme}://{}:{}", self.host, self.port),
        }
    }

    /// Host of the address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Path, from its first slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the address has a query.
    pub(super) fn has_query(&self) -> bool {
        self.query.is_some()
    }

    /// Whether the address uses https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        let ip = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || ip.parse::<IpAddr>().is_ok_and(|ip| match ip {
                IpAddr::V4(ip) => ip.is_loopback() || ip == Ipv4Addr::UNSPECIFIED,
                IpAddr::V6(ip) => {
                    ip.is_loopback()
                        || ip == Ipv6Addr::UNSPECIFIED
                        || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
                }
            })
    }

    /// Last segment of the path; empty for a folder.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Address of the folder that contains this one.
    pub(super) fn folder(&self) -> Self {
        let (folder, _) = self.path.rsplit_once('/').unwrap_or_default();
        self.with_path(format!("{folder}/"))
    }

    /// The same address as a folder.
    pub(super) fn as_folder(&self) -> Self {
        self.with_path(format!("{}/", self.path.trim_end_matches('/')))
    }

    /// Address of a file in this folder. `name` is percent-encoded or plain.
    pub(super) fn file(&self, name: &str) -> Self {
        self.with_path(format!("{}{name}", self.path))
    }

    fn with_path(&self, path: String) -> Self {
        Self {
            path,
            query: None,
            ..self.clone()
        }
    }
}

/// The address without its query, which may hold a signature.
impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

impl Address {
    /// The whole address, for a request.
    pub(super) fn whole(&self) -> String {
        match &self.query {
            Some(query) => format!("{self}?{query}"),
            None => self.to_string(),
        }
    }
}

fn authority_of(text: &str) -> Result<(String, Option<u16>), String> {
    if text.contains('@') {
        return Err("it holds a user name; an address must not hold secrets".into());
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, rest)) => {
            inner
                .parse::<Ipv6Addr>()
                .map_err(|_| "its host is not a valid IPv6 address")?;
            (
                format!("[{}]", inner.to_ascii_lowercase()),
                rest.strip_prefix(':').or((!rest.is_empty()).then_some("?")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
            None => (text.to_ascii_lowercase(), None),
        },
    };
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let named = !host.is_empty() && host.len() <= 253 && host.chars().all(letter);
    if !named && !host.starts_with('[') {
        return Err("its host is not a valid host name (letters, digits, `-`, `.`)".into());
    }
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        None => None,
        Some(port) if digits(port) => Some(port.parse().map_err(|_| "its port is above 65535")?),
        Some(_) => return Err("its port is not a number".into()),
    };
    Ok((host, port))
}

fn check_path(path: &str) -> Result<(), String> {
    check_characters(path)?;
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("it holds `.` or `..` as a segment".into());
    }
    Ok(())
}

/// Checks the characters of an address (RFC 3986), and its percent encoding.
fn check_characters(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    if let Some(byte) = text.bytes().find(|&byte| !allowed(byte)) {
        return Err(format!("it holds the byte {byte:#04x}, which an address cannot"));
    }
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        let two = rest
            .get(at + 1..at + 3)
            .filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        two.ok_or("a percent sign in it is not followed by two hexadecimal digits")?;
        rest = &rest[at + 3..];
    }
    Ok(())
}

/// Untrusted text, shortened, with its control characters escaped.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .take(200)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_put_together() {
        for (given, shown) in [
            (
                "https://Example.org/a/model.bpk",
                "https://example.org/a/model.bpk",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("HTTPS://example.org:443/x#part", "https://example.org/x"),
            ("http://[::1]:9/x", "http://[::1]:9/x"),
            ("http://h/a%20b", "http://h/a%20b"),
        ] {
            assert_eq!(Address::parse(given).unwrap().to_string(), shown);
        }
        let signed = Address::parse("https://cdn.org/x?sig=1").unwrap();
        assert_eq!(signed.to_string(), "https://cdn.org/x");
        assert_eq!(signed.whole(), "https://cdn.org/x?sig=1");
    }

    #[test]
    fn what_could_be_taken_for_more_is_refused() {
        for (given, says) in [
            ("ftp://h/x", "`ftp`"),
            ("file:///etc/passwd", "`file`"),
            ("model.bpk", "https://"),
            ("http://", "host"),
            ("http://user@h/x", "user name"),
            ("http://u:p@h/x", "user name"),
            ("http://h:x/", "port"),
            ("http://h:99999/", "port"),
            ("http://[::1/x", "port"),
            ("http://[::1]x/", "port"),
            ("http://[1]/", "IPv6"),
            ("http://h/../x", "`..`"),
            ("http://h/a/..", "`..`"),
            ("http://h/%0", "hexadecimal"),
            ("http://h/a b", "0x20"),
            ("http://h/a\\b", "0x5c"),
            ("http://h/\n", "0x0a"),
            ("http://h/ä", "byte"),
            ("http://h ost/", "host"),
        ] {
            let error = Address::parse(given).unwrap_err();
            assert!(error.contains(says), "{given}: {error}");
        }
        assert!(Address::parse(&format!("http://h/{}", "a".repeat(9000))).is_err());
    }

    #[test]
    fn redirects_are_resolved_against_where_they_came_from() {
        let from = Address::parse("https://h/a/b?q=1").unwrap();
        for (location, to) in [
            ("https://other/x", "https://other/x"),
            ("//other/x", "https://other/x"),
            ("/x", "https://h/x"),
            ("c", "https://h/a/c"),
            ("?q=2", "https://h/a/"),
        ] {
            assert_eq!(from.follow(location).unwrap().to_string(), to);
        }
        for location in [
            "file:///etc/passwd",
            "data:text/plain,x",
            "../x",
            "javascript:x",
            "ftp://h/x",
        ] {
            assert!(from.follow(location).is_err(), "{location}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
            "a.localhost",
        ] {
            assert!(
                Address::parse(&format!("http://{host}/")).unwrap().is_loopback(),
                "{host}"
            );
        }
        for host in ["example.org", "10.0.0.1", "[2001:db8::1]", "127.example.org"] {
            assert!(
                !Address::parse(&format!("http://{host}/")).unwrap().is_loopback(),
                "{host}"
            );
        }
    }
}
