//! What processors have of their own that is not x86-64: nothing yet.

use super::Precision;
use super::factor::{Factor, Matrix, Side};
use crate::buffer::Line;

/// No unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {}

impl Unit {
    /// None.
    pub(crate) fn of(_: Precision) -> Option<Self> {
        None
    }

    /// No unit, no speed.
    pub(crate) fn speed(self) -> f64 {
        match self {}
    }

    /// No unit, no product.
    pub(crate) fn suits(self, _: &Factor<'_>) -> bool {
        match self {}
    }

    /// No unit, no layout.
    pub(crate) fn layout(self, _: Side, _: usize, _: usize) -> Option<Layout> {
        match self {}
    }

    /// No unit, no product.
    pub(crate) fn multiply(self, _: &mut [f32], _: usize, _: Factor<'_>, _: Factor<'_>, _: bool) {
        match self {}
    }
}

/// No layout.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {}

impl Layout {
    /// Which factor it is of.
    pub(crate) fn side(&self) -> Side {
        match *self {}
    }

    /// Outer rows and inner entries.
    pub(crate) fn size(&self) -> [usize; 2] {
        match *self {}
    }

    /// Lines of the whole factor.
    pub(crate) fn lines(&self) -> usize {
        match *self {}
    }

    /// Lays the factor out.
    pub(crate) fn pack(&self, _: Matrix<'_>, _: &mut [Line]) {
        match *self {}
    }
}
