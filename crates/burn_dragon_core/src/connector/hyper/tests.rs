//! A whole layer against the values of the paper's equations.

use super::*;
use crate::connector::ConnectorWeights;
use burn::module::Param;
use burn::tensor::{DType, Device, TensorData};

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f64> {
    tensor.into_data().try_into_vec().unwrap()
}

fn tensor<const R: usize>(values: &[f64], shape: [usize; R]) -> Tensor<R> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), shape),
        (&Device::flex(), DType::F64),
    )
}

#[track_caller]
fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 2e-7, "{found:?} {expected:?}");
    }
}

#[test]
fn a_layer_of_two_streams_is_that_of_the_equation() {
    let before = [[-0.5, 0.0], [0.0, 0.5], [0.5, -0.5], [-0.5, 0.0]];
    let after = [[-0.5, 0.0], [0.5, -0.5], [0.0, 0.5], [-0.5, 0.0]];
    let mixture = [
        [-0.5, 0.0, 0.5, -0.25],
        [-0.25, 0.25, -0.5, 0.0],
        [0.0, 0.5, -0.25, 0.25],
        [0.25, -0.5, 0.0, 0.5],
    ];
    let projection: Vec<f64> = (0..4)
        .flat_map(|row| before[row].into_iter().chain(after[row]).chain(mixture[row]))
        .collect();
    let bias = [1.0, -1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 2.0];
    let weights = ConnectorWeights {
        queries: None,
        projection: Some(Param::from_tensor(tensor(&projection, [1, 4, 8]))),
        bias: Some(Param::from_tensor(tensor(&bias, [1, 8]))),
        scale: Some(Param::from_tensor(tensor(&[0.01; 3], [1, 3]))),
        query: None,
        key: None,
        value: None,
        output: None,
        gate: None,
    };
    let config = HyperConfig {
        streams: 2,
        coefficients: HyperCoefficients::Paper,
    };
    let setting = Setting {
        weights: Some(&weights),
        norm: &Norm::layer(0.0),
    };
    let x = tensor(&[1.0, 2.0, 3.0, -1.0], [1, 2, 2]);
    let coefficients = Mapping::new(&config, setting).coefficients(&x, 0, 0.0);
    near(&values(coefficients.pre.clone()), &[0.732_578_8, 0.268_434_1]);
    near(&values(coefficients.post.clone()), &[1.002_582, 1.001_291]);
    near(
        &values(coefficients.res.clone()),
        &[0.880_117_7, 0.119_882_3, 0.119_882_3, 0.880_117_7],
    );
    let u = hyper_read(x.clone(), coefficients.pre);
    near(&values(u.clone()), &[1.537_881, 1.196_723_5]);
    near(
        &values(hyper_write(x, coefficients.res, coefficients.post, u * 2.0 + 1.0)),
        &[5.326_050_3, 5.042_561_9, 6.841_259_2, 2.757_474_9],
    );
}

/// A mixture of two streams is always its own transpose: three tell rows from columns.
#[test]
fn a_stream_gets_its_row_of_the_mixture() {
    let coefficients = Coefficients {
        pre: tensor(&[1.0, 10.0, 100.0], [1, 3]),
        post: tensor(&[0.0, 0.0, 2.0], [1, 3]),
        res: tensor(&[0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], [1, 3, 3]),
    };
    let x = tensor(&[1.0, 2.0, 3.0], [1, 3, 1]);
    near(&values(hyper_read(x.clone(), coefficients.pre)), &[321.0]);
    let y = tensor(&[5.0], [1, 1]);
    near(
        &values(hyper_write(x, coefficients.res, coefficients.post, y)),
        &[2.0, 3.0, 11.0],
    );
}
