//! Graph models of the Dragon Hatchling family: each node has a fast-weight memory, and reads those of its neighbours.
//!
//! ```text
//! s = norm(sum of the rows of the active features)
//! L times, with the same weights:
//!     x = relu(s decoder_x)
//!     rho = decay rho + x (outer) s                      each node, into its own memory
//!     a = norm(sum over the neighbours t of w_t x rho_t)
//!     y = relu(a decoder_y) * x
//!     s = norm(s + norm(dropout(y) encoder))
//!     logits = s readout                                 of every node, or of the mean or sum over a graph
//! ```
//!
//! One level carries information over one edge. A model can run more levels than it was trained with, on graphs of any
//! size and number of edges.
//!
//! | what | where |
//! |---|---|
//! | graphs, with features and labels | [`api::Graph`], [`api::Example`] |
//! | graphs from a seed or from files, in three parts | [`api::DatasetConfig`], [`api::Data`] |
//! | the model | [`api::GraphDragon`] |
//! | bodies in motion, frame by frame | [`api::core::Frames`], [`api::config::Motion`] |
//! | figures by number of levels, and with other uses of memory | [`api::evaluate`], [`api::PlaceMemory`] |
//! | steps on one topology, with clusters and global memories | [`api::GraphTopologyRouting`], [`api::GraphCompiledExecutor`] |
//! | graphs of the crate `petgraph`, in and out (feature `petgraph`) | `Graph::from_petgraph`, `Graph::to_petgraph` |
//! | models to compare with | [`api::baselines`] |
//! | the family, for the trainer and the command line | [`api::GraphFamily`], [`api::GraphTask`] |

mod baselines;
mod config;
mod data;
mod error;
mod evaluate;
mod execution;
mod export;
mod family;
mod graph;
mod input;
mod keys;
mod levels;
mod model;
mod motion;
#[cfg(any(feature = "petgraph", test))]
mod petgraphs;
mod predict;
mod report;
mod routing;
mod task;

/// Main items of this crate.
pub mod api {
    pub use crate::config::{GraphConfig, ModelConfig};
    pub use crate::data::{Data, DatasetConfig};
    pub use crate::error::GraphError;
    pub use crate::evaluate::{Score, evaluate};
    pub use crate::execution::GraphCompiledExecutor;
    pub use crate::export::{GRAPH, GraphKind, model_of};
    pub use crate::family::GraphFamily;
    pub use crate::graph::{Example, Graph, Labels};
    pub use crate::model::{GraphDragon, GraphDragonConfig, GraphPass, PlaceMemory};
    pub use crate::routing::{GraphCsrAdjacency, GraphTopologyRouting};
    pub use crate::task::GraphTask;

    /// The model and its input.
    pub mod core {
        pub use crate::graph::{Example, Graph, Labels};
        pub use crate::input::{FeatureScale, GraphInput};
        pub use crate::model::{Gate, GraphDragon, GraphDragonConfig, GraphPass, PlaceMemory};
        pub use crate::motion::Frames;
    }

    /// Configuration of a run.
    pub mod config {
        pub use crate::config::{
            BaselineName, BaselineRecipe, BaselinesConfig, GraphConfig, GraphReadout, LevelLabels,
            LossConfig, ModelConfig, Neighbours, Observation, OwnMemory, SharedMemory, Supervised,
        };
        pub use crate::data::{
            DatasetConfig, FoldValidation, GeneratedTask, GeneratorConfig, GraphmlCoding, GraphmlConfig,
            JsonConfig, NbodyConfig, NodeFeatures, Schema, Target, TsvConfig, TuConfig,
        };
        pub use crate::motion::{BodyInputs, Motion};
    }

    /// Routing between nodes and memories.
    pub mod routing {
        pub use crate::routing::{GraphCsrAdjacency, GraphTopologyRouting};
    }

    /// Steps on one topology.
    pub mod execution {
        pub use crate::execution::{
            GraphCompiledExecutor, GraphObservationMerger, GraphState, GraphStepMode,
        };
    }

    /// Models as files.
    pub mod checkpoint {
        pub use crate::export::{GRAPH, GraphKind, model_of};
    }

    /// Models to compare with.
    pub mod baselines {
        pub use crate::baselines::{Baseline, BaselineConfig, Gcn, Gru, Mlp};
    }

    /// Parts of data, evaluation and prediction, to build on.
    pub mod expert {
        pub use crate::data::Part;
        pub use crate::evaluate::{NodeModel, majority};
        pub use crate::predict::Predicted;
    }
}
