//! Memory as a value: what a model carries from one token to the next.

use crate::config::DragonConfig;
use burn::tensor::{Device, Tensor};

/// The carried state of `B` lanes: the fast-weight memory of each level and each lane's position.
///
/// Its size depends on the model alone, never on how much has been read. Cloning it forks the stream.
#[derive(Clone, Debug)]
pub struct DragonState {
    rho: Vec<Tensor<4>>, // one [B, H, N, D] a level
    positions: Vec<u64>,
}

impl DragonState {
    /// An empty memory at position 0 for `lanes` streams.
    pub fn new(config: &DragonConfig, lanes: usize, device: &Device) -> Self {
        let shape = [lanes, config.n_heads, config.neurons_per_head(), config.d_model];
        Self {
            rho: vec![Tensor::zeros(shape, device); config.n_levels],
            positions: vec![0; lanes],
        }
    }

    /// A state from its parts: one `[B, H, N, D]` per level, one position per lane.
    pub fn from_parts(rho: Vec<Tensor<4>>, positions: Vec<u64>) -> Self {
        Self { rho, positions }
    }

    /// The memories, one `[B, H, N, D]` per level, and the positions, one per lane.
    pub fn into_parts(self) -> (Vec<Tensor<4>>, Vec<u64>) {
        (self.rho, self.positions)
    }

    /// The memories, one `[B, H, N, D]` per level.
    pub fn rho(&self) -> &[Tensor<4>] {
        &self.rho
    }

    /// Tokens each lane has read.
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    /// Number of streams.
    pub fn lanes(&self) -> usize {
        self.positions.len()
    }

    /// Refuses a state that does not belong to a model of this shape and this number of lanes.
    ///
    /// # Errors
    /// With both shapes.
    pub fn check(&self, config: &DragonConfig, lanes: usize) -> Result<(), StateError> {
        if self.lanes() != lanes {
            return Err(StateError::Lanes {
                state: self.lanes(),
                tokens: lanes,
            });
        }
        if self.rho.len() != config.n_levels {
            return Err(StateError::Levels {
                state: self.rho.len(),
                model: config.n_levels,
            });
        }
        let expected = [lanes, config.n_heads, config.neurons_per_head(), config.d_model];
        match self.rho.iter().position(|rho| rho.dims() != expected) {
            None => Ok(()),
            Some(level) => Err(StateError::Shape {
                level,
                given: self.rho[level].dims(),
                expected,
            }),
        }
    }
}

/// A state that does not belong to the model or the batch.
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
}
