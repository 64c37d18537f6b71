//! Meaning of a given MODEL: a path, an address, or the id of a repository on a hub.

use super::address::{Address, printable};
use super::error::FetchError;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// Source of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// File or folder of this machine, which need not exist.
    Local(PathBuf),
    /// File on a server, or a folder with `model.bpk` or `model.safetensors`.
    Address(Address),
    /// Repository on the hub.
    Hub(HubId),
}

/// Repository on a hub, at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubId {
    /// `owner/name`.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
}

/// Default revision of a repository.
pub const MAIN: &str = "main";

impl Source {
    /// Source that a given text means. An existing path comes first, and a text that looks like a path is a path.
    ///
    /// # Errors
    /// If it is an address that is not allowed.
    pub fn of(given: &Path) -> Result<Self, FetchError> {
        let local = || Self::Local(given.to_path_buf());
        let Some(text) = given.to_str() else {
            return Ok(local());
        };
        if text.contains("://") {
            return Ok(Self::Address(address(text)?));
        }
        // `symlink_metadata` finds a dangling link too, which then gives the error of a path.
        if given.symlink_metadata().is_ok() || is_path(text) {
            return Ok(local());
        }
        Ok(HubId::parse(text).map_or_else(local, Self::Hub))
    }

    /// Source that a given text means if it cannot be local: an address or an id.
    ///
    /// # Errors
    /// If it is neither.
    pub fn remote(given: &str, revision: Option<&str>) -> Result<Self, FetchError> {
        let refuse = |reason: &str| FetchError::Source {
            given: printable(given),
            reason: reason.to_string(),
        };
        if given.contains("://") {
            return match revision {
                None => Ok(Self::Address(address(given)?)),
                Some(_) => Err(refuse(
                    "--revision is only for the repository of a hub, not for an address",
                )),
            };
        }
        let mut id = HubId::parse(given)
            .ok_or_else(|| refuse("give https://... or a hub's id, OWNER/NAME or OWNER/NAME@REVISION"))?;
        if let Some(revision) = revision {
            if given.contains('@') {
                return Err(refuse("the revision is given twice, with @ and with --revision"));
            }
            if !is_revision(revision) {
                let given = printable(revision);
                let reason = "a revision is a branch, a tag or a commit".to_string();
                return Err(FetchError::Source { given, reason });
            }
            id.revision = revision.to_string();
        }
        Ok(Self::Hub(id))
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Address(address) => write!(f, "{address}"),
            Self::Hub(id) if id.revision == MAIN => write!(f, "{}", id.repo),
            Self::Hub(id) => write!(f, "{}@{}", id.repo, id.revision),
        }
    }
}

impl HubId {
    /// Parses `owner/name` or `owner/name@revision`; `None` for another text.
    pub fn parse(text: &str) -> Option<Self> {
        let (repo, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let (owner, name) = repo.split_once('/')?;
        (is_name(owner) && is_name(name) && is_revision(revision)).then(|| Self {
            repo: repo.to_string(),
            revision: revision.to_string(),
        })
    }

    /// Whether the revision is a commit, which never changes.
    pub fn is_commit(&self) -> bool {
        self.revision.len() == 40 && self.revision.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

fn address(text: &str) -> Result<Address, FetchError> {
    let refuse = |reason: String| FetchError::Source {
        given: printable(text),
        reason,
    };
    let address = Address::parse(text).map_err(refuse)?;
    if address.has_query() || text.contains('#') {
        let reason = "it has a query or a fragment; give the address of a file or of a folder without them"
            .to_string();
        return Err(refuse(reason));
    }
    let lower = text.to_ascii_lowercase();
    if ["%2e", "%2f", "%5c", "%00"]
        .iter()
        .any(|hidden| lower.contains(hidden))
    {
        return Err(refuse(
            "it has a percent-encoded dot, slash or NUL; give these characters unencoded".to_string(),
        ));
    }
    Ok(address)
}

/// Whether a text that could be an id is a path that does not exist: it begins like a path, ends like a file, or lies
/// in a folder that exists or that our programs create.
fn is_path(text: &str) -> bool {
    let begins = text.starts_with(['.', '/', '~']) || text.contains('\\') || text.contains(':');
    let (first, _) = text.split_once('/').unwrap_or((text, ""));
    let extension = Path::new(text)
        .extension()
        .and_then(|extension| extension.to_str());
    let is_file = extension.is_some_and(|extension| {
        [
            "bpk",
            "safetensors",
            "json",
            "toml",
            "pt",
            "pth",
            "bin",
            "ckpt",
            "state",
        ]
        .contains(&extension)
    });
    begins || is_file || ["runs", "checkpoint", "deploy"].contains(&first) || Path::new(first).is_dir()
}

/// Whether a name is valid for an owner or a repository: the characters of a hub, and no path.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=96).contains(&name.len())
        && name.bytes().all(letter)
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
        && !name.contains("..")
}

/// Whether a name is valid for a branch, a tag or a commit.
fn is_revision(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/+".contains(&byte);
    (1..=200).contains(&name.len())
        && name.bytes().all(letter)
        && !name.contains("..")
        && name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && !part.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Source {
        Source::of(Path::new(text)).unwrap()
    }

    #[test]
    fn ids_of_a_hub() {
        for (text, repo, revision) in [
            ("owner/name", "owner/name", "main"),
            ("a-1/b_2.c", "a-1/b_2.c", "main"),
            ("owner/name@v1.0", "owner/name", "v1.0"),
            ("owner/name@refs/pr/1", "owner/name", "refs/pr/1"),
        ] {
            let id = HubId {
                repo: repo.into(),
                revision: revision.into(),
            };
            assert_eq!(of(text), Source::Hub(id), "{text}");
        }
        for text in [
            "owner", "a/b/c", "a/", "/b", "a/b@", "a/b@../c", "a/b@x//y", "../a", "a/..", "a b/c", "-a/b",
            "a/b@-c",
        ] {
            assert_eq!(HubId::parse(text), None, "{text}");
        }
        assert!(
            HubId::parse(&format!("a/b@{}", "0f".repeat(20)))
                .unwrap()
                .is_commit()
        );
        assert!(!HubId::parse("a/b@main").unwrap().is_commit());
    }

    #[test]
    fn what_exists_or_looks_like_a_path_is_one() {
        for text in [
            "runs/latest",
            "runs/mine",
            "checkpoint/step-000010",
            "model.bpk",
            "some/model.bpk",
            "./a/b",
            "/a/b",
            "~/a",
            "a\\b",
            "C:/x",
            "src/nothing",
            "one",
            "a/b/c",
            "src",
        ] {
            assert_eq!(of(text), Source::Local(text.into()), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("owner");
        std::fs::write(&path, "x").unwrap();
        assert_eq!(Source::of(&path).unwrap(), Source::Local(path));
    }

    #[test]
    fn addresses_that_are_followed_and_not() {
        assert!(matches!(
            of("https://example.org/models/model.bpk"),
            Source::Address(_)
        ));
        for text in [
            "ftp://h/x",
            "file:///x",
            "s3://bucket/x",
            "http://u@h/x",
            "http://h/../x",
            "http://h/%2e%2e/x",
            "http://h/%5Cx",
            "http://h/x?y=1",
            "http://h/x#y",
        ] {
            let error = Source::of(Path::new(text)).unwrap_err();
            assert!(matches!(error, FetchError::Source { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn a_revision_is_given_once() {
        let hub = |given, revision| Source::remote(given, revision).map(|source| source.to_string());
        assert_eq!(hub("a/b", None).unwrap(), "a/b");
        assert_eq!(hub("a/b", Some("v1")).unwrap(), "a/b@v1");
        assert_eq!(hub("a/b@v1", None).unwrap(), "a/b@v1");
        for (given, revision) in [
            ("a/b@v1", Some("v2")),
            ("http://h/x", Some("v1")),
            ("a/b", Some("..")),
            ("./a", None),
        ] {
            assert!(hub(given, revision).is_err(), "{given}");
        }
    }
}
