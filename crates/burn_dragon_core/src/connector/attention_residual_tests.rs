//! Attention residuals against the values of the paper's equations.

use super::*;
use crate::connector::ConnectorWeights;
use burn::module::Param;
use burn::tensor::{DType, Device, TensorData};

const EPS: f64 = 1e-6;

fn row(values: [f64; 4]) -> Tensor<4> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), [1, 1, 1, 4]),
        (&Device::flex(), DType::F64),
    )
}

fn queries(rows: Vec<[f64; 4]>) -> Tensor<2> {
    let count = rows.len();
    let values: Vec<f64> = rows.into_iter().flatten().collect();
    Tensor::from_data(TensorData::new(values, [count, 4]), (&Device::flex(), DType::F64))
}

fn values(tensor: &Tensor<4>) -> Vec<f64> {
    tensor.to_data().try_into_vec().unwrap()
}

#[track_caller]
fn near(found: &Tensor<4>, expected: &[f64]) {
    let found = values(found);
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 2e-7, "{found:?} {expected:?}");
    }
}

fn sources(queries: &Tensor<2>) -> Vec<Source> {
    let rows = [[1.0, 0.0, 2.0, -1.0], [0.0, 1.0, 1.0, 1.0], [3.0, -2.0, 0.0, 0.5]];
    rows.map(|values| Source::new(row(values), queries, EPS)).into()
}

#[test]
fn a_mean_is_that_of_the_equation_and_a_query_of_zero_weighs_alike() {
    let queries = queries(vec![[0.5, -0.25, 1.0, 0.0], [0.0; 4]]);
    let sources = sources(&queries);
    let scores: Vec<f64> = sources
        .iter()
        .flat_map(|source| values(&source.score(0)))
        .collect();
    for (score, expected) in scores.iter().zip([2.041_240_77, 0.866_024_85, 1.098_884_35]) {
        assert!((score - expected).abs() < 1e-6, "{scores:?}");
    }
    near(
        &Attended::over(&sources, 0).mean,
        &[1.277_112_42, -0.277_112_42, 1.359_320_39, -0.292_260_8],
    );
    near(
        &Attended::over(&sources, 1).mean,
        &[4.0 / 3.0, -1.0 / 3.0, 1.0, 1.0 / 6.0],
    );
}

#[test]
fn two_phases_are_one_mean() {
    let queries = queries(vec![[0.5, -0.25, 1.0, 0.0]]);
    let sources = sources(&queries);
    let first = Attended::over(&sources[..2], 0);
    near(
        &first.mean,
        &[0.764_086_53, 0.235_913_47, 1.764_086_53, -0.528_173_06],
    );
    near(&first.largest, &[2.041_240_77]);
    near(&first.sum, &[1.308_752_3]);
    near(
        &first.with(&sources[2], 0),
        &values(&Attended::over(&sources, 0).mean),
    );
}

/// The levels of the trace: `h/2 + 1`, relu, `-h`, `h^2 / 4`.
fn level(number: usize, h: Tensor<4>) -> Tensor<4> {
    match number {
        0 => h * 0.5 + 1.0,
        1 => h.clamp_min(0.0),
        2 => -h,
        _ => h.square() * 0.25,
    }
}

fn trace(levels_per_block: usize) -> (Vec<Tensor<4>>, Vec<usize>, Tensor<4>) {
    // The queries of levels 1 to 3, and of the output.
    let rows = (2..=5).map(|i| [0.1, 0.2, -0.1, 0.0].map(|w| w * f64::from(i)));
    let weights = ConnectorWeights {
        queries: Some(Param::from_tensor(queries(rows.collect()))),
        projection: None,
        bias: None,
        scale: None,
        query: None,
        key: None,
        value: None,
        output: None,
        gate: None,
    };
    let setting = Setting {
        weights: Some(&weights),
        norm: &Norm::layer(EPS),
    };
    let mut stream = AttentionResidual::new(row([1.0, -1.0, 2.0, 0.0]), levels_per_block, setting);
    let (mut seen, mut counts) = (Vec::new(), Vec::new());
    for number in 0..4 {
        counts.push(stream.sources.len() + usize::from(stream.partial.is_some()));
        let h = stream.seen();
        seen.push(h.clone());
        stream.push(level(number, h));
    }
    let output = stream.attend(3);
    (seen, counts, output)
}

#[test]
fn the_full_form_follows_the_trace() {
    let (seen, counts, output) = trace(1);
    assert_eq!(counts, [1, 2, 3, 4]);
    near(&seen[1], &[1.318_564_8, -0.044_305_6, 2.0, 0.637_129_6]);
    near(&seen[2], &[1.338_891, 0.032_049_3, 2.0, 0.677_782_1]);
    near(&seen[3], &[0.436_832_5, 0.046_380_3, 0.634_448_3, 0.239_216_7]);
    near(&output, &[0.343_328_2, 0.064_032, 0.489_129_5, 0.200_489_4]);
}

#[test]
fn blocks_follow_the_trace() {
    let (seen, counts, output) = trace(2);
    assert_eq!(counts, [1, 2, 2, 3]);
    near(&seen[2], &[2.220_713, 0.006_876_1, 3.342_501_5, 1.098_924_5]);
    near(&seen[3], &[0.142_395_9, 0.039_570_3, 0.195_023_3, 0.089_768_4]);
    near(&output, &[0.048_459_2, 0.070_391_9, 0.039_336_6, 0.058_286_6]);
}
