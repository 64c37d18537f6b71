//! Work on a chunk of neurons in whole numbers.

use super::inputs::{Row, Rows};
use super::{Encoder, FloatNeurons, FloatRows, LowBitStacks, Projection};
use crate::decode::cpu::{AHEAD, Chunk, FirstHalf, Lane, SecondHalf, Stream, fetch};
use crate::decode::list::ones;
use crate::decode::simd::{COARSE, Kernel, LINE, Line, Shorts, Simd, Sums};
use crate::decode::stored::{Halves, Stored};
use crate::decode::weights::{Sizes, Weights};
use crate::low_bit::{GROUP, LowBitMatrix, ScaleGroups, Trits, WholeRows, quantise_neuron, scale_of_neurons};
use std::ops::Range;

/// Neurons of a chunk: their head, the first of them in it, and their rows among those of all heads.
struct Place {
    head: usize,
    first: usize,
    rows: Range<usize>,
}

impl Place {
    #[inline(always)]
    fn of(chunk: &Chunk, sizes: Sizes) -> Self {
        Self {
            head: chunk.head,
            first: chunk.neurons.start,
            rows: chunk.place(sizes.neurons),
        }
    }

    /// The scale of a neuron, counted from the chunk's first.
    #[inline(always)]
    fn scale(&self, matrix: &LowBitMatrix, neuron: usize) -> f32 {
        matrix.scale(self.head, self.first + neuron)
    }
}

impl Stream {
    /// A lane's stream that `decoder_x` is multiplied by in f32, and its coarse copy.
    #[inline(always)]
    fn numbers_of_v(&self, sizes: Sizes, index: usize) -> (&[Line], &[Shorts]) {
        numbers(&self.whole.v, &self.v, &self.coarse_v, sizes, index)
    }

    /// The read of a lane and a head that `decoder_y` is multiplied by in f32, and its coarse copy.
    #[inline(always)]
    fn numbers_of_a(&self, sizes: Sizes, index: usize) -> (&[Line], &[Shorts]) {
        numbers(&self.whole.a, &self.a, &self.coarse_a, sizes, index)
    }
}

/// The numbers of a row in f32, quantised or not, and their coarse copy.
#[inline(always)]
fn numbers<'a>(
    quantised: &'a Rows,
    lines: &'a [Line],
    coarse: &'a [Shorts],
    sizes: Sizes,
    index: usize,
) -> (&'a [Line], &'a [Shorts]) {
    if quantised.are_used() {
        let row = quantised.row(index);
        return (&row.lines, &row.shorts);
    }
    let (row, coarse_row) = (sizes.row(), sizes.coarse_row());
    (
        &lines[index * row..][..row],
        &coarse[index * coarse_row..][..coarse_row],
    )
}

impl FirstHalf<'_> {
    /// The first half where `decoder_x` or its input may be in whole numbers.
    #[inline(always)]
    pub(in crate::decode) fn in_whole_numbers<S: Simd>(self, simd: S, matrices: &LowBitStacks) {
        let Self {
            weights,
            stream,
            chunk,
            level,
        } = self;
        let sizes = weights.sizes();
        let place = Place::of(chunk, sizes);
        let quiet = [Line::SPARSE, Halves::SPARSE].map(|percent| chunk.is_quiet(level, percent));
        chunk.active[level][0] = 0;
        for index in 0..chunk.lanes.len() {
            let lane = &mut chunk.lanes[index];
            match &matrices.decoder_x {
                Projection::Whole(matrix) => {
                    lane.perceive_whole(simd, matrix, &place, stream.whole.v.row(index));
                }
                Projection::Float(FloatNeurons::F32(neurons)) => {
                    let (v, z) = stream.numbers_of_v(sizes, index);
                    lane.perceive(simd, neurons.part(place.rows.clone()), v, quiet[0].then_some(z));
                }
                Projection::Float(FloatNeurons::Bf16(neurons)) => {
                    let (v, z) = stream.numbers_of_v(sizes, index);
                    lane.perceive(simd, neurons.part(place.rows.clone()), v, quiet[1].then_some(z));
                }
            }
            chunk.recall(simd, weights, stream, [level, index]);
        }
    }
}

impl SecondHalf<'_> {
    /// The second half where `decoder_y`, `encoder` or their inputs may be in whole numbers; only the first part of it,
    /// y, where the scale of y depends on other chunks.
    #[inline(always)]
    pub(in crate::decode) fn in_whole_numbers<S: Simd>(self, simd: S, matrices: &LowBitStacks) {
        let Self {
            weights,
            stream,
            chunk,
            level,
        } = self;
        let sizes = weights.sizes();
        let place = Place::of(chunk, sizes);
        let [active, fired] = chunk.active[level];
        let quiet = [Line::SPARSE, Halves::SPARSE].map(|percent| fired * 100 < active * percent);
        chunk.active[level][1] = 0;
        for (index, lane) in chunk.lanes.iter_mut().enumerate() {
            let row = index * sizes.heads + place.head;
            match &matrices.decoder_y {
                Projection::Whole(matrix) => {
                    lane.fire_whole(simd, matrix, &place, stream.whole.a.row(row));
                }
                Projection::Float(FloatNeurons::F32(neurons)) => {
                    let (a, z) = stream.numbers_of_a(sizes, row);
                    lane.fire(simd, neurons.part(place.rows.clone()), a, quiet[0].then_some(z));
                }
                Projection::Float(FloatNeurons::Bf16(neurons)) => {
                    let (a, z) = stream.numbers_of_a(sizes, row);
                    lane.fire(simd, neurons.part(place.rows.clone()), a, quiet[1].then_some(z));
                }
            }
            chunk.active[level][1] += lane.fired.len;
            if !matrices.speaks_apart() {
                lane.speak_whole(simd, matrices, &place, sizes, None);
            }
        }
    }
}

/// Second part of a second half: this chunk's part of `u = y^ encoder`, with the scales of y that all chunks have.
pub(in crate::decode) struct Speech<'a> {
    pub(in crate::decode) weights: &'a Weights,
    pub(in crate::decode) stream: &'a Stream,
    pub(in crate::decode) chunk: &'a mut Chunk,
}

impl Kernel for Speech<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Some(matrices) = self.weights.matrices.low_bit() else {
            return;
        };
        let sizes = self.weights.sizes();
        let place = Place::of(self.chunk, sizes);
        for (index, lane) in self.chunk.lanes.iter_mut().enumerate() {
            let scale = self.stream.whole.y.scale(index, place.head);
            lane.speak_whole(simd, matrices, &place, sizes, Some(scale));
        }
    }
}

impl Lane {
    /// Largest y.
    pub(in crate::decode) fn largest(&self) -> f32 {
        let fired = self.fired.entries().iter();
        fired.fold(0.0, |most: f32, (_, y)| most.max(*y))
    }

    /// `x = relu(v^ decoder_x)`, and the list of active neurons.
    #[inline(always)]
    fn perceive_whole<S: Simd>(&mut self, simd: S, matrix: &LowBitMatrix, place: &Place, v: &Row) {
        let Range { start, end } = place.rows;
        for (strip, x) in self.x.iter_mut().enumerate() {
            let first = start + strip * LINE;
            let mut neurons = [end - 1; LINE];
            for (i, neuron) in neurons.iter_mut().enumerate() {
                *neuron = (first + i).min(end - 1);
            }
            let (products, zero) = (v.products(simd, matrix, neurons), simd.splat(0.0));
            let scale = simd.splat(place.scale(matrix, strip * LINE));
            simd.store(x, simd.fma(scale, products, zero));
            if end - first < LINE {
                x.0[end - first..].fill(0.0);
            }
        }
        self.list_active(simd);
    }

    /// Lists the neurons with `y = relu(a^ decoder_y) x > 0`.
    #[inline(always)]
    fn fire_whole<S: Simd>(&mut self, simd: S, matrix: &LowBitMatrix, place: &Place, a: &Row) {
        let Self { x, active, fired, .. } = self;
        fired.len = 0;
        let mut sixteens = active.entries().chunks(LINE).peekable();
        while let Some(sixteen) = sixteens.next() {
            if let Some(next) = sixteens.peek() {
                next.iter()
                    .for_each(|&n| fetch_row(simd, matrix, place.rows.start + n as usize));
            }
            let (mut neurons, [mut scales, mut gates]) = ([place.rows.start; LINE], [Line::default(); 2]);
            for (i, &neuron) in sixteen.iter().enumerate() {
                let n = neuron as usize;
                neurons[i] += n;
                scales.0[i] = place.scale(matrix, n);
                gates.0[i] = x[n / LINE].0[n % LINE];
            }
            let (products, zero) = (a.products(simd, matrix, neurons), simd.splat(0.0));
            let (drives, _) = simd.relu(simd.fma(simd.load(&scales), products, zero));
            let (y, positive) = simd.relu(simd.fma(drives, simd.load(&gates), zero));
            let mut line = Line::default();
            simd.store(&mut line, y);
            for i in ones(positive) {
                fired.push_if(true, (sixteen[i as usize], line.0[i as usize]));
            }
        }
    }

    /// `u = y^ encoder`, with the scale of y, or those of groups of 64 neurons.
    #[inline(always)]
    fn speak_whole<S: Simd>(
        &mut self,
        simd: S,
        matrices: &LowBitStacks,
        place: &Place,
        sizes: Sizes,
        scale: Option<f32>,
    ) {
        let scale_of = |fired: &[(u32, f32)]| {
            let most = || fired.iter().fold(0.0, |most: f32, (_, y)| most.max(*y));
            scale.unwrap_or_else(|| scale_of_neurons(matrices.y.map_or(1, |y| y.levels), most()))
        };
        match &matrices.encoder {
            Encoder::Whole(matrix) => {
                let apart = scale.is_none() || matrix.groups() == ScaleGroups::Neurons;
                self.u.fill(Line::default());
                let groups = self.fired.entries();
                for fired in
                    groups.chunk_by(|(a, _), (b, _)| !apart || *a as usize / GROUP == *b as usize / GROUP)
                {
                    let scale = scale_of(fired);
                    let total = add_rows(simd, matrix, place, fired, scale, &mut self.sums);
                    let factor = place.scale(matrix, fired[0].0 as usize) / scale;
                    for (u, sums) in self.u.iter_mut().zip(&self.sums) {
                        for (u, sum) in u.0.iter_mut().zip(sums.0) {
                            *u += (sum - total) as f32 * factor;
                        }
                    }
                }
            }
            Encoder::Float(rows) => {
                if matrices.y.is_some() {
                    self.quantise_fired(scale.is_none(), scale_of);
                }
                let (row, Range { start, end }) = (sizes.row(), place.rows.clone());
                match rows {
                    FloatRows::F32(rows) => self.speak(simd, &rows[start * row..end * row]),
                    FloatRows::Bf16(rows) => {
                        let size = Halves::size(row);
                        self.speak(simd, &rows[start * size..end * size]);
                    }
                }
            }
        }
    }

    /// Puts `y^` in the place of y, and leaves out those of 0.
    #[inline(always)]
    fn quantise_fired(&mut self, apart: bool, scale_of: impl Fn(&[(u32, f32)]) -> f32) {
        let (mut start, count, fired) = (0, self.fired.len, &mut self.fired);
        fired.len = 0;
        while start < count {
            let rest = fired.written(start..count);
            let in_group = |(n, _): &(u32, f32)| !apart || *n as usize / GROUP == rest[0].0 as usize / GROUP;
            let end = start + rest.partition_point(in_group);
            let scale = scale_of(fired.written(start..end));
            for k in start..end {
                let (neuron, y) = fired.written(k..end)[0];
                let whole = quantise_neuron(y, scale);
                fired.push_if(whole > 0, (neuron, f32::from(whole) / scale));
            }
            start = end;
        }
    }
}

/// `sums = sum of q row` over fired neurons, and what the codes of trits add to each sum.
#[inline(always)]
fn add_rows<S: Simd>(
    simd: S,
    matrix: &LowBitMatrix,
    place: &Place,
    fired: &[(u32, f32)],
    scale: f32,
    sums: &mut [Sums],
) -> i32 {
    let (width, mut total) = (matrix.shape()[2], 0);
    sums.fill(Sums::default());
    for &(first, _) in fired.iter().take(2 * AHEAD) {
        fetch_row(simd, matrix, place.rows.start + first as usize);
    }
    for (k, &(neuron, y)) in fired.iter().enumerate() {
        if let Some(&(next, _)) = fired.get(k + 2 * AHEAD) {
            fetch_row(simd, matrix, place.rows.start + next as usize);
        }
        let (whole, n) = (quantise_neuron(y, scale), place.rows.start + neuron as usize);
        if whole == 0 {
            continue;
        }
        match matrix.rows() {
            WholeRows::Trits(rows) => {
                let size = width.div_ceil(Trits::BLOCK);
                simd.add_codes(whole, &rows[n * size..][..size], sums);
                total += i32::from(whole);
            }
            WholeRows::Bytes(rows) => {
                let size = width.div_ceil(COARSE);
                simd.add_bytes(whole, &rows[n * size..][..size], sums);
            }
        }
    }
    total
}

/// Prefetches a row.
#[inline(always)]
fn fetch_row<S: Simd>(simd: S, matrix: &LowBitMatrix, neuron: usize) {
    let width = matrix.shape()[2];
    match matrix.rows() {
        WholeRows::Trits(rows) => {
            let size = width.div_ceil(Trits::BLOCK);
            fetch(simd, &rows[neuron * size..][..size]);
        }
        WholeRows::Bytes(rows) => {
            let size = width.div_ceil(COARSE);
            fetch(simd, &rows[neuron * size..][..size]);
        }
    }
}
