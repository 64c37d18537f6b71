//! Dense probe: tokens of patches, foreground or background.

use super::config::ProbeConfig;
use super::features::{Features, Labelled};
use super::linear::linear_by_groups;
use crate::error::VisionError;

/// Result of a dense probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreground {
    /// Patches of the test frames that the probe takes for foreground.
    pub predictions: Vec<bool>,
    /// Intersection over union with the true foreground, over all test frames together; 1 if neither has any.
    pub iou: f64,
    /// Share of patches that are right.
    pub accuracy: f64,
}

/// Logistic regression of foreground from the token of each patch alone.
///
/// `train` and `test` are tokens of frames, `patches` rows a frame, with the truth of each patch. The weight decay is chosen on
/// whole training frames that are held out.
///
/// # Errors
/// [`VisionError::Probe`] if the sizes do not fit, or if there are fewer than two training frames.
pub fn foreground(
    config: &ProbeConfig,
    train: (&Features, &[bool]),
    test: (&Features, &[bool]),
    patches: usize,
) -> Result<Foreground, VisionError> {
    let classes = |truth: &[bool]| {
        truth
            .iter()
            .map(|&is_there| usize::from(is_there))
            .collect::<Vec<_>>()
    };
    let (train_labels, test_labels) = (classes(train.1), classes(test.1));
    let test = Labelled::new(test.0, &test_labels, 2)?;
    let outcome = linear_by_groups(
        config,
        Labelled::new(train.0, &train_labels, 2)?,
        test.features,
        patches,
    )?;
    Ok(Foreground {
        iou: intersection_over_union(&outcome.predictions, &test_labels),
        accuracy: super::accuracy(&outcome.predictions, &test_labels),
        predictions: outcome.predictions.into_iter().map(|class| class == 1).collect(),
    })
}

fn intersection_over_union(predictions: &[usize], truth: &[usize]) -> f64 {
    let count = |of: fn(usize, usize) -> bool| {
        predictions
            .iter()
            .zip(truth)
            .filter(|&(&given, &true_class)| of(given, true_class))
            .count()
    };
    match count(|given, truth| given == 1 || truth == 1) {
        0 => 1.0,
        union => count(|given, truth| given == 1 && truth == 1) as f64 / union as f64,
    }
}
