//! Rebase of a memory to position 0, with unchanged outputs.

use super::{DragonState, StateError};
use crate::auxiliary::Parts;
use crate::config::TrunkConfig;
use crate::positions::Positions;
use burn::tensor::{DType, Tensor};

impl DragonState {
    /// The same memory at position 0: the outputs for the tokens that follow are unchanged. With auxiliary recurrences it is the
    /// least position at the same place of their chunks.
    ///
    /// Reads depend on differences of positions only. A key written at position s was rotated by `s` times the
    /// frequency of its pair, of two neurons or of the two numbers of a polar key. Rotation of the memory's rows back by the lane's position p makes that `s - p`. The next
    /// query, at position 0 instead of p, then has the same angle to it as before:
    ///
    /// ```text
    /// rho[2i]     <-  cos rho[2i]   + sin rho[2i+1]        cos, sin of 2 pi frac(p frequency_i), in f64
    /// rho[2i+1]   <-  cos rho[2i+1] - sin rho[2i]
    /// ```
    ///
    /// # Errors
    /// If the state has another shape than the model's memory.
    pub fn rebase(self, config: impl Into<TrunkConfig>) -> Result<Self, StateError> {
        let config = config.into();
        self.check(&config, self.lanes())?;
        let place = |position: &u64| config.place_in_chunks(*position);
        let places: Vec<u64> = self.positions.iter().map(place).collect();
        if self.positions == places {
            return Ok(self);
        }
        let (rho, positions) = self.into_parts();
        let back: Vec<u64> = positions
            .iter()
            .zip(&places)
            .map(|(position, place)| position - place)
            .collect();
        let turn_back = |rho| match config.positions {
            Positions::None => rho,
            _ => {
                let parts = config.auxiliary().split(rho);
                let rho = turn_back(parts.rho, &config, &back);
                Parts { rho, ..parts }.join()
            }
        };
        Ok(Self {
            rho: rho.into_iter().map(turn_back).collect(),
            positions: places,
        })
    }
}

/// Rotates the neuron pairs of each lane by minus its position.
fn turn_back(rho: Tensor<4>, config: &TrunkConfig, positions: &[u64]) -> Tensor<4> {
    let ([lanes, heads, neurons, width], dtype) = (rho.dims(), rho.dtype());
    let working = if dtype == DType::F64 { dtype } else { DType::F32 };
    let device = rho.device().inner();
    let rotation = config.frequencies().rotation(positions, 1, working, &device);
    let unit = |table: Tensor<4>| {
        let tables = table.dims()[0]; // one for all lanes where they are together
        table.reshape([tables, 1, neurons / 2, 1, 1])
    };
    let (cos, sin) = (unit(rotation.cos), unit(rotation.sin));
    let pairs: Tensor<5> = rho.cast(working).reshape([lanes, heads, neurons / 2, 2, width]);
    let (even, odd) = (pairs.clone().narrow(3, 0, 1), pairs.narrow(3, 1, 1));
    let turned = [
        even.clone() * cos.clone() + odd.clone() * sin.clone(),
        odd * cos - even * sin,
    ];
    Tensor::cat(turned.into(), 3)
        .reshape([lanes, heads, neurons, width])
        .cast(dtype)
}
