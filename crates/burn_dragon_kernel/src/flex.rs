//! Tensors of the processor as plain memory, and back.

use burn::backend::autodiff::ops::NodeGuard;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Float, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;

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

/// The contiguous memory of an f32 tensor on the processor with autodiff, and its place in the graph; the tensor again
/// where it is another one. As with [`memory`], nobody else holds it if nobody else held the tensor.
pub(crate) fn tracked<const R: usize>(tensor: Tensor<R>) -> Result<(FlexTensor, NodeGuard), Tensor<R>> {
    if tensor.dtype() != DType::F32 {
        return Err(tensor);
    }
    match Tensor::<R, Float>::try_into_primitive::<Autodiff<Flex>>(tensor.clone()) {
        Ok(tracked) => {
            drop(tensor);
            let (memory, node) = tracked.into_parts();
            Ok((memory.to_contiguous(), node))
        }
        Err(_) => Err(tensor),
    }
}

/// The contiguous memory of a tensor on the processor without autodiff, of any type of numbers.
pub(crate) fn plain<const R: usize>(tensor: &Tensor<R>) -> Option<FlexTensor> {
    let tensor = Tensor::<R, Float>::try_into_primitive::<Flex>(tensor.clone()).ok()?;
    Some(tensor.to_contiguous())
}

/// A tensor on the processor with autodiff, of any type of numbers.
pub(crate) fn with_autodiff<const R: usize>(tensor: &Tensor<R>) -> Option<FloatTensor<Autodiff<Flex>>> {
    Tensor::<R, Float>::try_into_primitive::<Autodiff<Flex>>(tensor.clone()).ok()
}

/// A tensor from plain memory.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
