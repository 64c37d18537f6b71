//! Opening of untrusted files: only plain files, with a limit on their size.
//!
//! A pipe would block, a device can be endless, and a link inside a folder can lead out of it. None of them is opened.
//! A refusal of this module, not of the system, is [`InvalidData`](ErrorKind::InvalidData).

use crate::encoding::unmarked;
use std::fs::{self, File, Metadata};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Opens a plain file. Returns it with its size in bytes. A link to a plain file is followed, since the path is the
/// caller's own.
///
/// # Errors
/// If the system refuses, or the path is a folder, a pipe, a socket or a device.
pub fn open(path: &Path) -> Result<(File, u64)> {
    length(&fs::metadata(path)?)?; // before it is opened, since a pipe without a writer would never open
    let file = File::open(path)?;
    let length = length(&file.metadata()?)?;
    Ok((file, length))
}

/// Opens a plain file in an untrusted folder. Returns it with its size in bytes. A link is not followed.
///
/// # Errors
/// As [`open`], or if it is a link.
pub fn open_inside(path: &Path) -> Result<(File, u64)> {
    length(&fs::symlink_metadata(path)?)?;
    open(path)
}

/// Content of a plain file of at most `most` bytes, opened like [`open`].
///
/// # Errors
/// As [`open`], or if it is longer.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    whole(open(path)?, most)
}

/// Text of a plain file, like [`read`], without a byte-order mark.
///
/// # Errors
/// As [`read`], or if it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    text(read(path, most)?)
}

/// Text of a plain file in an untrusted folder, like [`open_inside`] and [`read_text`].
///
/// # Errors
/// As both.
pub fn read_text_inside(path: &Path, most: u64) -> Result<String> {
    text(whole(open_inside(path)?, most)?)
}

/// Text of UTF-8 bytes, without a byte-order mark.
///
/// # Errors
/// If they are not UTF-8.
pub fn text(mut bytes: Vec<u8>) -> Result<String> {
    let mark = bytes.len() - unmarked(&bytes).len();
    bytes.drain(..mark);
    String::from_utf8(bytes).map_err(|error| refused(format!("it is not UTF-8: {}", error.utf8_error())))
}

/// Content of an open file of at most `most` bytes.
///
/// # Errors
/// If it is longer, or the system refuses.
pub fn whole((file, length): (File, u64), most: u64) -> Result<Vec<u8>> {
    if length > most {
        return Err(refused(format!("it has {length} bytes, at most {most} are read")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(Error::other)?);
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn length(metadata: &Metadata) -> Result<u64> {
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let kind = if metadata.is_dir() {
        "a folder"
    } else {
        "a link, a pipe or a device"
    };
    Err(refused(format!("it is {kind}, not a plain file")))
}

fn refused(reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "text").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "text");
        assert!(
            read(&path, 3)
                .unwrap_err()
                .to_string()
                .contains("4 bytes, at most 3")
        );
        fs::write(&path, "\u{feff}te\u{feff}xt").unwrap();
        assert_eq!(read_text(&path, 10).unwrap(), "te\u{feff}xt");
        fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_text(&path, 4).unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(open(folder.path()).unwrap_err().to_string().contains("a folder"));
        assert_eq!(
            open(&folder.path().join("b")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_or_a_device_is_not_opened_and_a_link_inside_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            assert_eq!(open(&pipe).unwrap_err().kind(), ErrorKind::InvalidData);
        }
        assert_eq!(
            open(Path::new("/dev/zero")).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_text(&link, 9).unwrap(), "text");
        assert_eq!(open_inside(&link).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
