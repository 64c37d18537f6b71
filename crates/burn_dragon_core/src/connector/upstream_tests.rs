//! The stream against plain loops over the history, which is multiplied again at each level.

use super::*;
use crate::connector::ConnectorWeights;
use burn::module::Param;
use burn::tensor::{DType, Device, TensorData};

const WIDTH: usize = 6;
const HEADS: usize = 2;
const TOKENS: usize = 3;
const BIAS: f64 = 0.7;
const EPS: f64 = 1e-5;

/// Numbers around zero.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    let number = |index: usize| ((index * 37 + seed * 101) % 89) as f64 / 44.5 - 1.0;
    (0..count).map(number).collect()
}

fn tensor<const R: usize>(values: &[f64], shape: [usize; R]) -> Tensor<R> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), shape),
        (&Device::flex(), DType::F64),
    )
}

/// Query, then the matrices of keys, values and outputs.
fn matrices() -> [Vec<f64>; 4] {
    [1, WIDTH, WIDTH, WIDTH].map(|rows| numbers(rows * WIDTH, rows))
}

fn weights(gate: f64) -> ConnectorWeights {
    let [query, key, value, output] = matrices();
    let param = |values: &[f64]| {
        let rows = values.len() / WIDTH;
        Some(Param::from_tensor(tensor(values, [rows, WIDTH])))
    };
    ConnectorWeights {
        queries: None,
        projection: None,
        bias: None,
        scale: None,
        query: param(&query),
        key: param(&key),
        value: param(&value),
        output: param(&output),
        gate: Some(Param::from_tensor(tensor(&[gate], [1]))),
    }
}

fn product(row: &[f64], matrix: &[f64]) -> Vec<f64> {
    let column = |column: usize| (0..WIDTH).map(|k| row[k] * matrix[k * WIDTH + column]).sum();
    (0..WIDTH).map(column).collect()
}

fn normed(row: &[f64]) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / WIDTH as f64;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / WIDTH as f64;
    row.iter().map(|x| (x - mean) / (variance + EPS).sqrt()).collect()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Entries that a level attends, of one token.
fn attended(history: &[Vec<f64>], levels_per_block: Option<usize>) -> Vec<Vec<f64>> {
    let Some(size) = levels_per_block else {
        return history.to_vec();
    };
    let (older, newest) = history.split_at(history.len().saturating_sub(size));
    let pooled = older.chunks(size).map(|block| {
        let total = block
            .iter()
            .fold(vec![0.0; WIDTH], |total, entry| sum(&total, entry));
        total.iter().map(|x| x / block.len() as f64).collect()
    });
    pooled.chain(newest.iter().cloned()).collect()
}

/// Input of a level, of one token.
fn input(x: &[f64], entries: &[Vec<f64>], gate: f64) -> Vec<f64> {
    let [query, key, value, output] = matrices();
    let part = WIDTH / HEADS;
    let mut mean = vec![0.0; WIDTH];
    for head in (0..WIDTH).step_by(part) {
        let weights = entries.iter().enumerate().map(|(index, entry)| {
            let key = &product(entry, &key)[head..head + part];
            let rms = (key.iter().map(|k| k * k).sum::<f64>() / part as f64 + EPS).sqrt();
            let along: f64 = key.iter().zip(&query[head..]).map(|(k, q)| k * q).sum();
            (along / rms / (part as f64).sqrt() - BIAS * (entries.len() - 1 - index) as f64).exp()
        });
        let weights: Vec<f64> = weights.collect();
        let total: f64 = weights.iter().sum();
        for (entry, weight) in entries.iter().zip(&weights) {
            let value = product(entry, &value);
            for k in head..head + part {
                mean[k] += weight / total * value[k];
            }
        }
    }
    let mixed = product(&mean, &output);
    let terms = x.iter().zip(mixed);
    terms.map(|(x, mixed)| x + gate.tanh() * (mixed - x)).collect()
}

#[test]
fn inputs_and_outputs_are_those_of_the_equations() {
    for levels_per_block in [None, Some(1), Some(2), Some(3)] {
        let gate = 0.8;
        let weights = weights(gate);
        let setting = Setting {
            weights: Some(&weights),
            norm: &crate::norm::Norm::layer(EPS),
        };
        let config = UpstreamConfig {
            n_heads: HEADS,
            recency_bias: BIAS,
            levels_per_block,
        };
        let v = numbers(TOKENS * WIDTH, 7);
        let shape = [1, 1, TOKENS, WIDTH];
        let mut stream = UpstreamResidual::new(tensor(&v, shape), config, setting);
        let mut x: Vec<Vec<f64>> = v.chunks(WIDTH).map(<[f64]>::to_vec).collect();
        let mut history: Vec<Vec<Vec<f64>>> = x.iter().map(|x| vec![x.clone()]).collect();
        for level in 0..8 {
            let found: Vec<f64> = stream.input().into_data().try_into_vec().unwrap();
            let u = numbers(TOKENS * WIDTH, 20 + level);
            for (token, found) in found.chunks(WIDTH).enumerate() {
                let now = input(&x[token], &attended(&history[token], levels_per_block), gate);
                near(found, &now);
                let branch = normed(&sum(&now, &normed(&u[token * WIDTH..][..WIDTH])));
                let after = normed(&sum(&x[token], &branch));
                let change = after.iter().zip(&x[token]).map(|(after, before)| after - before);
                history[token].push(change.collect());
                x[token] = after;
            }
            stream.join(tensor(&u, shape));
            let output: Vec<f64> = stream.output().into_data().try_into_vec().unwrap();
            near(&output, &x.concat());
        }
    }
}

#[track_caller]
fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-10, "{found:?} {expected:?}");
    }
}
