//! Factors of products, plain in memory or packed for a unit.

use super::layout::{Layout, STEP, Side};
use crate::buffer::Line;
#[cfg(target_arch = "x86_64")]
use std::ops::Range;

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

impl Side {
    /// The factor, transposed if necessary, with the inner axis in its columns.
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
    /// Plain, in its own memory.
    Plain(Matrix<'a>),
    /// Packed by [`Packing`].
    Packed(Packed<'a>),
}

impl<'a> From<Matrix<'a>> for Factor<'a> {
    fn from(matrix: Matrix<'a>) -> Self {
        Self::Plain(matrix)
    }
}

impl<'a> Factor<'a> {
    /// Rows and columns.
    pub(crate) fn size(&self) -> [usize; 2] {
        match self {
            Self::Plain(matrix) => [matrix.rows, matrix.columns],
            Self::Packed(packed) => packed.size,
        }
    }

    /// The plain factor.
    ///
    /// # Panics
    /// If it is packed, so for a unit that takes packed factors.
    pub(crate) fn plain(&self) -> Matrix<'_> {
        match self {
            Self::Plain(matrix) => *matrix,
            Self::Packed(packed) => panic!("a factor packed for another product: {:?}", packed.layout),
        }
    }

    /// The packed factor.
    ///
    /// # Panics
    /// If it is plain, so for a unit that takes plain factors.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn packed(self) -> Packed<'a> {
        match self {
            Self::Plain(matrix) => panic!(
                "a factor that is not packed: {} x {}",
                matrix.rows, matrix.columns
            ),
            Self::Packed(packed) => packed,
        }
    }

    /// Its first rows and columns.
    ///
    /// # Panics
    /// If it has fewer, or if it is packed and cut along the inner axis at another place than a multiple of 32.
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
                let inner = match packed.layout.side() {
                    Side::Left => columns,
                    Side::Right => rows,
                };
                assert!(
                    inner == packed.layout.size()[1] || inner.is_multiple_of(STEP),
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

/// Factor packed for a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'a> {
    lines: &'a [Line],
    pub(crate) layout: Layout,
    size: [usize; 2],
}

impl<'a> Packed<'a> {
    /// All of a factor, packed in `lines`.
    pub(super) fn new(factor: Matrix<'_>, layout: Layout, lines: &'a [Line]) -> Self {
        let by_outer = layout.side().by_outer(factor);
        let size = [by_outer.rows, by_outer.columns];
        assert_eq!(size, layout.size(), "the factor that was packed");
        Self {
            lines,
            layout,
            size: [factor.rows, factor.columns],
        }
    }

    /// A whole factor that was packed in `lines`.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn whole(layout: Layout, lines: &'a [Line]) -> Self {
        let [outer, inner] = layout.size();
        let size = match layout.side() {
            Side::Left => [outer, inner],
            Side::Right => [inner, outer],
        };
        Self { lines, layout, size }
    }

    /// The part with some inner entries: whole blocks.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn part(self, inner: &Range<usize>) -> Self {
        let first = self.layout.panel(0, inner.start);
        Self::whole(self.layout.part(inner), &self.lines[first..])
    }

    /// Lines from the start of the panel with this outer row, in the block with this inner entry.
    ///
    /// # Panics
    /// If the factor was packed for another kind of unit, or for the other side.
    #[inline(always)]
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "there is no unit to read it")
    )]
    pub(crate) fn panel(self, step_lines: usize, side: Side, outer: usize, inner: usize) -> &'a [Line] {
        let layout = &self.layout;
        assert!(
            layout.step_lines() == step_lines && layout.side() == side,
            "a factor packed for another product: {layout:?}"
        );
        &self.lines[layout.panel(outer, inner)..]
    }
}
