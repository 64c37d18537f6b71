//! One head of one lane, in tiles of neurons.
//!
//! A tile is `T` rows of at most `width` neurons, laid out by itself; tile `k` of a neuron-wide buffer starts at
//! `k * T * width`. The elementwise work between the products happens while a tile is in cache.

#[cfg(target_arch = "x86_64")]
use super::elementwise::fade;
use super::elementwise::{norm_row, norm_row_back, relu, round_to_units};
use super::fused::HeadPanels;
#[cfg(target_arch = "x86_64")]
use super::fused::{Angles as BlockAngles, Kept as BlockKept};
use super::gradients::GradientLayout;
use super::pattern::Pattern;
use super::powers::Powers;
use super::shared::{Room, Shared};
use super::weights::LaidOutWeights;
use super::window::{Window, Windows};
use crate::backend::level::Sizes;
use crate::causal_read::Credit;
use crate::dropout::DropoutMask;
#[cfg(target_arch = "x86_64")]
use crate::matrix::{Block, PANEL};
use crate::matrix::{Matrix, Packing, Precision};
use crate::rotation::cpu::turn;
use std::ops::Range;

/// Everything that all heads and lanes of a level share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operands<'a> {
    pub(super) sizes: Sizes,
    pub(super) v: &'a [f32],
    pub(super) weights: &'a LaidOutWeights,
    /// `None`: no rotation.
    pub(super) angles: Option<Angles<'a>>,
    pub(super) norm: Option<f32>,
    /// Steps in a unit of y, which is rounded to whole ones, `[B, H, T]`; `None`: it is not rounded.
    pub(super) per_unit: Option<&'a [f32]>,
    pub(super) dropout: Option<DropoutMask>,
    pub(super) precision: Precision,
    pub(super) windows: &'a Windows,
    pub(super) powers: Option<&'a Powers>,
    pub(super) credit: Credit,
    pub(super) slopes: bool,
}

impl<'a> Operands<'a> {
    /// The windows of a lane.
    pub(super) fn windows(&self, lane: usize) -> &'a [Window] {
        self.windows.of_lane(lane)
    }

    /// Memory layout of the gradients that a head collects.
    pub(super) fn gradient_layout(&self) -> GradientLayout {
        match self.weights {
            LaidOutWeights::Rows(_) => GradientLayout::Rows,
            LaidOutWeights::Panels(_) => GradientLayout::Weights,
        }
    }

    /// One head of one lane.
    pub(super) fn head(&self, lane: usize, head: usize) -> Head<'a> {
        let Sizes {
            tokens,
            neurons,
            width,
            heads,
            ..
        } = self.sizes;
        let matrix = head * width * neurons..(head + 1) * width * neurons;
        let ([decoder_x, decoder_y, encoder], panels) = match self.weights {
            LaidOutWeights::Rows(rows) => {
                let matrices = [&rows.decoder_x, &rows.decoder_y, &rows.encoder];
                (matrices.map(|rows| &rows[matrix.clone()]), None)
            }
            LaidOutWeights::Panels(panels) => ([&[][..]; 3], Some(panels.head(head))),
        };
        Head {
            sizes: self.sizes,
            v: &self.v[lane * tokens * width..(lane + 1) * tokens * width],
            decoder_x,
            decoder_y,
            encoder,
            panels,
            angles: self
                .angles
                .map(|angles| angles.of_lane(lane, tokens * (neurons / 2))),
            norm: self.norm,
            precision: self.precision,
            powers: self.powers.map(|powers| powers.of_head(head)),
            credit: self.credit,
            slopes: self.slopes,
            per_unit: self
                .per_unit
                .map(|steps| &steps[(lane * heads + head) * tokens..][..tokens]),
            dropout: self
                .dropout
                .map(|mask| (mask, ((lane * heads + head) * tokens * neurons) as u64)),
        }
    }
}

/// Cosines and sines of the pairs' angles, `[T, N/2]` each; `[B, T, N/2]` where lanes are at positions of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Angles<'a> {
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
}

impl Angles<'_> {
    /// Those of a lane; `size` is the length of a lane's table.
    fn of_lane(self, lane: usize, size: usize) -> Self {
        let first = if self.cos.len() > size { lane * size } else { 0 };
        self.part(first..first + size)
    }

    fn part(self, place: Range<usize>) -> Self {
        Self {
            cos: &self.cos[place.clone()],
            sin: &self.sin[place],
        }
    }
}

/// One head of one lane; the weights are rows of the width, one a neuron.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) sizes: Sizes,
    pub(super) v: &'a [f32],                   // [T, D]
    pub(super) decoder_x: &'a [f32],           // [N, D]
    pub(super) decoder_y: &'a [f32],           // [N, D]
    pub(super) encoder: &'a [f32],             // [N, D]
    pub(super) panels: Option<&'a HeadPanels>, // the weights of fused products; the three before are then empty
    angles: Option<Angles<'a>>,
    norm: Option<f32>, // epsilon of the norm of reads; none if they are normed already
    pub(super) precision: Precision,
    pub(super) powers: Option<&'a [f32]>, // what is left after 0, 1, 2 ... tokens; all, where there is none
    pub(super) credit: Credit,
    pub(super) slopes: bool,     // whether the gradient of the slope is wanted
    per_unit: Option<&'a [f32]>, // steps in a unit of y, [T]; none where it is not rounded
    dropout: Option<(DropoutMask, u64)>,
}

impl<'a> Head<'a> {
    /// The head in some of its tokens, as if there were no others.
    pub(super) fn window(&self, tokens: &Range<usize>) -> Self {
        let Sizes { neurons, .. } = self.sizes;
        let angles = tokens.start * (neurons / 2)..tokens.end * (neurons / 2);
        let before = (tokens.start * neurons) as u64;
        Self {
            sizes: Sizes {
                tokens: tokens.len(),
                ..self.sizes
            },
            v: &self.v[self.sizes.rows_of(tokens)],
            angles: self.angles.map(|of_head| of_head.part(angles)),
            per_unit: self.per_unit.map(|steps| &steps[tokens.clone()]),
            dropout: self.dropout.map(|(mask, first)| (mask, first + before)),
            ..*self
        }
    }

    /// `[T, D]`.
    pub(super) fn wide<'b>(&self, rows: &'b [f32]) -> Matrix<'b> {
        Matrix::new(rows, self.sizes.tokens, self.sizes.width, self.sizes.width)
    }

    /// The rows of some neurons, `[C, D]`, of one of the matrices.
    pub(super) fn rows<'b>(&self, matrix: &'b [f32], neurons: &Range<usize>) -> &'b [f32] {
        &matrix[neurons.start * self.sizes.width..neurons.end * self.sizes.width]
    }

    /// Where a tile lies in a neuron-wide buffer.
    pub(super) fn place(&self, neurons: &Range<usize>) -> Range<usize> {
        neurons.start * self.sizes.tokens..neurons.end * self.sizes.tokens
    }

    /// `relu(v decoder_x)` of some neurons.
    pub(super) fn project(&self, neurons: &Range<usize>, v: Shared<'_>, x: &mut [f32]) {
        self.multiply_rows(v, self.rows(self.decoder_x, neurons), x, None);
        relu(x);
    }

    /// `a decoder_y` of some neurons: at least those with active x, or all.
    pub(super) fn open(&self, neurons: &Range<usize>, a: Shared<'_>, fired: &Pattern, gate: &mut [f32]) {
        self.multiply_rows(a, self.rows(self.decoder_y, neurons), gate, Some(fired));
    }

    /// `[T, D]` times the rows of some neurons transposed, into a tile; with a pattern only what it marks is sure to
    /// be computed, and the rest may be 0.
    pub(super) fn multiply_rows(
        &self,
        from: Shared<'_>,
        rows: &[f32],
        tile: &mut [f32],
        pattern: Option<&Pattern>,
    ) {
        let width = self.sizes.width;
        if let Some(pattern) = pattern.filter(|pattern| pattern.dots_pay(self.precision, width)) {
            tile.fill(0.0);
            return pattern.dots(from.numbers, rows, tile, width);
        }
        let count = rows.len() / width;
        let rows = Matrix::new(rows, count, width, width);
        self.precision
            .multiply(tile, count, from.left, rows.transposed(), false);
    }

    /// Adds a tile times the rows of its neurons to `[T, D]`; the pattern is the tile's.
    pub(super) fn add_to_width(&self, tile: &[f32], pattern: &Pattern, rows: &[f32], into: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        if pattern.rows_pay(self.precision, width) {
            return pattern.add_rows(tile, rows, into, width);
        }
        let count = rows.len() / width;
        let tile = Matrix::new(tile, tokens, count, count);
        let rows = Matrix::new(rows, count, width, width);
        self.precision.multiply(into, width, tile, rows, true);
    }

    /// Adds a tile transposed times `[T, D]` to the rows of its neurons; the pattern is the tile's.
    pub(super) fn add_outer(&self, tile: &[f32], pattern: &Pattern, from: Shared<'_>, rows: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        if pattern.columns_pay(self.precision, width) {
            return pattern.add_columns(tile, from.numbers, rows, width);
        }
        let count = rows.len() / width;
        let tile = Matrix::new(tile, tokens, count, count);
        self.precision
            .multiply(rows, width, tile.transposed(), from.right, true);
    }

    /// Turns a tile by the positions' angles; `back` turns the other way.
    pub(super) fn rotate(&self, neurons: &Range<usize>, x: &[f32], q: &mut [f32], back: bool) {
        let (count, pairs) = (neurons.len(), self.sizes.neurons / 2);
        let Some(Angles { cos, sin }) = self.angles else {
            return q.copy_from_slice(x);
        };
        let sign = if back { -1.0 } else { 1.0 };
        for t in 0..self.sizes.tokens {
            let angles = t * pairs + neurons.start / 2..t * pairs + neurons.end / 2;
            let row = t * count..(t + 1) * count;
            turn(
                &x[row.clone()],
                &mut q[row],
                &cos[angles.clone()],
                &sin[angles],
                sign,
            );
        }
    }

    /// Angles of a block with these first token and neuron.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn block_angles(&self, [t, n]: [usize; 2]) -> BlockAngles<'a> {
        let Sizes { tokens, neurons, .. } = self.sizes;
        let Some(Angles { cos, sin }) = self.angles else {
            unreachable!("a level turns its neurons");
        };
        let (pairs, first) = (neurons / 2, t * (neurons / 2) + n / 2);
        BlockAngles::new(
            [&cos[first..], &sin[first..]],
            pairs,
            (pairs - n / 2).min(PANEL / 2),
            (tokens - t).min(PANEL),
        )
    }

    /// Dropout of a block with these first token and neuron, if there is any; the buffer takes the kept columns of its
    /// rows.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn block_dropout<'b>(
        &self,
        [t, n]: [usize; 2],
        columns: &'b mut [u32; PANEL],
    ) -> Option<BlockKept<'b>> {
        let (mask, first) = self.dropout.as_ref()?;
        let Sizes { tokens, neurons, .. } = self.sizes;
        let size = [(tokens - t).min(PANEL), (neurons - n).min(PANEL)];
        mask.kept_block(first + (t * neurons + n) as u64, neurons as u64, size, columns);
        let scale = mask.scale() as f32;
        Some(BlockKept { columns, scale })
    }

    /// Multiplies the entries below the diagonal of a block of `[T, T]`, with these first row and column, by the decay
    /// factor of their distance from it.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn fade_block(&self, block: &mut Block, [first, column]: [usize; 2]) {
        let Some(powers) = self.powers else { return };
        let rows = (first..self.sizes.tokens).zip(&mut block.0);
        for (t, row) in rows {
            let below = (t - column).min(PANEL);
            fade(&mut row[..below], &powers[t - column - below + 1..=t - column]);
        }
    }

    /// Adds the transposed strict scores times `[T, D]`.
    pub(super) fn add_read_back(&self, scores: &[f32], from: &[f32], into: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        for rows in self.sizes.blocks() {
            let left = Matrix::new(&scores[rows.start * tokens..], rows.len(), rows.end, tokens);
            let right = Matrix::new(&from[rows.start * width..], rows.len(), width, width);
            self.precision
                .multiply(into, width, left.transposed(), right, true);
        }
    }

    /// Matrix M through which the gradient of the scores reaches q: `left stream^T` below the diagonal, decayed. If
    /// keys are credited too, it is added to its own transpose: a symmetric matrix without a diagonal. Returns the part
    /// of the scores in the gradient of `ln lambda`, if requested.
    pub(super) fn outer_of_reads(
        &self,
        left: &[f32],
        scores: &[f32],
        room: &mut Packing,
        into: &mut [f32],
    ) -> f64 {
        let Sizes { tokens, width, .. } = self.sizes;
        let stream = room.right(self.precision, self.wide(self.v).transposed());
        for rows in self.sizes.blocks() {
            let left = Matrix::new(&left[rows.start * width..], rows.len(), width, width);
            let into = &mut into[rows.start * tokens..];
            self.precision
                .multiply(into, tokens, left, stream.leading(width, rows.end), false);
        }
        let slope = if self.slopes {
            self.slope_of_scores(scores, into)
        } else {
            0.0
        };
        self.fade_below_diagonal(into);
        match self.credit {
            Credit::Full => mirror(into, tokens),
            Credit::Queries => (0..tokens).for_each(|t| into[t * tokens + t..(t + 1) * tokens].fill(0.0)),
        }
        slope
    }

    /// Norms the rows of `[T, D]` in place and keeps one over each row's standard deviation; leaves rows alone that are
    /// normed already.
    pub(super) fn norm(&self, rows: &mut [f32], scale: &mut [f32]) {
        let Some(eps) = self.norm else {
            return;
        };
        for (row, scale) in rows.chunks_exact_mut(self.sizes.width).zip(scale) {
            *scale = norm_row(row, f64::from(eps));
        }
    }

    /// The gradient before the norm from the gradient after it, in place.
    pub(super) fn norm_back(&self, gradient: &mut [f32], a: &[f32], scale: &[f32]) {
        if self.norm.is_none() {
            return;
        }
        let width = self.sizes.width;
        let rows = gradient
            .chunks_exact_mut(width)
            .zip(a.chunks_exact(width))
            .zip(scale);
        rows.for_each(|((gradient, a), scale)| norm_row_back(gradient, a, *scale));
    }

    /// Whether y is rounded.
    pub(super) fn rounds(&self) -> bool {
        self.per_unit.is_some()
    }

    /// Rounds a tile of y to whole steps, if it is rounded; returns whether it is.
    pub(super) fn round(&self, tile: &Range<usize>, y: &mut [f32]) -> bool {
        let Some(per_unit) = self.per_unit else {
            return false;
        };
        let rows = y.chunks_exact_mut(tile.len()).zip(per_unit);
        rows.for_each(|(row, per_unit)| round_to_units(row, *per_unit));
        true
    }

    /// Multiplies a tile by its dropout factors, if there are any; returns whether there are.
    pub(super) fn drop_out(&self, tile: &Range<usize>, y: &mut [f32]) -> bool {
        let Some((mask, first)) = &self.dropout else {
            return false;
        };
        for (t, row) in y.chunks_exact_mut(tile.len()).enumerate() {
            mask.scale_entries(first + (t * self.sizes.neurons + tile.start) as u64, row);
        }
        true
    }

    /// Factor of an entry that dropout kept.
    pub(super) fn kept_scale(&self) -> f32 {
        self.dropout.map_or(1.0, |(mask, _)| mask.scale() as f32)
    }

    /// Stream with each token decayed to the end of the window; in `room` if there is decay.
    pub(super) fn written<'b>(&self, v: Shared<'b>, room: &'b mut Room) -> Shared<'b> {
        if self.powers.is_none() {
            return v;
        }
        self.faded(room)
    }

    /// [`written`](Self::written) where there is decay.
    pub(super) fn faded<'b>(&self, room: &'b mut Room) -> Shared<'b> {
        room.share_scaled(self.precision, self.v, self.sizes.width, |s| self.left_at_end(s))
    }

    /// Whether gradients of memories are needed: for keys and values, or for slopes.
    pub(super) fn remembers_back(&self) -> bool {
        self.credit == Credit::Full || self.slopes
    }
}

/// Copies what is below the diagonal above it, block by block, and clears the diagonal.
fn mirror(square: &mut [f32], side: usize) {
    const BLOCK: usize = 16;
    for rows in (0..side).step_by(BLOCK) {
        for columns in (0..=rows).step_by(BLOCK) {
            for t in rows..(rows + BLOCK).min(side) {
                for s in columns..(columns + BLOCK).min(t) {
                    square[s * side + t] = square[t * side + s];
                }
            }
        }
    }
    (0..side).for_each(|t| square[t * side + t] = 0.0);
}
