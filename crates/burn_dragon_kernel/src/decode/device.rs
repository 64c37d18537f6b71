//! Decoding in the memory of a device that has kernels for it: a GPU.

use super::weights::Sizes;
use crate::backend::{DragonBackend, on_backends};
use crate::draw::Draw;
use crate::rotation::Frequencies;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Tensor};
use std::fmt::Debug;

/// Largest number of tokens that lanes read at once.
pub(crate) const CAPACITY: usize = 16;

/// Parameters of a model as tensors in f32, in the layout of training; see [`Parameters`](super::Parameters).
#[derive(Clone, Debug)]
pub struct DeviceParameters {
    /// Sizes of the model, which the tensors have.
    pub sizes: Sizes,
    /// Token embedding, `[V, D]`.
    pub embed: Tensor<2>,
    /// Matrix from model width to neurons, for x, `[H, D, N]`.
    pub decoder_x: Tensor<3>,
    /// Matrix from the read to neurons, for y, `[H, D, N]`.
    pub decoder_y: Tensor<3>,
    /// Matrix from neurons to model width, `[H*N, D]`.
    pub encoder: Tensor<2>,
    /// Readout, `[D, V]`.
    pub lm_head: Tensor<2>,
    /// Frequencies of the `N/2` pairs of a head.
    pub frequencies: Frequencies,
    /// Slopes of the heads' decay, `[H]`; empty if memory does not fade.
    pub slopes: Vec<f64>,
    /// Epsilon that the norms add to the variance.
    pub eps: f64,
}

/// The same on a backend.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "wgpu", feature = "cuda")),
    expect(dead_code, reason = "the processor decodes in plain memory")
)]
pub(crate) struct ParametersOn<B: DragonBackend> {
    pub(crate) sizes: Sizes,
    pub(crate) embed: FloatTensor<B>,
    pub(crate) decoder_x: FloatTensor<B>,
    pub(crate) decoder_y: FloatTensor<B>,
    pub(crate) encoder: FloatTensor<B>,
    pub(crate) lm_head: FloatTensor<B>,
    pub(crate) frequencies: Frequencies,
    pub(crate) slopes: Vec<f64>,
    pub(crate) eps: f64,
}

/// Streams of a backend. Positions are those of the first of the tokens that are read.
pub(crate) trait DeviceStreams: Debug + Send + Sync {
    /// A copy.
    fn fork(&self) -> Box<dyn DeviceStreams>;

    /// As many streams of the same model with an empty memory.
    fn fresh(&self) -> Box<dyn DeviceStreams>;

    /// Reads up to [`CAPACITY`] tokens of each lane, `[B, T]`; the logits after the last.
    fn read(&mut self, positions: &[u64], tokens: &[u32]) -> Vec<f32>;

    /// Reads a token of each lane and draws what follows.
    fn draw(&mut self, positions: &[u64], tokens: &[u32], ahead: &Ahead<'_>) -> (Vec<Drawn>, Vec<f32>);

    /// Puts the memory back to before the last [`draw`](Self::draw), which kept it, and reads the first tokens again
    /// that were read there, `read` of each lane; the logits after them.
    fn rewind(&mut self, positions: &[u64], read: &[usize]) -> Vec<f32>;

    /// Copy of the memory of a level, `[B, H, N, D]`.
    fn memory(&self, level: usize) -> Tensor<4>;

    /// Replaces the memories, one `[B, H, N, D]` a level.
    fn restore(&mut self, rho: Vec<Tensor<4>>);
}

/// Tokens to draw on a device, one after another, each read before the next is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Ahead<'a> {
    /// Number of tokens for each lane, 1 to [`DeviceDecode::MOST_AHEAD`].
    pub count: usize,
    /// Settings of the draws.
    pub draw: Draw,
    /// Uniform numbers in `[0, 1)`, `[B, count]`; may be empty at temperature 0.
    pub uniforms: &'a [f64],
    /// Tokens that each lane has seen, for the penalty; may be empty without one.
    pub seen: &'a [Vec<u32>],
    /// Token after which a lane draws no more.
    pub end: Option<u32>,
    /// Whether the memory before is kept, so that [`DeviceDecode::rewind`] can be called. It takes as much memory again.
    pub keeps: bool,
}

/// Tokens that a lane drew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// The tokens: all that were asked for, or up to the end token, or up to where no token could be drawn. All but the
    /// last are read; where none could be drawn, all are.
    pub tokens: Vec<u32>,
    /// Whether a logit, or a value computed from it in f32, was not finite where the tokens end. A draw in f64 from the
    /// [`logits`](DeviceDecode::logits) decides what follows.
    pub stuck: bool,
}

impl Drawn {
    /// Number of tokens that were read, the given one included.
    pub fn read(&self) -> usize {
        self.tokens.len() + usize::from(self.stuck)
    }
}

/// Decoder state of some streams through one model on a device: weights, memories and logits stay there.
///
/// It is the function of [`Decode`](super::Decode) in f32, with sums in another order.
#[derive(Debug)]
pub struct DeviceDecode {
    streams: Box<dyn DeviceStreams>,
    sizes: Sizes,
    positions: Vec<u64>,
    /// Positions before the last draw, and the tokens that were read since, if its memory was kept.
    before: Option<(Vec<u64>, Vec<usize>)>,
    logits: Vec<f32>, // [B, V]
}

impl DeviceDecode {
    /// Largest number of tokens that are drawn at once.
    pub const MOST_AHEAD: usize = CAPACITY;

    /// `lanes` streams at position 0 with an empty memory; `None` where the device has no kernels for them or the
    /// parameters are not in f32.
    ///
    /// # Panics
    /// If `lanes` is 0.
    pub fn new(parameters: DeviceParameters, lanes: usize) -> Option<Self> {
        assert!(lanes > 0, "decode: 0 lanes, expected at least 1");
        let sizes = parameters.sizes;
        let streams = on_backends!(B, input = parameters => streams::<B>(input, lanes)).ok()?;
        Some(Self::of(streams, sizes, vec![0; lanes]))
    }

    fn of(streams: Box<dyn DeviceStreams>, sizes: Sizes, positions: Vec<u64>) -> Self {
        Self {
            streams,
            sizes,
            before: None,
            logits: vec![0.0; positions.len() * sizes.vocab],
            positions,
        }
    }

    /// The same number of streams of the same model at position 0 with an empty memory; the weights are shared.
    pub fn fresh(&self) -> Self {
        Self::of(self.streams.fresh(), self.sizes, vec![0; self.positions.len()])
    }

    /// Reads T tokens of each lane, `[B, T]`, one after another, and returns the logits after the last, `[B, V]`.
    ///
    /// # Panics
    /// If there are no tokens, not the same number for each lane, or one is outside the vocabulary.
    pub fn read(&mut self, tokens: &[u32]) -> &[f32] {
        let lanes = self.positions.len();
        self.check(tokens, !tokens.is_empty() && tokens.len().is_multiple_of(lanes));
        let length = tokens.len() / lanes;
        for start in (0..length).step_by(CAPACITY) {
            let piece = start..length.min(start + CAPACITY);
            let of_lanes = tokens.chunks_exact(length);
            let piece: Vec<u32> = of_lanes
                .flat_map(|lane| lane[piece.clone()].iter().copied())
                .collect();
            self.logits = self.streams.read(&self.positions, &piece);
            let read = (piece.len() / lanes) as u64;
            self.positions.iter_mut().for_each(|position| *position += read);
        }
        self.before = None;
        &self.logits
    }

    /// Reads one token of each lane, then draws and reads more; all but the last of them are read. The logits are then
    /// those after the last token read.
    ///
    /// # Panics
    /// If there is not one token for each lane, one is outside the vocabulary, or there are too few uniform numbers or
    /// too many tokens to draw.
    pub fn draw(&mut self, tokens: &[u32], ahead: &Ahead<'_>) -> Vec<Drawn> {
        let lanes = self.positions.len();
        self.check(tokens, tokens.len() == lanes);
        assert!(
            (1..=CAPACITY).contains(&ahead.count),
            "decode: {} tokens to draw, expected 1 to {CAPACITY}",
            ahead.count
        );
        if ahead.draw.temperature != 0.0 {
            let expected = [lanes * ahead.count];
            crate::assert_shape("decode", "the uniform numbers", [ahead.uniforms.len()], expected);
        }
        if ahead.draw.penalty.is_some() {
            crate::assert_shape("decode", "the tokens seen", [ahead.seen.len()], [lanes]);
        }
        let (drawn, logits) = self.streams.draw(&self.positions, tokens, ahead);
        self.logits = logits;
        let read: Vec<usize> = drawn.iter().map(Drawn::read).collect();
        self.before = ahead.keeps.then(|| (self.positions.clone(), read.clone()));
        self.go(&read);
        drawn
    }

    fn go(&mut self, read: &[usize]) {
        let pairs = self.positions.iter_mut().zip(read);
        pairs.for_each(|(position, read)| *position += *read as u64);
    }

    /// Goes back within the last [`draw`](Self::draw): each lane has then read the given token and drawn ones up to
    /// `read` tokens in all, with the memory that it had then, bit for bit.
    ///
    /// # Panics
    /// If the last call was not a draw that [kept](Ahead::keeps) the memory, or a lane had not read so many tokens.
    pub fn rewind(&mut self, read: &[usize]) {
        let Some((positions, had_read)) = self.before.take() else {
            panic!("decode: a rewind without a draw before it that kept its memory");
        };
        crate::assert_shape("decode", "the numbers of tokens", [read.len()], [had_read.len()]);
        assert!(
            read.iter()
                .zip(&had_read)
                .all(|(read, had_read)| read <= had_read),
            "decode: a rewind to {read:?} tokens of {had_read:?}"
        );
        if read != had_read {
            self.logits = self.streams.rewind(&positions, read);
            self.positions = positions;
            self.go(read);
        }
    }

    /// Logits after the last token that was read, `[B, V]`; zeros before the first.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Position of each lane: the number of tokens it has read.
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    /// Copy of the memory of a level, `[B, H, N, D]`.
    ///
    /// # Panics
    /// If there is no such level.
    pub fn memory(&self, level: usize) -> Tensor<4> {
        self.streams.memory(level)
    }

    /// Replaces memories and positions: a memory `[B, H, N, D]` for each level and a position for each lane.
    ///
    /// # Panics
    /// If their numbers or shapes are not those of the model and the lanes, or a memory is on another device or not in
    /// f32.
    pub fn restore(&mut self, rho: Vec<Tensor<4>>, positions: &[u64]) {
        let lanes = self.positions.len();
        crate::assert_shape("decode", "the positions", [positions.len()], [lanes]);
        crate::assert_shape("decode", "the memories", [rho.len()], [self.sizes.levels]);
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = self.sizes;
        for rho in &rho {
            crate::assert_shape("decode", "a memory", rho.dims(), [lanes, heads, neurons, width]);
        }
        self.streams.restore(rho);
        self.positions.copy_from_slice(positions);
        self.before = None;
    }

    #[track_caller]
    fn check(&self, tokens: &[u32], fits: bool) {
        let lanes = self.positions.len();
        assert!(fits, "decode: {} tokens for {lanes} lanes", tokens.len());
        let vocab = self.sizes.vocab;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            panic!("decode: token {token} is outside the vocabulary of {vocab}");
        }
    }
}

/// A fork of the streams: weights are shared, memory is copied.
impl Clone for DeviceDecode {
    fn clone(&self) -> Self {
        Self {
            streams: self.streams.fork(),
            sizes: self.sizes,
            positions: self.positions.clone(),
            before: None,
            logits: self.logits.clone(),
        }
    }
}

/// Streams of a backend that has them, else the parameters again.
fn streams<B: DragonBackend>(
    parameters: DeviceParameters,
    lanes: usize,
) -> Result<Box<dyn DeviceStreams>, DeviceParameters> {
    let made = on::<B>(&parameters).and_then(|parameters| B::decode(parameters, lanes));
    made.ok_or(parameters)
}

/// The parameters on a backend, if it has them and they are plain f32.
pub(crate) fn on<B: DragonBackend>(parameters: &DeviceParameters) -> Option<ParametersOn<B>> {
    fn take<B: DragonBackend, const R: usize>(tensor: &Tensor<R>) -> Option<FloatTensor<B>> {
        let plain = tensor.dtype() == DType::F32 && !tensor.is_autodiff();
        plain.then(|| B::take(tensor.clone()).ok())?.map(|on| on.numbers)
    }
    Some(ParametersOn {
        sizes: parameters.sizes,
        embed: take::<B, 2>(&parameters.embed)?,
        decoder_x: take::<B, 3>(&parameters.decoder_x)?,
        decoder_y: take::<B, 3>(&parameters.decoder_y)?,
        encoder: take::<B, 2>(&parameters.encoder)?,
        lm_head: take::<B, 2>(&parameters.lm_head)?,
        frequencies: parameters.frequencies.clone(),
        slopes: parameters.slopes.clone(),
        eps: parameters.eps,
    })
}
