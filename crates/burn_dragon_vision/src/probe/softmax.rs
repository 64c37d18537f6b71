//! Multinomial logistic regression: `mean of -ln softmax(x W + b)[label] + decay / 2 |W|^2`. The bias has no decay.
//!
//! It is minimised in coordinates V with `W = L^-T V`, `L L^T = X^T X / (rows classes) + decay I`. At W = 0 the Hessian in
//! them is the identity, up to the direction that is common to all classes, so correlated columns do not slow L-BFGS down.

use super::cholesky::Cholesky;
use super::features::{Features, Labelled};
use super::knn::{largest, numbers};
use super::lbfgs::{Limits, Minimum, minimise};
use super::moments::{CHUNK, added, covariance};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

/// Largest entry of the preconditioned gradient at a minimum. Products are in f32, so less cannot be told from rounding.
const FLAT: f64 = 1e-4;

/// Least curvature that a direction is taken to have. Smaller ones gain nothing, and their steps amplify rounding.
const LEAST_CURVATURE: f64 = 1e-2;

/// A regression on given rows. Parameters are `[width + 1, classes]`; the last row is the bias.
pub(super) struct Softmax<'a> {
    chunks: Vec<Chunk<'a>>,
    covariance: Vec<f64>, // [width, width]
    rows: usize,
    width: usize,
    classes: usize,
}

struct Chunk<'a> {
    inputs: Tensor<2>, // [rows, width + 1]
    labels: &'a [usize],
}

impl<'a> Softmax<'a> {
    pub(super) fn new(rows: Labelled<'a>) -> Self {
        let inputs = chunks(rows.features);
        let chunk = |(inputs, labels)| Chunk { inputs, labels };
        Self {
            chunks: inputs.zip(rows.labels.chunks(CHUNK)).map(chunk).collect(),
            covariance: covariance(rows.features),
            rows: rows.features.rows(),
            width: rows.features.width(),
            classes: rows.classes,
        }
    }

    /// Parameters of equal probabilities.
    pub(super) fn start(&self) -> Vec<f64> {
        vec![0.0; (self.width + 1) * self.classes]
    }

    /// Parameters of the smallest loss, from given ones.
    pub(super) fn fit(&self, mut start: Vec<f64>, decay: f64, iterations: usize) -> Minimum {
        let curvature = self
            .covariance
            .iter()
            .map(|entry| entry / self.classes as f64)
            .collect();
        let factor = Cholesky::new(curvature, decay.max(LEAST_CURVATURE), self.width);
        let limits = Limits {
            iterations,
            gradient: FLAT,
        };
        let weights = self.width * self.classes;
        factor.multiply_upper(&mut start[..weights]);
        let function = |coordinates: &[f64]| {
            let mut parameters = coordinates.to_vec();
            factor.solve_upper(&mut parameters[..weights]);
            let (value, mut gradient) = self.loss(&parameters, decay);
            factor.solve_lower(&mut gradient[..weights]);
            (value, gradient)
        };
        let mut minimum = minimise(function, start, limits);
        factor.solve_upper(&mut minimum.point[..weights]);
        minimum
    }

    /// Loss and its gradient.
    pub(super) fn loss(&self, parameters: &[f64], decay: f64) -> (f64, Vec<f64>) {
        let weights = matrix(parameters, self.classes);
        let part = |chunk: &Chunk<'_>| chunk.loss(&weights);
        let sums = added(self.chunks.par_iter().map(part).collect()); // gradient, then loss
        let (gradient, loss) = sums.split_at(parameters.len());
        let mut gradient: Vec<f64> = gradient.iter().map(|sum| sum / self.rows as f64).collect();
        let mut value = loss[0] / self.rows as f64;
        let decayed = self.width * self.classes;
        for (entry, weight) in gradient[..decayed].iter_mut().zip(&parameters[..decayed]) {
            *entry += decay * weight;
            value += 0.5 * decay * weight * weight;
        }
        (value, gradient)
    }
}

impl Chunk<'_> {
    /// Gradient of the sum of the losses, and that sum as the last number.
    fn loss(&self, weights: &Tensor<2>) -> Vec<f64> {
        let [_, classes] = weights.dims();
        let mut logits = numbers(self.inputs.clone().matmul(weights.clone())); // [rows, classes]
        let mut loss = 0.0;
        for (logits, &label) in logits.chunks_mut(classes).zip(self.labels) {
            let most = logits[largest(logits)];
            let own = logits[label] - most;
            let mut sum = 0.0;
            for logit in &mut *logits {
                *logit = (*logit - most).exp();
                sum += *logit;
            }
            logits.iter_mut().for_each(|value| *value /= sum);
            logits[label] -= 1.0; // probability minus truth
            loss += f64::from(sum.ln() - own);
        }
        let residual = TensorData::new(logits, [self.labels.len(), classes]);
        let residual = Tensor::<2>::from_data(residual, &Device::flex());
        let gradient = numbers(self.inputs.clone().transpose().matmul(residual));
        gradient.into_iter().map(f64::from).chain([loss]).collect()
    }
}

/// Most likely class of each row.
pub(super) fn predict(features: &Features, parameters: &[f64], classes: usize) -> Vec<usize> {
    let weights = matrix(parameters, classes);
    let of = |inputs: Tensor<2>| {
        let logits = numbers(inputs.matmul(weights.clone()));
        logits.chunks(classes).map(largest).collect::<Vec<_>>()
    };
    chunks(features).flat_map(of).collect()
}

fn matrix(parameters: &[f64], classes: usize) -> Tensor<2> {
    let values: Vec<f32> = parameters.iter().map(|&value| value as f32).collect();
    let shape = [values.len() / classes, classes];
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Rows with a column of ones, `[rows, width + 1]`, some at once.
fn chunks(features: &Features) -> impl Iterator<Item = Tensor<2>> {
    let width = features.width();
    features.values().chunks(CHUNK * width).map(move |values| {
        let rows = values.chunks(width);
        let values: Vec<f32> = rows.flat_map(|row| row.iter().copied().chain([1.0])).collect();
        let shape = [values.len() / (width + 1), width + 1];
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    })
}
