//! Units of processors other than x86-64: none yet.

use super::factor::{Factor, Matrix};
use super::layout::{Layout, Side};
use super::precision::Precision;
use crate::buffer::Line;

/// No unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {}

impl Unit {
    /// None.
    pub(crate) fn of(_: Precision) -> Option<Self> {
        None
    }

    /// No unit, no name.
    pub(crate) fn name(self) -> &'static str {
        match self {}
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

    /// No unit, no packed factor.
    pub(crate) fn pack(self, _: &Layout, _: Matrix<'_>, _: &mut [Line]) {
        match self {}
    }

    /// No unit, no product.
    pub(crate) fn multiply(self, _: &mut [f32], _: usize, _: Factor<'_>, _: Factor<'_>, _: bool) {
        match self {}
    }
}
