//! The form of the processor against the definition, and the values of the papers.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::{DType, Device, TensorData};

const FORMS: [(SinkhornForm, usize); 4] = [
    (SinkhornForm::RowsLast, 20),
    (SinkhornForm::RowsLast, 1),
    (SinkhornForm::ColumnsLast, 10),
    (SinkhornForm::ColumnsLast, 1),
];
const SHAPES: [[usize; 3]; 5] = [[1, 1, 1], [1, 2, 2], [17, 3, 3], [300, 4, 4], [5, 8, 8]];

fn near(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() <= tolerance,
            "{found} {expected}"
        );
    }
}

#[test]
fn values_are_those_of_the_papers() {
    let logits = [1.0, 0.0, -1.0, 0.5, 2.0, 0.0, 0.0, -0.5, 1.5];
    let paper = [
        0.674_686, 0.219_859, 0.105_454, 0.176_355, 0.700_11, 0.123_535, 0.148_959, 0.080_031, 0.771_01,
    ];
    let first = [
        0.744_237, 0.163_35, 0.092_412, 0.236_385, 0.632_068, 0.131_547, 0.182_687, 0.066_109, 0.751_204,
    ];
    let kernels = [
        0.674_678, 0.219_86, 0.105_449, 0.176_352, 0.700_102, 0.123_527, 0.148_97, 0.080_038, 0.771_023,
    ];
    for dtype in [DType::F32, DType::F64] {
        let matrix = |values: [f64; 9]| {
            Tensor::<3>::from_data(
                TensorData::new(values.to_vec(), [1, 3, 3]),
                (&Device::flex(), dtype),
            )
        };
        for (form, rounds, expected) in [
            (SinkhornForm::RowsLast, 20, paper),
            (SinkhornForm::RowsLast, 1, first),
            (SinkhornForm::ColumnsLast, 10, kernels),
        ] {
            let found = sinkhorn(matrix(logits), form, rounds).cast(DType::F32);
            near(&values(found), &expected, 2e-6);
        }
        let two = Tensor::<3>::from_data([[[0.0, 0.0], [0.0, 4f64.ln()]]], (&Device::flex(), dtype));
        let [third, thirds] = [1.0 / 3.0, 2.0 / 3.0];
        near(
            &values(sinkhorn(two, SinkhornForm::RowsLast, 20).cast(DType::F32)),
            &[thirds, third, third, thirds],
            1e-6,
        );
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for shape in SHAPES {
        for (form, rounds) in FORMS {
            let of = |normalise: fn(Tensor<3>, SinkhornForm, usize) -> Tensor<3>| {
                let logits = numbers(shape, 4, 2.0, &device).require_grad();
                let output = normalise(logits.clone(), form, rounds);
                let loss = (output.clone() * numbers(shape, 5, 1.0, &device)).sum();
                let gradient = logits.grad(&loss.backward()).unwrap();
                (values(output.inner()), values(gradient))
            };
            let (fast, defined) = (of(sinkhorn), of(reference::sinkhorn));
            close("value", &fast.0, &defined.0);
            if shape[1] > 1 {
                close("gradient", &fast.1, &defined.1); // of one entry there is none but rounding
            }
        }
    }
}

#[test]
fn rows_and_columns_sum_to_one_and_large_logits_stay_finite() {
    let logits = numbers([40, 4, 4], 6, 1.0, &Device::flex());
    let matrices = sinkhorn(logits.clone(), SinkhornForm::RowsLast, 20);
    let [rows, columns] = [2, 1].map(|axis| values(matrices.clone().sum_dim(axis)));
    near(&rows, &[1.0; 160], 1e-6);
    near(&columns, &[1.0; 160], 1e-3);
    let large = sinkhorn(logits * 1000.0, SinkhornForm::ColumnsLast, 10);
    assert!(values(large).into_iter().all(f32::is_finite));
}
