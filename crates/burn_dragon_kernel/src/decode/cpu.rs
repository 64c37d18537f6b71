//! The work on a chunk of neurons of one head, and the small sums between the chunks.

use super::simd::{Kernel, LINE, Line, Simd};
use super::weights::Weights;
use std::ops::Range;

/// Rows that are asked for ahead of the one in hand.
const AHEAD: usize = 4;

/// What all chunks see: the stream and what was read, lane by lane.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) v: Vec<Line>,  // [B] rows
    pub(super) a: Vec<Line>,  // [B, H] rows
    pub(super) cos: Vec<f32>, // [1 or B, N/2]
    pub(super) sin: Vec<f32>, // the same
}

impl Stream {
    /// Cosines and sines of a lane.
    fn angles(&self, lane: usize, pairs: usize) -> (&[f32], &[f32]) {
        let table = if self.cos.len() == pairs { 0 } else { lane };
        let place = table * pairs..(table + 1) * pairs;
        (&self.cos[place.clone()], &self.sin[place])
    }
}

/// A range of a head's neurons, with the memory of all levels and lanes, and what it makes of the token in hand.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) head: usize,
    pub(super) neurons: Range<usize>, // of the head; begins at a strip
    pub(super) rho: Vec<Line>,        // [L, B, neurons] rows
    pub(super) lanes: Vec<Lane>,
    pub(super) active: Vec<[usize; 2]>, // of x and y, per level, all lanes
}

/// What a chunk makes of one lane. Neurons and pairs are counted from the chunk's first.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    x: Vec<Line>,
    active: Vec<u32>,       // neurons with x > 0
    pairs: Vec<u32>,        // pairs with an active member
    fired: Vec<(u32, f32)>, // neurons with y > 0, and y
    pub(super) read: Vec<Line>,
    pub(super) u: Vec<Line>,
}

impl Chunk {
    pub(super) fn new(weights: &Weights, lanes: usize, head: usize, neurons: Range<usize>) -> Self {
        let sizes = weights.sizes();
        let (count, row) = (neurons.len(), sizes.row());
        let lane = || Lane {
            x: vec![Line::default(); count.div_ceil(LINE)],
            active: Vec::with_capacity(count),
            pairs: Vec::with_capacity(count / 2),
            fired: Vec::with_capacity(count),
            read: vec![Line::default(); row],
            u: vec![Line::default(); row],
        };
        Self {
            head,
            neurons,
            rho: vec![Line::default(); sizes.levels * lanes * count * row],
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
}

/// From the stream to what this chunk's memory answers, and the write: x, `read`, `rho += q v`.
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
        let (row, strips) = (sizes.row(), sizes.strips());
        for lane in &mut chunk.lanes {
            lane.active.clear();
            lane.pairs.clear();
        }
        let first = chunk.head * strips + chunk.neurons.start / LINE;
        let blocks = weights.decoder_x[first * row * LINE..].chunks_exact(row * LINE);
        for (strip, block) in blocks.take(chunk.neurons.len().div_ceil(LINE)).enumerate() {
            // One lane after the other: the strip stays in the nearest cache.
            for (lane, v) in chunk.lanes.iter_mut().zip(stream.v.chunks_exact(row)) {
                let (x, positive) = simd.relu(product(simd, block, v));
                simd.store(&mut lane.x[strip], x);
                lane.note(strip, positive);
            }
        }
        let pairs = sizes.neurons / 2;
        let own = chunk.neurons.start / 2..chunk.neurons.end / 2;
        chunk.active[level][0] = 0;
        for index in 0..chunk.lanes.len() {
            let place = chunk.memory(level, index);
            let (cos, sin) = stream.angles(index, pairs);
            let lane = &mut chunk.lanes[index];
            lane.recall(
                simd,
                &mut chunk.rho[place],
                &stream.v[index * row..(index + 1) * row],
                (&cos[own.clone()], &sin[own.clone()]),
            );
            chunk.active[level][0] += lane.active.len();
        }
    }
}

impl Lane {
    /// Lists the active neurons of a strip, and their pairs.
    #[inline(always)]
    fn note(&mut self, strip: usize, positive: u16) {
        for i in ones(positive) {
            self.active.push((strip * LINE) as u32 + i);
        }
        for i in ones((positive | positive >> 1) & 0x5555) {
            self.pairs.push((strip * LINE / 2) as u32 + i / 2);
        }
    }

    /// `read = q rho`, then `rho += q v`, in one pass over the rows of the listed pairs.
    #[inline(always)]
    fn recall<S: Simd>(&mut self, simd: S, rho: &mut [Line], v: &[Line], (cos, sin): (&[f32], &[f32])) {
        let row = v.len();
        self.read.fill(Line::default());
        for (k, &pair) in self.pairs.iter().enumerate() {
            let pair = pair as usize;
            if let Some(&next) = self.pairs.get(k + AHEAD) {
                fetch(simd, &rho[next as usize * 2 * row..][..2 * row]);
            }
            let x = |member: usize| self.x[2 * pair / LINE].0[2 * pair % LINE + member];
            let q0 = simd.splat(x(0) * cos[pair] - x(1) * sin[pair]);
            let q1 = simd.splat(x(1) * cos[pair] + x(0) * sin[pair]);
            let (first, second) = rho[pair * 2 * row..][..2 * row].split_at_mut(row);
            for (((read, v), first), second) in self.read.iter_mut().zip(v).zip(first).zip(second) {
                let (r0, r1, v) = (simd.load(first), simd.load(second), simd.load(v));
                let sum = simd.fma(q1, r1, simd.fma(q0, r0, simd.load(read)));
                simd.store(read, sum);
                simd.store(first, simd.fma(q0, v, r0));
                simd.store(second, simd.fma(q1, v, r1));
            }
        }
    }
}

/// From what was read to what this chunk says: y, and its part of `u = y encoder`.
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
        let row = sizes.row();
        let first = chunk.head * sizes.neurons + chunk.neurons.start;
        let place = first * row..(first + chunk.neurons.len()) * row;
        let (decoder_y, encoder) = (&weights.decoder_y[place.clone()], &weights.encoder[place]);
        chunk.active[level][1] = 0;
        for (index, lane) in chunk.lanes.iter_mut().enumerate() {
            let a = &stream.a[(index * sizes.heads + chunk.head) * row..][..row];
            lane.fire(simd, a, decoder_y, encoder);
            lane.speak(simd, encoder);
            chunk.active[level][1] += lane.fired.len();
        }
    }
}

impl Lane {
    /// Lists the neurons with `y = relu(a decoder_y) x > 0`.
    #[inline(always)]
    fn fire<S: Simd>(&mut self, simd: S, a: &[Line], decoder_y: &[Line], encoder: &[Line]) {
        let row = a.len();
        self.fired.clear();
        for (k, &neuron) in self.active.iter().enumerate() {
            if let Some(&next) = self.active.get(k + AHEAD) {
                fetch(simd, &decoder_y[next as usize * row..][..row]);
            }
            let place = neuron as usize * row;
            let gate = dot(simd, a, &decoder_y[place..][..row]);
            let y = gate.max(0.0) * self.x[neuron as usize / LINE].0[neuron as usize % LINE];
            if y > 0.0 {
                fetch(simd, &encoder[place..][..row]);
                self.fired.push((neuron, y));
            }
        }
    }

    /// `u = sum of y encoder` over the neurons that fired.
    #[inline(always)]
    fn speak<S: Simd>(&mut self, simd: S, encoder: &[Line]) {
        let row = self.u.len();
        self.u.fill(Line::default());
        for &(neuron, y) in &self.fired {
            let y = simd.splat(y);
            for (u, e) in self.u.iter_mut().zip(&encoder[neuron as usize * row..][..row]) {
                let sum = simd.fma(y, simd.load(e), simd.load(u));
                simd.store(u, sum);
            }
        }
    }
}

/// Logits of a range of strips of the vocabulary.
pub(super) struct Readout<'a> {
    pub(super) weights: &'a Weights,
    pub(super) stream: &'a Stream,
    pub(super) strips: Range<usize>,
    pub(super) logits: &'a mut [Line], // [strips, B]
}

impl Kernel for Readout<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let row = self.weights.sizes().row();
        let lanes = self.stream.v.len() / row;
        let blocks = self.weights.lm_head[self.strips.start * row * LINE..].chunks_exact(row * LINE);
        for (block, logits) in blocks.zip(self.logits.chunks_exact_mut(lanes)) {
            for (v, logits) in self.stream.v.chunks_exact(row).zip(logits) {
                simd.store(logits, product(simd, block, v));
            }
        }
    }
}

/// What the stream is after a level: `norm(v + norm(u))`, u summed over the chunks before.
pub(super) struct Join<'a> {
    pub(super) v: &'a mut [Line],
    pub(super) u: &'a mut [Line],
    pub(super) width: usize,
    pub(super) eps: f32,
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { v, u, width, eps } = self;
        norm(u, width, eps).run(simd);
        add(v, u).run(simd);
        norm(v, width, eps).run(simd);
    }
}

/// `sum += part`.
pub(super) fn add<'a>(sum: &'a mut [Line], part: &'a [Line]) -> Add<'a> {
    Add { sum, part }
}

pub(super) struct Add<'a> {
    sum: &'a mut [Line],
    part: &'a [Line],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (sum, part) in self.sum.iter_mut().zip(self.part) {
            let both = simd.add(simd.load(sum), simd.load(part));
            simd.store(sum, both);
        }
    }
}

/// The layer norm of one row of `width` numbers.
pub(super) fn norm(row: &mut [Line], width: usize, eps: f32) -> Norm<'_> {
    Norm { row, width, eps }
}

pub(super) struct Norm<'a> {
    row: &'a mut [Line],
    width: usize,
    eps: f32,
}

impl Kernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { row, width, eps } = self;
        let one = simd.splat(1.0);
        let sum = row
            .iter()
            .fold(simd.splat(0.0), |sum, v| simd.fma(one, simd.load(v), sum));
        let shift = simd.splat(-simd.sum(sum) / width as f32);
        let end = (row.len() - 1) * LINE;
        for v in row.iter_mut() {
            let centred = simd.add(simd.load(v), shift);
            simd.store(v, centred);
        }
        row[row.len() - 1].0[width - end..].fill(0.0); // what fills the last line is not part of the row
        let squares = row.iter().fold(simd.splat(0.0), |sum, v| {
            let v = simd.load(v);
            simd.fma(v, v, sum)
        });
        let scale = simd.splat((simd.sum(squares) / width as f32 + eps).sqrt().recip());
        let zero = simd.splat(0.0);
        for v in row.iter_mut() {
            let scaled = simd.fma(simd.load(v), scale, zero);
            simd.store(v, scaled);
        }
    }
}

/// The products of sixteen columns with `v`: the sum over d of `v[d]` times line d of the strip.
#[inline(always)]
fn product<S: Simd>(simd: S, strip: &[Line], v: &[Line]) -> S::V {
    let mut sums = [simd.splat(0.0); 4];
    for (block, v) in strip.chunks_exact(LINE).zip(v) {
        for (lines, v) in block.chunks_exact(4).zip(v.0.chunks_exact(4)) {
            for i in 0..4 {
                sums[i] = simd.fma(simd.splat(v[i]), simd.load(&lines[i]), sums[i]);
            }
        }
    }
    simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]))
}

/// The scalar product of two rows.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[Line], b: &[Line]) -> f32 {
    let mut sums = [simd.splat(0.0); 2];
    let (a, last_a) = a.as_chunks::<2>();
    let (b, last_b) = b.as_chunks::<2>();
    for (a, b) in a.iter().zip(b) {
        for i in 0..2 {
            sums[i] = simd.fma(simd.load(&a[i]), simd.load(&b[i]), sums[i]);
        }
    }
    for (a, b) in last_a.iter().zip(last_b) {
        sums[0] = simd.fma(simd.load(a), simd.load(b), sums[0]);
    }
    simd.sum(simd.add(sums[0], sums[1]))
}

/// Asks for every line of a row.
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
