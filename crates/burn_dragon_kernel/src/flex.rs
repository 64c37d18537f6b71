//! Tensors of the processor as plain memory, and back.

use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;

/// Contiguous memory; nobody else holds it if nobody else held the tensor.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// A tensor from plain memory.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
