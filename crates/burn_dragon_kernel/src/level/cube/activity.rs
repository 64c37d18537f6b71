//! Neuron-wide work between the products, one launch each, a cube for each row of neurons.
//!
//! Rows are `[H, B, C]`, the C tokens of a window of each lane. x is never stored: the drive is, the product before the
//! relu, and x is its positive part.

use super::Place;
use super::kernels::{
    Mask, MaskLaunch, RowsLaunch, close_gate, count_active, keep_positive, open_gate, relu_rotate, unrotate,
    where_positive, zero_silent,
};
use crate::dropout::DropoutMask;
use crate::gpu::array::{contiguous, element, empty, for_rows};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Cosines and sines of the pairs' angles on the device, `[1 or B, 1, T, N/2]` each.
#[derive(Clone, Debug)]
pub(super) struct Angles {
    cos: CubeTensor,
    sin: CubeTensor,
}

impl Angles {
    pub(super) fn new([cos, sin]: [CubeTensor; 2]) -> Self {
        Self {
            cos: contiguous(cos),
            sin: contiguous(sin),
        }
    }

    /// Entries of the table between a lane and the next: none, where all lanes share one.
    fn lane_stride(&self) -> usize {
        let shape = self.cos.meta.shape();
        if shape[0] == 1 { 0 } else { shape[2] * shape[3] }
    }
}

/// q of a window: the positive part of the drive, each pair turned by its angle.
pub(super) fn rotate(drive: &CubeTensor, angles: &Angles, place: &Place) -> CubeTensor {
    let q = empty(drive, drive.meta.shape().clone(), drive.dtype);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    relu_rotate::launch(
        &client,
        cubes,
        units,
        vector(drive, place),
        drive.clone().into_buffer_arg(),
        angles.cos.clone().into_buffer_arg(),
        angles.sin.clone().into_buffer_arg(),
        q.clone().into_buffer_arg(),
        place.launch(),
        angles.lane_stride(),
        element(drive),
    );
    q
}

/// The gradient of the drive: that of q turned back, plus that of x through the gate, where x is positive. It takes the
/// place of the latter.
pub(super) fn rotate_back(
    drive: &CubeTensor,
    dq: CubeTensor,
    dx: &CubeTensor,
    angles: &Angles,
    place: &Place,
) {
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    unrotate::launch(
        &client,
        cubes,
        units,
        vector(drive, place),
        drive.clone().into_buffer_arg(),
        dq.into_buffer_arg(),
        angles.cos.clone().into_buffer_arg(),
        angles.sin.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        place.launch(),
        angles.lane_stride(),
        element(drive),
    );
}

/// y after dropout, `[B C, H N]`, from the drives of x and of the gate, `[H, B, C, N]` each.
pub(super) fn gate(
    drive: &CubeTensor,
    gate: CubeTensor,
    dropout: Option<&DropoutMask>,
    place: &Place,
) -> CubeTensor {
    let sizes = place.sizes;
    let shape = [sizes.lanes * place.tokens.len(), sizes.heads * sizes.neurons];
    let y = empty(drive, shape, drive.dtype);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    open_gate::launch(
        &client,
        cubes,
        units,
        vector(drive, place),
        drive.clone().into_buffer_arg(),
        gate.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        place.launch(),
        Mask::of(dropout),
        dropout.is_some(),
        element(drive),
    );
    y
}

/// Back through the gate: dz, the gradient of y after dropout, becomes y, the gate's drive becomes its gradient, and
/// the result is the gradient of x through the gate.
pub(super) fn gate_back(
    drive: &CubeTensor,
    gate: &CubeTensor,
    dz: &CubeTensor,
    dropout: Option<&DropoutMask>,
    place: &Place,
) -> CubeTensor {
    let dx = empty(drive, drive.meta.shape().clone(), drive.dtype);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    close_gate::launch(
        &client,
        cubes,
        units,
        vector(drive, place),
        drive.clone().into_buffer_arg(),
        gate.clone().into_buffer_arg(),
        dz.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        place.launch(),
        Mask::of(dropout),
        dropout.is_some(),
        element(drive),
    );
    dx
}

/// The positive part of a drive, in its place.
pub(super) fn relu(drive: &CubeTensor, place: &Place) {
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    keep_positive::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        place.launch(),
        element(drive),
    );
}

/// The gradient of the drive from that of x, `[B, H, T, N]`, to `[H, B, T, N]` in the type of the drive.
pub(super) fn relu_back(drive: &CubeTensor, d: CubeTensor, place: &Place) -> CubeTensor {
    let d = contiguous(d);
    let dx = empty(drive, drive.meta.shape().clone(), drive.dtype);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    where_positive::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        d.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        place.launch(),
        element(drive),
        element(&d),
    );
    dx
}

/// Keeps a gradient where the drive is positive, in its place.
pub(super) fn keep_active(drive: &CubeTensor, dx: &CubeTensor, place: &Place) {
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    zero_silent::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        place.launch(),
        element(drive),
    );
}

/// Entries above zero of x and of y, before dropout: `[rows, 2]`.
pub(super) fn count(drive: &CubeTensor, gate: &CubeTensor, place: &Place) -> CubeTensor {
    let counts = empty(drive, [place.rows(), 2], DType::U32);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    count_active::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        gate.clone().into_buffer_arg(),
        counts.clone().into_buffer_arg(),
        place.launch(),
        element(drive),
    );
    counts
}

/// Neurons that a unit reads at once: a whole number of pairs, as many as the device moves best.
fn vector(drive: &CubeTensor, place: &Place) -> usize {
    let sizes = drive.client.io_optimized_vector_sizes(drive.dtype.size());
    let fits =
        |size: &usize| *size > 2 && size.is_multiple_of(2) && place.sizes.neurons.is_multiple_of(*size);
    sizes.into_iter().find(fits).unwrap_or(2)
}

impl Place {
    pub(super) fn launch(&self) -> RowsLaunch {
        RowsLaunch::new(
            self.sizes.heads,
            self.sizes.lanes,
            self.tokens.len(),
            self.sizes.tokens,
            self.tokens.start,
            self.sizes.neurons,
        )
    }
}

impl Mask {
    fn of(dropout: Option<&DropoutMask>) -> MaskLaunch {
        let (seed, threshold, scale) = dropout.map_or((0, 0, 0.0), DropoutMask::parts);
        MaskLaunch::new(seed as u32, (seed >> 32) as u32, threshold, scale as f32)
    }
}
