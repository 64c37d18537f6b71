use super::*;
use crate::config::{
    GlimpseConfig, LossConfig, LossKind, ModelConfig, ModelType, Places, Supervised, Tokens,
};
use crate::data::{DatasetConfig, GeneratorConfig};
use crate::grid::Grid;
use burn::module::Param;
use burn::tensor::TensorData;
use burn_dragon_core::api::expert::load;
use burn_dragon_train::api::policy::PolicyConfig;
use std::collections::BTreeSet;

fn task(augment: Augment, levels: Supervised) -> SudokuTask {
    let mut config = SudokuConfig {
        dataset: DatasetConfig::Embedded(GeneratorConfig {
            puzzles: 10,
            validation_puzzles: 9,
            givens: [50, 60].into(),
            augment,
            ..GeneratorConfig::default()
        }),
        model: ModelConfig {
            d_model: 16,
            n_heads: 2,
            n_neurons: 32,
            n_levels: 3,
            init_std: 0.3,
            ..ModelConfig::default()
        },
        loss: LossConfig {
            levels,
            ..LossConfig::default()
        },
        ..SudokuConfig::default()
    };
    config.training.batch_size = 4;
    SudokuTask::new(&config, &Device::flex().autodiff()).unwrap()
}

fn batch(task: &SudokuTask, units: u64) -> Vec<Pair> {
    let position = DataPosition { units, planned: 100 };
    task.batch(position, &mut ()).unwrap()
}

fn loss(task: &SudokuTask, model: &SudokuModel, batch: Vec<Pair>) -> Loss {
    let context = LossContext {
        dropout_seed: 1,
        watch: true,
    };
    task.loss(model, batch, &mut None, context).unwrap()
}

#[test]
fn every_puzzle_comes_once_an_epoch_in_an_order_of_its_own() {
    let task = task(Augment::None, Supervised::default());
    let epoch =
        |first: u64| -> Vec<Grid> { (first..first + 10).map(|unit| task.drawn(unit).puzzle).collect() };
    let all: BTreeSet<Grid> = task.puzzles().train.iter().map(|pair| pair.puzzle).collect();
    let (one, two) = (epoch(0), epoch(10));
    assert_eq!(one.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(two.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_ne!(one, two);
    assert_eq!(
        batch(&task, 4),
        (4..8).map(|unit| task.drawn(unit)).collect::<Vec<_>>()
    );
}

#[test]
fn a_puzzle_is_shown_under_a_symmetry_of_its_own_each_time() {
    let task = task(Augment::Symmetries, Supervised::default());
    let shown: Vec<Pair> = (0..30).map(|unit| task.drawn(unit)).collect();
    assert!(shown.iter().all(|pair| pair.solution.solves(&pair.puzzle)));
    let different: BTreeSet<Grid> = shown.iter().map(|pair| pair.puzzle).collect();
    assert_eq!(different.len(), 30);
    assert_eq!(shown[7], task.drawn(7));
}

/// The loss as it is defined, in plain loops over the logits.
fn by_hand(logits: &Tensor<3>, batch: &[Pair]) -> f64 {
    let logits: Vec<f64> = logits.clone().into_data().iter::<f64>().collect();
    let mut losses = Vec::new();
    for (index, pair) in batch.iter().enumerate() {
        for cell in pair.puzzle.empty_cells() {
            let of = &logits[(index * 81 + cell) * 9..][..9];
            let sum: f64 = of.iter().map(|logit| logit.exp()).sum();
            losses.push(sum.ln() - of[usize::from(pair.solution.cells()[cell]) - 1]);
        }
    }
    losses.iter().sum::<f64>() / losses.len() as f64
}

#[test]
fn the_loss_is_the_cross_entropy_of_the_empty_cells_at_the_supervised_levels() {
    for (levels, supervised) in [
        (Supervised::default(), vec![0, 1, 2]),
        (Supervised::Listed(vec![1, 3]), vec![0, 2]),
        (Supervised::Listed(vec![2]), vec![1]),
    ] {
        let task = task(Augment::Symmetries, levels);
        let (model, batch) = (task.new_model().unwrap(), batch(&task, 0));
        let puzzles: Vec<Grid> = batch.iter().map(|pair| pair.puzzle).collect();
        let logits = model.logits_by_level(&puzzles, SudokuPass::default());
        let mean = supervised.iter().map(|&level| by_hand(&logits[level], &batch));
        let expected = mean.sum::<f64>() / supervised.len() as f64;
        let found = loss(&task, &model, batch);
        let value = found.value.into_scalar::<f64>();
        assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        assert!((0.0..=1.0).contains(&found.metrics["cell_accuracy"]));
    }
}

#[test]
fn every_parameter_learns_and_nothing_behind_the_last_supervised_level_is_run() {
    let task = task(Augment::None, Supervised::Listed(vec![2]));
    assert_eq!(task.depth(), 2);
    let model = task.new_model().unwrap();
    let gradients = loss(&task, &model, batch(&task, 0)).value.backward();
    let place = |places: &Option<Param<Tensor<2>>>| places.as_ref().unwrap().val();
    for (name, gradient) in [
        ("digits", model.digits.val().grad(&gradients)),
        ("rows", place(&model.rows).grad(&gradients)),
        ("columns", place(&model.columns).grad(&gradients)),
        ("boxes", place(&model.boxes).grad(&gradients)),
        ("readout", model.readout.val().grad(&gradients)),
        ("encoder", model.trunk.encoder.val().grad(&gradients)),
    ] {
        let largest = gradient.unwrap().abs().max().into_scalar::<f64>();
        assert!(largest > 0.0, "{name}");
    }
}

#[test]
fn a_model_that_says_nothing_has_the_loss_of_nine_digits() {
    let task = task(Augment::None, Supervised::default());
    let silent = load(task.new_model().unwrap().valid(), |name, shape| {
        (name == "readout").then(|| TensorData::zeros::<f32, _>(shape.to_vec()))
    });
    let evaluation = task.evaluate(&silent, Scope::Full).unwrap();
    assert!((evaluation.loss - 9f64.ln()).abs() < 1e-5, "{}", evaluation.loss);
    assert_eq!(task.score(&evaluation), 1.0 - evaluation.metrics["cell_accuracy"]);
    assert_eq!(evaluation.metrics["solved_at_level_06"], 0.0);
    assert!(evaluation.notes.len() > 10);
    let sample = task.evaluate(&silent, Scope::Sample { batches: 1 }).unwrap();
    assert_eq!(
        sample.metrics.keys().collect::<Vec<_>>(),
        ["cell_accuracy", "solved"]
    );
    assert!(sample.notes.is_empty());
}

#[test]
fn a_sample_is_a_puzzle_with_its_answer() {
    let task = task(Augment::None, Supervised::default());
    let sample = task
        .sample(&task.new_model().unwrap().valid(), 1)
        .unwrap()
        .unwrap();
    assert_eq!(
        (sample.text.unwrap().lines().count(), sample.files.len()),
        (11, 0)
    );
}

#[test]
fn a_run_is_known_by_its_model_and_its_puzzles() {
    let one = task(Augment::None, Supervised::default()).identity();
    assert_eq!(one.settings["model.d_model"], "16");
    assert_eq!(one.settings["dataset.augment"], "\"none\"");
    assert!(!one.settings.contains_key("dataset.seed"));
    assert_eq!(one.data.training.sizes["puzzles"], 10);
}

/// A constraint model with levels that are run without gradients first.
fn constraint(free_levels: usize, kind: LossKind) -> SudokuTask {
    let mut config = task(Augment::Symmetries, Supervised::default()).config().clone();
    config.model = ModelConfig {
        kind: ModelType::Constraint,
        tokens: Tokens::Candidates,
        places: Places::None,
        d_model: 8,
        n_heads: 4,
        n_neurons: 64,
        n_levels: 2,
        evaluation_levels: Some(5),
        init_std: 0.3,
        ..ModelConfig::default()
    };
    (config.loss.free_levels, config.loss.kind) = (free_levels, kind);
    SudokuTask::new(&config, &Device::flex().autodiff()).unwrap()
}

#[test]
fn free_levels_are_drawn_and_run_before_those_with_a_loss() {
    let task = constraint(3, LossKind::Softmax);
    let drawn: BTreeSet<usize> = (0..60).map(|seed| task.free_levels(seed)).collect();
    assert_eq!(drawn, (0..=3).collect());
    let (model, batch) = (task.new_model().unwrap(), batch(&task, 0));
    let puzzles: Vec<Grid> = batch.iter().map(|pair| pair.puzzle).collect();
    let pass = SudokuPass::default();
    for seed in 0..8 {
        let free = task.free_levels(seed);
        let levels = SudokuPass {
            levels: Some(free + 2),
            ..pass
        };
        let whole = model.logits_by_level(&puzzles, levels);
        let expected = (by_hand(&whole[free], &batch) + by_hand(&whole[free + 1], &batch)) / 2.0;
        let context = LossContext {
            dropout_seed: seed,
            watch: false,
        };
        let value = task
            .loss(&model, batch.clone(), &mut None, context)
            .unwrap()
            .value;
        let gradients = value.backward();
        let value = value.into_scalar::<f64>();
        assert!((value - expected).abs() < 1e-4, "{free}: {value} {expected}");
        for gradient in [
            model.digits.val().grad(&gradients),
            model.readout.val().grad(&gradients),
            model.trunk.encoder.val().grad(&gradients),
        ] {
            assert!(gradient.unwrap().abs().max().into_scalar::<f64>() > 0.0, "{free}");
        }
        let decoder_x = model.trunk.decoder_x.val().grad(&gradients).unwrap();
        let of_heads = decoder_x.abs().max_dim(2).max_dim(1);
        assert!(
            of_heads.min().into_scalar::<f64>() > 0.0,
            "each kind of unit learns"
        );
    }
}

#[test]
fn the_loss_may_be_a_stablemax_and_is_evaluated_as_it_is_trained() {
    let (one, other) = (
        constraint(0, LossKind::Softmax),
        constraint(0, LossKind::Stablemax),
    );
    let model = one.new_model().unwrap();
    let of = |task: &SudokuTask| {
        let value = loss(task, &model, batch(task, 0)).value.into_scalar::<f64>();
        (value, task.evaluate(&model.valid(), Scope::Full).unwrap())
    };
    let ((softmax, by_softmax), (stablemax, by_stablemax)) = (of(&one), of(&other));
    assert!((softmax - stablemax).abs() > 1e-4, "{softmax} {stablemax}");
    assert_ne!(by_softmax.loss, by_stablemax.loss);
    assert_eq!(by_softmax.metrics["solved"], by_stablemax.metrics["solved"]);
    // Figures are those after the levels of evaluation, of which the curve has twice as many.
    let metrics = &by_softmax.metrics;
    assert_eq!(metrics["cell_accuracy"], metrics["cell_accuracy_at_level_05"]);
    assert!(metrics.contains_key("cell_accuracy_at_level_10"));
    assert_eq!(metrics["control_singles_within_easy"], 1.0);
    assert_eq!(metrics["control_never_written_within_easy"], 0.0);
}

#[test]
fn the_first_pass_may_be_in_the_order_of_ratings() {
    let ratings = |order| {
        let mut config = task(Augment::None, Supervised::default()).config().clone();
        let DatasetConfig::Embedded(generator) = &mut config.dataset else {
            panic!()
        };
        (generator.givens, generator.order) = ([26, 60].into(), order);
        let task = SudokuTask::new(&config, &Device::flex().autodiff()).unwrap();
        let epoch = |first: u64| -> Vec<Pair> { (first..first + 10).map(|unit| task.drawn(unit)).collect() };
        let (one, two) = (epoch(0), epoch(10));
        let all = |pairs: &[Pair]| pairs.iter().map(|pair| pair.puzzle).collect::<BTreeSet<_>>();
        assert_eq!(all(&one), all(&two));
        assert_ne!(one, two, "the second pass is shuffled");
        one.iter().map(|pair| pair.puzzle.filled()).collect::<Vec<_>>()
    };
    let easy = ratings(Order::EasyFirst);
    assert!(easy.is_sorted_by(|a, b| a >= b) && easy[0] > easy[9], "{easy:?}");
    let hard: Vec<usize> = ratings(Order::HardFirst);
    assert_eq!(hard.into_iter().rev().collect::<Vec<_>>(), easy);
}

/// A saccade model with few levels, on easy puzzles.
fn saccade(policy: Option<PolicyConfig>) -> SudokuTask {
    let mut config = constraint(4, LossKind::Softmax).config().clone();
    config.model = ModelConfig {
        kind: ModelType::Saccade,
        evaluation_levels: Some(6),
        glimpse: Some(GlimpseConfig { levels: 2, cells: 5 }),
        ..config.model
    };
    config.policy = policy;
    SudokuTask::new(&config, &Device::flex().autodiff()).unwrap()
}

#[test]
fn a_saccade_model_learns_its_digits_and_its_policy_in_one_step() {
    let task = saccade(None);
    let (model, batch) = (task.new_model().unwrap(), batch(&task, 0));
    let found = loss(&task, &model, batch.clone());
    let gradients = found.value.backward();
    for (name, gradient) in [
        ("policy", model.policy.as_ref().unwrap().val().grad(&gradients)),
        ("digits", model.digits.val().grad(&gradients)),
        ("readout", model.readout.val().grad(&gradients)),
        ("encoder", model.trunk.encoder.val().grad(&gradients)),
    ] {
        let largest = gradient.unwrap().abs().max().into_scalar::<f64>();
        assert!(largest > 0.0, "{name}");
    }
    for key in [
        "policy_valid",
        "policy_solved",
        "policy_few_steps",
        "policy_entropy",
    ] {
        assert!(found.metrics[key].is_finite(), "{key}");
    }
    // Without a weight of the policy the loss is that of the digits.
    let silent = saccade(Some(PolicyConfig {
        weight: 0.0,
        ..PolicyConfig::default()
    }));
    let (shown, levels) = silent.logits(&model, &batch, SudokuPass::default(), 1);
    let expected = levels.iter().map(|level| by_hand(level, &shown)).sum::<f64>() / 2.0;
    let value = loss(&silent, &model, batch).value.into_scalar::<f64>();
    assert!((value - expected).abs() < 1e-4, "{value} {expected}");
}

#[test]
fn a_saccade_model_is_measured_beside_the_controls_of_its_policy() {
    let task = saccade(None);
    let model = task.new_model().unwrap().valid();
    let evaluation = task.evaluate(&model, Scope::Full).unwrap();
    let metrics = &evaluation.metrics;
    for chooser in ["learned", "confident", "random", "raster", "nothing", "untrained"] {
        for figure in ["cell_accuracy", "solved", "valid", "committed", "levels"] {
            assert!(
                metrics.contains_key(&format!("control_{chooser}_{figure}")),
                "{chooser} {figure}"
            );
        }
    }
    assert_eq!(metrics["cell_accuracy"], metrics["control_learned_cell_accuracy"]);
    assert_eq!(metrics["control_singles_within_easy"], 1.0);
    assert!(
        evaluation.notes[0].contains("within 6 levels")
            && evaluation.notes[1].starts_with("the learned policy")
    );
    let sample = task.evaluate(&model, Scope::Sample { batches: 9 }).unwrap();
    assert_eq!(sample.metrics["cell_accuracy"], metrics["cell_accuracy"]);
    assert!(sample.metrics.len() == 2 && sample.notes.is_empty());
    assert!(task.sample(&model, 1).unwrap().is_some());
}

#[test]
fn a_policy_is_for_a_saccade_model_and_its_rewards_are_named() {
    let with = |kind, policy: &str| {
        let mut config = saccade(None).config().clone();
        config.model.kind = kind;
        config.policy = Some(toml::from_str(policy).unwrap());
        config.validate().map_err(|error| error.to_string())
    };
    with(ModelType::Saccade, "rewards = [{ name = 'solved' }]").unwrap();
    let error = with(ModelType::Saccade, "rewards = [{ name = 'fast' }]").unwrap_err();
    assert!(
        error.contains("policy.rewards[0].name") && error.contains("valid, solved, few_steps"),
        "{error}"
    );
    let mut config = saccade(Some(PolicyConfig::default())).config().clone();
    (config.model.kind, config.model.glimpse) = (ModelType::Constraint, None);
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("policy is given") && error.contains("saccade"),
        "{error}"
    );
}
