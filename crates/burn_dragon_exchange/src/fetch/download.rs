//! Description of a download: a whole file, or a segment of one version of it.

use super::address::Address;
use super::error::FetchError;
use std::path::Path;

/// Description of a download.
pub(super) struct RangedDownload<'a> {
    pub(super) address: &'a Address,
    /// Target file. Its existing content is kept if its version is known: from the segment, or from the note beside the
    /// file.
    pub(super) into: &'a Path,
    /// Segment to download; `None` for the whole file.
    pub(super) segment: Option<Segment<'a>>,
    /// Size of the whole file in bytes, if a trusted source gave it.
    pub(super) total: Option<u64>,
    /// Limit on the size of the whole file in bytes.
    pub(super) most: u64,
}

/// Segment of one version of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// Offset of the first byte.
    pub(super) start: u64,
    /// Offset after the last byte.
    pub(super) end: u64,
    /// Strong ETag of the version.
    pub(super) etag: &'a str,
}

/// Error of a file above the size limit.
pub(super) fn too_large(download: &RangedDownload<'_>, given: &str) -> FetchError {
    FetchError::TooLarge {
        address: download.address.to_string(),
        given: given.to_string(),
        limit: download.most,
    }
}
