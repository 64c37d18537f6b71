//! Encoder: a picture in, a state of its patches out.
//!
//! | what | where |
//! |---|---|
//! | what backbones have in common: a state, and steps of it | `step.rs` |
//! | use of memories, and the order of writes and reads | `memory_use.rs` |
//! | modes of a step | `modes.rs` |
//! | neighbours of a patch | `near.rs` |
//! | cellular backbone | `cellular/` |
//! | pyramid backbone | `pyramid/` |

mod cellular;
mod memory_use;
mod modes;
mod near;
mod pyramid;
mod step;
#[cfg(test)]
mod testing;

pub use cellular::{Cellular, CellularConfig, CellularSteps, Gains};
pub use memory_use::{MemoryUse, Order};
pub use modes::Modes;
pub use near::{AtBorder, NearConfig, NearShape};
pub use pyramid::{
    BankDecay, BankLink, HubGates, ModeLinks, PyramidBackbone, PyramidConfig, PyramidSteps, Readout,
    Schedule, Substep,
};
pub use step::{Backbone, State, StepPass};
