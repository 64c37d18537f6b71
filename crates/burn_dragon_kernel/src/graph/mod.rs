//! Fast-weight memories of the places of a graph: each place has one, and reads those of its neighbours.
//!
//! ```text
//! read_s = sum over the edges (s, t) of w_st q_s rho_t                              graph_read
//! rho'_t = lambda rho_t + sum over the edges (s, t) of w_st q_s (outer) v_s         graph_write
//! rho'_p = lambda rho_p + q_p (outer) v_p                                           place_write
//! read_s = sum over the edges (s, t) of w_st lambda (q_s . k_t) v_t                 graph_recall
//! ```
//!
//! An edge `(s, t)` of the [`Adjacency`] says that s reads t; its weight is a factor of normalisation times a gate
//! ([`Edges`]). A read and a write are operations apart, in the order that the caller chooses: information moves one edge a
//! step where neighbours read what a place wrote of its newest state. [`WriteOrder`] says whether a memory decays before or
//! after a write. A [`History`] keeps the writes instead of the memories, and reads them with `graph_recall`, the same read
//! without a memory.
//!
//! Letters: B graphs of a batch, H heads, S readers, T targets, P places, N neurons a head, D width of a value, E edges.
//! Several graphs of different sizes are one [block-diagonal](Adjacency::block_diagonal) adjacency.
//!
//! On the processor in f32 they are passes over the rows of the adjacency and of its transpose, with gradients by hand
//! (`cpu.rs`, `backward.rs`), and so they are on a GPU (`cube/`). Elsewhere they are tensor operations on gathered edges
//! (`reference.rs`), which take memory for E rows.

mod adjacency;
mod adjacency_error;
mod backward;
pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
mod decay;
mod edges;
mod history;
pub mod reference;

pub use adjacency::{Adjacency, SelfEdges};
pub use adjacency_error::AdjacencyError;
pub use decay::PlaceDecay;
pub use edges::{Edges, Normalisation};
pub use history::History;

use crate::backend::on_backends;
use crate::retention::WriteOrder;
use burn::tensor::Tensor;

/// What each reader reads in the memories of its targets.
///
/// Tensors without autodiff beside others with autodiff are constants. A reader without edges reads zeros.
///
/// # Shapes
/// - `q`: `[B, H, S, N]`
/// - `rho`: `[B, H, T, N, D]`
/// - output: `[B, H, S, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn graph_read(q: Tensor<4>, rho: Tensor<5>, edges: &Edges) -> Tensor<4> {
    let ([lanes, heads, readers, neurons], [.., targets, _, width]) = (q.dims(), rho.dims());
    let expected = [lanes, heads, targets, neurons, width];
    crate::assert_shape("graph_read", "rho", rho.dims(), expected);
    edges.check("graph_read", lanes, [readers, targets]);
    let is_autodiff = q.is_autodiff() || rho.is_autodiff() || edges.is_autodiff();
    let edges = edges.alike(is_autodiff);
    let (q, rho) = (alike(q, is_autodiff), alike(rho, is_autodiff));
    on_backends!(B, input = (q, rho) => backward::read::<B>(&input.0, &input.1, &edges).ok_or(input))
        .unwrap_or_else(|(q, rho)| reference::graph_read(q, rho, &edges))
}

/// Memories after each reader wrote `q (outer) v` into those of its targets.
///
/// Edges are those of the [read](graph_read): s writes where it reads. Tensors without autodiff beside others with
/// autodiff are constants.
///
/// # Shapes
/// - `q`: `[B, H, S, N]`
/// - `v`: `[B, 1, S, D]`, for all heads, or `[B, H, S, D]`
/// - `rho` and output: `[B, H, T, N, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn graph_write(
    q: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<5>,
    edges: &Edges,
    decay: &PlaceDecay,
) -> Tensor<5> {
    let targets = rho.dims()[2];
    check_write("graph_write", &q, &v, &rho, targets, decay);
    edges.check("graph_write", q.dims()[0], [q.dims()[2], targets]);
    let is_autodiff =
        q.is_autodiff() || v.is_autodiff() || rho.is_autodiff() || edges.is_autodiff() || decay.is_autodiff();
    written(
        q,
        v,
        rho,
        Some(&edges.alike(is_autodiff)),
        &decay.alike(is_autodiff),
        is_autodiff,
    )
}

/// Memories after each place wrote `q (outer) v` into its own: [`graph_write`] with an edge from each place to itself.
///
/// Tensors without autodiff beside others with autodiff are constants.
///
/// # Shapes
/// - `q`: `[B, H, P, N]`
/// - `v`: `[B, 1, P, D]`, for all heads, or `[B, H, P, D]`
/// - `rho` and output: `[B, H, P, N, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn place_write(q: Tensor<4>, v: Tensor<4>, rho: Tensor<5>, decay: &PlaceDecay) -> Tensor<5> {
    check_write("place_write", &q, &v, &rho, q.dims()[2], decay);
    let is_autodiff = q.is_autodiff() || v.is_autodiff() || rho.is_autodiff() || decay.is_autodiff();
    written(q, v, rho, None, &decay.alike(is_autodiff), is_autodiff)
}

/// What each reader reads of one write of its targets, `k (outer) v`, that decayed since.
///
/// It equals [`graph_read`] of memories that hold only this write. Tensors without autodiff beside others with autodiff
/// are constants. A reader without edges reads zeros.
///
/// # Shapes
/// - `q`: `[B, H, S, N]`
/// - `keys`: `[B, H, T, N]`
/// - `v`: `[B, 1, T, D]`, for all heads, or `[B, H, T, D]`
/// - output: `[B, H, S, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn graph_recall(
    q: Tensor<4>,
    keys: Tensor<4>,
    v: Tensor<4>,
    edges: &Edges,
    decay: &PlaceDecay,
) -> Tensor<4> {
    let ([lanes, heads, readers, neurons], targets) = (q.dims(), keys.dims()[2]);
    let (of_values, width) = (if v.dims()[1] == 1 { 1 } else { heads }, v.dims()[3]);
    let operation = "graph_recall";
    crate::assert_shape(operation, "keys", keys.dims(), [lanes, heads, targets, neurons]);
    crate::assert_shape(operation, "v", v.dims(), [lanes, of_values, targets, width]);
    edges.check(operation, lanes, [readers, targets]);
    decay.check(operation, heads);
    let is_autodiff = q.is_autodiff()
        || keys.is_autodiff()
        || v.is_autodiff()
        || edges.is_autodiff()
        || decay.is_autodiff();
    let (q, keys, v) = (
        alike(q, is_autodiff),
        alike(keys, is_autodiff),
        alike(v, is_autodiff),
    );
    let (edges, decay) = (edges.alike(is_autodiff), decay.alike(is_autodiff));
    let (learnt, constant) = decay.parted();
    let read = on_backends!(B, input = (q, keys, v) => {
        let (q, keys, v) = &input;
        backward::recall::<B>(q, keys, v, &edges, &constant).ok_or(input)
    });
    let read = read.unwrap_or_else(|(q, keys, v)| reference::graph_recall(q, keys, v, &edges, &constant));
    match learnt {
        None => read,
        Some(factors) => read * factors.reshape([1, heads, 1, 1]),
    }
}

/// A write through edges, or of each place into its own memory.
fn written(
    q: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<5>,
    edges: Option<&Edges>,
    decay: &PlaceDecay,
    is_autodiff: bool,
) -> Tensor<5> {
    let (learnt, decay) = decay.parted();
    let learnt = learnt.map(|factors| factors.reshape([1, -1, 1, 1, 1]));
    let (before, after) = match decay.order {
        WriteOrder::DecayThenWrite => (learnt, None),
        WriteOrder::WriteThenDecay => (None, learnt),
    };
    let faded = |rho, factors| match factors {
        None => rho,
        Some(factors) => rho * factors,
    };
    let (q, v) = (alike(q, is_autodiff), alike(v, is_autodiff));
    let mut rho = Some(faded(alike(rho, is_autodiff), before));
    let on_backend =
        on_backends!(B, rho = &mut rho => backward::write::<B>(&q, &v, rho, edges, &decay).ok_or(rho));
    let written = match (on_backend, edges) {
        (Ok(written), _) => written,
        (Err(rho), edges) => {
            let Some(rho) = rho.take() else {
                unreachable!("a backend that does not write leaves the memories");
            };
            match edges {
                Some(edges) => reference::graph_write(q, v, rho, edges, &decay),
                None => reference::place_write(q, v, rho, &decay),
            }
        }
    };
    faded(written, after)
}

#[track_caller]
fn check_write(
    operation: &str,
    q: &Tensor<4>,
    v: &Tensor<4>,
    rho: &Tensor<5>,
    targets: usize,
    decay: &PlaceDecay,
) {
    let ([lanes, heads, writers, neurons], width) = (q.dims(), v.dims()[3]);
    let of_values = if v.dims()[1] == 1 { 1 } else { heads };
    crate::assert_shape(operation, "v", v.dims(), [lanes, of_values, writers, width]);
    let expected = [lanes, heads, targets, neurons, width];
    crate::assert_shape(operation, "rho", rho.dims(), expected);
    decay.check(operation, heads);
}

/// A tensor as a constant in the graph of gradients, if the others are in it.
fn alike<const R: usize>(tensor: Tensor<R>, is_autodiff: bool) -> Tensor<R> {
    if is_autodiff { tensor.autodiff() } else { tensor }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod rollout_tests;

#[cfg(test)]
mod sums_tests;
