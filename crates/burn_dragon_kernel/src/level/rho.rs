//! Memory of one head of one lane during the pass over a stream.

use super::elementwise::{scale, scaled};
use super::head::Head;
use crate::matrix::{Factor, Matrix};
use std::ops::Range;

/// Memory carried through a stream.
#[derive(Debug)]
pub(super) struct Carry<'a> {
    /// Memory before the stream; if `None`, `after` holds it.
    pub(super) before: Option<&'a [f32]>,
    /// Buffer for the memory after the stream.
    pub(super) after: &'a mut [f32],
}

impl<'a> Carry<'a> {
    /// Pieces of `size` numbers.
    pub(super) fn split(self, size: usize) -> impl Iterator<Item = Self> {
        let mut before = self.before.map(|before| before.chunks_exact(size));
        self.after.chunks_exact_mut(size).map(move |after| Carry {
            before: before.as_mut().and_then(Iterator::next),
            after,
        })
    }
}

impl Carry<'_> {
    /// The rows of some neurons of the memory after the stream, `[C, D]`, which hold those of the memory before it.
    pub(super) fn rows(&mut self, neurons: &Range<usize>, width: usize) -> &mut [f32] {
        let place = neurons.start * width..neurons.end * width;
        let rows = &mut self.after[place.clone()];
        if let Some(before) = self.before {
            rows.copy_from_slice(&before[place]);
        }
        rows
    }
}

/// The memory of one head of one lane, or the gradient of one: a sum over tokens of `q (outer) values`.
#[derive(Debug)]
pub(super) struct Rho<'a> {
    source: Option<&'a [f32]>, // [N, D], where it is until it has been written
    rows: &'a mut [f32],       // [N, D]
    empty: bool,               // all zero, whatever the rows hold
}

impl<'a> Rho<'a> {
    /// A memory that was carried here.
    pub(super) fn carried(carry: Carry<'a>) -> Self {
        let mut rho = Self {
            source: carry.before,
            rows: carry.after,
            empty: false,
        };
        rho.empty = rho.numbers().iter().all(|entry| *entry == 0.0);
        rho
    }

    /// An empty memory; the contents of the rows are ignored.
    pub(super) fn empty(rows: &'a mut [f32]) -> Self {
        Self {
            source: None,
            rows,
            empty: true,
        }
    }

    /// An empty memory without rows, which is never written.
    pub(super) fn none() -> Self {
        Self::empty(&mut [])
    }

    /// Marks the memory as empty, whatever the rows hold.
    pub(super) fn clear(&mut self) {
        self.empty = true;
    }

    /// Sets the rows to zero.
    pub(super) fn forget(&mut self) {
        self.rows.fill(0.0);
    }

    /// Whether reading it gives zero.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// All rows; not valid if the memory is empty.
    fn numbers(&self) -> &[f32] {
        self.source.unwrap_or(self.rows)
    }

    /// The rows of some neurons, unless all is zero.
    pub(super) fn rows(&self, neurons: &Range<usize>, width: usize) -> Option<Matrix<'_>> {
        let rows = (!self.empty).then(|| &self.numbers()[neurons.start * width..neurons.end * width])?;
        Some(Matrix::new(rows, neurons.len(), width, width))
    }

    /// Lets the rows of some neurons decay by a window, and adds `q^T values` to them.
    /// [`written`](Self::written) ends the writing of a window.
    pub(super) fn write<'b>(
        &mut self,
        head: &Head<'_>,
        neurons: &Range<usize>,
        q: Matrix<'b>,
        values: impl Into<Factor<'b>>,
    ) {
        let width = head.sizes.width;
        self.write_by(head, neurons, |rows, add| {
            head.precision.multiply(rows, width, q.transposed(), values, add);
        });
    }

    /// [`write`](Self::write), by a function that sets the rows to the product or, if told so, adds it.
    pub(super) fn write_by(
        &mut self,
        head: &Head<'_>,
        neurons: &Range<usize>,
        multiply: impl FnOnce(&mut [f32], bool),
    ) {
        let place = head.sizes.rows_of(neurons);
        let rows = &mut self.rows[place.clone()];
        if !self.empty {
            head.keep(self.source.map(|source| &source[place]), rows);
        }
        multiply(rows, !self.empty);
    }

    /// Ends the writing of a window, after all neurons were written.
    pub(super) fn written(&mut self) {
        (self.empty, self.source) = (false, None);
    }
}

impl Head<'_> {
    /// Decays rows by the window: those of `source`, or in place.
    pub(super) fn keep(&self, source: Option<&[f32]>, rows: &mut [f32]) {
        match (source, self.powers) {
            (Some(source), None) => rows.copy_from_slice(source),
            (Some(source), Some(_)) => scaled(rows, source, self.left_at_end(0)),
            (None, None) => {}
            (None, Some(_)) => scale(rows, self.left_at_end(0)),
        }
    }
}
