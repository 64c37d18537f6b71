//! What is downloaded: a file, or a segment of one version of it.

use super::address::Address;
use super::error::FetchError;
use std::path::Path;

/// What is to be fetched, and where to.
pub(super) struct RangedDownload<'a> {
    pub(super) address: &'a Address,
    /// The file that it is put into. What is in it already is kept if it is known of what it is: by the segment, or by
    /// the note beside it.
    pub(super) into: &'a Path,
    /// `None` for a whole file.
    pub(super) segment: Option<Segment<'a>>,
    /// Bytes of the whole file, if somebody trusted has said it.
    pub(super) total: Option<u64>,
    /// Most bytes of the whole file.
    pub(super) most: u64,
}

/// A segment of one version of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// The first byte.
    pub(super) start: u64,
    /// The byte after the last.
    pub(super) end: u64,
    /// The version's ETag, a strong one.
    pub(super) etag: &'a str,
}

/// The error of a file that is longer than it may be.
pub(super) fn too_large(download: &RangedDownload<'_>, given: &str) -> FetchError {
    FetchError::TooLarge {
        address: download.address.to_string(),
        given: given.to_string(),
        limit: download.most,
    }
}
