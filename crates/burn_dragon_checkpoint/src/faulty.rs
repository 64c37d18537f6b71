//! Disk with injected faults, to test how a save handles them.

use crate::disk::{Disk, DiskFile, Os};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Injected fault of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: no new file, no new folder, no bytes.
    NoSpace,
    /// Writes of bytes fail.
    WriteError,
    /// Half of the bytes are written, then writes fail.
    ShortWrite,
    /// Syncs of files and folders fail.
    SyncError,
    /// Every change fails.
    ReadOnly,
    /// Renames fail.
    RenameError,
    /// Removals fail.
    RemoveError,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 7] = [
        Self::NoSpace,
        Self::WriteError,
        Self::ShortWrite,
        Self::SyncError,
        Self::ReadOnly,
        Self::RenameError,
        Self::RemoveError,
    ];

    fn hits(self, operation: Operation) -> bool {
        use Operation::{Make, Remove, Rename, Sync, Write};
        match self {
            Self::NoSpace => matches!(operation, Make | Write),
            Self::WriteError | Self::ShortWrite => operation == Write,
            Self::SyncError => operation == Sync,
            Self::ReadOnly => matches!(operation, Make | Rename | Remove),
            Self::RenameError => operation == Rename,
            Self::RemoveError => operation == Remove,
        }
    }

    fn error(self) -> io::Error {
        match self {
            Self::NoSpace | Self::ShortWrite => ErrorKind::StorageFull.into(),
            Self::ReadOnly => ErrorKind::ReadOnlyFilesystem.into(),
            Self::WriteError | Self::SyncError | Self::RenameError | Self::RemoveError => {
                io::Error::other("input/output error")
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Make,
    Write,
    Sync,
    Rename,
    Remove,
}

/// Disk of the machine with an injected fault.
#[derive(Clone, Debug)]
pub struct Faulty {
    fault: Fault,
    at: u64,
    lasting: bool,
    count: Arc<AtomicU64>,
}

impl Faulty {
    /// Disk that fails at operation number `at`, counted from 0 among the operations that the fault can hit. If
    /// `lasting`, all later ones fail too.
    pub fn new(fault: Fault, at: u64, lasting: bool) -> Self {
        Self {
            fault,
            at,
            lasting,
            count: Arc::default(),
        }
    }

    /// Disk without a fault, which counts the operations that the fault could hit.
    pub fn counting(fault: Fault) -> Self {
        Self::new(fault, u64::MAX, false)
    }

    /// Number of operations so far that the fault could hit.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    fn ask(&self, operation: Operation) -> io::Result<()> {
        if !self.fault.hits(operation) {
            return Ok(());
        }
        let place = self.count.fetch_add(1, Ordering::SeqCst);
        match place == self.at || self.lasting && place > self.at {
            true => Err(self.fault.error()),
            false => Ok(()),
        }
    }
}

impl Disk for Faulty {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Make)?;
        Os.create_dir_all(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Make)?;
        Os.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.ask(Operation::Make)?;
        let (disk, file) = (self.clone(), Os.create(path)?);
        Ok(Box::new(FaultyFile { disk, file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Operation::Rename)?;
        Os.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Remove)?;
        Os.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Remove)?;
        Os.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Sync)?;
        Os.sync_dir(path)
    }
}

struct FaultyFile {
    disk: Faulty,
    file: Box<dyn DiskFile>,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.disk.ask(Operation::Write) {
            if self.disk.fault == Fault::ShortWrite {
                self.file.write_all(&bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.ask(Operation::Sync)?;
        self.file.sync()
    }
}
