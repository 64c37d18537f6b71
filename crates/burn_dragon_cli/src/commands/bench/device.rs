//! Peak speed of a GPU as Burn reaches it: a large square product, and a copy of a large buffer.

use burn::tensor::{DType, Device, Tensor};
use std::time::Instant;

/// How FLOP/s are measured.
pub(super) const PRODUCT: &str = "a square product";

/// Rows of the first product, and of the one that counts where a device is fast enough for it.
const SIZES: [usize; 2] = [512, 4096];

/// Bytes of the buffer copied first, and of the one that counts where a device is fast enough for it.
const BUFFERS: [usize; 2] = [16 << 20, 512 << 20];

/// Longest time that a round of the larger size may take by the smaller one's rate, in seconds.
const PATIENCE: f64 = 0.1;

/// Time of a measurement: the work is repeated until it takes this long, in seconds.
const SPAN: f64 = 0.02;

/// What a device does at best.
pub(super) struct Peaks {
    pub(super) f32_flops_per_second: f64,
    /// None where the device has no tensors of bf16.
    pub(super) bf16_flops_per_second: Option<f64>,
    /// Bytes read and bytes written, together.
    pub(super) memory_bytes_per_second: f64,
}

/// Measures a device.
///
/// # Errors
/// If the device fails.
pub(super) fn peaks(device: &Device) -> anyhow::Result<Peaks> {
    let bf16 = device.supports_dtype(DType::BF16);
    Ok(Peaks {
        f32_flops_per_second: rate(SIZES, |size| product(size, DType::F32, device))?,
        bf16_flops_per_second: bf16
            .then(|| rate(SIZES, |size| product(size, DType::BF16, device)))
            .transpose()?,
        memory_bytes_per_second: rate(BUFFERS, |size| copy(size, device))?,
    })
}

/// Rate of the larger size, or of the smaller one on a slow device.
fn rate(sizes: [usize; 2], measure: impl Fn(usize) -> anyhow::Result<Measured>) -> anyhow::Result<f64> {
    let [small, large] = sizes;
    let first = measure(small)?;
    let growth = (large as f64 / small as f64).powi(first.order);
    if first.amount * growth / first.rate() > PATIENCE {
        return Ok(first.rate());
    }
    Ok(measure(large)?.rate())
}

/// Seconds that an amount of work took at best.
struct Measured {
    amount: f64,
    seconds: f64,
    /// Power of the size that the amount grows with.
    order: i32,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.amount / self.seconds
    }
}

/// A product of two square matrices, its FLOPs.
fn product(size: usize, dtype: DType, device: &Device) -> anyhow::Result<Measured> {
    let matrix = Tensor::<2>::ones([size, size], device).cast(dtype);
    let seconds = best(device, || drop(matrix.clone().matmul(matrix.clone())))?;
    Ok(Measured {
        amount: 2.0 * (size as f64).powi(3),
        seconds,
        order: 3,
    })
}

/// A buffer read, and another one of the same size written: bytes of both.
fn copy(size: usize, device: &Device) -> anyhow::Result<Measured> {
    let buffer = Tensor::<1>::ones([size / size_of::<f32>()], device);
    let seconds = best(device, || drop(buffer.clone() + 1.0))?;
    Ok(Measured {
        amount: 2.0 * size as f64,
        seconds,
        order: 1,
    })
}

/// Seconds of one round of `work` at best, from repetitions without a wait between them. The first round tunes.
fn best(device: &Device, work: impl Fn()) -> anyhow::Result<f64> {
    let time = |rounds: u32| -> anyhow::Result<f64> {
        device.sync()?;
        let started = Instant::now();
        for _ in 0..rounds {
            work();
            device.flush()?; // so that rounds are not fused with each other
        }
        device.sync()?;
        Ok(started.elapsed().as_secs_f64())
    };
    time(1)?;
    let one = time(1)?;
    let rounds = (SPAN / one.max(1e-9)).ceil().clamp(1.0, 10_000.0) as u32;
    let mut best = one;
    for _ in 0..3 {
        best = best.min(time(rounds)? / f64::from(rounds));
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_device_is_measured_at_the_smaller_size_only() {
        let measured = |seconds_of_one: f64| {
            rate([2, 4], |size| {
                Ok(Measured {
                    amount: size as f64,
                    seconds: size as f64 * seconds_of_one / if size == 4 { 2.0 } else { 1.0 },
                    order: 1,
                })
            })
            .unwrap()
        };
        assert_eq!(measured(1.0), 1.0);
        assert_eq!(measured(1e-3), 2e3, "a larger size fills a fast device better");
    }

    #[test]
    fn a_product_and_a_copy_are_rates_of_what_they_move() {
        let device = Device::flex();
        let (product, copy) = (
            product(64, DType::F32, &device).unwrap(),
            copy(4096, &device).unwrap(),
        );
        assert_eq!((product.amount, copy.amount), (2.0 * 64f64.powi(3), 8192.0));
        assert!(product.rate() > 0.0 && copy.rate().is_finite() && copy.rate() > 0.0);
    }
}
