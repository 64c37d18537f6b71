//! Factors of products: where they lie, and laid out for a unit.

use super::buffer::{Buffer, Line};
use super::{Precision, Unit};

/// A matrix within a slice: entry `(i, j)` is `data[i * row_stride + j * column_stride]`.
///
/// One of the strides is 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` entries each, `stride` apart.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        let matrix = Self {
            data,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        };
        assert!(
            matrix.end() <= data.len(),
            "{rows} x {columns} by {stride} does not fit {} entries",
            data.len()
        );
        matrix
    }

    /// The same entries with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// One past the last entry.
    fn end(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// Which factor of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The first: its columns are summed over.
    Left,
    /// The second: its rows are summed over.
    Right,
}

impl Side {
    /// The factor with what is summed over in its columns.
    pub(crate) fn by_outer(self, factor: Matrix<'_>) -> Matrix<'_> {
        match self {
            Self::Left => factor,
            Self::Right => factor.transposed(),
        }
    }
}

/// A factor of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Factor<'a> {
    /// As it lies in memory.
    Plain(Matrix<'a>),
    /// Laid out by [`Packing`].
    Packed(Packed<'a>),
}

impl<'a> From<Matrix<'a>> for Factor<'a> {
    fn from(matrix: Matrix<'a>) -> Self {
        Self::Plain(matrix)
    }
}

impl Factor<'_> {
    /// Rows and columns.
    pub(crate) fn size(&self) -> [usize; 2] {
        match self {
            Self::Plain(matrix) => [matrix.rows, matrix.columns],
            Self::Packed(packed) => packed.size,
        }
    }

    /// Its first rows and columns.
    ///
    /// # Panics
    /// If it has fewer; or if it is packed and what is summed over is cut at no multiple of 32.
    pub(crate) fn leading(self, rows: usize, columns: usize) -> Self {
        let [all_rows, all_columns] = self.size();
        assert!(
            rows <= all_rows && columns <= all_columns,
            "{rows} x {columns} of {all_rows} x {all_columns}"
        );
        match self {
            Self::Plain(matrix) => Self::Plain(Matrix {
                rows,
                columns,
                ..matrix
            }),
            Self::Packed(packed) => {
                let inner = match packed.layout.side {
                    Side::Left => columns,
                    Side::Right => rows,
                };
                assert!(
                    inner == packed.layout.inner || inner.is_multiple_of(STEP),
                    "a packed factor cut at {inner}"
                );
                Self::Packed(Packed {
                    size: [rows, columns],
                    ..packed
                })
            }
        }
    }
}

/// Outer rows of a panel: rows of a left factor, columns of a right one.
pub(crate) const PANEL: usize = 32;
/// Inner entries of a step.
pub(crate) const STEP: usize = 32;

/// How a packed factor lies in memory: blocks of inner entries, in a block panels of outer rows, in a panel steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) unit: Unit,
    pub(crate) side: Side,
    pub(crate) outer: usize,
    pub(crate) inner: usize,
    /// Inner entries of a block.
    pub(crate) depth: usize,
    /// Lines of a step of a panel.
    pub(crate) step_lines: usize,
}

impl Layout {
    /// Lines of the whole factor.
    pub(crate) fn lines(&self) -> usize {
        self.outer.div_ceil(PANEL) * self.inner.div_ceil(STEP) * self.step_lines
    }

    /// Where the panel with this outer row starts, in the block with this inner entry.
    pub(crate) fn panel(&self, outer: usize, inner: usize) -> usize {
        let (block, panels) = (inner / self.depth * self.depth, self.outer.div_ceil(PANEL));
        let steps = self.depth.min(self.inner - block).div_ceil(STEP);
        (block / STEP * panels + outer / PANEL * steps) * self.step_lines
    }
}

/// A factor laid out for a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'a> {
    pub(crate) lines: &'a [Line],
    pub(crate) layout: Layout,
    size: [usize; 2],
}

/// Room for a factor that several products share, laid out for them once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    pub(crate) buffer: Buffer,
    pub(crate) layout: Option<Layout>,
}

impl Packing {
    /// Lays out a left factor.
    pub(crate) fn left<'a>(&'a mut self, precision: Precision, factor: Matrix<'a>) -> Factor<'a> {
        Unit::of(precision).pack_into(self, Side::Left, factor)
    }

    /// Lays out a right factor.
    pub(crate) fn right<'a>(&'a mut self, precision: Precision, factor: Matrix<'a>) -> Factor<'a> {
        Unit::of(precision).pack_into(self, Side::Right, factor)
    }

    /// What was laid out last, which was `factor`; or `factor` itself, where nothing needs to be laid out.
    pub(crate) fn factor<'a>(&'a self, factor: Matrix<'a>) -> Factor<'a> {
        let Some(layout) = self.layout else {
            return Factor::Plain(factor);
        };
        let by_outer = layout.side.by_outer(factor);
        assert_eq!(
            [by_outer.rows, by_outer.columns],
            [layout.outer, layout.inner],
            "the factor that was packed"
        );
        Factor::Packed(Packed {
            lines: self.buffer.as_lines(),
            layout,
            size: [factor.rows, factor.columns],
        })
    }
}
