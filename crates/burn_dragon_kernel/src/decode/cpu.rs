//! Work on a chunk of neurons of one head.

use super::prefilter::NeuronSlice;
use super::row::dot;
use super::simd::{Kernel, LINE, Line, Shorts, Simd};
use super::weights::Weights;
use std::ops::Range;

/// Number of rows that are prefetched ahead of the current one.
const AHEAD: usize = 4;

/// Smallest scale of a memory: below it, the rows are multiplied by the scale, once in 40 tokens at a slope of 0.7.
const LEAST_SCALE: f64 = 1.0 / (1u64 << 40) as f64;

/// Threshold below which an entry is flushed to zero (2^-80). Smaller ones cannot change the normalised read, beside
/// the epsilon of the norm, and could lead to subnormal numbers, which are slow on some processors.
const LEAST: f32 = f32::EPSILON * f32::EPSILON * f32::EPSILON / 2048.0;

/// Share of active neurons, in percent, below which the int8 prefilter runs first.
const SPARSE: usize = 40;

/// Input of all chunks: the stream and the read, lane by lane, each with a coarse copy.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) v: Vec<Line>,          // [B] rows
    pub(super) a: Vec<Line>,          // [B, H] rows
    pub(super) coarse_v: Vec<Shorts>, // [B] rows
    pub(super) coarse_a: Vec<Shorts>, // [B, H] rows
    pub(super) cos: Vec<f32>,         // [1 or B, N/2]
    pub(super) sin: Vec<f32>,         // the same
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
    pub(super) rho: Vec<Line>,        // [L, B, neurons] rows, each to be multiplied by its scale
    pub(super) scales: Vec<f64>,      // [L, B]
    pub(super) lanes: Vec<Lane>,
    pub(super) active: Vec<[usize; 2]>, // of x and y, per level, all lanes
}

/// Results of a chunk for one lane. Neurons and pairs are counted from the chunk's first.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    x: Vec<Line>,
    active: List<u32>,       // neurons with x > 0
    pairs: List<u32>,        // pairs with an active member
    suspects: List<u32>,     // neurons that the prefilter let pass
    fired: List<(u32, f32)>, // neurons with y > 0, and y
    pub(super) read: Vec<Line>,
    pub(super) u: Vec<Line>,
}

/// List with room for all entries. An entry is written first and then counted or not, without a branch or an
/// allocation.
#[derive(Clone, Debug)]
struct List<T> {
    room: Vec<T>,
    len: usize,
}

impl<T: Copy + Default> List<T> {
    fn new(most: usize) -> Self {
        Self {
            room: vec![T::default(); most + 1],
            len: 0,
        }
    }

    #[inline(always)]
    fn push_if(&mut self, wanted: bool, entry: T) {
        self.room[self.len] = entry;
        self.len += usize::from(wanted);
    }

    #[inline(always)]
    fn entries(&self) -> &[T] {
        &self.room[..self.len]
    }
}

impl Chunk {
    pub(super) fn new(weights: &Weights, lanes: usize, head: usize, neurons: Range<usize>) -> Self {
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
        };
        Self {
            head,
            neurons,
            rho: vec![Line::default(); sizes.levels * lanes * count * row],
            scales: vec![1.0; sizes.levels * lanes],
            lanes: (0..lanes).map(|_| lane()).collect(),
            active: vec![[0; 2]; sizes.levels],
        }
    }

    /// The rows of a level's memory of one lane.
    pub(super) fn memory(&self, level: usize, lane: usize) -> Range<usize> {
        let size = self.rho.len() / self.active.len() / self.lanes.len();
        let start = (level * self.lanes.len() + lane) * size;
        start..start + size
    }

    /// Where the scale of a level's memory of one lane is.
    pub(super) fn scale(&self, level: usize, lane: usize) -> usize {
        level * self.lanes.len() + lane
    }

    /// Decays a level's memory of one lane: its scale decreases. The rows do not change until the scale is below
    /// [`LEAST_SCALE`]; then they are multiplied by it.
    #[inline(always)]
    fn fade(&mut self, level: usize, lane: usize, left: f64) {
        let (place, scale) = (self.memory(level, lane), self.scale(level, lane));
        let scale = &mut self.scales[scale];
        *scale *= left;
        if *scale < LEAST_SCALE {
            let factor = std::mem::replace(scale, 1.0) as f32;
            for entry in self.rho[place].iter_mut().flat_map(|line| &mut line.0) {
                let scaled = *entry * factor;
                *entry = if scaled.abs() < LEAST { 0.0 } else { scaled };
            }
        }
    }

    /// The chunk's neurons among those of all heads.
    fn place(&self, neurons_per_head: usize) -> Range<usize> {
        let first = self.head * neurons_per_head + self.neurons.start;
        first..first + self.neurons.len()
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
        let Self {
            weights,
            stream,
            chunk,
            level,
        } = self;
        let sizes = weights.sizes();
        let decoder_x = weights.decoder_x.part(chunk.place(sizes.neurons));
        // The activity at this level for the token before tells which way is faster now; the result is the same.
        let entries = chunk.lanes.len() * chunk.neurons.len();
        let sparse = chunk.active[level][0] * 100 < entries * SPARSE;
        let (pairs, own) = (sizes.neurons / 2, chunk.neurons.start / 2..chunk.neurons.end / 2);
        chunk.active[level][0] = 0;
        let streams = stream
            .v
            .chunks_exact(sizes.row())
            .zip(stream.coarse_v.chunks_exact(sizes.coarse_row()));
        for (index, (v, z)) in streams.enumerate() {
            let place = chunk.memory(level, index);
            let scale = chunk.scales[chunk.scale(level, index)];
            let (cos, sin) = stream.angles(index, pairs);
            let lane = &mut chunk.lanes[index];
            lane.perceive(simd, decoder_x, v, sparse.then_some(z));
            let memory = Scaled {
                rows: &mut chunk.rho[place],
                scale,
            };
            lane.recall(simd, memory, v, (&cos[own.clone()], &sin[own.clone()]));
            chunk.active[level][0] += lane.active.len;
            if let Some(left) = weights.left.get(chunk.head) {
                chunk.fade(level, index, *left);
            }
        }
    }
}

/// Rows of a memory, which is `scale` times as large.
struct Scaled<'a> {
    rows: &'a mut [Line],
    scale: f64,
}

impl Lane {
    /// `x = relu(v decoder_x)`, and the list of active neurons; with a coarse copy of v the neurons are prefiltered
    /// first.
    #[inline(always)]
    fn perceive<S: Simd>(
        &mut self,
        simd: S,
        decoder_x: NeuronSlice<'_>,
        v: &[Line],
        coarse: Option<&[Shorts]>,
    ) {
        let size = v.len();
        match coarse {
            None => {
                for (n, row) in decoder_x.rows.chunks_exact(size).enumerate() {
                    self.x[n / LINE].0[n % LINE] = dot(simd, v, row);
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
                    self.x[n / LINE].0[n % LINE] = dot(simd, v, decoder_x.row(n, size));
                }
            }
        }
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

    /// `read = q rho`, then `rho += q v`, in one pass over the rows of the listed pairs.
    #[inline(always)]
    fn recall<S: Simd>(&mut self, simd: S, rho: Scaled<'_>, v: &[Line], (cos, sin): (&[f32], &[f32])) {
        let (row, rows) = (v.len(), rho.rows);
        let [ask, write] = [rho.scale as f32, rho.scale.recip() as f32]; // both exactly 1 where nothing decays
        self.read.fill(Line::default());
        let pairs = self.pairs.entries();
        for (k, &pair) in pairs.iter().enumerate() {
            let pair = pair as usize;
            if let Some(&next) = pairs.get(k + AHEAD) {
                fetch(simd, &rows[next as usize * 2 * row..][..2 * row]);
            }
            let x = |member: usize| self.x[2 * pair / LINE].0[2 * pair % LINE + member];
            let q0 = x(0) * cos[pair] - x(1) * sin[pair];
            let q1 = x(1) * cos[pair] + x(0) * sin[pair];
            let [ask0, ask1] = [simd.splat(ask * q0), simd.splat(ask * q1)];
            let [write0, write1] = [simd.splat(write * q0), simd.splat(write * q1)];
            let (first, second) = rows[pair * 2 * row..][..2 * row].split_at_mut(row);
            for (((read, v), first), second) in self.read.iter_mut().zip(v).zip(first).zip(second) {
                let (r0, r1, v) = (simd.load(first), simd.load(second), simd.load(v));
                let sum = simd.fma(ask1, r1, simd.fma(ask0, r0, simd.load(read)));
                simd.store(read, sum);
                simd.store(first, simd.fma(write0, v, r0));
                simd.store(second, simd.fma(write1, v, r1));
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
        let Self {
            weights,
            stream,
            chunk,
            level,
        } = self;
        let sizes = weights.sizes();
        let (row, coarse_row, place) = (sizes.row(), sizes.coarse_row(), chunk.place(sizes.neurons));
        let decoder_y = weights.decoder_y.part(place.clone());
        let encoder = &weights.encoder[place.start * row..place.end * row];
        let [active, fired] = chunk.active[level];
        let sparse = fired * 100 < active * SPARSE;
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
    fn fire<S: Simd>(&mut self, simd: S, decoder_y: NeuronSlice<'_>, a: &[Line], coarse: Option<&[Shorts]>) {
        let size = a.len();
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
            let y = dot(simd, a, decoder_y.row(n, size)).max(0.0) * self.x[n / LINE].0[n % LINE];
            self.fired.push_if(y > 0.0, (neuron, y));
        }
    }

    /// `u = sum of y encoder` over the neurons with active y.
    #[inline(always)]
    fn speak<S: Simd>(&mut self, simd: S, encoder: &[Line]) {
        let size = self.u.len();
        self.u.fill(Line::default());
        let fired = self.fired.entries();
        for (k, &(neuron, y)) in fired.iter().enumerate() {
            if let Some(&(next, _)) = fired.get(k + AHEAD) {
                fetch(simd, &encoder[next as usize * size..][..size]);
            }
            let y = simd.splat(y);
            for (u, e) in self.u.iter_mut().zip(&encoder[neuron as usize * size..][..size]) {
                let sum = simd.fma(y, simd.load(e), simd.load(u));
                simd.store(u, sum);
            }
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
        let size = self.weights.sizes().row();
        let rows = &self.weights.lm_head[self.tokens.start * size..self.tokens.end * size];
        for (v, logits) in self
            .stream
            .v
            .chunks_exact(size)
            .zip(self.logits.chunks_exact_mut(self.tokens.len()))
        {
            for (logit, row) in logits.iter_mut().zip(rows.chunks_exact(size)) {
                *logit = dot(simd, v, row);
            }
        }
    }
}

/// Prefetches every line of a row.
#[inline(always)]
fn fetch<S: Simd>(simd: S, row: &[Line]) {
    row.iter().for_each(|line| simd.prefetch(line));
}

/// The places of the ones of a word, from the lowest.
#[inline(always)]
fn ones(mut word: u16) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let place = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (place < u16::BITS).then_some(place)
    })
}
