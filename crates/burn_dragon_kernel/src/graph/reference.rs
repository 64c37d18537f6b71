//! Definitions of the operations on the memories of a graph: an edge is a row of gathered tensors, and sums are
//! scattered.

use super::edges::{Edges, Sums};
use super::{PlaceDecay, WriteOrder};
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

/// `read_s = sum over the edges (s, t) of w q_s rho_t`; shapes as in [`graph_read`](super::graph_read).
pub fn graph_read(q: Tensor<4>, rho: Tensor<5>, edges: &Edges) -> Tensor<4> {
    let ([lanes, heads, readers, _], width) = (q.dims(), rho.dims()[4]);
    let ends = Ends::new(edges, &q);
    let Some(ends) = ends else {
        return nothing([lanes, heads, readers, width], q);
    };
    let q = q.select(2, ends.readers.clone()).unsqueeze_dim::<5>(4); // [B, H, E, N, 1]
    let rho = rho.select(2, ends.targets); // [B, H, E, N, D]
    let terms = (q * rho).sum_dim(3).squeeze_dim::<4>(3); // [B, H, E, D]
    let terms = weighted(terms, edges, Sums::OfReaders);
    sums([lanes, heads, readers, width], ends.readers, terms)
}

/// `rho'_t = lambda rho_t + sum over the edges (s, t) of w q_s (outer) v_s`, or lambda times the whole; shapes as in
/// [`graph_write`](super::graph_write).
pub fn graph_write(
    q: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<5>,
    edges: &Edges,
    decay: &PlaceDecay,
) -> Tensor<5> {
    let Some(ends) = Ends::new(edges, &q) else {
        return match decay.factors() {
            None => rho,
            Some(factors) => of_heads(factors) * rho,
        };
    };
    let [_, heads, _, neurons] = q.dims();
    let [lanes, _, targets, _, width] = rho.dims();
    let q = q.select(2, ends.readers.clone()); // [B, H, E, N]
    let q = weighted(q, edges, Sums::OfTargets).unsqueeze_dim::<5>(4); // [B, H, E, N, 1]
    let v = v.select(2, ends.readers).unsqueeze_dim::<5>(3); // [B, 1 or H, E, 1, D]
    let terms = (q * v).reshape([lanes, heads, ends.edges, neurons * width]);
    let written = sums([lanes, heads, targets, neurons * width], ends.targets, terms);
    decayed(
        rho,
        written.reshape([lanes, heads, targets, neurons, width]),
        decay,
    )
}

/// `rho'_p = lambda rho_p + q_p (outer) v_p`, or lambda times the whole; shapes as in
/// [`place_write`](super::place_write).
pub fn place_write(q: Tensor<4>, v: Tensor<4>, rho: Tensor<5>, decay: &PlaceDecay) -> Tensor<5> {
    let written = q.unsqueeze_dim::<5>(4) * v.unsqueeze_dim::<5>(3); // [B, H, P, N, D]
    decayed(rho, written, decay)
}

/// `read_s = sum over the edges (s, t) of w lambda (q_s . k_t) v_t`; shapes as in [`graph_recall`](super::graph_recall).
pub fn graph_recall(
    q: Tensor<4>,
    keys: Tensor<4>,
    v: Tensor<4>,
    edges: &Edges,
    decay: &PlaceDecay,
) -> Tensor<4> {
    let ([lanes, heads, readers, _], width) = (q.dims(), v.dims()[3]);
    let Some(ends) = Ends::new(edges, &q) else {
        return nothing([lanes, heads, readers, width], q);
    };
    let q = q.select(2, ends.readers.clone()); // [B, H, E, N]
    let keys = keys.select(2, ends.targets.clone()); // [B, H, E, N]
    let scores = (q * keys).sum_dim(3); // [B, H, E, 1]
    let terms = weighted(scores, edges, Sums::OfReaders) * v.select(2, ends.targets); // [B, H, E, D]
    let read = sums([lanes, heads, readers, width], ends.readers, terms);
    match decay.factors() {
        None => read,
        Some(factors) => read * factors.reshape([1, heads, 1, 1]),
    }
}

/// A memory and what is written into it, in the order of decay and write.
fn decayed(rho: Tensor<5>, written: Tensor<5>, decay: &PlaceDecay) -> Tensor<5> {
    match (decay.factors().map(of_heads), decay.order) {
        (None, _) => rho + written,
        (Some(factors), WriteOrder::DecayThenWrite) => factors * rho + written,
        (Some(factors), WriteOrder::WriteThenDecay) => factors * (rho + written),
    }
}

/// Numbers of the heads, `[H]`, for memories.
fn of_heads(numbers: Tensor<1>) -> Tensor<5> {
    let [heads] = numbers.dims();
    numbers.reshape([1, heads, 1, 1, 1])
}

/// Both ends of each edge, on the device of a tensor.
struct Ends {
    readers: Tensor<1, Int>,
    targets: Tensor<1, Int>,
    edges: usize,
}

impl Ends {
    /// `None` if there is no edge.
    fn new(edges: &Edges, like: &Tensor<4>) -> Option<Self> {
        let adjacency = &edges.adjacency;
        let end = |ends: Vec<i32>| Tensor::from_data(TensorData::from(ends.as_slice()), &like.device());
        (adjacency.edge_count() > 0).then(|| Self {
            readers: end(adjacency.edges().map(|(reader, _)| reader as i32).collect()),
            targets: end(adjacency.edges().map(|(_, target)| target as i32).collect()),
            edges: adjacency.edge_count(),
        })
    }
}

/// Terms of the edges, `[B, H, E, ..]`, times their weights.
fn weighted(terms: Tensor<4>, edges: &Edges, sums: Sums) -> Tensor<4> {
    let shape = |rows| [rows, 1, edges.adjacency.edge_count(), 1];
    let factors = edges.adjacency.factors(edges.normalisation, sums);
    let terms = match factors {
        None => terms,
        Some(factors) => {
            let factors = TensorData::new(factors.to_vec(), shape(1));
            terms.clone() * Tensor::from_data(factors, (&terms.device(), terms.dtype()))
        }
    };
    match &edges.gates {
        None => terms,
        Some(gates) => terms * gates.clone().reshape(shape(gates.dims()[0])),
    }
}

/// Sums of the terms of the edges, at one end of each.
fn sums(shape: [usize; 4], at: Tensor<1, Int>, terms: Tensor<4>) -> Tensor<4> {
    zeros(shape, &terms).select_assign(2, at, terms, IndexingUpdateOp::Add)
}

/// Zeros that do not depend on the queries, and stand where these do in the graph of gradients.
fn nothing(shape: [usize; 4], q: Tensor<4>) -> Tensor<4> {
    let sums = q.sum_dim(3); // [B, H, S, 1]
    let all = sums.zeros_like().equal_elem(0.0);
    sums.mask_fill(all, 0.0).expand(shape)
}

fn zeros(shape: [usize; 4], like: &Tensor<4>) -> Tensor<4> {
    Tensor::zeros(shape, (&like.device(), like.dtype()))
}
