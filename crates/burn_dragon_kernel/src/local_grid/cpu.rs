//! A step on a grid on the processor: memories are read once, and written once.
//!
//! Heads of all lanes are cut into bands of grid rows, which run in parallel. In a band, neurons are taken in chunks, so
//! that the rows of memory that neighbouring places share are read from a cache. A row whose query is 0 is not read.
//! Sums are over neurons, in their order, so they depend neither on the chunks nor on the threads.

use super::rows::{add_times, chunks, for_blocks, part, rows_of_a_task, sum_of_rows};
use super::{Neighbours, WriteOrder};
use crate::backend::local_grid::{GridSizes, LocalGridOn, LocalGridRun, WriteOn};
use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use crate::simd::{LANES, vectorized};
use burn::backend::Flex;
use burn_flex::FlexTensor;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The step, with all tensors contiguous: what the gradient needs, too.
pub(crate) type Kept = LocalGridOn<Flex>;

/// A step. Without a gradient the memory is changed in place, unless another tensor shares it.
pub(crate) fn local_grid(step: LocalGridOn<Flex>, keep: bool) -> LocalGridRun<Flex, Kept> {
    let mut step = gathered(step);
    let in_place = !keep && step.write.is_some() && step.rho.is_unique();
    let (read, memory) = if in_place {
        let (read, _) = bands(&step, false);
        write_in_place(&mut step);
        (read, Some(step.rho.clone()))
    } else {
        let (read, memory) = bands(&step, step.write.is_some());
        let shape = step.rho.layout().shape().clone();
        (read, memory.map(|memory| tensor(memory, shape)))
    };
    let GridSizes {
        lanes,
        heads,
        places,
        width,
        ..
    } = step.sizes;
    LocalGridRun {
        read: read.map(|read| tensor(read, [lanes, heads, places, width])),
        memory,
        kept: keep.then_some(step),
    }
}

fn gathered(step: LocalGridOn<Flex>) -> LocalGridOn<Flex> {
    LocalGridOn {
        query: contiguous(step.query),
        rho: contiguous(step.rho),
        write: step.write.map(|write| WriteOn {
            value: contiguous(write.value),
            ..write
        }),
        ..step
    }
}

/// The plain numbers of a step but its memory, plane by plane: a plane is a head of a lane.
pub(super) struct Planes<'a> {
    pub(super) sizes: GridSizes,
    pub(super) neighbours: Option<&'a Neighbours>,
    query: &'a [f32],
    write: Option<&'a WriteOn<Flex>>,
}

/// The numbers of a plane.
#[derive(Clone, Copy)]
pub(crate) struct Plane<'a> {
    pub(super) sizes: GridSizes,
    pub(super) neighbours: Option<&'a Neighbours>,
    /// `[P, N]`.
    pub(super) query: &'a [f32],
    /// `[P, N, D]`; empty if it is borrowed elsewhere.
    pub(super) rho: &'a [f32],
    /// `[P, D]`; empty if nothing is written.
    pub(super) value: &'a [f32],
    /// Decay factor of what was there before.
    pub(super) factor: f32,
    /// Decay factor of what is written.
    pub(super) written: f32,
    /// Order of decay and write.
    pub(super) order: WriteOrder,
}

impl<'a> Planes<'a> {
    pub(super) fn new(
        sizes: GridSizes,
        query: &'a FlexTensor,
        neighbours: Option<&'a Neighbours>,
        write: Option<&'a WriteOn<Flex>>,
    ) -> Self {
        Self {
            sizes,
            neighbours,
            query: query.storage(),
            write,
        }
    }

    pub(super) fn of(step: &'a LocalGridOn<Flex>) -> Self {
        Self::new(
            step.sizes,
            &step.query,
            step.reads.as_deref(),
            step.write.as_ref(),
        )
    }

    /// A plane, with its part of the memory `rho` of all planes, if that is not empty.
    pub(super) fn plane(&self, plane: usize, rho: &'a [f32]) -> Plane<'a> {
        let sizes = self.sizes;
        let of = |numbers: &'a [f32], plane: usize, size: usize| {
            numbers.get(plane * size..(plane + 1) * size).unwrap_or(&[])
        };
        let order = self.write.map_or(WriteOrder::default(), |write| write.order);
        let (value, factor, written) = match self.write {
            None => (&[][..], 1.0, 1.0),
            Some(write) => {
                let at = if write.shared { plane / sizes.heads } else { plane };
                let factor = write.factors[plane % sizes.heads];
                let written = match order {
                    WriteOrder::DecayThenWrite => 1.0,
                    WriteOrder::WriteThenDecay => factor,
                };
                (
                    of(write.value.storage(), at, sizes.places * sizes.width),
                    factor,
                    written,
                )
            }
        };
        Plane {
            sizes,
            neighbours: self.neighbours,
            query: of(self.query, plane, sizes.places * sizes.neurons),
            rho: of(rho, plane, sizes.places * sizes.memory()),
            value,
            factor,
            written,
            order,
        }
    }

    /// Bands of all planes: the plane and its places.
    pub(super) fn bands(&self) -> Vec<(usize, Range<usize>)> {
        let (places, band) = (self.sizes.places, self.band());
        let of_plane = |plane| {
            let firsts = (0..places).step_by(band);
            firsts.map(move |first| (plane, first..places.min(first + band)))
        };
        (0..self.sizes.planes()).flat_map(of_plane).collect()
    }

    /// Places of a band.
    fn band(&self) -> usize {
        let GridSizes { places, .. } = self.sizes;
        let row = self.neighbours.map_or(1, |neighbours| neighbours.grid().width);
        let numbers = row * self.sizes.memory();
        row * rows_of_a_task(
            places / row,
            numbers,
            self.sizes.planes() * places * self.sizes.memory(),
        )
    }
}

impl Plane<'_> {
    /// Chunks of neurons: the memories of a place's neighbours, and of a row that is written, are in use at a time.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let of = |neighbours: &Neighbours| neighbours.span() + neighbours.grid().width;
        chunks(
            self.sizes.neurons,
            self.neighbours.map_or(2, of),
            self.sizes.width,
        )
    }

    /// Starts of the memories of a place's neighbours.
    pub(super) fn neighbours_of(&self, place: usize, starts: &mut Vec<usize>) {
        starts.clear();
        if let Some(neighbours) = self.neighbours {
            starts.extend(
                neighbours
                    .of(place)
                    .iter()
                    .map(|place| place * self.sizes.memory()),
            );
        }
    }
}

/// A band of places of a plane.
pub(crate) struct Band<'a> {
    plane: Plane<'a>,
    places: Range<usize>,
    /// `[p, D]`, zeros; empty if nothing is read.
    read: &'a mut [f32],
    /// `[p, N, D]`; empty if nothing is written.
    memory: &'a mut [MaybeUninit<f32>],
}

/// What is read, if the step reads, and the memory after it, if `writes`.
fn bands(step: &LocalGridOn<Flex>, writes: bool) -> (Option<Vec<f32>>, Option<Vec<f32>>) {
    if !writes && step.reads.is_none() {
        return (None, None);
    }
    let planes = Planes::of(step);
    let sizes = planes.sizes;
    let all = sizes.planes() * sizes.places;
    let reads = planes.neighbours.is_some();
    let mut read = vec![0.0; if reads { all * sizes.width } else { 0 }];
    let mut memory: Vec<f32> = Vec::new();
    let count = if writes { all * sizes.memory() } else { 0 };
    memory.reserve_exact(count);
    let mut rest = (&mut read[..], &mut memory.spare_capacity_mut()[..count]);
    let task = |(plane, places): (usize, Range<usize>)| Band {
        plane: planes.plane(plane, step.rho.storage()),
        read: cut(&mut rest.0, if reads { places.len() * sizes.width } else { 0 }),
        memory: cut(
            &mut rest.1,
            if writes { places.len() * sizes.memory() } else { 0 },
        ),
        places,
    };
    let tasks: Vec<Band<'_>> = planes.bands().into_iter().map(task).collect();
    tasks.into_par_iter().for_each(|mut band| step_of_band(&mut band));
    if writes {
        // SAFETY: there is capacity for `count`, and the bands have written every number: each all rows of its places.
        unsafe { memory.set_len(count) };
    }
    (reads.then_some(read), writes.then_some(memory))
}

/// Cuts the first `size` entries from a slice.
pub(super) fn cut<'a, T>(slice: &mut &'a mut [T], size: usize) -> &'a mut [T] {
    let (front, rest) = std::mem::take(slice).split_at_mut(size);
    *slice = rest;
    front
}

/// Each place's write to its own memory, in place. A row whose query is 0 is not touched, unless it decays.
fn write_in_place(step: &mut LocalGridOn<Flex>) {
    let planes = Planes::new(step.sizes, &step.query, None, step.write.as_ref());
    let (band, sizes) = (planes.band(), step.sizes);
    let memories = step.rho.storage_mut::<f32>();
    for (plane, rho) in memories
        .chunks_exact_mut(sizes.places * sizes.memory())
        .enumerate()
    {
        let plane = planes.plane(plane, &[]);
        rho.par_chunks_mut(band * sizes.memory())
            .zip(plane.query.par_chunks(band * sizes.neurons))
            .zip(plane.value.par_chunks(band * sizes.width))
            .for_each(|((rho, query), value)| {
                write_rows(rho, query, value, [plane.factor, plane.written]);
            });
    }
}

#[inline(always)]
fn write_row(row: &mut [f32], query: f32, value: &[f32], [factor, written]: [f32; 2]) {
    let query = written * query;
    match (query == 0.0, factor == 1.0) {
        (true, true) => {}
        (true, false) => row.iter_mut().for_each(|row| *row *= factor),
        (false, _) => {
            for (row, value) in row.iter_mut().zip(value) {
                *row = factor * *row + query * value;
            }
        }
    }
}

vectorized! {
    /// The write of some places, in place.
    write_rows(rho: &mut [f32], query: &[f32], value: &[f32], factors: [f32; 2]) {
        let width = rho.len() / query.len();
        let neurons = query.len() * width / value.len();
        let places = rho.chunks_exact_mut(neurons * width).zip(query.chunks_exact(neurons));
        for ((rho, query), value) in places.zip(value.chunks_exact(width)) {
            for (row, query) in rho.chunks_exact_mut(width).zip(query) {
                write_row(row, *query, value, factors);
            }
        }
    }

    /// The read and the write of a band.
    step_of_band(band: &mut Band<'_>) {
        let Band { plane, places, read, memory } = band;
        let GridSizes { neurons, width, .. } = plane.sizes;
        let mut starts = Vec::new();
        for chunk in plane.chunks() {
            for (index, place) in places.clone().enumerate() {
                plane.neighbours_of(place, &mut starts);
                for neuron in chunk.clone() {
                    let query = plane.query[place * neurons + neuron];
                    if query != 0.0 && !read.is_empty() {
                        let read = &mut read[index * width..][..width];
                        read_row(read, query, plane.rho, &starts, neuron * width);
                    }
                    if !memory.is_empty() {
                        let memory = &mut memory[(index * neurons + neuron) * width..][..width];
                        written_row(memory, plane, place, neuron, query);
                    }
                }
            }
        }
        if let (Some(factors), false) = (plane.neighbours.and_then(Neighbours::factors), read.is_empty()) {
            let reads = read.chunks_exact_mut(width).zip(&factors[places.clone()]);
            reads.for_each(|(read, factor)| read.iter_mut().for_each(|read| *read *= factor));
        }
    }
}

/// Adds the query times the sum of the neighbours' rows.
#[inline(always)]
fn read_row(read: &mut [f32], query: f32, rho: &[f32], starts: &[usize], further: usize) {
    for_blocks!(read.len(), |column, size| {
        let sum = sum_of_rows(rho, starts, further + column, size);
        add_times(&mut read[column..column + size], query, &sum);
    });
}

/// The row after the write.
#[inline(always)]
fn written_row(memory: &mut [MaybeUninit<f32>], plane: &Plane<'_>, place: usize, neuron: usize, query: f32) {
    let GridSizes { neurons, width, .. } = plane.sizes;
    let before = part(plane.rho, (place * neurons + neuron) * width, width);
    let value = part(plane.value, place * width, width);
    let (factor, query) = (plane.factor, plane.written * query);
    for ((after, before), value) in memory.iter_mut().zip(before).zip(value) {
        after.write(factor * before + query * value);
    }
}
