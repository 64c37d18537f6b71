//! Streams of anything.

mod documents;
mod error;
mod hash;
mod lane;
mod lanes;
mod order;
mod scale;
mod shard;
mod walk;
mod window;
pub use window::TbpttWindow;

pub use documents::{Documents, Fingerprint, Span};
pub use error::StreamError;
pub use lane::{DocumentCursor, LanePosition};
pub use lanes::{LaneWindow, Lanes, resets};
pub use order::{Order, Shuffle, permute};
pub use scale::{Scale, ScaleMixup, ScaleStep};
pub use shard::Shard;

/// The curated names of this crate.
pub mod api {
    pub use crate::{TbpttWindow,
        DocumentCursor, Documents, Fingerprint, LanePosition, LaneWindow, Lanes, Order, Scale, ScaleMixup,
        ScaleStep, Shard, Shuffle, Span, StreamError, permute, resets,
    };

    /// The parts behind those.
    pub mod expert {
        pub use crate::walk::{Walk, WalkPosition};
    }
}
