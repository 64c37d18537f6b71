//! Tables of an adjacency on devices: each is made once, and goes with the adjacency.

use super::edges::End;
use crate::gpu::array::upload;
use crate::graph::Adjacency;
use crate::graph::adjacency::Links;
use burn::tensor::DType;
use burn_cubecl::CubeDevice;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// A table of an adjacency.
#[derive(Clone, Copy, Debug)]
pub(super) enum Table<'a> {
    /// Compressed rows of the places at an end: offsets, other ends, edge indices where these are not the positions.
    Rows(End),
    /// The readers of all edges, then their targets.
    Pairs,
    /// Factors of the edges, of which the adjacency has a copy.
    Factors(&'a Arc<[f32]>),
}

/// What a table is found by. Factors are found by their address: the adjacency never lets go of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Rows(End),
    Pairs,
    Factors(usize),
}

/// Tables on devices, made on first use.
#[derive(Default)]
pub(in crate::graph) struct Copies(Mutex<Vec<(CubeDevice, Key, CubeTensor)>>);

impl Adjacency {
    /// A table on the device of a tensor.
    pub(super) fn table(&self, like: &CubeTensor, table: Table<'_>) -> CubeTensor {
        let key = match table {
            Table::Rows(end) => Key::Rows(end),
            Table::Pairs => Key::Pairs,
            Table::Factors(factors) => Key::Factors(factors.as_ptr() as usize),
        };
        let mut copies = self.copies().0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = copies
            .iter()
            .find(|(device, of, _)| *device == like.device && *of == key);
        if let Some((.., copy)) = found {
            return copy.clone();
        }
        let copy = match table {
            Table::Rows(End::Readers) => upload_numbers(like, &rows(self.links())),
            Table::Rows(End::Targets) => upload_numbers(like, &rows(self.incoming())),
            Table::Pairs => upload_numbers(like, &self.pairs_apart()),
            Table::Factors(factors) => upload(like, f32::as_bytes(factors), factors.len(), DType::F32),
        };
        copies.push((like.device.clone(), key, copy.clone()));
        copy
    }

    fn pairs_apart(&self) -> Vec<u32> {
        let readers = self.edges().map(|(reader, _)| reader as u32);
        let targets = self.edges().map(|(_, target)| target as u32);
        readers.chain(targets).collect()
    }
}

fn rows(links: Links<'_>) -> Vec<u32> {
    match links {
        Links::Own(_) => vec![0],
        Links::Listed {
            offsets,
            others,
            edges,
        } => [offsets, others, edges.unwrap_or(&[])].concat(),
    }
}

fn upload_numbers(like: &CubeTensor, numbers: &[u32]) -> CubeTensor {
    upload(like, u32::as_bytes(numbers), numbers.len(), DType::U32)
}
