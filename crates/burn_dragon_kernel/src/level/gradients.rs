//! Gradients of a level, collected by tasks of one head and some lanes each, and summed.

use super::elementwise::{add, transpose};
use crate::backend::level::Sizes;
use crate::buffer::Buffer;
use crate::parallel::*;
use std::ops::Range;

/// The gradients of the inputs of a level, or of half of one, each in its input's layout.
pub(super) struct Gradients {
    pub(super) v: Vec<f32>,
    pub(super) decoder_x: Vec<f32>,
    pub(super) decoder_y: Vec<f32>,
    pub(super) encoder: Vec<f32>,
    /// Gradients of the input that each head of each lane has of its own, `[B, H, ..]`: a carried memory that is not a
    /// constant, or the read.
    pub(super) own: Vec<f32>,
    /// Gradients of the slopes, `[H]`.
    pub(super) slopes: Vec<f32>,
}

/// The gradients that one head collects over some lanes.
pub(super) struct HeadGradients<'a> {
    pub(super) of_lanes: LaneGradients,
    pub(super) decoder_x: &'a mut [f32], // [N, D]; of fused products as its weights, [D, N]
    pub(super) decoder_y: &'a mut [f32], // the same
    pub(super) encoder: &'a mut [f32],   // [N, D]
    /// Whether the gradients of weights hold anything yet; if not, they may hold any numbers in fused products, and are
    /// zero otherwise.
    pub(super) is_begun: bool,
    pub(super) slope: f64, // of ln lambda
}

/// The gradients that one head has of each lane.
#[derive(Debug, Default)]
pub(super) struct LaneGradients {
    pub(super) v: Vec<Buffer>,   // [T, D]
    pub(super) own: Vec<Buffer>, // what it has for itself
}

/// Smallest number of tasks that the gradients are split into, if there are enough lanes. It does not depend on the
/// number of threads, so that sums have the same order on every machine.
const TASKS: usize = 8;

/// Memory layout of the gradients of weights in [`HeadGradients`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GradientLayout {
    /// `[N, D]`, zero at first.
    Rows,
    /// That of the weights; undefined at first.
    Weights,
}

/// What a task has collected: gradients of lanes, of the slope, and of weights in buffers of its own, if they did not go
/// to the sum at once.
struct Part {
    of_lanes: LaneGradients,
    slope: f64,
    weights: Option<[Buffer; 3]>,
}

/// The gradients of all heads; `collect(head, lanes, into)` adds those of one over some lanes.
pub(super) fn gather(
    sizes: Sizes,
    layout: GradientLayout,
    collect: impl Fn(usize, Range<usize>, &mut HeadGradients<'_>) + Sync + Send,
) -> Gradients {
    let Sizes {
        lanes,
        heads,
        tokens,
        neurons,
        width,
    } = sizes;
    let groups = TASKS.div_ceil(heads).min(lanes);
    let group_lanes = |group: usize| group * lanes / groups..(group + 1) * lanes / groups;
    let mut weights = [(); 3].map(|()| vec![0.0; heads * width * neurons]);
    let parts: Vec<Part> = targets(&mut weights, layout, groups, neurons * width)
        .into_par_iter()
        .enumerate()
        .map(|(task, target)| {
            let collect =
                |part: &mut HeadGradients<'_>| collect(task / groups, group_lanes(task % groups), part);
            Part::collect(target, neurons * width, collect)
        })
        .collect();
    let own = parts[0].of_lanes.own.first().map_or(0, |own| own.len());
    let mut v = vec![0.0; lanes * tokens * width];
    let mut owns = vec![0.0; lanes * heads * own];
    // Head after head, group after group: one order on every machine.
    for (task, part) in parts.iter().enumerate() {
        for (lane, part) in group_lanes(task % groups).zip(&part.of_lanes.v) {
            add(&mut v[lane * tokens * width..(lane + 1) * tokens * width], part);
        }
        for (lane, part) in group_lanes(task % groups).zip(&part.of_lanes.own) {
            let index = lane * heads + task / groups;
            owns[index * own..(index + 1) * own].copy_from_slice(part);
        }
    }
    let slopes = slopes(&parts, groups);
    sum_weights(&mut weights, parts, groups, sizes);
    let [decoder_x, decoder_y, encoder] = weights;
    Gradients {
        v,
        decoder_x,
        decoder_y,
        encoder,
        own: owns,
        slopes,
    }
}

/// The heads' parts of the sums for the first group of each head, if the layout is that of the sums.
fn targets(
    weights: &mut [Vec<f32>; 3],
    layout: GradientLayout,
    groups: usize,
    size: usize,
) -> Vec<Option<[&mut [f32]; 3]>> {
    let heads = of_heads(weights, size);
    let tasks = heads.flat_map(|head| {
        let mut first = (layout == GradientLayout::Weights).then_some(head);
        (0..groups).map(move |_| first.take())
    });
    tasks.collect()
}

/// The three matrices head by head.
fn of_heads(weights: &mut [Vec<f32>; 3], size: usize) -> impl Iterator<Item = [&mut [f32]; 3]> {
    let [x, y, encoder] = weights.each_mut().map(|matrix| matrix.chunks_exact_mut(size));
    x.zip(y).zip(encoder).map(|((x, y), encoder)| [x, y, encoder])
}

impl Part {
    /// What a task collects, in `target` or in buffers of its own, of `size` numbers each.
    fn collect(
        target: Option<[&mut [f32]; 3]>,
        size: usize,
        collect: impl FnOnce(&mut HeadGradients<'_>),
    ) -> Self {
        let mut own = target.is_none().then(|| [(); 3].map(|()| Buffer::zeros(size)));
        let [decoder_x, decoder_y, encoder] = match (target, &mut own) {
            (Some(target), _) => target,
            (None, Some(own)) => own.each_mut().map(|own| &mut **own),
            (None, None) => unreachable!("without a target it has its own"),
        };
        let mut part = HeadGradients {
            of_lanes: LaneGradients::default(),
            decoder_x,
            decoder_y,
            encoder,
            is_begun: false,
            slope: 0.0,
        };
        collect(&mut part);
        let HeadGradients { of_lanes, slope, .. } = part;
        Self {
            of_lanes,
            slope,
            weights: own,
        }
    }
}

/// Adds the groups of lanes of each head. If the first group has its own buffers, these are rows, which are then laid out
/// as the weights are.
fn sum_weights(weights: &mut [Vec<f32>; 3], mut parts: Vec<Part>, groups: usize, sizes: Sizes) {
    let size = sizes.neurons * sizes.width;
    let heads: Vec<_> = of_heads(weights, size).collect();
    heads
        .into_par_iter()
        .zip(parts.par_chunks_exact_mut(groups))
        .for_each(|(mut sums, parts)| {
            let (first, others) = parts
                .split_first_mut()
                .unwrap_or_else(|| unreachable!("a head has a group"));
            let others = others.iter().filter_map(|part| part.weights.as_ref());
            match &mut first.weights {
                None => others.for_each(|more| add_each(&mut sums, more)),
                Some(first) => {
                    others.for_each(|more| add_each(&mut first.each_mut().map(|own| &mut **own), more));
                    let [decoder_x, decoder_y, encoder] = sums;
                    transpose(&first[0], sizes.width, sizes.width, decoder_x);
                    transpose(&first[1], sizes.width, sizes.width, decoder_y);
                    encoder.copy_from_slice(&first[2]);
                }
            }
        });
}

fn add_each(sums: &mut [&mut [f32]; 3], more: &[Buffer; 3]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| add(sum, more));
}

/// The gradients of the slopes, summed over groups of lanes: a slope is `-ln lambda`.
fn slopes(parts: &[Part], groups: usize) -> Vec<f32> {
    let sum = |parts: &[Part]| parts.iter().map(|part| part.slope).sum::<f64>();
    parts
        .chunks_exact(groups)
        .map(|parts| -sum(parts) as f32)
        .collect()
}
