mod lanes;

use super::training::{halted, halting_loss};
use super::*;
use crate::config::{ModelConfig, ModelType, Places, Reads, Tokens, TrmConfig};
use crate::data::{GeneratorConfig, Split};
use burn::tensor::Device;
use burn_dragon_core::api::expert::{load, norm};

/// Two cycles of two updates of the reasoning, each of two levels.
fn config(reads: Reads) -> ModelConfig {
    let (tokens, places, n_heads) = match reads {
        Reads::Dense => (Tokens::Cells, Places::Embedded, 2),
        Reads::Constraint => (Tokens::Candidates, Places::None, 4),
    };
    ModelConfig {
        kind: ModelType::Trm,
        tokens,
        places,
        d_model: 6,
        n_heads,
        n_neurons: 4 * n_heads,
        n_levels: 2,
        init_std: 0.4,
        trm: Some(TrmConfig {
            reads,
            reasoning_updates: 2,
            cycles: 2,
            supervision_steps: 3,
        }),
        ..ModelConfig::default()
    }
}

/// A model whose halting head says something else of each puzzle.
fn model(reads: Reads) -> SudokuModel {
    with_a_head(SudokuModel::new(&config(reads), 1, &Device::flex().autodiff()).unwrap())
}

fn with_a_head(model: SudokuModel) -> SudokuModel {
    load(model, |name, shape| {
        let numbers = [0.7f32, -0.4, 1.1, 0.3, -0.9, 0.5].repeat(shape.iter().product::<usize>());
        (name == "halting").then(|| TensorData::new(numbers[..6].to_vec(), shape.to_vec()))
    })
}

fn puzzles(count: u64) -> Vec<Grid> {
    let generator = GeneratorConfig::default();
    let puzzles = (0..count).map(|index| generator.puzzle(Split::Train, index).puzzle);
    puzzles.collect()
}

fn numbers<const R: usize>(tensor: &Tensor<R>) -> Vec<f32> {
    let data = tensor.clone().into_data().convert::<f32>();
    data.iter::<f32>().collect()
}

fn worst(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    let differences = one.iter().zip(other).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

/// f by the levels of a model without recursion and with the same weights, whose input is u.
fn network(model: &SudokuModel, u: &Tensor<4>) -> Tensor<4> {
    let plain = |kind| {
        let config = ModelConfig {
            kind,
            trm: None,
            ..model.config().clone()
        };
        let mut weights = burn_dragon_core::api::expert::snapshot(model);
        SudokuModel::from_weights(&config, &Device::flex(), |name, _| weights.remove(name).unwrap()).unwrap()
    };
    let of = |plain: SudokuModel, stream: Tensor<4>| {
        let mut state = SudokuState {
            input: u.zeros_like(),
            stream,
            reasoning: None,
            memories: Vec::new(),
            levels: 0,
        };
        plain.advance(&mut state, plain.config().n_levels, SudokuPass::default());
        state.stream
    };
    match model.config().reading() {
        Reads::Constraint => of(plain(ModelType::Constraint), u.clone()),
        Reads::Dense => of(plain(ModelType::Dense), norm(u.clone(), model.config().norm_eps)),
    }
}

#[test]
fn a_supervision_step_is_what_is_defined_and_the_next_goes_on_from_it() {
    for reads in [Reads::Dense, Reads::Constraint] {
        let (model, puzzles) = (model(reads), puzzles(2));
        let plain = model.valid();
        let f = |u: Tensor<4>| network(&plain, &u);
        let x = plain.start(&puzzles).input;
        let (mut y, mut z) = (x.zeros_like(), x.zeros_like());
        let mut latents = Latents::initial(&model, 2);
        let mut state = plain.start(&puzzles);
        for step in 1..=2 {
            for _cycle in 0..2 {
                z = f(x.clone() + y.clone() + z);
                z = f(x.clone() + y.clone() + z);
                y = f(y + z.clone());
            }
            let found = supervise(&model, &puzzles, latents, SudokuPass::default());
            assert!(
                worst(&numbers(&found.latents.answer), &numbers(&y)) < 1e-5,
                "{step}"
            );
            assert!(
                worst(&numbers(&found.latents.reasoning), &numbers(&z)) < 1e-5,
                "{step}"
            );
            let (readout, head) = (
                plain.readout.val(),
                plain.halting.as_ref().unwrap().val().reshape([1, 1, 1, 6]),
            );
            let tokens = y.dims()[2];
            let logits = y
                .clone()
                .reshape([2 * tokens, 6])
                .matmul(readout)
                .reshape([2, 81, 9]);
            assert!(worst(&numbers(&found.logits), &numbers(&logits)) < 1e-4);
            let q = (y.clone() * head).sum_dim(3).sum_dim(2).reshape([2]) / tokens as f64 - 5.0;
            assert!(worst(&numbers(&found.halting), &numbers(&q)) < 1e-4);
            let q = numbers(&q);
            assert!(
                (q[0] - q[1]).abs() > 1e-4,
                "the head tells the puzzles apart: {q:?}"
            );
            // Evaluation runs the same, all of it without gradients.
            plain.advance(&mut state, 1, SudokuPass::default());
            assert_eq!(state.levels(), step);
            assert_eq!(numbers(&plain.logits(&state)), numbers(&found.logits));
            assert_eq!(
                numbers(&plain.halting_logits(&state).unwrap()),
                numbers(&found.halting)
            );
            latents = found.latents;
        }
        let all = plain.logits_by_level(&puzzles, SudokuPass::default());
        assert_eq!(all.len(), 3, "as many as in training");
        assert_eq!(numbers(&all[1]), numbers(&plain.logits(&state)));
    }
}

#[test]
fn a_model_begins_with_a_head_that_says_no() {
    let config = config(Reads::Constraint);
    let model = SudokuModel::new(&config, 1, &Device::flex()).unwrap();
    let weights = burn_dragon_core::api::expert::snapshot(&model);
    assert_eq!(
        weights["halting"].clone().iter::<f32>().collect::<Vec<_>>(),
        [0.0; 6]
    );
    assert_eq!(
        weights["halting_bias"].clone().iter::<f32>().collect::<Vec<_>>(),
        [-5.0]
    );
    assert_eq!(weights.len(), config.tensors().len());
    for tensor in config.tensors() {
        assert_eq!(
            weights[&tensor.name].shape().to_vec(),
            tensor.shape,
            "{}",
            tensor.name
        );
    }
    // Other models have none.
    let plain = ModelConfig {
        kind: ModelType::Constraint,
        trm: None,
        ..config
    };
    let plain = SudokuModel::new(&plain, 1, &Device::flex()).unwrap();
    let state = plain.start(&puzzles(1));
    assert!(plain.halting_logits(&state).is_none() && state.reasoning.is_none());
}

/// Mean square of what a step says.
fn squares(logits: Tensor<3>, halting: Tensor<1>) -> Tensor<1> {
    logits.powi_scalar(2).mean() + halting.powi_scalar(2).mean()
}

/// The gradient against differences of the step in which the weights move in the last cycle alone; where they move in all
/// cycles, as with a gradient through all of them, the differences are others.
#[test]
fn gradients_reach_the_last_cycle_and_no_other() {
    // So many neurons that each token has some that are active.
    let config = ModelConfig {
        n_neurons: 64,
        ..config(Reads::Dense)
    };
    let model = with_a_head(SudokuModel::new(&config, 1, &Device::flex().autodiff()).unwrap());
    let (puzzles, pass) = (puzzles(1), SudokuPass::default());
    let latents = Latents::initial(&model, 1);
    let found = supervise(&model, &puzzles, latents.clone(), pass);
    let gradients = squares(found.logits, found.halting).backward();
    let fixed = model.valid();
    // Sums over cycles from `first` on with other weights, those before with the model's own.
    let sum = |moved: &SudokuModel, first: usize| {
        let mut state = fixed.start(&puzzles);
        Recursion::new(&fixed, pass).unwrap().cycles(&mut state, 0..first);
        let mut state = SudokuState {
            input: moved.start(&puzzles).input,
            ..state
        };
        Recursion::new(moved, pass).unwrap().cycles(&mut state, first..2);
        let halting = moved.halting_logits(&state).unwrap();
        squares(moved.logits(&state), halting).into_scalar::<f64>()
    };
    let gradient_of = |name: &str| match name {
        "decoder_x" => numbers(&model.trunk.decoder_x.val().grad(&gradients).unwrap()),
        "encoder" => numbers(&model.trunk.encoder.val().grad(&gradients).unwrap()),
        "digits" => numbers(&model.digits.val().grad(&gradients).unwrap()),
        "halting" => numbers(&model.halting.as_ref().unwrap().val().grad(&gradients).unwrap()),
        _ => numbers(&model.readout.val().grad(&gradients).unwrap()),
    };
    let mut through_all = 0.0f64;
    for name in ["decoder_x", "encoder", "digits", "readout", "halting"] {
        let (gradient, mut checked) = (gradient_of(name), 0);
        for entry in (0..gradient.len()).filter(|&entry| gradient[entry].abs() > 0.02) {
            let moved = |by: f32| {
                load(fixed.clone(), |other, shape| {
                    let weights = burn_dragon_core::api::expert::snapshot(&fixed);
                    let mut numbers: Vec<f32> = weights[name].clone().iter::<f32>().collect();
                    numbers[entry] += by;
                    (other == name).then(|| TensorData::new(numbers, shape.to_vec()))
                })
            };
            let difference = |by: f32, first| {
                let (more, less) = (sum(&moved(by), first), sum(&moved(-by), first));
                (more - less) / f64::from(2.0 * by)
            };
            let (last, closer, given) = (
                difference(2e-3, 1),
                difference(1e-3, 1),
                f64::from(gradient[entry]),
            );
            let close = |one: f64, other: f64| (one - other).abs() < 2e-2 * other.abs().max(0.05);
            if !close(last, closer) {
                continue; // a kink of a relu is near
            }
            assert!(close(given, last), "{name} {entry}: {given} {last}");
            through_all = through_all.max((given - difference(1e-3, 0)).abs() / last.abs().max(0.05));
            checked += 1;
            if checked == 3 {
                break;
            }
        }
        assert!(checked > 0, "{name}: no entry has a difference");
    }
    assert!(
        through_all > 0.1,
        "a gradient through all cycles would be another: {through_all}"
    );
}

#[test]
fn the_halting_loss_learns_from_a_constant() {
    let device = Device::flex().autodiff();
    let q = [0.3f32, -2.0, 40.0, -50.0];
    let logits = Tensor::<1>::from_data(q, &device).require_grad();
    let right = [true, false, false, true];
    let loss = halting_loss(logits.clone(), &right);
    let gradients = loss.backward();
    let gradient = numbers(&logits.grad(&gradients).unwrap());
    let mut expected = 0.0;
    for ((q, right), gradient) in q.iter().zip(right).zip(gradient) {
        let (q, target) = (f64::from(*q), f64::from(u8::from(right)));
        let p = 1.0 / (1.0 + (-q).exp());
        expected += (q.max(0.0) + (-q.abs()).exp().ln_1p() - target * q) / 4.0;
        assert!((f64::from(gradient) - (p - target) / 4.0).abs() < 1e-6, "{q}");
    }
    assert!((loss.into_scalar::<f64>() - expected).abs() < 1e-5);
    assert_eq!(halted(&logits), [true, false, true, false]);

    // Whether an answer is right is a function of the readout, which this loss does not reach.
    let model = model(Reads::Dense);
    let found = supervise(
        &model,
        &puzzles(2),
        Latents::initial(&model, 2),
        SudokuPass::default(),
    );
    let gradients = halting_loss(found.halting, &[false, true]).backward();
    let largest = |gradient: Option<Tensor<2>>| gradient.map_or(0.0, |g| g.abs().max().into_scalar::<f64>());
    assert_eq!(largest(model.readout.val().grad(&gradients)), 0.0);
    assert!(largest(model.halting.as_ref().unwrap().val().grad(&gradients)) > 0.0);
    assert!(
        largest(model.trunk.encoder.val().grad(&gradients)) > 0.0,
        "y learns"
    );
}

#[test]
fn dropout_is_in_the_last_cycle_and_differs_from_call_to_call() {
    for reads in [Reads::Dense, Reads::Constraint] {
        let config = ModelConfig {
            dropout: 0.3,
            ..config(reads)
        };
        let model = SudokuModel::new(&config, 1, &Device::flex().autodiff()).unwrap();
        let puzzles = puzzles(1);
        let of = |dropout_seed| {
            let pass = SudokuPass {
                dropout_seed,
                ..SudokuPass::default()
            };
            numbers(&supervise(&model, &puzzles, Latents::initial(&model, 1), pass).logits)
        };
        assert_eq!(of(Some(1)), of(Some(1)));
        assert_ne!(of(Some(1)), of(Some(2)));
        assert_ne!(of(Some(1)), of(None));
        let pass = SudokuPass {
            dropout_seed: Some(1),
            ..SudokuPass::default()
        };
        let plain = model.valid();
        let (recursion, u) = (Recursion::new(&plain, pass).unwrap(), plain.start(&puzzles).input);
        assert_eq!(
            numbers(&recursion.network(u.clone(), 3)),
            numbers(&recursion.network(u.clone(), 3))
        );
        assert_ne!(
            numbers(&recursion.network(u.clone(), 3)),
            numbers(&recursion.network(u, 4))
        );
    }
}
