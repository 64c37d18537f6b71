//! Streams without end, whatever they carry: where the data of each step comes from, where memory is emptied, and how
//! far gradients flow back. No tensors.
//!
//! A model with a memory is trained on streams: each row of a batch, a *lane*, goes on where it stopped the step
//! before, and the memory is carried along. What has to be decided for that is here; moving tensors is left to others.
//!
//! # From a corpus to the windows of a step
//!
//! ```text
//! lengths -> Documents -> DocumentCursor of each lane -> Span ... -> LaneWindow -> tokens, targets, resets
//!                          |  Walk: Order, Shard                                   of step k
//! seed, step -> ScaleMixup -> window length, lanes that take part
//! ```
//!
//! A corpus is known by the lengths of its documents. [`Lanes`](api::Lanes) read it packed, without padding: a window of `T` inputs
//! is a list of [`Span`](api::Span)s, and where a document ends the next one goes on in the same window, with the memory emptied
//! in between ([`LaneWindow::resets`](api::LaneWindow::resets)). An input's target is the next token of the same document, so nothing is
//! predicted across documents. Together the lanes read every input of an epoch once.
//!
//! # Steps that carry anything
//!
//! ```text
//! StreamDataset -> StreamCursor -> StreamSegment ... -> collate -> CollatedStreamBatch -> TbpttWindow
//!                                    StreamStepMetadata: id, boundary, index, time   -> carry? target?
//! ```
//!
//! Video, games and other recordings come as [`StreamSegment`](api::StreamSegment)s of any payload, each step with its
//! [`StreamStepMetadata`](api::StreamStepMetadata). [`StateCarryPolicy`](api::StateCarryPolicy) decides what outlives a [`StreamBoundary`](api::StreamBoundary),
//! [`resolve_stream_target_alignment`](api::resolve_stream_target_alignment) which step is an observation's target, [`TbpttWindow`](api::TbpttWindow) how far back is learnt.
//!
//! # Resuming
//!
//! Every order is a function of seed, epoch and place ([`permute`](api::permute)), and every cursor has a small position that serde
//! can write. Going on from a position equals never having stopped; a position that belongs to other data, another
//! order or another number of lanes is refused. [`Prefetch`](api::Prefetch) makes items ahead of time and counts those taken.
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

/// The curated names of this crate, flat and by the module that they are in.
pub mod api {
    pub use self::{
        alignment::*, boundary::*, collate::*, cursor::*, dataset::*, documents::*, error::*, ids::*,
        lane::*, lanes::*, order::*, policy::*, prefetch::*, scale::*, segment::*, shard::*, window::*,
    };

    /// Which step is the target of an observation.
    pub mod alignment {
        pub use crate::alignment::{
            TargetAlignment, WindowAlignment, resolve_stream_target_alignment,
            resolve_stream_window_alignment, resolve_target_alignment,
        };
    }

    /// Where a stream breaks.
    pub mod boundary {
        pub use crate::boundary::StreamBoundary;
    }

    /// Segments side by side: a batch.
    pub mod collate {
        pub use crate::collate::{StreamCollatable, collate_stream_segments};
    }

    /// Segments one after another, from any position.
    pub mod cursor {
        pub use crate::cursor::{DatasetCursor, StreamCursor, VecStreamCursor};
    }

    /// Segments by number.
    pub mod dataset {
        pub use crate::dataset::{InMemoryStreamDataset, StreamDataset};
    }

    /// A corpus as the lengths of its documents.
    pub mod documents {
        pub use crate::documents::{Documents, Span};
    }

    /// What can go wrong.
    pub mod error {
        pub use crate::error::StreamError;
    }

    /// Whose step a step is.
    pub mod ids {
        pub use crate::ids::StreamSampleId;
    }

    /// One reader of documents, and its position.
    pub mod lane {
        pub use crate::lane::{DocumentCursor, LanePosition};
    }

    /// All readers of a batch.
    pub mod lanes {
        pub use crate::lanes::{LaneWindow, Lanes, resets};
    }

    /// The order of an epoch.
    pub mod order {
        pub use crate::order::{Order, Shuffle, permute};
    }

    /// What outlives a boundary, and how far ahead a target is.
    pub mod policy {
        pub use crate::policy::{FusionCarryPolicy, StateCarryPolicy, TargetAlignmentPolicy};
    }

    /// Items made ahead of time.
    pub mod prefetch {
        pub use crate::prefetch::Prefetch;
    }

    /// Mixtures of window lengths.
    pub mod scale {
        pub use crate::scale::{Scale, ScaleMixup, ScaleStep};
    }

    /// Steps that carry anything.
    pub mod segment {
        pub use crate::segment::{CollatedStreamBatch, StreamSegment, StreamStep, StreamStepMetadata};
    }

    /// One of several readers of the same items.
    pub mod shard {
        pub use crate::shard::Shard;
    }

    /// Truncated backpropagation through time.
    pub mod window {
        pub use crate::window::{TbpttWindow, WindowSteps};
    }

    /// The parts behind those: how an epoch is walked, and what tells corpora apart.
    pub mod expert {
        pub use crate::{
            fingerprint::Fingerprint,
            walk::{Walk, WalkPosition},
        };
    }
}
