//! Structured state: memories with a shape, in banks, that a model carries from step to step, as a value.
//!
//! | what | where |
//! |---|---|
//! | modes of a step, and the time that each takes | `mode.rs` |
//! | shape of a bank: a grid of places, or places without an order | `bank.rs` |
//! | the value: banks, times, ages; changes of device, precision and autodiff | `state.rs` |
//! | selection, resets and merging of lanes | `lanes.rs` |
//! | named tensors, for a file | `stored.rs` |
//! | routes: which bank reads and writes which, in which modes | `routing.rs` |
//! | steps of a pyramid by routes, with the kernel's [`pyramid`](burn_dragon_kernel::api::pyramid) | `pyramid.rs` |
//! | errors | `error.rs` |

mod bank;
mod error;
mod lanes;
mod mode;
mod pyramid;
mod routing;
mod state;
mod stored;

pub use bank::{BankShape, Places};
pub use error::{RoutingError, StructuredError};
pub use mode::StepMode;
pub use pyramid::{PyramidReads, PyramidRouting, PyramidTokens};
pub use routing::{Access, Route, Routing, Via};
pub use state::{Bank, StructuredState};
pub use stored::StoredBanks;

#[cfg(test)]
mod tests;
