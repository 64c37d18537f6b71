//! States that do not fit.

/// A state that does not belong to the model, the batch or another state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another number of streams.
    #[error(
        "the state carries {state} lanes but {tokens} lanes of tokens were given; make one state per batch"
    )]
    Lanes {
        /// Lanes of the state.
        state: usize,
        /// Lanes of the tokens.
        tokens: usize,
    },
    /// Another number of levels.
    #[error(
        "the state has {state} levels but the model has {model}; a state belongs to the model that wrote it"
    )]
    Levels {
        /// Levels of the state.
        state: usize,
        /// Levels of the model.
        model: usize,
    },
    /// Another shape of memory.
    #[error(
        "the memory of level {level} has shape {given:?}, expected {expected:?} [lanes, heads, neurons, width]; \
         a state belongs to the model that wrote it"
    )]
    Shape {
        /// The level.
        level: usize,
        /// The shape it has.
        given: [usize; 4],
        /// The shape it should have.
        expected: [usize; 4],
    },
    /// A lane that the state does not have.
    #[error("lane {lane} was asked for, but the state has {lanes} lanes, counted from 0")]
    NoSuchLane {
        /// The lane asked for.
        lane: usize,
        /// Lanes of the state.
        lanes: usize,
    },
    /// No lane is left.
    #[error("no lanes were given; a state has at least one")]
    NoLanes,
    /// States that cannot be merged or compared.
    #[error(
        "state {index}, counted from 0, holds {given}, but state 0 holds {expected}; only states of the same model go \
         together"
    )]
    Unlike {
        /// Which state, counted from 0.
        index: usize,
        /// What it holds.
        given: String,
        /// What the first one holds.
        expected: String,
    },
}
