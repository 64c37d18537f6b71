//! Conversion between tensors of the processor and plain memory.

use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;

/// Contiguous memory of a tensor; it is shared only if the tensor was.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// A tensor from plain memory.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
