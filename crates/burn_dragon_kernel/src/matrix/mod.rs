//! Products of matrices in plain memory, on one thread.
//!
//! [`Precision`] is the precision of the factors: f32, or rounded to bf16. [`Unit`] is the implementation: of those
//! that the machine has, the one that was measured to be the fastest. A factor that several products share may be
//! packed once for all of them ([`Packing`]).
//!
//! Numbers should start on a boundary of 64 bytes ([`Buffer`](crate::buffer::Buffer)): otherwise every vector touches
//! two cache lines, which costs a tenth of the speed in f32 and a third in bf16.

#[cfg(target_arch = "x86_64")]
mod block;
mod factor;
mod layout;
#[cfg_attr(target_arch = "x86_64", path = "x86/mod.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "other.rs")]
pub(crate) mod native;
mod packing;
mod portable;
mod precision;
mod unit;

#[cfg(target_arch = "x86_64")]
pub(crate) use block::Block;
#[cfg(target_arch = "x86_64")]
pub(crate) use factor::Packed;
pub(crate) use factor::{Factor, Matrix};
#[cfg(target_arch = "x86_64")]
pub(crate) use layout::{DEPTH, PANEL, Side};
pub(crate) use packing::Packing;
pub use precision::Precision;

#[cfg(test)]
mod tests;
