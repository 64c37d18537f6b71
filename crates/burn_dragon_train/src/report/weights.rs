//! Distributions of the weights of a run's newest checkpoint.

use crate::records::RunRecord;
use burn_dragon_checkpoint::api::{Checkpoints, ModelFile, Pointer};

/// Number of bins of a histogram.
const BINS: usize = 81;

/// Weights of a run.
#[derive(Debug)]
pub(super) struct Weights {
    /// Step of the checkpoint.
    pub(super) step: u64,
    pub(super) tensors: Vec<Distribution>,
    /// Reason why there are none.
    pub(super) problem: Option<String>,
}

/// Distribution of the values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Distribution {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) count: u64,
    pub(super) mean: f64,
    /// Standard deviation.
    pub(super) deviation: f64,
    /// Excess kurtosis: 0 of a normal distribution, above 0 with heavier tails.
    pub(super) kurtosis: f64,
    /// Largest absolute value.
    pub(super) largest: f64,
    /// Share of the values in each of [`BINS`] bins of equal width from `-largest` to `largest`.
    pub(super) shares: Vec<f64>,
}

impl Weights {
    /// Weights of the newest checkpoint of a run.
    pub(super) fn of(run: &RunRecord) -> Self {
        match Self::read(run) {
            Ok(weights) => weights,
            Err(problem) => Self {
                step: 0,
                tensors: Vec::new(),
                problem: Some(problem),
            },
        }
    }

    fn read(run: &RunRecord) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let newest = Checkpoints::new(run.folder.checkpoints()).pointed(Pointer::Last);
        let Some(newest) = newest.map_err(|error| text(&error))? else {
            return Err("the run has no checkpoint".into());
        };
        let model = ModelFile::read(&newest.path().join("model.bpk")).map_err(|error| text(&error))?;
        let tensors = model.tensors.iter().filter_map(|(name, tensor)| {
            let values: Vec<f32> = tensor.floats()?.iter::<f32>().collect();
            Some(Distribution::of(name, tensor.shape(), &values))
        });
        Ok(Self {
            step: newest.step(),
            tensors: tensors.collect(),
            problem: None,
        })
    }
}

impl Distribution {
    fn of(name: &str, shape: Vec<usize>, values: &[f32]) -> Self {
        let count = values.len().max(1) as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let moment = |power| {
            values
                .iter()
                .map(|&value| (f64::from(value) - mean).powi(power))
                .sum::<f64>()
                / count
        };
        let variance = moment(2);
        let largest = values
            .iter()
            .fold(0.0_f32, |largest, value| largest.max(value.abs()))
            .into();
        let mut bins = vec![0_u64; BINS];
        for &value in values {
            let place = (f64::from(value) / largest + 1.0) / 2.0 * BINS as f64;
            bins[(place as usize).min(BINS - 1)] += 1; // NaN, of zeros only, is in the first one
        }
        Self {
            name: name.into(),
            shape,
            count: values.len() as u64,
            mean,
            deviation: variance.sqrt(),
            kurtosis: if variance > 0.0 {
                moment(4) / variance.powi(2) - 3.0
            } else {
                0.0
            },
            largest,
            shares: bins.into_iter().map(|bin| bin as f64 / count).collect(),
        }
    }

    /// Points of the histogram: the middle of each bin that is not empty, and its share.
    pub(super) fn points(&self) -> Vec<(f64, f64)> {
        let shares = self
            .shares
            .iter()
            .enumerate()
            .map(|(bin, &share)| (self.middle(bin), share));
        shares.filter(|(_, share)| *share > 0.0).collect()
    }

    /// Shares of a normal distribution of the same mean and deviation, above the share of half a value.
    pub(super) fn normal(&self) -> Vec<(f64, f64)> {
        let width = 2.0 * self.largest / BINS as f64;
        let scale = width / (self.deviation * (2.0 * std::f64::consts::PI).sqrt());
        let share = |at: f64| scale * (-0.5 * ((at - self.mean) / self.deviation).powi(2)).exp();
        let points = (0..BINS).map(|bin| (self.middle(bin), share(self.middle(bin))));
        let least = 0.5 / self.count.max(1) as f64;
        points.filter(|(_, share)| *share >= least).collect()
    }

    fn middle(&self, bin: usize) -> f64 {
        self.largest * (2.0 * (bin as f64 + 0.5) / BINS as f64 - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_bins_are_those_of_the_values() {
        let distribution = Distribution::of("w", vec![4], &[-1.0, 1.0, -1.0, 1.0]);
        assert_eq!(
            (distribution.mean, distribution.deviation, distribution.kurtosis),
            (0.0, 1.0, -2.0)
        );
        assert_eq!(distribution.largest, 1.0);
        let points = distribution.points();
        assert_eq!(points.len(), 2);
        assert!(
            (points[0].0 + 80.0 / 81.0).abs() < 1e-12 && points[0].1 == 0.5,
            "{points:?}"
        );
    }

    #[test]
    fn the_normal_curve_is_a_distribution_too() {
        // Evenly spaced quantiles would do; a triangle is close enough in its moments.
        let values: Vec<f32> = (0..10_000)
            .map(|index| ((index % 100) as f32 + (index / 100) as f32) / 99.0 - 1.0)
            .collect();
        let distribution = Distribution::of("w", vec![100, 100], &values);
        let sum: f64 = distribution.normal().iter().map(|(_, share)| share).sum();
        assert!((0.97..1.0).contains(&sum), "{sum}");
        assert!((distribution.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_tensor_of_zeros_has_a_distribution() {
        let distribution = Distribution::of("w", vec![3], &[0.0; 3]);
        assert_eq!(
            (
                distribution.largest,
                distribution.kurtosis,
                distribution.shares[0]
            ),
            (0.0, 0.0, 1.0)
        );
        assert!(distribution.normal().is_empty());
    }
}
