//! Products that skip zeros against sums in f64, and when they pay.

use super::*;
use crate::buffer::Buffer;
use crate::matrix::Matrix;
use std::time::Instant;

fn numbers(count: usize, density: f64, seed: u64) -> Buffer {
    let mut buffer = Buffer::zeros(count);
    for (i, value) in buffer.iter_mut().enumerate() {
        let word = crate::mix::mix(seed ^ (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let share = (word >> 40) as f64 / f64::from(1 << 24);
        let fires = (word & 0xFFFF) as f64 / 65536.0 < density;
        *value = if fires { share as f32 + 0.01 } else { 0.0 };
    }
    buffer
}

/// The three products against sums in f64, over densities, ragged strips and every block of vectors.
#[test]
fn products_that_skip_zeros_equal_those_that_do_not() {
    for (case, &(tokens, columns, width)) in [
        (1, 1, 16),
        (3, 64, 48),
        (65, 70, 128),
        (130, 130, 240),
        (64, 128, 64),
    ]
    .iter()
    .enumerate()
    {
        for density in [0.0, 0.03, 0.4, 1.0] {
            let tile = numbers(tokens * columns, density, case as u64);
            let weights = numbers(columns * width, 1.0, 77);
            let right = numbers(tokens * width, 1.0, 99);
            let mut pattern = Pattern::default();
            pattern.mark(&tile, columns);
            assert_eq!(pattern.active(), tile.iter().filter(|x| **x > 0.0).count() as u64);

            let mut into = Buffer::zeros(tokens * width);
            pattern.add_rows(&tile, &weights, &mut into, width);
            assert_close(&into, |i| {
                let (t, d) = (i / width, i % width);
                (0..columns)
                    .map(|n| f64::from(tile[t * columns + n]) * f64::from(weights[n * width + d]))
                    .sum()
            });

            let mut into = Buffer::zeros(columns * width);
            pattern.add_columns(&tile, &right, &mut into, width);
            assert_close(&into, |i| {
                let (n, d) = (i / width, i % width);
                (0..tokens)
                    .map(|t| f64::from(tile[t * columns + n]) * f64::from(right[t * width + d]))
                    .sum()
            });

            let mut into = Buffer::zeros(tokens * columns);
            into.fill(-1.0);
            pattern.dots(&right, &weights, &mut into, width);
            assert_close(&into, |i| {
                let (t, n) = (i / columns, i % columns);
                if tile[i] > 0.0 {
                    (0..width)
                        .map(|d| f64::from(right[t * width + d]) * f64::from(weights[n * width + d]))
                        .sum()
                } else {
                    -1.0
                }
            });
        }
    }
}

fn assert_close(given: &[f32], expected: impl Fn(usize) -> f64) {
    for (i, given) in given.iter().enumerate() {
        let expected = expected(i);
        assert!(
            (f64::from(*given) - expected).abs() <= 1e-5 * expected.abs(),
            "{i}: {given} {expected}"
        );
    }
}

/// Prints how long each product takes beside the one that skips nothing, for the constants of this file:
/// `cargo test --release -p burn_dragon_kernel --lib break_even -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn break_even() {
    const TOKENS: usize = 256;
    const COLUMNS: usize = 256;
    for width in [64, 128, 256] {
        let matrix = |rows, seed| numbers(rows * width, 1.0, seed);
        let (weights, right) = (matrix(COLUMNS, 77), matrix(TOKENS, 99));
        let (mut wide, mut rows) = (matrix(TOKENS, 1), matrix(COLUMNS, 2));
        for density in [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6] {
            let tile = numbers(TOKENS * COLUMNS, density, 5);
            let mut out = tile.clone();
            let mut pattern = Pattern::default();
            pattern.mark(&tile, COLUMNS);
            let view = |data, rows, columns| Matrix::new(data, rows, columns, columns);
            let ratios = [
                ratio(
                    || pattern.add_rows(&tile, &weights, &mut wide, width),
                    |into| {
                        Precision::F32.multiply(
                            into,
                            width,
                            view(&tile, TOKENS, COLUMNS),
                            view(&weights, COLUMNS, width),
                            true,
                        )
                    },
                    TOKENS * width,
                ),
                ratio(
                    || pattern.dots(&right, &weights, &mut out, width),
                    |into| {
                        let weights = view(&weights, COLUMNS, width).transposed();
                        Precision::F32.multiply(into, COLUMNS, view(&right, TOKENS, width), weights, false);
                    },
                    TOKENS * COLUMNS,
                ),
                ratio(
                    || pattern.add_columns(&tile, &right, &mut rows, width),
                    |into| {
                        let tile = view(&tile, TOKENS, COLUMNS).transposed();
                        Precision::F32.multiply(into, width, tile, view(&right, TOKENS, width), true);
                    },
                    COLUMNS * width,
                ),
            ];
            let [rows, dots, columns] = ratios;
            println!(
                "width {width} density {density}: rows {rows:.2} dots {dots:.2} columns {columns:.2} of dense"
            );
        }
    }
}

/// The best time of one product over that of another, measured in turn.
fn ratio(mut sparse: impl FnMut(), dense: impl Fn(&mut [f32]), size: usize) -> f64 {
    let mut into = Buffer::zeros(size);
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    for _ in 0..30 {
        let start = Instant::now();
        sparse();
        ours = ours.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        dense(&mut into);
        theirs = theirs.min(start.elapsed().as_secs_f64());
    }
    ours / theirs
}
