//! Tensors of the processor as plain memory, and back.

use burn::backend::Flex;
use burn::tensor::{DType, Float, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;

/// Contiguous memory; nobody else holds it if nobody else held the tensor.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// Whether a tensor is f32, on the processor, and without autodiff: what [`memory`] takes.
pub(crate) fn is_plain<const R: usize>(tensor: &Tensor<R>) -> bool {
    tensor.dtype() == DType::F32 && Tensor::<R, Float>::try_into_primitive::<Flex>(tensor.clone()).is_ok()
}

/// The contiguous memory of a tensor that [`is_plain`]. Nobody else holds it if nobody else held the tensor.
///
/// # Panics
/// If the tensor is another one.
#[allow(clippy::expect_used)]
pub(crate) fn memory<const R: usize>(tensor: Tensor<R>) -> FlexTensor {
    let memory = Tensor::<R, Float>::try_into_primitive::<Flex>(tensor);
    memory.expect("a plain tensor").to_contiguous()
}

/// A tensor from plain memory.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
