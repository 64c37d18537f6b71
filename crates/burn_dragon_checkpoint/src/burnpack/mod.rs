//! The container: named tensors and text in one file, in Burn's burnpack layout, read and written strictly.
//!
//! ```text
//! 10 bytes        magic "NRUB", version u16, length of the index u32, little-endian
//! index           CBOR {tensors: {name: {dtype, shape, data_offsets}}, metadata: {key: text}}
//! padding         zeros up to a multiple of 256
//! tensor, zeros   each at a multiple of 256, one after the other, without holes; the file ends with the last
//! ```
//!
//! Burn's own reader takes more than that: ranges that overlap, holes, bytes behind the end. Here a file has one
//! reading, or none: names are unique, tensors follow each other in the order of their places, padding is zero, and
//! nothing comes after. Every length is compared with the length of the file before memory is asked for, so what a
//! reader allocates is bounded by what it was given. Both read each other's files.
//!
//! # Limits
//!
//! [`MAX_INDEX`], [`MAX_TENSORS`], [`MAX_TEXTS`], [`MAX_NAME`], [`MAX_AXES`].

mod index;
mod read;
mod write;

use crate::error::CheckpointError;
use burn_dragon_core::api::MemoryError;
use std::path::Path;

pub use index::{Entry, is_name};
pub use read::{Contents, Reader};
pub use write::Layout;

/// Bytes of the longest index: a tokenizer is the largest text in one, and none comes near.
pub const MAX_INDEX: u64 = 16 << 20;

/// Most tensors of a file.
pub const MAX_TENSORS: usize = 1024;

/// Most texts of a file. Without a limit, many short ones take ten times the memory that they take in the file.
pub const MAX_TEXTS: usize = 64;

/// Bytes of the longest name of a tensor, which is a dotted path.
pub const MAX_NAME: usize = 256;

/// Most axes of a tensor.
pub const MAX_AXES: usize = 8;

/// Where the data begins, and each tensor in it: a multiple of this many bytes.
pub const ALIGNMENT: u64 = 256;

const MAGIC: [u8; 4] = *b"NRUB";
const VERSION: u16 = 1;
const HEADER: usize = 10;

/// Why a container does not read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The source of its bytes failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is not a container, or not a sound one.
    #[error("{0}")]
    Malformed(String),
    /// The machine has no memory for what it holds.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl PackError {
    /// The error of a file.
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
