//! The convolution on the processor: rows of channels by vectors, pieces of a lane on all threads.

use crate::backend::short_convolution::ShortConvolutionOn;
use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use crate::simd::{sigmoid, vectorized};
use burn::backend::Flex;
use burn_flex::FlexTensor;

/// Tokens of a task.
const TASK: usize = 64;

/// Numbers of a task, below which a convolution wakes no thread.
const SMALL: usize = 1 << 14;

/// A convolution as plain memory.
struct Convolution {
    lanes: usize,
    tokens: usize,
    channels: usize,
    taps: usize,
    x: FlexTensor,
    weights: FlexTensor,
    bias: FlexTensor,
    tail: FlexTensor,
}

/// A lane of a convolution.
#[derive(Clone, Copy)]
pub(crate) struct Lane<'a> {
    channels: usize,
    taps: usize,
    x: &'a [f32],
    tail: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    resets: &'a [usize],
}

impl Convolution {
    fn new(on: &ShortConvolutionOn<Flex>) -> Self {
        let shape = on.x.layout().shape().clone();
        let of = |tensor: &FlexTensor| contiguous(tensor.clone());
        Self {
            lanes: shape[0],
            tokens: shape[1],
            channels: shape[2],
            taps: on.taps.layout().shape()[0],
            x: of(&on.x),
            weights: of(&on.taps),
            bias: of(&on.bias),
            tail: of(&on.tail),
        }
    }

    fn lane<'a>(&'a self, lane: usize, resets: &'a [usize]) -> Lane<'a> {
        let rows = |tensor: &'a FlexTensor, rows: usize| {
            let size = rows * self.channels;
            &tensor.storage::<f32>()[lane * size..(lane + 1) * size]
        };
        Lane {
            channels: self.channels,
            taps: self.taps,
            x: rows(&self.x, self.tokens),
            tail: rows(&self.tail, self.taps - 1),
            weights: self.weights.storage(),
            bias: self.bias.storage(),
            resets,
        }
    }
}

impl Lane<'_> {
    /// Number of tokens that token `t` knows, itself included; at most one for each tap.
    fn known(&self, t: usize) -> usize {
        let before = self.resets.partition_point(|&reset| reset <= t);
        let reset = before.checked_sub(1).map(|last| self.resets[last]);
        reset.map_or(self.taps, |reset| (t - reset + 1).min(self.taps))
    }

    /// Input of the token so far before token `t`: in the window, or in the tail.
    fn input(&self, t: usize, back: usize) -> &[f32] {
        let row = |rows, index: usize| -> &[f32] {
            let rows: &[f32] = rows;
            &rows[index * self.channels..(index + 1) * self.channels]
        };
        match t.checked_sub(back) {
            Some(token) => row(self.x, token),
            None => row(self.tail, t + self.taps - 1 - back),
        }
    }

    /// Weights of the token so far back.
    fn tap(&self, back: usize) -> &[f32] {
        let tap = self.taps - 1 - back;
        &self.weights[tap * self.channels..(tap + 1) * self.channels]
    }
}

/// Outputs, `[B, T, E]`.
pub(crate) fn short_convolution(on: &ShortConvolutionOn<Flex>) -> FlexTensor {
    let all = Convolution::new(on);
    let size = all.tokens * all.channels;
    let mut outputs = vec![0.0; all.lanes * size];
    let each = |(lane, outputs): (usize, &mut [f32])| {
        let lane = all.lane(lane, on.resets.of_lane(lane));
        if size < SMALL {
            return forward(lane, 0, outputs);
        }
        let pieces = outputs.par_chunks_mut(TASK * all.channels).enumerate();
        pieces.for_each(|(piece, outputs)| forward(lane, piece * TASK, outputs));
    };
    if outputs.len() < SMALL {
        outputs.chunks_mut(size.max(1)).enumerate().for_each(each);
    } else {
        outputs.par_chunks_mut(size).enumerate().for_each(each);
    }
    tensor(outputs, [all.lanes, all.tokens, all.channels])
}

/// Gradients of a lane.
pub(crate) struct Gradients {
    x: Vec<f32>,
    tail: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// The gradients of x, taps, bias and tail.
pub(crate) fn short_convolution_back(on: &ShortConvolutionOn<Flex>, d: FlexTensor) -> [FlexTensor; 4] {
    let (all, d) = (Convolution::new(on), contiguous(d));
    let (size, of_taps) = (all.tokens * all.channels, all.taps * all.channels);
    let lanes: Vec<Gradients> = (0..all.lanes)
        .into_par_iter()
        .map(|lane| {
            let mut found = Gradients {
                x: vec![0.0; size],
                tail: vec![0.0; of_taps - all.channels],
                weights: vec![0.0; of_taps],
                bias: vec![0.0; all.channels],
            };
            let d = &d.storage::<f32>()[lane * size..(lane + 1) * size];
            backward(all.lane(lane, on.resets.of_lane(lane)), d, &mut found);
            found
        })
        .collect();
    let together =
        |of: fn(&Gradients) -> &[f32]| -> Vec<f32> { lanes.iter().flat_map(of).copied().collect() };
    let sum = |of: fn(&Gradients) -> &[f32], size: usize| {
        let mut sum = vec![0.0; size];
        for lane in &lanes {
            sum.iter_mut()
                .zip(of(lane))
                .for_each(|(sum, of_lane)| *sum += of_lane);
        }
        sum
    };
    [
        tensor(together(|lane| &lane.x), [all.lanes, all.tokens, all.channels]),
        tensor(sum(|lane| &lane.weights, of_taps), [all.taps, all.channels]),
        tensor(sum(|lane| &lane.bias, all.channels), [all.channels]),
        tensor(
            together(|lane| &lane.tail),
            [all.lanes, all.taps - 1, all.channels],
        ),
    ]
}

/// Adds the products of two rows to a third.
#[inline(always)]
fn add_products(to: &mut [f32], left: &[f32], right: &[f32]) {
    to.iter_mut()
        .zip(left.iter().zip(right))
        .for_each(|(to, (left, right))| *to += left * right);
}

vectorized! {
    /// Outputs of some tokens of a lane, the first of which is token `first`.
    forward(lane: Lane<'_>, first: usize, outputs: &mut [f32]) {
        for (index, output) in outputs.chunks_exact_mut(lane.channels).enumerate() {
            sums(lane, first + index, output);
            output.iter_mut().for_each(|p| *p *= sigmoid(*p));
        }
    }

    /// Gradients of a lane from those of its outputs.
    backward(lane: Lane<'_>, d: &[f32], found: &mut Gradients) {
        let width = lane.channels;
        let mut slope = vec![0.0; width];
        for (t, d) in d.chunks_exact(width).enumerate() {
            sums(lane, t, &mut slope);
            for (p, d) in slope.iter_mut().zip(d) {
                let open = sigmoid(*p);
                *p = d * open * (1.0 + *p * (1.0 - open));
            }
            found.bias.iter_mut().zip(&slope).for_each(|(bias, d)| *bias += d);
            for back in 0..lane.known(t) {
                let tap = lane.taps - 1 - back;
                add_products(&mut found.weights[tap * width..(tap + 1) * width], &slope, lane.input(t, back));
                let (rows, row) = match t.checked_sub(back) {
                    Some(token) => (&mut found.x, token),
                    None => (&mut found.tail, t + tap),
                };
                add_products(&mut rows[row * width..(row + 1) * width], &slope, lane.tap(back));
            }
        }
    }
}

/// What SiLU is taken of, for a token.
#[inline(always)]
fn sums(lane: Lane<'_>, t: usize, to: &mut [f32]) {
    to.copy_from_slice(lane.bias);
    for back in (0..lane.known(t)).rev() {
        add_products(to, lane.input(t, back), lane.tap(back));
    }
}
