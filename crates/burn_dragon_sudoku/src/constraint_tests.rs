use super::*;
use crate::config::{ModelType, Places, Tokens};
use crate::data::{GeneratorConfig, Split, Symmetry};
use crate::grid::Grid;
use burn::module::Module;
use burn::tensor::Device;
use burn_dragon_core::api::expert::Rng;

fn config(tokens: Tokens, decay: f64) -> ModelConfig {
    ModelConfig {
        kind: ModelType::Constraint,
        tokens,
        places: Places::None,
        d_model: 6,
        n_heads: tokens.kinds(),
        n_neurons: 4 * tokens.kinds(),
        n_levels: 3,
        decay,
        init_std: 0.4,
        ..ModelConfig::default()
    }
}

fn model(tokens: Tokens, decay: f64) -> SudokuModel {
    SudokuModel::new(&config(tokens, decay), 1, &Device::flex()).unwrap()
}

fn puzzles(count: u64) -> Vec<Grid> {
    let generator = GeneratorConfig::default();
    let puzzles = (0..count).map(|index| generator.puzzle(Split::Train, index).puzzle);
    puzzles.collect()
}

fn numbers<const R: usize>(tensor: &Tensor<R>) -> Vec<f32> {
    tensor
        .clone()
        .into_data()
        .convert::<f32>()
        .iter::<f32>()
        .collect()
}

fn worst(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    let differences = one.iter().zip(other).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

/// A matrix of rows.
type Rows = Vec<Vec<f64>>;

fn normed(row: &[f64], eps: f64) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
    row.iter().map(|x| (x - mean) / (variance + eps).sqrt()).collect()
}

fn times(row: &[f64], matrix: &[f32], columns: usize) -> Vec<f64> {
    let column = |c: usize| (0..row.len()).map(move |r| row[r] * f64::from(matrix[r * columns + c]));
    (0..columns).map(|c| column(c).sum()).collect()
}

/// The levels as they are defined, in plain loops: the logits of one puzzle after each level.
fn by_hand(model: &SudokuModel, puzzle: &Grid, levels: usize) -> Rows {
    let config = model.config();
    let (d, eps) = (config.d_model, config.norm_eps);
    let neurons = config.n_neurons / config.n_heads;
    let input: Rows = numbers(&model.start(&[*puzzle]).input)
        .chunks(d)
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect();
    let [decoder_x, decoder_y] = [&model.trunk.decoder_x, &model.trunk.decoder_y].map(|p| numbers(&p.val()));
    let (encoder, readout) = (numbers(&model.trunk.encoder.val()), numbers(&model.readout.val()));
    let relu = |row: Vec<f64>| -> Vec<f64> { row.into_iter().map(|x| x.max(0.0)).collect() };
    let units =
        |kind: usize, token: usize| model.kinds()[kind].memories.adjacency.targets_of(token)[0] as usize;
    let mut memories = vec![vec![vec![0.0; neurons * d]; config.tokens.count() / 9]; config.n_heads];
    let (mut v, mut logits) = (input.clone(), Vec::new());
    for _ in 0..levels {
        let w: Rows = v
            .iter()
            .zip(&input)
            .map(|(v, e)| normed(&v.iter().zip(e).map(|(v, e)| v + e).collect::<Vec<_>>(), eps))
            .collect();
        let mut u = vec![vec![0.0; d]; w.len()];
        for head in 0..config.n_heads {
            let part = head * d * neurons..(head + 1) * d * neurons;
            let x: Rows = w
                .iter()
                .map(|w| relu(times(w, &decoder_x[part.clone()], neurons)))
                .collect();
            memories[head]
                .iter_mut()
                .flatten()
                .for_each(|rho| *rho *= config.decay);
            for (token, (x, w)) in x.iter().zip(&w).enumerate() {
                let rho = &mut memories[head][units(head, token)];
                for (n, x) in x.iter().enumerate() {
                    (0..d).for_each(|i| rho[n * d + i] += x * w[i]);
                }
            }
            for (token, x) in x.iter().enumerate() {
                let rho = &memories[head][units(head, token)];
                let read: Vec<f64> = (0..d)
                    .map(|i| x.iter().enumerate().map(|(n, x)| x * rho[n * d + i]).sum())
                    .collect();
                let gate = relu(times(&normed(&read, eps), &decoder_y[part.clone()], neurons));
                let y: Vec<f64> = gate.iter().zip(x).map(|(gate, x)| gate * x).collect();
                let spoken = times(&y, &encoder[head * neurons * d..(head + 1) * neurons * d], d);
                u[token].iter_mut().zip(spoken).for_each(|(u, part)| *u += part);
            }
        }
        v = w
            .iter()
            .zip(&u)
            .map(|(w, u)| {
                let u = normed(u, eps);
                normed(&w.iter().zip(u).map(|(w, u)| w + u).collect::<Vec<_>>(), eps)
            })
            .collect();
        logits.push(
            v.iter()
                .flat_map(|v| times(v, &readout, readout.len() / d))
                .collect(),
        );
    }
    logits
}

#[test]
fn levels_are_what_is_defined_with_memories_and_without() {
    for (tokens, decay) in [
        (Tokens::Cells, 0.0),
        (Tokens::Cells, 0.7),
        (Tokens::Candidates, 0.0),
        (Tokens::Candidates, 1.0),
    ] {
        let (model, puzzles) = (model(tokens, decay), puzzles(2));
        let levels = model.logits_by_level(&puzzles, SudokuPass::default());
        for (index, puzzle) in puzzles.iter().enumerate() {
            for (found, expected) in levels.iter().zip(by_hand(&model, puzzle, 3)) {
                let found = &numbers(found)[index * 729..(index + 1) * 729];
                let expected: Vec<f32> = expected.into_iter().map(|x| x as f32).collect();
                let worst = worst(found, &expected);
                assert!(worst < 2e-3, "{tokens:?} {decay}: {worst}");
            }
        }
    }
}

#[test]
fn a_symmetry_of_the_puzzle_is_a_symmetry_of_the_answer_but_for_a_transpose() {
    let config = ModelConfig {
        d_model: 16,
        n_neurons: 64,
        ..config(Tokens::Candidates, 0.0)
    };
    let model = SudokuModel::new(&config, 1, &Device::flex()).unwrap();
    let puzzle = puzzles(1)[0];
    let mut rng = Rng::new(4);
    let logits = |puzzle: Grid| numbers(&model.logits_by_level(&[puzzle], SudokuPass::default())[2]);
    let sorted = |mut logits: Vec<f32>| {
        logits.sort_by(f32::total_cmp);
        logits
    };
    let likeliest = |logits: &[f32]| {
        let digit = |of: &[f32]| (0..9).max_by(|&a, &b| of[a].total_cmp(&of[b])).unwrap() as u8 + 1;
        let digits: Vec<u8> = logits.chunks(9).map(digit).collect();
        Grid::new(digits.try_into().unwrap()).unwrap()
    };
    let here = logits(puzzle);
    let symmetries = std::iter::repeat_with(|| Symmetry::draw(&mut rng));
    // Rows and columns have heads of their own, so that their exchange gives another answer.
    for symmetry in symmetries.filter(|symmetry| !symmetry.is_transposed()).take(3) {
        let there = logits(symmetry.apply(&puzzle));
        // Sums are in another order, and norms of rows that are nearly constant enlarge what that changes: in the mean it is
        // small.
        let (one, two) = (sorted(here.clone()), sorted(there.clone()));
        let differences = one.iter().zip(&two).map(|(a, b)| (a - b).abs());
        let mean = differences.sum::<f32>() / one.len() as f32;
        assert!(mean < 1e-3, "{mean}");
        // Digits that are equally likely, but for rounding, may be exchanged.
        let (answer, image) = (likeliest(&here), symmetry.undo(&likeliest(&there)));
        let equal = answer.cells().iter().zip(image.cells()).filter(|(a, b)| a == b);
        assert!(equal.count() > 70);
    }
}

#[test]
fn many_calls_are_one_and_a_selection_is_that_of_its_puzzles() {
    for (tokens, decay) in [(Tokens::Cells, 0.5), (Tokens::Candidates, 0.0)] {
        let (model, puzzles) = (model(tokens, decay), puzzles(3));
        let whole = model.logits_by_level(&puzzles, SudokuPass::default());
        let mut state = model.start(&puzzles);
        model.advance(&mut state, 2, SudokuPass::default());
        assert_eq!(state.levels(), 2);
        assert_eq!(numbers(&model.logits(&state)), numbers(&whole[1]));
        let mut some = state.select(&[2, 0]);
        model.advance(&mut some, 1, SudokuPass::default());
        let (found, all) = (numbers(&model.logits(&some)), numbers(&whole[2]));
        assert!(worst(&found[..729], &all[1458..]) < 1e-5);
        assert!(worst(&found[729..], &all[..729]) < 1e-5);
        let pass = SudokuPass {
            levels: Some(1),
            ..SudokuPass::default()
        };
        let last = model.logits_from(state, pass);
        assert_eq!((last.len(), numbers(&last[0])), (1, numbers(&whole[2])));
    }
}

#[test]
fn memories_that_are_wiped_or_never_written_are_not_read() {
    for (tokens, decay) in [(Tokens::Cells, 0.6), (Tokens::Candidates, 0.0)] {
        let (model, puzzles) = (model(tokens, decay), puzzles(1));
        let of = |memory| -> Vec<Vec<f32>> {
            let pass = SudokuPass {
                memory,
                ..SudokuPass::default()
            };
            model
                .logits_by_level(&puzzles, pass)
                .iter()
                .map(numbers)
                .collect()
        };
        let carried = of(UnitMemory::Carried);
        let wiped = of(UnitMemory::WipedAt(2));
        assert_eq!(wiped[0], carried[0]);
        assert_ne!(wiped[1], carried[1]);
        let never = of(UnitMemory::NeverWritten);
        assert_ne!(never[0], carried[0]);
        // Without reads, tokens of which the puzzle says the same are the same for ever.
        let cells: Vec<usize> = puzzles[0].empty_cells().take(2).collect();
        let logits = |cell: usize| &never[2][cell * 9..cell * 9 + 9];
        assert_eq!(logits(cells[0]), logits(cells[1]));
        let reset = of(UnitMemory::ResetEachLevel);
        assert_eq!(reset[0], carried[0]);
        assert_eq!(reset[2] == carried[2], decay == 0.0);
    }
}

/// The gradient of the sum of squares of all logits, against differences, for some entries of each weight.
#[test]
fn gradients_are_those_of_the_definition() {
    for decay in [0.0, 0.5] {
        let config = ModelConfig {
            places: Places::Embedded,
            n_levels: 2,
            ..config(Tokens::Cells, decay)
        };
        let model = SudokuModel::new(&config, 1, &Device::flex().autodiff()).unwrap();
        let puzzles = puzzles(1);
        let sum = |model: &SudokuModel| {
            let levels = model.logits_by_level(&puzzles, SudokuPass::default());
            let squares = levels.into_iter().map(|logits| logits.powi_scalar(2).mean());
            squares.reduce(|sum, next| sum + next).unwrap()
        };
        let gradients = sum(&model).backward();
        for entry in [0, 7] {
            let gradient = model.trunk.decoder_x.val().grad(&gradients).unwrap();
            let gradient = f64::from(numbers(&gradient)[entry]);
            let moved = |by: f32| {
                let moved = burn_dragon_core::api::expert::load(model.clone().valid(), |name, shape| {
                    let mut numbers = numbers(&model.trunk.decoder_x.val().inner());
                    numbers[entry] += by;
                    (name == "decoder_x").then(|| TensorData::new(numbers, shape.to_vec()))
                });
                sum(&moved).into_scalar::<f64>()
            };
            let difference = (moved(5e-4) - moved(-5e-4)) / 1e-3;
            let error = (gradient - difference).abs();
            assert!(
                error < 3e-2 * difference.abs().max(0.05),
                "{gradient} {difference}"
            );
        }
    }
}

/// Passes with dropout or in bf16 go kind by kind.
#[test]
fn levels_kind_by_kind_are_those_of_one_operation() {
    let device = Device::flex().autodiff();
    for tokens in [Tokens::Cells, Tokens::Candidates] {
        let model = SudokuModel::new(&config(tokens, 0.0), 1, &device).unwrap();
        let puzzles = puzzles(2);
        let outcome = |constraint: &Constraint<'_>| {
            let mut state = model.start(&puzzles);
            (0..2).for_each(|_| constraint.advance(&mut state));
            let found = state.stream.clone().powi_scalar(3).sum().backward();
            let gradient = model.trunk.decoder_x.val().grad(&found).unwrap();
            [numbers(&state.stream), numbers(&gradient)]
        };
        let one = Constraint::new(&model, SudokuPass::default());
        assert!(matches!(one.weights, Weights::Whole(_)));
        let by_kind = Constraint {
            weights: Weights::ByKind(weights(&model, model.kinds().len())),
            ..Constraint::new(&model, SudokuPass::default())
        };
        let ([stream, gradient], [other_stream, other_gradient]) = (outcome(&one), outcome(&by_kind));
        assert!(worst(&stream, &other_stream) < 1e-5);
        let size = gradient.iter().fold(0.0f32, |size, g| size.max(g.abs()));
        assert!(size > 0.0 && worst(&gradient, &other_gradient) < 1e-4 * size);
    }
}
