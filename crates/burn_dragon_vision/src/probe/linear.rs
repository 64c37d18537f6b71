//! Linear probe: multinomial logistic regression on standardised features.

use super::accuracy;
use super::config::ProbeConfig;
use super::features::{Features, Labelled, same_width};
use super::moments::Moments;
use super::softmax::{Softmax, predict};
use super::split::{Part, Split};
use crate::error::VisionError;

/// Result of a linear probe.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearOutcome {
    /// Class of each test row.
    pub predictions: Vec<usize>,
    /// Chosen weight decay.
    pub weight_decay: f64,
    /// Weight decays, with the accuracy of each on validation rows.
    pub validation: Vec<(f64, f64)>,
    /// Loss of the last fit on its training rows, in nats, with the term of the weight decay.
    pub loss: f64,
    /// Iterations of L-BFGS of the last fit.
    pub iterations: usize,
    /// Whether they reached the minimum.
    pub is_converged: bool,
}

/// Trains a linear probe, and predicts the classes of test rows.
///
/// The weight decay is the best on training rows that are held out; the larger of two equally good ones. The probe is then
/// fitted to all training rows. Columns are standardised with the statistics of the rows that a probe is fitted to.
///
/// # Errors
/// [`VisionError::Probe`] if the widths differ, or if there are fewer than two training rows.
pub fn linear(
    config: &ProbeConfig,
    train: Labelled<'_>,
    test: &Features,
) -> Result<LinearOutcome, VisionError> {
    linear_by_groups(config, train, test, 1)
}

/// The same, with whole groups of rows held out.
pub(super) fn linear_by_groups(
    config: &ProbeConfig,
    train: Labelled<'_>,
    test: &Features,
    group: usize,
) -> Result<LinearOutcome, VisionError> {
    same_width(train.features, test)?;
    let split = Split::new(train.features.rows(), group, config.validation_rows, config.seed)?;
    let validation = validate(config, train, &split);
    let better = |best: (f64, f64), next: (f64, f64)| if next.1 > best.1 { next } else { best };
    let (weight_decay, _) = validation.iter().copied().reduce(better).unwrap_or_default();
    let moments = Moments::of(train.features);
    let features = moments.standardised(train.features);
    let fitted = Labelled {
        features: &features,
        ..train
    };
    let softmax = Softmax::new(fitted);
    let minimum = softmax.fit(softmax.start(), weight_decay, config.iterations);
    Ok(LinearOutcome {
        predictions: predict(&moments.standardised(test), &minimum.point, train.classes),
        weight_decay,
        validation,
        loss: minimum.value,
        iterations: minimum.iterations,
        is_converged: minimum.is_converged,
    })
}

/// Accuracies of the weight decays on held-out rows, largest decay first: each fit begins where the one before ended.
fn validate(config: &ProbeConfig, train: Labelled<'_>, split: &Split) -> Vec<(f64, f64)> {
    let (fit, held) = (Part::of(train, &split.fit), Part::of(train, &split.held));
    let moments = Moments::of(&fit.features);
    let (fit_rows, held_rows) = (
        moments.standardised(&fit.features),
        moments.standardised(&held.features),
    );
    let softmax = Softmax::new(Labelled {
        features: &fit_rows,
        labels: &fit.labels,
        classes: train.classes,
    });
    let mut decays = config.weight_decays.clone();
    decays.sort_by(|a, b| b.total_cmp(a));
    let mut parameters = softmax.start();
    let mut of = |decay| {
        parameters = softmax.fit(parameters.clone(), decay, config.iterations).point;
        let predictions = predict(&held_rows, &parameters, train.classes);
        (decay, accuracy(&predictions, &held.labels))
    };
    decays.into_iter().map(&mut of).collect()
}
