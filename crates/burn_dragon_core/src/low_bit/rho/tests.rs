//! Formats of memory against plain definitions, number by number.

use super::config::{RhoCompression, RhoPrecision};
use crate::seed::Rng;
use burn::tensor::{DType, Device, Tensor, TensorData};

const SHAPE: [usize; 4] = [2, 2, 6, 40]; // blocks of 32 and of 8

fn tensor(numbers: &[f64], shape: [usize; 4], dtype: DType) -> Tensor<4> {
    let data = TensorData::new(numbers.to_vec(), shape).convert_dtype(dtype);
    Tensor::from_data(data, (&Device::flex(), dtype))
}

fn values(tensor: Tensor<4>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

/// A memory whose numbers have many sizes, with a block of zeros; each is one of f32.
fn memory() -> Vec<f64> {
    let mut rng = Rng::new(3);
    let count = SHAPE.iter().product();
    (0..count)
        .map(|index| match index < 32 {
            true => 0.0,
            false => f64::from((rng.normal() * (4.0 * rng.normal()).exp()) as f32),
        })
        .collect()
}

#[track_caller]
fn near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let apart = (found - expected).abs();
        assert!(
            apart <= tolerance * expected.abs().max(1e-300),
            "{what} {index}: {found} {expected}"
        );
    }
}

/// The nearest of all numbers of e4m3, ties to the one with an even last bit.
fn e4m3(x: f64) -> f64 {
    let mut numbers: Vec<f64> = (0..8).map(|m| f64::from(m) / 512.0).collect();
    for exponent in -6..=8 {
        numbers.extend((8..16).map(|m| f64::from(m) / 8.0 * 2f64.powi(exponent)));
    }
    numbers.pop(); // 480 is not a number
    let size = x.abs();
    let place = numbers.partition_point(|number| *number < size);
    let nearest = match (place.checked_sub(1), numbers.get(place)) {
        (_, None) => 448.0,
        (None, Some(number)) => *number,
        (Some(below), Some(above)) => {
            let (low, high) = (numbers[below], *above);
            match (size - low).total_cmp(&(high - size)) {
                std::cmp::Ordering::Less => low,
                std::cmp::Ordering::Greater => high,
                std::cmp::Ordering::Equal if below % 2 == 0 => low,
                std::cmp::Ordering::Equal => high,
            }
        }
    };
    nearest * x.signum()
}

/// Blocks of rows, each after a change.
fn by_blocks(numbers: &[f64], change: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let rows = numbers.chunks(SHAPE[3]);
    rows.flat_map(|row| row.chunks(32).flat_map(&change).collect::<Vec<_>>())
        .collect()
}

fn largest(block: &[f64]) -> f64 {
    block.iter().fold(1e-30, |most, x| most.max(x.abs()))
}

fn mean(block: &[f64]) -> f64 {
    block.iter().map(|x| x.abs()).sum::<f64>() / block.len() as f64
}

#[test]
fn fp8_is_the_nearest_number_of_the_format() {
    // Ties, the smallest numbers, the largest, and powers of 2 with their neighbours.
    let mut numbers = vec![
        0.0,
        1.0625,
        1.1875,
        447.0,
        448.0,
        465.0,
        1e9,
        0.0009765625,
        0.0029296875,
    ];
    for exponent in -12..10 {
        let power = f64::from(2f32.powi(exponent));
        numbers.extend([
            power,
            f64::from(power as f32 * 0.999_999_9),
            f64::from(power as f32 * 1.000_000_1),
        ]);
    }
    numbers.extend(memory());
    let signs = numbers.iter().map(|x| -x).collect::<Vec<_>>();
    numbers.extend(signs);
    let expected: Vec<f64> = numbers.iter().map(|x| e4m3(*x)).collect();
    for dtype in [DType::F32, DType::F64] {
        let found = RhoPrecision::Fp8Exp.of(tensor(&numbers, [1, 1, 1, numbers.len()], dtype));
        near("fp8", &values(found), &expected, 0.0);
    }
    assert_eq!((e4m3(1.0625), e4m3(1.1875), e4m3(465.0)), (1.0, 1.25, 448.0));
}

#[test]
fn bf16_has_eight_significant_bits() {
    let numbers = memory();
    let expected: Vec<f64> = numbers
        .iter()
        .map(|x| {
            let bits = (*x as f32).to_bits();
            let even = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000;
            f64::from(f32::from_bits(even))
        })
        .collect();
    let found = RhoPrecision::Bf16.of(tensor(&numbers, SHAPE, DType::F32));
    near("cast", &values(found), &expected, 0.0);
    // The form of devices without numbers of bf16.
    for dtype in [DType::F32, DType::F64] {
        let found = super::formats::in_bits(tensor(&numbers, SHAPE, dtype), 8.0, -126.0);
        near("in bits", &values(found), &expected, 0.0);
    }
}

#[test]
fn blocks_have_their_codes() {
    let numbers = memory();
    let unit = |block: &[f64]| 2f64.powf(largest(block).log2().floor());
    type Code<'a> = (
        &'a str,
        Box<dyn Fn(Tensor<4>) -> Tensor<4>>,
        Box<dyn Fn(&[f64]) -> Vec<f64>>,
    );
    let precision = |precision: RhoPrecision| move |rho| precision.of(rho);
    let compression = |compression: RhoCompression| move |rho| compression.of(rho, None);
    let each =
        |block: &[f64], change: &dyn Fn(f64) -> f64| block.iter().map(|x| change(*x)).collect::<Vec<_>>();
    let int8 = move |block: &[f64]| {
        let most = largest(block);
        each(block, &|x| (x * 127.0 / most).round_ties_even() * most / 127.0)
    };
    let codes: [Code<'_>; 8] = [
        (
            "int8",
            Box::new(precision(RhoPrecision::Int8BlockExp)),
            Box::new(int8),
        ),
        (
            "int8",
            Box::new(compression(RhoCompression::Int8BlockExp)),
            Box::new(int8),
        ),
        (
            "mxfp8",
            Box::new(precision(RhoPrecision::Blockfp8Exp)),
            Box::new(move |block| {
                let unit = unit(block) / 256.0;
                each(block, &|x| e4m3(x / unit) * unit)
            }),
        ),
        (
            "fp8",
            Box::new(compression(RhoCompression::Fp8BlockExp)),
            Box::new(move |block| {
                let unit = largest(block) / 448.0;
                each(block, &|x| e4m3(x / unit) * unit)
            }),
        ),
        (
            "ternary",
            Box::new(compression(RhoCompression::TernaryBlockExp)),
            Box::new(move |block| {
                let unit = mean(block).max(1e-30);
                each(block, &|x| (x / unit).round_ties_even().clamp(-1.0, 1.0) * unit)
            }),
        ),
        (
            "binary",
            Box::new(compression(RhoCompression::BinaryBlockExp)),
            Box::new(move |block| {
                let unit = mean(block);
                each(block, &|x| if x < 0.0 { -unit } else { unit })
            }),
        ),
        (
            "block fp",
            Box::new(compression(RhoCompression::BlockfpExp)),
            Box::new(move |block| {
                let unit = unit(block) / 64.0;
                each(block, &|x| {
                    (x / unit).round_ties_even().clamp(-127.0, 127.0) * unit
                })
            }),
        ),
        (
            "positive",
            Box::new(compression(RhoCompression::SparsePositiveExp)),
            Box::new(move |block| {
                let most = block.iter().fold(1e-30, |most: f64, x| most.max(*x));
                each(block, &|x| {
                    (x.max(0.0) * 255.0 / most).round_ties_even() * most / 255.0
                })
            }),
        ),
    ];
    for (what, code, defined) in codes {
        let expected = by_blocks(&numbers, defined);
        near(
            what,
            &values(code(tensor(&numbers, SHAPE, DType::F64))),
            &expected,
            1e-12,
        );
        near(
            what,
            &values(code(tensor(&numbers, SHAPE, DType::F32))),
            &expected,
            1e-6,
        );
    }
}

#[test]
fn the_larger_half_of_the_blocks_of_a_head_stays() {
    let mut rng = Rng::new(5);
    let shape = [1, 2, 4, 64];
    let numbers: Vec<f64> = (0..512).map(|_| rng.normal()).collect();
    let found = values(RhoPrecision::SparseTileExp.of(tensor(&numbers, shape, DType::F64)));
    for (head, found) in numbers.chunks(256).zip(found.chunks(256)) {
        let size = |block: &[f64]| block.iter().map(|x| x * x).sum::<f64>();
        let mut sizes: Vec<f64> = head.chunks(32).map(size).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        for (block, found) in head.chunks(32).zip(found.chunks(32)) {
            match size(block) >= sizes[3] {
                true => assert_eq!(block, found),
                false => assert_eq!([0.0; 32], found),
            }
        }
    }
}

/// A change in few directions is kept, and of any other what the best 8 directions hold.
#[test]
fn a_change_of_low_rank_is_kept() {
    let mut rng = Rng::new(7);
    let shape = [2, 1, 50, 16];
    let mut drawn = |count: usize| -> Vec<f64> { (0..count).map(|_| rng.normal()).collect() };
    let before = tensor(&drawn(1600), shape, DType::F64) * 3.0;
    let (left, right) = (
        tensor(&drawn(2 * 50 * 5), [2, 1, 50, 5], DType::F64),
        tensor(&drawn(2 * 5 * 16), [2, 1, 5, 16], DType::F64),
    );
    let after = before.clone() + left.matmul(right);
    let found = RhoCompression::LowrankDeltaExp.of(after.clone(), Some(before.clone()));
    let apart = values(found - after.clone());
    assert!(apart.iter().all(|x| x.abs() < 1e-8), "{apart:?}");

    // Directions of their own, eight of them with sizes of 10 to 17, and four below 1: the eight stay.
    let size = |index: usize| {
        if index < 8 {
            10.0 + index as f64
        } else {
            1.0 / index as f64
        }
    };
    let mut numbers = vec![0.0; 12 * 16];
    (0..12).for_each(|index| numbers[index * 17] = size(index));
    let before = tensor(&drawn(192), [1, 1, 12, 16], DType::F64) * 100.0;
    let after = before.clone() + tensor(&numbers, [1, 1, 12, 16], DType::F64);
    let found = values(RhoCompression::LowrankDeltaExp.of(after, Some(before.clone())) - before);
    let kept: Vec<f64> = numbers
        .iter()
        .map(|x| if *x >= 10.0 { *x } else { 0.0 })
        .collect();
    for (found, kept) in found.iter().zip(&kept) {
        assert!((found - kept).abs() < 1e-6, "{found} {kept}");
    }

    // After a reset nothing of the memory before stays.
    let fresh = tensor(&drawn(192), [1, 1, 12, 16], DType::F64);
    let old = tensor(&drawn(192), [1, 1, 12, 16], DType::F64) * 100.0;
    let found = RhoCompression::LowrankDeltaExp.of(fresh.clone(), Some(old));
    assert!(values(found).iter().all(|x| x.abs() < 5.0));
}
