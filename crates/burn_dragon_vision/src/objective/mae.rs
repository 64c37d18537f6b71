//! Objective `mae`: the pixels of hidden patches, from the visible ones (MAE, arXiv:2111.06377).
//!
//! ```text
//! target = (pixels - mean) / sqrt(variance + 1e-6) of each patch, or the pixels
//! loss   = mean over hidden patches and their pixels of (prediction - target)^2
//! ```
//!
//! The paper's autoencoder has transformers; here encoder and decoder are dense dragons. Its decoder's places are sines and
//! cosines, as here.

use super::{IndexLists, Learning, Mask, PatchGrid, hidden, random_masks};
use crate::batch::Batch;
use crate::config::{MaeConfig, MaeHiding};
use crate::encoder::{Hidden, ModelConfig, patchify};
use crate::error::VisionError;
use crate::heads::PixelDecoder;
use crate::model::VisionModel;
use burn::tensor::{Device, Int, Tensor};
use burn_dragon_core::api::structured::Grid;
use burn_dragon_train::api::{Loss, Metrics};

/// Constant added to the variance of the pixels of a patch.
const EPS: f64 = 1e-6;

/// Mean loss of a batch.
///
/// # Errors
/// If the model has no decoder.
pub(super) fn loss(
    config: &MaeConfig,
    model: &VisionModel,
    batch: &Batch,
    learning: Learning,
) -> Result<Loss, VisionError> {
    let decoder = model.heads.decoder.as_ref().ok_or(VisionError::NoHead {
        head: "pixel decoder",
    })?;
    let pixels = batch.pixels(0, &model.device());
    let masks = masks(config, model.encoder.config(), batch.lanes(), learning.seed);
    let (predictions, targets) = predictions(config, model, decoder, pixels, &masks, learning)?;
    let errors = (predictions - targets).powi_scalar(2).mean_dim(2); // [B, P, 1]
    let hidden = hidden(&masks, &errors.device());
    let value = (errors * hidden.clone()).sum() / hidden.sum();
    Ok(Loss {
        value,
        metrics: Metrics::new(),
    })
}

/// Predicted pixels of all patches and their targets, `[B, P, patch * patch * C]`.
pub(crate) fn predictions(
    config: &MaeConfig,
    model: &VisionModel,
    decoder: &PixelDecoder,
    pixels: Tensor<4>,
    masks: &[Mask],
    learning: Learning,
) -> Result<(Tensor<3>, Tensor<3>), VisionError> {
    let encoder = &model.encoder;
    let targets = targets(pixels.clone(), encoder.config().patch_size, config.norm_pixels);
    let (behind, visible) = match config.hiding {
        MaeHiding::Dropped => {
            let places = visible(masks, &pixels.device());
            (Hidden::AllBut(places.clone()), Some(places))
        }
        MaeHiding::Token => {
            let token = model.heads.mask_token.as_ref();
            let token = token.ok_or(VisionError::NoHead { head: "mask token" })?.val();
            (Hidden::Behind(hidden(masks, &targets.device()), token), None)
        }
    };
    let last = encoder.look_last(pixels, &behind, learning.pass)?;
    let tokens = encoder.patches(&last.stream);
    Ok((
        decoder.pixels(tokens, visible.as_ref(), learning.pass.precision),
        targets,
    ))
}

/// Pixels of the patches as the loss wants them.
fn targets(pixels: Tensor<4>, patch: usize, norm: bool) -> Tensor<3> {
    let patches = patchify(pixels, patch);
    if !norm {
        return patches;
    }
    let mean = patches.clone().mean_dim(2);
    let centred = patches - mean;
    let variance = centred.clone().powi_scalar(2).mean_dim(2);
    centred / (variance + EPS).sqrt()
}

/// Masks of some pictures, the same number of hidden patches in each.
pub(crate) fn masks(config: &MaeConfig, encoder: &ModelConfig, pictures: usize, seed: u64) -> Vec<Mask> {
    let Grid { height, width } = encoder.grid();
    let grid = PatchGrid {
        frames: 1,
        height,
        width,
    };
    random_masks(grid, config.hidden, pictures, (seed, 0))
}

/// Places of the visible patches, `[B, K]`.
fn visible(masks: &[Mask], device: &Device) -> Tensor<2, Int> {
    let tokens: Vec<usize> = masks.iter().flat_map(Mask::context).collect();
    let length = tokens.len() / masks.len().max(1);
    IndexLists { length, tokens }.tensor(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn targets_of_a_patch_have_mean_0_and_variance_1() {
        let device = Device::flex();
        device.seed(2);
        let pixels = Tensor::<4>::random([2, 8, 8, 3], Distribution::Uniform(0.2, 0.4), &device);
        let targets = targets(pixels.clone(), 4, true);
        assert!(targets.clone().mean_dim(2).abs().max().into_scalar::<f32>() < 1e-4);
        let variance = targets.powi_scalar(2).mean_dim(2);
        assert!((variance - 1.0).abs().max().into_scalar::<f32>() < 1e-2);
        let plain = super::targets(pixels.clone(), 4, false);
        assert_eq!(plain.into_data(), patchify(pixels, 4).into_data());
    }

    #[test]
    fn hidden_and_visible_patches_are_all_of_them() {
        let encoder = ModelConfig {
            image_size: 16,
            ..ModelConfig::default()
        };
        let config = MaeConfig {
            hidden: 0.75,
            ..MaeConfig::default()
        };
        let masks = masks(&config, &encoder, 3, 7);
        let device = Device::flex();
        let hidden: Vec<f32> = hidden(&masks, &device).into_data().iter::<f32>().collect();
        let visible: Vec<i64> = visible(&masks, &device)
            .into_data()
            .convert::<i64>()
            .iter::<i64>()
            .collect();
        assert_eq!((hidden.iter().sum::<f32>(), visible.len()), (36.0, 12));
        for (at, place) in visible.iter().enumerate() {
            assert_eq!(hidden[at / 4 * 16 + *place as usize], 0.0);
        }
    }
}
