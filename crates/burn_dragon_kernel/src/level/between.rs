//! Chunked form: a stream in windows of tokens, each read in the parallel form, with a memory in between.
//!
//! `S` is the memory that earlier windows wrote, and `R` the gradient of the memory that later windows read. In each
//! window
//!
//! ```text
//! read = q S + strict(q q^T) v                      then  S += q^T v
//! dq   = M q + dr S^T + v R^T                       (M as in backward.rs)
//! dv   = dx decoder_x^T + strict(q q^T)^T dr + q R  then  R += q^T dr
//! ```
//!
//! `S` and `R` are `[N, D]`, and empty on either side of a reset; how they decay is in `retention.rs`. A stream of
//! one window is the parallel form. The read of a token costs, forward and in FLOPs a head, `T (N + D)` in one
//! window and `C (N + D) + 4 N D` in windows of `C`.

use super::elementwise::{add, dot};
use super::fused::Fused;
use super::head::Head;
use super::rho::{Carry, Rho};
use super::scratch::Scratch;
use super::shared::Shared;
use super::window::{Before, Window};
use crate::backend::level::Sizes;
use crate::buffer::Buffer;
use crate::causal_read::Credit;
use crate::matrix::Matrix;
use std::ops::Range;

impl Head<'_> {
    /// The memory after the stream from the memory before it, `[N, D]` each.
    fn remember(&self, scratch: &mut Scratch, before: Option<&[f32]>, after: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        let v = scratch.v.share(self.precision, self.v, width);
        let written = self.written(v, &mut scratch.late);
        for tile in self.sizes.tiles() {
            let count = tile.len();
            let x = scratch.tile.sized(tokens * count);
            let q = scratch.q.sized(tokens * count);
            self.project(&tile, v, x);
            self.rotate(&tile, x, q, false);
            let rows = tile.start * width..tile.end * width;
            if let Some(before) = before {
                self.keep(Some(&before[rows.clone()]), &mut after[rows.clone()]);
            }
            let q = Matrix::new(q, tokens, count, count);
            let add = before.is_some();
            self.precision
                .multiply(&mut after[rows], width, q.transposed(), written.right, add);
        }
    }
}

/// Memories around a window in the backward pass.
pub(super) struct Around<'a, 'b> {
    /// The memory before the window, `[N, D]`; none where it is all zero.
    pub(super) before: Option<&'a [f32]>,
    /// The gradient of the memory after the window.
    pub(super) later: &'a mut Rho<'b>,
    /// Whether the gradient of the memory before the window is needed.
    pub(super) ask: bool,
}

/// Inputs of the gradients through both memories, `[T, D]` each, decayed to either.
#[derive(Clone, Copy)]
pub(super) struct Through<'a> {
    /// Stream, decayed to the memory after the window.
    pub(super) v: Shared<'a>,
    /// Gradient of the read, decayed to the memory before the window.
    pub(super) dr: &'a [f32],
}

/// Sums of the gradients of a tile's q, `[T, C]`, and of values, `[T, D]`.
pub(super) struct Felt<'a> {
    pub(super) dq: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
}

impl Around<'_, '_> {
    /// Whether there is a memory before or after the window that is read or asked for.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "products are not fused there")
    )]
    pub(super) fn any(&self) -> bool {
        self.before.is_some() || self.ask || !self.later.is_empty()
    }

    /// Adds the gradients of a tile's q and of the values through both memories, and the gradient of the memory before
    /// the window through q, `[T, C]`. Returns the memories' part in the gradient of `ln lambda`, without that of the
    /// values, if requested; `room` holds a tile.
    pub(super) fn add_gradients(
        &mut self,
        head: &Head<'_>,
        neurons: &Range<usize>,
        q: Matrix<'_>,
        through: Through<'_>,
        into: Felt<'_>,
        room: &mut Buffer,
    ) -> f64 {
        let (count, width, dr) = (neurons.len(), head.sizes.width, head.wide(through.dr));
        let (precision, Felt { dq, dv }) = (head.precision, into);
        let mut slope = 0.0;
        if let Some(before) = self.before {
            let before = head.rows(before, neurons);
            let rows = Matrix::new(before, count, width, width);
            if head.slopes {
                let asked = room.sized(dq.len());
                precision.multiply(asked, count, dr, rows.transposed(), false);
                slope += head.slope_of_rows(asked, q.data, count, |t| t);
                slope += self.slope_of_memories(head, neurons, before);
                add(dq, asked);
            } else {
                precision.multiply(dq, count, dr, rows.transposed(), true);
            }
        }
        if let Some(rows) = self.later.rows(neurons, width) {
            if head.credit == Credit::Full {
                precision.multiply(dq, count, through.v.left, rows.transposed(), true);
            }
            precision.multiply(dv, width, q, rows, true);
        }
        if self.ask {
            self.later.write(head, neurons, q, dr);
        }
        slope
    }

    /// Part in the gradient of `ln lambda` of the memory that passes through the window; `before` has the rows of some
    /// of its neurons.
    fn slope_of_memories(&self, head: &Head<'_>, neurons: &Range<usize>, before: &[f32]) -> f64 {
        let later = self.later.rows(neurons, head.sizes.width);
        let weight = head.sizes.tokens as f64 * f64::from(head.left_at_end(0));
        later.map_or(0.0, |later| weight * dot(before, later.data))
    }

    /// Ends the window, after all neurons have added their gradients.
    pub(super) fn passed(self) {
        if self.ask {
            self.later.written();
        }
    }
}

/// Memory carried through a stream, in the backward pass.
pub(super) struct CarriedBack<'a> {
    /// The memory before the stream.
    pub(super) before: &'a [f32],
    /// Gradient of the memory after the stream, replaced by that of the memory before it; `None` if that is a constant.
    pub(super) gradient: Option<&'a mut [f32]>,
}

/// Buffers for the memories around the windows of a stream in the backward pass.
pub(super) struct Between {
    before: Buffer, // [windows with an earlier one, N, D], the memory before each
    later: Buffer,  // [N, D], what later windows ask for
}

impl Between {
    /// Takes the buffers out of a thread's scratch, to be given back later.
    pub(super) fn take(scratch: &mut Scratch) -> Self {
        Self {
            before: std::mem::take(&mut scratch.before),
            later: std::mem::take(&mut scratch.later),
        }
    }

    pub(super) fn give_back(self, scratch: &mut Scratch) {
        (scratch.before, scratch.later) = (self.before, self.later);
    }

    /// Calls `each(index, window, around)` for the windows of a stream, last first.
    pub(super) fn walk_back(
        &mut self,
        head: &Head<'_>,
        windows: &[Window],
        carried: Option<CarriedBack<'_>>,
        scratch: &mut Scratch,
        mut each: impl FnMut(&mut Scratch, usize, &Window, Around<'_, '_>),
    ) {
        let size = head.sizes.neurons * head.sizes.width;
        let (first, gradient) =
            carried.map_or((None, None), |carried| (Some(carried.before), carried.gradient));
        let first = first.filter(|rows| rows.iter().any(|entry| *entry != 0.0));
        let (asks, remembers) = (gradient.is_some(), head.remembers_back());
        let mut later = match gradient {
            Some(after) if remembers => Rho::carried(Carry { before: None, after }),
            _ if windows.len() > 1 && remembers => Rho::empty(self.later.sized(size)),
            _ => Rho::none(),
        };
        let follows = |index: usize| {
            windows
                .get(index)
                .is_some_and(|next| next.before == Before::Earlier)
        };
        let count = (0..windows.len()).filter(|&index| follows(index)).count();
        let memories = self.before.sized(count * size);
        let mut done = 0;
        let mut slots = Vec::with_capacity(windows.len()); // of the memory after each window
        for (index, window) in windows.iter().enumerate() {
            if !follows(index + 1) {
                slots.push(None);
                continue;
            }
            let (earlier, rest) = memories.split_at_mut(done * size);
            let before = match window.before {
                Before::Empty => None,
                Before::Carried => first,
                Before::Earlier => Some(&earlier[(done - 1) * size..]),
            };
            let part = head.window(&window.tokens);
            match Fused::of(&part) {
                Some(fused) => fused.remember(scratch, before, &mut rest[..size]),
                None => part.remember(scratch, before, &mut rest[..size]),
            }
            slots.push(Some(done));
            done += 1;
        }
        let after = |index: usize| slots[index].map(|slot: usize| &memories[slot * size..(slot + 1) * size]);
        for (index, window) in windows.iter().enumerate().rev() {
            if index + 1 < windows.len() && !follows(index + 1) {
                later.clear();
            }
            let (before, ask) = match window.before {
                Before::Empty => (None, false),
                Before::Carried => (first, asks),
                Before::Earlier => (after(index - 1), true),
            };
            let around = Around {
                before,
                later: &mut later,
                ask: ask && remembers,
            };
            each(scratch, index, window, around);
        }
        if asks && windows[0].before == Before::Empty {
            later.forget(); // a reset: nothing of the memory before it was ever read
        }
    }
}
