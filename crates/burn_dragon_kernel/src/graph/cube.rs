//! Memories of a graph on a GPU: one launch for each result, a unit for each of its numbers.
//!
//! As on the processor, readers sum over the rows of the adjacency and targets over those of its transpose: there are no
//! atomics, and results are the same in every run.

mod kernels;

use super::{Adjacency, SelfEdges};
use crate::backend::graph::{EdgesOn, GraphReadOn, GraphRecallOn, GraphSizes, GraphWriteOn};
use crate::gpu::array::{contiguous, empty, entries, for_entries, owned, shaped, upload, zeros};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use kernels::*;

/// Edges on the device.
struct OnDevice {
    /// `[B, H, E]`.
    weights: CubeTensor,
    /// The weights without the gates, `[1, H, E]`.
    ungated: CubeTensor,
    /// Rows of the gates; 0 for none.
    gate_rows: usize,
    links: [Links; 2],
    /// Both ends of each edge.
    ends: [CubeTensor; 2],
}

/// The links of the readers or of the targets.
struct Links {
    offsets: CubeTensor,
    others: CubeTensor,
    edges: CubeTensor,
    places: usize,
}

impl OnDevice {
    fn new(
        edges: &EdgesOn<CubeBackend>,
        sizes: &GraphSizes,
        of_heads: Option<&[f32]>,
        like: &CubeTensor,
    ) -> Self {
        let adjacency = edges.adjacency.clone().unwrap_or_else(|| own(sizes.readers));
        let (count, heads) = (adjacency.edge_count(), sizes.heads);
        let factors = edges
            .factors
            .as_deref()
            .map_or_else(|| vec![1.0; count], <[f32]>::to_vec);
        let of_heads = of_heads.map_or_else(|| vec![1.0; heads], <[f32]>::to_vec);
        let all = |numbers: &[f32], shape: [usize; 3]| shaped(floats(like, numbers), shape);
        let ungated = CubeBackend::float_mul(all(&factors, [1, 1, count]), all(&of_heads, [1, heads, 1]));
        let gates = edges.gates.clone().map(contiguous);
        let gate_rows = gates.as_ref().map_or(0, |gates| gates.meta.shape()[0]);
        let weights = match gates {
            None => ungated.clone(),
            Some(gates) => CubeBackend::float_mul(ungated.clone(), shaped(gates, [gate_rows, 1, count])),
        };
        let whole = [sizes.lanes, heads, count].into();
        let ends = |end: fn((usize, usize)) -> usize| {
            numbers(like, adjacency.edges().map(end).map(|place| place as u32))
        };
        Self {
            weights: contiguous(CubeBackend::float_expand(weights, whole)),
            ungated,
            gate_rows,
            links: [Links::new(&adjacency, 0, like), Links::new(&adjacency, 1, like)],
            ends: [ends(|(reader, _)| reader), ends(|(_, target)| target)],
        }
    }

    fn sizes(&self, sizes: &GraphSizes) -> SizesLaunch {
        SizesLaunch::new(
            sizes.lanes * sizes.heads,
            sizes.readers,
            sizes.targets,
            entries(&self.ends[0]),
            sizes.neurons,
            sizes.width,
            shared(sizes),
        )
    }

    /// The gradient of the gates from the terms of the edges, `[B, H, E]`.
    fn gates(&self, terms: CubeTensor) -> CubeTensor {
        let terms = CubeBackend::float_mul(terms, self.ungated.clone());
        let sums = CubeBackend::float_sum_dim(terms, 1); // [B, 1, E]
        let sums = match self.gate_rows {
            1 => CubeBackend::float_sum_dim(sums, 0),
            _ => sums,
        };
        let count = entries(&self.ends[0]);
        shaped(contiguous(sums), [self.gate_rows, count])
    }
}

impl Links {
    /// The links of the readers (0) or of the targets (1).
    fn new(adjacency: &Adjacency, end: usize, like: &CubeTensor) -> Self {
        let links = [adjacency.links(), adjacency.incoming()][end];
        let (places, count) = (links.places(), links.edge_count());
        Self {
            offsets: numbers(like, (0..=places).map(|place| links.start(place) as u32)),
            others: numbers(like, (0..count).map(|position| links.at(position).0 as u32)),
            edges: numbers(like, (0..count).map(|position| links.at(position).1 as u32)),
            places,
        }
    }
}

/// Edges of places to themselves.
fn own(places: usize) -> Adjacency {
    match Adjacency::from_edges(places, &[], SelfEdges::Add) {
        Ok(own) => own,
        Err(error) => unreachable!("places of tensors are counted in 32 bits: {error}"),
    }
}

fn numbers(like: &CubeTensor, numbers: impl Iterator<Item = u32>) -> CubeTensor {
    let numbers: Vec<_> = numbers.collect();
    upload(like, u32::as_bytes(&numbers), numbers.len(), DType::U32)
}

fn floats(like: &CubeTensor, numbers: &[f32]) -> CubeTensor {
    upload(like, f32::as_bytes(numbers), numbers.len(), DType::F32)
}

/// Heads that share a value.
fn shared(sizes: &GraphSizes) -> usize {
    if sizes.value_heads == sizes.heads {
        1
    } else {
        sizes.heads
    }
}

/// Whether 32 bits count the entries of every tensor, and none is empty: the definitions compute nothing just as well.
pub(crate) fn counts(sizes: &GraphSizes, edges: usize) -> bool {
    let most = |sizes: &[usize]| sizes.iter().map(|size| *size as u128).product::<u128>();
    let groups = sizes.lanes * sizes.heads;
    let all = [
        most(&sizes.memories()),
        most(&sizes.queries()),
        most(&sizes.keys()),
        most(&sizes.reads()),
        most(&[sizes.lanes, sizes.heads, sizes.targets, sizes.width]),
        most(&[groups, edges]),
    ];
    all.into_iter()
        .all(|entries| (1..=u128::from(u32::MAX)).contains(&entries))
}

/// What is read, `[B, H, S, D]`.
pub(crate) fn read(input: &GraphReadOn<CubeBackend>) -> CubeTensor {
    let (q, rho) = (contiguous(input.q.clone()), contiguous(input.rho.clone()));
    let edges = OnDevice::new(&input.edges, &input.sizes, None, &q);
    gather(&edges, &input.sizes, &q, &rho)
}

/// The gradients of q, rho and the gates.
pub(crate) fn read_back(
    input: &GraphReadOn<CubeBackend>,
    d: CubeTensor,
    [of_q, of_rho, of_gates]: [bool; 3],
) -> [Option<CubeTensor>; 3] {
    let sizes = input.sizes;
    let (q, rho, d) = (
        contiguous(input.q.clone()),
        contiguous(input.rho.clone()),
        contiguous(d),
    );
    let edges = OnDevice::new(&input.edges, &sizes, None, &q);
    [
        of_q.then(|| turn(&edges, &sizes, &d, &rho)),
        of_rho.then(|| scatter(&edges, &sizes, zeros(&q, sizes.memories()), [&q, &d], None)),
        of_gates.then(|| edges.gates(terms(&edges, &sizes, [&q, &rho, &d]))),
    ]
}

/// The memories after a write, in place of those before, unless another tensor shares them.
pub(crate) fn write(input: &GraphWriteOn<CubeBackend>, rho: CubeTensor) -> CubeTensor {
    let (q, v) = (contiguous(input.q.clone()), contiguous(input.v.clone()));
    let edges = OnDevice::new(&input.edges, &input.sizes, input.written.as_deref(), &q);
    scatter(&edges, &input.sizes, owned(rho), [&q, &v], input.kept.as_deref())
}

/// The gradients of q, v, rho and the gates.
pub(crate) fn write_back(
    input: &GraphWriteOn<CubeBackend>,
    d: CubeTensor,
    [of_q, of_v, of_rho, of_gates]: [bool; 4],
) -> [Option<CubeTensor>; 4] {
    let sizes = input.sizes;
    let (q, v, d) = (
        contiguous(input.q.clone()),
        contiguous(input.v.clone()),
        contiguous(d),
    );
    let edges = OnDevice::new(&input.edges, &sizes, input.written.as_deref(), &q);
    [
        of_q.then(|| turn(&edges, &sizes, &v, &d)),
        of_v.then(|| of_values(gather(&edges, &sizes, &q, &d), &sizes)),
        of_rho.then(|| match &input.kept {
            None => d.clone(),
            Some(kept) => {
                CubeBackend::float_mul(d.clone(), shaped(floats(&d, kept), [1, sizes.heads, 1, 1, 1]))
            }
        }),
        of_gates.then(|| edges.gates(terms(&edges, &sizes, [&q, &d, &v]))),
    ]
}

/// What is read of one write, `[B, H, S, D]`, and the products of queries and keys, `[B, H, E]`.
pub(crate) fn recall(input: &GraphRecallOn<CubeBackend>) -> [CubeTensor; 2] {
    let sizes = input.sizes;
    let [q, keys, v] = [&input.q, &input.keys, &input.v].map(|tensor| contiguous(tensor.clone()));
    let edges = OnDevice::new(&input.edges, &sizes, input.left.as_deref(), &q);
    let scores = products(&edges, &sizes, [&q, &keys], sizes.neurons, 1);
    let read = sums(&edges, &sizes, 0, [&v, &scores], sizes.width, shared(&sizes));
    [read, scores]
}

/// The gradients of q, the keys, v and the gates.
pub(crate) fn recall_back(
    input: &GraphRecallOn<CubeBackend>,
    scores: CubeTensor,
    d: CubeTensor,
    [of_q, of_keys, of_v, of_gates]: [bool; 4],
) -> [Option<CubeTensor>; 4] {
    let sizes = input.sizes;
    let [q, keys, v, d, scores] =
        [&input.q, &input.keys, &input.v, &d, &scores].map(|tensor| contiguous(tensor.clone()));
    let edges = OnDevice::new(&input.edges, &sizes, input.left.as_deref(), &q);
    let of_edges = products(&edges, &sizes, [&d, &v], sizes.width, shared(&sizes));
    [
        of_q.then(|| sums(&edges, &sizes, 0, [&keys, &of_edges], sizes.neurons, 1)),
        of_keys.then(|| sums(&edges, &sizes, 1, [&q, &of_edges], sizes.neurons, 1)),
        of_v.then(|| of_values(sums(&edges, &sizes, 1, [&d, &scores], sizes.width, 1), &sizes)),
        of_gates.then(|| edges.gates(CubeBackend::float_mul(scores.clone(), of_edges.clone()))),
    ]
}

/// Rows of values, summed over the heads where these share them.
fn of_values(rows: CubeTensor, sizes: &GraphSizes) -> CubeTensor {
    if shared(sizes) == 1 {
        return rows;
    }
    CubeBackend::float_sum_dim(rows, 1)
}

fn gather(edges: &OnDevice, sizes: &GraphSizes, q: &CubeTensor, rho: &CubeTensor) -> CubeTensor {
    let read = empty(q, sizes.reads(), DType::F32);
    let (cubes, units) = for_entries(&q.client, entries(&read));
    read_memories::launch(
        &q.client,
        cubes,
        units,
        q.clone().into_buffer_arg(),
        rho.clone().into_buffer_arg(),
        edges.weights.clone().into_buffer_arg(),
        edges.links[0].offsets.clone().into_buffer_arg(),
        edges.links[0].others.clone().into_buffer_arg(),
        read.clone().into_buffer_arg(),
        edges.sizes(sizes),
    );
    read
}

fn turn(edges: &OnDevice, sizes: &GraphSizes, u: &CubeTensor, rho: &CubeTensor) -> CubeTensor {
    let turned = empty(u, sizes.queries(), DType::F32);
    let (cubes, units) = for_entries(&u.client, entries(&turned));
    turn_memories::launch(
        &u.client,
        cubes,
        units,
        u.clone().into_buffer_arg(),
        rho.clone().into_buffer_arg(),
        edges.weights.clone().into_buffer_arg(),
        edges.links[0].offsets.clone().into_buffer_arg(),
        edges.links[0].others.clone().into_buffer_arg(),
        turned.clone().into_buffer_arg(),
        edges.sizes(sizes),
    );
    turned
}

fn terms(edges: &OnDevice, sizes: &GraphSizes, [q, rho, u]: [&CubeTensor; 3]) -> CubeTensor {
    let terms = empty(q, [sizes.lanes, sizes.heads, entries(&edges.ends[0])], DType::F32);
    let (cubes, units) = for_entries(&q.client, entries(&terms));
    terms_of_memories::launch(
        &q.client,
        cubes,
        units,
        q.clone().into_buffer_arg(),
        rho.clone().into_buffer_arg(),
        u.clone().into_buffer_arg(),
        edges.ends[0].clone().into_buffer_arg(),
        edges.ends[1].clone().into_buffer_arg(),
        terms.clone().into_buffer_arg(),
        edges.sizes(sizes),
    );
    terms
}

/// Adds to memories that nothing else reads.
fn scatter(
    edges: &OnDevice,
    sizes: &GraphSizes,
    rho: CubeTensor,
    [q, v]: [&CubeTensor; 2],
    kept: Option<&[f32]>,
) -> CubeTensor {
    let kept = floats(q, &kept.map_or_else(|| vec![1.0; sizes.heads], <[f32]>::to_vec));
    let (cubes, units) = for_entries(&q.client, entries(&rho));
    write_memories::launch(
        &q.client,
        cubes,
        units,
        rho.clone().into_buffer_arg(),
        q.clone().into_buffer_arg(),
        v.clone().into_buffer_arg(),
        edges.weights.clone().into_buffer_arg(),
        kept.into_buffer_arg(),
        edges.links[1].offsets.clone().into_buffer_arg(),
        edges.links[1].others.clone().into_buffer_arg(),
        edges.links[1].edges.clone().into_buffer_arg(),
        sizes.heads,
        edges.sizes(sizes),
    );
    rho
}

fn products(
    edges: &OnDevice,
    sizes: &GraphSizes,
    [of_readers, of_targets]: [&CubeTensor; 2],
    width: usize,
    heads: usize,
) -> CubeTensor {
    let products = empty(
        of_readers,
        [sizes.lanes, sizes.heads, entries(&edges.ends[0])],
        DType::F32,
    );
    let (cubes, units) = for_entries(&of_readers.client, entries(&products));
    products_of_edges::launch(
        &of_readers.client,
        cubes,
        units,
        of_readers.clone().into_buffer_arg(),
        of_targets.clone().into_buffer_arg(),
        edges.ends[0].clone().into_buffer_arg(),
        edges.ends[1].clone().into_buffer_arg(),
        products.clone().into_buffer_arg(),
        width,
        heads,
        edges.sizes(sizes),
    );
    products
}

/// The rows of one end (0 the readers, 1 the targets), from rows of the other, which `heads` heads share.
fn sums(
    edges: &OnDevice,
    sizes: &GraphSizes,
    end: usize,
    [rows, factors]: [&CubeTensor; 2],
    width: usize,
    heads: usize,
) -> CubeTensor {
    let (links, others) = (&edges.links[end], edges.links[1 - end].places);
    let sums = empty(rows, [sizes.lanes, sizes.heads, links.places, width], DType::F32);
    let (cubes, units) = for_entries(&rows.client, entries(&sums));
    sums_of_rows::launch(
        &rows.client,
        cubes,
        units,
        rows.clone().into_buffer_arg(),
        edges.weights.clone().into_buffer_arg(),
        factors.clone().into_buffer_arg(),
        links.offsets.clone().into_buffer_arg(),
        links.others.clone().into_buffer_arg(),
        links.edges.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        links.places,
        others,
        width,
        heads,
        edges.sizes(sizes),
    );
    sums
}

#[cfg(test)]
mod tests;
