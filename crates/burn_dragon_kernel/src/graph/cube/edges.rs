//! Edges on the device: tables of their ends, and what each weighs.

use super::copies::Table;
use crate::backend::graph::{EdgesOn, GraphSizes};
use crate::gpu::array::{contiguous, upload};
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Edges with their weights, and factors of the heads, on the device.
pub(super) struct Edges<'a> {
    on: &'a EdgesOn<CubeBackend>,
    sizes: GraphSizes,
    gates: Option<CubeTensor>,
    /// Factors of the heads on the edges, and then on the memory before: `[2, H]`; `None`: 1.
    of_heads: Option<CubeTensor>,
    /// In place of a table that is not there.
    one: CubeTensor,
}

/// The places whose edges are rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Readers,
    Targets,
}

impl<'a> Edges<'a> {
    /// Edges of an operation; `on_edges` and `on_memory` are factors of the heads.
    pub(super) fn new(
        on: &'a EdgesOn<CubeBackend>,
        sizes: GraphSizes,
        [on_edges, on_memory]: [Option<&[f32]>; 2],
        like: &CubeTensor,
    ) -> Self {
        let of_heads = (on_edges.is_some() || on_memory.is_some()).then(|| {
            let ones = vec![1.0; sizes.heads];
            let both: Vec<f32> = [on_edges, on_memory]
                .into_iter()
                .flat_map(|factors| factors.unwrap_or(&ones).to_vec())
                .collect();
            upload(like, f32::as_bytes(&both), both.len(), DType::F32)
        });
        Self {
            on,
            sizes,
            gates: on.gates.clone().map(contiguous),
            of_heads,
            one: upload(like, f32::as_bytes(&[1.0]), 1, DType::F32),
        }
    }

    /// Number of edges.
    pub(super) fn count(&self) -> usize {
        let adjacency = self.on.adjacency.as_ref();
        adjacency.map_or(self.sizes.readers, |adjacency| adjacency.edge_count())
    }

    /// Shape of the gates.
    pub(super) fn of_gates(&self) -> [usize; 2] {
        let rows = self.gates.as_ref().map_or(1, |gates| gates.meta.shape()[0]);
        [rows, self.count()]
    }

    /// The edges of the places at one end, for a launch.
    pub(super) fn links(&self, end: End) -> LinksLaunch {
        let places = match end {
            End::Readers => self.sizes.readers,
            End::Targets => self.sizes.targets,
        };
        let table = self.table(Table::Rows(end));
        LinksLaunch::new(
            table.into_buffer_arg(),
            places,
            self.count(),
            self.on.adjacency.is_none(),
            end == End::Readers,
        )
    }

    /// Both ends of each edge, for a launch.
    pub(super) fn ends(&self) -> EndsLaunch {
        let table = self.table(Table::Pairs);
        EndsLaunch::new(table.into_buffer_arg(), self.count(), self.on.adjacency.is_none())
    }

    /// A table of the adjacency, if there is one; something that is not read otherwise.
    fn table(&self, table: Table<'_>) -> CubeTensor {
        let adjacency = self.on.adjacency.as_ref();
        adjacency.map_or_else(|| self.one.clone(), |adjacency| adjacency.table(&self.one, table))
    }

    /// What the edges weigh, for a launch.
    pub(super) fn weights(&self) -> WeightsLaunch {
        let factors = self
            .on
            .adjacency
            .as_ref()
            .zip(self.on.factors.as_ref())
            .map(|(adjacency, factors)| adjacency.table(&self.one, Table::Factors(factors)));
        let [rows, count] = self.of_gates();
        let bound = |table: &Option<CubeTensor>| {
            let table = table.as_ref().unwrap_or(&self.one);
            table.clone().into_buffer_arg()
        };
        let step = |table: &Option<CubeTensor>| usize::from(table.is_some());
        WeightsLaunch::new(
            bound(&factors),
            bound(&self.gates),
            bound(&self.of_heads),
            self.sizes.heads,
            step(&factors),
            step(&self.gates),
            if rows == 1 { 0 } else { count },
            step(&self.of_heads),
        )
    }
}

/// The edges of the places at one end, in a kernel.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Links {
    /// Offsets of the rows, the other end of each entry, and its edge index, one after another.
    table: Box<[u32]>,
    places: usize,
    edges: usize,
    /// Each place has an edge to itself, and no other: nothing is in the table.
    #[cube(comptime)]
    own: bool,
    /// The position of an entry is its edge index.
    #[cube(comptime)]
    in_order: bool,
}

/// The position of the first edge of a place, or of the end behind the last.
#[cube]
pub(super) fn first_of(links: &Links, place: usize) -> usize {
    let mut first = place;
    if comptime!(!links.own) {
        first = links.table[place] as usize;
    }
    first
}

/// The other end of the edge at a position.
#[cube]
pub(super) fn other_of(links: &Links, position: usize) -> usize {
    let mut other = position;
    if comptime!(!links.own) {
        other = links.table[links.places + 1 + position] as usize;
    }
    other
}

/// The index of the edge at a position.
#[cube]
pub(super) fn edge_of(links: &Links, position: usize) -> usize {
    let mut edge = position;
    if comptime!(!links.own && !links.in_order) {
        edge = links.table[links.places + 1 + links.edges + position] as usize;
    }
    edge
}

/// Both ends of each edge, in a kernel.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Ends {
    /// The readers by edge index, then the targets.
    table: Box<[u32]>,
    pub(super) edges: usize,
    #[cube(comptime)]
    own: bool,
}

/// The reader of an edge.
#[cube]
pub(super) fn reader_of(ends: &Ends, edge: usize) -> usize {
    let mut reader = edge;
    if comptime!(!ends.own) {
        reader = ends.table[edge] as usize;
    }
    reader
}

/// The target of an edge.
#[cube]
pub(super) fn target_of(ends: &Ends, edge: usize) -> usize {
    let mut target = edge;
    if comptime!(!ends.own) {
        target = ends.table[ends.edges + edge] as usize;
    }
    target
}

/// What edges weigh, in a kernel. A table that is not there has one entry, 1, and steps of 0: one kernel for all weights.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Weights {
    /// `[E]`.
    factors: Box<[f32]>,
    /// `[1 or B, E]`.
    gates: Box<[f32]>,
    /// `[2, H]`.
    of_heads: Box<[f32]>,
    pub(super) heads: usize,
    /// Entries from one edge to the next.
    factor_step: usize,
    /// Entries from one edge to the next, and from one lane to the next.
    gate_step: usize,
    lane_step: usize,
    /// Entries from one head to the next.
    head_step: usize,
}

/// Weight of an edge for a head of a lane; `group` counts the heads of all lanes.
#[cube]
pub(super) fn weight(weights: &Weights, group: usize, edge: usize) -> f32 {
    let lane = group / weights.heads;
    ungated(weights, group, edge) * weights.gates[lane * weights.lane_step + edge * weights.gate_step]
}

/// The weight without the gate.
#[cube]
pub(super) fn ungated(weights: &Weights, group: usize, edge: usize) -> f32 {
    let head = group % weights.heads;
    weights.factors[edge * weights.factor_step] * weights.of_heads[head * weights.head_step]
}

/// Factor on the memory before of a head of a lane.
#[cube]
pub(super) fn kept(weights: &Weights, group: usize) -> f32 {
    let head = group % weights.heads;
    weights.of_heads[(weights.heads + head) * weights.head_step]
}
