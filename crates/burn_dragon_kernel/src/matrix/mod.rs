//! Products of matrices in plain memory, on one thread.
//!
//! [`Precision`] says how factors enter a product: as they are, or rounded to bf16. [`Unit`] is what computes it: of
//! those that the machine has, the one that was measured to be the fastest. A factor that several products share may
//! be laid out once for all of them ([`Packing`]).
//!
//! Numbers should start on a boundary of 64 bytes ([`Buffer`](crate::buffer::Buffer)): otherwise every vector touches two cache lines, which
//! costs a tenth of the speed in f32 and a third in bf16.

mod factor;
mod layout;
#[cfg_attr(target_arch = "x86_64", path = "x86/mod.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "other.rs")]
pub(crate) mod native;
mod packing;
mod portable;
mod precision;
mod unit;

pub(crate) use factor::{Factor, Matrix};
pub(crate) use packing::Packing;
pub use precision::Precision;
use unit::Unit;

impl Precision {
    /// How many times as fast as in f32 a product of the sizes of a tile is, about.
    pub(crate) fn speed(self) -> f64 {
        Unit::of(self).speed()
    }

    /// `into = left right`, or `into += left right`; rows of `into` are `stride` apart.
    ///
    /// # Panics
    /// If sizes do not fit together, or a factor was packed for something else.
    pub(crate) fn multiply<'a>(
        self,
        into: &mut [f32],
        stride: usize,
        left: impl Into<Factor<'a>>,
        right: impl Into<Factor<'a>>,
        add: bool,
    ) {
        let right = right.into();
        Unit::for_product(self, &right).multiply(into, stride, left.into(), right, add);
    }
}

#[cfg(test)]
mod tests;
