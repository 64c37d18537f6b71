//! State of a model: the memories and positions that it carries from token to token, as a value.
//!
//! | what | where |
//! |---|---|
//! | the value; changes of device, precision and autodiff | here |
//! | resets, selection and merging of lanes | `lanes.rs` |
//! | norms, effective ranks, distances | `health.rs` |
//! | rebase to position 0, outputs unchanged | `rebase.rs` |
//! | errors | `error.rs` |

mod error;
mod health;
mod lanes;
mod rebase;

pub use error::StateError;

use crate::shapes::MemoryShape;
use burn::tensor::{DType, Device, Tensor};

/// Carried state of `B` lanes: the fast-weight memory of each level and the position of each lane.
///
/// Its size depends on the model alone, not on the number of tokens read. A clone forks the stream; data is copied only
/// when one of the two continues.
#[derive(Clone, Debug)]
pub struct DragonState {
    rho: Vec<Tensor<4>>, // one [B, H, N, D] a level
    positions: Vec<u64>,
}

impl DragonState {
    /// An empty state at position 0 for `lanes` lanes, of the shape that a configuration gives.
    pub fn new(shape: impl Into<MemoryShape>, lanes: usize, device: &Device) -> Self {
        let shape = shape.into();
        Self {
            rho: vec![Tensor::zeros(shape.of(lanes), device); shape.levels],
            positions: vec![0; lanes],
        }
    }

    /// A state of given memories, one `[B, H, N, D]` for each level, and positions, one for each lane.
    pub fn from_parts(rho: Vec<Tensor<4>>, positions: Vec<u64>) -> Self {
        Self { rho, positions }
    }

    /// Memories, one `[B, H, N, D]` for each level, and positions, one for each lane.
    pub fn into_parts(self) -> (Vec<Tensor<4>>, Vec<u64>) {
        (self.rho, self.positions)
    }

    /// Memories, one `[B, H, N, D]` for each level.
    pub fn rho(&self) -> &[Tensor<4>] {
        &self.rho
    }

    /// Position of each lane: the number of tokens it has read.
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    /// Takes the state out and leaves one without levels and lanes, which no model accepts.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::from_parts(Vec::new(), Vec::new()))
    }

    /// Number of lanes.
    pub fn lanes(&self) -> usize {
        self.positions.len()
    }

    /// Bytes of the memories. They do not grow with the number of tokens read.
    pub fn bytes(&self) -> u64 {
        let of = |rho: &Tensor<4>| (rho.shape().num_elements() * rho.dtype().size()) as u64;
        self.rho.iter().map(of).sum()
    }

    /// The same state, detached: gradients end here, as at the start of a window of truncated backpropagation.
    pub fn detach(self) -> Self {
        self.map(Tensor::detach)
    }

    /// The same state without autodiff, for inference.
    pub fn inner(self) -> Self {
        self.map(Tensor::inner)
    }

    /// The same state with autodiff, for training: a constant until a tracked tensor is written to it.
    pub fn autodiff(self) -> Self {
        self.map(Tensor::autodiff)
    }

    /// The same state on another device.
    pub fn to_device(self, device: &Device) -> Self {
        self.map(|rho| rho.to_device(device))
    }

    /// The same state in another float precision.
    pub fn cast(self, dtype: DType) -> Self {
        self.map(|rho| rho.cast(dtype))
    }

    fn map(mut self, change: impl FnMut(Tensor<4>) -> Tensor<4>) -> Self {
        self.rho = self.rho.into_iter().map(change).collect();
        self
    }

    /// Checks that the state fits a model of this shape and this number of lanes.
    ///
    /// # Errors
    /// The number of lanes or levels, or the shape of a memory, that differs, with the expected one.
    pub fn check(&self, shape: impl Into<MemoryShape>, lanes: usize) -> Result<(), StateError> {
        let shape = shape.into();
        if self.lanes() != lanes {
            return Err(StateError::Lanes {
                state: self.lanes(),
                tokens: lanes,
            });
        }
        if self.rho.len() != shape.levels {
            return Err(StateError::Levels {
                state: self.rho.len(),
                model: shape.levels,
            });
        }
        let expected = shape.of(lanes);
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
