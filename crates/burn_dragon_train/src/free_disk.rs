//! Free space of the disk, checked before a run is begun.

use std::path::{Path, PathBuf};

/// The folder, or the closest one above it that exists.
pub(crate) fn existing(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|folder| folder.is_dir());
    let found = found.filter(|folder| !folder.as_os_str().is_empty());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Bytes that this user can still write in a folder, or in the closest one above it that exists; `None` if the system
/// does not tell.
#[cfg(unix)]
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(&existing(folder)).ok()?;
    // The types differ between systems.
    #[allow(clippy::unnecessary_cast)]
    let (blocks, size) = (disk.blocks_available() as u64, disk.fragment_size() as u64);
    Some(blocks.saturating_mul(size))
}

/// Not known.
#[cfg(not(unix))]
pub(crate) fn free(_folder: &Path) -> Option<u64> {
    None
}

/// Bytes of all files in a folder and in those below it; 0 if there is none.
pub(crate) fn used(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => used(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |file| file.len()),
        _ => 0, // pointers are links
    });
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_folder_that_is_not_there_yet_lies_on_the_disk_of_the_one_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("runs/a/checkpoint");
        assert_eq!(existing(&below), folder.path());
        assert!(free(&below).unwrap() > 0);
    }

    #[test]
    fn files_are_counted_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("x"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("a/b/y"), [0; 32]).unwrap();
        assert_eq!(used(folder.path()), 42);
        assert_eq!(used(&folder.path().join("none")), 0);
    }
}
