//! Rows of an operation, cut into tasks by their work, and what each edge weighs.

use crate::backend::graph::{EdgesOn, GraphSizes};
use crate::flex::tensor;
use crate::graph::adjacency::Links;
use crate::parallel::*;
use burn::backend::Flex;
use burn_flex::FlexTensor;
use std::mem::take;
use std::ops::Range;

/// Products of a task, about 20 us of work, so that small graphs wake no thread.
const TASK: usize = 1 << 17;

/// The links of the readers, and those of the targets.
pub(super) fn links<'a>(edges: &'a EdgesOn<Flex>, sizes: &GraphSizes) -> [Links<'a>; 2] {
    match &edges.adjacency {
        None => [Links::Own(sizes.readers); 2],
        Some(adjacency) => [adjacency.links(), adjacency.incoming()],
    }
}

/// Weights of the edges.
#[derive(Clone, Copy)]
pub(super) struct Weighted<'a> {
    factors: Option<&'a [f32]>,
    gates: Option<&'a [f32]>,
    /// Rows of the gates: 1, or one for each lane.
    gate_rows: usize,
    /// Factors of the heads.
    of_heads: Option<&'a [f32]>,
    pub(super) count: usize,
    heads: usize,
}

impl<'a> Weighted<'a> {
    pub(super) fn new(
        edges: &'a EdgesOn<Flex>,
        gates: Option<&'a FlexTensor>,
        sizes: &GraphSizes,
        of_heads: Option<&'a [f32]>,
    ) -> Self {
        Self {
            factors: edges.factors.as_deref(),
            gates: gates.map(FlexTensor::storage),
            gate_rows: gates.map_or(1, |gates| gates.layout().shape()[0]),
            of_heads,
            count: links(edges, sizes)[0].edge_count(),
            heads: sizes.heads,
        }
    }

    /// Weight of an edge for a head of a lane; `group` counts the heads of all lanes.
    #[inline(always)]
    pub(super) fn weight(&self, group: usize, edge: usize) -> f32 {
        let gate = self.gates.map_or(1.0, |gates| gates[self.gate(group, edge)]);
        self.ungated(group, edge) * gate
    }

    /// The weight without the gate.
    #[inline(always)]
    pub(super) fn ungated(&self, group: usize, edge: usize) -> f32 {
        let factor = self.factors.map_or(1.0, |factors| factors[edge]);
        self.of_heads
            .map_or(factor, |heads| factor * heads[group % self.heads])
    }

    /// Where the gate of an edge is.
    #[inline(always)]
    fn gate(&self, group: usize, edge: usize) -> usize {
        let row = if self.gate_rows == 1 {
            0
        } else {
            group / self.heads
        };
        row * self.count + edge
    }
}

/// The gradient of the gates from its terms, `[B, H, E]`.
pub(super) fn sum_of_gates(terms: &[f32], edges: &Weighted<'_>) -> FlexTensor {
    let mut sums = vec![0.0; edges.gate_rows * edges.count];
    for (group, terms) in terms.chunks_exact(edges.count.max(1)).enumerate() {
        let sums = &mut sums[edges.gate(group, 0)..][..edges.count];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
    tensor(sums, [edges.gate_rows, edges.count])
}

/// Rows of values, `[B, H, P, D]`, summed over the heads, where the heads share them.
pub(super) fn sum_of_heads(rows: Vec<f32>, sizes: &GraphSizes, places: usize) -> FlexTensor {
    let shape = [sizes.lanes, sizes.value_heads, places, sizes.width];
    if sizes.value_heads == sizes.heads {
        return tensor(rows, shape);
    }
    let size = places * sizes.width;
    let mut sums = vec![0.0; sizes.lanes * size];
    let lanes = sums.chunks_exact_mut(size.max(1));
    for (sums, heads) in lanes.zip(rows.chunks_exact((sizes.heads * size).max(1))) {
        for head in heads.chunks_exact(size) {
            sums.iter_mut().zip(head).for_each(|(sum, entry)| *sum += entry);
        }
    }
    tensor(sums, shape)
}

/// Rows `(b, h, place)` of an operation, and the work of an edge and of a row, in products.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) groups: usize,
    pub(super) links: Links<'a>,
    pub(super) of_edge: usize,
    pub(super) of_row: usize,
}

impl Rows<'_> {
    /// Ranges of rows with about the work of a task each; the cut does not depend on the number of threads.
    fn tasks(&self) -> Vec<Range<usize>> {
        let places = self.links.places();
        let (mut tasks, mut start, mut work) = (Vec::new(), 0, 0);
        for row in 0..self.groups * places {
            work += self.of_row + self.of_edge * self.links.of(row % places).len();
            if work >= TASK {
                tasks.push(start..row + 1);
                (start, work) = (row + 1, 0);
            }
        }
        tasks.push(start..self.groups * places);
        tasks
    }

    /// The number of edges before a row.
    fn edges_before(&self, row: usize) -> usize {
        let places = self.links.places().max(1);
        row / places * self.links.edge_count() + self.links.start(row % places)
    }

    /// Calls `work` with each range of rows, and with what these have in each output: `widths` numbers a row, and one
    /// an edge in the last. An output may be empty.
    pub(super) fn run<const K: usize>(
        &self,
        mut outputs: [&mut [f32]; K],
        mut of_edges: &mut [f32],
        widths: [usize; K],
        work: impl Fn(Range<usize>, [&mut [f32]; K], &mut [f32]) + Sync + Send,
    ) {
        let mut tasks = Vec::new();
        for rows in self.tasks() {
            let pieces: [&mut [f32]; K] = std::array::from_fn(|output| {
                let numbers = if outputs[output].is_empty() {
                    0
                } else {
                    rows.len() * widths[output]
                };
                cut(&mut outputs[output], numbers)
            });
            let edges = self.edges_before(rows.end) - self.edges_before(rows.start);
            let edges = if of_edges.is_empty() { 0 } else { edges };
            tasks.push((rows, pieces, cut(&mut of_edges, edges)));
        }
        tasks
            .into_par_iter()
            .for_each(|(rows, pieces, edges)| work(rows, pieces, edges));
    }
}

/// The first numbers of a slice, which keeps the rest.
fn cut<'a>(rest: &mut &'a mut [f32], numbers: usize) -> &'a mut [f32] {
    let (first, behind) = take(rest).split_at_mut(numbers);
    *rest = behind;
    first
}

/// Calls `work` with each row of so many numbers, and its index.
pub(super) fn for_rows_of(numbers: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync + Send) {
    if width == 0 {
        return;
    }
    let rows = (TASK / width).max(1);
    numbers
        .par_chunks_mut(rows * width)
        .enumerate()
        .for_each(|(task, chunk)| {
            for (row, numbers) in chunk.chunks_exact_mut(width).enumerate() {
                work(task * rows + row, numbers);
            }
        });
}
