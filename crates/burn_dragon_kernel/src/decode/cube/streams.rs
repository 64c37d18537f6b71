//! Streams in the memory of a device, and the launches of a token.

use super::Weights;
use super::kernels::{SUMMED, advance, perceive, read_out, speak, sum_parts};
use crate::backend::DragonBackend;
use crate::decode::angles::Angles;
use crate::decode::device::{Ahead, CAPACITY, DeviceStreams, Drawn};
use crate::decode::simd::Isa;
use crate::draw::Draw;
use crate::draw::cube::{NOTHING, Rule, Sizes as DrawSizes, draw_tokens};
use crate::gpu::array::{contiguous, empty, entries, for_entries, for_rows, owned, zeros};
use burn::backend::StreamId;
use burn::tensor::{Bytes, DType, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Graph;
use cubecl::prelude::{Client, CubeElement};
use std::sync::Arc;

/// Entries of a lane's tape before its tokens: place, limit, and the place of the first position in its block.
pub(super) use crate::draw::cube::HEAD;

/// Entries of a lane's tape.
pub(super) const TAPE: usize = HEAD + CAPACITY + 1;

/// Streams of some lanes.
#[derive(Debug)]
pub(super) struct Streams {
    weights: Arc<Weights>,
    lanes: usize,
    rho: Vec<CubeTensor>, // [B, H, N, D] a level
    room: Room,
    /// The memory before the last draw, if that kept it.
    before: Option<Vec<CubeTensor>>,
    captured: Captured,
    /// Stream of the device that all of this is done on, whatever the thread.
    stream: StreamId,
}

/// Arrays between the launches.
#[derive(Debug)]
struct Room {
    tape: CubeTensor,     // [B, TAPE]
    turns: CubeTensor,    // [B, 2, N/2, 2], of two blocks of positions
    stream: CubeTensor,   // [2, B, D]
    x: CubeTensor,        // [B, H, N]
    parts: CubeTensor,    // [B, H, chunks, D]
    read: CubeTensor,     // [B, H, D]
    u: CubeTensor,        // [B, D]
    logits: CubeTensor,   // [B, V]
    uniforms: CubeTensor, // [B, CAPACITY]
    seen: CubeTensor,     // [B, V]
}

/// The launches of a token that draws, as a graph.
#[derive(Debug)]
enum Captured {
    NotYet,
    /// The draw and the end token that it was captured for.
    Graph(Graph, Draw, Option<u32>),
    /// The device captures nothing.
    Never,
}

/// What ends a token.
enum Last<'a> {
    /// The next token is on the tape.
    Given,
    /// The next token is drawn.
    Drawn(&'a Ahead<'a>),
}

impl Streams {
    pub(super) fn new(weights: Arc<Weights>, lanes: usize) -> Self {
        let sizes = weights.sizes;
        let like = weights.embed.clone();
        let memory = [lanes, sizes.heads, sizes.neurons, sizes.width];
        let rho = (0..sizes.levels).map(|_| zeros(&like, memory)).collect();
        Self::with(weights, lanes, rho)
    }

    fn with(weights: Arc<Weights>, lanes: usize, rho: Vec<CubeTensor>) -> Self {
        Self {
            room: Room::new(&weights, lanes),
            weights,
            lanes,
            rho,
            before: None,
            captured: Captured::NotYet,
            stream: StreamId::current(),
        }
    }

    fn client(&self) -> &Client {
        &self.room.tape.client
    }

    /// Puts tokens of each lane on its tape, `[B, T]`, with a limit, and the angles of the blocks of their positions.
    fn begin(&self, positions: &[u64], tokens: &[u32], limits: impl Fn(usize) -> usize) {
        let length = tokens.len() / self.lanes;
        let mut tape = vec![0; self.lanes * TAPE];
        let lanes = tape.chunks_exact_mut(TAPE).zip(tokens.chunks_exact(length));
        for (lane, (tape, tokens)) in lanes.enumerate() {
            tape[1] = limits(lane) as u32;
            tape[2] = (positions[lane] % CAPACITY as u64) as u32;
            tape[HEAD..][..length].copy_from_slice(tokens);
        }
        self.write(&self.room.tape, u32::as_bytes(&tape));
        self.turn(positions);
    }

    /// Angles of the first positions of two blocks of each lane: a position's angle is that of its block and of its
    /// place in it, whatever was read with it.
    fn turn(&self, positions: &[u64]) {
        let turns = &self.weights.turns;
        let (mut cos, mut sin) = (vec![0.0; turns.len()], vec![0.0; turns.len()]);
        let mut units = Vec::with_capacity(4 * positions.len() * turns.len());
        let block = CAPACITY as u64;
        let blocks = positions.iter().map(|position| position - position % block);
        for position in blocks.flat_map(|first| [first, first + block]) {
            Isa::best().run(Angles {
                position,
                turns,
                cos: &mut cos,
                sin: &mut sin,
            });
            units.extend(cos.iter().zip(&sin).flat_map(|(&cos, &sin)| [cos, sin]));
        }
        self.write(&self.room.turns, f32::as_bytes(&units));
    }

    fn write(&self, into: &CubeTensor, bytes: &[u8]) {
        self.client()
            .write(&into.handle, Bytes::from_bytes_vec(bytes.to_vec()));
    }

    /// Launches tokens that are given.
    fn go(&self, count: usize) {
        (0..count).for_each(|_| self.token(&Last::Given));
    }

    /// Launches tokens that are drawn: as a graph, where there is one, after the first.
    fn go_ahead(&mut self, ahead: &Ahead<'_>) {
        let mut left = ahead.count;
        if let Captured::Graph(_, draw, end) = &self.captured
            && (*draw, *end) != (ahead.draw, ahead.end)
        {
            self.captured = Captured::NotYet;
        }
        if left > 2 && matches!(self.captured, Captured::NotYet) {
            left -= 1;
            self.captured = self.capture(ahead);
        }
        while left > 0 && self.replay() {
            left -= 1;
        }
        (0..left).for_each(|_| self.token(&Last::Drawn(ahead)));
    }

    /// Launches a token, and captures the launches of the next.
    fn capture(&self, ahead: &Ahead<'_>) -> Captured {
        let (client, last) = (self.client(), Last::Drawn(ahead));
        let prepared = client.graph_prepare().is_ok();
        self.token(&last);
        if !prepared {
            return Captured::Never;
        }
        if client.start_capture().is_ok() {
            self.token(&last);
        }
        // Of a capture that was prepared and did not start this is the end, too.
        match client.stop_capture() {
            Ok(graph) => Captured::Graph(graph, ahead.draw, ahead.end),
            Err(_) => Captured::Never,
        }
    }

    /// Whether the graph, if there is one, was launched.
    fn replay(&self) -> bool {
        let Captured::Graph(graph, ..) = &self.captured else {
            return false;
        };
        // SAFETY: every array that the graph reads or writes is in `self` and in the weights that it shares, and is
        // never replaced while the graph is there; all launches, reads and writes of `self` are on its one stream.
        let replayed = unsafe { graph.replay() };
        replayed.is_ok()
    }

    #[cfg(all(test, feature = "wgpu", not(feature = "cuda")))]
    pub(super) fn has_graph(&self) -> bool {
        matches!(self.captured, Captured::Graph(..))
    }

    /// Launches a token of all lanes.
    fn token(&self, last: &Last<'_>) {
        for level in 0..self.weights.sizes.levels {
            self.perceive(level);
            let rows = self.lanes * self.weights.sizes.heads;
            self.sum(rows, &self.room.read);
            self.speak();
            self.sum(self.lanes, &self.room.u);
        }
        self.read_out();
        match last {
            Last::Given => self.advance(),
            Last::Drawn(ahead) => self.draw_token(ahead),
        }
    }

    fn perceive(&self, level: usize) {
        let (weights, room) = (&self.weights, &self.room);
        let [pair, wide, _] = weights.vectors();
        let embeds = level == 0;
        let source = if embeds { &weights.embed } else { &room.u };
        let (cubes, units) = for_rows(self.client(), self.cubes());
        perceive::launch(
            self.client(),
            cubes,
            units,
            pair,
            wide,
            room.tape.clone().into_buffer_arg(),
            source.clone().into_buffer_arg(),
            room.stream.clone().into_buffer_arg(),
            weights.decoder_x.clone().into_buffer_arg(),
            self.rho[level].clone().into_buffer_arg(),
            room.turns.clone().into_buffer_arg(),
            weights.tables.clone().into_buffer_arg(),
            room.x.clone().into_buffer_arg(),
            room.parts.clone().into_buffer_arg(),
            weights.launch(self.lanes, false),
            (level + 1) % 2,
            embeds,
            weights.fades,
            weights.space(),
        );
    }

    fn speak(&self) {
        let (weights, room) = (&self.weights, &self.room);
        let [pair, wide, _] = weights.vectors();
        let (cubes, units) = for_rows(self.client(), self.cubes());
        speak::launch(
            self.client(),
            cubes,
            units,
            pair,
            wide,
            room.tape.clone().into_buffer_arg(),
            room.read.clone().into_buffer_arg(),
            weights.decoder_y.clone().into_buffer_arg(),
            weights.encoder.clone().into_buffer_arg(),
            room.x.clone().into_buffer_arg(),
            room.parts.clone().into_buffer_arg(),
            weights.launch(self.lanes, false),
            weights.space(),
        );
    }

    /// Sums the parts of each of `rows`.
    fn sum(&self, rows: usize, into: &CubeTensor) {
        let [_, wide, _] = self.weights.vectors();
        let columns = self.weights.sizes.width / wide;
        let (cubes, units) = for_rows(self.client(), rows * columns.div_ceil(SUMMED));
        sum_parts::launch(
            self.client(),
            cubes,
            units,
            wide,
            self.room.parts.clone().into_buffer_arg(),
            into.clone().into_buffer_arg(),
            rows,
            self.cubes() / rows,
            columns,
        );
    }

    fn read_out(&self) {
        let (weights, room) = (&self.weights, &self.room);
        let [_, _, of_vocab] = weights.vectors();
        let (cubes, units) = for_rows(self.client(), self.lanes * weights.vocab(self.lanes).chunks);
        read_out::launch(
            self.client(),
            cubes,
            units,
            of_vocab,
            room.tape.clone().into_buffer_arg(),
            room.u.clone().into_buffer_arg(),
            room.stream.clone().into_buffer_arg(),
            weights.lm_head.clone().into_buffer_arg(),
            room.logits.clone().into_buffer_arg(),
            weights.launch(self.lanes, true),
            (weights.sizes.levels + 1) % 2,
            weights.space(),
        );
    }

    fn advance(&self) {
        let (cubes, units) = for_entries(self.client(), self.lanes);
        let tape = self.room.tape.clone().into_buffer_arg();
        advance::launch(self.client(), cubes, units, tape, self.lanes, TAPE);
    }

    fn draw_token(&self, ahead: &Ahead<'_>) {
        let room = &self.room;
        let sizes = DrawSizes {
            vocab: self.weights.sizes.vocab,
            lanes: self.lanes,
            stride: TAPE,
            uniforms: CAPACITY,
            end: ahead.end,
        };
        let (rule, steps) = Rule::of(&ahead.draw, sizes);
        let (cubes, units) = for_rows(self.client(), self.lanes);
        draw_tokens::launch(
            self.client(),
            cubes,
            units,
            room.logits.clone().into_buffer_arg(),
            room.uniforms.clone().into_buffer_arg(),
            room.seen.clone().into_buffer_arg(),
            room.tape.clone().into_buffer_arg(),
            rule,
            steps,
        );
    }

    /// Cubes of a launch on neurons.
    fn cubes(&self) -> usize {
        self.lanes * self.weights.sizes.heads * self.weights.neurons(self.lanes).chunks
    }

    /// Uniform numbers and seen tokens of a draw.
    fn prepare(&self, ahead: &Ahead<'_>) {
        if ahead.draw.temperature != 0.0 {
            let mut uniforms = vec![0.0f32; self.lanes * CAPACITY];
            let lanes = uniforms.chunks_exact_mut(CAPACITY);
            for (into, from) in lanes.zip(ahead.uniforms.chunks_exact(ahead.count)) {
                into.iter_mut()
                    .zip(from)
                    .for_each(|(into, from)| *into = *from as f32);
            }
            self.write(&self.room.uniforms, f32::as_bytes(&uniforms));
        }
        if ahead.draw.penalty.is_some() {
            let vocab = self.weights.sizes.vocab;
            let mut seen = vec![0u32; self.lanes * vocab];
            for (lane, tokens) in seen.chunks_exact_mut(vocab).zip(ahead.seen) {
                let known = tokens.iter().filter(|&&token| (token as usize) < vocab);
                known.for_each(|&token| lane[token as usize] = 1);
            }
            self.write(&self.room.seen, u32::as_bytes(&seen));
        }
    }

    /// The tapes and the logits, once the device has done its work.
    fn read_back(&self) -> (Vec<u32>, Vec<f32>) {
        let handles = [&self.room.tape, &self.room.logits].map(|array| array.handle.clone());
        let bytes = match self.client().read(handles.to_vec()) {
            Ok(bytes) => bytes,
            Err(error) => panic!("decode: the device failed: {error:?}"),
        };
        let tape = u32::from_bytes(&bytes[0])[..self.lanes * TAPE].to_vec();
        let logits = f32::from_bytes(&bytes[1])[..entries(&self.room.logits)].to_vec();
        (tape, logits)
    }

    fn copy_of_memory(&self) -> Vec<CubeTensor> {
        self.rho.iter().map(CubeTensor::copy).collect()
    }

    /// Other memories in place of these; what was captured wrote to these.
    fn replace(&mut self, rho: Vec<CubeTensor>) {
        if matches!(self.captured, Captured::Graph(..)) {
            self.captured = Captured::NotYet;
        }
        self.rho = rho;
        self.before = None;
    }
}

impl Room {
    fn new(weights: &Weights, lanes: usize) -> Self {
        let (sizes, like) = (weights.sizes, &weights.embed);
        let floats = |shape: &[usize]| empty(like, shape.to_vec(), DType::F32);
        let words = |shape: &[usize]| empty(like, shape.to_vec(), DType::U32);
        let chunks = weights.neurons(lanes).chunks;
        Self {
            tape: words(&[lanes, TAPE]),
            turns: floats(&[lanes, 2, sizes.neurons / 2, 2]),
            stream: floats(&[2, lanes, sizes.width]),
            x: floats(&[lanes, sizes.heads, sizes.neurons]),
            parts: floats(&[lanes, sizes.heads, chunks, sizes.width]),
            read: floats(&[lanes, sizes.heads, sizes.width]),
            u: floats(&[lanes, sizes.width]),
            logits: zeros(like, [lanes, sizes.vocab]),
            uniforms: floats(&[lanes, CAPACITY]),
            seen: words(&[lanes, sizes.vocab]),
        }
    }
}

impl DeviceStreams for Streams {
    fn fork(&self) -> Box<dyn DeviceStreams> {
        let of = || Self::with(self.weights.clone(), self.lanes, self.copy_of_memory());
        Box::new(self.stream.executes(of))
    }

    fn fresh(&self) -> Box<dyn DeviceStreams> {
        Box::new(Self::new(self.weights.clone(), self.lanes))
    }

    fn read(&mut self, positions: &[u64], tokens: &[u32]) -> Vec<f32> {
        let length = tokens.len() / self.lanes;
        self.before = None;
        self.stream.executes(|| {
            self.begin(positions, tokens, |_| length);
            self.go(length);
            self.read_back().1
        })
    }

    fn draw(&mut self, positions: &[u64], tokens: &[u32], ahead: &Ahead<'_>) -> (Vec<Drawn>, Vec<f32>) {
        self.stream.executes(|| {
            self.before = ahead.keeps.then(|| self.copy_of_memory());
            self.begin(positions, tokens, |_| ahead.count);
            self.prepare(ahead);
            self.go_ahead(ahead);
            let (tape, logits) = self.read_back();
            (tape.chunks_exact(TAPE).map(drawn).collect(), logits)
        })
    }

    fn rewind(&mut self, positions: &[u64], read: &[usize]) -> Vec<f32> {
        self.stream.executes(|| {
            let Some(rho) = self.before.take() else {
                unreachable!("the memory was kept");
            };
            let (tape, _) = self.read_back();
            let tokens: Vec<u32> = tape
                .chunks_exact(TAPE)
                .flat_map(|lane| lane[HEAD..][..CAPACITY].iter().copied())
                .collect();
            self.replace(rho);
            self.begin(positions, &tokens, |lane| read[lane]);
            self.go(read.iter().copied().max().unwrap_or(0));
            self.read_back().1
        })
    }

    fn memory(&self, level: usize) -> Tensor<4> {
        self.stream.executes(|| CubeBackend::give(self.rho[level].copy()))
    }

    fn restore(&mut self, rho: Vec<Tensor<4>>) {
        let taken = |rho: Tensor<4>| match CubeBackend::take(rho) {
            Ok(on) if on.numbers.dtype == DType::F32 => on.numbers,
            _ => panic!("decode: a memory is on another device or not in f32"),
        };
        let rho: Vec<CubeTensor> = rho.into_iter().map(taken).collect();
        self.stream.executes(|| {
            let rho = rho.into_iter().map(|rho| owned(contiguous(rho))).collect();
            self.replace(rho);
        });
    }
}

/// What a lane drew, from its tape.
fn drawn(tape: &[u32]) -> Drawn {
    let tokens = &tape[HEAD + 1..][..tape[0] as usize];
    let stuck = tokens.last() == Some(&NOTHING);
    Drawn {
        tokens: tokens[..tokens.len() - usize::from(stuck)].to_vec(),
        stuck,
    }
}
