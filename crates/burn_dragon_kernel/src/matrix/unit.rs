//! Units: implementations of matrix products.

use super::factor::{Factor, Matrix};
use super::layout::{Layout, Side};
use super::precision::Precision;
use super::{native, portable};
use crate::buffer::Line;

/// Implementation of matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// f32, by the `gemm` crate.
    Gemm,
    /// bf16, by rounding the factors for an f32 product.
    Rounded,
    /// A unit of this processor architecture.
    Native(native::Unit),
}

impl Unit {
    /// The one that factors are packed for.
    pub(crate) fn of(precision: Precision) -> Self {
        native::Unit::of(precision).map_or(Self::portable(precision), Self::Native)
    }

    /// The fastest one that this machine has for a product with this right factor.
    pub(crate) fn for_product(precision: Precision, right: &Factor<'_>) -> Self {
        native::Unit::of(precision)
            .filter(|native| native.suits(right))
            .map_or(Self::portable(precision), Self::Native)
    }

    fn portable(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::Gemm,
            Precision::Bf16 => Self::Rounded,
        }
    }

    /// Approximate speed, relative to f32.
    pub(crate) fn speed(self) -> f64 {
        match self {
            Self::Gemm | Self::Rounded => 1.0,
            Self::Native(native) => native.speed(),
        }
    }

    /// Layout of a packed factor for this unit; `None` if it takes plain factors.
    pub(crate) fn layout(self, side: Side, outer: usize, inner: usize) -> Option<Layout> {
        match self {
            Self::Gemm | Self::Rounded => None,
            Self::Native(native) => native.layout(side, outer, inner),
        }
    }

    /// Packs a factor; `by_outer` has the inner axis, over which is summed, in its columns.
    pub(crate) fn pack(self, layout: &Layout, by_outer: Matrix<'_>, into: &mut [Line]) {
        assert_eq!([by_outer.rows, by_outer.columns], layout.size());
        match self {
            Self::Gemm | Self::Rounded => unreachable!("these take factors as they are"),
            Self::Native(native) => native.pack(layout, by_outer, into),
        }
    }

    /// `into = left right`, or `into += left right`; rows of `into` are `stride` apart.
    pub(crate) fn multiply(
        self,
        into: &mut [f32],
        stride: usize,
        left: Factor<'_>,
        right: Factor<'_>,
        add: bool,
    ) {
        let ([rows, inner], [right_rows, columns]) = (left.size(), right.size());
        assert_eq!(inner, right_rows, "inner sizes of a product");
        if rows == 0 || columns == 0 {
            return;
        }
        assert!(
            (columns <= stride || rows == 1) && (rows - 1) * stride + columns <= into.len(),
            "{rows} x {columns} by {stride} does not fit {} entries",
            into.len()
        );
        if inner == 0 {
            if !add {
                (0..rows).for_each(|row| into[row * stride..][..columns].fill(0.0));
            }
            return;
        }
        match self {
            Self::Gemm => portable::exact(into, stride, left.plain(), right.plain(), add),
            Self::Rounded => portable::with_rounded(left.plain(), right.plain(), |left, right| {
                Precision::F32.multiply(into, stride, left, right, add);
            }),
            Self::Native(native) => native.multiply(into, stride, left, right, add),
        }
    }
}

impl Precision {
    /// The precision in which training steps are faster on this processor, with the reason.
    pub(crate) fn fastest_on_processor() -> (Self, String) {
        match Unit::of(Self::Bf16) {
            Unit::Native(unit) => {
                let why = format!(
                    "the processor multiplies bf16 faster than f32, by {}",
                    unit.name()
                );
                (Self::Bf16, why)
            }
            Unit::Gemm | Unit::Rounded => {
                let why = "the processor has no instructions that multiply bf16 faster than f32";
                (Self::F32, why.into())
            }
        }
    }

    /// Approximate speed of a product of the sizes of a tile, relative to f32.
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
