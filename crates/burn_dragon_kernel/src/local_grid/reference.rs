//! Definition of the local grid.

use super::{Border, Grid, Neighbourhood, Neighbours, WriteOrder};
use crate::retention::Decay;
use burn::tensor::{Tensor, TensorData};

/// What each place reads from its neighbours' memories, `[B, H, P, D]`; shapes as in
/// [`local_grid_read`](super::local_grid_read()).
pub fn local_grid_read(
    query: Tensor<4>,
    rho: Tensor<5>,
    grid: Grid,
    neighbourhood: &Neighbourhood,
) -> Tensor<4> {
    let nearby = neighbour_sum(rho, grid, neighbourhood); // [B, H, P, N, D]
    let read: Tensor<4> = query.unsqueeze_dim::<5>(3).matmul(nearby).squeeze_dim(3); // [B, H, P, D]
    match neighbourhood.border {
        Border::Drop => read,
        Border::Mean => {
            let counts = counts(grid, neighbourhood, &read); // [1, 1, P, 1]
            read / counts
        }
    }
}

/// The memories after each place's write to its own; shapes as in [`local_grid_write`](super::local_grid_write()).
pub fn local_grid_write(
    query: Tensor<4>,
    value: Tensor<4>,
    rho: Tensor<5>,
    decay: Option<&Decay>,
    order: WriteOrder,
) -> Tensor<5> {
    let written = query.unsqueeze_dim::<5>(4) * value.unsqueeze_dim::<5>(3); // [B, H, P, N, D]
    let Some(decay) = decay else {
        return rho + written;
    };
    let factors = factors(decay, &rho);
    match order {
        WriteOrder::DecayThenWrite => rho * factors + written,
        WriteOrder::WriteThenDecay => (rho + written) * factors,
    }
}

/// The factor `exp(-slope)` of each head, `[1, H, 1, 1, 1]`, in the type and on the device of the memory.
pub fn factors(decay: &Decay, rho: &Tensor<5>) -> Tensor<5> {
    let slopes = decay.slopes().clone();
    let slopes = if rho.is_autodiff() {
        slopes.autodiff()
    } else {
        slopes.inner()
    };
    let factors: Tensor<5> = slopes.neg().exp().reshape([1, -1, 1, 1, 1]);
    factors.cast(rho.dtype())
}

/// The sum of the memories of each place's neighbours, `[B, H, P, N, D]`: the grid with a border of empty memories,
/// shifted once for each neighbour.
fn neighbour_sum(rho: Tensor<5>, grid: Grid, neighbourhood: &Neighbourhood) -> Tensor<5> {
    let shape = rho.dims();
    let [lanes, heads, _, neurons, columns] = shape;
    let Grid { height, width } = grid;
    let (down, right) = neighbourhood.reach(grid);
    let rows: Tensor<4> = rho.reshape([lanes * heads, height, width, neurons * columns]);
    let padded = padded(padded(rows.clone(), 1, down as usize), 2, right as usize);
    let shifted = |(dy, dx): (isize, isize)| {
        let (y, x) = ((down + dy) as usize, (right + dx) as usize);
        padded.clone().narrow(1, y, height).narrow(2, x, width)
    };
    let offsets = neighbourhood.offsets(grid).into_iter();
    let sum = offsets.map(shifted).reduce(|sum, shifted| sum + shifted);
    sum.unwrap_or_else(|| rows.zeros_like()).reshape(shape)
}

/// The tensor between `size` zeros on both sides of an axis.
fn padded(tensor: Tensor<4>, axis: usize, size: usize) -> Tensor<4> {
    if size == 0 {
        return tensor;
    }
    let mut shape = tensor.dims();
    shape[axis] = size;
    let zeros = Tensor::<4>::zeros(shape, (&tensor.device(), tensor.dtype()));
    Tensor::cat(vec![zeros.clone(), tensor, zeros], axis)
}

/// The number of each place's neighbours, at least 1, `[1, 1, P, 1]`.
fn counts(grid: Grid, neighbourhood: &Neighbourhood, like: &Tensor<4>) -> Tensor<4> {
    let neighbours = Neighbours::new(grid, neighbourhood);
    let count = |place| neighbours.of(place).len().max(1) as f32;
    let counts: Vec<f32> = (0..grid.places()).map(count).collect();
    let data = TensorData::new(counts, [1, 1, grid.places(), 1]);
    Tensor::from_data(data.convert_dtype(like.dtype()), (&like.device(), like.dtype()))
}
