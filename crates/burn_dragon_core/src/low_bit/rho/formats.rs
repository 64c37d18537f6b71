//! Formats of a memory's numbers: each function gives the numbers that a code stands for.
//!
//! ```text
//! int8        round(x s) / s                s = 127 / max |x|
//! ternary     g clip(round(x / g), -1, 1)   g = mean |x|
//! binary      g, or -g where x < 0          g = mean |x|
//! block fp    clip(round(x / u), -127, 127) u     u = 2^(floor(log2 max |x|) - 6)
//! e4m3        round(x / u) u, at most 448   u = 2^(max(floor(log2 |x|), -6) - 3)
//! mxfp8       e4m3(x / p) p                 p = 2^(floor(log2 max |x|) - 8)
//! fp8 block   e4m3(x s) / s                 s = 448 / max |x|
//! positive    round(max(x, 0) s) / s        s = 255 / max x
//! ```
//!
//! Maxima and means are over a block: 32 numbers of a row, or fewer at its end. All round half to even.

use super::config::{RhoCompression, RhoPrecision};
use super::low_rank::of_change;
use burn::tensor::{DType, Int, Tensor, TensorData};

/// Numbers of a block.
const BLOCK: usize = 32;

/// Largest number of e4m3.
const MOST_FP8: f64 = 448.0;

/// Least scale, of blocks that are all 0.
const LEAST: f64 = 1e-30;

/// Least exponent of a normal number in f32.
const LEAST_EXPONENT: f64 = -126.0;

impl RhoPrecision {
    /// A memory, `[B, H, K, D]`, in this precision.
    pub(super) fn of(self, rho: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Fp32 => rho,
            Self::Bf16 => bf16(rho),
            Self::Fp8Exp => e4m3(rho),
            Self::Int8BlockExp => in_blocks(rho, int8),
            Self::Blockfp8Exp => in_blocks(rho, |x| {
                let unit = power_of_2(exponent(largest(&x)) - 8.0);
                e4m3(x / unit.clone()) * unit
            }),
            Self::SparseTileExp => larger_half(&rho),
        }
    }
}

impl RhoCompression {
    /// A memory, `[B, H, K, D]`, in this code; `before` is the one before the edge.
    pub(super) fn of(self, rho: Tensor<4>, before: Option<Tensor<4>>) -> Tensor<4> {
        match self {
            Self::None => rho,
            Self::Fp8BlockExp => in_blocks(rho, |x| {
                let per_unit = largest(&x).recip() * MOST_FP8;
                e4m3(x * per_unit.clone()) / per_unit
            }),
            Self::Int8BlockExp => in_blocks(rho, int8),
            Self::TernaryBlockExp => in_blocks(rho, |x| {
                let unit = mean(&x);
                (x / unit.clone()).round().clamp(-1.0, 1.0) * unit
            }),
            Self::BinaryBlockExp => in_blocks(rho, |x| {
                let sign = x.clone().sign();
                (sign.clone() + 1.0 - sign.abs()) * x.abs().mean_dim(2) // 0 is positive
            }),
            Self::BlockfpExp => in_blocks(rho, |x| {
                let unit = power_of_2(exponent(largest(&x)) - 6.0);
                (x / unit.clone()).round().clamp(-127.0, 127.0) * unit
            }),
            Self::SparsePositiveExp => in_blocks(rho, |x| {
                let x = x.clamp_min(0.0);
                let per_unit = largest(&x).recip() * 255.0;
                (x * per_unit.clone()).round() / per_unit
            }),
            Self::LowrankDeltaExp => of_change(rho, before),
        }
    }
}

/// Rows of a memory, block by block: `change` has `[rows, blocks, size]`.
fn in_blocks(rho: Tensor<4>, change: impl Fn(Tensor<3>) -> Tensor<3>) -> Tensor<4> {
    let dims = rho.dims();
    let (rows, width) = (dims[0] * dims[1] * dims[2], dims[3]);
    let flat: Tensor<2> = rho.reshape([rows, width]);
    let part = |first: usize, blocks: usize, size: usize| {
        let numbers = flat.clone().narrow(1, first, blocks * size);
        change(numbers.reshape([rows, blocks, size])).reshape([rows, blocks * size])
    };
    let (blocks, rest) = (width / BLOCK, width % BLOCK);
    let whole = (blocks > 0).then(|| part(0, blocks, BLOCK));
    let smaller = (rest > 0).then(|| part(blocks * BLOCK, 1, rest));
    let parts: Vec<Tensor<2>> = whole.into_iter().chain(smaller).collect();
    Tensor::cat(parts, 1).reshape(dims)
}

/// Largest size in each block, `[rows, blocks, 1]`.
fn largest(x: &Tensor<3>) -> Tensor<3> {
    x.clone().abs().max_dim(2).clamp_min(LEAST)
}

/// Mean size in each block, `[rows, blocks, 1]`.
fn mean(x: &Tensor<3>) -> Tensor<3> {
    x.clone().abs().mean_dim(2).clamp_min(LEAST)
}

fn int8(x: Tensor<3>) -> Tensor<3> {
    let per_unit = largest(&x).recip() * 127.0;
    (x * per_unit.clone()).round() / per_unit
}

/// bf16, where the device has it by its own numbers.
fn bf16(rho: Tensor<4>) -> Tensor<4> {
    let dtype = rho.dtype();
    match rho.device().supports_dtype(DType::BF16) {
        true => rho.cast(DType::BF16).cast(dtype),
        false => in_bits(rho, 8.0, LEAST_EXPONENT),
    }
}

fn e4m3<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    in_bits(x, 4.0, -6.0).clamp(-MOST_FP8, MOST_FP8)
}

/// Numbers of so many significant bits, half to even; below two to the power of `least` they have equal steps.
pub(super) fn in_bits<const R: usize>(x: Tensor<R>, bits: f64, least: f64) -> Tensor<R> {
    let unit = power_of_2(exponent(x.clone().abs()).clamp_min(least) - (bits - 1.0));
    (x / unit.clone()).round() * unit
}

/// `floor(log2 x)` of non-negative numbers, exactly, at least -126.
fn exponent<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    let x = x.clamp_min(f64::from(f32::MIN_POSITIVE));
    let near = (x.clone().log() / std::f64::consts::LN_2).floor();
    // A logarithm near a whole number may be on its other side.
    let (power, dtype) = (power_of_2(near.clone()), x.dtype());
    let above = power.clone().greater(x.clone()).float().cast(dtype);
    let below = (power * 2.0).lower_equal(x).float().cast(dtype);
    near - above + below
}

/// `2^e` of whole numbers from -149 to 127, exactly, from a table.
fn power_of_2<const R: usize>(e: Tensor<R>) -> Tensor<R> {
    let (dims, dtype, device) = (e.dims(), e.dtype(), e.device());
    let powers: Vec<f32> = (-149..=127).map(|e| 2f64.powi(e) as f32).collect();
    let count = powers.len();
    let table = TensorData::new(powers, [count]).convert_dtype(dtype);
    let table: Tensor<1> = Tensor::from_data(table, (&device, dtype));
    let places: Tensor<1, Int> = (e + 149.0)
        .clamp(0.0, 276.0)
        .int()
        .reshape([dims.iter().product::<usize>()]);
    table.select(0, places).reshape(dims)
}

/// The blocks of each head with the larger sums of squares, half of them; the others are 0.
fn larger_half(rho: &Tensor<4>) -> Tensor<4> {
    let dims = rho.dims();
    let sizes = in_blocks(rho.clone().square(), |x| {
        let of_blocks = x.dims();
        x.sum_dim(2).expand(of_blocks)
    });
    let numbers = dims[2] * dims[3];
    let of_heads: Tensor<2> = sizes.reshape([dims[0] * dims[1], numbers]);
    // Each block stands as often as it has numbers, so half of the numbers are half of the blocks.
    let sorted = of_heads.clone().sort_descending(1);
    let least = sorted.narrow(1, (numbers / 2).saturating_sub(1), 1); // [B H, 1]
    let kept = of_heads
        .greater_equal(least.expand([dims[0] * dims[1], numbers]))
        .float();
    rho.clone() * kept.cast(rho.dtype()).reshape(dims)
}
