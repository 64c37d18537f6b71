//! Learning of a saccade model: boards for the digits, and the loss of the policy.

use super::head::{cell_logits, features};
use super::walk::{Lane, Walk, numbers};
use crate::config::REWARDS;
use crate::constraint::SudokuState;
use crate::data::Pair;
use crate::model::{SudokuModel, SudokuPass};
use crate::units::CELLS;
use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_train::api::policy::{Choices, PolicyConfig, Rewards, Taken, drawn, masked_mean, surrogate};
use burn_dragon_train::api::{Metrics, TrainError};

/// Boards on which the digits learn, and their state: those of a walk of at most `levels` levels, on which the digits of the solution
/// are committed in the cells that the policy draws. At least one cell of a board stays empty.
///
/// A board with a wrong digit has no answer; so the solution guides the walk.
pub(crate) fn guided(
    model: &SudokuModel,
    batch: &[Pair],
    (levels, pass): (usize, SudokuPass),
    seed: u64,
) -> (Vec<Pair>, SudokuState) {
    let glimpse = model.config().glimpse();
    let mut pairs = batch.to_vec();
    let mut state = model.start(&Pair::puzzles(&pairs));
    for step in 0..levels / glimpse.levels {
        model.advance(&mut state, glimpse.levels, pass);
        let logits = numbers(cell_logits(model, features(model, &state)));
        for (lane, (pair, logits)) in pairs.iter_mut().zip(logits.chunks(CELLS)).enumerate() {
            let open: Vec<usize> = pair.puzzle.empty_cells().collect();
            let count = glimpse.cells.min(open.len().saturating_sub(1));
            let mut rng = Rng::new(derive(seed, "saccade.guided", step as u64, lane as u64));
            for cell in drawn(logits, &open, count, &mut rng) {
                pair.puzzle = pair.puzzle.with(cell, pair.solution.cells()[cell]);
            }
        }
        state.input = model.start(&Pair::puzzles(&pairs)).input;
    }
    (pairs, state)
}

/// Loss of the policy, and figures of its walks.
///
/// # Errors
/// If the rewards and the configuration do not fit.
pub(crate) fn policy_loss(
    model: &SudokuModel,
    batch: &[Pair],
    policy: &PolicyConfig,
    (levels, pass): (usize, SudokuPass),
    seed: u64,
) -> Result<(Option<Tensor<1>>, Metrics), TrainError> {
    let inputs = policy.inputs.unwrap_or(batch.len()).min(batch.len());
    let pairs = repeated(&batch[..inputs], policy.rollouts);
    let model_without = model.valid();
    let walked = Walked::of(&model_without, &pairs, (levels, pass), |walk, logits| {
        walk.drawn(logits, seed)
    });
    let rewards = walked.rewards(&pairs, levels);
    let rewards = Rewards::new([inputs, policy.rollouts, REWARDS.len()], rewards)?;
    let mut metrics = Metrics::new();
    for (name, mean) in REWARDS.into_iter().zip(rewards.means()) {
        metrics.insert(format!("policy_{name}"), mean);
    }
    let advantages = policy.estimator(&REWARDS)?.advantages(&rewards)?;
    let Some(now) = walked.log_probs(model) else {
        return Ok((None, metrics));
    };
    let then = walked.log_probs(&model_without);
    let taken = Taken {
        stored: then.map_or_else(Vec::new, |then| numbers(then.log_probs)),
        mask: now.mask.clone(),
        advantages,
    };
    let entropy = masked_mean(now.entropies, &now.mask);
    metrics.insert("policy_entropy".into(), entropy.clone().into_scalar::<f64>());
    let aim = surrogate(now.log_probs, &taken, policy.ratio_clip) - entropy * policy.entropy_weight;
    Ok((Some(aim * policy.weight), metrics))
}

/// Each puzzle so many times, side by side: the rollouts of a puzzle are a group.
fn repeated(pairs: &[Pair], times: usize) -> Vec<Pair> {
    let each = pairs.iter().flat_map(|pair| std::iter::repeat_n(*pair, times));
    each.collect()
}

/// Walks with what the policy saw and picked.
pub(super) struct Walked {
    /// The puzzles at the end of their walks.
    pub(super) lanes: Vec<Lane>,
    glimpses: Vec<Glimpse>,
    most: usize,
}

/// Cells that were picked after a glimpse.
struct Glimpse {
    /// Puzzles that went on.
    here: Vec<usize>,
    /// What the policy saw, `[rows, 81, 2 D]`, constant.
    features: Tensor<3>,
    /// Cells that were empty.
    open: Vec<Vec<usize>>,
    picks: Vec<Vec<usize>>,
}

/// Log-probabilities and entropies of all picks of the walks, `[R, T K]`, and whether there is a pick at each place.
pub(super) struct PickLogProbs {
    pub(super) log_probs: Tensor<2>,
    pub(super) entropies: Tensor<2>,
    pub(super) mask: Vec<bool>,
}

impl Walked {
    /// Walks over puzzles with a model without gradients. `pick` gets the policy's logits, `[rows, 81]`.
    pub(super) fn of(
        model: &SudokuModel,
        pairs: &[Pair],
        budget: (usize, SudokuPass),
        mut pick: impl FnMut(&Walk<'_>, &[f32]) -> Vec<Vec<usize>>,
    ) -> Self {
        let puzzles = Pair::puzzles(pairs);
        let mut walk = Walk::new(model, &puzzles, model.start(&puzzles), budget);
        let mut glimpses = Vec::new();
        while walk.look() {
            let features = walk.features();
            let picks = pick(&walk, &numbers(cell_logits(model, features.clone())));
            glimpses.push(Glimpse {
                here: walk.here.clone(),
                features,
                open: walk.open_cells(),
                picks: picks.clone(),
            });
            walk.commit(&picks);
        }
        Self {
            lanes: walk.lanes,
            glimpses,
            most: model.config().glimpse().cells,
        }
    }

    /// Rewards of the walks, `[R, 3]` in rows.
    pub(super) fn rewards(&self, pairs: &[Pair], levels: usize) -> Vec<f64> {
        let of_lane = |(lane, pair): (&Lane, &Pair)| {
            let (right, committed) = lane.right(&pair.solution);
            let valid = if committed == 0 {
                1.0
            } else {
                right as f64 / committed as f64
            };
            let solved = f64::from(u8::from(lane.is_solved()));
            [valid, solved, 1.0 - lane.steps as f64 / levels as f64]
        };
        self.lanes.iter().zip(pairs).flat_map(of_lane).collect()
    }

    /// Log-probabilities of the picks under the policy of a model, which has gradients if the model has; `None` if no cell was picked.
    pub(super) fn log_probs(&self, model: &SudokuModel) -> Option<PickLogProbs> {
        let (rollouts, glimpses) = (self.lanes.len(), self.glimpses.len());
        if rollouts == 0 || glimpses == 0 {
            return None;
        }
        // The row of each rollout and glimpse among all features; any row where the rollout had ended.
        let mut rows = vec![0i32; rollouts * glimpses];
        let mut taken = vec![None; rollouts * glimpses];
        let mut first = 0;
        for (place, glimpse) in self.glimpses.iter().enumerate() {
            for (row, &lane) in glimpse.here.iter().enumerate() {
                rows[lane * glimpses + place] = (first + row) as i32;
                taken[lane * glimpses + place] = Some((&glimpse.open[row], &glimpse.picks[row]));
            }
            first += glimpse.here.len();
        }
        let mut choices = Choices::new(CELLS, self.most);
        for taken in taken {
            match taken {
                Some((open, picks)) => choices.push(open, picks.clone()),
                None => choices.push(&[], Vec::new()),
            }
        }
        let all = self.glimpses.iter().map(|glimpse| glimpse.features.clone());
        let all = Tensor::cat(all.collect(), 0);
        let rows = TensorData::new(rows, [rollouts * glimpses]);
        let rows = Tensor::<1, Int>::from_data(rows, &all.device());
        let seen = on_device_of(model, all.select(0, rows)); // [R T, 81, 2 D]
        let found = choices.log_probs(cell_logits(model, seen));
        let of = |values: Tensor<2>| values.reshape([rollouts, glimpses * self.most]);
        Some(PickLogProbs {
            log_probs: of(found.log_probs),
            entropies: of(found.entropies),
            mask: choices.mask(),
        })
    }
}

/// Constants in a pass of a model, with gradients or without.
fn on_device_of<const R: usize>(model: &SudokuModel, constant: Tensor<R>) -> Tensor<R> {
    if model.device().is_autodiff() {
        constant.autodiff()
    } else {
        constant
    }
}
