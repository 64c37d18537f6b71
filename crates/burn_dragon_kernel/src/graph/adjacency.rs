//! Adjacency of a graph: which memories each place reads.

use super::adjacency_error::AdjacencyError;
use super::edges::{Normalisation, Sums};
use crate::mix::mix;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Edges from a place to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfEdges {
    /// Those in the list are kept, and no others are added.
    Keep,
    /// None: those in the list are removed.
    Drop,
    /// One for each place.
    Add,
}

/// Adjacency of a graph, or of several graphs as one: an edge `(s, t)` says that reader s reads the memory of target t.
///
/// Edges are sorted by reader and then by target, without duplicates. An *edge index* is a position in this order. Both
/// compressed forms are stored: targets by reader (CSR), and readers by target (its transpose). The value is immutable,
/// and its clones share one allocation.
#[derive(Clone)]
pub struct Adjacency(Arc<Stored>);

struct Stored {
    by_reader: Rows,
    by_target: Rows,
    /// The edge indices in the order of `by_target`.
    edge_by_target: Vec<u32>,
    hash: u64,
    /// Factors of the edges, made on first use: means of readers, means of targets, symmetric.
    factors: [OnceLock<Arc<[f32]>>; 3],
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    copies: super::cube::Copies,
}

/// Compressed rows: row `i` has the entries `offsets[i]..offsets[i + 1]`.
#[derive(Debug, PartialEq, Eq)]
struct Rows {
    offsets: Vec<u32>,
    entries: Vec<u32>,
}

/// Compressed rows for an implementation: the other end of each edge of a place, and the index of the edge.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Links<'a> {
    /// Each of so many places has an edge to itself, and no other.
    Own(usize),
    /// Rows of places.
    Listed {
        offsets: &'a [u32],
        others: &'a [u32],
        /// `None`: positions are edge indices.
        edges: Option<&'a [u32]>,
    },
}

impl Links<'_> {
    /// Number of rows.
    #[inline(always)]
    pub(crate) fn places(&self) -> usize {
        match self {
            Self::Own(places) => *places,
            Self::Listed { offsets, .. } => offsets.len() - 1,
        }
    }

    /// Number of edges.
    #[inline(always)]
    pub(crate) fn edge_count(&self) -> usize {
        match self {
            Self::Own(places) => *places,
            Self::Listed { others, .. } => others.len(),
        }
    }

    /// Positions of the edges of a place.
    #[inline(always)]
    pub(crate) fn of(&self, place: usize) -> Range<usize> {
        self.start(place)..self.start(place + 1)
    }

    /// Position of the first edge of a place, or of the end behind the last.
    #[inline(always)]
    pub(crate) fn start(&self, place: usize) -> usize {
        match self {
            Self::Own(_) => place,
            Self::Listed { offsets, .. } => offsets[place] as usize,
        }
    }

    /// The other end, and the edge index, of the edge at a position.
    #[inline(always)]
    pub(crate) fn at(&self, position: usize) -> (usize, usize) {
        match self {
            Self::Own(_) => (position, position),
            Self::Listed { others, edges, .. } => {
                let edge = edges.map_or(position, |edges| edges[position] as usize);
                (others[position] as usize, edge)
            }
        }
    }
}

impl Adjacency {
    /// Graph of places that read each other: `(s, t)` says that s reads t. Duplicates are removed.
    ///
    /// # Errors
    /// If an edge has an end that is no place, or there are more than 2^32 - 1 places or edges.
    pub fn from_edges(
        places: usize,
        edges: &[(usize, usize)],
        self_edges: SelfEdges,
    ) -> Result<Self, AdjacencyError> {
        let mut pairs = checked(places, places, edges)?;
        match self_edges {
            SelfEdges::Keep => {}
            SelfEdges::Drop => pairs.retain(|(reader, target)| reader != target),
            SelfEdges::Add => pairs.extend((0..places as u32).map(|place| (place, place))),
        }
        Self::of_pairs(places, places, pairs)
    }

    /// Graph in which both ends of an edge read each other. Duplicates are removed.
    ///
    /// # Errors
    /// As [`from_edges`](Self::from_edges).
    pub fn undirected(
        places: usize,
        edges: &[(usize, usize)],
        self_edges: SelfEdges,
    ) -> Result<Self, AdjacencyError> {
        let turned = edges.iter().map(|&(one, other)| (other, one));
        let both: Vec<_> = edges.iter().copied().chain(turned).collect();
        Self::from_edges(places, &both, self_edges)
    }

    /// Readers of one kind that read memories of another, such as nodes and their clusters. Duplicates are removed.
    ///
    /// # Errors
    /// If an edge has an end that does not exist, or there are more than 2^32 - 1 readers, targets or edges.
    pub fn between(readers: usize, targets: usize, edges: &[(usize, usize)]) -> Result<Self, AdjacencyError> {
        Self::of_pairs(readers, targets, checked(readers, targets, edges)?)
    }

    /// Compressed rows from elsewhere: reader `i` reads `neighbours[offsets[i]..offsets[i + 1]]` of `targets` memories.
    /// Rows are sorted, and duplicates are removed.
    ///
    /// # Errors
    /// If the offsets do not start at 0, descend, or do not end at the number of neighbours; if a neighbour is no target;
    /// if there are more than 2^32 - 1 of anything.
    pub fn from_offsets(
        targets: usize,
        offsets: &[usize],
        neighbours: &[usize],
    ) -> Result<Self, AdjacencyError> {
        let Some((first, rest)) = offsets.split_first() else {
            return Err(AdjacencyError::NoOffsets);
        };
        let descends = offsets.windows(2).position(|pair| pair[0] > pair[1]);
        if *first != 0 || descends.is_some() {
            let row = descends.map_or(0, |row| row + 1);
            return Err(AdjacencyError::OffsetsDescend {
                row,
                given: offsets[row],
                least: if row == 0 { 0 } else { offsets[row - 1] },
            });
        }
        let end = rest.last().copied().unwrap_or(0);
        if end != neighbours.len() {
            return Err(AdjacencyError::Length {
                offsets_end: end,
                neighbours: neighbours.len(),
            });
        }
        let rows = offsets.windows(2).map(|pair| &neighbours[pair[0]..pair[1]]);
        let edges: Vec<_> = rows
            .enumerate()
            .flat_map(|(reader, row)| row.iter().map(move |&target| (reader, target)))
            .collect();
        Self::between(offsets.len() - 1, targets, &edges)
    }

    /// Several graphs as one, none of which reads another: places of the second follow those of the first. Edge indices
    /// follow each other in the same way.
    ///
    /// # Errors
    /// If there are more than 2^32 - 1 readers, targets or edges.
    pub fn block_diagonal(graphs: &[Self]) -> Result<Self, AdjacencyError> {
        let total = |size: fn(&Self) -> usize| graphs.iter().map(size).sum::<usize>();
        let (readers, targets, edges) = (
            total(Self::readers),
            total(Self::targets),
            total(Self::edge_count),
        );
        fits(readers, targets, edges)?;
        let (mut reader_base, mut target_base) = (0, 0);
        let mut pairs = Vec::with_capacity(edges);
        for graph in graphs {
            pairs.extend(graph.pairs().map(|(s, t)| (reader_base + s, target_base + t)));
            reader_base += graph.readers() as u32;
            target_base += graph.targets() as u32;
        }
        Self::of_pairs(readers, targets, pairs)
    }

    /// The same edges in the other direction.
    pub fn transposed(&self) -> Self {
        let pairs = self.pairs().map(|(reader, target)| (target, reader)).collect();
        match Self::of_pairs(self.targets(), self.readers(), pairs) {
            Ok(turned) => turned,
            Err(error) => unreachable!("the sizes were accepted before: {error}"),
        }
    }

    /// Number of places that read.
    pub fn readers(&self) -> usize {
        self.0.by_reader.len()
    }

    /// Number of memories that can be read.
    pub fn targets(&self) -> usize {
        self.0.by_target.len()
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        self.0.by_reader.entries.len()
    }

    /// All edges, reader first, in the order of their indices.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.pairs()
            .map(|(reader, target)| (reader as usize, target as usize))
    }

    /// The targets that a reader reads, ascending.
    ///
    /// # Panics
    /// If there is no such reader.
    pub fn targets_of(&self, reader: usize) -> &[u32] {
        &self.0.by_reader.entries[self.links().of(reader)]
    }

    /// The readers of a target, ascending.
    ///
    /// # Panics
    /// If there is no such target.
    pub fn readers_of(&self, target: usize) -> &[u32] {
        &self.0.by_target.entries[self.incoming().of(target)]
    }

    /// The index of an edge; `None` if there is no such edge.
    pub fn edge_index(&self, reader: usize, target: usize) -> Option<usize> {
        if reader >= self.readers() {
            return None;
        }
        let target = u32::try_from(target).ok()?;
        let at = self.targets_of(reader).binary_search(&target).ok()?;
        Some(self.links().start(reader) + at)
    }

    /// Hash of the topology: sizes and edges. It is the same on every machine, and no proof against intent.
    pub fn topology_hash(&self) -> u64 {
        self.0.hash
    }

    /// The targets of each reader.
    pub(crate) fn links(&self) -> Links<'_> {
        Links::Listed {
            offsets: &self.0.by_reader.offsets,
            others: &self.0.by_reader.entries,
            edges: None,
        }
    }

    /// The readers of each target.
    pub(crate) fn incoming(&self) -> Links<'_> {
        Links::Listed {
            offsets: &self.0.by_target.offsets,
            others: &self.0.by_target.entries,
            edges: Some(&self.0.edge_by_target),
        }
    }

    /// The factor of each edge in a normalised sum, by edge index; `None` if all are 1.
    pub(crate) fn factors(&self, normalisation: Normalisation, sums: Sums) -> Option<Arc<[f32]>> {
        let slot = match (normalisation, sums) {
            (Normalisation::Sum, _) => return None,
            (Normalisation::Mean, Sums::OfReaders) => 0,
            (Normalisation::Mean, Sums::OfTargets) => 1,
            (Normalisation::Symmetric, _) => 2,
        };
        let factor = |(reader, target): (u32, u32)| {
            let terms = self.links().of(reader as usize).len() as f64;
            let incoming = self.incoming().of(target as usize).len() as f64;
            let divisor = match slot {
                0 => terms,
                1 => incoming,
                _ => (terms * incoming).sqrt(),
            };
            (1.0 / divisor) as f32
        };
        let factors = self.0.factors[slot].get_or_init(|| self.pairs().map(factor).collect());
        Some(factors.clone())
    }

    /// Tables on devices.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(super) fn copies(&self) -> &super::cube::Copies {
        &self.0.copies
    }

    fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let rows = (0..self.readers()).map(|reader| (reader as u32, self.targets_of(reader)));
        rows.flat_map(|(reader, targets)| targets.iter().map(move |&target| (reader, target)))
    }

    /// Edges in any order, whose ends exist.
    fn of_pairs(readers: usize, targets: usize, mut pairs: Vec<(u32, u32)>) -> Result<Self, AdjacencyError> {
        if !pairs.is_sorted_by(|a, b| a < b) {
            pairs.sort_unstable();
            pairs.dedup();
        }
        fits(readers, targets, pairs.len())?;
        let mut turned: Vec<_> = pairs
            .iter()
            .zip(0..)
            .map(|(&(s, t), edge)| (t, s, edge))
            .collect();
        turned.sort_unstable();
        let hash = hash(readers, targets, &pairs);
        Ok(Self(Arc::new(Stored {
            by_reader: Rows::of(readers, pairs.into_iter()),
            by_target: Rows::of(targets, turned.iter().map(|&(t, s, _)| (t, s))),
            edge_by_target: turned.into_iter().map(|(_, _, edge)| edge).collect(),
            hash,
            factors: Default::default(),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            copies: Default::default(),
        })))
    }
}

impl PartialEq for Adjacency {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash
                && self.targets() == other.targets()
                && self.0.by_reader == other.0.by_reader)
    }
}

impl Eq for Adjacency {}

impl std::fmt::Debug for Adjacency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adjacency")
            .field("readers", &self.readers())
            .field("targets", &self.targets())
            .field("edges", &self.edge_count())
            .finish_non_exhaustive()
    }
}

impl Rows {
    /// Rows of `count` places, from pairs of row and entry that are sorted by row.
    fn of(count: usize, pairs: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut offsets = vec![0; count + 1];
        let mut entries = Vec::with_capacity(pairs.size_hint().0);
        for (row, entry) in pairs {
            offsets[row as usize + 1] += 1;
            entries.push(entry);
        }
        for row in 0..count {
            offsets[row + 1] += offsets[row];
        }
        Self { offsets, entries }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }
}

/// The edges in 32 bits, if both ends of each exist.
fn checked(
    readers: usize,
    targets: usize,
    edges: &[(usize, usize)],
) -> Result<Vec<(u32, u32)>, AdjacencyError> {
    fits(readers, targets, 0)?;
    let pairs = edges.iter().enumerate().map(|(edge, &(reader, target))| {
        if reader >= readers {
            return Err(AdjacencyError::Reader {
                edge,
                reader,
                readers,
            });
        }
        if target >= targets {
            return Err(AdjacencyError::Target {
                edge,
                target,
                targets,
            });
        }
        Ok((reader as u32, target as u32))
    });
    pairs.collect()
}

/// Everything is counted in 32 bits.
fn fits(readers: usize, targets: usize, edges: usize) -> Result<(), AdjacencyError> {
    for (what, given) in [("readers", readers), ("targets", targets), ("edges", edges)] {
        if u32::try_from(given).is_err() {
            return Err(AdjacencyError::TooMany { what, given });
        }
    }
    Ok(())
}

fn hash(readers: usize, targets: usize, pairs: &[(u32, u32)]) -> u64 {
    let sizes = mix(mix(readers as u64) ^ targets as u64);
    let word = |&(reader, target): &(u32, u32)| (u64::from(reader) << 32) | u64::from(target);
    pairs
        .iter()
        .map(word)
        .fold(mix(sizes ^ 1), |hash, word| mix(hash.rotate_left(1) ^ word))
}

#[cfg(test)]
mod tests;
