//! Objective `lejepa`: views of a picture agree, and their projections have an isotropic distribution (LeJEPA,
//! arXiv:2511.08544).
//!
//! ```text
//! z = projector(summary of a view)                                        [V, B, K]
//! loss = (1 - lambda) invariance(z) + lambda SIGReg(z)                    sigreg.rs
//! ```
//!
//! There is no teacher and no negative. The paper's projector has batch norms; here norms are of a row, so that a picture does
//! not depend on its batch.

use super::{Learning, invariance};
use crate::batch::Batch;
use crate::config::LejepaConfig;
use crate::encoder::Hidden;
use crate::error::VisionError;
use crate::model::VisionModel;
use burn::tensor::{DType, Tensor};
use burn_dragon_train::api::{Loss, Metrics};

/// Mean loss of a batch.
///
/// # Errors
/// If the model has no projector.
pub(super) fn loss(
    config: &LejepaConfig,
    model: &VisionModel,
    batch: &Batch,
    learning: Learning,
) -> Result<Loss, VisionError> {
    let device = model.device();
    let projector = model
        .heads
        .projector
        .as_ref()
        .ok_or(VisionError::NoHead { head: "projector" })?;
    let views: Vec<Tensor<4>> = (0..batch.views())
        .map(|view| batch.pixels(view, &device))
        .collect();
    let (count, lanes) = (views.len(), batch.lanes());
    let last = model
        .encoder
        .look_last(Tensor::cat(views, 0), &Hidden::Nothing, learning.pass)?;
    let z = projector.forward(last.summary); // [V*B, K]
    let width = z.dims()[1];
    let z = z.reshape([count, lanes, width]).cast(DType::F32);
    let directions = config.sigreg.directions(width, (learning.seed, 0), &z.device());
    let (agreement, statistic) = (invariance(z.clone()), config.sigreg.statistic(z, directions));
    let mut metrics = Metrics::new();
    if learning.watch {
        metrics.insert("invariance".into(), agreement.clone().into_scalar::<f64>());
        metrics.insert("sigreg".into(), statistic.clone().into_scalar::<f64>());
    }
    Ok(Loss {
        value: agreement * (1.0 - config.lambda) + statistic * config.lambda,
        metrics,
    })
}
