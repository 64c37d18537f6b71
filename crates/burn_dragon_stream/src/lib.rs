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
//! A corpus is known by the lengths of its documents. [`Lanes`] read it packed, without padding: a window of `T` inputs
//! is a list of [`Span`]s, and where a document ends the next one goes on in the same window, with the memory emptied
//! in between ([`LaneWindow::resets`]). An input's target is the next token of the same document, so nothing is
//! predicted across documents. Together the lanes read every input of an epoch once.
//!
//! # Steps that carry anything
//!
//! ```text
//! StreamDataset -> StreamCursor -> StreamSegment ... -> collate -> CollatedStreamBatch -> TbpttWindow
//!                                    StreamStepMetadata: id, boundary, index, time   -> carry? target?
//! ```
//!
//! Video, games and other recordings come as [`StreamSegment`]s of any payload, each step with its
//! [`StreamStepMetadata`]. [`StateCarryPolicy`] decides what outlives a [`StreamBoundary`],
//! [`resolve_stream_target_alignment`] which step is an observation's target, [`TbpttWindow`] how far back is learnt.
//!
//! # Resuming
//!
//! Every order is a function of seed, epoch and place ([`permute`]), and every cursor has a small position that serde
//! can write. Going on from a position equals never having stopped; a position that belongs to other data, another
//! order or another number of lanes is refused. [`Prefetch`] makes items ahead of time and counts those taken.
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
//! # Ok::<(), burn_dragon_stream::StreamError>(())
//! ```

pub mod alignment;
pub mod boundary;
pub mod collate;
pub mod cursor;
pub mod dataset;
pub mod documents;
pub mod error;
mod hash;
pub mod ids;
pub mod lane;
pub mod lanes;
pub mod order;
pub mod policy;
pub mod prefetch;
pub mod scale;
pub mod segment;
pub mod shard;
pub mod walk;
pub mod window;

pub use alignment::{
    TargetAlignment, WindowAlignment, resolve_stream_target_alignment, resolve_stream_window_alignment,
    resolve_target_alignment,
};
pub use boundary::StreamBoundary;
pub use collate::{StreamCollatable, collate_stream_segments};
pub use cursor::{DatasetCursor, StreamCursor, VecStreamCursor};
pub use dataset::{InMemoryStreamDataset, StreamDataset};
pub use documents::{Documents, Fingerprint, Span};
pub use error::StreamError;
pub use ids::StreamSampleId;
pub use lane::{DocumentCursor, LanePosition};
pub use lanes::{LaneWindow, Lanes, resets};
pub use order::{Order, Shuffle, permute};
pub use policy::{FusionCarryPolicy, StateCarryPolicy, TargetAlignmentPolicy};
pub use prefetch::Prefetch;
pub use scale::{Scale, ScaleMixup, ScaleStep};
pub use segment::{CollatedStreamBatch, StreamSegment, StreamStep, StreamStepMetadata};
pub use shard::Shard;
pub use window::{TbpttWindow, WindowSteps};

/// The curated names of this crate, and the modules they are in.
pub mod api {
    pub use crate::{
        alignment::{
            self, TargetAlignment, WindowAlignment, resolve_stream_target_alignment,
            resolve_stream_window_alignment, resolve_target_alignment,
        },
        boundary::{self, StreamBoundary},
        collate::{self, StreamCollatable, collate_stream_segments},
        cursor::{self, DatasetCursor, StreamCursor, VecStreamCursor},
        dataset::{self, InMemoryStreamDataset, StreamDataset},
        documents::{self, Documents, Span},
        error::{self, StreamError},
        ids::{self, StreamSampleId},
        lane::{self, DocumentCursor, LanePosition},
        lanes::{self, LaneWindow, Lanes, resets},
        order::{self, Order, Shuffle, permute},
        policy::{self, FusionCarryPolicy, StateCarryPolicy, TargetAlignmentPolicy},
        prefetch::{self, Prefetch},
        scale::{self, Scale, ScaleMixup, ScaleStep},
        segment::{self, CollatedStreamBatch, StreamSegment, StreamStep, StreamStepMetadata},
        shard::{self, Shard},
        window::{self, TbpttWindow, WindowSteps},
    };

    /// The parts behind those: how an epoch is walked, and what tells corpora apart.
    pub mod expert {
        pub use crate::{
            documents::Fingerprint,
            walk::{Walk, WalkPosition},
        };
    }
}
