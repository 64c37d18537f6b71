//! What a machine computes products with.

use super::buffer::Line;
use super::factor::{Factor, Layout, Matrix, Packing, Side};
#[cfg(target_arch = "x86_64")]
use super::x86::{self, amx, bf16, dot, wide};
use super::{Precision, portable};

/// A way to compute products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// f32, by the `gemm` crate.
    Gemm,
    /// f32, by AVX-512.
    #[cfg(target_arch = "x86_64")]
    Wide,
    /// bf16, by Intel's matrix unit.
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// bf16, by the dot products of AVX-512.
    #[cfg(target_arch = "x86_64")]
    Dot,
    /// bf16, by rounding the factors for an f32 product.
    Rounded,
}

impl Unit {
    /// The fastest one that this machine has.
    pub(crate) fn of(precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        match precision {
            Precision::F32 if wide::available() => return Self::Wide,
            Precision::Bf16 if amx::available() => return Self::Amx,
            // Intel's cores issue the dot products at half the rate of f32, AMD's at twice that.
            Precision::Bf16 if dot::available() && x86::is_amd() => return Self::Dot,
            _ => {}
        }
        match precision {
            Precision::F32 => Self::Gemm,
            Precision::Bf16 => Self::Rounded,
        }
    }

    /// How this unit wants a factor; `None`: as it is.
    fn layout(self, side: Side, outer: usize, inner: usize) -> Option<Layout> {
        let (depth, step_lines) = match self {
            Self::Gemm | Self::Rounded => return None,
            #[cfg(target_arch = "x86_64")]
            Self::Wide if side == Side::Left => return None,
            #[cfg(target_arch = "x86_64")]
            Self::Wide => (wide::DEPTH, wide::STEP_LINES),
            #[cfg(target_arch = "x86_64")]
            Self::Amx | Self::Dot => (bf16::DEPTH, bf16::STEP_LINES),
        };
        Some(Layout {
            unit: self,
            side,
            outer,
            inner,
            depth,
            step_lines,
        })
    }

    /// Lays a factor out.
    pub(crate) fn pack_into<'a>(self, room: &'a mut Packing, side: Side, factor: Matrix<'a>) -> Factor<'a> {
        let by_outer = side.by_outer(factor);
        room.layout = self.layout(side, by_outer.rows, by_outer.columns);
        if let Some(layout) = &room.layout {
            self.pack(layout, by_outer, room.buffer.lines(layout.lines()));
        }
        room.factor(factor)
    }

    fn pack(self, layout: &Layout, by_outer: Matrix<'_>, into: &mut [Line]) {
        match self {
            Self::Gemm | Self::Rounded => {}
            #[cfg(target_arch = "x86_64")]
            Self::Wide => wide::pack(layout, by_outer, into),
            #[cfg(target_arch = "x86_64")]
            Self::Amx | Self::Dot => bf16::pack(layout, by_outer, into),
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
            columns <= stride || rows == 1,
            "rows of {columns} entries, {stride} apart"
        );
        assert!(
            (rows - 1) * stride + columns <= into.len(),
            "the product does not fit its place"
        );
        if inner == 0 {
            if !add {
                into.chunks_mut(stride.max(columns))
                    .take(rows)
                    .for_each(|row| row[..columns].fill(0.0));
            }
            return;
        }
        let plain = |factor| match factor {
            Factor::Plain(matrix) => matrix,
            Factor::Packed(packed) => panic!("{self:?} was given what was packed for {:?}", packed.layout),
        };
        match self {
            Self::Gemm => portable::exact(into, stride, plain(left), plain(right), add),
            Self::Rounded => portable::rounded(into, stride, plain(left), plain(right), add),
            #[cfg(target_arch = "x86_64")]
            Self::Wide => wide::multiply(into, stride, plain(left), right, add),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => bf16::multiply::<amx::Tiles>(into, stride, left, right, add),
            #[cfg(target_arch = "x86_64")]
            Self::Dot => bf16::multiply::<dot::Vectors>(into, stride, left, right, add),
        }
    }
}
