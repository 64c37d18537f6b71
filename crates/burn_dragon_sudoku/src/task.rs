//! Sudoku as a task of the trainer.

use crate::config::{ModelType, Reads, SudokuConfig};
use crate::data::{Augment, Order, Pair, Puzzles, Symmetry};
use crate::error::SudokuError;
use crate::evaluate::{Answer, LevelScore, OpenCells, Score, evaluate, likeliest};
use crate::export;
use crate::keys;
use crate::measure;
use crate::model::{SudokuModel, SudokuPass};
use crate::picture::draw;
use crate::rating::Rating;
use crate::saccade;
use crate::solve::{SolveOptions, solve_with};
use crate::trm::{self, Halting, Lanes};
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
/// Givens are inputs without a loss. The loss is the mean over the levels of the mean over the empty cells of a batch. A step
/// of a TRM model is one supervision step of each lane, with a loss of the halting head: `trm`.
#[derive(Debug)]
pub struct SudokuTask {
    config: SudokuConfig,
    puzzles: Puzzles,
    /// Supervised levels, counted from 0, ascending.
    supervised: Vec<usize>,
    /// Training puzzles by rating; empty where they are shuffled.
    ranked: Vec<u32>,
    device: Device,
}

impl SudokuTask {
    /// Generates or reads the puzzles. `device` is the device of the batches, with autodiff.
    ///
    /// # Errors
    /// If a setting is out of range, or the puzzles cannot be loaded.
    pub fn new(config: &SudokuConfig, device: &Device) -> Result<Self, SudokuError> {
        config.validate()?;
        let puzzles = config.dataset.load()?;
        Ok(Self {
            ranked: ranked(&puzzles.train, config.dataset.order()),
            puzzles,
            supervised: config.loss.supervised(config.model.trained())?,
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

    /// Position of puzzle number `unit` over all epochs. Each epoch shows each puzzle once, in an order of its own, the first
    /// one in the order of the data.
    fn index(&self, unit: u64) -> usize {
        let (seed, count) = (self.config.training.seed, self.puzzles.train.len() as u64);
        if let Some(&first) = self.ranked.get(unit as usize) {
            return first as usize;
        }
        let order = Shuffle::of_epoch(count, seed, unit / count);
        order.get(unit % count).unwrap_or_default() as usize
    }

    /// Puzzle number `unit` over all epochs, under a new random symmetry.
    pub(crate) fn drawn(&self, unit: u64) -> Pair {
        let seed = self.config.training.seed;
        let pair = self.puzzles.train[self.index(unit)];
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

    /// Largest number of supervision steps of a puzzle in training; 1 if a puzzle has one step, as in models without lanes.
    fn visits(&self) -> usize {
        self.config
            .model
            .recursion()
            .map_or(1, |trm| trm.supervision_steps)
    }

    /// Number of levels without gradients that a batch runs first.
    fn free_levels(&self, seed: u64) -> usize {
        let most = self.config.loss.free_levels;
        Rng::new(derive(seed, "levels.free", 0, 0)).below(most + 1)
    }

    /// Puzzles on which the digits learn, and their logits after each level with gradients, behind the levels without. In a saccade model
    /// cells are committed before that.
    fn logits(
        &self,
        model: &SudokuModel,
        batch: &[Pair],
        pass: SudokuPass,
        seed: u64,
    ) -> (Vec<Pair>, Vec<Tensor<3>>) {
        let (free, model_without) = (self.free_levels(seed), model.valid());
        let (batch, state) = if self.config.model.kind == ModelType::Saccade {
            saccade::guided(&model_without, batch, (free, pass), seed)
        } else {
            let mut state = model_without.start(&Pair::puzzles(batch));
            model_without.advance(&mut state, free, pass);
            (batch.to_vec(), state)
        };
        let start = model.start(&Pair::puzzles(&batch));
        let state = match state.levels() {
            0 => start,
            _ => state.continued(start),
        };
        (batch, model.logits_from(state, pass))
    }
}

/// Positions of puzzles in the order of their ratings; empty where they are shuffled.
fn ranked(train: &[Pair], order: Order) -> Vec<u32> {
    if order == Order::Shuffled {
        return Vec::new();
    }
    let key = |pair: &Pair| {
        let rating = Rating::of(&pair.puzzle);
        rating.map(|rating| (rating.guesses, std::cmp::Reverse(rating.givens)))
    };
    let keys: Vec<_> = train.iter().map(key).collect();
    let mut ranked: Vec<u32> = (0..train.len() as u32).collect();
    ranked.sort_by_key(|&index| keys[index as usize]);
    if order == Order::HardFirst {
        ranked.reverse();
    }
    ranked
}

impl Task for SudokuTask {
    type Model = SudokuModel;
    type Batch = Vec<Pair>;
    type Cursor = ();
    /// Lanes of a TRM model, each with a puzzle; other models begin a puzzle and end it in a step.
    type Carry = Option<Lanes>;

    fn keys() -> Keys {
        keys::KEYS
    }

    fn new_model(&self) -> Result<SudokuModel, TrainError> {
        self.check_memory(FreeMemory::of_this_machine())?;
        Ok(SudokuModel::new(
            &self.config.model,
            self.config.training.seed,
            &self.device,
        )?)
    }

    fn cursor(&self) -> Result<(), TrainError> {
        Ok(())
    }

    fn carry(&self, model: &SudokuModel) -> Result<Option<Lanes>, TrainError> {
        let training = &self.config.training;
        let (batches, lanes) = (training.accumulate as usize, training.batch_size);
        let of = |_| Lanes::new(model, batches, lanes, self.visits());
        Ok(self.config.model.recursion().map(of))
    }

    /// Lanes draw their puzzles when they need one, so that their batch is empty.
    fn batch(&self, position: DataPosition, _cursor: &mut ()) -> Result<Vec<Pair>, TrainError> {
        if self.config.model.recursion().is_some() {
            return Ok(Vec::new());
        }
        let units = position.units..position.units + self.units_per_batch();
        Ok(units.map(|unit| self.drawn(unit)).collect())
    }

    fn loss(
        &self,
        model: &SudokuModel,
        batch: Vec<Pair>,
        carry: &mut Option<Lanes>,
        context: LossContext,
    ) -> Result<Loss, TrainError> {
        if let Some(lanes) = carry {
            let draw = |unit| self.drawn(unit);
            return trm::loss(&self.config, model, lanes, draw, context);
        }
        let pass = SudokuPass {
            levels: Some(self.depth()),
            dropout_seed: Some(context.dropout_seed),
            precision: self.config.training.precision.concrete()?,
            ..SudokuPass::default()
        };
        let seed = context.dropout_seed;
        let (shown, levels) = self.logits(model, &batch, pass, seed);
        let mut metrics = Metrics::new();
        if let Some(last) = levels.last().filter(|_| context.watch) {
            let grids = likeliest(last.clone().inner(), &Pair::puzzles(&shown))
                .into_iter()
                .map(|answer| answer.grid);
            metrics.insert("cell_accuracy".into(), Score::of(&shown, grids).cell_accuracy);
        }
        let open = OpenCells::of(&shown);
        let losses = self
            .supervised
            .iter()
            .map(|&level| open.losses(levels[level].clone(), self.config.loss.kind).mean());
        let sum = losses
            .reduce(|sum, loss| sum + loss)
            .unwrap_or_else(|| Tensor::zeros([1], &self.device));
        let value = sum / self.supervised.len() as f64;
        let Some(policy) = self.config.policy() else {
            return Ok(Loss { value, metrics });
        };
        let budget = (self.config.model.evaluated(), pass);
        let (aim, figures) = saccade::policy_loss(model, &batch, &policy, budget, seed)?;
        metrics.extend(figures.into_iter().filter(|_| context.watch));
        let value = match aim {
            Some(aim) => value + aim,
            None => value,
        };
        Ok(Loss { value, metrics })
    }

    fn forget_damage(&self, carry: &mut Option<Lanes>) -> Result<usize, TrainError> {
        Ok(carry.as_mut().map_or(0, Lanes::forget_damage))
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
        if self.config.model.kind == ModelType::Saccade {
            let untrained = match scope {
                Scope::Sample { .. } => None,
                Scope::Full => Some(self.new_model()?.valid()),
            };
            let (config, supervised) = (&self.config, &self.supervised);
            return Ok(saccade::evaluate(
                config,
                supervised,
                model,
                pairs,
                untrained.as_ref(),
            ));
        }
        let (model_config, kind) = (&self.config.model, self.config.loss.kind);
        let run = model_config.evaluated().max(model_config.trained());
        let levels = evaluate(model, pairs, run, kind);
        let last = levels[model_config.evaluated() - 1].score;
        let mut metrics = Metrics::from([
            ("cell_accuracy".into(), last.cell_accuracy),
            ("solved".into(), last.solved),
        ]);
        let loss = self.mean_loss(&levels);
        let notes = match scope {
            Scope::Sample { .. } => Vec::new(),
            Scope::Full => {
                let untrained = self.new_model()?.valid();
                let mut notes = measure::full(&self.config, pairs, [model, &untrained], &mut metrics);
                if let Some(halting) = Halting::of(model, pairs, model_config.evaluated()) {
                    metrics.extend(halting.metrics());
                    notes.push(halting.line());
                }
                notes
            }
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
        let puzzle = pair.puzzle;
        let options = SolveOptions::levels(self.config.model.evaluated());
        let solved = solve_with(model, &[puzzle], options);
        let answer = solved.first().map(|solved| Answer {
            puzzle,
            grid: solved.grid,
        });
        Ok(answer.map(|answer| Sample::text(draw(&answer, &pair.solution))))
    }

    fn identity(&self) -> Identity {
        Identity {
            settings: Self::keys().kept(&self.config),
            data: self.puzzles.hashes(),
        }
    }

    fn unit(&self) -> Unit {
        match self.config.model.recursion() {
            None => Unit {
                one: "puzzle",
                many: "puzzles",
                short: "puzzles",
            },
            Some(_) => Unit {
                one: "supervision step of a puzzle",
                many: "supervision steps of puzzles",
                short: "supervisions",
            },
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
        let mut figures = vec![
            share("cell_accuracy", "cells right", "cells"),
            share("solved", "puzzles solved", "solved"),
        ];
        if self.config.model.recursion().is_some() {
            figures.push(share("halted", "puzzles halted", "halted"));
            figures.push(share(
                "halted_right",
                "puzzles halted at a right answer",
                "rightly",
            ));
            figures.push(Figure {
                format: FigureFormat::Number,
                ..share("supervision_steps", "supervision steps of a puzzle", "steps")
            });
        }
        figures
    }

    fn loss_name(&self) -> &'static str {
        "nats a cell"
    }

    fn units_per_batch(&self) -> u64 {
        self.config.training.batch_size as u64
    }

    fn units_per_epoch(&self) -> u64 {
        self.puzzles.train.len() as u64 * self.visits() as u64
    }

    fn flops_per_unit(&self) -> u64 {
        let model = &self.config.model;
        if let Some(trm) = model.recursion() {
            return model.supervision_flops(&trm);
        }
        let free = model.forward_flops(self.config.loss.free_levels) / 2; // half of them, in the mean
        let learnt = model.forward_flops(self.depth()).saturating_mul(3);
        let walked = model.forward_flops(model.evaluated());
        let batch = self.config.training.batch_size.max(1) as u64;
        let walks = walked.saturating_mul(self.config.rollouts(batch as usize) as u64) / batch;
        learnt.saturating_add(free).saturating_add(walks)
    }

    fn bytes_per_step(&self) -> u64 {
        self.config.training_bytes(self.config.training.batch_size)
    }

    fn carried_bytes(&self) -> u64 {
        let (model, training) = (&self.config.model, &self.config.training);
        let lanes = training.batch_size as u64 * u64::from(training.accumulate);
        let latents = 2 * 4 * (model.tokens.count() * model.d_model) as u64;
        model.recursion().map_or(0, |_| lanes.saturating_mul(latents))
    }

    fn tensors(&self) -> Vec<TensorShape> {
        self.config.model.tensors()
    }

    fn largest_batch(&self, memory: FreeMemory, most: u64) -> Option<u64> {
        memory.largest(most, |puzzles| self.config.training_bytes(puzzles as usize))
    }

    /// Puzzles, in passes through the levels of training, or in supervision steps. At the end all of them are read through twice as many levels, by an
    /// untrained model, and by the model without memories.
    fn evaluated_units(&self, scope: Scope) -> u64 {
        let (all, model) = (self.puzzles.validation.len(), &self.config.model);
        let passes = match model.recursion() {
            Some(_) => model.evaluated() as u64,
            None => model.evaluated().div_ceil(model.n_levels) as u64,
        };
        match scope {
            Scope::Full if model.kind == ModelType::Saccade => saccade::PASSES * passes * all as u64,
            Scope::Full => measure::PASSES * passes * all as u64,
            Scope::Sample { batches } => {
                let sample = batches.saturating_mul(self.config.training.batch_size);
                passes * sample.min(all) as u64
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

    /// Levels are not cut if the levels with a loss are listed, nor if there are walks, whose levels are not in an extent; of heads, each kind of unit keeps one.
    fn cut(&mut self, to: Extent) -> Result<Extent, TrainError> {
        let model = &mut self.config.model;
        let neurons = model.n_neurons / model.n_heads;
        let heads = match model.reading() {
            Reads::Dense => to.heads,
            Reads::Constraint => to.heads.next_multiple_of(model.tokens.kinds()).min(model.n_heads),
        };
        (model.n_heads, model.n_neurons) = (heads, neurons * heads);
        let levels = self.config.loss.supervised(to.levels).ok();
        if model.recursion().is_some() {
            model.n_levels = to.levels;
        } else if let Some(supervised) = levels.filter(|_| model.kind != ModelType::Saccade) {
            (model.n_levels, self.supervised) = (to.levels, supervised);
        }
        self.config.training.batch_size = to.lanes;
        Ok(self.extent().unwrap_or(to))
    }

    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        let units = state.carry.as_ref().map_or(state.units, Lanes::drawn);
        let file = export::model_file(state.model, state.step, units).into_tensor_file();
        let mut files = BTreeMap::from([("model.bpk".to_string(), Content::Tensors(file))]);
        if let Some(lanes) = state.carry {
            files.insert(trm::FILE.to_string(), Content::Tensors(lanes.snapshot()?));
        }
        Ok(files)
    }

    fn restore(&self, model: SudokuModel, folder: &Path) -> Result<SudokuModel, TrainError> {
        export::restore(model, &folder.join("model.bpk")).map_err(TrainError::from)
    }

    fn restore_carried(
        &self,
        model: &SudokuModel,
        _cursor: &mut (),
        carry: &mut Option<Lanes>,
        folder: &Path,
    ) -> Result<(), TrainError> {
        match carry {
            Some(lanes) => lanes.restore(model, folder),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
