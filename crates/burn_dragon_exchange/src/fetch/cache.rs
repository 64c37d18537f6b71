//! Cache of complete, checked downloads, with one folder for each location.
//!
//! ```text
//! <cache>/models/<host>-<name>-<hash of the address>/
//!     lock                  held by the process that fetches
//!     record.json           the current version, and the headers of the server
//!     <hash of the bytes>/  a version: files that never change
//!     draft/                download in progress, one version at a time:
//!         of                identity of the version
//!         coming/           incomplete files, numbered
//!         files/            complete and checked files: the next version
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

/// Folder of the cache: `BURN_DRAGON_CACHE_DIR`, else `burn_dragon` in the cache folder of the system.
///
/// # Errors
/// If neither this variable nor a home folder is set.
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
        // The XDG convention says that a relative path must be ignored.
        _ => of("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(home?.join(".cache"))),
    };
    Some(caches?.join("burn_dragon"))
}

/// Record of one location in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Location, as text.
    pub(super) source: String,
    /// File whose ETag is requested again to see whether the location has changed.
    pub(super) probe: String,
    /// ETag of that file.
    pub(super) etag: Option<String>,
    /// ETag that a hub gave before its redirect.
    pub(super) linked: Option<String>,
    /// Commit; `None` if the hub did not give one.
    pub(super) commit: Option<String>,
    /// Folder of the files.
    pub(super) version: String,
    /// Files of the version.
    pub(super) files: BTreeMap<String, Kept>,
}

/// File of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Folder of one location in the cache.
#[derive(Debug)]
pub(super) struct CacheFolder {
    path: PathBuf,
}

/// Cache folder that is locked by this process.
pub(super) struct Locked<'a> {
    folder: &'a CacheFolder,
    /// Released when it is dropped, or when the process ends for any reason.
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

    /// Record of the folder; `None` if there is no valid one.
    pub(super) fn record(&self) -> Option<Record> {
        let text = plain::read(&self.path.join("record.json"), 8 << 20).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        let plain = |name: &str| is_plain_name(name);
        (plain(&record.version) && plain(&record.probe) && record.files.keys().all(|name| plain(name)))
            .then_some(record)
    }

    /// Folder with the files of a record, if all of them are unchanged.
    pub(super) fn verified(&self, record: &Record) -> Option<PathBuf> {
        let folder = self.path.join(&record.version);
        let sound = |(name, kept): (&String, &Kept)| {
            let read = hash_of(&folder.join(name));
            read.is_ok_and(|(bytes, sha256)| bytes == kept.bytes && sha256 == kept.sha256)
        };
        record.files.iter().all(sound).then_some(folder)
    }

    /// Waits until no other process fetches the same location.
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
    /// Draft to download into. An existing draft of the same content is kept; another one is removed.
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

    /// Removes the draft.
    pub(super) fn discard(&self) -> Result<(), FetchError> {
        remove_all(&self.folder.path.join("draft"))
    }

    /// Makes the draft the current version. Returns its folder.
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

    /// Writes the record of the current version.
    pub(super) fn note(&self, record: &Record) -> Result<(), FetchError> {
        let path = self.folder.path.join("record.json");
        let text =
            serde_json::to_vec_pretty(record).map_err(|error| CheckpointError::corrupt(&path, error))?;
        Ok(write_atomic(&Os, &path, |sink| sink.write_all(&text))?)
    }
}

/// Folder of a download in progress.
pub(super) struct Draft {
    path: PathBuf,
}

impl Draft {
    /// Path of an incomplete file. It is numbered, so that an untrusted name cannot collide with one of our files.
    pub(super) fn coming(&self, number: usize) -> PathBuf {
        self.path.join("coming").join(number.to_string())
    }

    /// Path of a complete file.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join("files").join(name)
    }

    /// Renames a complete, checked file to its final name.
    pub(super) fn settle(&self, number: usize, name: &str) -> Result<(), CheckpointError> {
        let (from, to) = (self.coming(number), self.file(name));
        fs::rename(&from, &to).map_err(CheckpointError::io("rename", &from))?;
        Os.sync_dir(folder_of(&to))
            .map_err(CheckpointError::io("sync", &to))
    }
}

/// Removes everything from a folder except the files of the record.
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

/// Size of a file in bytes, and its SHA-256.
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

/// Name for a folder, from the last segment of an address.
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
