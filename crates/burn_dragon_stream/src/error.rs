//! Errors of this crate. Each shows the expected value, the given value and what to do.

use crate::{fingerprint::Fingerprint, order::Order};

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No document has a token with a next one.
    #[error(
        "none of the {documents} documents has 2 tokens or more, so no token has a next one to predict; \
         give at least one such document"
    )]
    NoDocument {
        /// Number of documents.
        documents: usize,
    },
    /// Starts of documents that do not ascend, or that lie past the end of the text.
    #[error(
        "document {document} starts at token {start}, but the next document starts, or the text ends, at token {next}; \
         give ascending starts within the text"
    )]
    Starts {
        /// Number of the document, from 0.
        document: usize,
        /// Its first token.
        start: usize,
        /// First token of the next document, or the end of the text.
        next: usize,
    },
    /// More tokens than a `usize` counts.
    #[error("the documents together have more than {} tokens", usize::MAX)]
    TooLong,
    /// A dataset without items.
    #[error("the dataset has no items; give at least one")]
    NoItems,
    /// A number of lanes or shards that is 0.
    #[error("the number of lanes or shards is 0; use at least 1")]
    NoLanes,
    /// A shard that does not exist.
    #[error("shard {index} of {count} does not exist; the shards are 0 to {}", count.saturating_sub(1))]
    ShardOutOfRange {
        /// The shard given, from 0.
        index: usize,
        /// Number of shards.
        count: usize,
    },
    /// More shards than can be counted.
    #[error("{outer} shards with {inner} parts each are too many to count; use fewer")]
    TooManyShards {
        /// Number of shards.
        outer: usize,
        /// Number of parts of each shard.
        inner: usize,
    },
    /// A lane that does not exist.
    #[error("lane {lane} does not exist; there are {lanes} lanes, counted from 0")]
    LaneOutOfRange {
        /// The lane given, from 0.
        lane: usize,
        /// Number of lanes.
        lanes: usize,
    },
    /// A lane that is listed twice for one step.
    #[error("lane {lane} is listed twice for one step; a lane reads one window a step, so list it once")]
    LaneTwice {
        /// The lane, from 0.
        lane: usize,
    },
    /// Numbers of positions and of lanes that differ.
    #[error(
        "{given} positions were given for {expected} lanes; resume with the number of lanes that was saved"
    )]
    LaneCount {
        /// Number of positions.
        given: usize,
        /// Number of lanes.
        expected: usize,
    },
    /// A position in another corpus.
    #[error(
        "the position belongs to a corpus of {} documents and {} tokens (digest {:x}), but this corpus has {} and {} \
         (digest {:x}); resume with the corpus of the position, cut in the same way",
        given.documents, given.tokens, given.digest, expected.documents, expected.tokens, expected.digest
    )]
    OtherCorpus {
        /// The corpus of the position.
        given: Fingerprint,
        /// The corpus of this cursor.
        expected: Fingerprint,
    },
    /// A position in another order.
    #[error(
        "the position belongs to the order {given:?}, but this order is {expected:?}; resume with the order of the position"
    )]
    OtherOrder {
        /// The order of the position.
        given: Order,
        /// The order of this walk.
        expected: Order,
    },
    /// A position of another shard.
    #[error(
        "the position belongs to shard {given_index} of {given_count}, but this shard is {index} of {count}; resume with \
         the number of lanes that was saved, in the same order"
    )]
    OtherShard {
        /// The shard of the position.
        given_index: usize,
        /// Number of shards of the position.
        given_count: usize,
        /// The shard of this walk.
        index: usize,
        /// Number of shards of this walk.
        count: usize,
    },
    /// A position that the walk does not visit.
    #[error(
        "the position does not exist: shard {shard} of {shards} does not visit place {index} of epoch {epoch}, \
         with {items} items an epoch; give a position that a cursor returned"
    )]
    NoSuchPosition {
        /// The epoch.
        epoch: u64,
        /// The place in the epoch's order, from 0.
        index: u64,
        /// Number of items in an epoch.
        items: u64,
        /// The shard.
        shard: usize,
        /// Number of shards.
        shards: usize,
    },
    /// A position past the end of its document.
    #[error(
        "the position is at input {offset}, counted from 0, but its document has {inputs} inputs; \
         give a position that a cursor returned"
    )]
    NoSuchOffset {
        /// The input of the position, from 0.
        offset: usize,
        /// Number of inputs of the document, or of its chunk.
        inputs: usize,
    },
    /// A mixture without window lengths.
    #[error("a mixture needs at least one window length")]
    NoScales,
    /// A window length or a weight of 0.
    #[error("scale {index} has length {length} and weight {weight}; both must be at least 1")]
    EmptyScale {
        /// Number of the scale, from 0.
        index: usize,
        /// Its window length in tokens.
        length: usize,
        /// Its weight.
        weight: u32,
    },
    /// A window length that does not divide the tokens of a step.
    #[error(
        "tokens_per_step is {tokens_per_step}; expected a multiple of the window length {length}, above 0"
    )]
    UnevenScale {
        /// Number of tokens in a step.
        tokens_per_step: usize,
        /// The window length in tokens.
        length: usize,
    },
    /// A step that needs more lanes than there are.
    #[error(
        "a step with windows of {length} tokens needs {needed} lanes, but there are {lanes}; use at least {needed} lanes"
    )]
    TooFewLanes {
        /// The window length in tokens.
        length: usize,
        /// Number of lanes needed.
        needed: usize,
        /// Number of lanes.
        lanes: usize,
    },
    /// A position in a dataset with another number of items.
    #[error(
        "the position belongs to {given} items, but there are {expected}; resume with the data of the position"
    )]
    OtherCount {
        /// Number of items of the position.
        given: u64,
        /// Number of items of this walk.
        expected: u64,
    },
    /// A position past the end of a list.
    #[error("position {position} is past the end of {segments} segments; expected 0 to {segments}")]
    NoSuchSegment {
        /// The position given.
        position: usize,
        /// Number of segments.
        segments: usize,
    },
    /// A window with gradients through none of its steps, or through more steps than it has.
    #[error(
        "backprop_steps is {backprop_steps} and unroll_steps is {unroll_steps}; expected 1 <= backprop_steps <= unroll_steps"
    )]
    Window {
        /// Number of steps read in a row.
        unroll_steps: usize,
        /// Number of steps through which gradients flow.
        backprop_steps: usize,
    },
    /// A batch without segments.
    #[error("a batch needs at least one segment, but none was given")]
    NoSegments,
    /// Segments of different lengths.
    #[error("segment {lane} has {steps} steps, but segment 0 has {expected}; cut them to one length first")]
    UnequalSegments {
        /// Number of the segment, from 0.
        lane: usize,
        /// Number of its steps.
        steps: usize,
        /// Number of steps of segment 0.
        expected: usize,
    },
    /// A prefetch thread that could not be started.
    #[error("cannot start the prefetch thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The producer of a prefetched stream failed.
    #[error("the prefetch producer failed to make item {item}: {source}")]
    Producer {
        /// The item's number.
        item: u64,
        /// The producer's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The producer of a prefetched stream panicked.
    #[error("the prefetch producer panicked while it made item {item}: {message}")]
    Panic {
        /// The item's number.
        item: u64,
        /// Message of the panic.
        message: String,
    },
}
