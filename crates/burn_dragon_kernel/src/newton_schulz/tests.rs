//! The iterations against plain loops in f64, and what they do to singular values.

use super::*;
use burn::tensor::{DType, Device, TensorData};

fn tensor(values: &[f64], shape: [usize; 3]) -> Tensor<3> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn values(tensor: Tensor<3>) -> Vec<f64> {
    let data = tensor.into_data().convert::<f64>();
    data.try_to_vec().unwrap()
}

/// Entries that repeat nowhere.
fn entries(count: usize) -> Vec<f64> {
    let entry = |i: usize| f64::from((i as f32 * 0.731 + 0.2).sin()) + 0.01 * (i % 7) as f64;
    (0..count).map(entry).collect()
}

/// The definition in f64, of one matrix.
fn defined(matrix: &[f64], rows: usize, columns: usize, iterations: usize) -> Vec<f64> {
    let norm = matrix.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-7;
    let mut x: Vec<f64> = matrix.iter().map(|x| x / norm).collect();
    let tall = rows > columns;
    let (m, n) = if tall { (columns, rows) } else { (rows, columns) };
    if tall {
        x = (0..m * n).map(|i| x[(i % n) * columns + i / n]).collect();
    }
    for _ in 0..iterations {
        let dot = |left: &dyn Fn(usize) -> f64, right: &dyn Fn(usize) -> f64, inner: usize| -> f64 {
            (0..inner).map(|k| left(k) * right(k)).sum()
        };
        let a: Vec<f64> = (0..m * m)
            .map(|i| dot(&|k| x[i / m * n + k], &|k| x[i % m * n + k], n))
            .collect();
        let b: Vec<f64> = (0..m * m)
            .map(|i| -4.7750 * a[i] + 2.0315 * dot(&|k| a[i / m * m + k], &|k| a[k * m + i % m], m))
            .collect();
        x = (0..m * n)
            .map(|i| 3.4445 * x[i] + dot(&|k| b[i / n * m + k], &|k| x[k * n + i % n], m))
            .collect();
    }
    match tall {
        true => (0..m * n).map(|i| x[(i % columns) * n + i / columns]).collect(),
        false => x,
    }
}

#[test]
fn five_iterations_of_a_small_matrix_give_known_numbers() {
    let given = values(newton_schulz(
        tensor(&[1.0, 2.0, 3.0, 0.0, -1.0, 1.0], [1, 2, 3]),
        5,
    ));
    let expected = [
        0.202_946_68,
        0.453_894_46,
        0.560_838_92,
        -0.048_001_11,
        -0.874_962_21,
        0.634_956_66,
    ];
    for (given, expected) in given.iter().zip(expected) {
        assert!((given - expected).abs() < 2e-6, "{given}, expected {expected}");
    }
}

#[test]
fn every_shape_is_what_plain_loops_in_f64_say() {
    for [count, rows, columns] in [
        [1, 1, 1],
        [3, 5, 9],
        [2, 9, 5],
        [1, 130, 67],
        [2, 70, 201],
        [1, 1, 40],
    ] {
        let size = rows * columns;
        let all = entries(count * size);
        let matrices = tensor(&all, [count, rows, columns]);
        let reference = values(reference::newton_schulz(matrices.clone(), 5));
        let given = values(newton_schulz(matrices, 5));
        for matrix in 0..count {
            let expected = defined(&all[matrix * size..][..size], rows, columns, 5);
            for (index, expected) in expected.iter().enumerate() {
                for found in [given[matrix * size + index], reference[matrix * size + index]] {
                    assert!(
                        (found - expected).abs() < 2e-4,
                        "{count} x {rows} x {columns}: {found}, expected {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_length_of_a_matrix_does_not_matter_and_its_transpose_gives_the_transpose() {
    let all = entries(33 * 12);
    let matrix = tensor(&all, [1, 33, 12]);
    let once = values(newton_schulz(matrix.clone(), 5));
    let longer = values(newton_schulz(matrix.clone() * 1e4, 5));
    let turned = values(newton_schulz(matrix.swap_dims(1, 2), 5).swap_dims(1, 2));
    for ((once, longer), turned) in once.iter().zip(longer).zip(turned) {
        assert!((once - longer).abs() < 1e-4 && (once - turned).abs() < 1e-5);
    }
}

#[test]
fn nothing_comes_of_nothing_and_other_precisions_take_the_definition() {
    assert_eq!(values(newton_schulz(tensor(&[0.0; 6], [1, 2, 3]), 5)), [0.0; 6]);
    let wide = tensor(&entries(6), [1, 2, 3]).cast(DType::F64);
    assert_eq!(newton_schulz(wide, 5).dtype(), DType::F64);
}
