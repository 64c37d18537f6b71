//! Position probe: ridge regression of where something is.

use super::cholesky::Cholesky;
use super::config::ProbeConfig;
use super::features::{Features, same_width};
use super::moments::{Moments, covariance};
use super::split::Split;
use crate::error::VisionError;

/// Penalties of ridge regression on standardised features.
const PENALTIES: [f64; 9] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0];

/// Result of a position probe.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionOutcome {
    /// Coefficient of determination on test rows, mean over the coordinates: 1 at best, 0 for the mean of the truth.
    pub r2: f64,
    /// Predictions, `[rows, coordinates]`.
    pub predictions: Vec<f64>,
    /// Chosen penalty.
    pub penalty: f64,
}

/// Ridge regression of coordinates, such as a centre of mass, from features of frames.
///
/// Targets are `[rows, coordinates]`. The penalty is chosen on training rows that are held out.
///
/// # Errors
/// [`VisionError::Probe`] if the sizes do not fit, or if there are fewer than two training rows.
pub fn position(
    config: &ProbeConfig,
    train: (&Features, &[f64]),
    test: (&Features, &[f64]),
) -> Result<PositionOutcome, VisionError> {
    same_width(train.0, test.0)?;
    let coordinates = coordinates(train)?;
    if coordinates != self::coordinates(test)? {
        let reason = "training and test rows differ in the number of coordinates; expected the same".into();
        return Err(VisionError::Probe { reason });
    }
    let split = Split::new(train.0.rows(), 1, config.validation_rows, config.seed)?;
    let select = |rows: &[usize]| {
        let of = |&row: &usize| {
            train.1[row * coordinates..(row + 1) * coordinates]
                .iter()
                .copied()
        };
        (
            train.0.select(rows),
            rows.iter().flat_map(of).collect::<Vec<f64>>(),
        )
    };
    let (fit, held) = (select(&split.fit), select(&split.held));
    let ridge = Ridge::new(&fit.0, &fit.1, coordinates);
    let score = |penalty| r2(&ridge.predict(penalty, &held.0), &held.1, coordinates);
    let scores = PENALTIES.map(|penalty| (penalty, score(penalty)));
    let better = |best: (f64, f64), next: (f64, f64)| if next.1 >= best.1 { next } else { best };
    let (penalty, _) = scores.into_iter().reduce(better).unwrap_or_default();
    let predictions = Ridge::new(train.0, train.1, coordinates).predict(penalty, test.0);
    Ok(PositionOutcome {
        r2: r2(&predictions, test.1, coordinates),
        predictions,
        penalty,
    })
}

fn coordinates((features, targets): (&Features, &[f64])) -> Result<usize, VisionError> {
    let (rows, given) = (features.rows(), targets.len());
    if given == 0 || given % rows != 0 || !targets.iter().all(|target| target.is_finite()) {
        let reason = format!("{given} coordinates of {rows} rows; expected the same finite number for each");
        return Err(VisionError::Probe { reason });
    }
    Ok(given / rows)
}

/// Sums of a ridge regression.
struct Ridge {
    moments: Moments,
    gram: Vec<f64>,    // [width, width]
    targets: Vec<f64>, // [width, coordinates]
    means: Vec<f64>,   // [coordinates]
}

impl Ridge {
    fn new(features: &Features, targets: &[f64], coordinates: usize) -> Self {
        let moments = Moments::of(features);
        let (rows, inputs) = (features.rows() as f64, moments.standardised(features));
        let mean = |c: usize| targets.iter().skip(c).step_by(coordinates).sum::<f64>() / rows;
        let means: Vec<f64> = (0..coordinates).map(mean).collect();
        let mut products = vec![0.0; features.width() * coordinates];
        for (row, target) in targets.chunks(coordinates).enumerate() {
            for (input, sums) in inputs.row(row).iter().zip(products.chunks_mut(coordinates)) {
                let offsets = target.iter().zip(&means).map(|(target, mean)| target - mean);
                sums.iter_mut()
                    .zip(offsets)
                    .for_each(|(sum, offset)| *sum += f64::from(*input) * offset / rows);
            }
        }
        Self {
            gram: covariance(&inputs),
            moments,
            targets: products,
            means,
        }
    }

    /// Predictions, `[rows, coordinates]`.
    fn predict(&self, penalty: f64, features: &Features) -> Vec<f64> {
        let (width, coordinates) = (features.width(), self.means.len());
        let factor = Cholesky::new(self.gram.clone(), penalty, width);
        let mut weights = self.targets.clone();
        factor.solve_lower(&mut weights);
        factor.solve_upper(&mut weights);
        let inputs = self.moments.standardised(features);
        let mut predictions = Vec::with_capacity(features.rows() * coordinates);
        for row in 0..features.rows() {
            for (c, mean) in self.means.iter().enumerate() {
                let terms = inputs.row(row).iter().enumerate();
                let sum: f64 = terms
                    .map(|(i, &input)| f64::from(input) * weights[i * coordinates + c])
                    .sum();
                predictions.push(mean + sum);
            }
        }
        predictions
    }
}

/// Mean over the coordinates of `1 - squared errors / squared offsets from the mean`.
fn r2(predictions: &[f64], truth: &[f64], coordinates: usize) -> f64 {
    let of = |c: usize| {
        let column = |values: &[f64]| {
            values
                .iter()
                .copied()
                .skip(c)
                .step_by(coordinates)
                .collect::<Vec<_>>()
        };
        let (given, truth) = (column(predictions), column(truth));
        let mean = truth.iter().sum::<f64>() / truth.len() as f64;
        let errors: f64 = given.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum();
        let offsets: f64 = truth.iter().map(|value| (value - mean).powi(2)).sum();
        if offsets > 0.0 {
            1.0 - errors / offsets
        } else {
            0.0
        }
    };
    (0..coordinates).map(of).sum::<f64>() / coordinates as f64
}
