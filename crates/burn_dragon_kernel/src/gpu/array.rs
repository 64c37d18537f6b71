//! Arrays on the device: memory, element types and launches.

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::{empty_device_contiguous_dtype, zeros_client};
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::{ElemType, FloatKind, IntKind};
use cubecl::prelude::{Client, CubeCount, CubeDim};
use std::ops::Range;

/// Units of a cube: a power of two that every device has.
pub(crate) const UNITS: u32 = 256;

/// Contiguous memory of a tensor.
pub(crate) fn contiguous(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(tensor)
}

/// Contiguous memory of a tensor that nothing else reads, to be written in place; a copy where another tensor shares it.
pub(crate) fn owned(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// Contiguous memory, not initialised, on the device of another tensor.
pub(crate) fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), dtype)
}

/// Number of entries.
pub(crate) fn entries(tensor: &CubeTensor) -> usize {
    tensor.meta.shape().num_elements()
}

/// Number of rows and of entries of a row.
pub(crate) fn rows(tensor: &CubeTensor) -> [usize; 2] {
    let width = tensor.meta.shape().last().copied().unwrap_or(1);
    [entries(tensor) / width.max(1), width]
}

/// Element type of a tensor in kernels, for the types that [`computes`](crate::backend::DragonBackend::computes) and the
/// contracts of the operations let through.
pub(crate) fn element(tensor: &CubeTensor) -> ElemType {
    match tensor.dtype {
        DType::F32 => ElemType::Float(FloatKind::F32),
        DType::F16 => ElemType::Float(FloatKind::F16),
        DType::BF16 => ElemType::Float(FloatKind::BF16),
        DType::I32 => ElemType::Int(IntKind::I32),
        DType::I64 => ElemType::Int(IntKind::I64),
        other => unreachable!("{other:?} is computed by the reference"),
    }
}

/// A launch with a unit for each of `count` entries, at least.
pub(crate) fn for_entries(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(UNITS);
    (calculate_cube_count_elemwise(client, count, dim), dim)
}

/// A launch with a cube of [`UNITS`] for each of `count` rows, at least.
pub(crate) fn for_rows(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    for_entries(client, count * UNITS as usize)
}

/// A launch with a team of units, which divides [`UNITS`], for each of `count` entries, at least.
pub(crate) fn for_teams(client: &Client, count: usize, team: usize) -> (CubeCount, CubeDim) {
    for_entries(client, count * team)
}

/// Units of a team that sums `terms`: a power of two, and no more than read memory together.
pub(crate) fn team_for(terms: usize) -> usize {
    terms.next_power_of_two().min(32)
}

/// The same contiguous memory in another shape of as many entries.
pub(crate) fn shaped(tensor: CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    CubeTensor::new_contiguous(
        tensor.client.clone(),
        tensor.device.clone(),
        shape.into(),
        tensor.handle.clone(),
        tensor.dtype,
    )
}

/// The tensor in another type; itself, if it has that type.
pub(crate) fn cast(tensor: CubeTensor, dtype: DType) -> CubeTensor {
    if tensor.dtype == dtype {
        return tensor;
    }
    contiguous(burn_cubecl::kernel::cast(tensor, dtype))
}

/// The tensor with two axes exchanged, without a copy.
pub(crate) fn swapped(mut tensor: CubeTensor, axes: [usize; 2]) -> CubeTensor {
    tensor.meta.swap(axes[0], axes[1]);
    tensor
}

/// Part of an axis of contiguous memory, without a copy; none where the device cannot bind memory at its start.
pub(crate) fn part(tensor: &CubeTensor, axis: usize, range: Range<usize>) -> Option<CubeTensor> {
    let bytes = (tensor.meta.strides()[axis] * range.start * tensor.dtype.size()) as u64;
    let alignment = tensor.client.properties().memory.alignment;
    if !bytes.is_multiple_of(alignment) {
        return None;
    }
    let mut part = tensor.clone();
    part.handle = part.handle.offset_start(bytes);
    part.meta.shape[axis] = range.len();
    Some(part)
}

/// Plain numbers on the device of another tensor.
pub(crate) fn upload(like: &CubeTensor, bytes: &[u8], entries: usize, dtype: DType) -> CubeTensor {
    let handle = like.client.create_from_slice(bytes);
    CubeTensor::new_contiguous(
        like.client.clone(),
        like.device.clone(),
        Shape::new([entries]),
        handle,
        dtype,
    )
}

/// Zeros in f32, on the device of another tensor.
pub(crate) fn zeros(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    contiguous(zeros_client(
        like.client.clone(),
        like.device.clone(),
        shape.into(),
        DType::F32,
    ))
}
