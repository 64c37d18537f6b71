//! ZIP archives, read in place by several threads.

use super::check_length;
use crate::error::VisionError;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use zip::ZipArchive;

/// An open archive.
#[derive(Debug)]
pub(super) struct Archive {
    zip: ZipArchive<Shared>,
}

impl Archive {
    /// Opens an archive and reads the list of its files.
    ///
    /// # Errors
    /// If it cannot be opened, or is no archive.
    pub(super) fn open(path: &Path) -> Result<Self, VisionError> {
        let file = File::open(path).map_err(|source| VisionError::Read {
            path: path.into(),
            source,
        })?;
        let shared = Shared {
            file: Arc::new(Mutex::new(file)),
            position: 0,
        };
        let zip = ZipArchive::new(shared).map_err(|error| VisionError::Format {
            name: path.display().to_string(),
            reason: format!("cannot be read as a ZIP archive: {error}"),
        })?;
        Ok(Self { zip })
    }

    /// Names of the files, each with its index; folders are left out.
    pub(super) fn names(&self) -> Vec<(usize, String)> {
        let names = (0..self.zip.len())
            .filter_map(|index| Some((index, self.zip.name_for_index(index)?.to_string())));
        names.filter(|(_, name)| !name.ends_with(['/', '\\'])).collect()
    }

    /// Unpacked bytes of a file, at most `most` of them; or the reason why there are none.
    pub(super) fn bytes(&self, index: usize, most: u64) -> Result<Vec<u8>, String> {
        let mut zip = self.zip.clone();
        let mut file = zip
            .by_index(index)
            .map_err(|error| format!("cannot be read: {error}"))?;
        check_length(file.size())?;
        let mut bytes = Vec::new();
        // The archive may say less than there is.
        let read = file.by_ref().take(most + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("cannot be read: {error}"))?;
        check_length(bytes.len() as u64)?;
        Ok(bytes)
    }
}

/// A file that several readers share, each with a position of its own.
#[derive(Clone, Debug)]
struct Shared {
    file: Arc<Mutex<File>>,
    position: u64,
}

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.position))?;
        let read = file.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.position))?;
        self.position = file.seek(to)?;
        Ok(self.position)
    }
}
