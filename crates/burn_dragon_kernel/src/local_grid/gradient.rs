//! The gradient of a step on a grid on the processor, by hand, in one pass over the memories.
//!
//! With `e_p` the gradient of what place p reads (times the factor of its read), `g_p` that of its memory after the step,
//! and `kept` and `written` the factors of what was there and of what is written (lambda or 1):
//!
//! ```text
//! d q_p   = (sum over p' in neighbours(p) of rho_p') e_p + written g_p v_p
//! d v_p   = written q_p g_p
//! d rho_p = kept g_p + sum over p' in neighbours(p) of q_p' (outer) e_p'      neighbours are mutual
//! d lambda = sum of g_p . rho_p, and of g_p . (q_p (outer) v_p) where what is written decays
//! ```
//!
//! The gradient of the memory before the step takes the place of that after it.

use super::cpu::{Kept, Plane, Planes, cut};
use super::rows::{add_times, for_blocks, part, sum_of_rows, weighted_sum};
use super::{Neighbours, WriteOrder};
use crate::backend::local_grid::{GridSizes, LocalGridBack, LocalGridGradients};
use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use crate::simd::{LANES, dot, fold, vectorized};
use burn::backend::Flex;
use burn_flex::FlexTensor;
use std::ops::Range;

/// The gradients of the inputs of a step.
pub(crate) fn local_grid_back(step: &Kept, back: LocalGridBack<Flex>) -> LocalGridGradients<Flex> {
    let planes = Planes::of(step);
    let read = back.read.map(|read| scaled(contiguous(read), &planes));
    let is_given = back.memory.is_some();
    let mut memory = back.memory.map(contiguous);
    if memory.is_none() && back.needs_rho {
        let zeros = vec![0.0; step.rho.layout().num_elements()];
        memory = Some(tensor(zeros, step.rho.layout().shape().clone()));
    }
    let options = Options {
        is_given,
        needs_rho: back.needs_rho,
        needs_slopes: back.needs_slopes,
    };
    let numbers = memory.as_mut().map(|memory| memory.storage_mut::<f32>());
    let read = read.as_ref().map(|read| read.storage::<f32>());
    let Found { query, value, fades } = bands_back(step, &planes, read, numbers, options);
    let sizes = planes.sizes;
    LocalGridGradients {
        query: tensor(query, [sizes.lanes, sizes.heads, sizes.places, sizes.neurons]),
        rho: memory.filter(|_| back.needs_rho),
        value: step
            .write
            .as_ref()
            .map(|write| value_back(value, write.shared, sizes)),
        slopes: back
            .needs_slopes
            .then(|| slopes_back(step, &planes.bands(), &fades)),
    }
}

/// Gradients that are given and needed.
#[derive(Clone, Copy)]
struct Options {
    /// Whether that of the memory after the step is given; it is 0 otherwise.
    is_given: bool,
    /// Whether that of the memory before the step is needed.
    needs_rho: bool,
    /// Whether those of the slopes are needed.
    needs_slopes: bool,
}

/// Gradients of queries and of the values of each head, and of the decay factor by band.
struct Found {
    query: Vec<f32>,
    value: Vec<f32>,
    fades: Vec<f64>,
}

/// A band of places of a plane.
pub(crate) struct BandBack<'a> {
    plane: Plane<'a>,
    places: Range<usize>,
    options: Options,
    /// Gradient of what the plane's places read, times its factor, `[P, D]`; empty if nothing is read.
    read: &'a [f32],
    /// `[p, N]`, zeros.
    query: &'a mut [f32],
    /// `[p, D]`, zeros; empty if nothing is written.
    value: &'a mut [f32],
    /// From the gradient of the memory after the step to that before it, `[p, N, D]`; empty if neither is there.
    memory: &'a mut [f32],
    /// The gradient of the decay factor.
    fade: f64,
}

fn bands_back(
    step: &Kept,
    planes: &Planes<'_>,
    read: Option<&[f32]>,
    memory: Option<&mut [f32]>,
    options: Options,
) -> Found {
    let sizes = planes.sizes;
    let (all, writes, has_memory) = (
        sizes.planes() * sizes.places,
        step.write.is_some(),
        memory.is_some(),
    );
    let mut query = vec![0.0; all * sizes.neurons];
    let mut value = vec![0.0; if writes { all * sizes.width } else { 0 }];
    let mut rest = (&mut query[..], &mut value[..], memory.unwrap_or(&mut []));
    let size = sizes.places * sizes.width;
    let task = |(plane, places): (usize, Range<usize>)| BandBack {
        plane: planes.plane(plane, step.rho.storage()),
        options,
        read: read.map_or(&[], |read| part(read, plane * size, size)),
        query: cut(&mut rest.0, places.len() * sizes.neurons),
        value: cut(&mut rest.1, if writes { places.len() * sizes.width } else { 0 }),
        memory: cut(
            &mut rest.2,
            if has_memory {
                places.len() * sizes.memory()
            } else {
                0
            },
        ),
        places,
        fade: 0.0,
    };
    let tasks: Vec<BandBack<'_>> = planes.bands().into_iter().map(task).collect();
    let fades = tasks.into_par_iter().map(|mut band| {
        band_back(&mut band);
        band.fade
    });
    Found {
        fades: fades.collect(),
        query,
        value,
    }
}

/// The gradient of what was read, times the factor of each place's read.
fn scaled(mut read: FlexTensor, planes: &Planes<'_>) -> FlexTensor {
    let GridSizes { places, width, .. } = planes.sizes;
    if let Some(factors) = planes.neighbours.and_then(Neighbours::factors) {
        for plane in read.storage_mut::<f32>().chunks_exact_mut(places * width) {
            let rows = plane.chunks_exact_mut(width).zip(factors);
            rows.for_each(|(row, factor)| row.iter_mut().for_each(|d| *d *= factor));
        }
    }
    read
}

/// The gradient of the values, from that of each head: its sum, if all heads write the same.
fn value_back(of_heads: Vec<f32>, shared: bool, sizes: GridSizes) -> FlexTensor {
    let GridSizes {
        lanes,
        heads,
        places,
        width,
        ..
    } = sizes;
    if !shared {
        return tensor(of_heads, [lanes, heads, places, width]);
    }
    let size = places * width;
    let mut sums = Vec::with_capacity(lanes * size);
    for lane in of_heads.chunks_exact(heads * size) {
        let start = sums.len();
        sums.extend_from_slice(&lane[..size]);
        for head in lane[size..].chunks_exact(size) {
            sums[start..].iter_mut().zip(head).for_each(|(sum, d)| *sum += d);
        }
    }
    tensor(sums, [lanes, 1, places, width])
}

/// The gradient of the slopes: `-lambda` times that of `lambda`, summed over bands in their order.
fn slopes_back(step: &Kept, bands: &[(usize, Range<usize>)], fades: &[f64]) -> FlexTensor {
    let heads = step.sizes.heads;
    let mut slopes = vec![0.0; heads];
    for ((plane, _), fade) in bands.iter().zip(fades) {
        slopes[plane % heads] += fade;
    }
    let factors = step.write.iter().flat_map(|write| &write.factors);
    let slopes = slopes.iter().zip(factors);
    tensor(
        slopes
            .map(|(fade, factor)| (-f64::from(*factor) * fade) as f32)
            .collect(),
        [heads],
    )
}

/// Scratch of a band: starts of the neighbours' memories, and the neighbours that read a row, with their queries.
#[derive(Default)]
struct Scratch {
    starts: Vec<usize>,
    readers: Vec<(f32, usize)>,
}

vectorized! {
    /// The gradients of a band.
    band_back(band: &mut BandBack<'_>) {
        let mut scratch = Scratch::default();
        for chunk in band.plane.chunks() {
            for index in 0..band.places.len() {
                band.plane.neighbours_of(band.places.start + index, &mut scratch.starts);
                for neuron in chunk.clone() {
                    row_back(band, index, neuron, &mut scratch);
                }
            }
        }
    }
}

/// The gradients of one row of a place's memory, and of what read it and wrote it.
#[inline(always)]
fn row_back(band: &mut BandBack<'_>, index: usize, neuron: usize, scratch: &mut Scratch) {
    let GridSizes { neurons, width, .. } = band.plane.sizes;
    let place = band.places.start + index;
    if !band.read.is_empty() {
        let read = part(band.read, place * width, width);
        let sum = read_back(read, band.plane.rho, &scratch.starts, neuron * width);
        band.query[index * neurons + neuron] += sum;
        if band.options.needs_rho {
            find_readers(band, place, neuron, &mut scratch.readers);
        }
    }
    if band.options.is_given && !band.value.is_empty() {
        write_back(band, index, neuron);
    }
    if band.options.needs_rho {
        let kept = if band.options.is_given {
            band.plane.factor
        } else {
            0.0
        };
        let row = &mut band.memory[(index * neurons + neuron) * width..][..width];
        for_blocks!(width, |column, size| {
            let sum = weighted_sum(band.read, &scratch.readers, column, size);
            for (row, sum) in row[column..column + size].iter_mut().zip(&sum) {
                *row = kept * *row + sum;
            }
        });
    }
}

/// The neighbours of a place whose query of a neuron is not 0: that query, and the start of the gradient of their read.
#[inline(always)]
fn find_readers(band: &BandBack<'_>, place: usize, neuron: usize, readers: &mut Vec<(f32, usize)>) {
    let GridSizes { neurons, width, .. } = band.plane.sizes;
    let neighbours = band
        .plane
        .neighbours
        .map_or(&[][..], |neighbours| neighbours.of(place));
    readers.clear();
    readers.extend(neighbours.iter().filter_map(|&reader| {
        let query = band.plane.query[reader * neurons + neuron];
        (query != 0.0).then_some((query, reader * width))
    }));
}

/// `(sum over neighbours of a row) . e`.
#[inline(always)]
fn read_back(e: &[f32], rho: &[f32], starts: &[usize], further: usize) -> f32 {
    let mut sums = [0.0; LANES];
    for_blocks!(e.len(), |column, size| {
        let sum = sum_of_rows(rho, starts, further + column, size);
        for ((total, sum), e) in sums.iter_mut().zip(&sum).zip(part(e, column, size)) {
            *total += sum * e;
        }
    });
    fold(sums, |a, b| a + b)
}

/// What the write of a row gives to its query, its value and the decay factor.
#[inline(always)]
fn write_back(band: &mut BandBack<'_>, index: usize, neuron: usize) {
    let GridSizes { neurons, width, .. } = band.plane.sizes;
    let plane = &band.plane;
    let place = band.places.start + index;
    let at = index * neurons + neuron;
    let given = part(band.memory, at * width, width);
    let value = part(plane.value, place * width, width);
    let along = dot(given, value);
    let query = plane.query[place * neurons + neuron];
    band.query[at] += plane.written * along;
    let strength = plane.written * query;
    if strength != 0.0 {
        add_times(&mut band.value[index * width..][..width], strength, given);
    }
    if band.options.needs_slopes {
        let before = part(plane.rho, (place * neurons + neuron) * width, width);
        let written = if plane.order == WriteOrder::WriteThenDecay {
            query * along
        } else {
            0.0
        };
        band.fade += f64::from(dot(given, before)) + f64::from(written);
    }
}
