//! The scan on the processor: sixteen channels side by side, through all tokens of a lane.

use crate::backend::selective_scan::SelectiveScanOn;
use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use crate::simd::{exp, softplus, vectorized};
use burn::backend::Flex;
use burn_flex::FlexTensor;

/// Number of channels side by side.
pub(super) const WIDTH: usize = 16;

/// Tokens between two kept states.
pub(super) const CHUNK: usize = 16;

/// Steps of states, below which a scan wakes no thread.
const SMALL: usize = 1 << 17;

/// One number of each of the channels side by side.
pub(crate) type Channels = [f32; WIDTH];

/// A scan as plain memory.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(super) lanes: usize,
    pub(super) tokens: usize,
    pub(super) channels: usize,
    pub(super) states: usize,
    x: FlexTensor,
    logits: FlexTensor,
    rates: FlexTensor,
    b: FlexTensor,
    c: FlexTensor,
    skip: FlexTensor,
    memory: FlexTensor,
}

/// A lane of a scan.
#[derive(Clone, Copy)]
pub(crate) struct Lane<'a> {
    pub(super) channels: usize,
    pub(super) x: &'a [f32],
    pub(super) logits: &'a [f32],
    pub(super) b: &'a [f32],
    pub(super) c: &'a [f32],
    pub(super) resets: &'a [usize],
}

impl Scan {
    pub(super) fn new(on: &SelectiveScanOn<Flex>) -> Self {
        let shape = on.x.layout().shape().clone();
        let of = |tensor: &FlexTensor| contiguous(tensor.clone());
        Self {
            lanes: shape[0],
            tokens: shape[1],
            channels: shape[2],
            states: on.rates.layout().shape()[0],
            x: of(&on.x),
            logits: of(&on.logits),
            rates: of(&on.rates),
            b: of(&on.b),
            c: of(&on.c),
            skip: of(&on.skip),
            memory: of(&on.memory),
        }
    }

    /// Number of groups of channels side by side.
    pub(super) fn blocks(&self) -> usize {
        self.channels.div_ceil(WIDTH)
    }

    /// Number of kept states of a lane.
    pub(super) fn chunks(&self) -> usize {
        self.tokens.div_ceil(CHUNK)
    }

    /// Whether the scan is so small that it should wake no thread.
    pub(super) fn is_small(&self) -> bool {
        self.lanes * self.tokens * self.channels * self.states < SMALL
    }

    pub(super) fn lane<'a>(&'a self, lane: usize, resets: &'a [usize]) -> Lane<'a> {
        let rows = |tensor: &'a FlexTensor, width: usize| {
            let size = self.tokens * width;
            &tensor.storage::<f32>()[lane * size..(lane + 1) * size]
        };
        Lane {
            channels: self.channels,
            x: rows(&self.x, self.channels),
            logits: rows(&self.logits, self.channels),
            b: rows(&self.b, self.states),
            c: rows(&self.c, self.states),
            resets,
        }
    }

    /// Rates of a block, state by state.
    pub(super) fn rates(&self, block: usize) -> Vec<Channels> {
        let rows = self.rates.storage::<f32>().chunks_exact(self.channels);
        rows.map(|row| load(row, block)).collect()
    }

    /// Shares that pass by, of a block.
    pub(super) fn skip(&self, block: usize) -> Channels {
        load(self.skip.storage(), block)
    }

    /// States of a block before the window.
    pub(super) fn memory(&self, lane: usize, block: usize) -> Vec<Channels> {
        let size = self.states * self.channels;
        let rows = self.memory.storage::<f32>()[lane * size..(lane + 1) * size].chunks_exact(self.channels);
        rows.map(|row| load(row, block)).collect()
    }
}

/// The channels of a block in a row; zeros behind its end.
#[inline(always)]
pub(super) fn load(row: &[f32], block: usize) -> Channels {
    let rest = &row[block * WIDTH..];
    match rest.first_chunk() {
        Some(channels) => *channels,
        None => {
            let mut channels = [0.0; WIDTH];
            channels[..rest.len()].copy_from_slice(rest);
            channels
        }
    }
}

/// The inverse of [`load`].
#[inline(always)]
pub(super) fn store(channels: &Channels, row: &mut [f32], block: usize) {
    let rest = &mut row[block * WIDTH..];
    let count = rest.len().min(WIDTH);
    rest[..count].copy_from_slice(&channels[..count]);
}

/// Results of `count` tasks in order: on all threads, or on this one.
pub(super) fn tasks<T: Send>(count: usize, small: bool, task: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if small {
        (0..count).map(task).collect()
    } else {
        (0..count).into_par_iter().map(task).collect()
    }
}

/// What a block of a lane gives: outputs, the states after the window, and those at each chunk's begin.
pub(crate) struct Block {
    outputs: Vec<Channels>,
    states: Vec<Channels>,
    kept: Vec<Channels>,
}

/// Outputs and states after the window, `[B, T + S, E]`; if asked for, the states before every chunk, `[B, blocks, chunks, S, 16]`.
pub(crate) fn selective_scan(on: &SelectiveScanOn<Flex>, keep: bool) -> (FlexTensor, Option<FlexTensor>) {
    let scan = Scan::new(on);
    let (blocks, states) = (scan.blocks(), scan.states);
    let done = tasks(scan.lanes * blocks, scan.is_small(), |task| {
        let (lane, block) = (task / blocks, task % blocks);
        let mut done = Block {
            outputs: vec![[0.0; WIDTH]; scan.tokens],
            states: scan.memory(lane, block),
            kept: Vec::new(),
        };
        let rates = scan.rates(block);
        let lane = scan.lane(lane, on.resets.of_lane(lane));
        run(lane, block, &rates, scan.skip(block), &mut done, keep);
        done
    });
    let (channels, rows) = (scan.channels, scan.tokens + states);
    let mut all = vec![0.0; scan.lanes * rows * channels];
    all.par_chunks_mut((rows * channels).max(1))
        .zip(done.par_chunks(blocks.max(1)))
        .for_each(|(lane, blocks)| {
            for (number, block) in blocks.iter().enumerate() {
                let of_block = block.outputs.iter().chain(&block.states);
                for (row, given) in lane.chunks_exact_mut(channels).zip(of_block) {
                    store(given, row, number);
                }
            }
        });
    let kept = keep.then(|| {
        let kept: Vec<f32> = done
            .iter()
            .flat_map(|block| block.kept.as_flattened())
            .copied()
            .collect();
        tensor(kept, [scan.lanes, blocks, scan.chunks(), states, WIDTH])
    });
    (tensor(all, [scan.lanes, rows, channels]), kept)
}

vectorized! {
    /// A block of a lane through all tokens.
    run(lane: Lane<'_>, block: usize, rates: &[Channels], skip: Channels, done: &mut Block, keep: bool) {
        let (states, h) = (rates.len(), &mut done.states[..]);
        let rows = lane.x.chunks_exact(lane.channels).zip(lane.logits.chunks_exact(lane.channels));
        let directions = lane.b.chunks_exact(states).zip(lane.c.chunks_exact(states));
        for (t, (((x, logits), (b, c)), output)) in rows.zip(directions).zip(&mut done.outputs).enumerate() {
            if keep && t % CHUNK == 0 {
                done.kept.extend_from_slice(h);
            }
            if lane.resets.binary_search(&t).is_ok() {
                h.fill([0.0; WIDTH]);
            }
            let (x, mut step, mut write, mut y) = (load(x, block), load(logits, block), [0.0; WIDTH], [0.0; WIDTH]);
            for k in 0..WIDTH {
                step[k] = softplus(step[k]);
                write[k] = step[k] * x[k];
                y[k] = skip[k] * x[k];
            }
            for (((h, rates), b), c) in h.iter_mut().zip(rates).zip(b).zip(c) {
                for k in 0..WIDTH {
                    h[k] = exp(-(step[k] * rates[k])) * h[k] + write[k] * b;
                    y[k] += h[k] * c;
                }
            }
            *output = y;
        }
    }
}
