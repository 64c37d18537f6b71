//! Memories of the patches in a step, in either form.

use crate::encoder::memory_use::Turn;
use crate::encoder::step::State;
use crate::error::VisionError;
use burn::tensor::Tensor;
use burn_dragon_core::api::structured::StepMode;
use burn_dragon_kernel::api::graph::{Edges, History, PlaceDecay};
use burn_dragon_kernel::api::{Grid, Neighbourhood, local_grid_read, local_grid_write};

/// Name of the bank of the patches' memories.
pub(super) const PATCH: &str = "patch";

/// Memories of the patches on a grid: who reads them, and how they decay.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) grid: Grid,
    pub(super) near: Neighbourhood,
    /// The same neighbours as edges.
    pub(super) edges: Edges,
    /// Decay over a unit of time.
    pub(super) decay: PlaceDecay,
    /// Columns of a memory (D).
    pub(super) width: usize,
}

/// A step with the memories of a state.
pub(super) struct PlacesTurn<'a> {
    pub(super) places: &'a Places,
    pub(super) state: &'a mut State,
    pub(super) mode: StepMode,
    /// `[B, H, P, N]`.
    pub(super) q: Tensor<4>,
    /// `[B, 1, P, D]`.
    pub(super) v: Tensor<4>,
}

impl Turn for PlacesTurn<'_> {
    /// `[B, H, P, D]`; `None` if nothing was written.
    type Read = Option<Tensor<4>>;

    fn empty(&mut self) -> Result<(), VisionError> {
        match &mut self.state.writes {
            Some(writes) => *writes = self.places.nothing(),
            None => self
                .state
                .banks
                .change_memory(PATCH, |rho| (rho.zeros_like(), ()))?,
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), VisionError> {
        let (q, v, decay) = (self.q.clone(), self.v.clone(), &self.places.decay);
        match &mut self.state.writes {
            Some(writes) => writes.write_over(q, v, self.mode.time() as f64),
            None => {
                let (order, decay) = (decay.order, self.mode.decay(decay.decay.as_ref()));
                let written = |rho| (local_grid_write(q, v, rho, decay, order), ());
                self.state.banks.change_memory(PATCH, written)?;
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Tensor<4>>, VisionError> {
        let (
            q,
            Places {
                grid, near, edges, ..
            },
        ) = (self.q.clone(), self.places);
        match &self.state.writes {
            Some(writes) => Ok((!writes.is_empty()).then(|| writes.read(q, edges))),
            None => {
                let rho = self.state.banks.bank(PATCH)?.rho.clone();
                Ok(Some(local_grid_read(q, rho, *grid, *near)))
            }
        }
    }
}

impl Places {
    /// Memories of which nothing is written.
    pub(super) fn nothing(&self) -> History {
        History::empty(self.width, self.decay.clone())
    }
}
