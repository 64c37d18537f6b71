//! The gradient of the scan on the processor: chunks of tokens from the last to the first, states computed again within each.

use super::cpu::{CHUNK, Channels, Lane, Scan, WIDTH, load, store, tasks};
use crate::backend::selective_scan::SelectiveScanOn;
use crate::flex::{contiguous, tensor};
use crate::simd::{exp, fold, softplus, vectorized};
use burn::backend::Flex;
use burn_flex::FlexTensor;
use std::ops::Range;

/// Tasks that a scan is cut into at least, where it has so many blocks of channels.
const TASKS: usize = 8;

/// Gradients of some blocks of a lane.
pub(crate) struct Part {
    /// Of the inputs and of the logits of the steps, block by block.
    x: Vec<Channels>,
    logits: Vec<Channels>,
    /// Of the directions, `[T, S]`.
    b: Vec<f32>,
    c: Vec<f32>,
    /// Of the rates, and of the states before the window, block by block.
    rates: Vec<Channels>,
    memory: Vec<Channels>,
    /// Of the share that passes by.
    skip: Vec<Channels>,
}

/// What a thread works in: states, decays and steps of a chunk, and sums over blocks of the gradients of the directions.
pub(crate) struct Work {
    h: Vec<Channels>,
    decays: Vec<Channels>,
    steps: Vec<Channels>,
    b: Vec<Channels>,
    c: Vec<Channels>,
}

/// The gradients of x, logits, rates, b, c, skip and the memory, from that of outputs and states, `[B, T + S, E]`.
pub(crate) fn selective_scan_back(
    on: &SelectiveScanOn<Flex>,
    kept: FlexTensor,
    d: FlexTensor,
) -> [FlexTensor; 7] {
    let (scan, kept, d) = (Scan::new(on), contiguous(kept), contiguous(d));
    let groups = scan.blocks().min(TASKS.div_ceil(scan.lanes.max(1))).max(1);
    let of_group = scan.blocks().div_ceil(groups);
    let parts = tasks(scan.lanes * groups, scan.is_small(), |task| {
        let (lane, group) = (task / groups, task % groups);
        let blocks = group * of_group..((group + 1) * of_group).min(scan.blocks());
        part(
            &scan,
            on.resets.of_lane(lane),
            lane,
            blocks,
            kept.storage(),
            d.storage(),
        )
    });
    gathered(&scan, &parts, groups, of_group)
}

/// Gradients of some blocks of a lane.
fn part(scan: &Scan, resets: &[usize], lane: usize, blocks: Range<usize>, kept: &[f32], d: &[f32]) -> Part {
    let (tokens, states, count) = (scan.tokens, scan.states, blocks.len());
    let size = (tokens + states) * scan.channels;
    let (dy, dh) = d[lane * size..(lane + 1) * size].split_at(tokens * scan.channels);
    let zeros = |count: usize| vec![[0.0; WIDTH]; count];
    let mut part = Part {
        x: zeros(count * tokens),
        logits: zeros(count * tokens),
        b: vec![0.0; tokens * states],
        c: vec![0.0; tokens * states],
        rates: zeros(count * states),
        memory: (blocks.clone())
            .flat_map(|block| dh.chunks_exact(scan.channels).map(move |row| load(row, block)))
            .collect(),
        skip: zeros(count),
    };
    let mut work = Work {
        h: zeros((CHUNK + 1) * states),
        decays: zeros(CHUNK * states),
        steps: zeros(CHUNK),
        b: zeros(CHUNK * states),
        c: zeros(CHUNK * states),
    };
    let rates: Vec<_> = blocks.clone().map(|block| scan.rates(block)).collect();
    let (of_lane, size) = (scan.lane(lane, resets), states * WIDTH);
    for chunk in (0..scan.chunks()).rev() {
        let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(tokens);
        work.b.fill([0.0; WIDTH]);
        work.c.fill([0.0; WIDTH]);
        for (number, block) in blocks.clone().enumerate() {
            let at = ((lane * scan.blocks() + block) * scan.chunks() + chunk) * size;
            let place = Place {
                range: range.clone(),
                block,
                number,
                tokens,
            };
            again(of_lane, &place, &rates[number], &kept[at..at + size], &mut work);
            back(
                of_lane,
                &place,
                &rates[number],
                scan.skip(block),
                dy,
                &mut work,
                &mut part,
            );
        }
        let rows = range.start * states..range.end * states;
        let sum = |all: &Channels| fold(*all, |a, b| a + b);
        for (to, from) in part.b[rows.clone()].iter_mut().zip(&work.b) {
            *to = sum(from);
        }
        for (to, from) in part.c[rows].iter_mut().zip(&work.c) {
            *to = sum(from);
        }
    }
    part
}

/// A chunk of tokens of a block.
pub(crate) struct Place {
    range: Range<usize>,
    block: usize,
    /// Number of the block in its part.
    number: usize,
    tokens: usize,
}

vectorized! {
    /// States, decays and steps of a chunk, from the states before it.
    again(lane: Lane<'_>, place: &Place, rates: &[Channels], kept: &[f32], work: &mut Work) {
        let states = rates.len();
        work.h[..states].as_flattened_mut().copy_from_slice(kept);
        for (index, t) in place.range.clone().enumerate() {
            let row = t * lane.channels..(t + 1) * lane.channels;
            let (x, mut step) = (load(&lane.x[row.clone()], place.block), load(&lane.logits[row], place.block));
            let open = if lane.resets.binary_search(&t).is_ok() { 0.0 } else { 1.0 };
            step.iter_mut().for_each(|step| *step = softplus(*step));
            work.steps[index] = step;
            let (before, after) = work.h[index * states..(index + 2) * states].split_at_mut(states);
            let decays = &mut work.decays[index * states..(index + 1) * states];
            for s in 0..states {
                let b = lane.b[t * states + s];
                for k in 0..WIDTH {
                    let decay = exp(-(step[k] * rates[s][k])) * open;
                    decays[s][k] = decay;
                    after[s][k] = decay * before[s][k] + step[k] * x[k] * b;
                }
            }
        }
    }

    /// The gradients of a chunk; `part.memory` is the gradient of the states after it, and then of those before it.
    back(lane: Lane<'_>, place: &Place, rates: &[Channels], skip: Channels, dy: &[f32], work: &mut Work, part: &mut Part) {
        let states = rates.len();
        let own = place.number * states..(place.number + 1) * states;
        let (carried, d_rates) = (&mut part.memory[own.clone()], &mut part.rates[own]);
        for (index, t) in place.range.clone().enumerate().rev() {
            let row = t * lane.channels..(t + 1) * lane.channels;
            let (x, dy) = (load(&lane.x[row.clone()], place.block), load(&dy[row], place.block));
            let step = work.steps[index];
            let (mut d_write, mut d_step) = ([0.0; WIDTH], [0.0; WIDTH]);
            let of_token = index * states..(index + 1) * states;
            let (before, after) = work.h[index * states..(index + 2) * states].split_at(states);
            let decays = &work.decays[of_token.clone()];
            let (d_b, d_c) = (&mut work.b[of_token.clone()], &mut work.c[of_token]);
            for s in 0..states {
                let (b, c) = (lane.b[t * states + s], lane.c[t * states + s]);
                for k in 0..WIDTH {
                    let d_h = carried[s][k] + c * dy[k];
                    d_c[s][k] += dy[k] * after[s][k];
                    d_b[s][k] += d_h * step[k] * x[k];
                    d_write[k] += d_h * b;
                    let d_before = d_h * decays[s][k];
                    let d_exponent = d_before * before[s][k];
                    d_rates[s][k] -= d_exponent * step[k];
                    d_step[k] -= d_exponent * rates[s][k];
                    carried[s][k] = d_before;
                }
            }
            let at = place.number * place.tokens + t;
            for k in 0..WIDTH {
                part.skip[place.number][k] += dy[k] * x[k];
                part.x[at][k] = d_write[k] * step[k] + skip[k] * dy[k];
                // The slope of softplus is 1 - exp(-softplus).
                part.logits[at][k] = (d_step[k] + d_write[k] * x[k]) * (1.0 - exp(-step[k]));
            }
        }
    }
}

/// All gradients, from those of the parts: sums over lanes and parts in their order.
fn gathered(scan: &Scan, parts: &[Part], groups: usize, of_group: usize) -> [FlexTensor; 7] {
    let (tokens, channels, states) = (scan.tokens, scan.channels, scan.states);
    let mut x = vec![0.0; scan.lanes * tokens * channels];
    let mut logits = x.clone();
    let mut memory = vec![0.0; scan.lanes * states * channels];
    let [mut b, mut c] = [(); 2].map(|()| vec![0.0; scan.lanes * tokens * states]);
    let (mut rates, mut skip) = (vec![0.0; states * channels], vec![0.0; channels]);
    for (task, part) in parts.iter().enumerate() {
        let (lane, first) = (task / groups, task % groups * of_group);
        let of_lane = lane * tokens * states..(lane + 1) * tokens * states;
        add(&mut b[of_lane.clone()], &part.b);
        add(&mut c[of_lane], &part.c);
        for number in 0..part.skip.len() {
            let block = first + number;
            let rows = |all: &mut [f32], from: &[Channels], count: usize| {
                let size = count * channels;
                let rows = all[lane * size..(lane + 1) * size].chunks_exact_mut(channels);
                let from = &from[number * count..(number + 1) * count];
                rows.zip(from).for_each(|(row, from)| store(from, row, block));
            };
            rows(&mut x, &part.x, tokens);
            rows(&mut logits, &part.logits, tokens);
            rows(&mut memory, &part.memory, states);
            let of_states = &part.rates[number * states..(number + 1) * states];
            for (row, from) in rates.chunks_exact_mut(channels).zip(of_states) {
                let mut sum = load(row, block);
                add(&mut sum, from);
                store(&sum, row, block);
            }
            let mut sum = load(&skip, block);
            add(&mut sum, &part.skip[number]);
            store(&sum, &mut skip, block);
        }
    }
    let lanes = scan.lanes;
    [
        tensor(x, [lanes, tokens, channels]),
        tensor(logits, [lanes, tokens, channels]),
        tensor(rates, [states, channels]),
        tensor(b, [lanes, tokens, states]),
        tensor(c, [lanes, tokens, states]),
        tensor(skip, [channels]),
        tensor(memory, [lanes, states, channels]),
    ]
}

/// Adds to each number another.
fn add(to: &mut [f32], other: &[f32]) {
    to.iter_mut().zip(other).for_each(|(to, other)| *to += other);
}
