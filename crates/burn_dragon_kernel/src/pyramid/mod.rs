//! Pyramid: banks of memories at three scales. Patches and the coarse cells above them have a memory each; hubs have
//! memories that all of them share.
//!
//! ```text
//! read of patch p   = q_p  (sum over neighbours of rho_p')                   PatchPatch
//!                   + qc_p rho_cell(p)                                       PatchCoarse
//!                   + sum over hubs m of g_pm qh_p rho_m                     PatchHub
//! read of cell c    = q_c  (sum over neighbours of rho_c')                   CoarseCoarse
//!                   + sum over hubs m of g_cm qh_c rho_m                     CoarseHub
//! rho_p' = lambda rho_p + q_p (outer) v_p
//! rho_c' = lambda rho_c + q_c (outer) v_c + sum over patches p of cell c of qc_p (outer) v_p
//! rho_m' = lambda rho_m + sum over p of g_pm qh_p (outer) v_p + sum over c of g_cm qh_c (outer) v_c
//! ```
//!
//! Patch `(y, x)` lies in cell `(y / stride, x / stride)`, for reads and for writes. (The public implementation reads cell
//! `(y mod rows, x mod columns)`, which other patches wrote.) All reads are of the memories before the writes. Each term
//! is a [`Link`] that a step uses or not, for reads and writes apart. Without gates `g` is 1 / M for each of M hubs. The
//! banks may have different numbers of neurons.
//!
//! Reads and writes along `PatchPatch` and `CoarseCoarse` are a [local grid](crate::local_grid). Those between banks are
//! matrix products: one for each cell with the patches in it, and one for the hubs together. `reference.rs` is the
//! definition, with a copy of a memory for each patch that reads it.

mod cells;
mod links;
pub mod reference;

pub use cells::Pyramid;
pub use links::{Link, Links};

use crate::local_grid::{
    LocalGridInput, LocalGridOutput, Neighbourhood, local_grid, local_grid_read, local_grid_write,
};
use crate::retention::{Decay, WriteOrder};
use burn::tensor::Tensor;
use cells::{by_cell, by_patch};

/// Memories of a pyramid.
#[derive(Clone, Debug)]
pub struct PyramidMemory {
    /// Memories of the P patches, `[B, H, P, N, D]`.
    pub patch: Tensor<5>,
    /// Memories of the C coarse cells, `[B, H, C, K, D]`.
    pub coarse: Tensor<5>,
    /// Memories of the M hubs, `[B, H, M, R, D]`.
    pub hub: Tensor<5>,
}

/// Queries, with which tokens read and write, by link.
#[derive(Clone, Debug)]
pub struct PyramidQueries {
    /// Of the patches for patches, `[B, H, P, N]`.
    pub patch_patch: Tensor<4>,
    /// Of the patches for their cells, `[B, H, P, K]`.
    pub patch_coarse: Tensor<4>,
    /// Of the patches for hubs, `[B, H, P, R]`.
    pub patch_hub: Tensor<4>,
    /// Of the cells for cells, `[B, H, C, K]`.
    pub coarse_coarse: Tensor<4>,
    /// Of the cells for hubs, `[B, H, C, R]`.
    pub coarse_hub: Tensor<4>,
}

/// Values or gates of the tokens of both grids.
#[derive(Clone, Debug)]
pub struct OfTokens {
    /// Of the patches: values `[B, 1 or H, P, D]`, gates `[B, 1 or H, P, M]`.
    pub patch: Tensor<4>,
    /// Of the cells: values `[B, 1 or H, C, D]`, gates `[B, 1 or H, C, M]`.
    pub coarse: Tensor<4>,
}

/// Decay of the banks in a step; `None` for none.
#[derive(Clone, Debug, Default)]
pub struct PyramidDecay {
    /// Of the patches' memories.
    pub patch: Option<Decay>,
    /// Of the cells' memories.
    pub coarse: Option<Decay>,
    /// Of the hubs' memories.
    pub hub: Option<Decay>,
}

/// Input of a step of a pyramid.
#[derive(Clone, Debug)]
pub struct PyramidInput {
    /// Sizes of the pyramid.
    pub pyramid: Pyramid,
    /// Memories before the step.
    pub memory: PyramidMemory,
    /// Queries.
    pub queries: PyramidQueries,
    /// Values.
    pub values: OfTokens,
    /// Gates of the hubs, for reads and writes; `None` for 1 / M each.
    pub gates: Option<OfTokens>,
    /// Neighbours that a patch reads.
    pub near_patch: Neighbourhood,
    /// Neighbours that a cell reads.
    pub near_cell: Neighbourhood,
    /// Links along which is read.
    pub reads: Links,
    /// Links along which is written.
    pub writes: Links,
    /// Decay of the banks.
    pub decay: PyramidDecay,
    /// Order of decay and write.
    pub order: WriteOrder,
}

/// Output of a step of a pyramid.
#[derive(Clone, Debug)]
pub struct PyramidOutput {
    /// What the patches read, `[B, H, P, D]`; `None` if they read nothing.
    pub patch: Option<Tensor<4>>,
    /// What the cells read, `[B, H, C, D]`; `None` if they read nothing.
    pub coarse: Option<Tensor<4>>,
    /// Memories after the step.
    pub memory: PyramidMemory,
}

/// A step of a pyramid: all reads, then all writes.
///
/// A bank that nothing writes to decays, if it has a decay, and is the same otherwise. Tensors without autodiff are
/// constants; if the memory of a bank is one, so is the returned memory of that bank.
///
/// # Panics
/// If the shapes do not fit together, or the stride or the number of hubs is 0.
pub fn pyramid(mut input: PyramidInput) -> PyramidOutput {
    input.check();
    let constants = input.lift();
    let cross = Cross::new(&input);
    let (patch, patch_memory) = patches(&input);
    let (coarse, coarse_memory) = cells(&input, &cross);
    let hub = hubs(&input, &cross);
    let memory = PyramidMemory {
        patch: patch_memory,
        coarse: coarse_memory,
        hub,
    };
    PyramidOutput {
        patch: sum([
            patch,
            cross.read_coarse(&input),
            cross.read_hub(&input, Link::PatchHub),
        ]),
        coarse: sum([coarse, cross.read_hub(&input, Link::CoarseHub)]),
        memory: memory.with_constants(constants),
    }
}

fn sum(reads: impl IntoIterator<Item = Option<Tensor<4>>>) -> Option<Tensor<4>> {
    reads.into_iter().flatten().reduce(|sum, read| sum + read)
}

/// The local read of the patches, and their memories after the step.
fn patches(input: &PyramidInput) -> (Option<Tensor<4>>, Tensor<5>) {
    let (query, value) = (input.queries.patch_patch.clone(), input.values.patch.clone());
    let (rho, decay, link) = (
        input.memory.patch.clone(),
        input.decay.patch.clone(),
        Link::PatchPatch,
    );
    let (grid, near) = (input.pyramid.patches, input.near_patch);
    match (input.reads.has(link), input.writes.has(link)) {
        (true, true) => {
            let LocalGridOutput { read, memory } = local_grid(LocalGridInput {
                query,
                value,
                rho,
                grid,
                neighbourhood: near,
                decay,
                order: input.order,
            });
            (Some(read), memory)
        }
        (false, true) => (None, local_grid_write(query, value, rho, decay, input.order)),
        (true, false) => (
            Some(local_grid_read(query, rho.clone(), grid, near)),
            faded(rho, decay.as_ref()),
        ),
        (false, false) => (None, faded(rho, decay.as_ref())),
    }
}

/// The local read of the cells, and their memories after the step.
fn cells(input: &PyramidInput, cross: &Cross) -> (Option<Tensor<4>>, Tensor<5>) {
    let (query, rho) = (input.queries.coarse_coarse.clone(), input.memory.coarse.clone());
    let reads = input.reads.has(Link::CoarseCoarse);
    let read = reads.then(|| {
        local_grid_read(
            query.clone(),
            rho.clone(),
            input.pyramid.coarse(),
            input.near_cell,
        )
    });
    let value = input.values.coarse.clone();
    let own = input.writes.has(Link::CoarseCoarse);
    let own = own.then(|| query.unsqueeze_dim::<5>(4) * value.unsqueeze_dim::<5>(3)); // [B, H, C, K, D]
    let decay = input.decay.coarse.as_ref();
    let memory = written(rho, [own, cross.write_coarse(input)], decay, input.order);
    (read, memory)
}

/// The memories of the hubs after the step.
fn hubs(input: &PyramidInput, cross: &Cross) -> Tensor<5> {
    let terms = [Link::PatchHub, Link::CoarseHub].map(|link| cross.write_hub(input, link));
    written(
        input.memory.hub.clone(),
        terms,
        input.decay.hub.as_ref(),
        input.order,
    )
}

/// A memory that decays without a write.
fn faded(rho: Tensor<5>, decay: Option<&Decay>) -> Tensor<5> {
    written(rho, [], decay, WriteOrder::default())
}

/// A memory after writes, in either order with its decay.
fn written(
    rho: Tensor<5>,
    terms: impl IntoIterator<Item = Option<Tensor<5>>>,
    decay: Option<&Decay>,
    order: WriteOrder,
) -> Tensor<5> {
    let factors = decay.map(|decay| crate::local_grid::reference::factors(decay, &rho));
    let fade = |rho: Tensor<5>| match &factors {
        None => rho,
        Some(factors) => rho * factors.clone(),
    };
    let term = terms.into_iter().flatten().reduce(|sum, term| sum + term);
    match (term, order) {
        (None, _) => fade(rho),
        (Some(term), WriteOrder::DecayThenWrite) => fade(rho) + term,
        (Some(term), WriteOrder::WriteThenDecay) => fade(rho + term),
    }
}

/// Factors of the products between banks.
struct Cross {
    /// Queries of the patches for their cells, by cell, `[B, H, C, S, K]`.
    by_cell: Option<Tensor<5>>,
}

impl Cross {
    fn new(input: &PyramidInput) -> Self {
        let is_used = input.reads.has(Link::PatchCoarse) || input.writes.has(Link::PatchCoarse);
        Self {
            by_cell: is_used.then(|| by_cell(input.queries.patch_coarse.clone(), &input.pyramid)),
        }
    }

    /// What the patches read from their cells, `[B, H, P, D]`.
    fn read_coarse(&self, input: &PyramidInput) -> Option<Tensor<4>> {
        let query = self
            .by_cell
            .clone()
            .filter(|_| input.reads.has(Link::PatchCoarse))?;
        let read = query.matmul(input.memory.coarse.clone()); // [B, H, C, S, D]
        Some(by_patch(read, &input.pyramid))
    }

    /// What the patches write to their cells, `[B, H, C, K, D]`.
    fn write_coarse(&self, input: &PyramidInput) -> Option<Tensor<5>> {
        let query = self
            .by_cell
            .clone()
            .filter(|_| input.writes.has(Link::PatchCoarse))?;
        let value = in_heads(&input.values.patch, &input.queries.patch_coarse);
        Some(query.swap_dims(3, 4).matmul(by_cell(value, &input.pyramid)))
    }

    /// What the tokens of a grid read from the hubs, `[B, H, P or C, D]`.
    fn read_hub(&self, input: &PyramidInput, link: Link) -> Option<Tensor<4>> {
        if !input.reads.has(link) {
            return None;
        }
        let [lanes, heads, hubs, neurons, width] = input.memory.hub.dims();
        let (query, _, gates) = input.of_hubs(link);
        let rho = input.memory.hub.clone();
        Some(match gates {
            None => query.matmul(rho.mean_dim(2).reshape([lanes, heads, neurons, width])),
            Some(gates) => gated(query, gates).matmul(rho.reshape([lanes, heads, hubs * neurons, width])),
        })
    }

    /// What the tokens of a grid write to the hubs, `[B, H, M, R, D]`.
    fn write_hub(&self, input: &PyramidInput, link: Link) -> Option<Tensor<5>> {
        if !input.writes.has(link) {
            return None;
        }
        let shape = input.memory.hub.dims();
        let [lanes, heads, hubs, neurons, width] = shape;
        let (query, value, gates) = input.of_hubs(link);
        let value = in_heads(&value, &query);
        Some(match gates {
            None => {
                let one = query.swap_dims(2, 3).matmul(value) / hubs as f64; // [B, H, R, D]
                one.reshape([lanes, heads, 1, neurons, width]).expand(shape)
            }
            Some(gates) => gated(query, gates).swap_dims(2, 3).matmul(value).reshape(shape),
        })
    }
}

/// Queries times the gates of each hub, `[B, H, P, M * R]`.
fn gated(query: Tensor<4>, gates: Tensor<4>) -> Tensor<4> {
    let [lanes, heads, tokens, neurons] = query.dims();
    let hubs = gates.dims()[3];
    let products = query.unsqueeze_dim::<5>(3) * gates.unsqueeze_dim::<5>(4); // [B, H, P, M, R]
    products.reshape([lanes, heads, tokens, hubs * neurons])
}

/// Values of each head.
fn in_heads(value: &Tensor<4>, query: &Tensor<4>) -> Tensor<4> {
    let [lanes, _, tokens, width] = value.dims();
    value.clone().expand([lanes, query.dims()[1], tokens, width])
}

impl PyramidMemory {
    fn banks(&self) -> [&Tensor<5>; 3] {
        [&self.patch, &self.coarse, &self.hub]
    }

    /// The memories, those of some banks as constants.
    fn with_constants(self, [patch, coarse, hub]: [bool; 3]) -> Self {
        let constant = |rho: Tensor<5>, is_constant| if is_constant { rho.inner() } else { rho };
        Self {
            patch: constant(self.patch, patch),
            coarse: constant(self.coarse, coarse),
            hub: constant(self.hub, hub),
        }
    }
}

impl PyramidInput {
    /// Query, value and gates of the tokens of a link to the hubs.
    fn of_hubs(&self, link: Link) -> (Tensor<4>, Tensor<4>, Option<Tensor<4>>) {
        let gates = self.gates.as_ref();
        match link {
            Link::CoarseHub => (
                self.queries.coarse_hub.clone(),
                self.values.coarse.clone(),
                gates.map(|gates| gates.coarse.clone()),
            ),
            _ => (
                self.queries.patch_hub.clone(),
                self.values.patch.clone(),
                gates.map(|gates| gates.patch.clone()),
            ),
        }
    }

    /// Everything with autodiff, if anything has it; the banks that are constants.
    fn lift(&mut self) -> [bool; 3] {
        let constants = self.memory.banks().map(|rho| !rho.is_autodiff());
        let PyramidDecay { patch, coarse, hub } = &self.decay;
        let decays = [patch, coarse, hub].into_iter().flatten();
        let learns = decays.into_iter().any(|decay| decay.slopes().is_tracked());
        if learns || constants.contains(&false) || self.tokens().any(|tensor| tensor.is_autodiff()) {
            for tensor in self.tokens() {
                *tensor = tensor.clone().autodiff();
            }
            let PyramidMemory { patch, coarse, hub } = &mut self.memory;
            for rho in [patch, coarse, hub] {
                *rho = rho.clone().autodiff();
            }
        }
        constants
    }

    /// All tensors of tokens.
    fn tokens(&mut self) -> impl Iterator<Item = &mut Tensor<4>> {
        let PyramidQueries {
            patch_patch,
            patch_coarse,
            patch_hub,
            coarse_coarse,
            coarse_hub,
        } = &mut self.queries;
        let queries = [patch_patch, patch_coarse, patch_hub, coarse_coarse, coarse_hub];
        let OfTokens { patch, coarse } = &mut self.values;
        let gates = self.gates.iter_mut();
        let gates = gates.flat_map(|gates| [&mut gates.patch, &mut gates.coarse]);
        queries.into_iter().chain([patch, coarse]).chain(gates)
    }

    #[track_caller]
    fn check(&self) {
        let Pyramid {
            patches,
            stride,
            hubs,
        } = self.pyramid;
        assert!(stride > 0, "pyramid: the stride is 0, expected at least 1");
        assert!(hubs > 0, "pyramid: 0 hubs, expected at least 1");
        let (places, cells) = (patches.places(), self.pyramid.coarse().places());
        let [lanes, heads, _, neurons, width] = self.memory.patch.dims();
        let [coarse, hub] = [&self.memory.coarse, &self.memory.hub].map(|rho| rho.dims()[3]);
        let banks = [(places, neurons), (cells, coarse), (hubs, hub)];
        let names = ["the patches' memory", "the cells' memory", "the hubs' memory"];
        for ((name, rho), (count, size)) in names.into_iter().zip(self.memory.banks()).zip(banks) {
            crate::assert_shape("pyramid", name, rho.dims(), [lanes, heads, count, size, width]);
        }
        let queries = &self.queries;
        for (name, query, tokens, size) in [
            ("patch_patch", &queries.patch_patch, places, neurons),
            ("patch_coarse", &queries.patch_coarse, places, coarse),
            ("patch_hub", &queries.patch_hub, places, hub),
            ("coarse_coarse", &queries.coarse_coarse, cells, coarse),
            ("coarse_hub", &queries.coarse_hub, cells, hub),
        ] {
            crate::assert_shape("pyramid", name, query.dims(), [lanes, heads, tokens, size]);
        }
        self.check_tokens("the values", &self.values, width);
        if let Some(gates) = &self.gates {
            self.check_tokens("the gates", gates, hubs);
        }
    }

    #[track_caller]
    fn check_tokens(&self, name: &str, given: &OfTokens, width: usize) {
        let [lanes, heads, ..] = self.memory.patch.dims();
        let counts = [self.pyramid.patches.places(), self.pyramid.coarse().places()];
        for (tensor, count) in [&given.patch, &given.coarse].into_iter().zip(counts) {
            let of_heads = if tensor.dims()[1] == 1 { 1 } else { heads };
            crate::assert_shape("pyramid", name, tensor.dims(), [lanes, of_heads, count, width]);
        }
    }
}

#[cfg(test)]
mod tests;
