//! What can go wrong, with both values and what to do.

use crate::{fingerprint::Fingerprint, order::Order};

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No document has a token with a next one.
    #[error("none of the {documents} documents has 2 tokens or more, so there is nothing to predict")]
    NoDocument {
        /// How many there are.
        documents: usize,
    },
    /// Documents that do not follow one another.
    #[error(
        "document {document} starts at token {start}, but what follows it starts, or the text ends, at {next}"
    )]
    Starts {
        /// Which document, from 0.
        document: usize,
        /// Its first token.
        start: usize,
        /// The first token behind it.
        next: usize,
    },
    /// More tokens than a `usize` counts.
    #[error("the documents together have more than {} tokens", usize::MAX)]
    TooLong,
    /// Nothing to walk over.
    #[error("there are no items to visit; give at least one")]
    NoItems,
    /// No readers.
    #[error("0 lanes read nothing; use at least one")]
    NoLanes,
    /// A reader that is not one of them.
    #[error("shard {index} of {count} does not exist; the shards are 0 to {}", count.saturating_sub(1))]
    ShardOutOfRange {
        /// The shard asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// More readers than can be counted.
    #[error("{outer} shards of {inner} each are too many")]
    TooManyShards {
        /// Shards.
        outer: usize,
        /// Parts of each.
        inner: usize,
    },
    /// A lane that is not there.
    #[error("lane {lane} does not exist; there are {lanes}")]
    LaneOutOfRange {
        /// The lane asked for, from 0.
        lane: usize,
        /// How many there are.
        lanes: usize,
    },
    /// A lane asked for twice in one window.
    #[error("lane {lane} is asked for twice in one step; a lane reads one window at a time")]
    LaneTwice {
        /// The lane, from 0.
        lane: usize,
    },
    /// Another number of positions than of lanes.
    #[error("{given} positions for {expected} lanes; resume with as many lanes as were saved")]
    LaneCount {
        /// Positions.
        given: usize,
        /// Lanes.
        expected: usize,
    },
    /// A position in other documents.
    #[error(
        "the position is in a corpus of {} documents and {} tokens (digest {:x}), this one has {} and {} (digest {:x}); \
         resume with the corpus it was saved with, cut alike",
        given.documents, given.tokens, given.digest, expected.documents, expected.tokens, expected.digest
    )]
    OtherCorpus {
        /// The corpus of the position.
        given: Fingerprint,
        /// The corpus at hand.
        expected: Fingerprint,
    },
    /// A position in another order.
    #[error(
        "the position is in the order {given:?}, but this one is {expected:?}; resume with the order it was saved with"
    )]
    OtherOrder {
        /// The order of the position.
        given: Order,
        /// The order at hand.
        expected: Order,
    },
    /// A position of another reader.
    #[error(
        "the position is of shard {given_index} of {given_count}, but this one is {index} of {count}; resume with as \
         many lanes as were saved"
    )]
    OtherShard {
        /// The shard of the position.
        given_index: usize,
        /// How many there are in the position.
        given_count: usize,
        /// The shard at hand.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A position that a walk never reaches.
    #[error("shard {shard} of {shards} never comes to place {index} of epoch {epoch} of {items} items")]
    NoSuchPosition {
        /// The epoch.
        epoch: u64,
        /// The place in it.
        index: u64,
        /// Items of an epoch.
        items: u64,
        /// The shard.
        shard: usize,
        /// How many there are.
        shards: usize,
    },
    /// A position behind the end of its document.
    #[error("input {offset} of a document of {inputs} inputs does not exist")]
    NoSuchOffset {
        /// The input asked for, from 0.
        offset: usize,
        /// How many there are.
        inputs: usize,
    },
    /// No window length to choose from.
    #[error("a mixture needs at least one window length")]
    NoScales,
    /// A window length or a weight of 0.
    #[error("scale {index} has length {length} and weight {weight}; both must be at least 1")]
    EmptyScale {
        /// Which one, from 0.
        index: usize,
        /// Its window length in tokens.
        length: usize,
        /// Its weight.
        weight: u32,
    },
    /// A window length that does not fill a step.
    #[error("{tokens_per_step} tokens a step are not a multiple of the window length {length}")]
    UnevenScale {
        /// Tokens of a step.
        tokens_per_step: usize,
        /// The window length in tokens.
        length: usize,
    },
    /// A step that needs more lanes than there are.
    #[error("a step with windows of {length} tokens needs {needed} lanes, and there are {lanes}")]
    TooFewLanes {
        /// The window length in tokens.
        length: usize,
        /// Lanes needed.
        needed: usize,
        /// Lanes there are.
        lanes: usize,
    },
    /// A position among another number of items.
    #[error(
        "the position is among {given} items, but there are {expected}; resume with the data it was saved with"
    )]
    OtherCount {
        /// Items of the position.
        given: u64,
        /// Items at hand.
        expected: u64,
    },
    /// A position behind the end of a list.
    #[error("position {position} is behind the end of {segments} segments")]
    NoSuchSegment {
        /// The position asked for.
        position: usize,
        /// How many segments there are.
        segments: usize,
    },
    /// A window whose gradients flow through none of its steps, or more than all.
    #[error(
        "gradients through {backprop_steps} of {unroll_steps} steps; it must be at least 1 and at most all"
    )]
    Window {
        /// Steps read in a row.
        unroll_steps: usize,
        /// Steps that gradients are to flow through.
        backprop_steps: usize,
    },
    /// Nothing to put side by side.
    #[error("a batch needs at least one segment")]
    NoSegments,
    /// Segments that do not fit side by side.
    #[error("segment {lane} has {steps} steps, but segment 0 has {expected}; cut them to one length first")]
    UnequalSegments {
        /// Which segment, from 0.
        lane: usize,
        /// Its steps.
        steps: usize,
        /// Steps of the first one.
        expected: usize,
    },
    /// No thread to prefetch on.
    #[error("cannot start a thread to prefetch on: {0}")]
    Thread(#[source] std::io::Error),
    /// The producer of a prefetched stream failed.
    #[error("item {item} could not be made: {source}")]
    Producer {
        /// The item's number.
        item: u64,
        /// What the producer answered.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The producer of a prefetched stream panicked.
    #[error("making item {item} panicked: {message}")]
    Panic {
        /// The item's number.
        item: u64,
        /// What the panic said.
        message: String,
    },
}
