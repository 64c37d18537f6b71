//! Objectives: what an encoder learns from.

mod masks;
mod sigreg;

pub use masks::{BlockMasks, IndexLists, Mask, PatchGrid, random_masks, stacked};
pub use sigreg::{SigReg, invariance};

#[cfg(test)]
mod collapse_tests;
