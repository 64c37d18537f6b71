//! Products by the vectors and tiles of x86-64.

pub(crate) mod amx;
pub(crate) mod bf16;
pub(crate) mod dot;
mod pack;
pub(crate) mod transpose;
pub(crate) mod wide;

use super::factor::{Factor, Matrix};
use super::layout::{Layout, Panel, Side};
use super::precision::Precision;
use crate::buffer::Line;
use std::arch::x86_64::__cpuid;
use std::sync::LazyLock;

/// Implementation of matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// f32, by AVX-512; for right factors whose columns are contiguous, or that are packed.
    Wide,
    /// bf16, by Intel's matrix unit.
    Amx,
    /// bf16, by the dot products of AVX-512.
    Dot,
}

impl Unit {
    /// Fastest unit that this machine has, if one is worth its use.
    pub(crate) fn of(precision: Precision) -> Option<Self> {
        match precision {
            Precision::F32 => wide::available().then_some(Self::Wide),
            Precision::Bf16 if amx::available() => Some(Self::Amx),
            // Intel's cores issue the dot products at half the rate of f32, AMD's at its rate: twice the numbers.
            Precision::Bf16 => (is_amd() && dot::available()).then_some(Self::Dot),
        }
    }

    /// Name of its instructions, for a person to read.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wide => "AVX-512",
            Self::Amx => "AMX",
            Self::Dot => "AVX-512 BF16",
        }
    }

    /// Approximate speed on tiles, relative to f32.
    pub(crate) fn speed(self) -> f64 {
        match self {
            Self::Wide => 1.0,
            Self::Dot => 1.7,
            Self::Amx => 3.5,
        }
    }

    /// Whether it is the fastest for a product with this right factor. In f32 the `gemm` crate is as fast or faster
    /// where rows are contiguous; where columns are, it takes a fifth more time, and a third more for few rows.
    pub(crate) fn suits(self, right: &Factor<'_>) -> bool {
        match right {
            Factor::Plain(right) => self != Self::Wide || right.column_stride != 1,
            Factor::Packed(_) => true,
        }
    }

    /// Layout of a packed factor for this unit; `None` if it takes plain factors.
    pub(crate) fn layout(self, side: Side, outer: usize, inner: usize) -> Option<Layout> {
        let step_lines = match self {
            Self::Wide if side == Side::Left => return None,
            Self::Wide => wide::STEP_LINES,
            Self::Amx | Self::Dot => bf16::STEP_LINES,
        };
        Some(Layout::new(step_lines, side, outer, inner))
    }

    /// Packs a factor.
    pub(crate) fn pack(self, layout: &Layout, by_outer: Matrix<'_>, into: &mut [Line]) {
        for panel in layout.panels() {
            let Panel {
                outer, inner, depth, ..
            } = panel;
            let into = &mut into[panel.line..];
            match self {
                Self::Wide => wide::pack(by_outer, outer, inner, depth, into),
                Self::Amx | Self::Dot => bf16::pack(layout.side(), by_outer, outer, inner, depth, into),
            }
        }
    }

    /// `into = left right`, or `into += left right`; nothing is empty.
    pub(crate) fn multiply(
        self,
        into: &mut [f32],
        stride: usize,
        left: Factor<'_>,
        right: Factor<'_>,
        add: bool,
    ) {
        match self {
            Self::Wide => wide::multiply(into, stride, left.plain(), right, add),
            Self::Amx => bf16::multiply::<amx::Tiles>(into, stride, left, right, add),
            Self::Dot => bf16::multiply::<dot::Vectors>(into, stride, left, right, add),
        }
    }
}

/// Whether AMD made the processor. Asked once: a virtual machine traps the question, which takes as long as a small product.
fn is_amd() -> bool {
    static AMD: LazyLock<bool> = LazyLock::new(|| {
        let leaf = __cpuid(0);
        [leaf.ebx, leaf.edx, leaf.ecx]
            .map(u32::to_le_bytes)
            .as_flattened()
            == b"AuthenticAMD"
    });
    *AMD
}
