//! Configuration of a graph run. `config/graph/base.toml` documents every key.

use crate::data::{DatasetConfig, Target};
use crate::error::GraphError;
use burn_dragon_core::api::expert::Range;
use burn_dragon_core::api::{Connector, InitConfig, NormConfig, Positions, Read, TrunkConfig};
use burn_dragon_kernel::api::graph::{Normalisation, SelfEdges};
use burn_dragon_train::api::{
    CheckpointConfig, EmaConfig, EvaluationConfig, OptimizerConfig, Plan, Schedule, TrainingConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Base of the rotary frequencies. Unused, because the model has no rotation.
const ROPE_THETA: f64 = 65536.0;

/// Configuration of a graph run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GraphConfig {
    /// Table `[dataset]`: graphs and labels.
    pub dataset: DatasetConfig,
    /// Table `[model]`: sizes of the model.
    pub model: ModelConfig,
    /// Table `[loss]`: levels with a loss.
    pub loss: LossConfig,
    /// Table `[baselines]`: models to compare with.
    pub baselines: BaselinesConfig,
    /// Table `[training]`: seed, batch, steps.
    pub training: TrainingConfig,
    /// Table `[optimizer]`: updates of the weights.
    pub optimizer: OptimizerConfig,
    /// Table `[ema]`: average of the weights, which is evaluated and saved. If absent, the weights themselves are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Table `[schedule]`: learning rate over the steps.
    pub schedule: Schedule,
    /// Table `[evaluation]`: frequency and amount of evaluation.
    pub evaluation: EvaluationConfig,
    /// Table `[checkpoint]`: frequency of checkpoints.
    pub checkpoint: CheckpointConfig,
}

impl GraphConfig {
    /// Tables that the trainer reads.
    pub fn plan(&self) -> Plan {
        Plan {
            training: self.training.clone(),
            optimizer: self.optimizer.clone(),
            ema: self.ema,
            schedule: self.schedule,
            evaluation: self.evaluation.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }

    /// The configuration without the folders of this machine: paths are reduced to file names.
    pub(crate) fn without_places(&self) -> Self {
        let mut config = self.clone();
        config.dataset.name_files_only();
        config
    }

    /// Checks the values, without data.
    ///
    /// # Errors
    /// [`GraphError::Config`] or [`GraphError::Model`], with the key.
    pub fn validate(&self) -> Result<(), GraphError> {
        self.dataset.validate()?;
        self.model.validate()?;
        self.baselines.validate()?;
        if self.model.observation == Some(Observation::Gated) && !self.dataset.has_frames() {
            return Err(GraphError::Config {
                key: "model.observation",
                reason: "is \"gated\", which needs frames (dataset.type = \"embedded\", dataset.task = \"nbody\"); leave it out"
                    .into(),
            });
        }
        self.loss.fits(self.dataset.has_distances())
    }
}

/// Normalisation of a read over the neighbours of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Neighbours {
    /// Sum over the neighbours.
    Sum,
    /// Sum divided by their number.
    #[default]
    Mean,
    /// Each neighbour is divided by the root of both numbers of neighbours.
    Symmetric,
}

impl From<Neighbours> for Normalisation {
    fn from(neighbours: Neighbours) -> Self {
        match neighbours {
            Neighbours::Sum => Self::Sum,
            Neighbours::Mean => Self::Mean,
            Neighbours::Symmetric => Self::Symmetric,
        }
    }
}

/// Edges from a node to itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnMemory {
    /// Each node reads its own memory beside those of its neighbours.
    #[default]
    Add,
    /// It does where the graph has such an edge.
    Keep,
    /// It does not.
    Drop,
}

impl From<OwnMemory> for SelfEdges {
    fn from(own: OwnMemory) -> Self {
        match own {
            OwnMemory::Add => Self::Add,
            OwnMemory::Keep => Self::Keep,
            OwnMemory::Drop => Self::Drop,
        }
    }
}

/// Merge of a frame with the states of the nodes after the frame before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// The frame takes the place of the states.
    Replace,
    /// A learnt gate moves the states towards the frame: `s <- s + sigmoid(norm(s) W_s + norm(o) W_o) * (o - s)`.
    Gated,
}

/// Memory that all nodes of a graph write and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SharedMemory {
    /// A write is the mean of those of the nodes.
    Mean,
}

/// Read-out of a graph: the row of the whole graph from those of its nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GraphReadout {
    /// Mean over the nodes.
    #[default]
    Mean,
    /// Sum over the nodes, which grows with their number.
    Sum,
}

/// Whether a value is the default, which an absent key stands for.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Table `[model]`: the sizes of a graph model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Model width (D).
    pub d_model: usize,
    /// Number of heads (H).
    pub n_heads: usize,
    /// Number of neurons in all heads together (n); a multiple of `2 n_heads`.
    pub n_neurons: usize,
    /// Number of levels (L) in training: passes through the shared block. With k levels, a node is reached by what is at
    /// most k edges away. More can be run in prediction.
    pub n_levels: usize,
    /// Factor by which the memory of a node decreases before each write, 0 to 1: 0 keeps the newest write alone, 1 keeps
    /// all.
    pub decay: f64,
    /// Normalisation of a read over the neighbours.
    pub neighbours: Neighbours,
    /// Edges from a node to itself.
    pub own_memory: OwnMemory,
    /// Memory that all nodes of a graph write and read beside those of their neighbours, so that a level joins nodes without
    /// an edge. Absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<SharedMemory>,
    /// Merge of a frame with the states after the frame before it, where frames are read. Absent: `replace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
    /// Read-out of a graph, where graphs have the labels.
    #[serde(skip_serializing_if = "is_default")]
    pub readout: GraphReadout,
    /// Number of times that the rows of the nodes are averaged before the readout, each over its neighbours and itself with
    /// symmetric normalisation. Each time adds an edge to what reaches a node.
    #[serde(skip_serializing_if = "is_default")]
    pub readout_hops: usize,
    /// Dropout rate of y in training: 0, or 1.6e-5 to 0.99998.
    pub dropout: f64,
    /// Share of the active features of a node that are left out in training, 0 to 0.99.
    pub input_dropout: f64,
    /// Constant that the norms add to the variance, 1.2e-38 to 1.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights, N(0, `init_std`); 1.1e-19 to 1000.
    pub init_std: f64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            d_model: 32,
            n_heads: 1,
            n_neurons: 128,
            n_levels: 14,
            decay: 0.0,
            neighbours: Neighbours::Mean,
            own_memory: OwnMemory::Add,
            shared_memory: None,
            observation: None,
            readout: GraphReadout::Mean,
            readout_hops: 0,
            dropout: 0.0,
            input_dropout: 0.0,
            norm_eps: 1e-5,
            init_std: 0.1,
        }
    }
}

impl ModelConfig {
    /// Configuration of the trunk, whose weights the levels use. The reads are those of the graph, not the trunk's.
    pub fn trunk(&self) -> TrunkConfig {
        TrunkConfig {
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_neurons: self.n_neurons,
            n_levels: self.n_levels,
            dropout: self.dropout,
            norm_eps: self.norm_eps,
            init_std: self.init_std,
            rope_theta: ROPE_THETA,
            decay: None,
            positions: Positions::None,
            fanout: None,
            summary_memory: None,
            neuron_recurrence: None,
            connector: Connector::Plain {},
            norm: NormConfig::default(),
            init: InitConfig::default(),
            quant: None,
            rho: None,
            read: Read::Full,
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`GraphError::Config`] or [`GraphError::Model`], with the key.
    pub fn validate(&self) -> Result<(), GraphError> {
        self.trunk().validate()?;
        share("model.decay", self.decay, 1.0)?;
        share("model.input_dropout", self.input_dropout, 0.99)
    }
}

/// Refuses a number that is not from 0 to `most`.
fn share(key: &'static str, value: f64, most: f64) -> Result<(), GraphError> {
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    let reason = format!("is {value}; expected a number from 0 to {most}");
    Err(GraphError::Config { key, reason })
}

/// Refuses a number out of range.
fn within(key: &'static str, value: f64, range: Range) -> Result<(), GraphError> {
    range.check(value).map_err(|words| GraphError::Config {
        key,
        reason: format!("is {value}; expected {words}"),
    })
}

/// Table `[loss]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Levels with a loss. The total loss is the mean over them.
    pub levels: Supervised,
    /// Labels of a level before the last. Absent: `reached` where labels are distances, `final` elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<LevelLabels>,
}

/// Choice of the levels with a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Supervised {
    /// Every level.
    #[default]
    All,
    /// The last level.
    Last,
}

/// Labels of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LevelLabels {
    /// Those of the data, at every level.
    Final,
    /// Distances that can be known: after k levels, a node more than k edges away has the label `far`. Only where labels
    /// are distances.
    Reached,
}

impl LossConfig {
    /// Refuses distances where there are none.
    fn fits(&self, distances: bool) -> Result<(), GraphError> {
        if self.labels == Some(LevelLabels::Reached) && !distances {
            return Err(GraphError::Config {
                key: "loss.labels",
                reason:
                    "is \"reached\", which needs distances (dataset.type = \"embedded\", dataset.task = \"distance\"); \
                     expected \"final\""
                        .into(),
            });
        }
        Ok(())
    }

    /// Whether the level, counted from 0, of a model of `levels` levels has a loss.
    pub(crate) fn supervises(&self, level: usize, levels: usize) -> bool {
        self.levels == Supervised::All || level + 1 == levels
    }

    /// The label of a level, counted from 0, where the last class is `far`.
    pub(crate) fn label(&self, label: u32, level: usize, target: Target, classes: usize) -> u32 {
        let far = classes as u32 - 1;
        match (self.labels, target) {
            (None | Some(LevelLabels::Reached), Target::Distances) if label as usize > level + 1 => far,
            _ => label,
        }
    }
}

/// Table `[baselines]`: models that are trained after the run, on the same batches and with the same loss, and evaluated on
/// the same data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BaselinesConfig {
    /// Baselines to train.
    pub models: Vec<BaselineName>,
    /// Width of their hidden states.
    pub width: usize,
    /// Recipe of their training.
    pub recipe: BaselineRecipe,
    /// Number of steps. If absent, that of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Learning rate; before the schedule's factor with the recipe `run`.
    pub learning_rate: f64,
    /// Weight decay: decoupled, of all matrices, with the recipe `run`; with `published` the factor of the penalty.
    pub weight_decay: f64,
    /// Dropout rate of features and hidden states in training, 0 to 0.99.
    pub dropout: f64,
}

impl Default for BaselinesConfig {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            width: 32,
            recipe: BaselineRecipe::Run,
            max_steps: None,
            learning_rate: 4e-3,
            weight_decay: 0.01,
            dropout: 0.0,
        }
    }
}

impl BaselinesConfig {
    fn validate(&self) -> Result<(), GraphError> {
        let counts = [
            ("baselines.width", self.width == 0),
            ("baselines.max_steps", self.max_steps == Some(0)),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, none)| *none) {
            let reason = "is 0; expected at least 1".into();
            return Err(GraphError::Config { key, reason });
        }
        within("baselines.learning_rate", self.learning_rate, Range::POSITIVE)?;
        within("baselines.weight_decay", self.weight_decay, Range::FROM_ZERO)?;
        share("baselines.dropout", self.dropout, 0.99)
    }
}

/// Recipe of the training of a baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BaselineRecipe {
    /// AdamW with the schedule and the clipping of the run.
    #[default]
    Run,
    /// That of the publication of the graph convolutional network (arXiv:1609.02907): Adam at a constant rate, without
    /// clipping; a penalty, half the weight decay times the sum of the squares, on the matrix of the features alone; the
    /// features of a node divided by their number, not by its root.
    Published,
}

/// Name of a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BaselineName {
    /// Graph convolutional network.
    Gcn,
    /// Gated recurrent units that exchange messages.
    Gru,
    /// Multilayer perceptron on the features of a node alone.
    Mlp,
}

impl BaselineName {
    /// Name in metrics.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Gcn => "gcn",
            Self::Gru => "gru",
            Self::Mlp => "mlp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::{BASE, GraphFamily};
    use burn_dragon_train::api::{Layers, resolve};

    #[test]
    fn the_base_file_says_every_key_there_is() {
        let layers = Layers::new().embedded(BASE.path, BASE.text).unwrap();
        let resolved = resolve::<GraphFamily>(layers).unwrap();
        let explained = resolved.explain();
        let unsaid: Vec<_> = explained
            .lines()
            .filter(|line| line.ends_with("# default"))
            .collect();
        assert!(unsaid.is_empty(), "{unsaid:#?}");
        resolved.value.validate().unwrap();
    }

    #[test]
    fn a_level_knows_the_distances_that_it_reached() {
        let loss = |labels| LossConfig {
            labels,
            ..LossConfig::default()
        };
        let reached = loss(None);
        let at = |level| [0, 1, 2, 3, 5].map(|label| reached.label(label, level, Target::Distances, 6));
        assert_eq!(at(0), [0, 1, 5, 5, 5]);
        assert_eq!(at(1), [0, 1, 2, 5, 5]);
        assert_eq!(at(3), [0, 1, 2, 3, 5]);
        assert_eq!(reached.label(3, 0, Target::Nodes, 6), 3);
        assert_eq!(
            loss(Some(LevelLabels::Final)).label(3, 0, Target::Distances, 6),
            3
        );
    }

    #[test]
    fn values_that_no_model_can_have_are_refused_by_their_key() {
        let refused = |change: fn(&mut GraphConfig)| {
            let mut config = GraphConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(refused(|config| config.model.decay = 1.5).starts_with("model.decay is 1.5"));
        assert!(refused(|config| config.model.decay = f64::NAN).contains("model.decay"));
        assert!(refused(|config| config.model.input_dropout = 1.0).contains("model.input_dropout"));
        assert!(refused(|config| config.model.n_neurons = 33).contains("33"));
        let gated = refused(|config| config.model.observation = Some(Observation::Gated));
        assert!(gated.starts_with("model.observation is \"gated\""), "{gated}");
        assert!(refused(|config| config.baselines.max_steps = Some(0)).contains("baselines.max_steps is 0"));
        assert!(
            refused(|config| config.baselines.learning_rate = 0.0).contains("baselines.learning_rate is 0")
        );
        assert!(
            refused(|config| config.baselines.weight_decay = -1.0).contains("baselines.weight_decay is -1")
        );
        GraphConfig::default().validate().unwrap();
    }
}
