//! What a machine computes products with.

use super::factor::{Factor, Side};
use super::native::{self, Layout};
use super::{Precision, portable};

/// A way to compute products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// f32, by the `gemm` crate.
    Gemm,
    /// bf16, by rounding the factors for an f32 product.
    Rounded,
    /// What this kind of processor has beside.
    Native(native::Unit),
}

impl Unit {
    /// The fastest one that this machine has.
    pub(crate) fn of(precision: Precision) -> Self {
        match (native::Unit::of(precision), precision) {
            (Some(native), _) => Self::Native(native),
            (None, Precision::F32) => Self::Gemm,
            (None, Precision::Bf16) => Self::Rounded,
        }
    }

    /// How many times as fast as f32 it is, about.
    pub(crate) fn speed(self) -> f64 {
        match self {
            Self::Gemm | Self::Rounded => 1.0,
            Self::Native(native) => native.speed(),
        }
    }

    /// How this unit wants a factor; `None`: as it is.
    pub(crate) fn layout(self, side: Side, outer: usize, inner: usize) -> Option<Layout> {
        match self {
            Self::Gemm | Self::Rounded => None,
            Self::Native(native) => native.layout(side, outer, inner),
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
                Self::of(Precision::F32).multiply(into, stride, left.into(), right.into(), add);
            }),
            Self::Native(native) => native.multiply(into, stride, left, right, add),
        }
    }
}
