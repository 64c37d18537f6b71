//! The cache: what was fetched, whole and checked, one folder for each thing that was asked for.
//!
//! ```text
//! <cache>/models/<host>-<name>-<hash of the address>/
//!     lock                  held by the process that fetches
//!     record.json           which version is in use, and what the server said of it
//!     <hash of the bytes>/  a version: files that never change
//!     draft/                what is being fetched, one version at a time:
//!         of                of what it is
//!         coming/           what is not whole yet, numbered
//!         files/            what is whole and checked: the next version
//! ```

use super::address::printable;
use super::error::FetchError;
use super::progress::{Event, Meter};
use burn_dragon_checkpoint::api::expert::{
    Disk, Os, folder_of, hex, is_plain_name, plain, sha256, write_atomic,
};

use burn_dragon_checkpoint::api::CheckpointError;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{env, ffi::OsString};

/// The folder of the cache: `BURN_DRAGON_CACHE_DIR`, else `burn_dragon` where the system keeps caches.
///
/// # Errors
/// If the environment tells of no home.
pub fn root() -> Result<PathBuf, FetchError> {
    let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    root_of(of, env::home_dir(), std::env::consts::OS).ok_or_else(|| FetchError::Source {
        given: "the cache".into(),
        reason: "neither BURN_DRAGON_CACHE_DIR nor a home folder is set".into(),
    })
}

fn root_of(of: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>, system: &str) -> Option<PathBuf> {
    if let Some(own) = of("BURN_DRAGON_CACHE_DIR") {
        return Some(own.into());
    }
    let caches = match system {
        "windows" => of("LOCALAPPDATA").map(PathBuf::from),
        "macos" => home.map(|home| home.join("Library/Caches")),
        // The convention asks to ignore a relative one.
        _ => of("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(home?.join(".cache"))),
    };
    Some(caches?.join("burn_dragon"))
}

/// What is kept of one thing that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// What was asked for, in words.
    pub(super) source: String,
    /// The file that is asked about when it is asked for again.
    pub(super) probe: String,
    /// Its ETag.
    pub(super) etag: Option<String>,
    /// The ETag that a hub gave before it sent elsewhere.
    pub(super) linked: Option<String>,
    /// The commit, where a hub told it.
    pub(super) commit: Option<String>,
    /// The folder with the files.
    pub(super) version: String,
    /// The files.
    pub(super) files: BTreeMap<String, Kept>,
}

/// A file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The folder of one thing that is asked for.
#[derive(Debug)]
pub(super) struct CacheFolder {
    path: PathBuf,
}

/// A folder that no other process changes meanwhile.
pub(super) struct Locked<'a> {
    folder: &'a CacheFolder,
    /// Unlocked when it is dropped, or when the process ends in whatever way.
    _lock: File,
}

impl CacheFolder {
    pub(super) fn new(cache: &Path, source: &str, host: &str, name: &str) -> Self {
        let plain: String = format!("{host}-{name}")
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') {
                    c
                } else {
                    '_'
                }
            })
            .take(80)
            .collect();
        let hash = &sha256(source.as_bytes())[..16];
        Self {
            path: cache.join("models").join(format!("{plain}-{hash}")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The record, if there is one that can be trusted.
    pub(super) fn record(&self) -> Option<Record> {
        let text = plain::read(&self.path.join("record.json"), 8 << 20).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        let plain = |name: &str| is_plain_name(name);
        (plain(&record.version) && plain(&record.probe) && record.files.keys().all(|name| plain(name)))
            .then_some(record)
    }

    /// The folder of a record's files, if every one of them is what it was.
    pub(super) fn verified(&self, record: &Record) -> Option<PathBuf> {
        let folder = self.path.join(&record.version);
        let sound = |(name, kept): (&String, &Kept)| {
            let read = hash_of(&folder.join(name));
            read.is_ok_and(|(bytes, sha256)| bytes == kept.bytes && sha256 == kept.sha256)
        };
        record.files.iter().all(sound).then_some(folder)
    }

    /// Waits until no other process fetches the same.
    pub(super) fn lock(&self, meter: &Meter<'_>) -> Result<Locked<'_>, FetchError> {
        fs::create_dir_all(&self.path).map_err(CheckpointError::io("create", &self.path))?;
        let path = self.path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(CheckpointError::io("create", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                meter.tell(Event::Waiting);
                lock.lock().map_err(CheckpointError::io("lock", &path))?;
            }
            Err(TryLockError::Error(error)) => return Err(CheckpointError::io("lock", &path)(error).into()),
        }
        Ok(Locked {
            folder: self,
            _lock: lock,
        })
    }
}

impl Locked<'_> {
    /// Where to fetch into. What is there is kept if it is of the same thing, else thrown away.
    pub(super) fn draft(&self, of: &str) -> Result<Draft, FetchError> {
        let path = self.folder.path.join("draft");
        let note = path.join("of");
        let same = plain::read_text(&note, 4096).is_ok_and(|text| text == of);
        if !same {
            self.discard()?;
        }
        for folder in ["coming", "files"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(CheckpointError::io("create", &folder))?;
        }
        if !same {
            write_atomic(&Os, &note, |sink| sink.write_all(of.as_bytes()))?;
        }
        Ok(Draft { path })
    }

    /// Throws away what was being fetched.
    pub(super) fn discard(&self) -> Result<(), FetchError> {
        remove_all(&self.folder.path.join("draft"))
    }

    /// Makes what was fetched and checked the version in use, and gives its folder.
    pub(super) fn commit(&self, record: &Record) -> Result<PathBuf, FetchError> {
        let mut record = record.clone();
        let mut hash = Sha256::new();
        for (name, kept) in &record.files {
            hash.update(format!("{name} {}\n", kept.sha256));
        }
        record.version = hex(&hash.finalize())[..16].to_string();
        let draft = self.folder.path.join("draft").join("files");
        let folder = self.folder.path.join(&record.version);
        if self.folder.verified(&record).is_none() {
            tidy(&draft, &record)?;
            remove_all(&folder)?;
            Os.sync_dir(&draft).map_err(CheckpointError::io("sync", &draft))?;
            fs::rename(&draft, &folder).map_err(CheckpointError::io("rename", &draft))?;
            Os.sync_dir(folder_of(&folder))
                .map_err(CheckpointError::io("sync", &folder))?;
        } // else the same came again
        self.discard()?;
        self.note(&record)?;
        Ok(folder)
    }

    /// Writes what the server says of the version in use.
    pub(super) fn note(&self, record: &Record) -> Result<(), FetchError> {
        let path = self.folder.path.join("record.json");
        let text =
            serde_json::to_vec_pretty(record).map_err(|error| CheckpointError::corrupt(&path, error))?;
        Ok(write_atomic(&Os, &path, |sink| sink.write_all(&text))?)
    }
}

/// Where something is fetched into.
pub(super) struct Draft {
    path: PathBuf,
}

impl Draft {
    /// A file that is not whole yet. It is numbered, so that no name of a stranger's meets one of ours.
    pub(super) fn coming(&self, number: usize) -> PathBuf {
        self.path.join("coming").join(number.to_string())
    }

    /// A file that is whole.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join("files").join(name)
    }

    /// Gives a file that is whole and was checked its name.
    pub(super) fn settle(&self, number: usize, name: &str) -> Result<(), CheckpointError> {
        let (from, to) = (self.coming(number), self.file(name));
        fs::rename(&from, &to).map_err(CheckpointError::io("rename", &from))?;
        Os.sync_dir(folder_of(&to))
            .map_err(CheckpointError::io("sync", &to))
    }
}

/// Leaves nothing in a folder but the files of the record.
fn tidy(folder: &Path, record: &Record) -> Result<(), FetchError> {
    for entry in fs::read_dir(folder)
        .map_err(CheckpointError::io("list", folder))?
        .flatten()
    {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| record.files.contains_key(name)) {
            let path = entry.path();
            fs::remove_file(&path).map_err(CheckpointError::io("remove", &path))?;
        }
    }
    Ok(())
}

fn remove_all(folder: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CheckpointError::io("remove", folder)(error).into())
        }
        _ => Ok(()),
    }
}

/// The bytes of a file, and their SHA-256.
pub(super) fn hash_of(path: &Path) -> Result<(u64, String), CheckpointError> {
    let io = |error| CheckpointError::io("read", path)(error);
    let (mut file, _) = plain::open_inside(path).map_err(io)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file
            .read(&mut buffer)
            .map_err(CheckpointError::io("read", path))?
        {
            0 => return Ok((bytes, hex(&hash.finalize()))),
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// A name for a folder from the last segment of an address.
pub(super) fn label(path: &str) -> String {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    printable(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_system_keeps_caches_unless_said_otherwise() {
        let home = || Some(PathBuf::from("/home/me"));
        let root = |name: &'static str, value: &'static str, system| {
            root_of(|asked| (asked == name).then(|| value.into()), home(), system).unwrap()
        };
        for system in ["linux", "macos", "windows"] {
            assert_eq!(root("BURN_DRAGON_CACHE_DIR", "/mine", system), Path::new("/mine"));
        }
        assert_eq!(root("", "", "linux"), Path::new("/home/me/.cache/burn_dragon"));
        assert_eq!(root("XDG_CACHE_HOME", "/x", "linux"), Path::new("/x/burn_dragon"));
        assert_eq!(
            root("XDG_CACHE_HOME", "x", "linux"),
            Path::new("/home/me/.cache/burn_dragon")
        );
        assert_eq!(
            root("", "", "macos"),
            Path::new("/home/me/Library/Caches/burn_dragon")
        );
        assert_eq!(root("LOCALAPPDATA", "/l", "windows"), Path::new("/l/burn_dragon"));
        assert_eq!(root_of(|_| None, None, "linux"), None);
    }
}
