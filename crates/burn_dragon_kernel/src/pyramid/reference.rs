//! Definition of the pyramid: a copy of a cell's or a hub's memory for each token that reads it, and an outer product for
//! each token that writes, summed by matrices of zeros and ones.

use super::{Link, Pyramid, PyramidInput, PyramidMemory, PyramidOutput};
use crate::local_grid::reference::{factors, local_grid_read};
use crate::retention::Decay;
use crate::retention::WriteOrder;
use burn::tensor::{Int, Tensor, TensorData};

/// A step of a pyramid; shapes as in [`pyramid`](super::pyramid()). All tensors have autodiff, or none has.
pub fn pyramid(input: PyramidInput) -> PyramidOutput {
    let (queries, values, memory) = (&input.queries, &input.values, &input.memory);
    let sizes = &input.pyramid;
    let read = |link, read: &dyn Fn() -> Tensor<4>| input.reads.has(link).then(read);
    let hub_read = |link| {
        let (query, _, _) = input.of_hubs(link);
        read_hubs(query, &memory.hub, &gates(&input, link))
    };
    let patch = [
        read(Link::PatchPatch, &|| {
            local_grid_read(
                queries.patch_patch.clone(),
                memory.patch.clone(),
                sizes.patches,
                &input.near_patch,
            )
        }),
        read(Link::PatchCoarse, &|| {
            read_place(
                queries.patch_coarse.clone(),
                upsampled(memory.coarse.clone(), sizes),
            )
        }),
        read(Link::PatchHub, &|| hub_read(Link::PatchHub)),
    ];
    let coarse = [
        read(Link::CoarseCoarse, &|| {
            local_grid_read(
                queries.coarse_coarse.clone(),
                memory.coarse.clone(),
                sizes.coarse(),
                &input.near_cell,
            )
        }),
        read(Link::CoarseHub, &|| hub_read(Link::CoarseHub)),
    ];
    let write = |link, write: &dyn Fn() -> Tensor<5>| input.writes.has(link).then(write);
    let hub_write = |link| {
        let (query, value, _) = input.of_hubs(link);
        write_hubs(outer(query, value), &gates(&input, link))
    };
    let to_patch = [write(Link::PatchPatch, &|| {
        outer(queries.patch_patch.clone(), values.patch.clone())
    })];
    let to_coarse = [
        write(Link::CoarseCoarse, &|| {
            outer(queries.coarse_coarse.clone(), values.coarse.clone())
        }),
        write(Link::PatchCoarse, &|| {
            pooled(outer(queries.patch_coarse.clone(), values.patch.clone()), sizes)
        }),
    ];
    let to_hub = [Link::PatchHub, Link::CoarseHub].map(|link| write(link, &|| hub_write(link)));
    let after = |rho: &Tensor<5>, terms: &[Option<Tensor<5>>], decay: &Option<Decay>| {
        written(rho.clone(), terms, decay.as_ref(), input.order)
    };
    PyramidOutput {
        patch: super::sum(patch),
        coarse: super::sum(coarse),
        memory: PyramidMemory {
            patch: after(&memory.patch, &to_patch, &input.decay.patch),
            coarse: after(&memory.coarse, &to_coarse, &input.decay.coarse),
            hub: after(&memory.hub, &to_hub, &input.decay.hub),
        },
    }
}

/// Gates of the tokens of a link, `[B, 1 or H, T, M]`; 1 / M where none are given.
fn gates(input: &PyramidInput, link: Link) -> Tensor<4> {
    let (query, _, gates) = input.of_hubs(link);
    let [lanes, _, tokens, _] = query.dims();
    let hubs = input.pyramid.hubs;
    gates.unwrap_or_else(|| {
        let even = Tensor::<4>::full([lanes, 1, tokens, hubs], 1.0 / hubs as f64, &query.device());
        even.cast(query.dtype())
    })
}

/// `q_t (outer) v_t` of each token, `[B, H, T, N, D]`.
fn outer(query: Tensor<4>, value: Tensor<4>) -> Tensor<5> {
    query.unsqueeze_dim::<5>(4) * value.unsqueeze_dim::<5>(3)
}

/// What each token reads from a memory of its own, `[B, H, T, D]`.
fn read_place(query: Tensor<4>, rho: Tensor<5>) -> Tensor<4> {
    (query.unsqueeze_dim::<5>(4) * rho).sum_dim(3).squeeze_dim(3)
}

/// The memory of the cell of each patch, `[B, H, P, K, D]`.
fn upsampled(coarse: Tensor<5>, pyramid: &Pyramid) -> Tensor<5> {
    let cells: Vec<i32> = (0..pyramid.patches.places())
        .map(|patch| pyramid.cell_of(patch) as i32)
        .collect();
    let count = cells.len();
    let cells = Tensor::<1, Int>::from_data(TensorData::new(cells, [count]), &coarse.device());
    coarse.select(2, cells)
}

/// The sum of the patches of each cell, `[B, H, C, K, D]`.
fn pooled(patches: Tensor<5>, pyramid: &Pyramid) -> Tensor<5> {
    let [lanes, heads, places, neurons, width] = patches.dims();
    let cells = pyramid.coarse().places();
    let is_in =
        (0..cells * places).map(|at| f32::from(u8::from(pyramid.cell_of(at % places) == at / places)));
    let data =
        TensorData::new(is_in.collect::<Vec<_>>(), [1, 1, cells, places]).convert_dtype(patches.dtype());
    let matrix = Tensor::<4>::from_data(data, (&patches.device(), patches.dtype()));
    let flat = patches.reshape([lanes, heads, places, neurons * width]);
    matrix.matmul(flat).reshape([lanes, heads, cells, neurons, width])
}

/// What each token reads from all hubs, `[B, H, T, D]`.
fn read_hubs(query: Tensor<4>, hubs: &Tensor<5>, gates: &Tensor<4>) -> Tensor<4> {
    let [lanes, heads, count, neurons, width] = hubs.dims();
    let of = |hub: usize| {
        let rho: Tensor<4> = hubs
            .clone()
            .narrow(2, hub, 1)
            .reshape([lanes, heads, neurons, width]);
        query.clone().matmul(rho) * gates.clone().narrow(3, hub, 1)
    };
    (1..count).fold(of(0), |sum, hub| sum + of(hub))
}

/// The sum of the tokens' writes to each hub, `[B, H, M, R, D]`.
fn write_hubs(writes: Tensor<5>, gates: &Tensor<4>) -> Tensor<5> {
    let of = |hub: usize| {
        let gate = gates.clone().narrow(3, hub, 1).unsqueeze_dim::<5>(4); // [B, 1 or H, T, 1, 1]
        (writes.clone() * gate).sum_dim(2)
    };
    Tensor::cat((0..gates.dims()[3]).map(of).collect(), 2)
}

fn written(
    rho: Tensor<5>,
    terms: &[Option<Tensor<5>>],
    decay: Option<&Decay>,
    order: WriteOrder,
) -> Tensor<5> {
    let kept = decay.map_or_else(
        || rho.ones_like(),
        |decay| factors(decay, &rho).expand(rho.dims()),
    );
    let terms = terms.iter().flatten().cloned();
    match order {
        WriteOrder::DecayThenWrite => terms.fold(rho * kept, |rho, term| rho + term),
        WriteOrder::WriteThenDecay => terms.fold(rho, |rho, term| rho + term) * kept,
    }
}
