//! A step on a grid on a GPU.
//!
//! A step is two launches: a read, in which a unit sums an entry of a place's read over its neighbours, and a write. Its
//! gradient is a launch for each input, and one where reads are means. Neighbours are counted, not listed: no table is
//! copied to the device. No sum is shared by two units that race for it: the same input gives the same bits.
//!
//! The definition shifts the whole memory once for each neighbour, and forms the sum. Here nothing as large as the memory
//! is formed but the memory after the step, and its gradient in place of that after the step. A read passes over the
//! memories of all neighbours; that these lie in a cache is left to the device.

mod kernels;
mod near;

use super::{Neighbours, WriteOrder};
use crate::backend::local_grid::{
    GridSizes, LocalGridBack, LocalGridGradients, LocalGridOn, LocalGridRun, WriteOn,
};
use crate::gpu::array::{
    contiguous, empty, entries, for_entries, for_rows, for_teams, owned, team_for, upload, zeros,
};
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use kernels::{SizesLaunch, WriteLaunch};

/// The step, with all tensors contiguous: what the gradient needs, too.
pub(crate) type Kept = LocalGridOn<CubeBackend>;

/// A step. Without a gradient the memory is changed in place, unless another tensor shares it.
pub(crate) fn local_grid(step: LocalGridOn<CubeBackend>, keep: bool) -> LocalGridRun<CubeBackend, Kept> {
    let step = Kept {
        query: contiguous(step.query),
        rho: contiguous(step.rho),
        write: step.write.map(|write| WriteOn {
            value: contiguous(write.value),
            ..write
        }),
        ..step
    };
    let read = step.reads.as_deref().map(|near| read(&step, near));
    if keep {
        let memory = step.write.as_ref().map(|_| write(&step));
        return LocalGridRun {
            read,
            memory,
            kept: Some(step),
        };
    }
    LocalGridRun {
        read,
        memory: step.write.is_some().then(|| write_in_place(step)),
        kept: None,
    }
}

/// The gradients of the inputs of a step.
pub(crate) fn local_grid_back(
    step: &Kept,
    back: LocalGridBack<CubeBackend>,
) -> LocalGridGradients<CubeBackend> {
    let sizes = step.sizes;
    let given = back.memory.map(contiguous);
    let e = back.read.map(|read| shared(step, contiguous(read)));
    let query = back_to_queries(step, e.as_ref(), given.as_ref());
    let value = step.write.as_ref().map(|write| match &given {
        None => zeros(&step.query, write.value.meta.shape().clone()),
        Some(given) => back_to_values(step, write, given),
    });
    let slopes = back.needs_slopes.then(|| match &given {
        None => zeros(&step.query, [sizes.heads]),
        Some(given) => back_to_slopes(step, given),
    });
    // Last, since it takes the memory of what is given.
    let rho = back.needs_rho.then(|| back_to_memories(step, e.as_ref(), given));
    LocalGridGradients {
        query,
        rho,
        value,
        slopes,
    }
}

fn launched(sizes: GridSizes) -> SizesLaunch {
    SizesLaunch::new(
        sizes.planes(),
        sizes.heads,
        sizes.places,
        sizes.neurons,
        sizes.width,
    )
}

impl Kept {
    /// The write for a launch; without one, nothing decays and the values are not read.
    fn written(&self) -> WriteLaunch {
        let heads = self.sizes.heads;
        let factors: Vec<f32> = match &self.write {
            None => vec![1.0; 2 * heads],
            Some(write) => {
                let of_written = match write.order {
                    WriteOrder::DecayThenWrite => vec![1.0; heads],
                    WriteOrder::WriteThenDecay => write.factors.clone(),
                };
                [write.factors.clone(), of_written].concat()
            }
        };
        let factors = upload(&self.query, f32::as_bytes(&factors), 2 * heads, DType::F32);
        let (value, is_shared) = match &self.write {
            None => (&self.query, false),
            Some(write) => (&write.value, write.shared),
        };
        WriteLaunch::new(
            value.clone().into_buffer_arg(),
            factors.into_buffer_arg(),
            if is_shared { heads } else { 1 },
        )
    }

    /// The shape of what is read.
    fn reads(&self) -> [usize; 4] {
        let sizes = self.sizes;
        [sizes.lanes, sizes.heads, sizes.places, sizes.width]
    }

    /// In place of a tensor that is not read.
    fn or_query<'a>(&'a self, tensor: Option<&'a CubeTensor>) -> CubeTensor {
        tensor.unwrap_or(&self.query).clone()
    }
}

fn read(step: &Kept, neighbours: &Neighbours) -> CubeTensor {
    let read = empty(&step.query, step.reads(), DType::F32);
    let client = read.client.clone();
    let (cubes, units) = for_entries(&client, entries(&read));
    kernels::read_near::launch(
        &client,
        cubes,
        units,
        step.query.clone().into_buffer_arg(),
        step.rho.clone().into_buffer_arg(),
        read.clone().into_buffer_arg(),
        near::launched(Some(neighbours)),
        launched(step.sizes),
    );
    read
}

fn write(step: &Kept) -> CubeTensor {
    let memory = empty(&step.rho, step.rho.meta.shape().clone(), DType::F32);
    let (client, count) = (memory.client.clone(), entries(&memory));
    let (cubes, units) = for_entries(&client, count);
    kernels::write_places::launch(
        &client,
        cubes,
        units,
        step.query.clone().into_buffer_arg(),
        step.rho.clone().into_buffer_arg(),
        memory.clone().into_buffer_arg(),
        step.written(),
        launched(step.sizes),
        count,
    );
    memory
}

fn write_in_place(step: Kept) -> CubeTensor {
    let (written, sizes) = (step.written(), launched(step.sizes));
    let memory = owned(step.rho);
    let (client, count) = (memory.client.clone(), entries(&memory));
    let (cubes, units) = for_entries(&client, count);
    kernels::write_in_place::launch(
        &client,
        cubes,
        units,
        step.query.into_buffer_arg(),
        memory.clone().into_buffer_arg(),
        written,
        sizes,
        count,
    );
    memory
}

/// The gradient of the reads, times the factor of each.
fn shared(step: &Kept, d: CubeTensor) -> CubeTensor {
    let neighbours = step.reads.as_deref();
    if neighbours.is_none_or(|neighbours| neighbours.factors().is_none()) {
        return d;
    }
    let e = empty(&d, step.reads(), DType::F32);
    let client = e.client.clone();
    let (cubes, units) = for_entries(&client, entries(&e));
    kernels::share_reads::launch(
        &client,
        cubes,
        units,
        d.into_buffer_arg(),
        e.clone().into_buffer_arg(),
        near::launched(neighbours),
        launched(step.sizes),
    );
    e
}

fn back_to_queries(step: &Kept, e: Option<&CubeTensor>, given: Option<&CubeTensor>) -> CubeTensor {
    let query = empty(&step.query, step.query.meta.shape().clone(), DType::F32);
    let (client, team) = (query.client.clone(), team_for(step.sizes.width));
    let (cubes, units) = for_teams(&client, entries(&query), team);
    kernels::back_to_queries::launch(
        &client,
        cubes,
        units,
        step.or_query(e).into_buffer_arg(),
        step.rho.clone().into_buffer_arg(),
        step.or_query(given).into_buffer_arg(),
        query.clone().into_buffer_arg(),
        step.written(),
        near::launched(step.reads.as_deref()),
        launched(step.sizes),
        team,
        e.is_some(),
        given.is_some(),
    );
    query
}

fn back_to_values(step: &Kept, write: &WriteOn<CubeBackend>, given: &CubeTensor) -> CubeTensor {
    let values = empty(&write.value, write.value.meta.shape().clone(), DType::F32);
    let (client, count) = (values.client.clone(), entries(&values));
    let (cubes, units) = for_entries(&client, count);
    kernels::back_to_values::launch(
        &client,
        cubes,
        units,
        step.query.clone().into_buffer_arg(),
        given.clone().into_buffer_arg(),
        values.clone().into_buffer_arg(),
        step.written(),
        launched(step.sizes),
        count,
    );
    values
}

fn back_to_memories(step: &Kept, e: Option<&CubeTensor>, given: Option<CubeTensor>) -> CubeTensor {
    let is_given = given.is_some();
    let new = || empty(&step.rho, step.rho.meta.shape().clone(), DType::F32);
    let memory = given.map_or_else(new, owned);
    let (client, count) = (memory.client.clone(), entries(&memory));
    let (cubes, units) = for_entries(&client, count);
    kernels::back_to_memories::launch(
        &client,
        cubes,
        units,
        step.query.clone().into_buffer_arg(),
        step.or_query(e).into_buffer_arg(),
        memory.clone().into_buffer_arg(),
        step.written(),
        near::launched(step.reads.as_deref()),
        launched(step.sizes),
        count,
        e.is_some(),
        is_given,
    );
    memory
}

/// `[H]`: the sums of each place, then of each head.
fn back_to_slopes(step: &Kept, given: &CubeTensor) -> CubeTensor {
    let sizes = step.sizes;
    let count = sizes.planes() * sizes.places;
    let decays_written = step
        .write
        .as_ref()
        .is_some_and(|write| write.order == WriteOrder::WriteThenDecay);
    let terms = empty(given, [count], DType::F32);
    let slopes = empty(given, [sizes.heads], DType::F32);
    let client = given.client.clone();
    let (cubes, units) = for_rows(&client, count);
    kernels::back_to_factors::launch(
        &client,
        cubes,
        units,
        step.query.clone().into_buffer_arg(),
        step.rho.clone().into_buffer_arg(),
        given.clone().into_buffer_arg(),
        terms.clone().into_buffer_arg(),
        step.written(),
        launched(sizes),
        decays_written,
    );
    let (cubes, units) = for_rows(&client, sizes.heads);
    kernels::sum_slopes::launch(
        &client,
        cubes,
        units,
        terms.into_buffer_arg(),
        slopes.clone().into_buffer_arg(),
        step.written(),
        launched(sizes),
    );
    slopes
}

#[cfg(test)]
mod tests;
