//! Writer of a container: the layout first, then the bytes in order.

use super::index::{Descriptor, Index, aligned, is_name};
use super::{ALIGNMENT, HEADER, MAGIC, MAX_AXES, MAX_INDEX, MAX_TENSORS, MAX_TEXTS, VERSION};
use crate::bounded::List;
use burn::tensor::TensorData;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result, Write};

/// Zeros for the padding.
const ZEROS: [u8; ALIGNMENT as usize] = [0; ALIGNMENT as usize];

/// Layout of a container: the bytes before the tensors, and the tensors in order.
pub struct Layout<'a> {
    /// Header, index, and the padding after them.
    head: Vec<u8>,
    tensors: BTreeMap<&'a str, &'a TensorData>,
}

impl<'a> Layout<'a> {
    /// Lays out tensors, in the order of their names, and texts.
    ///
    /// # Errors
    /// If the index, the number of tensors or the number of texts is above its limit.
    pub fn new(
        tensors: BTreeMap<&'a str, &'a TensorData>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self> {
        if tensors.len() > MAX_TENSORS || metadata.len() > MAX_TEXTS {
            let reason = format!("a file has at most {MAX_TENSORS} tensors and {MAX_TEXTS} texts");
            return Err(Error::new(ErrorKind::InvalidInput, reason));
        }
        let mut end = 0;
        let mut descriptors = BTreeMap::new();
        for (&name, &data) in &tensors {
            if !is_name(name) || data.shape().len() > MAX_AXES {
                let reason =
                    format!("the name {name:?} of a tensor, or its shape, is above the limits of a reader");
                return Err(Error::new(ErrorKind::InvalidInput, reason));
            }
            let start = aligned(end).ok_or_else(too_large)?;
            end = start + data.as_bytes().len() as u64;
            let descriptor = Descriptor {
                dtype: data.dtype(),
                shape: List(data.shape().iter().map(|&size| size as u64).collect()),
                data_offsets: (start, end),
                param_id: None,
            };
            descriptors.insert(name, descriptor);
        }
        let index = Index {
            tensors: descriptors,
            metadata,
        };
        let mut head = vec![0; HEADER];
        ciborium::into_writer(&index, &mut head).map_err(Error::other)?;
        let size = (head.len() - HEADER) as u64;
        if size > MAX_INDEX {
            return Err(too_large());
        }
        head[..4].copy_from_slice(&MAGIC);
        head[4..6].copy_from_slice(&VERSION.to_le_bytes());
        head[6..HEADER].copy_from_slice(&u32::try_from(size).map_err(Error::other)?.to_le_bytes());
        head.resize(head.len().next_multiple_of(ZEROS.len()), 0);
        Ok(Self { head, tensors })
    }

    /// Header, index, and the padding after them. The bytes may be changed, but not their number.
    pub fn head_mut(&mut self) -> &mut [u8] {
        &mut self.head
    }

    /// Writes the container.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn write_to(&self, sink: &mut dyn Write) -> Result<()> {
        sink.write_all(&self.head)?;
        let mut padding = 0;
        for data in self.tensors.values() {
            let bytes = data.as_bytes();
            sink.write_all(&ZEROS[..padding])?;
            sink.write_all(bytes)?;
            padding = bytes.len().next_multiple_of(ZEROS.len()) - bytes.len();
        }
        Ok(())
    }
}

fn too_large() -> Error {
    let reason = format!("names and texts take more than {MAX_INDEX} bytes, the limit for an index");
    Error::new(ErrorKind::InvalidInput, reason)
}
