//! The chunked form: a stream in windows of tokens, each read in the parallel form, with a memory in between.
//!
//! With `S` what earlier windows wrote and `R` what later windows ask for, in each window
//!
//! ```text
//! read = q S + strict(q q^T) v                      then  S += q^T v
//! dq   = M q + dr S^T + v R^T                       (M as in backward.rs)
//! dv   = dx decoder_x^T + strict(q q^T)^T dr + q R  then  R += q^T dr
//! ```
//!
//! `S` and `R` are `[N, D]`. A stream of one window is the parallel form. What a token costs to read it, forward and in
//! FLOPs a head: `T (N + D)` in one window, `C (N + D) + 4 N D` in windows of `C`.

use super::shared::Shared;
use super::tile::{Head, Scratch, Sizes};
use crate::buffer::Buffer;
use crate::matrix::{Factor, Matrix, Precision};
use std::ops::Range;

/// Tokens of a window, of a stream of `tokens`: all of them, or, where that is less work, fewer.
///
/// Windows are equally long, but for a shorter last one. With a `carried` memory each token reads and writes it
/// anyway, so that shorter windows always pay.
///
/// By count, windows pay beyond 4 widths, and the shorter the better. Forward and backward as measured, one window is
/// as fast at about 350, 510 and 850 tokens of widths 64, 128 and 256, and windows are fastest at about 170, 220 and
/// 380 tokens, for shorter products are slower and memories are read and written once a window; half or twice that
/// costs 5 to 10 %.
pub fn chunk_length(tokens: usize, width: usize, carried: bool) -> usize {
    let break_even = 192 + 5 * width / 2;
    let window = 128 + width;
    if tokens <= window || (!carried && tokens <= break_even) {
        return tokens.max(1);
    }
    tokens.div_ceil(tokens.div_ceil(window))
}

/// The memory of one head of one lane, or the gradient of one: a sum over tokens of `q (outer) values`.
#[derive(Debug)]
pub(super) struct Rho<'a> {
    rows: &'a mut [f32], // [N, D]
    empty: bool,         // all zero, whatever the rows hold
}

impl<'a> Rho<'a> {
    /// A memory that was carried here.
    pub(super) fn carried(rows: &'a mut [f32]) -> Self {
        let empty = rows.iter().all(|entry| *entry == 0.0);
        Self { rows, empty }
    }

    /// A memory that nothing was written into, whatever the rows hold.
    pub(super) fn empty(rows: &'a mut [f32]) -> Self {
        Self { rows, empty: true }
    }

    /// A memory that nothing is ever written into.
    pub(super) fn none() -> Self {
        Self::empty(&mut [])
    }

    /// Whether reading it gives zero.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// The rows of some neurons, unless all is zero.
    pub(super) fn rows(&self, neurons: &Range<usize>, width: usize) -> Option<Matrix<'_>> {
        let rows = (!self.empty).then(|| &self.rows[neurons.start * width..neurons.end * width])?;
        Some(Matrix::new(rows, neurons.len(), width, width))
    }

    /// Adds `q^T values` to the rows of some neurons. [`written`](Self::written) ends the writing of a window.
    pub(super) fn write<'b>(
        &mut self,
        precision: Precision,
        neurons: &Range<usize>,
        q: Matrix<'b>,
        values: impl Into<Factor<'b>>,
        width: usize,
    ) {
        let rows = &mut self.rows[neurons.start * width..neurons.end * width];
        precision.multiply(rows, width, q.transposed(), values, !self.empty);
    }

    /// All neurons have been written.
    pub(super) fn written(&mut self) {
        self.empty = false;
    }
}

impl Sizes {
    /// The windows' tokens.
    pub(super) fn windows(&self, chunk: usize) -> impl DoubleEndedIterator<Item = Range<usize>> + use<> {
        let tokens = self.tokens;
        (0..tokens.div_ceil(chunk)).map(move |window| window * chunk..((window + 1) * chunk).min(tokens))
    }

    /// Where some tokens lie in `[T, D]`.
    pub(super) fn rows_of(&self, tokens: &Range<usize>) -> Range<usize> {
        tokens.start * self.width..tokens.end * self.width
    }
}

/// What lies around the windows of a stream during the backward pass, used again and again by one thread.
#[derive(Debug, Default)]
pub(super) struct Between {
    before: Buffer, // [W - 1, N, D], the memory before each window but the first
    later: Buffer,  // [N, D], what later windows ask for
}

/// What a window finds around itself on the way back.
pub(super) struct Around<'a, 'b> {
    /// The memory before the window, `[N, D]`.
    pub(super) before: Option<&'a [f32]>,
    /// The gradient of the memory after the window.
    pub(super) later: &'a mut Rho<'b>,
    /// Whether the gradient of the memory before it is wanted.
    pub(super) ask: bool,
}

/// Where the gradients of a tile's q, `[T, C]`, and of the stream, `[T, D]`, are summed up.
pub(super) struct Felt<'a> {
    pub(super) dq: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
}

impl Around<'_, '_> {
    /// Adds what a tile's q and the stream feel through both memories, and what the gradient of the one before it
    /// feels through q.
    ///
    /// # Shapes
    /// - `q`: `[T, C]`
    /// - `v`, `dr`: `[T, D]`
    pub(super) fn add_gradients(
        &mut self,
        head: &Head<'_>,
        neurons: &Range<usize>,
        v: Shared<'_>,
        q: Matrix<'_>,
        dr: &[f32],
        into: Felt<'_>,
    ) {
        let (count, width, dr) = (neurons.len(), head.sizes.width, head.wide(dr));
        let (precision, Felt { dq, dv }) = (head.precision, into);
        if let Some(before) = self.before {
            let rows = Matrix::new(head.rows(before, neurons), count, width, width);
            precision.multiply(dq, count, dr, rows.transposed(), true);
        }
        if let Some(rows) = self.later.rows(neurons, width) {
            precision.multiply(dq, count, v.left, rows.transposed(), true);
            precision.multiply(dv, width, q, rows, true);
        }
        if self.ask {
            self.later.write(precision, neurons, q, dr, width);
        }
    }

    /// All neurons have added their gradients.
    pub(super) fn passed(self) {
        if self.ask {
            self.later.written();
        }
    }
}

impl Between {
    /// Calls `window(index, tokens, around)` for the windows of a stream, last first.
    ///
    /// `carried` is the memory before the stream and, in place, the gradient of the memory after it that becomes the
    /// gradient of the memory before it.
    pub(super) fn walk_back(
        &mut self,
        head: &Head<'_>,
        chunk: usize,
        carried: Option<(&[f32], &mut [f32])>,
        scratch: &mut Scratch,
        mut window: impl FnMut(&mut Scratch, usize, Range<usize>, Around<'_, '_>),
    ) {
        let size = head.sizes.neurons * head.sizes.width;
        let windows: Vec<_> = head.sizes.windows(chunk).collect();
        let (first, mut later) = match carried {
            Some((before, after)) => (Some(before), Rho::carried(after)),
            None if windows.len() > 1 => (None, Rho::empty(self.later.sized(size))),
            None => (None, Rho::none()),
        };
        let memories = self.before.sized(windows.len().saturating_sub(1) * size);
        for (index, tokens) in windows.iter().enumerate().take(memories.len() / size) {
            let (done, rest) = memories.split_at_mut(index * size);
            let before = if index == 0 {
                first
            } else {
                Some(&done[(index - 1) * size..])
            };
            head.window(tokens).remember(scratch, before, &mut rest[..size]);
        }
        for (index, tokens) in windows.into_iter().enumerate().rev() {
            let earlier = index.checked_sub(1);
            let around = Around {
                before: earlier
                    .map(|index| &memories[index * size..(index + 1) * size])
                    .or(first),
                later: &mut later,
                ask: earlier.is_some() || first.is_some(),
            };
            window(scratch, index, tokens, around);
        }
    }
}

impl Head<'_> {
    /// The memory after the stream from the memory before it, `[N, D]` each.
    fn remember(&self, scratch: &mut Scratch, before: Option<&[f32]>, after: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        let v = scratch.v.share(self.precision, self.v, width);
        for tile in self.sizes.tiles() {
            let count = tile.len();
            let x = scratch.tile.sized(tokens * count);
            let q = scratch.q.sized(tokens * count);
            self.project(&tile, v, x);
            self.rotate(&tile, x, q, false);
            let rows = tile.start * width..tile.end * width;
            if let Some(before) = before {
                after[rows.clone()].copy_from_slice(&before[rows.clone()]);
            }
            let q = Matrix::new(q, tokens, count, count);
            let add = before.is_some();
            self.precision
                .multiply(&mut after[rows], width, q.transposed(), v.right, add);
        }
    }
}
