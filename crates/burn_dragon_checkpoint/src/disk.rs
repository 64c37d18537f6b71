//! File system operations of a save, behind a trait so that a test can make any of them fail; and atomic replacement of
//! a file.
//!
//! A change survives a power cut only after a sync: of the file for its bytes, of the folder for its names.

use crate::error::CheckpointError;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// File system operations that change something. Reading is not among them: data is checked after it is read, wherever
/// it comes from.
pub trait Disk: Debug + Send + Sync {
    /// Creates a folder and its missing parents.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Creates one folder.
    ///
    /// # Errors
    /// If the path exists, or the file system refuses.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a file to write; an existing file is emptied.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file or a folder on the same disk, atomically.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all its contents.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Syncs a folder: its names survive a power cut afterwards.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// Open file that is being written.
pub trait DiskFile: Write + Send {
    /// Syncs the file: its bytes survive a power cut afterwards.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Os;

impl Disk for Os {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    /// On Unix a folder is synced like a file. On other systems a folder cannot be opened and needs no sync.
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if cfg!(unix) {
            File::open(path)?.sync_all()
        } else {
            Ok(())
        }
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Creates a folder and its missing parents, and syncs the names of the new ones.
///
/// # Errors
/// If the disk refuses.
pub fn create_dirs(disk: &dyn Disk, path: &Path) -> Result<(), CheckpointError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    disk.create_dir_all(path)
        .map_err(CheckpointError::io("create", path))?;
    for folder in missing.into_iter().rev() {
        let above = folder_of(folder);
        disk.sync_dir(above).map_err(CheckpointError::io("sync", above))?;
    }
    Ok(())
}

/// Replaces a file atomically: after a crash or a power cut it holds the old bytes or the new ones.
///
/// # Errors
/// If `fill` fails or the disk refuses. The old file is then unchanged, and the temporary file is removed if the disk
/// still allows it. One exception: if the last step, the sync of the folder, fails, the new file is already in place.
pub fn write_atomic(
    disk: &dyn Disk,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), CheckpointError> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let reason =
            "the path exists and is no plain file, so it is not replaced; choose another path".to_string();
        let path = path.to_path_buf();
        return Err(CheckpointError::Refused { path, reason });
    }
    let temporary = beside(path);
    let written = write_synced(disk, &temporary, fill).and_then(|()| disk.rename(&temporary, path));
    if written.is_err() {
        let _ = disk.remove_file(&temporary); // the error to report is the first one
    }
    written
        .and_then(|()| disk.sync_dir(folder_of(path)))
        .map_err(CheckpointError::io("write", path))
}

/// Writes and syncs a file that no reader knows yet.
pub(crate) fn write_synced(
    disk: &dyn Disk,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 16, disk.create(path)?);
    fill(&mut file)?;
    file.flush()?;
    file.get_mut().sync()
}

/// Folder that contains a path.
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Unique name for a temporary file in the same folder, hence on the same disk.
pub fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{count}.tmp", process::id()))
}

/// Removes temporary files of [`write_atomic`] that killed processes left in a folder.
///
/// Only for a folder that no other process writes into.
///
/// # Errors
/// If the disk refuses.
pub fn sweep(disk: &dyn Disk, folder: &Path) -> Result<(), CheckpointError> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_str().is_some_and(is_temporary) {
            let path = entry.path();
            disk.remove_file(&path)
                .map_err(CheckpointError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Whether a name was made by [`beside`].
fn is_temporary(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    let number = inner.and_then(|inner| inner.rsplit_once('.')?.1.split_once('-'));
    number.is_some_and(|(process, count)| {
        [process, count]
            .iter()
            .all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
        write_atomic(&Os, path, |sink| sink.write_all(bytes))
    }

    #[test]
    fn an_atomic_write_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_plain_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), b"one").unwrap_err();
        assert!(error.to_string().contains("no plain file"), "{error}");
        if cfg!(unix) {
            let link = folder.path().join("null");
            #[cfg(unix)]
            std::os::unix::fs::symlink("/dev/null", &link).unwrap();
            write(&link, b"one").unwrap_err();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
    }

    #[test]
    fn a_failed_atomic_write_names_the_file_and_leaves_the_old_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        let error = write_atomic(&Os, &path, |sink| {
            sink.write_all(b"new")?;
            Err(io::Error::other("the source ran dry"))
        });
        let text = error.unwrap_err().to_string();
        assert!(text.contains("file") && text.contains("ran dry"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_sweep_takes_temporaries_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let left = beside(&folder.path().join("run.json"));
        let kept = [
            ".hidden.tmp",
            ".run.json.12-.tmp",
            ".run.json.tmp",
            "run.json.12-0.tmp",
        ];
        fs::write(left, b"half").unwrap();
        for name in kept {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        sweep(&Os, folder.path()).unwrap();
        let names = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, kept);
    }
}
