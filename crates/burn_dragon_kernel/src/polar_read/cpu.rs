//! Polar scores and their gradient on the processor: a head of a lane is a task, a tile of its neurons at a time.
//!
//! A tile of queries or keys has a row `[first numbers, second numbers]` for each token.

use crate::buffer::Buffer;
use crate::flex::{contiguous, tensor};
use crate::matrix::{Matrix, Precision};
use crate::parallel::*;
use crate::simd::vectorized;
use burn_flex::FlexTensor;
use std::ops::Range;

/// Numbers of a tile of queries: 256 KiB, an eighth of a core's second-level cache.
const TILE: usize = 1 << 16;

/// Rows of a block of scores; blocks above the diagonal are never computed.
const BLOCK: usize = 64;

/// What scores are made of: lengths, phases, cosines and sines.
struct Operands<'a> {
    heads: usize,
    tokens: usize,
    neurons: usize,
    /// `[B, H, T, N]`.
    lengths: &'a [f32],
    /// Cosines and sines of the phases, each `[H, N]`.
    turns: [Vec<f32>; 2],
    /// Cosines and sines of the positions, each `[1 or B, T, N]`.
    tables: [&'a [f32]; 2],
}

/// The operands of a task.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    tokens: usize,
    neurons: usize,
    /// `[T, N]`.
    lengths: &'a [f32],
    /// Each `[N]`.
    turns: [&'a [f32]; 2],
    /// Each `[T, N]`.
    tables: [&'a [f32]; 2],
}

impl<'a> Operands<'a> {
    fn new([lengths, phase, cos, sin]: &'a [FlexTensor; 4]) -> Self {
        let [heads, tokens, neurons] = [1, 2, 3].map(|axis| lengths.layout().shape()[axis]);
        let phase = phase.storage::<f32>();
        Self {
            heads,
            tokens,
            neurons,
            lengths: lengths.storage(),
            turns: [f32::cos, f32::sin].map(|of| phase.iter().copied().map(of).collect()),
            tables: [cos.storage(), sin.storage()],
        }
    }

    /// Operands of a head of a lane, by their common number.
    fn head(&'a self, index: usize) -> Head<'a> {
        let (lane, head, size) = (index / self.heads, index % self.heads, self.tokens * self.neurons);
        Head {
            tokens: self.tokens,
            neurons: self.neurons,
            lengths: &self.lengths[index * size..][..size],
            turns: [0, 1].map(|part| &self.turns[part][head * self.neurons..][..self.neurons]),
            tables: self.tables.map(|table| {
                let lane = if table.len() == size { 0 } else { lane };
                &table[lane * size..][..size]
            }),
        }
    }
}

impl Head<'_> {
    /// Neurons of each tile.
    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (width, neurons) = ((TILE / (2 * self.tokens.max(1))).clamp(16, 512), self.neurons);
        (0..neurons)
            .step_by(width)
            .map(move |first| first..(first + width).min(neurons))
    }

    /// Tokens of each block.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let tokens = self.tokens;
        (0..tokens)
            .step_by(BLOCK)
            .map(move |first| first..(first + BLOCK).min(tokens))
    }

    /// Adds the scores of a tile.
    fn add_scores(&self, scores: &mut [f32], q: &[f32], k: &[f32], width: usize) {
        for block in self.blocks() {
            let left = Matrix::new(&q[block.start * width..], block.len(), width, width);
            let right = Matrix::new(k, block.end, width, width).transposed();
            let scores = &mut scores[block.start * self.tokens..];
            Precision::F32.multiply(scores, self.tokens, left, right, true);
        }
    }

    /// Gradients of a tile's queries and keys from that of the scores, which is 0 above the diagonal.
    fn back(&self, d: &[f32], [q, k]: [&[f32]; 2], [dq, dk]: [&mut [f32]; 2], width: usize) {
        for block in self.blocks() {
            let (first, rest) = (block.start, self.tokens - block.start);
            let left = Matrix::new(&d[first * self.tokens..], block.len(), block.end, self.tokens);
            let right = Matrix::new(k, block.end, width, width);
            Precision::F32.multiply(&mut dq[first * width..], width, left, right, false);
            let left = Matrix::new(&d[first * self.tokens + first..], rest, block.len(), self.tokens);
            let right = Matrix::new(&q[first * width..], rest, width, width);
            Precision::F32.multiply(&mut dk[first * width..], width, left.transposed(), right, false);
        }
    }

    /// Sets entries on and above the diagonal to 0.
    fn mask(&self, scores: &mut [f32]) {
        for (token, row) in scores.chunks_exact_mut(self.tokens).enumerate() {
            row[token..].fill(0.0);
        }
    }
}

/// `[B, H, T, T]`.
pub(crate) fn scores(inputs: &[FlexTensor; 4]) -> FlexTensor {
    let inputs = inputs.clone().map(contiguous);
    let operands = Operands::new(&inputs);
    let [lanes, heads, tokens] = [0, 1, 2].map(|axis| inputs[0].layout().shape()[axis]);
    let mut scores = vec![0.0; lanes * heads * tokens * tokens];
    scores
        .par_chunks_exact_mut(tokens * tokens)
        .enumerate()
        .for_each(|(index, scores)| {
            let (head, [mut q, mut k]) = (operands.head(index), <[Buffer; 2]>::default());
            for tile in head.tiles() {
                let (width, size) = (2 * tile.len(), 2 * tile.len() * tokens);
                let (q, k) = (q.sized(size), k.sized(size));
                make(q, k, head, tile);
                head.add_scores(scores, q, k, width);
            }
            head.mask(scores);
        });
    tensor(scores, [lanes, heads, tokens, tokens])
}

/// Gradients of the lengths and phases.
pub(crate) fn scores_back(inputs: &[FlexTensor; 4], d: FlexTensor) -> [FlexTensor; 2] {
    let inputs = inputs.clone().map(contiguous);
    let mut d = contiguous(d);
    let operands = Operands::new(&inputs);
    let (tokens, neurons) = (operands.tokens, operands.neurons);
    let mut lengths = vec![0.0; operands.lengths.len()];
    let mut phases = vec![0.0; operands.lengths.len() / tokens];
    d.storage_mut::<f32>()
        .par_chunks_exact_mut(tokens * tokens)
        .zip(lengths.par_chunks_exact_mut(tokens * neurons))
        .zip(phases.par_chunks_exact_mut(neurons))
        .enumerate()
        .for_each(|(index, ((d, lengths), phases))| {
            let (head, mut buffers) = (operands.head(index), <[Buffer; 4]>::default());
            head.mask(d);
            for tile in head.tiles() {
                let (width, size) = (2 * tile.len(), 2 * tile.len() * tokens);
                let [q, k, dq, dk] = buffers.each_mut().map(|buffer| buffer.sized(size));
                make(q, k, head, tile.clone());
                head.back(d, [q, k], [dq, dk], width);
                gather(lengths, &mut phases[tile.clone()], [dq, dk], head, tile);
            }
        });
    let heads = operands.heads;
    let mut sums = vec![0.0; heads * neurons];
    for lane in phases.chunks_exact(heads * neurons) {
        sums.iter_mut().zip(lane).for_each(|(sum, phase)| *sum += phase);
    }
    [
        tensor(lengths, inputs[0].layout().shape().clone()),
        tensor(sums, inputs[1].layout().shape().clone()),
    ]
}

vectorized! {
    /// Queries and keys of a tile.
    make(q: &mut [f32], k: &mut [f32], head: Head<'_>, tile: Range<usize>) {
        let (width, size) = (tile.len(), head.neurons);
        let [turn_cos, turn_sin] = head.turns.map(|turn| &turn[tile.clone()]);
        let rows = q.chunks_exact_mut(2 * width).zip(k.chunks_exact_mut(2 * width));
        for (token, (q, k)) in rows.enumerate() {
            let at = token * size + tile.start..token * size + tile.end;
            let (lengths, [cos, sin]) = (&head.lengths[at.clone()], head.tables.map(|table| &table[at.clone()]));
            let ((q_cos, q_sin), (k_cos, k_sin)) = (q.split_at_mut(width), k.split_at_mut(width));
            let outputs = q_cos.iter_mut().zip(q_sin).zip(k_cos.iter_mut().zip(k_sin));
            let inputs = lengths.iter().zip(cos.iter().zip(sin)).zip(turn_cos.iter().zip(turn_sin));
            for (((q_cos, q_sin), (k_cos, k_sin)), ((length, (cos, sin)), (c, s))) in outputs.zip(inputs) {
                *q_cos = length * cos;
                *q_sin = length * sin;
                *k_cos = length * (cos * c - sin * s);
                *k_sin = length * (sin * c + cos * s);
            }
        }
    }

    /// Gradients of a tile's lengths and phases from those of its queries and keys.
    gather(lengths: &mut [f32], phases: &mut [f32], d: [&[f32]; 2], head: Head<'_>, tile: Range<usize>) {
        let (width, size, [dq, dk]) = (tile.len(), head.neurons, d);
        let [turn_cos, turn_sin] = head.turns.map(|turn| &turn[tile.clone()]);
        let rows = dq.chunks_exact(2 * width).zip(dk.chunks_exact(2 * width));
        for (token, (dq, dk)) in rows.enumerate() {
            let at = token * size + tile.start..token * size + tile.end;
            let (into, [cos, sin]) = (&mut lengths[at.clone()], head.tables.map(|table| &table[at.clone()]));
            let ((dq_cos, dq_sin), (dk_cos, dk_sin)) = (dq.split_at(width), dk.split_at(width));
            let gradients = dq_cos.iter().zip(dq_sin).zip(dk_cos.iter().zip(dk_sin));
            let angles = cos.iter().zip(sin).zip(turn_cos.iter().zip(turn_sin));
            let outputs = into.iter_mut().zip(phases.iter_mut()).zip(&head.lengths[at.clone()]);
            for ((((into, phase), length), ((dq_cos, dq_sin), (dk_cos, dk_sin))), ((cos, sin), (c, s)))
                in outputs.zip(gradients).zip(angles)
            {
                let (further_cos, further_sin) = (cos * c - sin * s, sin * c + cos * s);
                *into = dq_cos * cos + dq_sin * sin + dk_cos * further_cos + dk_sin * further_sin;
                *phase += length * (dk_sin * further_cos - dk_cos * further_sin);
            }
        }
    }
}
