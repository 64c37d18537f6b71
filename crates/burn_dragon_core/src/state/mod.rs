//! Memory as a value: what a model carries from one token to the next.
//!
//! | what | where |
//! |---|---|
//! | the value itself; between devices, precisions, training and inference | here |
//! | emptying, choosing and joining lanes | `lanes.rs` |
//! | norms, effective ranks, distances | `health.rs` |
//! | position 0 again, outputs unchanged | `rebase.rs` |
//! | what does not fit | `error.rs` |

mod error;
mod health;
mod lanes;
mod rebase;

pub use error::StateError;

use crate::shapes::MemoryShape;
use burn::tensor::{DType, Device, Tensor};

/// The carried state of `B` lanes: the fast-weight memory of each level and each lane's position.
///
/// Its size depends on the model alone, never on how much has been read. Cloning it forks the stream, without a copy
/// until one of both goes on.
#[derive(Clone, Debug)]
pub struct DragonState {
    rho: Vec<Tensor<4>>, // one [B, H, N, D] a level
    positions: Vec<u64>,
}

impl DragonState {
    /// An empty memory at position 0 for `lanes` streams, of the shape that a configuration gives.
    pub fn new(shape: impl Into<MemoryShape>, lanes: usize, device: &Device) -> Self {
        let shape = shape.into();
        Self {
            rho: vec![Tensor::zeros(shape.of(lanes), device); shape.levels],
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

    /// Takes the state out; a state of nothing is left, which no model accepts.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::from_parts(Vec::new(), Vec::new()))
    }

    /// Number of streams.
    pub fn lanes(&self) -> usize {
        self.positions.len()
    }

    /// Bytes of the memories. They do not grow with what is read.
    pub fn bytes(&self) -> u64 {
        let of = |rho: &Tensor<4>| (rho.shape().num_elements() * rho.dtype().size()) as u64;
        self.rho.iter().map(of).sum()
    }

    /// The same memory as a constant: gradients end here, as at the edge of a window of truncated backpropagation.
    pub fn detach(self) -> Self {
        self.map(Tensor::detach)
    }

    /// The same memory without autodiff, for inference.
    pub fn inner(self) -> Self {
        self.map(Tensor::inner)
    }

    /// The same memory with autodiff, for training: a constant until something that is tracked writes to it.
    pub fn autodiff(self) -> Self {
        self.map(Tensor::autodiff)
    }

    /// The same memory on another device.
    pub fn to_device(self, device: &Device) -> Self {
        self.map(|rho| rho.to_device(device))
    }

    /// The same memory in another precision of floats.
    pub fn cast(self, dtype: DType) -> Self {
        self.map(|rho| rho.cast(dtype))
    }

    fn map(mut self, change: impl FnMut(Tensor<4>) -> Tensor<4>) -> Self {
        self.rho = self.rho.into_iter().map(change).collect();
        self
    }

    /// Refuses a state that does not belong to a model of this shape and this number of lanes.
    ///
    /// # Errors
    /// With both shapes.
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
