//! Endless streams of any payload for models with memory: the data of each step, the resets of memory, and the length
//! of truncated backpropagation through time (TBPTT). No tensors.
//!
//! A model with a memory is trained on streams: each row of a batch, a *lane*, goes on where it stopped in the step
//! before, and its memory is carried along. This crate makes the decisions for that; other crates move the tensors.
//!
//! # From a corpus to the windows of a step
//!
//! ```text
//! lengths -> Documents -> DocumentCursor of each lane -> Span ... -> LaneWindow -> tokens, targets, resets
//!                          |  Walk: Order, Shard                                   of step k
//! seed, step -> ScaleMixup -> window length, lanes that take part
//! ```
//!
//! A corpus is given as the lengths of its documents. [`Lanes`](api::Lanes) read it packed, without padding. A window
//! of `T` inputs is a list of [`Span`](api::Span)s. Where a document ends, the next one begins in the same window, and
//! memory is emptied in between ([`LaneWindow::resets`](api::LaneWindow::resets)). The target of an input is the next
//! token of the same document, so no prediction crosses documents. Together the lanes read every input of an epoch
//! once.
//!
//! # Steps with any payload
//!
//! ```text
//! StreamDataset -> StreamCursor -> StreamSegment ... -> collate -> CollatedStreamBatch -> TbpttWindow
//!                                    StreamStepMetadata: id, boundary, index, time   -> carry? target?
//! ```
//!
//! Video, games and other recordings come as [`StreamSegment`](api::StreamSegment)s of any payload, each step with its
//! [`StreamStepMetadata`](api::StreamStepMetadata).
//!
//! - [`StateCarryPolicy`](api::StateCarryPolicy) decides whether memory is kept over a
//!   [`StreamBoundary`](api::StreamBoundary).
//! - [`resolve_stream_target_alignment`](api::resolve_stream_target_alignment) finds the target step of an observation.
//! - [`TbpttWindow`](api::TbpttWindow) sets how many steps back gradients flow.
//!
//! # Resuming
//!
//! Every order is a function of seed, epoch and place ([`permute`](api::permute)). Every cursor has a small position
//! that serde can write. A cursor that resumes from a position gives the same items as one that never stopped. A
//! position of other data, another order or another number of lanes is refused. [`Prefetch`](api::Prefetch) makes items
//! ahead of time and counts those that were taken.
//!
//! ```
//! use burn_dragon_stream::api::{Documents, Lanes, Order};
//!
//! let documents = Documents::from_lengths(&[120, 35, 260])?;
//! let mut lanes = Lanes::new(&documents, Order::Shuffled { seed: 1337 }, 2)?;
//! for window in lanes.next(64) {
//!     let tokens: usize = window.spans.iter().map(|span| documents.inputs_of(span).len()).sum();
//!     assert_eq!(tokens, 64);
//!     assert_eq!(window.resets()[0], 0); // a stream begins with an empty memory
//! }
//! # Ok::<(), burn_dragon_stream::api::StreamError>(())
//! ```

mod alignment;
mod boundary;
mod collate;
mod cursor;
mod dataset;
mod documents;
mod error;
mod fingerprint;
mod hash;
mod ids;
mod lane;
mod lanes;
mod order;
mod policy;
mod prefetch;
mod scale;
mod segment;
mod shard;
mod walk;
mod window;

/// Curated names of this crate, flat and by module.
pub mod api {
    pub use self::{
        alignment::*, boundary::*, collate::*, cursor::*, dataset::*, documents::*, error::*, ids::*,
        lane::*, lanes::*, order::*, policy::*, prefetch::*, scale::*, segment::*, shard::*, window::*,
    };

    /// Targets of observations.
    pub mod alignment {
        pub use crate::alignment::{
            TargetAlignment, WindowAlignment, resolve_stream_target_alignment,
            resolve_stream_window_alignment, resolve_target_alignment,
        };
    }

    /// Boundaries between the steps of a stream.
    pub mod boundary {
        pub use crate::boundary::StreamBoundary;
    }

    /// Batches: segments side by side.
    pub mod collate {
        pub use crate::collate::{StreamCollatable, collate_stream_segments};
    }

    /// Cursors: segments one after another, from any position.
    pub mod cursor {
        pub use crate::cursor::{DatasetCursor, StreamCursor, VecStreamCursor};
    }

    /// Datasets: segments by index.
    pub mod dataset {
        pub use crate::dataset::{InMemoryStreamDataset, StreamDataset};
    }

    /// Corpora, as the lengths of their documents.
    pub mod documents {
        pub use crate::documents::{Documents, Span};
    }

    /// Errors.
    pub mod error {
        pub use crate::error::StreamError;
    }

    /// Identifiers of samples.
    pub mod ids {
        pub use crate::ids::StreamSampleId;
    }

    /// Cursor of one lane over documents, and its position.
    pub mod lane {
        pub use crate::lane::{DocumentCursor, LanePosition};
    }

    /// All lanes of a batch.
    pub mod lanes {
        pub use crate::lanes::{LaneWindow, Lanes, resets};
    }

    /// The order of an epoch.
    pub mod order {
        pub use crate::order::{Order, Shuffle, permute};
    }

    /// Policies of carried state and of targets.
    pub mod policy {
        pub use crate::policy::{FusionCarryPolicy, StateCarryPolicy, TargetAlignmentPolicy};
    }

    /// Prefetch: items made ahead of time.
    pub mod prefetch {
        pub use crate::prefetch::Prefetch;
    }

    /// Mixtures of window lengths.
    pub mod scale {
        pub use crate::scale::{Scale, ScaleMixup, ScaleStep};
    }

    /// Steps and segments of any payload.
    pub mod segment {
        pub use crate::segment::{CollatedStreamBatch, StreamSegment, StreamStep, StreamStepMetadata};
    }

    /// Shards: disjoint shares of the same items.
    pub mod shard {
        pub use crate::shard::Shard;
    }

    /// Truncated backpropagation through time.
    pub mod window {
        pub use crate::window::{TbpttWindow, WindowSteps};
    }

    /// Parts behind those: the walk over epochs, and fingerprints of corpora.
    pub mod expert {
        pub use crate::{
            fingerprint::Fingerprint,
            walk::{Walk, WalkPosition},
        };
    }
}
