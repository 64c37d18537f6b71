//! Vision models of the Dragon Hatchling family: a picture is a grid of patches that read each other's memories.
//!
//! | what | where |
//! |---|---|
//! | pictures as numbers | [`api::Picture`] |

mod data;
mod encoder;
mod error;
mod evidence;
mod objective;
mod picture;
mod probe;

/// Main items of this crate.
pub mod api {
    pub use crate::error::VisionError;
    pub use crate::picture::{Colours, Picture};

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
