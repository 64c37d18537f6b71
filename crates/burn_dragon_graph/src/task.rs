//! Graphs as a task of the trainer.

mod motion;

use crate::baselines;
use crate::config::GraphConfig;
use crate::data::{Data, Target};
use crate::error::GraphError;
use crate::evaluate::{NodeModel, Score, Targets, evaluate, graphs, majority};
use crate::export;
use crate::graph::Example;
use crate::keys;
use crate::model::{GraphDragon, GraphDragonConfig, GraphPass, PlaceMemory};
use crate::motion::{self as frames, FrameModel};
use crate::report::{Named, Report};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_dragon_checkpoint::api::Content;
use burn_dragon_core::api::{FreeMemory, TensorShape};
use burn_dragon_stream::api::Shuffle;
use burn_dragon_train::api::{
    DataPosition, Evaluation, Extent, Figure, FigureFormat, Identity, Keys, Loss, LossContext, Metrics,
    Scope, Task, TaskState, TrainError, Unit,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Task of the graph family: cross-entropy of the labels of nodes or graphs, or squared error of the next frame of bodies, after
/// every supervised level.
///
/// The loss is the mean over the levels of the mean over the labels of a batch.
#[derive(Debug)]
pub struct GraphTask {
    config: GraphConfig,
    data: Data,
    device: Device,
}

impl GraphTask {
    /// Generates or reads the graphs. `device` is the device of the batches, with autodiff.
    ///
    /// # Errors
    /// If a setting is out of range, or the graphs cannot be loaded.
    pub fn new(config: &GraphConfig, device: &Device) -> Result<Self, GraphError> {
        config.validate()?;
        Ok(Self {
            data: config.dataset.load()?,
            config: config.clone(),
            device: device.clone(),
        })
    }

    /// Configuration of the run.
    pub fn config(&self) -> &GraphConfig {
        &self.config
    }

    /// Graphs of the run.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Number of steps of the run.
    pub(crate) fn steps(&self) -> u64 {
        let training = &self.config.training;
        let batch = training.batch_size as u64;
        let units = training.planned_units(self.data.train.len() as u64, batch);
        units.div_ceil(training.units_per_step(batch))
    }

    /// Device of the batches, with autodiff.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Configuration of the model, with the features and classes of the data.
    pub fn model_config(&self) -> GraphDragonConfig {
        GraphDragonConfig {
            model: self.config.model.clone(),
            schema: self.data.schema.clone(),
        }
    }

    /// Graph number `unit` over all epochs. Each epoch shows each graph once, in an order of its own.
    fn drawn(&self, unit: u64) -> Example {
        let (seed, count) = (self.config.training.seed, self.data.train.len() as u64);
        let order = Shuffle::of_epoch(count, seed, unit / count);
        let index = order.get(unit % count).unwrap_or_default();
        self.data.train[index as usize].clone()
    }

    /// Examples of the batch that begins at a unit.
    pub(crate) fn examples_at(&self, units: u64) -> Vec<Example> {
        let units = units..units + self.config.training.batch_size as u64;
        units.map(|unit| self.drawn(unit)).collect()
    }

    /// Mean loss of a batch over the supervised levels, differentiable, and the share of labels that the last level has
    /// right, if that is asked for.
    pub(crate) fn loss_of(
        &self,
        model: &impl FrameModel,
        batch: &[Example],
        pass: GraphPass,
        watch: bool,
    ) -> Result<(Tensor<1>, Option<f64>), GraphError> {
        let schema = &self.data.schema;
        if let Some(motion) = schema.target.motion() {
            let losses = frames::losses(model, &motion, batch, pass)?;
            return Ok((self.supervised(losses), None));
        }
        let input = model.input(&graphs(batch))?;
        let targets = Targets::new(batch);
        let by_level = model.logits(&input, pass);
        let levels = by_level.len();
        let (mut losses, mut right) = (Vec::new(), None);
        for (level, logits) in by_level.into_iter().enumerate() {
            if !self.config.loss.supervises(level, levels) || targets.classes.is_empty() {
                continue;
            }
            let logits = targets.labelled(logits);
            if watch && level + 1 == levels {
                let hits = targets.right(logits.clone().inner());
                let count = hits.iter().filter(|hit| **hit).count();
                right = Some(count as f64 / hits.len() as f64);
            }
            let loss = &self.config.loss;
            let label = |class: &u32| loss.label(*class, level, schema.target, schema.classes.len()) as i32;
            let classes = targets.classes.iter().map(label).collect();
            losses.push(Targets::losses(logits, classes).mean());
        }
        Ok((self.mean(losses), right))
    }

    /// Mean over the supervised ones of all levels.
    fn supervised(&self, losses: Vec<Tensor<1>>) -> Tensor<1> {
        let (levels, loss) = (losses.len(), self.config.loss);
        let own = losses.into_iter().enumerate();
        let own = own.filter(|(level, _)| loss.supervises(*level, levels));
        self.mean(own.map(|(_, loss)| loss).collect())
    }

    /// Mean of the losses of some levels; 0 without any.
    fn mean(&self, losses: Vec<Tensor<1>>) -> Tensor<1> {
        let count = losses.len().max(1) as f64;
        let sum = losses.into_iter().reduce(|sum, loss| sum + loss);
        sum.unwrap_or_else(|| Tensor::zeros([1], &self.device)) / count
    }

    /// Scores of a model after 1, 2, ... `levels` levels.
    fn scores(
        &self,
        model: &impl NodeModel,
        examples: &[Example],
        levels: usize,
        memory: PlaceMemory,
    ) -> Result<Vec<Score>, GraphError> {
        let pass = GraphPass {
            levels: Some(levels),
            memory,
            ..GraphPass::default()
        };
        evaluate(model, examples, pass)
    }

    /// Score of a model after the levels of training, on the validation part and on the test part.
    fn named(&self, name: &str, model: &impl NodeModel, memory: PlaceMemory) -> Result<Named, GraphError> {
        let last = |examples: &[Example]| -> Result<Option<Score>, GraphError> {
            let levels = self.config.model.n_levels;
            Ok(self.scores(model, examples, levels, memory)?.pop())
        };
        Ok(Named {
            name: name.into(),
            validation: last(&self.data.validation)?.unwrap_or_default(),
            test: last(&self.data.test)?,
        })
    }

    /// Measurements at the end of a run: curves over levels, memories, controls and baselines.
    fn full(&self, model: &GraphDragon, metrics: &mut Metrics) -> Result<Vec<String>, TrainError> {
        let (data, trained) = (&self.data, self.config.model.n_levels);
        let curve = |examples: &[Example]| self.scores(model, examples, 2 * trained, PlaceMemory::Carried);
        let memories = [
            ("reset", PlaceMemory::ResetEachLevel),
            ("wiped", PlaceMemory::WipedAt(trained.div_ceil(2))),
            ("never_written", PlaceMemory::NeverWritten),
        ];
        let memories = memories.map(|(name, memory)| self.named(name, model, memory));
        let untrained = self.named("untrained", &self.new_model()?.valid(), PlaceMemory::Carried)?;
        let mut controls = vec![untrained];
        for name in &self.config.baselines.models {
            let baseline = baselines::trained(self, *name)?;
            controls.push(self.named(name.key(), &baseline, PlaceMemory::Carried)?);
        }
        let report = Report {
            noun: data.schema.target.noun(),
            trained,
            curve: curve(&data.validation)?,
            test_curve: curve(&data.test)?,
            majority: majority(&data.train, &data.validation),
            test_majority: majority(&data.train, &data.test),
            memories: memories.into_iter().collect::<Result<_, _>>()?,
            controls,
        };
        metrics.extend(report.metrics());
        Ok(report.lines())
    }

    /// Mean number of nodes and of edges of a batch, with the edges that the model adds.
    fn sizes(&self) -> (u64, u64) {
        let train = &self.data.train;
        let total = |size: fn(&Example) -> usize| train.iter().map(size).sum::<usize>() as u64;
        let (nodes, edges) = (
            total(|example| example.graph.nodes()),
            total(|example| example.graph.edges().len()),
        );
        let graphs = train.len().max(1) as u64;
        (nodes.div_ceil(graphs), (nodes + edges).div_ceil(graphs))
    }

    fn bytes_of(&self, graphs: u64) -> u64 {
        let (nodes, edges) = self.sizes();
        let config = self.model_config();
        let shared = config.shared_bytes().saturating_mul(graphs);
        let places = config.training_bytes(nodes.saturating_mul(graphs), edges.saturating_mul(graphs));
        places.saturating_add(shared)
    }
}

impl Task for GraphTask {
    type Model = GraphDragon;
    type Batch = Vec<Example>;
    type Cursor = ();
    type Carry = ();

    fn keys() -> Keys {
        keys::KEYS
    }

    fn new_model(&self) -> Result<GraphDragon, TrainError> {
        self.check_memory(FreeMemory::of_this_machine())?;
        Ok(GraphDragon::new(
            &self.model_config(),
            self.config.training.seed,
            &self.device,
        )?)
    }

    fn cursor(&self) -> Result<(), TrainError> {
        Ok(())
    }

    fn carry(&self, _model: &GraphDragon) -> Result<(), TrainError> {
        Ok(())
    }

    fn batch(&self, position: DataPosition, _cursor: &mut ()) -> Result<Vec<Example>, TrainError> {
        Ok(self.examples_at(position.units))
    }

    fn loss(
        &self,
        model: &GraphDragon,
        batch: Vec<Example>,
        _carry: &mut (),
        context: LossContext,
    ) -> Result<Loss, TrainError> {
        let pass = GraphPass {
            dropout_seed: Some(context.dropout_seed),
            precision: self.config.training.precision.concrete()?,
            ..GraphPass::default()
        };
        let (value, right) = self.loss_of(model, &batch, pass, context.watch)?;
        let metrics = right.map(|right| ("label_accuracy".to_string(), right));
        Ok(Loss {
            value,
            metrics: metrics.into_iter().collect(),
        })
    }

    fn evaluate(&self, model: &GraphDragon, scope: Scope) -> Result<Evaluation, TrainError> {
        let all = &self.data.validation;
        let examples = match scope {
            Scope::Sample { batches } => {
                let sample = batches.saturating_mul(self.config.training.batch_size);
                &all[..sample.clamp(1, all.len())]
            }
            Scope::Full => &all[..],
        };
        if let Some(motion) = self.data.schema.target.motion() {
            return self.evaluate_motion(&motion, model, examples, scope);
        }
        let levels = self.config.model.n_levels;
        let scores = self.scores(model, examples, levels, PlaceMemory::Carried)?;
        let last = scores[levels - 1];
        let mut metrics = Metrics::from([
            ("label_accuracy".into(), last.accuracy),
            ("graphs_right".into(), last.graphs_right),
        ]);
        let notes = match scope {
            Scope::Sample { .. } => Vec::new(),
            Scope::Full => self.full(model, &mut metrics)?,
        };
        Ok(Evaluation {
            loss: last.loss,
            metrics,
            notes,
        })
    }

    /// Share of the labels that are wrong; of bodies, the loss.
    fn score(&self, evaluation: &Evaluation) -> f64 {
        if self.data.schema.target.motion().is_some() {
            return evaluation.loss;
        }
        let right = evaluation.metrics.get("label_accuracy").copied();
        1.0 - right.unwrap_or_default()
    }

    fn identity(&self) -> Identity {
        Identity {
            settings: Self::keys().kept(&self.config),
            data: self.data.hashes(),
        }
    }

    fn unit(&self) -> Unit {
        Unit {
            one: "graph",
            many: "graphs",
            short: "graphs",
        }
    }

    fn figures(&self) -> Vec<Figure> {
        if self.data.schema.target.motion().is_some() {
            return self.figures_of_motion();
        }
        let share = |key, name, label| Figure {
            key,
            name,
            label,
            format: FigureFormat::Percent,
            factor: None,
        };
        let mut figures = vec![share("label_accuracy", "labels right", "right")];
        if self.data.schema.target == Target::Distances {
            figures.push(share("graphs_right", "graphs with all labels right", "graphs"));
        }
        if !self.data.test.is_empty() {
            figures.push(share(
                "test_label_accuracy",
                "labels right on the test part",
                "on test: right",
            ));
        }
        if self.data.schema.target == Target::Distances {
            figures.push(share(
                "test_graphs_right",
                "graphs of the test part with all labels right",
                "graphs",
            ));
        }
        figures
    }

    fn loss_name(&self) -> &'static str {
        match self.data.schema.target {
            Target::Motion(_) => "squared error of an output",
            _ => "nats a label",
        }
    }

    fn units_per_batch(&self) -> u64 {
        self.config.training.batch_size as u64
    }

    fn units_per_epoch(&self) -> u64 {
        self.data.train.len() as u64
    }

    fn flops_per_unit(&self) -> u64 {
        let (nodes, edges) = self.sizes();
        let forward = self
            .model_config()
            .forward_flops(self.config.model.n_levels, nodes, edges);
        forward.saturating_mul(3)
    }

    fn bytes_per_step(&self) -> u64 {
        self.bytes_of(self.config.training.batch_size as u64)
    }

    fn tensors(&self) -> Vec<TensorShape> {
        self.model_config().tensors()
    }

    fn largest_batch(&self, memory: FreeMemory, most: u64) -> Option<u64> {
        memory.largest(most, |graphs| self.bytes_of(graphs))
    }

    /// Graphs, in passes through the levels of training; at the end all of them are read five times, two of which are
    /// through twice as many levels.
    fn evaluated_units(&self, scope: Scope) -> u64 {
        let all = self.data.validation.len() as u64;
        match scope {
            Scope::Full => 7 * (all + self.data.test.len() as u64),
            Scope::Sample { batches } => {
                (batches.saturating_mul(self.config.training.batch_size) as u64).min(all)
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

    fn cut(&mut self, to: Extent) -> Result<Extent, TrainError> {
        let model = &mut self.config.model;
        let neurons = model.n_neurons / model.n_heads;
        (model.n_heads, model.n_neurons) = (to.heads, neurons * to.heads);
        model.n_levels = to.levels;
        self.config.training.batch_size = to.lanes;
        Ok(to)
    }

    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError> {
        let file = export::model_file(state.model, state.step, state.units).into_tensor_file();
        Ok([("model.bpk".to_string(), Content::Tensors(file))].into())
    }

    fn restore(&self, model: GraphDragon, folder: &Path) -> Result<GraphDragon, TrainError> {
        export::restore(model, &folder.join("model.bpk")).map_err(TrainError::from)
    }
}
