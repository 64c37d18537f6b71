//! Objective `vjepa21`: a teacher's tokens of hidden blocks of a clip (V-JEPA 2.1, arXiv:2603.14482).
//!
//! ```text
//! t_i    = n(teacher's tokens of the whole clip), each of the levels `depths` on its own, concatenated      [.., L D]
//! p      = predictor(encoder's tokens of the visible part)
//! hidden  = mean over hidden i and numbers of |p_i - t_i|
//! context = mean over visible j and numbers of w_j |p_j - t_j|,  w_j = 1 / sqrt(max(distance to the nearest hidden, 1))
//! loss    = hidden + weight context
//! ```
//!
//! Two variants, by `predictor`:
//!
//! | | `attention` | `per_token` |
//! |---|---|---|
//! | hidden patches in the encoder | left out (dense), or a learnt token (cellular, pyramid) | a learnt token |
//! | predictor | a dense dragon that mixes tokens | an MLP for each token |
//! | n | mean 0 and variance 1 | length 1, of predictions too |
//!
//! With `targets = "batch"`, n is not of a token but of the clips, for both predictors, and predictions stay as they are:
//!
//! ```text
//! n(z)_bi = (z_bi - mean over the clips b of z_bi) / s,   s^2 = mean over clips and places of the numerator squared
//! ```
//!
//! Tokens of different clips at the same place are alike, so that of a target by rows most is known without looking. This norm
//! leaves what tells clips apart. It is not the paper's.
//!
//! The first is the paper's method, with dragons for transformers. The second is that of the public implementation, which has
//! the paper's name: its encoder paints what is hidden, since its predictor knows one token alone. There, with a cellular or
//! pyramid backbone, a hidden patch knows nothing of later frames.

use super::{IndexLists, Learning, Mask, PatchGrid, hidden, stacked};
use crate::batch::Batch;
use crate::config::{TargetNorm, Vjepa21Config};
use crate::encoder::{Hidden, VisionPass};
use crate::error::VisionError;
use crate::heads::{Places, PredictorConfig, norm_rows};
use crate::model::VisionModel;
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_train::api::{Loss, Metrics};

/// Constant added to squares of lengths.
const EPS: f64 = 1e-12;

/// Constant added to variances over the clips of a batch.
const VARIANCE_EPS: f64 = 1e-6;

/// What is hidden of a batch of clips.
struct Masked {
    grid: PatchGrid,
    masks: Vec<Mask>,
    /// Visible patches.
    context: IndexLists,
    /// Hidden ones.
    hidden: IndexLists,
}

/// Mean loss of a batch. The teacher has no autodiff.
///
/// # Errors
/// If the model has no predictor.
pub(super) fn loss(
    config: &Vjepa21Config,
    model: &VisionModel,
    teacher: &VisionModel,
    batch: &Batch,
    learning: Learning,
) -> Result<Loss, VisionError> {
    let device = model.device();
    let clip = batch.clip(&device);
    let masked = Masked::draw(config, model, clip.dims()[1], batch.lanes(), learning.seed);
    let learning = Learning {
        pass: VisionPass {
            levels: Some(config.levels().min(model.encoder.config().n_levels)),
            ..learning.pass
        },
        ..learning
    };
    let raw = of_teacher(config, teacher, clip.clone(), learning.pass.levels)?;
    let mut metrics = Metrics::new();
    if learning.watch {
        let [lanes, tokens, width] = raw.dims();
        let rows = raw.clone().reshape([lanes * tokens, width]);
        let spread = (rows.clone() - rows.mean_dim(0))
            .powi_scalar(2)
            .mean_dim(0)
            .sqrt()
            .mean();
        metrics.insert("target_deviation".into(), spread.into_scalar::<f64>());
    }
    let targets = scaled(config, raw);
    let [hidden, context] = predictions(config, model, clip, &masked, learning)?;
    let [of_hidden, of_context] = [(hidden, &masked.hidden), (context, &masked.context)]
        .map(|(predictions, list)| (predictions - taken(targets.clone(), list)).abs());
    let of_hidden = of_hidden.mean();
    let of_context = (of_context * masked.weights(&device)).mean();
    if learning.watch {
        metrics.insert("hidden".into(), of_hidden.clone().into_scalar::<f64>());
        metrics.insert("context".into(), of_context.clone().into_scalar::<f64>());
    }
    let weight = config.context_weight_after(learning.updates);
    let value = match weight {
        0.0 => of_hidden,
        weight => of_hidden + of_context * weight,
    };
    Ok(Loss { value, metrics })
}

impl Masked {
    fn draw(config: &Vjepa21Config, model: &VisionModel, frames: usize, clips: usize, seed: u64) -> Self {
        let of_frame = model.encoder.config().grid();
        let grid = PatchGrid {
            frames,
            height: of_frame.height,
            width: of_frame.width,
        };
        let masks = config.masks.draw(grid, clips, (seed, 0));
        let [context, hidden] = stacked(&masks, (seed, 0));
        Self {
            grid,
            masks,
            context,
            hidden,
        }
    }

    /// 1 for a hidden patch, `[B, T P, 1]`.
    fn flags(&self, device: &Device) -> Tensor<3> {
        hidden(&self.masks, device)
    }

    /// Weights of the visible patches, `[B, K, 1]`.
    fn weights(&self, device: &Device) -> Tensor<3> {
        let of = |(clip, mask): (usize, &Mask)| {
            let weights = mask.distance_weights();
            let visible = self.context.of(clip).iter();
            visible.map(|&token| weights[token]).collect::<Vec<f32>>()
        };
        let values: Vec<f32> = self.masks.iter().enumerate().flat_map(of).collect();
        let shape = [self.masks.len(), self.context.length, 1];
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn places(&self, model: &VisionModel, device: &Device) -> Places {
        Places {
            frames: self.grid.frames,
            grid: model.encoder.config().grid(),
            context: self.context.tensor(device),
            hidden: self.hidden.tensor(device),
        }
    }
}

/// Tokens of the teacher for the whole clip, at the levels that are predicted, `[B, T P, L D]`, constants.
fn of_teacher(
    config: &Vjepa21Config,
    teacher: &VisionModel,
    clip: Tensor<5>,
    levels: Option<usize>,
) -> Result<Tensor<3>, VisionError> {
    let tracked = clip.is_autodiff();
    let clip = if tracked { clip.inner() } else { clip };
    let pass = VisionPass {
        levels,
        ..VisionPass::default()
    };
    let watched = teacher.encoder.watch(clip, &Hidden::Nothing, pass)?;
    let tokens = at_depths(config, &watched.levels);
    Ok(if tracked { tokens.autodiff() } else { tokens })
}

/// Tokens after the levels that are predicted, side by side, `[B, n, L D]`.
fn at_depths(config: &Vjepa21Config, levels: &[Tensor<3>]) -> Tensor<3> {
    let at = |depth: &usize| levels[depth.min(&levels.len()) - 1].clone();
    Tensor::cat(config.depths.iter().map(at).collect(), 2)
}

/// Targets of a teacher's tokens, `[B, n, L D]`.
fn scaled(config: &Vjepa21Config, tokens: Tensor<3>) -> Tensor<3> {
    match config.targets {
        TargetNorm::Rows => normal(config, tokens),
        TargetNorm::Batch => {
            let centred = tokens.clone() - tokens.mean_dim(0);
            let variance = centred.clone().powi_scalar(2).mean_dim(0).mean_dim(1); // [1, 1, L D]
            centred / (variance + VARIANCE_EPS).sqrt()
        }
    }
}

/// Tokens with each level normalised on its own, `[B, n, L D]`.
fn normal(config: &Vjepa21Config, tokens: Tensor<3>) -> Tensor<3> {
    let ([lanes, count, width], levels) = (tokens.dims(), config.depths.len());
    let rows = tokens.reshape([lanes * count * levels, width / levels]);
    let rows = match config.predictor {
        PredictorConfig::Attention(_) => norm_rows(rows),
        PredictorConfig::PerToken(_) => {
            let length = (rows.clone().powi_scalar(2).sum_dim(1) + EPS).sqrt();
            rows / length
        }
    };
    rows.reshape([lanes, count, width])
}

/// Rows of tokens, `[B, list, width]`.
fn taken(tokens: Tensor<3>, list: &IndexLists) -> Tensor<3> {
    let [lanes, _, width] = tokens.dims();
    let index = list.tensor(&tokens.device()).reshape([lanes, list.length, 1]);
    tokens.gather(1, index.expand([lanes, list.length, width]))
}

/// Predictions of the hidden and of the visible patches, `[B, M, L D]` and `[B, K, L D]`, as the targets are scaled.
fn predictions(
    config: &Vjepa21Config,
    model: &VisionModel,
    clip: Tensor<5>,
    masked: &Masked,
    learning: Learning,
) -> Result<[Tensor<3>; 2], VisionError> {
    let (heads, device) = (&model.heads, clip.device());
    let drops = config.drops_patches(model.encoder.config().kind);
    let behind = if drops {
        Hidden::AllBut(masked.context.tensor(&device))
    } else {
        let token = heads.mask_token.as_ref();
        let token = token.ok_or(VisionError::NoHead { head: "mask token" })?.val();
        Hidden::Behind(masked.flags(&device), token)
    };
    let watched = model.encoder.watch(clip, &behind, learning.pass)?;
    let tokens = at_depths(config, &watched.levels);
    let missing = VisionError::NoHead { head: "predictor" };
    match &config.predictor {
        PredictorConfig::Attention(_) => {
            let predictor = heads.predictor.as_ref().ok_or(missing)?;
            let visible = if drops {
                tokens
            } else {
                taken(tokens, &masked.context)
            };
            let places = masked.places(model, &device);
            Ok(predictor.predict(visible, &places, learning.pass.precision))
        }
        PredictorConfig::PerToken(_) => {
            let predictor = heads.token_predictor.as_ref().ok_or(missing)?;
            let all = predictor.predict(tokens, masked.flags(&device));
            let all = match config.targets {
                TargetNorm::Rows => normal(config, all),
                TargetNorm::Batch => all,
            };
            Ok([&masked.hidden, &masked.context].map(|list| taken(all.clone(), list)))
        }
    }
}

#[cfg(test)]
#[path = "vjepa_tests.rs"]
mod tests;
