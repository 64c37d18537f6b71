//! Kernels of reads and writes of the memories of a graph: a unit for each number of the result, whose sum has the order
//! of the edges. `group` counts the heads of all lanes; `heads` is 1 where each head has its own values, else their number.

use cubecl::prelude::*;

/// Sizes of a graph.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) groups: usize,
    pub(super) readers: usize,
    pub(super) targets: usize,
    pub(super) edges: usize,
    pub(super) neurons: usize,
    pub(super) width: usize,
    /// Heads that share a value.
    pub(super) heads: usize,
}

/// `sum over the edges (s, t) of w q_s rho_t`, `[B, H, S, D]`.
#[cube(launch)]
pub(super) fn read_memories(
    q: &[f32],
    rho: &[f32],
    weights: &[f32],
    offsets: &[u32],
    others: &[u32],
    read: &mut [f32],
    sizes: &Sizes,
) {
    let index = ABSOLUTE_POS;
    if index >= sizes.groups * sizes.readers * sizes.width {
        terminate!();
    }
    let (row, column) = (index / sizes.width, index % sizes.width);
    let (group, reader) = (row / sizes.readers, row % sizes.readers);
    let mut sum = 0.0f32;
    let mut position = offsets[reader] as usize;
    let end = offsets[reader + 1] as usize;
    while position < end {
        let memory = (group * sizes.targets + others[position] as usize) * sizes.neurons;
        let mut of_edge = 0.0f32;
        for n in 0..sizes.neurons {
            of_edge += q[row * sizes.neurons + n] * rho[(memory + n) * sizes.width + column];
        }
        sum += weights[group * sizes.edges + position] * of_edge;
        position += 1;
    }
    read[index] = sum;
}

/// `sum over the edges (s, t) of w rho_t u_s`, `[B, H, S, N]`.
#[cube(launch)]
pub(super) fn turn_memories(
    u: &[f32],
    rho: &[f32],
    weights: &[f32],
    offsets: &[u32],
    others: &[u32],
    turned: &mut [f32],
    sizes: &Sizes,
) {
    let index = ABSOLUTE_POS;
    if index >= sizes.groups * sizes.readers * sizes.neurons {
        terminate!();
    }
    let (row, neuron) = (index / sizes.neurons, index % sizes.neurons);
    let (group, reader) = (row / sizes.readers, row % sizes.readers);
    let value = (group / sizes.heads * sizes.readers + reader) * sizes.width;
    let mut sum = 0.0f32;
    let mut position = offsets[reader] as usize;
    let end = offsets[reader + 1] as usize;
    while position < end {
        let target = group * sizes.targets + others[position] as usize;
        let memory = (target * sizes.neurons + neuron) * sizes.width;
        let mut of_edge = 0.0f32;
        for d in 0..sizes.width {
            of_edge += rho[memory + d] * u[value + d];
        }
        sum += weights[group * sizes.edges + position] * of_edge;
        position += 1;
    }
    turned[index] = sum;
}

/// `q_s rho_t u_s` of each edge, `[B, H, E]`.
#[cube(launch)]
pub(super) fn terms_of_memories(
    q: &[f32],
    rho: &[f32],
    u: &[f32],
    readers: &[u32],
    targets: &[u32],
    terms: &mut [f32],
    sizes: &Sizes,
) {
    let index = ABSOLUTE_POS;
    if index >= sizes.groups * sizes.edges {
        terminate!();
    }
    let (group, edge) = (index / sizes.edges, index % sizes.edges);
    let reader = readers[edge] as usize;
    let query = (group * sizes.readers + reader) * sizes.neurons;
    let value = (group / sizes.heads * sizes.readers + reader) * sizes.width;
    let memory = (group * sizes.targets + targets[edge] as usize) * sizes.neurons;
    let mut sum = 0.0f32;
    for n in 0..sizes.neurons {
        let mut of_row = 0.0f32;
        for d in 0..sizes.width {
            of_row += rho[(memory + n) * sizes.width + d] * u[value + d];
        }
        sum += q[query + n] * of_row;
    }
    terms[index] = sum;
}

/// Adds `sum over the edges (s, t) of w q_s (outer) v_s` to memories that are kept by a factor of their head.
#[cube(launch)]
pub(super) fn write_memories(
    rho: &mut [f32],
    q: &[f32],
    v: &[f32],
    weights: &[f32],
    kept: &[f32],
    offsets: &[u32],
    others: &[u32],
    edges: &[u32],
    all_heads: usize,
    sizes: &Sizes,
) {
    let index = ABSOLUTE_POS;
    if index >= sizes.groups * sizes.targets * sizes.neurons * sizes.width {
        terminate!();
    }
    let (row, column) = (index / sizes.width, index % sizes.width);
    let (place, neuron) = (row / sizes.neurons, row % sizes.neurons);
    let (group, target) = (place / sizes.targets, place % sizes.targets);
    let mut sum = rho[index] * kept[group % all_heads];
    let mut position = offsets[target] as usize;
    let end = offsets[target + 1] as usize;
    while position < end {
        let (reader, edge) = (others[position] as usize, edges[position] as usize);
        let query = q[(group * sizes.readers + reader) * sizes.neurons + neuron];
        let value = v[(group / sizes.heads * sizes.readers + reader) * sizes.width + column];
        sum += weights[group * sizes.edges + edge] * query * value;
        position += 1;
    }
    rho[index] = sum;
}

/// The product of a row of each end of an edge, `[B, H, E]`. The rows of the target may be shared by heads.
#[cube(launch)]
pub(super) fn products_of_edges(
    of_readers: &[f32],
    of_targets: &[f32],
    readers: &[u32],
    targets: &[u32],
    products: &mut [f32],
    width: usize,
    heads: usize,
    sizes: &Sizes,
) {
    let index = ABSOLUTE_POS;
    if index >= sizes.groups * sizes.edges {
        terminate!();
    }
    let (group, edge) = (index / sizes.edges, index % sizes.edges);
    let one = (group * sizes.readers + readers[edge] as usize) * width;
    let other = (group / heads * sizes.targets + targets[edge] as usize) * width;
    let mut sum = 0.0f32;
    for i in 0..width {
        sum += of_readers[one + i] * of_targets[other + i];
    }
    products[index] = sum;
}

/// Rows of the other ends of a place's edges, each times the weight and a factor of its edge: `[B, H, places, width]`.
/// The rows may be shared by heads.
#[cube(launch)]
pub(super) fn sums_of_rows(
    rows: &[f32],
    weights: &[f32],
    factors: &[f32],
    offsets: &[u32],
    others: &[u32],
    edges: &[u32],
    sums: &mut [f32],
    places: usize,
    other_places: usize,
    width: usize,
    heads: usize,
    sizes: &Sizes,
) {
    let index = ABSOLUTE_POS;
    if index >= sizes.groups * places * width {
        terminate!();
    }
    let (row, column) = (index / width, index % width);
    let (group, place) = (row / places, row % places);
    let mut sum = 0.0f32;
    let mut position = offsets[place] as usize;
    let end = offsets[place + 1] as usize;
    while position < end {
        let edge = group * sizes.edges + edges[position] as usize;
        let other = group / heads * other_places + others[position] as usize;
        sum += weights[edge] * factors[edge] * rows[other * width + column];
        position += 1;
    }
    sums[index] = sum;
}
