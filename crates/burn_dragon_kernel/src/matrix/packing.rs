//! Packing of factors that several products share.

use super::factor::{Factor, Matrix, Packed};
use super::layout::{Layout, Side};
use super::precision::Precision;
use super::unit::Unit;
use crate::buffer::Buffer;
#[cfg(target_arch = "x86_64")]
use crate::buffer::Line;

/// Reused buffer for a factor that several products share, packed for them once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    buffer: Buffer,
    layout: Option<Layout>,
}

impl Packing {
    /// Packs a left factor.
    pub(crate) fn left<'a>(&'a mut self, precision: Precision, factor: Matrix<'a>) -> Factor<'a> {
        self.pack(Unit::of(precision), Side::Left, factor)
    }

    /// Packs a right factor.
    pub(crate) fn right<'a>(&'a mut self, precision: Precision, factor: Matrix<'a>) -> Factor<'a> {
        self.pack(Unit::of(precision), Side::Right, factor)
    }

    /// The factor that was packed last, which must be `factor`; `factor` itself, if the unit takes plain factors.
    pub(crate) fn factor<'a>(&'a self, factor: Matrix<'a>) -> Factor<'a> {
        let Some(layout) = self.layout else {
            return Factor::Plain(factor);
        };
        Factor::Packed(Packed::new(factor, layout, self.buffer.as_lines()))
    }

    /// Layout of the factor in it.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn layout(&self) -> Layout {
        self.layout.unwrap_or_else(|| unreachable!("a factor was begun"))
    }

    /// All lines of a factor with this layout, whatever they hold.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn lines(&mut self, layout: Layout) -> &mut [Line] {
        self.layout = Some(layout);
        self.buffer.lines(layout.lines())
    }

    /// All lines.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn as_lines(&self) -> &[Line] {
        self.buffer.as_lines()
    }

    pub(super) fn pack<'a>(&'a mut self, unit: Unit, side: Side, factor: Matrix<'a>) -> Factor<'a> {
        let by_outer = side.by_outer(factor);
        self.layout = unit.layout(side, by_outer.rows, by_outer.columns);
        if let Some(layout) = &self.layout {
            unit.pack(layout, by_outer, self.buffer.lines(layout.lines()));
        }
        self.factor(factor)
    }
}
