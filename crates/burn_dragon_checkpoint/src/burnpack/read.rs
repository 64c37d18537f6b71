//! Reader of a container, in one pass over its bytes.

use super::index::{Entry, Read as Index, aligned};
use super::pieces::{Found, Head, Parts, Pass};
use super::{HEADER, MAGIC, MAX_INDEX, PackError, VERSION, malformed};
use crate::hash::{Algorithm, hex};
use crate::tree_hash::{PIECE, root};
use burn::tensor::TensorData;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;

/// Limit on the nesting depth of the index. A valid index has four levels.
const MAX_DEPTH: usize = 16;

/// Container with a checked index; its tensors are not read yet.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    length: u64,
    /// Whether the source is known to have this length.
    is_exact: bool,
    /// Tensors in the order of their positions.
    entries: Vec<Entry>,
    metadata: BTreeMap<String, String>,
    index: Vec<u8>,
}

/// Contents of a container.
#[derive(Debug, Default)]
pub struct Contents {
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorData>,
    /// Texts by key.
    pub metadata: BTreeMap<String, String>,
    /// Names of the tensors in f32, f16 or bf16 with a number that is not finite.
    pub not_finite: BTreeSet<String>,
    /// Hash of all bytes, with the index replaced by [`Hashed::index`]; `None` if none was asked for.
    pub hash: Option<String>,
    /// BLAKE3 of all bytes as they are, if the hash is BLAKE3.
    pub blake3: Option<String>,
}

/// Hash to be computed while a container is read.
#[derive(Clone, Debug)]
pub struct Hashed {
    /// Algorithm of the hash.
    pub algorithm: Algorithm,
    /// Bytes that are hashed in place of header and index, as many as these.
    pub index: Vec<u8>,
}

impl Reader<File> {
    /// Reads the header and the index of a file of exactly `length` bytes, as the system says.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_file(file: File, length: u64) -> Result<Self, PackError> {
        let reader = Self::open(file, length)?;
        Ok(Self {
            is_exact: true,
            ..reader
        })
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header and the index from a `source` of exactly `length` bytes.
    ///
    /// # Errors
    /// If the source fails, or the index is not valid or does not match the length.
    pub fn open(mut source: R, length: u64) -> Result<Self, PackError> {
        if length < HEADER as u64 {
            return malformed(format!("it has {length} bytes; a burnpack begins with {HEADER}"));
        }
        let mut header = [0; HEADER];
        source.read_exact(&mut header)?;
        let [m0, m1, m2, m3, v0, v1, l0, l1, l2, l3] = header;
        if [m0, m1, m2, m3] != MAGIC {
            let known = foreign([m0, m1, m2, m3]).map_or(String::new(), |format| format!("it is {format}: "));
            return malformed(format!(
                "{known}it does not begin like a burnpack: the first four bytes must be `NRUB`"
            ));
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return malformed(format!(
                "it is a burnpack of version {version}, expected version {VERSION}"
            ));
        }
        let size = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        let index_end = HEADER as u64 + size;
        if index_end > length {
            return malformed(format!(
                "its index would end at byte {index_end}, it has {length}"
            ));
        }
        if size > MAX_INDEX {
            return malformed(format!(
                "its index has {size} bytes, at most {MAX_INDEX} are read"
            ));
        }
        // At most the length of the source, and at most the limit of an index.
        let mut index = Vec::with_capacity(usize::try_from(index_end).unwrap_or(HEADER));
        index.extend_from_slice(&header);
        (&mut source).take(size).read_to_end(&mut index)?;
        if index.len() as u64 != index_end {
            return malformed("it ends inside its index");
        }
        let mut rest = &index[HEADER..];
        let parsed: Result<Index, _> = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH);
        let mut parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return malformed(format!("its index does not read as CBOR: {error}")),
        };
        if !rest.is_empty() {
            return malformed(format!("{} bytes follow the end of its index", rest.len()));
        }
        // Without tensors a container ends with its index, or with the padding after it.
        let data_start = aligned(index_end).unwrap_or(u64::MAX);
        let data = match length.checked_sub(data_start) {
            Some(data) => data,
            None if length == index_end => 0,
            None => {
                return malformed(format!(
                    "it has {length} bytes, its data would begin at {data_start}"
                ));
            }
        };
        let entries = parsed.entries(data)?;
        Ok(Self {
            source,
            length,
            is_exact: false,
            entries,
            metadata: parsed.metadata.0,
            index,
        })
    }

    /// Tensors in the order of their positions.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Texts by key.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Bytes of the header and the index.
    pub fn index(&self) -> &[u8] {
        &self.index
    }
}

/// Name of the format of another program, by the first bytes of its files.
fn foreign(magic: [u8; 4]) -> Option<&'static str> {
    match &magic {
        b"GGUF" => Some("a GGUF file of llama.cpp, which holds models of other kinds"),
        b"ggml" | b"lmgg" => Some("a GGML file of llama.cpp, which holds models of other kinds"),
        b"PK\x03\x04" => Some("a zip archive, as PyTorch writes (`dragon convert` reads official .pt files)"),
        b"\x89HDF" => Some("an HDF5 file, as Keras writes"),
        [0x1f, 0x8b, ..] => Some("compressed with gzip"),
        [0x28, 0xb5, 0x2f, 0xfd] => Some("compressed with zstd"),
        _ => None,
    }
}

impl<R: Read + Send> Reader<R> {
    /// Reads the tensors, to the end of the source. In the same pass they are checked for finite numbers and hashed, by
    /// several threads if there are many.
    ///
    /// # Errors
    /// If the source fails or ends early, or padding is not zero.
    ///
    /// # Panics
    /// If `hashed` has an index of another length.
    pub fn contents(self, hashed: Option<&Hashed>) -> Result<Contents, PackError> {
        let Self {
            mut source,
            length,
            is_exact,
            entries,
            metadata,
            index,
        } = self;
        let replaced = hashed.map_or(&index, |hashed| &hashed.index);
        assert_eq!(replaced.len(), index.len(), "another index is not as long");
        let head = Head {
            plain: &index,
            hashed: replaced,
        };
        let mut parts = Parts::new(&entries, length);
        let pass = Pass::new(length, hashed.map(|hashed| hashed.algorithm));
        let (mut at, mut found) = (0, Found::default());
        while at < length {
            // A source of unknown length is believed about twice what has come.
            let until = match is_exact {
                true => length,
                false => length.min((2 * at).max(4 * PIECE)),
            };
            found.join(pass.run(&mut source, parts.pieces(head, at..until)?)?);
            at = until;
        }
        if source.read(&mut [0])? != 0 {
            return malformed("bytes follow its last tensor");
        }
        let nodes = found.nodes();
        let root = |nodes: &[_]| (!nodes.is_empty()).then(|| hex(&root(nodes)));
        let (tree, blake3) = (root(&nodes.hashed), root(&nodes.plain));
        let not_finite = found.not_finite.iter().map(|place| entries[*place].name.clone());
        Ok(Contents {
            metadata,
            not_finite: not_finite.collect(),
            hash: pass.in_order().or(tree),
            blake3,
            tensors: parts.into_tensors(entries),
        })
    }
}
