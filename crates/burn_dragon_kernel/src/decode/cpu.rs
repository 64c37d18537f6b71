//! Work on a chunk of neurons of one head.

use super::carried::{Memory, Query, Recent};
use super::list::{List, ones};
use super::low_bit::{FloatRows, WholeInputs};
use super::memory::MemoryPrecision;
use super::prefilter::{NeuronSlice, Neurons};
use super::simd::{Kernel, LINE, Line, Shorts, Simd, Sums};
use super::stored::Stored;
use super::weights::{Matrices, Stacks, Weights};
use crate::mix::mix;
use std::ops::Range;

/// Number of rows that are prefetched ahead of the current one.
pub(super) const AHEAD: usize = 4;

/// Input of all chunks: the stream and the read, lane by lane, each with a coarse copy.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) v: Vec<Line>,          // [B] rows
    pub(super) a: Vec<Line>,          // [B, H] rows
    pub(super) coarse_v: Vec<Shorts>, // [B] rows
    pub(super) coarse_a: Vec<Shorts>, // [B, H] rows
    pub(super) cos: Vec<f32>,         // [1 or B, N/2], or N for polar keys
    pub(super) sin: Vec<f32>,         // the same
    pub(super) positions: Vec<u64>,   // [B]
    pub(super) recent: Recent,
    pub(super) whole: WholeInputs,
}

impl Stream {
    /// Cosines and sines of a lane.
    fn angles(&self, lane: usize, pairs: usize) -> (&[f32], &[f32]) {
        let table = if self.cos.len() == pairs { 0 } else { lane };
        let place = table * pairs..(table + 1) * pairs;
        (&self.cos[place.clone()], &self.sin[place])
    }
}

/// Range of a head's neurons, with the memory of all levels and lanes, and its results for the current token.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) head: usize,
    pub(super) neurons: Range<usize>, // of the head; begins at a line
    pub(super) memory: Memory,
    pub(super) lanes: Vec<Lane>,
    pub(super) active: Vec<[usize; 2]>, // of x and y, per level, all lanes
}

/// Results of a chunk for one lane. Neurons and pairs are counted from the chunk's first.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) x: Vec<Line>,
    pub(super) active: List<u32>,       // neurons with x > 0
    pairs: List<u32>,                   // pairs with an active member
    suspects: List<u32>,                // neurons that the prefilter let pass
    pub(super) fired: List<(u32, f32)>, // neurons with y > 0, and y
    pub(super) read: Vec<Line>,
    pub(super) u: Vec<Line>,
    pub(super) sums: Vec<Sums>, // of an encoder in whole numbers
}

impl Chunk {
    /// A chunk with an empty memory; `index` is its number among all chunks.
    pub(super) fn new(
        weights: &Weights,
        lanes: usize,
        memory: MemoryPrecision,
        index: usize,
        (head, neurons): (usize, Range<usize>),
    ) -> Self {
        let sizes = weights.sizes();
        let (count, row) = (neurons.len(), sizes.row());
        let lane = || Lane {
            x: vec![Line::default(); count.div_ceil(LINE)],
            active: List::new(count),
            pairs: List::new(count / 2),
            suspects: List::new(count),
            fired: List::new(count),
            read: vec![Line::default(); row],
            u: vec![Line::default(); row],
            sums: vec![Sums::default(); weights.matrices.sums()],
        };
        Self {
            head,
            neurons,
            memory: Memory::new(memory, sizes, lanes, count * weights.rows_of_neuron(), index),
            lanes: (0..lanes).map(|_| lane()).collect(),
            active: vec![[0; 2]; sizes.levels],
        }
    }

    /// The chunk's neurons among those of all heads.
    pub(super) fn place(&self, neurons_per_head: usize) -> Range<usize> {
        let first = self.head * neurons_per_head + self.neurons.start;
        first..first + self.neurons.len()
    }

    /// Whether less than a share of the neurons, in percent, were active at a level for the token before. It tells which
    /// way is faster now; the result is the same.
    #[inline(always)]
    pub(super) fn is_quiet(&self, level: usize, percent: usize) -> bool {
        self.active[level][0] * 100 < self.lanes.len() * self.neurons.len() * percent
    }

    /// The read of this chunk's memory by a lane's x, then its write and its decay.
    #[inline(always)]
    pub(super) fn recall<S: Simd>(
        &mut self,
        simd: S,
        weights: &Weights,
        stream: &Stream,
        [level, index]: [usize; 2],
    ) {
        let (sizes, rows) = (weights.sizes(), weights.rows_of_neuron());
        let place = self.place(sizes.neurons);
        let first = place.start;
        let lane = &mut self.lanes[index];
        let (cos, sin) = stream.angles(index, weights.turns.len());
        let own = self.neurons.start * rows / 2..self.neurons.end * rows / 2;
        lane.read.fill(Line::default());
        let query = Query {
            x: &lane.x,
            pairs: match weights.further {
                None => lane.pairs.entries(),
                Some(_) => lane.active.entries(),
            },
            cos: &cos[own.clone()],
            sin: &sin[own],
            further: weights.further.as_ref().map(|further| &further[place]),
            v: &stream.v[index * sizes.row()..][..sizes.row()],
            seed: mix(mix(stream.positions[index]) ^ (first * sizes.levels + level) as u64),
        };
        self.memory
            .recall(simd, [level, index], &query, &stream.recent, &mut lane.read);
        self.active[level][0] += lane.active.len;
        if let Some(left) = weights.left.get(self.head) {
            self.memory.fade(level, index, *left);
        }
    }
}

/// First half of a level: from the stream to x, the read of this chunk's memory, the write `rho += q v`, and decay.
pub(super) struct FirstHalf<'a> {
    pub(super) weights: &'a Weights,
    pub(super) stream: &'a Stream,
    pub(super) chunk: &'a mut Chunk,
    pub(super) level: usize,
}

impl Kernel for FirstHalf<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match &self.weights.matrices {
            Matrices::F32(matrices) => self.with(simd, &matrices.decoder_x),
            Matrices::Bf16(matrices) => self.with(simd, &matrices.decoder_x),
            Matrices::LowBit(matrices) => self.in_whole_numbers(simd, matrices),
        }
    }
}

impl FirstHalf<'_> {
    #[inline(always)]
    fn with<S: Simd, R: Stored>(self, simd: S, decoder_x: &Neurons<R>) {
        let Self {
            weights,
            stream,
            chunk,
            level,
        } = self;
        let sizes = weights.sizes();
        let decoder_x = decoder_x.part(chunk.place(sizes.neurons));
        let sparse = chunk.is_quiet(level, R::SPARSE);
        chunk.active[level][0] = 0;
        let streams = stream
            .v
            .chunks_exact(sizes.row())
            .zip(stream.coarse_v.chunks_exact(sizes.coarse_row()));
        for (index, (v, z)) in streams.enumerate() {
            chunk.lanes[index].perceive(simd, decoder_x, v, sparse.then_some(z));
            chunk.recall(simd, weights, stream, [level, index]);
        }
    }
}

impl Lane {
    /// `x = relu(v decoder_x)`, and the list of active neurons; with a coarse copy of v the neurons are prefiltered
    /// first.
    #[inline(always)]
    pub(super) fn perceive<S: Simd, R: Stored>(
        &mut self,
        simd: S,
        decoder_x: NeuronSlice<'_, R>,
        v: &[Line],
        coarse: Option<&[Shorts]>,
    ) {
        let size = R::size(v.len());
        match coarse {
            None => {
                for (n, row) in decoder_x.rows.chunks_exact(size).enumerate() {
                    if R::AHEAD > 0 && n + R::AHEAD < decoder_x.len() {
                        fetch(simd, decoder_x.row(n + R::AHEAD, size));
                    }
                    self.x[n / LINE].0[n % LINE] = R::dot(simd, v, row);
                }
            }
            Some(z) => {
                self.suspects.len = 0;
                for n in 0..decoder_x.len() {
                    self.suspects.push_if(decoder_x.may_fire(simd, n, z), n as u32);
                }
                self.x.fill(Line::default());
                let suspects = self.suspects.entries();
                for (k, &n) in suspects.iter().enumerate() {
                    if let Some(&next) = suspects.get(k + AHEAD) {
                        fetch(simd, decoder_x.row(next as usize, size));
                    }
                    let n = n as usize;
                    self.x[n / LINE].0[n % LINE] = R::dot(simd, v, decoder_x.row(n, size));
                }
            }
        }
        self.list_active(simd);
    }

    /// `x = relu(x)`, and the list of active neurons and pairs.
    #[inline(always)]
    pub(super) fn list_active<S: Simd>(&mut self, simd: S) {
        self.active.len = 0;
        self.pairs.len = 0;
        for strip in 0..self.x.len() {
            let (x, positive) = simd.relu(simd.load(&self.x[strip]));
            simd.store(&mut self.x[strip], x);
            for i in ones(positive) {
                self.active.push_if(true, (strip * LINE) as u32 + i);
            }
            for i in ones((positive | positive >> 1) & 0x5555) {
                self.pairs.push_if(true, (strip * LINE / 2) as u32 + i / 2);
            }
        }
    }
}

/// Second half of a level: from the read to y, and this chunk's part of `u = y encoder`.
pub(super) struct SecondHalf<'a> {
    pub(super) weights: &'a Weights,
    pub(super) stream: &'a Stream,
    pub(super) chunk: &'a mut Chunk,
    pub(super) level: usize,
}

impl Kernel for SecondHalf<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match &self.weights.matrices {
            Matrices::F32(matrices) => self.with(simd, matrices),
            Matrices::Bf16(matrices) => self.with(simd, matrices),
            Matrices::LowBit(matrices) => self.in_whole_numbers(simd, matrices),
        }
    }
}

impl SecondHalf<'_> {
    #[inline(always)]
    fn with<S: Simd, R: Stored>(self, simd: S, matrices: &Stacks<R>) {
        let Self {
            weights,
            stream,
            chunk,
            level,
        } = self;
        let sizes = weights.sizes();
        let (row, coarse_row, place) = (sizes.row(), sizes.coarse_row(), chunk.place(sizes.neurons));
        let (decoder_y, size) = (matrices.decoder_y.part(place.clone()), R::size(row));
        let encoder = &matrices.encoder[place.start * size..place.end * size];
        let [active, fired] = chunk.active[level];
        let sparse = fired * 100 < active * R::SPARSE;
        chunk.active[level][1] = 0;
        for (index, lane) in chunk.lanes.iter_mut().enumerate() {
            let index = index * sizes.heads + chunk.head;
            let (a, z) = (
                &stream.a[index * row..][..row],
                &stream.coarse_a[index * coarse_row..][..coarse_row],
            );
            lane.fire(simd, decoder_y, a, sparse.then_some(z));
            lane.speak(simd, encoder);
            chunk.active[level][1] += lane.fired.len;
        }
    }
}

impl Lane {
    /// Lists the neurons with `y = relu(a decoder_y) x > 0`; with a coarse copy of a they are prefiltered first.
    #[inline(always)]
    pub(super) fn fire<S: Simd, R: Stored>(
        &mut self,
        simd: S,
        decoder_y: NeuronSlice<'_, R>,
        a: &[Line],
        coarse: Option<&[Shorts]>,
    ) {
        let size = R::size(a.len());
        let mut candidates = self.active.entries();
        if let Some(z) = coarse {
            self.suspects.len = 0;
            for &n in candidates {
                self.suspects.push_if(decoder_y.may_fire(simd, n as usize, z), n);
            }
            candidates = self.suspects.entries();
        }
        self.fired.len = 0;
        for (k, &neuron) in candidates.iter().enumerate() {
            if let Some(&next) = candidates.get(k + AHEAD) {
                fetch(simd, decoder_y.row(next as usize, size));
            }
            let n = neuron as usize;
            let y = R::dot(simd, a, decoder_y.row(n, size)).max(0.0) * self.x[n / LINE].0[n % LINE];
            self.fired.push_if(y > 0.0, (neuron, y));
        }
    }

    /// `u = sum of y encoder` over the neurons with active y.
    #[inline(always)]
    pub(super) fn speak<S: Simd, R: Stored>(&mut self, simd: S, encoder: &[R]) {
        let size = R::size(self.u.len());
        self.u.fill(Line::default());
        let fired = self.fired.entries();
        for (k, &(neuron, y)) in fired.iter().enumerate() {
            if let Some(&(next, _)) = fired.get(k + AHEAD) {
                fetch(simd, &encoder[next as usize * size..][..size]);
            }
            let row = &encoder[neuron as usize * size..][..size];
            R::add(simd, simd.splat(y), row, &mut self.u);
        }
    }
}

/// Logits of a range of the vocabulary, `[B, range]`.
pub(super) struct Readout<'a> {
    pub(super) weights: &'a Weights,
    pub(super) stream: &'a Stream,
    pub(super) tokens: Range<usize>,
    pub(super) logits: &'a mut [f32],
}

impl Kernel for Readout<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match &self.weights.matrices {
            Matrices::F32(matrices) => self.with(simd, &matrices.lm_head),
            Matrices::Bf16(matrices) => self.with(simd, &matrices.lm_head),
            Matrices::LowBit(matrices) => match &matrices.lm_head {
                FloatRows::F32(lm_head) => self.with(simd, lm_head),
                FloatRows::Bf16(lm_head) => self.with(simd, lm_head),
            },
        }
    }
}

impl Readout<'_> {
    #[inline(always)]
    fn with<S: Simd, R: Stored>(self, simd: S, lm_head: &[R]) {
        let row = self.weights.sizes().row();
        let size = R::size(row);
        let rows = &lm_head[self.tokens.start * size..self.tokens.end * size];
        let lanes = self.logits.chunks_exact_mut(self.tokens.len());
        for (v, logits) in self.stream.v.chunks_exact(row).zip(lanes) {
            for (logit, row) in logits.iter_mut().zip(rows.chunks_exact(size)) {
                *logit = R::dot(simd, v, row);
            }
        }
    }
}

/// Prefetches every cache line of a row.
#[inline(always)]
pub(super) fn fetch<S: Simd, R>(simd: S, row: &[R]) {
    row.iter().for_each(|line| simd.prefetch(line));
}
