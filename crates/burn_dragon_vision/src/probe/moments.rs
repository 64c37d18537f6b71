//! Means, deviations and products of features, in f64.

use super::features::Features;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;

/// Rows that are summed at once. The sums are added in the order of the rows, so threads do not change them.
pub(super) const CHUNK: usize = 4096;

/// Mean and standard deviation of each column.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub(super) mean: Vec<f64>,
    /// Square root of the biased variance.
    pub(super) deviation: Vec<f64>,
}

impl Moments {
    pub(super) fn of(features: &Features) -> Self {
        let rows = features.rows() as f64;
        let sums = |of: &(dyn Fn(usize, f64) -> f64 + Sync)| {
            let chunk = |values: &[f32]| {
                let mut sums = vec![0.0; features.width()];
                for row in values.chunks(features.width()) {
                    let columns = sums.iter_mut().zip(row).enumerate();
                    columns.for_each(|(column, (sum, &value))| *sum += of(column, f64::from(value)));
                }
                sums
            };
            added(
                features
                    .values()
                    .par_chunks(CHUNK * features.width())
                    .map(chunk)
                    .collect(),
            )
        };
        let mean: Vec<f64> = sums(&|_, value| value).iter().map(|sum| sum / rows).collect();
        let squares = sums(&|column, value| (value - mean[column]).powi(2));
        let deviation = squares.iter().map(|sum| (sum / rows).sqrt()).collect();
        Self { mean, deviation }
    }

    /// Rows with mean 0 and deviation 1 in each column. A column that is constant up to rounding becomes 0.
    pub(super) fn standardised(&self, features: &Features) -> Features {
        let factor = |(mean, deviation): (&f64, &f64)| {
            let is_constant = *deviation <= 1e-6 * mean.abs() || *deviation < 1e-30;
            if is_constant { 0.0 } else { 1.0 / deviation }
        };
        let factors: Vec<f64> = self.mean.iter().zip(&self.deviation).map(factor).collect();
        let mut values = features.values().to_vec();
        values.par_chunks_mut(features.width()).for_each(|row| {
            for (column, value) in row.iter_mut().enumerate() {
                *value = ((f64::from(*value) - self.mean[column]) * factors[column]) as f32;
            }
        });
        features.with(values)
    }
}

/// Sum of vectors, in their order.
pub(super) fn added(parts: Vec<Vec<f64>>) -> Vec<f64> {
    let add = |mut sum: Vec<f64>, part: Vec<f64>| {
        sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        sum
    };
    parts.into_iter().reduce(add).unwrap_or_default()
}

/// `X^T X / rows` of centred rows, `[width, width]`.
pub(super) fn covariance(features: &Features) -> Vec<f64> {
    let (width, mean) = (features.width(), Moments::of(features).mean);
    let chunk = |values: &[f32]| {
        let rows = values.chunks(width);
        let centred: Vec<f64> = rows
            .flat_map(|row| row.iter().zip(&mean).map(|(&x, m)| f64::from(x) - m))
            .collect();
        let shape = [centred.len() / width, width];
        let rows = Tensor::<2>::from_data(TensorData::new(centred, shape), (&Device::flex(), DType::F64));
        match rows
            .clone()
            .transpose()
            .matmul(rows)
            .into_data()
            .try_into_vec::<f64>()
        {
            Ok(values) => values,
            Err(error) => unreachable!("a tensor made of f64 is f64: {error}"),
        }
    };
    let parts = features.values().chunks(CHUNK * width).map(chunk).collect();
    added(parts)
        .iter()
        .map(|sum| sum / features.rows() as f64)
        .collect()
}
