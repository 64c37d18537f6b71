//! Incomplete file, and the note of its version.

use super::download::{RangedDownload, too_large};
use super::error::FetchError;
use super::http::Answer;
use super::limits::Limits;
use super::pace::Pace;
use super::progress::Meter;
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{Os, plain, write_atomic};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Note beside an incomplete file: the version of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) etag: String,
    pub(super) total: Option<u64>,
}

impl Note {
    fn path(of: &Path) -> PathBuf {
        let mut name = of.as_os_str().to_owned();
        name.push(".from");
        name.into()
    }

    pub(super) fn read(of: &Path) -> Option<Self> {
        let text = plain::read(&Self::path(of), 4096).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(super) fn write(&self, of: &Path) -> Result<(), CheckpointError> {
        let path = Self::path(of);
        let text = serde_json::to_vec(self).map_err(|error| CheckpointError::corrupt(&path, error))?;
        write_atomic(&Os, &path, |sink| sink.write_all(&text))
    }

    pub(super) fn remove(of: &Path) {
        let _ = std::fs::remove_file(Self::path(of)); // none is fine
    }
}

/// Incomplete file, and the hash of its content.
pub(super) struct PartialFile {
    pub(super) file: File,
    pub(super) hash: Sha256,
    pub(super) have: u64,
}

/// End of one try.
pub(super) enum End {
    Whole,
    /// The connection was cut after this number of new bytes.
    Cut(String, u64),
}

impl PartialFile {
    /// Opens the file. Its content is kept or removed.
    pub(super) fn open(path: &Path, keep: bool) -> Result<Self, FetchError> {
        let io = |action| CheckpointError::io(action, path);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(!keep)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io("create"))?;
        let (mut hash, mut have) = (Sha256::new(), 0);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(io("read"))? {
                0 => break,
                read => {
                    hash.update(&buffer[..read]);
                    have += read as u64;
                }
            }
        }
        Ok(Self { file, hash, have })
    }

    pub(super) fn empty(
        &mut self,
        download: &RangedDownload<'_>,
        meter: &Meter<'_>,
    ) -> Result<(), FetchError> {
        meter.take_back(self.have);
        self.file
            .set_len(0)
            .map_err(CheckpointError::io("empty", download.into))?;
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(CheckpointError::io("empty", download.into))?;
        (self.hash, self.have) = (Sha256::new(), 0);
        Ok(())
    }

    /// Removes the content, since the answer is not valid.
    pub(super) fn refuse(
        &self,
        download: &RangedDownload<'_>,
        meter: &Meter<'_>,
        reason: String,
    ) -> FetchError {
        self.drop_with(download, meter, FetchError::refused(download.address, reason))
    }

    pub(super) fn drop_with(
        &self,
        download: &RangedDownload<'_>,
        meter: &Meter<'_>,
        error: FetchError,
    ) -> FetchError {
        Note::remove(download.into);
        let _ = std::fs::remove_file(download.into); // the error that matters is the other one
        meter.take_back(self.have);
        error
    }

    /// Writes a body to the file until it ends, is cut, or is too long. `whole` is the length of the download, if
    /// known.
    pub(super) fn pour(
        &mut self,
        mut answer: Answer,
        whole: Option<u64>,
        download: &RangedDownload<'_>,
        meter: &Meter<'_>,
        limits: &Limits,
    ) -> Result<End, FetchError> {
        let before = self.have;
        let most = whole.unwrap_or(download.most);
        let mut buffer = vec![0; 1 << 16];
        let mut pace = Pace::new(limits);
        loop {
            if meter.is_stopped() {
                return Ok(End::Cut(
                    "another segment of it failed".into(),
                    self.have - before,
                ));
            }
            let read = match answer.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    return Ok(End::Cut(
                        format!("the connection was cut: {error}"),
                        self.have - before,
                    ));
                }
            };
            if self.have + read as u64 > most {
                let error = match whole {
                    Some(whole) => {
                        FetchError::refused(download.address, format!("it is longer than its {whole} bytes"))
                    }
                    None => too_large(download, "without a declared end"),
                };
                return Err(self.drop_with(download, meter, error));
            }
            self.file
                .write_all(&buffer[..read])
                .map_err(CheckpointError::io("write", download.into))?;
            self.hash.update(&buffer[..read]);
            self.have += read as u64;
            meter.add(read as u64);
            if let Err(reason) = pace.came(read as u64) {
                return Ok(End::Cut(reason, self.have - before));
            }
        }
        match whole {
            Some(whole) if self.have < whole => {
                let reason = format!("it ended after {} of {whole} bytes", self.have);
                Ok(End::Cut(reason, self.have - before))
            }
            _ => Ok(End::Whole),
        }
    }
}
