//! What a save asks of a file system, so that a test can let any of it fail, and the one way to replace a file.
//!
//! A change is there after a power cut only once what holds it was synced: the bytes of a file by the file, its name
//! by the folder.

use crate::error::CheckpointError;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// The changes that a save makes. Reading is not among them: what is read is checked, wherever it comes from.
pub trait Disk: Debug + Send + Sync {
    /// Makes a folder and those above it, where they are missing.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes one folder.
    ///
    /// # Errors
    /// If something is there, or whatever the system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// A file to write, new or emptied.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file or a folder another name on the same disk, at once.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all that it holds.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder last.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait DiskFile: Write + Send {
    /// Makes its bytes last.
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

    /// On unix a folder is synced like a file; elsewhere it cannot be opened, and need not be.
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

/// Makes a folder and those above it, where they are missing, and makes the names of the new ones last.
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

/// Replaces a file whole or not at all: after a crash or a power cut it holds the old bytes or the new ones.
///
/// # Errors
/// If `fill` fails or the disk refuses; the file is then the old one, and no temporary is left, where the disk still
/// allows that. Only where the very last step fails, the sync of the folder, it is the new one already.
pub fn write_atomic(
    disk: &dyn Disk,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), CheckpointError> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let reason = "what is there is no plain file, and is not replaced by one".to_string();
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

/// Writes a file that nobody reads yet, and makes its bytes last.
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

/// The folder that a path lies in.
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// A name in the same folder, hence on the same disk, that no other writer uses.
pub fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{count}.tmp", process::id()))
}

/// Removes the temporaries that killed processes left in a folder, of files that [`write_atomic`] was replacing.
///
/// Only for a folder that nobody else writes into.
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

/// Whether a name is one of [`beside`]'s.
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
