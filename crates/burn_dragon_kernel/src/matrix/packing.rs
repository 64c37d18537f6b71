//! Factors that several products share, laid out for them once.

use super::factor::{Factor, Matrix, Packed};
use super::layout::{Layout, Side};
use super::precision::Precision;
use super::unit::Unit;
use crate::buffer::Buffer;

/// Room for a factor that several products share, laid out for them once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    buffer: Buffer,
    layout: Option<Layout>,
}

impl Packing {
    /// Lays out a left factor.
    pub(crate) fn left<'a>(&'a mut self, precision: Precision, factor: Matrix<'a>) -> Factor<'a> {
        self.pack(Unit::of(precision), Side::Left, factor)
    }

    /// Lays out a right factor.
    pub(crate) fn right<'a>(&'a mut self, precision: Precision, factor: Matrix<'a>) -> Factor<'a> {
        self.pack(Unit::of(precision), Side::Right, factor)
    }

    /// What was laid out last, which was `factor`; or `factor` itself, where nothing needs to be laid out.
    pub(crate) fn factor<'a>(&'a self, factor: Matrix<'a>) -> Factor<'a> {
        let Some(layout) = self.layout else {
            return Factor::Plain(factor);
        };
        Factor::Packed(Packed::new(factor, layout, self.buffer.as_lines()))
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
