//! Baselines: other models of graphs, small, trained like the Dragon and only evaluated.

mod gcn;
mod gru;
mod mlp;

pub use self::gcn::Gcn;
pub use self::gru::Gru;
pub use self::mlp::Mlp;
use crate::config::{BaselineName, BaselineRecipe, BaselinesConfig};
use crate::data::{Schema, Target};
use crate::error::GraphError;
use crate::evaluate::NodeModel;
use crate::graph::Graph;
use crate::input::{FeatureScale, GraphInput};
use crate::model::GraphPass;
use crate::task::GraphTask;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_train::api::expert::{GradientSet, ModelOptimizer};
use burn_dragon_train::api::{AdamW, Method, OptimizerConfig, TrainError};

/// Sizes and regularisation of a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineConfig {
    /// Features and classes.
    pub schema: Schema,
    /// Width of the hidden states (D).
    pub width: usize,
    /// Number of layers, or of steps: that of the Dragon's levels.
    pub levels: usize,
    /// Dropout rate of features and hidden states in training.
    pub dropout: f64,
    /// Divisor of the features of a node.
    pub scale: FeatureScale,
}

/// A baseline of any kind.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Baseline {
    /// Graph convolutional network.
    Gcn(Gcn),
    /// Gated recurrent units.
    Gru(Gru),
    /// Multilayer perceptron.
    Mlp(Mlp),
}

impl Baseline {
    /// Creates a baseline with random weights, a function of `seed` alone.
    pub fn new(name: BaselineName, config: &BaselineConfig, seed: u64, device: &Device) -> Self {
        let init = Init {
            seed: derive(seed, name.key(), 0, 0),
            device,
        };
        match name {
            BaselineName::Gcn => Self::Gcn(Gcn::new(config, &init)),
            BaselineName::Gru => Self::Gru(Gru::new(config, &init)),
            BaselineName::Mlp => Self::Mlp(Mlp::new(config, &init)),
        }
    }

    /// Matrix of the features, `[F, D]`.
    fn features(&self) -> Tensor<2> {
        match self {
            Self::Gcn(model) => model.features.val(),
            Self::Gru(model) => model.features.val(),
            Self::Mlp(model) => model.features.val(),
        }
    }
}

impl NodeModel for Baseline {
    fn input(&self, graphs: &[&Graph]) -> Result<GraphInput, GraphError> {
        match self {
            Self::Gcn(model) => model.input(graphs),
            Self::Gru(model) => model.input(graphs),
            Self::Mlp(model) => model.input(graphs),
        }
    }

    fn logits(&self, input: &GraphInput, pass: GraphPass) -> Vec<Tensor<2>> {
        match self {
            Self::Gcn(model) => model.logits(input, pass),
            Self::Gru(model) => model.logits(input, pass),
            Self::Mlp(model) => model.logits(input, pass),
        }
    }
}

/// Trains a baseline by the recipe of a run, on its batches and with its loss.
///
/// # Errors
/// If a setting is out of range, or a graph does not fit.
pub(crate) fn trained(task: &GraphTask, name: BaselineName) -> Result<Baseline, TrainError> {
    let (config, training) = (task.config(), &task.config().training);
    let sizes = sizes_of(task);
    let mut model = Baseline::new(name, &sizes, training.seed, task.device());
    let mut optimizer = ModelOptimizer::new(&optimizer_of(&config.baselines), &model)?;
    let steps = config.baselines.max_steps.unwrap_or_else(|| task.steps());
    let is_published = config.baselines.recipe == BaselineRecipe::Published;
    for step in 0..steps {
        let gradients = gradients(task, &model, step)?;
        model = if is_published {
            optimizer.step(model, gradients, 1.0)
        } else {
            let norm = gradients.norm();
            let gradients = gradients.clip(norm, training.clip_norm.unwrap_or(f64::INFINITY));
            optimizer.step(model, gradients, config.schedule.factor(step, steps))
        };
    }
    Ok(model.valid())
}

fn sizes_of(task: &GraphTask) -> BaselineConfig {
    let config = task.config();
    BaselineConfig {
        schema: task.data().schema.at_once(),
        width: config.baselines.width,
        levels: config.model.n_levels,
        dropout: config.baselines.dropout,
        scale: match config.baselines.recipe {
            BaselineRecipe::Run => FeatureScale::Root,
            BaselineRecipe::Published => FeatureScale::Number,
        },
    }
}

fn optimizer_of(baselines: &BaselinesConfig) -> OptimizerConfig {
    let weight_decay = match baselines.recipe {
        BaselineRecipe::Run => baselines.weight_decay,
        BaselineRecipe::Published => 0.0, // it is in the loss
    };
    OptimizerConfig {
        method: Method::AdamW(AdamW {
            learning_rate: baselines.learning_rate,
            weight_decay,
            ..AdamW::default()
        }),
        groups: Vec::new(),
    }
}

/// Gradients of a step: their mean over its batches.
fn gradients(task: &GraphTask, model: &Baseline, step: u64) -> Result<GradientSet, TrainError> {
    let training = &task.config().training;
    let units = training.units_per_step(training.batch_size as u64);
    let mut gradients = GradientSet::default();
    for part in 0..u64::from(training.accumulate) {
        let batch = task.examples_at(step * units + part * training.batch_size as u64);
        let pass = GraphPass {
            dropout_seed: Some(derive(training.seed, "baseline.dropout", step, part)),
            ..GraphPass::default()
        };
        let (loss, _) = task.loss_of(model, &batch, pass, false)?;
        let loss = match penalty(&task.config().baselines, model) {
            Some(penalty) => loss + penalty,
            None => loss,
        };
        gradients.add(loss.backward(), model);
    }
    Ok(gradients.mean())
}

/// Penalty on the matrix of the features, `[1]`, if the recipe has one.
fn penalty(baselines: &BaselinesConfig, model: &Baseline) -> Option<Tensor<1>> {
    let factor = baselines.weight_decay;
    let has_one = baselines.recipe == BaselineRecipe::Published && factor > 0.0;
    has_one.then(|| model.features().powi_scalar(2).sum() * (0.5 * factor))
}

/// Initial weights: uniform by the numbers of rows and columns (Glorot), a function of seed and name.
pub(crate) struct Init<'a> {
    seed: u64,
    device: &'a Device,
}

impl Init<'_> {
    fn matrix(&self, name: &str, [rows, columns]: [usize; 2]) -> Param<Tensor<2>> {
        let bound = (6.0 / (rows + columns) as f64).sqrt();
        let mut rng = Rng::new(derive(self.seed, name, 0, 0));
        let numbers = (0..rows * columns).map(|_| ((2.0 * rng.uniform() - 1.0) * bound) as f32);
        Param::from_data(
            TensorData::new(numbers.collect::<Vec<_>>(), [rows, columns]),
            self.device,
        )
    }

    fn zeros(&self, columns: usize) -> Param<Tensor<1>> {
        Param::from_data(TensorData::new(vec![0f32; columns], [columns]), self.device)
    }
}

/// Rows of which entries are left out at random in training; `layer` names the draw.
fn dropped(rows: Tensor<2>, pass: GraphPass, rate: f64, layer: u64) -> Tensor<2> {
    let Some(seed) = pass.dropout_seed.filter(|_| rate > 0.0) else {
        return rows;
    };
    let mut rng = Rng::new(derive(seed, "hidden", 0, layer));
    let [nodes, width] = rows.dims();
    let scale = (1.0 / (1.0 - rate)) as f32;
    let mask = (0..nodes * width).map(|_| if rng.uniform() < rate { 0.0 } else { scale });
    let mask = TensorData::new(mask.collect::<Vec<f32>>(), [nodes, width]);
    rows.clone() * Tensor::from_data(mask, (&rows.device(), rows.dtype()))
}

/// Embedded features in training with dropout.
fn embedded(rows: &Tensor<2>, input: &GraphInput, pass: GraphPass, rate: f64) -> Tensor<2> {
    let seed = pass.dropout_seed.filter(|_| rate > 0.0);
    input.embed(rows, seed.map(|seed| (seed, rate)))
}

/// Rows of what has a label: those of the nodes, or means over the graphs.
fn pooled(rows: Tensor<2>, input: &GraphInput, target: Target) -> Tensor<2> {
    match target {
        Target::Nodes | Target::Distances | Target::Motion(_) => rows,
        Target::Graphs => input.means(rows),
    }
}

#[cfg(test)]
mod tests;
