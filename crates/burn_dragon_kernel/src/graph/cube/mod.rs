//! Memories of a graph on a GPU.
//!
//! No sum is shared by two units that race for it: what readers get is summed over the rows of the adjacency, what targets
//! get over those of its transpose, each in the order of its edges. The same input gives the same bits. As on the
//! processor, silent neurons (0) take no part in a read or a write of memories.
//!
//! A read or a write is one launch; its gradient is one launch for each input. Nothing of E rows is formed but the products
//! of a recall, one number for each edge and head. The definition gathers E memories of N x D numbers. The tables of an
//! adjacency are copied to a device once. The edges of a place are summed by the same units: a place with most of the
//! edges of a graph takes most of the time.

mod copies;
mod edges;
mod memories;
mod writes;

pub(super) use copies::Copies;

use crate::backend::graph::{GraphReadOn, GraphRecallOn, GraphSizes, GraphWriteOn};
use crate::gpu::array::{contiguous, empty, entries, for_entries, for_rows, for_teams, owned, team_for};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use edges::{Edges, End};
use memories::SizesLaunch;
use writes::Heads;

/// What is read, `[B, H, S, D]`.
pub(crate) fn read(input: &GraphReadOn<CubeBackend>) -> CubeTensor {
    let sizes = input.sizes;
    let (q, rho) = (contiguous(input.q.clone()), contiguous(input.rho.clone()));
    let edges = Edges::new(&input.edges, sizes, [None; 2], &q);
    read_memories(&q, &rho, &edges, sizes, sizes.heads)
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
    let edges = Edges::new(&input.edges, sizes, [None; 2], &q);
    [
        of_q.then(|| turn_memories(&d, &rho, &edges, sizes)),
        of_rho.then(|| {
            let written = empty(&q, sizes.memories(), DType::F32);
            write_memories([&q, &d], written, &edges, sizes, false)
        }),
        of_gates.then(|| gate_memories([&q, &d, &rho], &edges, sizes)),
    ]
}

/// The memories after a write, in place of those before, unless another tensor shares them.
pub(crate) fn write(input: &GraphWriteOn<CubeBackend>, rho: CubeTensor) -> CubeTensor {
    let (q, v) = (contiguous(input.q.clone()), contiguous(input.v.clone()));
    let edges = Edges::new(&input.edges, input.sizes, factors(input), &q);
    write_memories([&q, &v], owned(rho), &edges, input.sizes, true)
}

/// The gradients of q, v, rho and the gates: what a read of the gradient of the memories gives.
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
    let edges = Edges::new(&input.edges, sizes, factors(input), &q);
    let dq = of_q.then(|| turn_memories(&v, &d, &edges, sizes));
    let dv = of_v.then(|| read_memories(&q, &d, &edges, sizes, sizes.value_heads));
    let dgates = of_gates.then(|| gate_memories([&q, &v, &d], &edges, sizes));
    // Last, since it takes the memory of d.
    let drho = of_rho.then(|| match input.kept {
        None => d,
        Some(_) => fade_memories(d, &edges, sizes),
    });
    [dq, dv, drho, dgates]
}

/// What is read of one write, `[B, H, S, D]`, and the products of queries and keys, `[B, H, E]`.
pub(crate) fn recall(input: &GraphRecallOn<CubeBackend>) -> [CubeTensor; 2] {
    let sizes = input.sizes;
    let [q, keys, v] = [&input.q, &input.keys, &input.v].map(|tensor| contiguous(tensor.clone()));
    let edges = Edges::new(&input.edges, sizes, [input.left.as_deref(), None], &q);
    let scores = multiply_ends([&q, &keys], &edges, sizes, sizes.heads);
    let share = if is_shared(sizes) {
        Heads::TakeOne
    } else {
        Heads::Apart
    };
    let read = sum_edges(&scores, &v, &edges, End::Readers, share, sizes.reads());
    [read, scores]
}

/// The gradients of q, the keys, v and the gates.
pub(crate) fn recall_back(
    input: &GraphRecallOn<CubeBackend>,
    scores: &CubeTensor,
    d: CubeTensor,
    [of_q, of_keys, of_v, of_gates]: [bool; 4],
) -> [Option<CubeTensor>; 4] {
    let sizes = input.sizes;
    let [q, keys, v] = [&input.q, &input.keys, &input.v].map(|tensor| contiguous(tensor.clone()));
    let d = contiguous(d);
    let edges = Edges::new(&input.edges, sizes, [input.left.as_deref(), None], &q);
    let products =
        (of_q || of_keys || of_gates).then(|| multiply_ends([&d, &v], &edges, sizes, sizes.value_heads));
    let by_products = |wanted: bool| products.as_ref().filter(|_| wanted);
    let share = if is_shared(sizes) {
        Heads::GiveOne
    } else {
        Heads::Apart
    };
    let of_values = [sizes.lanes, sizes.value_heads, sizes.targets, sizes.width];
    [
        by_products(of_q).map(|by| sum_edges(by, &keys, &edges, End::Readers, Heads::Apart, sizes.queries())),
        by_products(of_keys).map(|by| sum_edges(by, &q, &edges, End::Targets, Heads::Apart, sizes.keys())),
        of_v.then(|| sum_edges(scores, &d, &edges, End::Targets, share, of_values)),
        by_products(of_gates).map(|by| gate_products([scores, by], &edges, sizes)),
    ]
}

/// Factors of the heads on what is written, and on the memories before.
fn factors(input: &GraphWriteOn<CubeBackend>) -> [Option<&[f32]>; 2] {
    [input.written.as_deref(), input.kept.as_deref()]
}

/// Whether all heads have the same values.
fn is_shared(sizes: GraphSizes) -> bool {
    sizes.value_heads != sizes.heads
}

fn launched(sizes: GraphSizes) -> SizesLaunch {
    SizesLaunch::new(
        sizes.lanes * sizes.heads,
        sizes.readers,
        sizes.targets,
        sizes.neurons,
        sizes.width,
    )
}

/// `[B, H, S, D]`, or `[B, 1, S, D]` summed over the heads.
fn read_memories(
    q: &CubeTensor,
    rho: &CubeTensor,
    edges: &Edges<'_>,
    sizes: GraphSizes,
    heads: usize,
) -> CubeTensor {
    let read = empty(q, [sizes.lanes, heads, sizes.readers, sizes.width], DType::F32);
    let (client, count) = (q.client.clone(), entries(&read));
    let (cubes, units) = for_entries(&client, count);
    memories::read_memories::launch(
        &client,
        cubes,
        units,
        q.clone().into_buffer_arg(),
        rho.clone().into_buffer_arg(),
        read.clone().into_buffer_arg(),
        edges.links(End::Readers),
        edges.weights(),
        launched(sizes),
        count,
        heads != sizes.heads,
    );
    read
}

/// `[B, H, S, N]`, from values of the readers, `[B, 1 or H, S, D]`.
fn turn_memories(u: &CubeTensor, rho: &CubeTensor, edges: &Edges<'_>, sizes: GraphSizes) -> CubeTensor {
    let turned = empty(u, sizes.queries(), DType::F32);
    let (client, team) = (u.client.clone(), team_for(sizes.width));
    let (cubes, units) = for_teams(&client, entries(&turned), team);
    memories::turn_memories::launch(
        &client,
        cubes,
        units,
        u.clone().into_buffer_arg(),
        rho.clone().into_buffer_arg(),
        turned.clone().into_buffer_arg(),
        edges.links(End::Readers),
        edges.weights(),
        launched(sizes),
        team,
        has_one_head(u, sizes),
    );
    turned
}

/// Adds to memories, or sets them.
fn write_memories(
    [q, v]: [&CubeTensor; 2],
    rho: CubeTensor,
    edges: &Edges<'_>,
    sizes: GraphSizes,
    adds: bool,
) -> CubeTensor {
    let (client, count) = (rho.client.clone(), entries(&rho));
    let (cubes, units) = for_entries(&client, count);
    memories::write_memories::launch(
        &client,
        cubes,
        units,
        q.clone().into_buffer_arg(),
        v.clone().into_buffer_arg(),
        rho.clone().into_buffer_arg(),
        edges.links(End::Targets),
        edges.weights(),
        launched(sizes),
        count,
        has_one_head(v, sizes),
        adds,
    );
    rho
}

/// Memories times the factors of their heads.
fn fade_memories(rho: CubeTensor, edges: &Edges<'_>, sizes: GraphSizes) -> CubeTensor {
    let rho = owned(rho);
    let (client, count) = (rho.client.clone(), entries(&rho));
    let (cubes, units) = for_entries(&client, count);
    memories::fade_memories::launch(
        &client,
        cubes,
        units,
        rho.clone().into_buffer_arg(),
        edges.weights(),
        sizes.targets * sizes.neurons * sizes.width,
        count,
    );
    rho
}

/// `[1 or B, E]`, from queries, values of the readers and memories.
fn gate_memories([q, u, rho]: [&CubeTensor; 3], edges: &Edges<'_>, sizes: GraphSizes) -> CubeTensor {
    let [rows, count] = edges.of_gates();
    let gates = empty(q, [rows, count], DType::F32);
    let client = q.client.clone();
    let (cubes, units) = for_rows(&client, rows * count);
    memories::gate_memories::launch(
        &client,
        cubes,
        units,
        q.clone().into_buffer_arg(),
        u.clone().into_buffer_arg(),
        rho.clone().into_buffer_arg(),
        gates.clone().into_buffer_arg(),
        edges.ends(),
        edges.weights(),
        launched(sizes),
        rows,
        has_one_head(u, sizes),
    );
    gates
}

/// Whether values, `[B, 1 or H, S, D]`, are those of all heads.
fn has_one_head(values: &CubeTensor, sizes: GraphSizes) -> bool {
    values.meta.shape()[1] != sizes.heads
}

/// `[B, H, E]`, from rows of the readers and of the targets, of which there are `heads`.
fn multiply_ends(
    [of_readers, of_targets]: [&CubeTensor; 2],
    edges: &Edges<'_>,
    sizes: GraphSizes,
    heads: usize,
) -> CubeTensor {
    let products = empty(of_readers, [sizes.lanes, sizes.heads, edges.count()], DType::F32);
    let (client, length) = (of_readers.client.clone(), of_readers.meta.shape()[3]);
    let team = team_for(length);
    let (cubes, units) = for_teams(&client, entries(&products), team);
    writes::multiply_ends::launch(
        &client,
        cubes,
        units,
        of_readers.clone().into_buffer_arg(),
        of_targets.clone().into_buffer_arg(),
        products.clone().into_buffer_arg(),
        edges.ends(),
        launched(sizes),
        sizes.heads,
        length,
        team,
        heads != sizes.heads,
    );
    products
}

/// Sums over the edges at one end, of rows at the other.
fn sum_edges(
    by: &CubeTensor,
    rows: &CubeTensor,
    edges: &Edges<'_>,
    end: End,
    share: Heads,
    shape: [usize; 4],
) -> CubeTensor {
    let sums = empty(by, Shape::new(shape), DType::F32);
    let (client, count) = (by.client.clone(), entries(&sums));
    let (cubes, units) = for_entries(&client, count);
    writes::sum_edges::launch(
        &client,
        cubes,
        units,
        by.clone().into_buffer_arg(),
        rows.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        edges.links(end),
        edges.weights(),
        shape[2],
        rows.meta.shape()[2],
        edges.count(),
        shape[3],
        count,
        share,
    );
    sums
}

/// `[1 or B, E]`, from two numbers of each edge.
fn gate_products([one, other]: [&CubeTensor; 2], edges: &Edges<'_>, sizes: GraphSizes) -> CubeTensor {
    let [rows, count] = edges.of_gates();
    let gates = empty(one, [rows, count], DType::F32);
    let client = one.client.clone();
    let (cubes, units) = for_entries(&client, rows * count);
    writes::gate_products::launch(
        &client,
        cubes,
        units,
        one.clone().into_buffer_arg(),
        other.clone().into_buffer_arg(),
        gates.clone().into_buffer_arg(),
        edges.weights(),
        sizes.lanes * sizes.heads,
        rows,
        count,
    );
    gates
}

#[cfg(test)]
mod tests;
