//! Container: named tensors and texts in one file, in Burn's burnpack layout, with a strict reader and writer.
//!
//! ```text
//! 10 bytes        magic "NRUB", version u16, length of the index u32, little-endian
//! index           CBOR {tensors: {name: {dtype, shape, data_offsets}}, metadata: {key: text}}
//! padding         zeros up to a multiple of 256
//! tensor, zeros   each at a multiple of 256, one after the other, without holes; the file ends with the last
//! ```
//!
//! Burn's own reader also accepts overlapping ranges, holes, and bytes after the last tensor. This reader accepts
//! exactly one form: names are unique, tensors follow each other in the order of their positions, padding is zero, and
//! nothing follows the last tensor. Every length is compared with the length of the file before memory is allocated, so
//! the size of the input bounds the memory of the reader. Burn and this crate can read each other's files.
//!
//! # Limits
//!
//! [`MAX_INDEX`], [`MAX_TENSORS`], [`MAX_TEXTS`], [`MAX_NAME`], [`MAX_AXES`].

mod index;
mod pieces;
mod read;
mod write;

use crate::error::CheckpointError;
use burn_dragon_core::api::MemoryError;
use std::path::Path;

pub use index::{Entry, is_name};
pub use read::{Contents, Hashed, Reader};
pub use write::Layout;

/// Limit on the size of an index in bytes. The largest text in an index is a tokenizer, which is far smaller.
pub const MAX_INDEX: u64 = 16 << 20;

/// Limit on the number of tensors in a file.
pub const MAX_TENSORS: usize = 1024;

/// Limit on the number of texts in a file. Many short texts take ten times the memory that they take in the file.
pub const MAX_TEXTS: usize = 64;

/// Limit on the length in bytes of the name of a tensor, which is a dotted path.
pub const MAX_NAME: usize = 256;

/// Limit on the number of axes of a tensor.
pub const MAX_AXES: usize = 8;

/// Alignment in bytes of the data and of each tensor in it.
pub const ALIGNMENT: u64 = 256;

const MAGIC: [u8; 4] = *b"NRUB";
const VERSION: u16 = 1;
const HEADER: usize = 10;

/// Error of reading or writing a container.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The source of the bytes failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The bytes are not a container, or not a valid one.
    #[error("{0}")]
    Malformed(String),
    /// The machine does not have the memory for the contents.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl PackError {
    /// The error with the path of the file.
    pub fn at(self, path: &Path) -> CheckpointError {
        match self {
            Self::Io(source) => CheckpointError::unread(path)(source),
            Self::Malformed(reason) => CheckpointError::corrupt(path, reason),
            Self::Memory(error) => CheckpointError::no_memory(path, error),
        }
    }
}

fn malformed<T>(reason: impl Into<String>) -> Result<T, PackError> {
    Err(PackError::Malformed(reason.into()))
}

#[cfg(test)]
mod tests;
