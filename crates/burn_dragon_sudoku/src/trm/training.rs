//! Loss of a supervision step of a TRM model.

use super::{Lanes, Supervised, supervise};
use crate::config::SudokuConfig;
use crate::data::Pair;
use crate::evaluate::{OpenCells, Score, likeliest};
use crate::grid::Grid;
use crate::model::{SudokuModel, SudokuPass};
use burn::tensor::{Tensor, TensorData};
use burn_dragon_train::api::{Loss, LossContext, Metrics, TrainError};

/// Loss of the next supervision step of the lanes, which take new puzzles where they have finished theirs:
///
/// ```text
/// mean cross-entropy of the empty cells + halting_weight * mean over the lanes of BCE(q, answer is right)
/// ```
///
/// Whether the answer is right is a constant. `draw` gives the puzzle of a number.
///
/// # Errors
/// If the precision is not settled.
pub(crate) fn loss(
    config: &SudokuConfig,
    model: &SudokuModel,
    lanes: &mut Lanes,
    draw: impl Fn(u64) -> Pair,
    context: LossContext,
) -> Result<Loss, TrainError> {
    let pass = SudokuPass {
        dropout_seed: Some(context.dropout_seed),
        precision: config.training.precision.concrete()?,
        ..SudokuPass::default()
    };
    let (units, latents) = lanes.begin();
    let pairs: Vec<Pair> = units.into_iter().map(draw).collect();
    let puzzles = Pair::puzzles(&pairs);
    let Supervised {
        logits,
        halting,
        latents,
    } = supervise(model, &puzzles, latents, pass);
    let answers = likeliest(logits.clone().inner(), &puzzles).into_iter();
    let grids: Vec<Grid> = answers.map(|answer| answer.grid).collect();
    let right: Vec<bool> = pairs
        .iter()
        .zip(&grids)
        .map(|(pair, grid)| *grid == pair.solution)
        .collect();
    let halted = halted(&halting);
    lanes.end(latents, &halted);

    let of_cells = OpenCells::of(&pairs).losses(logits, config.loss.kind).mean();
    let of_halting = halting_loss(halting, &right);
    let mut metrics = Metrics::new();
    if context.watch {
        let halting_loss = of_halting.clone().inner().into_scalar::<f64>();
        let score = Score::of(&pairs, grids);
        metrics.extend(
            [
                ("cell_accuracy", Some(score.cell_accuracy)),
                ("solved", Some(score.solved)),
                ("halted", Some(share(&halted))),
                ("halting_loss", Some(halting_loss)),
                ("supervision_steps", lanes.mean_steps()),
            ]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_string(), value?))),
        );
    }
    let value = of_cells + of_halting * config.loss.halting();
    Ok(Loss { value, metrics })
}

/// Lanes whose answer is said to be right: a logit above 0.
pub(super) fn halted(halting: &Tensor<1>) -> Vec<bool> {
    let logits = halting.clone().into_data().convert::<f32>();
    logits.iter::<f32>().map(|q| q > 0.0).collect()
}

/// Mean over the lanes of the binary cross-entropy in nats, `[1]`, of logits `[B]`.
pub(super) fn halting_loss(halting: Tensor<1>, right: &[bool]) -> Tensor<1> {
    let targets: Vec<f32> = right.iter().map(|&right| f32::from(u8::from(right))).collect();
    let targets = TensorData::new(targets, [right.len()]);
    let targets = Tensor::<1>::from_data(targets, &halting.device());
    // log(1 + exp(q)) - target q, where exp cannot overflow.
    let softplus = halting.clone().clamp_min(0.0) + halting.clone().abs().neg().exp().log1p();
    (softplus - targets * halting).mean()
}

fn share(of: &[bool]) -> f64 {
    of.iter().filter(|&&one| one).count() as f64 / of.len().max(1) as f64
}
