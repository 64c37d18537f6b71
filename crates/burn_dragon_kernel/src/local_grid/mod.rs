//! Local grid: every place of a grid has a memory of its own, reads those of its neighbours, and writes to its own.
//!
//! ```text
//! read_p = q_p (sum over p' in neighbours(p) of rho_p')          the memories before the write
//! rho_p' = lambda rho_p + q_p (outer) v_p                        decay, then write
//! rho_p' = lambda (rho_p + q_p (outer) v_p)                      write, then decay
//! ```
//!
//! with `lambda = exp(-slope)` of a head. In the public implementation of the grid memory decays before it is written,
//! in that of its recurrent kernel after ([`WriteOrder`]). A read with [`Border::Mean`] is divided by the number of
//! neighbours.
//!
//! A memory is much larger than all else: N x D numbers for each head of each place. So the time is that of reading and
//! writing memories. On the processor in f32 (`cpu.rs`) a step reads them once and writes them once, and so does its
//! gradient (`gradient.rs`), which is written by hand and keeps no tensor of their size but the memory itself. On a GPU a
//! read and a write are a launch each (`cube/`). Elsewhere it is tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
pub(crate) mod gradient;
mod neighbourhood;
pub mod reference;
mod rows;

pub use neighbourhood::{Border, Grid, NeighbourShape, Neighbourhood};

pub(crate) use neighbourhood::Neighbours;

use crate::backend::on_backends;
use crate::retention::{Decay, WriteOrder};
use burn::tensor::Tensor;

/// Input of a step on a grid.
#[derive(Clone, Debug)]
pub struct LocalGridInput {
    /// Queries of the places, with which they read and write, `[B, H, P, N]`.
    pub query: Tensor<4>,
    /// Values that the places write, `[B, H, P, D]`, or `[B, 1, P, D]` for the same in all heads.
    pub value: Tensor<4>,
    /// Memories of the places, `[B, H, P, N, D]`.
    pub rho: Tensor<5>,
    /// Grid of P places.
    pub grid: Grid,
    /// Neighbours that a place reads.
    pub neighbourhood: Neighbourhood,
    /// Decay of the memories in this step; `None` for none, as in a step that takes no time.
    pub decay: Option<Decay>,
    /// Order of decay and write.
    pub order: WriteOrder,
}

/// Output of a step on a grid.
#[derive(Clone, Debug)]
pub struct LocalGridOutput {
    /// What the places read, `[B, H, P, D]`.
    pub read: Tensor<4>,
    /// Memories after the step, `[B, H, P, N, D]`.
    pub memory: Tensor<5>,
}

/// A step on a grid: every place reads its neighbours' memories, then writes to its own.
///
/// Tensors without autodiff are constants. If the memory is one, so is the returned memory: to pass gradients from step
/// to step, begin with an empty memory with autodiff. On the processor in f32 without autodiff the memory is changed in
/// place, unless another tensor shares it.
///
/// # Panics
/// If the shapes do not fit together.
pub fn local_grid(input: LocalGridInput) -> LocalGridOutput {
    let write = Write {
        value: input.value,
        decay: input.decay,
        order: input.order,
    };
    let work = Work {
        query: input.query,
        rho: input.rho,
        reads: Some((input.grid, input.neighbourhood)),
        write: Some(write),
    };
    match work.run("local_grid") {
        Done {
            read: Some(read),
            memory: Some(memory),
        } => LocalGridOutput { read, memory },
        _ => unreachable!("a read and a write were asked for"),
    }
}

/// What each place reads from its neighbours' memories.
///
/// # Shapes
/// - `query`: `[B, H, P, N]`
/// - `rho`: `[B, H, P, N, D]`
/// - output: `[B, H, P, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn local_grid_read(
    query: Tensor<4>,
    rho: Tensor<5>,
    grid: Grid,
    neighbourhood: Neighbourhood,
) -> Tensor<4> {
    let work = Work {
        query,
        rho,
        reads: Some((grid, neighbourhood)),
        write: None,
    };
    let Some(read) = work.run("local_grid_read").read else {
        unreachable!("a read was asked for");
    };
    read
}

/// The memories after each place has written to its own. It needs no grid.
///
/// If the memory is without autodiff, it is a constant, and so is the returned one.
///
/// # Shapes
/// - `query`: `[B, H, P, N]`
/// - `value`: `[B, H, P, D]` or `[B, 1, P, D]`
/// - `rho`, output: `[B, H, P, N, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn local_grid_write(
    query: Tensor<4>,
    value: Tensor<4>,
    rho: Tensor<5>,
    decay: Option<Decay>,
    order: WriteOrder,
) -> Tensor<5> {
    let work = Work {
        query,
        rho,
        reads: None,
        write: Some(Write { value, decay, order }),
    };
    let Some(memory) = work.run("local_grid_write").memory else {
        unreachable!("a write was asked for");
    };
    memory
}

/// A read, a write, or both.
struct Work {
    query: Tensor<4>,
    rho: Tensor<5>,
    reads: Option<(Grid, Neighbourhood)>,
    write: Option<Write>,
}

/// A write of each place to its own memory.
struct Write {
    value: Tensor<4>,
    decay: Option<Decay>,
    order: WriteOrder,
}

/// What was read, and the memory after the write.
struct Done {
    read: Option<Tensor<4>>,
    memory: Option<Tensor<5>>,
}

impl Work {
    fn run(mut self, operation: &str) -> Done {
        self.check(operation);
        self.lift();
        on_backends!(B, input = self => backward::on_backend::<B>(input)).unwrap_or_else(Self::in_reference)
    }

    /// Query and value have autodiff if any tensor has; the memory stays a constant if it is one.
    fn lift(&mut self) {
        let value = self.write.as_ref().is_some_and(|write| write.value.is_autodiff());
        if !(value || self.learns_slopes() || self.query.is_autodiff() || self.rho.is_autodiff()) {
            return;
        }
        self.query = self.query.clone().autodiff();
        if let Some(write) = &mut self.write {
            write.value = write.value.clone().autodiff();
        }
    }

    /// Whether gradients flow to the slopes.
    fn learns_slopes(&self) -> bool {
        let decay = self.write.as_ref().and_then(|write| write.decay.as_ref());
        decay.is_some_and(|decay| decay.slopes().is_tracked())
    }

    fn in_reference(self) -> Done {
        let Self {
            query,
            rho,
            reads,
            write,
        } = self;
        let is_constant = !rho.is_autodiff();
        let rho = if query.is_autodiff() { rho.autodiff() } else { rho };
        let read = reads.map(|(grid, neighbourhood)| {
            reference::local_grid_read(query.clone(), rho.clone(), grid, &neighbourhood)
        });
        let memory = write.map(|write| {
            let decay = write.decay.as_ref();
            let memory = reference::local_grid_write(query, write.value, rho, decay, write.order);
            if is_constant { memory.inner() } else { memory }
        });
        Done { read, memory }
    }

    #[track_caller]
    fn check(&self, operation: &str) {
        let [lanes, heads, places, neurons] = self.query.dims();
        let width = self.rho.dims()[4];
        crate::assert_shape(
            operation,
            "rho",
            self.rho.dims(),
            [lanes, heads, places, neurons, width],
        );
        if let Some((grid, _)) = self.reads {
            let Grid { height, width } = grid;
            assert!(
                grid.places() == places,
                "{operation}: {places} places on a grid of {height} x {width}, expected {}",
                grid.places()
            );
        }
        let Some(write) = &self.write else { return };
        let of_heads = if write.value.dims()[1] == 1 { 1 } else { heads };
        crate::assert_shape(
            operation,
            "the value",
            write.value.dims(),
            [lanes, of_heads, places, width],
        );
        if let Some(decay) = &write.decay {
            crate::assert_shape(operation, "the decay", decay.slopes().dims(), [heads]);
        }
    }
}

#[cfg(test)]
mod tests;
