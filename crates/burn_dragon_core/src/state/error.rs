//! Errors of states.

/// Error of a state that does not fit the model, the batch or another state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The numbers of lanes of the state and of the tokens differ.
    #[error(
        "the state has {state} lanes but {tokens} lanes of tokens were given; give as many lanes of tokens as the state has"
    )]
    Lanes {
        /// Number of lanes of the state.
        state: usize,
        /// Number of lanes of the tokens.
        tokens: usize,
    },
    /// The numbers of levels of the state and of the model differ.
    #[error(
        "the state has {state} levels but the model has {model}; use the state with the model that made it"
    )]
    Levels {
        /// Number of levels of the state.
        state: usize,
        /// Number of levels of the model.
        model: usize,
    },
    /// A memory has another shape than the model's.
    #[error(
        "the memory of level {level} has shape {given:?}, expected {expected:?} [lanes, heads, neurons, width]; \
         use the state with the model that made it"
    )]
    Shape {
        /// Number of the level, from 0.
        level: usize,
        /// The shape given.
        given: [usize; 4],
        /// The shape expected.
        expected: [usize; 4],
    },
    /// A lane does not exist.
    #[error("lane {lane} does not exist; the state has {lanes} lanes, counted from 0")]
    NoSuchLane {
        /// The lane given, from 0.
        lane: usize,
        /// Number of lanes of the state.
        lanes: usize,
    },
    /// No lanes were given.
    #[error("no lanes were given; give at least one")]
    NoLanes,
    /// States differ in form, so that they cannot be merged or compared.
    #[error(
        "state {index}, counted from 0, has {given}, but state 0 has {expected}; give states of the same model, in the same \
         precision and on the same device"
    )]
    Unlike {
        /// Number of the state, from 0.
        index: usize,
        /// Form of this state: levels, shape, precision and device.
        given: String,
        /// Form of state 0.
        expected: String,
    },
}
