//! Objective `supervised`: cross-entropy of the classes, after the last level or after every one.

use super::Learning;
use crate::batch::Batch;
use crate::config::{LevelsWithLoss, SupervisedConfig};
use crate::encoder::Hidden;
use crate::error::VisionError;
use crate::model::VisionModel;
use burn::tensor::{Int, Tensor, activation};
use burn_dragon_train::api::{Loss, Metrics};

/// Mean loss of a batch.
///
/// # Errors
/// If the model has no classifier.
pub(super) fn loss(
    config: &SupervisedConfig,
    model: &VisionModel,
    batch: &Batch,
    learning: Learning,
) -> Result<Loss, VisionError> {
    let device = model.device();
    let (pixels, targets) = (batch.pixels(0, &device), batch.targets(&device));
    let seen = model.encoder.look(pixels, &Hidden::Nothing, learning.pass)?;
    let judged = match config.levels {
        LevelsWithLoss::All => &seen[..],
        LevelsWithLoss::Last => &seen[seen.len().saturating_sub(1)..],
    };
    let mut losses = Vec::with_capacity(judged.len());
    let mut metrics = Metrics::new();
    for seen in judged {
        let logits = model.logits(seen.summary.clone())?;
        losses.push(cross_entropy(
            logits.clone(),
            targets.clone(),
            config.label_smoothing,
        ));
        if learning.watch {
            metrics.insert("accuracy".into(), accuracy(logits.inner(), targets.clone()));
        }
    }
    let count = losses.len() as f64;
    let sum = losses.into_iter().reduce(|sum, loss| sum + loss);
    let value = sum.unwrap_or_else(|| Tensor::zeros([1], &device)) / count;
    Ok(Loss { value, metrics })
}

/// `-sum over classes of p log softmax(logits)`, mean over pictures; p is 1 at the target, of which a share `smoothing` is
/// spread over all classes.
///
/// # Shapes
/// - `logits`: `[B, classes]`; `targets`: `[B]`; output: `[1]`
fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let count = logits.dims()[0];
    let logarithms = activation::log_softmax(logits, 1);
    let of_target = logarithms.clone().gather(1, targets.reshape([count, 1])).mean();
    let of_all = logarithms.mean();
    (of_target * (1.0 - smoothing) + of_all * smoothing).neg()
}

/// Share of the rows whose largest logit is that of the target.
pub(crate) fn accuracy(logits: Tensor<2>, targets: Tensor<1, Int>) -> f64 {
    let rows = logits.dims()[0];
    let likeliest = logits.argmax(1).reshape([rows]);
    let targets = if targets.is_autodiff() {
        targets.inner()
    } else {
        targets
    };
    let right = likeliest.equal(targets).int().sum().into_scalar::<i64>();
    right as f64 / rows.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_smoothed_target_costs_what_its_definition_says() {
        let device = Device::flex();
        let logits = || Tensor::<2>::from_data([[2.0f32, 0.0, -1.0]], &device);
        let targets = || Tensor::<1, Int>::from_data([0], &device);
        let sum: f64 = [2.0f64, 0.0, -1.0].iter().map(|z| z.exp()).sum();
        let log = |z: f64| z - sum.ln();
        let plain = cross_entropy(logits(), targets(), 0.0).into_scalar::<f64>();
        assert!((plain + log(2.0)).abs() < 1e-6);
        let smoothed = cross_entropy(logits(), targets(), 0.3).into_scalar::<f64>();
        let expected = -(0.8 * log(2.0) + 0.1 * log(0.0) + 0.1 * log(-1.0));
        assert!((smoothed - expected).abs() < 1e-6, "{smoothed} {expected}");
    }

    #[test]
    fn accuracy_counts_the_likeliest_class() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data([[2.0f32, 0.0], [1.0, 3.0], [0.5, 0.1], [0.0, 1.0]], &device);
        let targets = Tensor::<1, Int>::from_data([0, 1, 1, 1], &device);
        assert!((accuracy(logits, targets) - 0.75).abs() < 1e-9);
    }
}
