//! Vision models of the Dragon Hatchling family: a picture is a grid of patches that read each other's memories.
//!
//! | what | where |
//! |---|---|
//! | pictures as numbers | [`api::Picture`] |
//! | pictures and clips from a seed or from files, in two parts | [`api::DatasetConfig`], [`api::Data`] |
//! | the encoder | [`api::VisionEncoder`] |
//! | augmented views of a picture | [`api::augment`], [`api::views`] |
//! | pictures in a terminal, as a PNG, as a contact sheet | [`api::half_blocks`], [`api::png`], [`api::sheet`] |

mod batch;
mod config;
mod cost;
mod data;
mod drawing;
mod encoder;
mod error;
mod evaluate;
mod evidence;
mod export;
mod family;
mod heads;
mod keys;
mod look;
mod model;
mod objective;
mod picture;
mod predict;
mod probe;
mod report;
mod task;

/// Main items of this crate.
pub mod api {
    pub use crate::config::{
        DistillConfig, LejepaConfig, LevelsWithLoss, MaeConfig, MaeHiding, ObjectiveConfig, SupervisedConfig,
        TargetNorm, VideoLejepaConfig, VisionConfig, Vjepa21Config,
    };
    pub use crate::data::{
        AugmentConfig, BlurConfig, Cifar10Config, Clip, ClipPart, Clips, CropConfig, Data, DatasetConfig,
        Example, Fit, FolderConfig, GlyphsConfig, JitterConfig, MnistConfig, MotionConfig,
        MovingGlyphsConfig, MovingMnistConfig, Part, PictureShape, Pictures, Pixels, SolariseConfig,
        ViewsConfig, augment, half_blocks, luma, png, sheet, stack, views,
    };
    pub use crate::encoder::{
        AtBorder, Backbone, BackboneKind, BankDecay, BankLink, Cellular, CellularConfig, CellularSteps,
        ConvolutionSteps, Convolutions, DenseRead, DenseSteps, FrameByFrame, Gains, GridPositions, Hidden,
        HubGates, MemoryUse, ModeLinks, ModelConfig, Modes, NearConfig, NearShape, Order, PyramidBackbone,
        PyramidConfig, PyramidSteps, Readout, Schedule, Seen, State, Stem, StemKind, StepPass, Substep,
        Summary, VisionEncoder, VisionPass, Watched,
    };
    pub use crate::error::VisionError;
    pub use crate::export::{VISION, VISION_ENCODER, VisionKind, encoder_of, model_of};
    pub use crate::family::Vision;
    pub use crate::heads::{
        AttentionPredictor, AttentionPredictorConfig, DecoderConfig, Heads, HeadsConfig, Mlp, MlpConfig,
        MlpNorm, PixelDecoder, Places, PredictorConfig, PredictorHeadConfig, TokenPredictor,
        TokenPredictorConfig,
    };
    pub use crate::model::{VisionModel, VisionModelConfig};
    pub use crate::picture::{Colours, Picture};
    pub use crate::task::VisionTask;

    /// Evidence columns: recognition by movement and voting, without gradients.
    pub mod evidence {
        pub use crate::evidence::{
            Column, End, FIGURES, Hypothesis, Memory, ObjectModel, Point, Recognition, Rules, Sensed, Sensor,
            Trials, Vote, drawn, recognise, rotated, trials,
        };
    }

    /// Parts of a model, its objectives and its probes, for those who build on it.
    pub mod expert {
        pub use crate::objective::{
            BlockMasks, IndexLists, Mask, PatchGrid, SigReg, invariance, random_masks, stacked,
        };
        pub use crate::probe::{
            Features, Figure, Foreground, Labelled, LinearOutcome, PositionOutcome, Probe, ProbeConfig, Unit,
            accuracy, deviation, effective_rank, foreground, knn, linear, nearest_centroid, position, probe,
            table,
        };
    }
}
