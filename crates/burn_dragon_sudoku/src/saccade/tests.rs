use super::head::{cell_logits, features};
use super::learn::Walked;
use super::walk::{Walk, numbers, walk};
use super::{compare_policies, frames, guided, policy_loss};
use crate::config::{GlimpseConfig, ModelConfig, ModelType, Places, REWARDS, Tokens, default_rewards};
use crate::data::{GeneratorConfig, Pair, Split};
use crate::evaluate::answers;
use crate::grid::Grid;
use crate::model::{SudokuModel, SudokuPass};
use crate::solve::{SolveOptions, solve_with};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{load, snapshot};
use burn_dragon_train::api::policy::{Chooser, PolicyConfig, RewardConfig, Taken, surrogate};

fn config(glimpse: GlimpseConfig) -> ModelConfig {
    ModelConfig {
        kind: ModelType::Saccade,
        tokens: Tokens::Candidates,
        places: Places::None,
        d_model: 8,
        n_heads: 4,
        n_neurons: 32,
        n_levels: 2,
        evaluation_levels: Some(6),
        glimpse: Some(glimpse),
        init_std: 0.3,
        ..ModelConfig::default()
    }
}

fn model(levels: usize, cells: usize) -> SudokuModel {
    let config = config(GlimpseConfig { levels, cells });
    SudokuModel::new(&config, 1, &Device::flex().autodiff()).unwrap()
}

fn pairs(count: u64) -> Vec<Pair> {
    let generator = GeneratorConfig::default();
    (0..count)
        .map(|index| generator.puzzle(Split::Validation, index))
        .collect()
}

/// A puzzle of which only these cells are empty.
fn nearly_solved(empty: &[usize]) -> Pair {
    let solution = pairs(1)[0].solution;
    Pair {
        puzzle: empty.iter().fold(solution, |grid, &cell| grid.with(cell, 0)),
        solution,
    }
}

fn options(levels: usize, policy: Chooser) -> SolveOptions {
    SolveOptions {
        policy,
        ..SolveOptions::levels(levels)
    }
}

/// The model with an entry of its policy moved.
fn moved(model: &SudokuModel, entry: usize, by: f32) -> SudokuModel {
    load(model.clone().valid(), |name, shape| {
        (name == "policy").then(|| {
            let policy = model.policy.as_ref().unwrap().val().inner();
            let mut values = numbers(policy);
            values[entry] += by;
            TensorData::new(values, shape.to_vec())
        })
    })
}

fn gradient_of_policy(model: &SudokuModel, loss: &Tensor<1>) -> Vec<f32> {
    let gradients = loss.backward();
    let policy = model.policy.as_ref().unwrap().val();
    numbers(policy.grad(&gradients).unwrap())
}

#[test]
fn a_committed_cell_is_a_given_of_the_levels_behind_it() {
    let (model, pairs) = (model(2, 3).valid(), pairs(2));
    let puzzles: Vec<Grid> = pairs.iter().map(|pair| pair.puzzle).collect();
    let budget = (6, SudokuPass::default());
    let mut walk = Walk::new(&model, &puzzles, model.start(&puzzles), budget);
    assert!(walk.look());
    // Before anything is committed, the answers are those of the levels.
    let plain = answers(&model, &puzzles, 2);
    for (lane, answer) in walk.lanes.iter().zip(&plain) {
        assert_eq!((lane.answer, lane.steps), (answer.grid, 2));
    }
    let picks: Vec<Vec<usize>> = walk
        .open_cells()
        .iter()
        .map(|open| vec![open[4], open[0]])
        .collect();
    walk.commit(&picks);
    for (lane, (picks, puzzle)) in walk.lanes.iter().zip(picks.iter().zip(&puzzles)) {
        assert_eq!(lane.board.filled(), puzzle.filled() + 2);
        assert!(lane.board.keeps(puzzle) && lane.answer.keeps(&lane.board));
        assert!(
            picks
                .iter()
                .all(|&cell| lane.board.cells()[cell] == lane.answer.cells()[cell])
        );
    }
    let boards = walk.boards();
    assert_eq!(
        numbers(walk.state.input.clone()),
        numbers(model.start(&boards).input)
    );
    let mut by_hand = model.start(&puzzles);
    model.advance(&mut by_hand, 2, SudokuPass::default());
    by_hand.input = model.start(&boards).input;
    model.advance(&mut by_hand, 2, SudokuPass::default());
    walk.look();
    assert_eq!(numbers(walk.state.stream.clone()), numbers(by_hand.stream));
    for lane in &walk.lanes {
        assert!(lane.answer.keeps(&lane.board), "a committed cell stays as it is");
    }
}

#[test]
fn a_walk_ends_where_it_is_solved_where_no_cell_is_left_or_with_its_levels() {
    let model = model(2, 30).valid();
    let (pair, solved) = (pairs(1)[0], pairs(1)[0].solution);
    let puzzles = [pair.puzzle, solved, nearly_solved(&[0, 1, 30]).puzzle];
    let state = || model.start(&puzzles);
    let lanes = walk(&model, &puzzles, state(), options(9, Chooser::Raster));
    // Nothing is missing; three cells are committed after the first glimpse; 30 cells are after each.
    assert_eq!((lanes[1].answer, lanes[1].steps), (solved, 2));
    assert_eq!((lanes[2].steps, lanes[2].board.filled()), (4, 81));
    let empty = pair.puzzle.empty_cells().count();
    assert_eq!(lanes[0].steps, 2 * (empty.div_ceil(30) + 1));
    // The last glimpse has the levels that are left, and nothing is committed behind it.
    let lanes = walk(&model, &puzzles, state(), options(3, Chooser::Raster));
    assert_eq!(
        (lanes[0].steps, lanes[0].board.filled()),
        (3, pair.puzzle.filled() + 30)
    );
    let none = walk(&model, &[], model.start(&puzzles), options(0, Chooser::Raster));
    assert!(none.is_empty());
}

#[test]
fn choosers_pick_what_they_say() {
    let (model, pairs) = (model(1, 2).valid(), pairs(2));
    let puzzles: Vec<Grid> = pairs.iter().map(|pair| pair.puzzle).collect();
    let committed = |chooser, seed| -> Vec<Vec<usize>> {
        let options = SolveOptions {
            seed,
            ..options(2, chooser)
        };
        let lanes = walk(&model, &puzzles, model.start(&puzzles), options);
        let cells = lanes.iter().map(|lane| {
            let empty = lane.puzzle.empty_cells();
            empty.filter(|&cell| lane.board.cells()[cell] != 0).collect()
        });
        cells.collect()
    };
    let first = |puzzle: &Grid| puzzle.empty_cells().take(2).collect::<Vec<_>>();
    let raster: Vec<_> = puzzles.iter().map(first).collect();
    assert_eq!(committed(Chooser::Raster, 0), raster);
    assert!(committed(Chooser::Nothing, 0).iter().all(Vec::is_empty));
    assert_eq!(committed(Chooser::Random, 5), committed(Chooser::Random, 5));
    assert_ne!(committed(Chooser::Random, 5), committed(Chooser::Random, 6));

    let mut state = model.start(&puzzles);
    model.advance(&mut state, 1, SudokuPass::default());
    let by = |keys: &[f32]| -> Vec<Vec<usize>> {
        let rows = keys.chunks(81).zip(&puzzles);
        let best = rows.map(|(keys, puzzle)| {
            let mut open: Vec<usize> = puzzle.empty_cells().collect();
            open.sort_by(|&a, &b| keys[b].total_cmp(&keys[a]));
            open.truncate(2);
            open.sort_unstable();
            open
        });
        best.collect()
    };
    let logits = numbers(cell_logits(&model, features(&model, &state)));
    assert_eq!(committed(Chooser::Learned, 0), by(&logits));
    let digits = numbers(burn::tensor::activation::softmax(model.logits(&state), 2));
    let most = |of: &[f32]| of.iter().copied().fold(0.0, f32::max);
    let certain: Vec<f32> = digits.chunks(9).map(most).collect();
    assert_eq!(committed(Chooser::Confident, 0), by(&certain));
}

#[test]
fn the_policy_sees_the_candidates_of_a_cell_by_probability_and_in_the_mean() {
    let (model, pairs) = (model(2, 2).valid(), pairs(1));
    let mut state = model.start(&[pairs[0].puzzle]);
    model.advance(&mut state, 2, SudokuPass::default());
    let found = numbers(features(&model, &state));
    let (v, logits) = (numbers(state.stream.clone()), numbers(model.logits(&state)));
    let policy = numbers(model.policy.as_ref().unwrap().val());
    let by_cell = numbers(cell_logits(&model, features(&model, &state)));
    for cell in [0, 40, 80] {
        let of = &logits[cell * 9..][..9];
        let sum: f32 = of.iter().map(|logit| logit.exp()).sum();
        let mut expected = [0.0f32; 16];
        for digit in 0..9 {
            for d in 0..8 {
                let v = v[(cell * 9 + digit) * 8 + d];
                expected[d] += of[digit].exp() / sum * v;
                expected[8 + d] += v / 9.0;
            }
        }
        let here = &found[cell * 16..][..16];
        assert!(here.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
        let logit: f32 = expected.iter().zip(&policy).map(|(s, w)| s * w).sum();
        assert!((by_cell[cell] - logit).abs() < 1e-5);
    }
}

/// Walks in all orders in which two of three empty cells are committed, one after the other.
struct AllOrders {
    walked: Walked,
    pairs: Vec<Pair>,
}

impl AllOrders {
    fn of(model: &SudokuModel, cells: &[usize; 3]) -> Self {
        let orders: Vec<[usize; 2]> = cells
            .iter()
            .flat_map(|&one| cells.map(|other| [one, other]))
            .filter(|order| order[0] != order[1])
            .collect();
        let pairs = vec![nearly_solved(cells); orders.len()];
        let walked = Walked::of(&model.valid(), &pairs, (6, SudokuPass::default()), |walk, _| {
            let step = walk.state.levels() / 2 - 1;
            walk.here.iter().map(|&lane| vec![orders[lane][step]]).collect()
        });
        Self { walked, pairs }
    }

    /// Shares of committed cells that are right.
    fn valid(&self) -> Vec<f64> {
        let rewards = self.walked.rewards(&self.pairs, 6);
        rewards.chunks(3).map(|of| of[0]).collect()
    }

    /// Probabilities of the orders under the policy of a model.
    fn probabilities(&self, model: &SudokuModel) -> Vec<f64> {
        let log_probs = numbers(self.walked.log_probs(model).unwrap().log_probs.inner());
        let of_order = log_probs.chunks(2);
        of_order.map(|of| f64::from(of[0] + of[1]).exp()).collect()
    }

    /// Gradient of minus the expected reward by the policy's weights: differences of a sum over all orders. The policy sees little
    /// difference between the cells, so that probabilities are nearly linear in its weights.
    fn differences(&self, model: &SudokuModel, rewards: &[f64]) -> Vec<f64> {
        let expected = |entry, by| -> f64 {
            let all = self.probabilities(&moved(model, entry, by));
            all.iter().zip(rewards).map(|(p, r)| p * r).sum()
        };
        let entries = 0..2 * model.config().d_model;
        entries
            .map(|entry| -(expected(entry, 0.2) - expected(entry, -0.2)) / 0.4)
            .collect()
    }
}

/// The expected reward is a sum over all orders; the gradient of the surrogate over all of them must be its gradient.
#[test]
fn the_policy_s_gradient_is_that_of_the_expected_reward() {
    // Cells that see each other by row, by column and by box.
    let model = model(2, 1);
    let orders = AllOrders::of(&model, &[0, 1, 9]);
    let chosen = [0.0, 1.0, -0.5, 2.0, 0.3, -1.0];
    let rewards: Vec<f64> = orders.valid().iter().zip(chosen).map(|(a, b)| a + b).collect();
    let now = orders.probabilities(&model);
    assert!((now.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{now:?}");
    let found = orders.walked.log_probs(&model).unwrap();
    let taken = Taken {
        stored: numbers(found.log_probs.clone().inner()),
        mask: found.mask,
        // The loss is a mean over six walks, and over the two picks of each.
        advantages: now.iter().zip(&rewards).map(|(p, r)| 12.0 * p * r).collect(),
    };
    let gradient = gradient_of_policy(&model, &surrogate(found.log_probs, &taken, 0.2));
    let largest = gradient.iter().copied().map(f32::abs).fold(0.0, f32::max);
    assert!(largest > 3e-3, "{gradient:?}");
    for (found, difference) in gradient.iter().zip(orders.differences(&model, &rewards)) {
        let error = (f64::from(*found) - difference).abs();
        assert!(error < 1e-4, "{found} {difference}");
    }
}

/// The loss as it is trained, of drawn walks with normalised rewards, against the expected share of cells that are right.
#[test]
fn the_loss_of_drawn_walks_points_to_more_cells_that_are_right() {
    let model = model(2, 1);
    let mut orders = AllOrders::of(&model, &[0, 1, 9]);
    // A solution that the model's answers are, but for one of the three cells.
    let puzzle = orders.pairs[0].puzzle;
    let answer = answers(&model.clone().valid(), &[puzzle], 2)[0].grid;
    let solution = answer.with(1, answer.cells()[1] % 9 + 1);
    orders.pairs = vec![Pair { puzzle, solution }; orders.pairs.len()];
    let valid = orders.valid();
    assert!(valid.iter().any(|share| *share != valid[0]), "{valid:?}");
    let expected = orders.differences(&model, &valid);
    let policy = PolicyConfig {
        rollouts: 100,
        rewards: vec![RewardConfig::weighted("valid", 1.0)],
        ..PolicyConfig::default()
    };
    let pairs = &orders.pairs[..1];
    let mut sum = vec![0.0; expected.len()];
    for seed in 0..4 {
        let budget = (6, SudokuPass::default());
        let (loss, _) = policy_loss(&model, pairs, &policy, budget, seed).unwrap();
        let gradients = loss.unwrap().backward();
        for gradient in [
            model.readout.val().grad(&gradients),
            model.digits.val().grad(&gradients),
            model.trunk.encoder.val().grad(&gradients),
        ] {
            assert!(gradient.is_none(), "levels and digits have no gradient");
        }
        let gradient = numbers(model.policy.as_ref().unwrap().val().grad(&gradients).unwrap());
        let parts = sum.iter_mut().zip(&gradient);
        parts.for_each(|(sum, part)| *sum += f64::from(*part));
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = dot(&sum, &expected) / (dot(&sum, &sum) * dot(&expected, &expected)).sqrt();
    assert!(cosine > 0.9, "{cosine}: {sum:?} {expected:?}");
}

fn policy(rewards: Vec<RewardConfig>) -> PolicyConfig {
    PolicyConfig {
        rollouts: 8,
        rewards,
        ..PolicyConfig::default()
    }
}

#[test]
fn rewards_are_those_of_the_walks() {
    let pair = nearly_solved(&[3, 41, 77]);
    let model = model(1, 2).valid();
    let walked = Walked::of(&model, &[pair; 2], (4, SudokuPass::default()), |walk, _| {
        walk.here
            .iter()
            .zip(walk.open_cells())
            .map(|(&lane, open)| if lane == 0 { open } else { vec![] })
            .map(|mut cells| {
                cells.truncate(2);
                cells
            })
            .collect()
    });
    let rewards = walked.rewards(&[pair; 2], 4);
    let right = |cell: usize| walked.lanes[0].board.cells()[cell] == pair.solution.cells()[cell];
    let share = [3, 41, 77].into_iter().filter(|&cell| right(cell)).count() as f64 / 3.0;
    // The first has all cells committed after two glimpses; the second commits none, and uses all levels.
    assert_eq!(walked.lanes[0].steps, 3);
    let solved = f64::from(u8::from(walked.lanes[0].is_solved()));
    assert_eq!(rewards[..3], [share, solved, 0.25]);
    assert_eq!(rewards[3], 1.0, "nothing that is committed is wrong");
    assert_eq!(rewards[5], 1.0 - walked.lanes[1].steps as f64 / 4.0);
    assert_eq!(REWARDS.len() * 2, rewards.len());
}

#[test]
fn the_rollouts_of_a_puzzle_are_one_group() {
    // Rewards that differ from puzzle to puzzle, but not within one: nothing can be learnt from them.
    let (model, puzzle) = (model(1, 81), pairs(1)[0].puzzle);
    let right = answers(&model.clone().valid(), &[puzzle], 1)[0].grid;
    let wrong = puzzle
        .empty_cells()
        .fold(right, |grid, cell| grid.with(cell, right.cells()[cell] % 9 + 1));
    let pairs = [right, wrong].map(|solution| Pair { puzzle, solution });
    let policy = policy(vec![RewardConfig::weighted("valid", 1.0)]);
    // Every empty cell is committed at once, in whatever order.
    let budget = (2, SudokuPass::default());
    let (loss, figures) = policy_loss(&model, &pairs, &policy, budget, 1).unwrap();
    assert_eq!(figures["policy_valid"], 0.5, "one is right, the other wrong");
    let gradient = gradient_of_policy(&model, &loss.unwrap());
    assert!(gradient.iter().all(|value| *value == 0.0), "{gradient:?}");
}

#[test]
fn nothing_is_learnt_where_nothing_was_picked() {
    let model = model(2, 4);
    let (loss, figures) = policy_loss(
        &model,
        &pairs(2),
        &policy(default_rewards()),
        (2, SudokuPass::default()),
        1,
    )
    .unwrap();
    assert!(loss.is_none(), "the levels end with the first glimpse");
    assert_eq!(figures["policy_valid"], 1.0);
}

#[test]
fn a_guided_board_holds_digits_of_the_solution_and_keeps_a_cell_empty() {
    let (model, pairs) = (model(2, 5).valid(), pairs(3));
    let of = |levels, seed| guided(&model, &pairs, (levels, SudokuPass::default()), seed);
    let (boards, state) = of(7, 1);
    assert_eq!(state.levels(), 6);
    for (board, pair) in boards.iter().zip(&pairs) {
        assert_eq!(board.puzzle.filled(), pair.puzzle.filled() + 15);
        assert!(board.puzzle.keeps(&pair.puzzle) && board.solution.keeps(&board.puzzle));
    }
    let puzzles: Vec<Grid> = boards.iter().map(|board| board.puzzle).collect();
    assert_eq!(numbers(state.input), numbers(model.start(&puzzles).input));
    assert_ne!(of(7, 2).0, boards);
    assert_eq!(of(1, 1).0, pairs);
    let (full, _) = of(200, 1);
    assert!(full.iter().all(|board| board.puzzle.filled() == 80));
}

#[test]
fn choosers_are_compared_on_the_same_puzzles_with_the_same_levels() {
    let (model, pairs) = (model(2, 3).valid(), pairs(5));
    let scores = compare_policies(&model, &pairs, 6, 1);
    let choosers: Vec<Chooser> = scores.iter().map(|score| score.chooser).collect();
    assert_eq!(choosers, Chooser::ALL);
    for score in &scores {
        let committed = if score.chooser == Chooser::Nothing {
            0.0
        } else {
            6.0
        };
        assert_eq!((score.committed, score.levels), (committed, 6.0));
        assert_eq!(score.solved, [false; 5]);
    }
    // Without commits, the answers are those of the plain levels.
    let puzzles: Vec<Grid> = pairs.iter().map(|pair| pair.puzzle).collect();
    let solved = solve_with(&model, &puzzles, options(6, Chooser::Nothing));
    for (solved, answer) in solved.iter().zip(answers(&model, &puzzles, 6)) {
        assert_eq!((solved.grid, solved.steps), (answer.grid, 6));
    }
}

#[test]
fn frames_are_the_answers_after_each_glimpse() {
    let (model, puzzle) = (model(2, 3).valid(), pairs(1)[0].puzzle);
    let shown = frames(&model, &puzzle, 5);
    let steps: Vec<usize> = shown.iter().map(|frame| frame.step).collect();
    assert_eq!(steps, [2, 4, 5]);
    let last = solve_with(&model, &[puzzle], SolveOptions::levels(5))[0];
    assert_eq!(shown[2].grid, last.grid);
    let certain = |frame: usize| shown[frame].confidence.iter().filter(|p| **p == 1.0).count();
    assert!(certain(1) >= puzzle.filled() + 3 && certain(2) >= puzzle.filled() + 6);
}

#[test]
fn the_policy_s_weights_are_among_those_of_the_model() {
    let model = model(2, 3);
    let weights = snapshot(&model);
    assert_eq!(**weights["policy"].shape(), [16, 1]);
    let listed: Vec<String> = model.config().tensors().into_iter().map(|t| t.name).collect();
    assert_eq!(listed.len(), weights.len());
    let plain = ModelConfig {
        kind: ModelType::Constraint,
        glimpse: None,
        ..model.config().clone()
    };
    let plain = SudokuModel::new(&plain, 1, &Device::flex()).unwrap();
    assert!(plain.policy.is_none() && !snapshot(&plain).contains_key("policy"));
}
