//! Sudoku as a task of the trainer.

use crate::config::SudokuConfig;
use crate::data::{Augment, Pair, Puzzles, Symmetry};
use crate::error::SudokuError;
use crate::evaluate::{Controls, LevelScore, OpenCells, Score, answers, evaluate, likeliest};
use crate::export;
use crate::grid::Grid;
use crate::keys;
use crate::model::{SudokuModel, SudokuPass};
use crate::picture::draw;
use crate::report;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_dragon_checkpoint::api::Content;
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_core::api::{FreeMemory, TensorShape};
use burn_dragon_stream::api::Shuffle;
use burn_dragon_train::api::{
    DataPosition, Evaluation, Extent, Figure, FigureFormat, Identity, Keys, Loss, LossContext, Metrics,
    Sample, Scope, Task, TaskState, TrainError, Unit,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Task of the sudoku family: cross-entropy of the empty cells of puzzles, after every supervised level.
///
/// Givens are inputs without a loss. The loss is the mean over the levels of the mean over the empty cells of a batch.
#[derive(Debug)]
pub struct SudokuTask {
    config: SudokuConfig,
    puzzles: Puzzles,
    /// Supervised levels, counted from 0, ascending.
    supervised: Vec<usize>,
    device: Device,
}

impl SudokuTask {
    /// Generates or reads the puzzles. `device` is the device of the batches, with autodiff.
    ///
    /// # Errors
    /// If a setting is out of range, or the puzzles cannot be loaded.
    pub fn new(config: &SudokuConfig, device: &Device) -> Result<Self, SudokuError> {
        config.validate()?;
        Ok(Self {
            puzzles: config.dataset.load()?,
            supervised: config.loss.supervised(config.model.n_levels)?,
            config: config.clone(),
            device: device.clone(),
        })
    }

    /// Configuration of the run.
    pub fn config(&self) -> &SudokuConfig {
        &self.config
    }

    /// Puzzles of the run.
    pub fn puzzles(&self) -> &Puzzles {
        &self.puzzles
    }

    /// Number of levels that a step runs: up to the last supervised one.
    fn depth(&self) -> usize {
        self.supervised.last().map_or(0, |level| level + 1)
    }

    /// Puzzle number `unit` over all epochs. Each epoch shows each puzzle once, in an order of its own, under a new
    /// random symmetry.
    fn drawn(&self, unit: u64) -> Pair {
        let (seed, count) = (self.config.training.seed, self.puzzles.train.len() as u64);
        let order = Shuffle::of_epoch(count, seed, unit / count);
        let index = order.get(unit % count).unwrap_or_default();
        let pair = self.puzzles.train[index as usize];
        if self.config.dataset.augment() == Augment::None {
            return pair;
        }
        let symmetry = Symmetry::draw(&mut Rng::new(derive(seed, "puzzle.symmetry", unit, 0)));
        Pair {
            puzzle: symmetry.apply(&pair.puzzle),
            solution: symmetry.apply(&pair.solution),
        }
    }

    /// Mean loss over the supervised levels.
    fn mean_loss(&self, levels: &[LevelScore]) -> f64 {
        let losses = self.supervised.iter().map(|&level| levels[level].loss);
        losses.sum::<f64>() / self.supervised.len() as f64
    }

    /// Measurements at the end of a run: the curve over levels, and the controls.
    fn full(&self, model: &SudokuModel, metrics: &mut Metrics) -> Result<Vec<String>, TrainError> {
        let (pairs, trained) = (&self.puzzles.validation, self.config.model.n_levels);
        let curve = evaluate(model, pairs, 2 * trained);
        let untrained = evaluate(&self.new_model()?.valid(), pairs, trained)[trained - 1].score;
        let report = report::Report {
            curve: curve.into_iter().map(|level| level.score).collect(),
            trained,
            untrained,
            controls: Controls::of(pairs),
        };
        metrics.extend(report.metrics());
        Ok(report.lines())
    }
}

impl Task for SudokuTask {
    type Model = SudokuModel;
    type Batch = Vec<Pair>;
    type Cursor = ();
    type Carry = ();

    fn keys() -> Keys {
        keys::KEYS
    }

    fn new_model(&self) -> Result<SudokuModel, TrainError> {
        self.check_memory(FreeMemory::of_this_machine())?;
        let model = SudokuModel::new(&self.config.model, self.config.training.seed, &self.device);
        Ok(model.map_err(SudokuError::from)?)
    }

    fn cursor(&self) -> Result<(), TrainError> {
        Ok(())
    }

    fn carry(&self, _model: &SudokuModel) -> Result<(), TrainError> {
        Ok(())
    }

    fn batch(&self, position: DataPosition, _cursor: &mut ()) -> Result<Vec<Pair>, TrainError> {
        let units = position.units..position.units + self.units_per_batch();
        Ok(units.map(|unit| self.drawn(unit)).collect())
    }

    fn loss(
        &self,
        model: &SudokuModel,
        batch: Vec<Pair>,
        _carry: &mut (),
        context: LossContext,
    ) -> Result<Loss, TrainError> {
        let puzzles: Vec<Grid> = batch.iter().map(|pair| pair.puzzle).collect();
        let pass = SudokuPass {
            levels: Some(self.depth()),
            dropout_seed: Some(context.dropout_seed),
            precision: self.config.training.precision.concrete()?,
        };
        let levels = model.logits_by_level(&puzzles, pass);
        let mut metrics = Metrics::new();
        if let Some(last) = levels.last().filter(|_| context.watch) {
            let grids = likeliest(last.clone().inner(), &puzzles)
                .into_iter()
                .map(|answer| answer.grid);
            metrics.insert("cell_accuracy".into(), Score::of(&batch, grids).cell_accuracy);
        }
        let open = OpenCells::of(&batch);
        let losses = self
            .supervised
            .iter()
            .map(|&level| open.losses(levels[level].clone()).mean());
        let sum = losses
            .reduce(|sum, loss| sum + loss)
            .unwrap_or_else(|| Tensor::zeros([1], &self.device));
        let value = sum / self.supervised.len() as f64;
        Ok(Loss { value, metrics })
    }

    fn evaluate(&self, model: &SudokuModel, scope: Scope) -> Result<Evaluation, TrainError> {
        let all = &self.puzzles.validation;
        let pairs = match scope {
            Scope::Sample { batches } => {
                let sample = batches.saturating_mul(self.config.training.batch_size);
                &all[..sample.clamp(1, all.len())]
            }
            Scope::Full => &all[..],
        };
        let levels = evaluate(model, pairs, self.config.model.n_levels);
        let last = levels[levels.len() - 1].score;
        let mut metrics = Metrics::from([
            ("cell_accuracy".into(), last.cell_accuracy),
            ("solved".into(), last.solved),
        ]);
        let loss = self.mean_loss(&levels);
        let notes = match scope {
            Scope::Sample { .. } => Vec::new(),
            Scope::Full => self.full(model, &mut metrics)?,
        };
        Ok(Evaluation { loss, metrics, notes })
    }

    /// Share of the empty cells that are wrong.
    fn score(&self, evaluation: &Evaluation) -> f64 {
        1.0 - evaluation
            .metrics
            .get("cell_accuracy")
            .copied()
            .unwrap_or_default()
    }

    fn sample(&self, model: &SudokuModel, _step: u64) -> Result<Option<Sample>, TrainError> {
        let pair = self.puzzles.validation[0];
        let answers = answers(model, &[pair.puzzle], self.config.model.n_levels);
        Ok(answers
            .first()
            .map(|answer| Sample::text(draw(answer, &pair.solution))))
    }

    fn identity(&self) -> Identity {
        Identity {
            settings: Self::keys().kept(&self.config),
            data: self.puzzles.hashes(),
        }
    }

    fn unit(&self) -> Unit {
        Unit {
            one: "puzzle",
            many: "puzzles",
            short: "puzzles",
        }
    }

    fn figures(&self) -> Vec<Figure> {
        let share = |key, name, label| Figure {
            key,
            name,
            label,
            format: FigureFormat::Percent,
            factor: None,
        };
        vec![
            share("cell_accuracy", "cells right", "cells"),
            share("solved", "puzzles solved", "solved"),
        ]
    }

    fn loss_name(&self) -> &'static str {
        "nats a cell"
    }

    fn units_per_batch(&self) -> u64 {
        self.config.training.batch_size as u64
    }

    fn units_per_epoch(&self) -> u64 {
        self.puzzles.train.len() as u64
    }

    fn flops_per_unit(&self) -> u64 {
        self.config.model.forward_flops(self.depth()).saturating_mul(3)
    }

    fn bytes_per_step(&self) -> u64 {
        self.config.model.training_bytes(self.config.training.batch_size)
    }

    fn tensors(&self) -> Vec<TensorShape> {
        self.config.model.tensors()
    }

    fn largest_batch(&self, memory: FreeMemory, most: u64) -> Option<u64> {
        memory.largest(most, |puzzles| self.config.model.training_bytes(puzzles as usize))
    }

    /// Puzzles, in passes through the levels of training; all of them are read through twice as many levels and by an
    /// untrained model too.
    fn evaluated_units(&self, scope: Scope) -> u64 {
        let all = self.puzzles.validation.len();
        match scope {
            Scope::Full => 3 * all as u64,
            Scope::Sample { batches } => {
                batches.saturating_mul(self.config.training.batch_size).min(all) as u64
            }
        }
    }

    fn extent(&self) -> Option<Extent> {
        let (model, lanes) = (&self.config.model, self.config.training.batch_size);
        Some(Extent {
            heads: model.n_heads,
            levels: model.n_levels,
            lanes,
        })
    }

    /// Levels are not cut if the levels with a loss are listed.
    fn cut(&mut self, to: Extent) -> Result<Extent, TrainError> {
        let model = &mut self.config.model;
        let neurons = model.n_neurons / model.n_heads;
        (model.n_heads, model.n_neurons) = (to.heads, neurons * to.heads);
        if let Ok(supervised) = self.config.loss.supervised(to.levels) {
            (model.n_levels, self.supervised) = (to.levels, supervised);
        }
        self.config.training.batch_size = to.lanes;
        Ok(self.extent().unwrap_or(to))
    }

    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        let file = export::model_file(state.model, state.step, state.units).into_tensor_file();
        Ok([("model.bpk".to_string(), Content::Tensors(file))].into())
    }

    fn restore(&self, model: SudokuModel, folder: &Path) -> Result<SudokuModel, TrainError> {
        export::restore(model, &folder.join("model.bpk")).map_err(TrainError::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LossConfig, ModelConfig, Supervised};
    use crate::data::{DatasetConfig, GeneratorConfig};
    use burn::tensor::TensorData;
    use burn_dragon_core::api::expert::load;
    use std::collections::BTreeSet;

    fn task(augment: Augment, levels: Supervised) -> SudokuTask {
        let mut config = SudokuConfig {
            dataset: DatasetConfig::Embedded(GeneratorConfig {
                puzzles: 10,
                validation_puzzles: 9,
                givens: [50, 60],
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
            loss: LossConfig { levels },
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
        task.loss(model, batch, &mut (), context).unwrap()
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
        for (name, gradient) in [
            ("digits", model.digits.val().grad(&gradients)),
            ("rows", model.rows.val().grad(&gradients)),
            ("columns", model.columns.val().grad(&gradients)),
            ("boxes", model.boxes.val().grad(&gradients)),
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
}
