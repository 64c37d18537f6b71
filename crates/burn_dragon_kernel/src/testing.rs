//! Helpers for the tests of several operations.

use burn::backend::Flex;
use burn::tensor::{Device, Float, Tensor, TensorData};
use burn_flex::FlexTensor;

/// A deterministic tensor of numbers around zero.
pub(crate) fn numbers<const R: usize>(
    shape: [usize; R],
    seed: u64,
    scale: f64,
    device: &Device,
) -> Tensor<R> {
    let size = shape.iter().product::<usize>() as u64;
    let value = |index: u64| {
        let hash = crate::mix::mix(crate::mix::mix(seed) ^ index);
        (((hash >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * scale) as f32
    };
    Tensor::from_data(
        TensorData::new((0..size).map(value).collect::<Vec<_>>(), shape),
        device,
    )
}

/// A tensor's entries.
pub(crate) fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Panics unless two arrays agree to 2e-6 of the norm of the second.
#[track_caller]
pub(crate) fn close(what: &str, fast: &[f32], slow: &[f32]) {
    assert_eq!(fast.len(), slow.len());
    let norm =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let error = norm(&mut fast.iter().zip(slow).map(|(a, b)| a - b));
    let size = norm(&mut slow.iter().copied());
    assert!(
        error <= 2e-6 * size + 1e-9,
        "{what} of {} entries: off by {error:e} of {size:e}",
        slow.len()
    );
}

/// Contiguous memory of a tensor on the processor without autodiff. It is shared only if the tensor was.
///
/// # Panics
/// If the tensor is another one.
pub(crate) fn memory<const R: usize>(tensor: Tensor<R>) -> FlexTensor {
    let memory = Tensor::<R, Float>::try_into_primitive::<Flex>(tensor);
    memory.expect("a plain tensor").to_contiguous()
}
