//! Sum of the squares of a tensor's entries, in f64, for the norm of a gradient.
//!
//! On the processor it is one pass in parallel over chunks of a fixed size, so that the order of the sum does not
//! depend on the number of threads (`cpu.rs`); elsewhere it is tensor operations (`reference.rs`).

pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
pub mod reference;

use crate::backend::{DragonBackend, Operation, on_backends};
use burn::tensor::Tensor;

/// Sum of `x^2` over all entries, without autodiff.
pub fn sum_of_squares(x: Tensor<1>) -> f64 {
    on_backends!(B, x = x => on_backend::<B>(x)).unwrap_or_else(reference::sum_of_squares)
}

/// The sum over a tensor without autodiff on a backend; the tensor again where it is none.
fn on_backend<B: DragonBackend>(x: Tensor<1>) -> Result<f64, Tensor<1>> {
    if x.is_autodiff() || !B::computes(Operation::SumOfSquares, x.dtype()) {
        return Err(x);
    }
    Ok(B::sum_of_squares(B::take(x)?.numbers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn tensor(values: Vec<f32>) -> Tensor<1> {
        let size = values.len();
        Tensor::from_data(TensorData::new(values, [size]), &Device::flex())
    }

    #[test]
    fn it_is_the_definition_on_every_size() {
        for size in [1, 31, 32, 33, 16_384, 300_001] {
            let x = tensor(
                (0..size as u64)
                    .map(|i| ((i * i % 1013) as f32 - 500.0) / 300.0)
                    .collect(),
            );
            let (given, expected) = (sum_of_squares(x.clone()), reference::sum_of_squares(x));
            assert!(
                (given - expected).abs() < 1e-5 * expected,
                "{size}: {given}, {expected}"
            );
        }
    }

    /// In f32 a sum stops growing at 2^24; and squares of 1e20 are beyond its range.
    #[test]
    fn it_neither_stalls_nor_overflows() {
        assert_eq!(
            sum_of_squares(tensor(vec![1.0; (1 << 24) + 5])),
            f64::from((1 << 24) + 5)
        );
        assert!((sum_of_squares(tensor(vec![1e20; 3])) / 3e40 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_not_finite_shows() {
        assert!(sum_of_squares(tensor(vec![1.0, f32::NAN])).is_nan());
        assert!(sum_of_squares(tensor(vec![f32::NEG_INFINITY])).is_infinite());
    }
}
