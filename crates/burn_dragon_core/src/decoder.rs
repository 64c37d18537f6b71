//! Decoder for generation, one token at a time; its speed is bounded by memory bandwidth.

mod weights;

use crate::density::Density;
use crate::dragon::Dragon;
use crate::pass::Pass;
use crate::state::{DragonState, StateError};
use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use burn_dragon_kernel::api::{Activity, Ahead, Decode, DeviceDecode, Drawn, MemoryPrecision, Precision};
use std::sync::Arc;
use weights::{device, numbers, weights};

/// Smallest number of tokens read as a window. Fewer are read step by step, since the set-up of a window costs more
/// than it saves.
const WINDOW: usize = 16;

/// Precision of the numbers that decoding reads; arithmetic is in f32. The default is f32 for both.
///
/// It is faster in bf16, since the speed is bounded by memory bandwidth. bf16 has 8 significant bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InferencePrecision {
    /// Precision of `decoder_x`, `decoder_y`, `encoder` and `lm_head`, each number rounded to the nearest. In windows of
    /// several tokens it is [`Pass::precision`], the precision of all factors in the levels' products.
    pub weights: Precision,
    /// Precision of the carried memory between single tokens. In bf16 and int8 it is written once in 16 tokens, with stochastic
    /// rounding. Windows of several tokens, and copies of the state, are in f32.
    pub memory: MemoryPrecision,
}

/// Condition on which a token's pass ends before the last level.
///
/// Levels that are left out neither read nor write for that token, so that later tokens cannot read it there: another function
/// than the trained one. Measured, it trades loss for speed; by default, all levels run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// Least probability of the likeliest next token, of all lanes, at which a pass ends, in `(0, 1]`.
    pub confidence: f64,
    /// Least number of levels of a pass.
    pub least_levels: usize,
}

/// Decoder of token streams: the recurrent form of [`Dragon::forward_with_state`], with the state inside.
///
/// On the processor in f32 it has a copy of the weights and of the memory in a layout for single tokens. It touches
/// only the weights and memory of active neurons, and a [`step`](Self::step) allocates nothing. On a GPU in f32 it has
/// kernels for single tokens, and can [draw](Self::draw_ahead) there. Elsewhere it calls `forward_with_state`, which
/// computes the same function. A clone forks the streams and shares the weights.
///
/// ```
/// use burn::tensor::Device;
/// use burn_dragon_core::api::{Decoder, Dragon, DragonConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = DragonConfig { n_neurons: 256, ..DragonConfig::tiny() };
/// let dragon = Dragon::new(&config, 1337, &Device::flex())?;
/// let mut decoder = Decoder::new(&dragon, 1);
/// let logits = decoder.read(&[72, 105, 33])?; // of what follows the last token
/// assert_eq!(logits.len(), 256);
/// let logits = decoder.step(&[10])?;
/// assert_eq!(logits.len(), 256);
/// assert_eq!(decoder.positions(), [4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    dragon: Dragon,
    precision: InferencePrecision,
    streams: Streams,
    logits: Vec<f32>, // [B, V]
    exit: Option<Exit>,
    passes: Passes,
}

/// Passes of single tokens that could end early.
#[derive(Clone, Copy, Debug, Default)]
struct Passes {
    count: u64,
    levels: u64,
}

/// Memory and positions of the streams.
#[derive(Clone, Debug)]
enum Streams {
    Processor {
        decode: Decode,
        /// Memory after windows; it is converted to the layout for single tokens before the next single token.
        read: Option<DragonState>,
    },
    /// In the memory of a GPU, with kernels for single tokens.
    Device(DeviceDecode),
    Tensors(DragonState),
}

/// Streams whose memory is in the layout for single tokens.
fn processor(decode: Decode) -> Streams {
    Streams::Processor { decode, read: None }
}

/// Converts a state to the layout for single tokens.
fn restore(decode: &mut Decode, state: DragonState) {
    let (rho, positions) = state.into_parts();
    for (level, rho) in rho.into_iter().enumerate() {
        decode.restore(level, &numbers(rho));
    }
    decode.set_positions(&positions);
}

impl Decoder {
    /// `lanes` streams at position 0 with an empty memory, in f32.
    ///
    /// # Panics
    /// If `lanes` is 0.
    pub fn new(dragon: &Dragon, lanes: usize) -> Self {
        Self::with_precision(dragon, lanes, InferencePrecision::default())
    }

    /// `lanes` streams at position 0 with an empty memory, in a precision. Where the decoder works on the model's own
    /// tensors, only windows on the processor follow it.
    ///
    /// # Panics
    /// If `lanes` is 0.
    pub fn with_precision(dragon: &Dragon, lanes: usize, precision: InferencePrecision) -> Self {
        assert!(lanes > 0, "Decoder: 0 lanes, expected at least 1");
        let streams = match weights(dragon, precision.weights) {
            Some(weights) => processor(Decode::new(Arc::new(weights), lanes, precision.memory)),
            None => match device(dragon, lanes) {
                Some(decode) => Streams::Device(decode),
                None => Streams::Tensors(dragon.empty_state(lanes)),
            },
        };
        Self {
            dragon: dragon.clone(),
            precision,
            streams,
            logits: vec![0.0; lanes * dragon.config().vocab_size],
            exit: None,
            passes: Passes::default(),
        }
    }

    /// `lanes` streams at position 0 with an empty memory, whose single tokens end early where the model is confident. They run
    /// on the model's own tensors.
    ///
    /// # Panics
    /// If `lanes` is 0.
    pub fn with_exit(dragon: &Dragon, lanes: usize, exit: Exit) -> Self {
        assert!(lanes > 0, "Decoder: 0 lanes, expected at least 1");
        Self {
            dragon: dragon.clone(),
            precision: InferencePrecision::default(),
            streams: Streams::Tensors(dragon.empty_state(lanes)),
            logits: vec![0.0; lanes * dragon.config().vocab_size],
            exit: Some(exit),
            passes: Passes::default(),
        }
    }

    /// Mean number of levels of the single tokens read so far; `None` without an [`Exit`], or before the first.
    pub fn mean_levels(&self) -> Option<f64> {
        let Passes { count, levels } = self.passes;
        (count > 0).then(|| levels as f64 / count as f64)
    }

    /// Streams that continue from a state.
    ///
    /// # Errors
    /// If the state has another shape.
    pub fn from_state(dragon: &Dragon, state: DragonState) -> Result<Self, DecoderError> {
        let mut decoder = Self::new(dragon, state.lanes().max(1));
        decoder.resume(state)?;
        Ok(decoder)
    }

    /// The same number of streams of the same model, at position 0 with an empty memory; the weights are shared.
    pub fn fresh(&self) -> Self {
        let streams = match &self.streams {
            Streams::Processor { decode, .. } => processor(decode.fresh()),
            Streams::Device(decode) => Streams::Device(decode.fresh()),
            Streams::Tensors(_) => Streams::Tensors(self.dragon.empty_state(self.lanes())),
        };
        Self {
            dragon: self.dragon.clone(),
            precision: self.precision,
            streams,
            logits: vec![0.0; self.logits.len()],
            exit: self.exit,
            passes: Passes::default(),
        }
    }

    /// Replaces the state by another one of the same number of lanes.
    ///
    /// # Errors
    /// If the state has another shape or another number of lanes; the streams then stay as before.
    pub fn resume(&mut self, state: DragonState) -> Result<(), DecoderError> {
        state.check(self.dragon.config(), self.lanes())?;
        let device = self.dragon.device().inner();
        match &mut self.streams {
            Streams::Tensors(streams) => *streams = state,
            Streams::Device(decode) => {
                let (rho, positions) = state.to_device(&device).cast(DType::F32).into_parts();
                decode.restore(rho, &positions);
            }
            Streams::Processor { decode, read } => {
                *read = None;
                restore(decode, state);
            }
        }
        Ok(())
    }

    /// Reads one token of each lane and returns the logits of the next token, `[B, V]`.
    ///
    /// # Errors
    /// If there is not one token for each lane, or a token is outside the vocabulary; the streams then stay as before.
    pub fn step(&mut self, tokens: &[u32]) -> Result<&[f32], DecoderError> {
        self.check(tokens, tokens.len() == self.lanes())?;
        match &mut self.streams {
            Streams::Processor { decode, read } => {
                if let Some(state) = read.take() {
                    restore(decode, state);
                }
                self.logits.copy_from_slice(decode.step(tokens));
            }
            Streams::Device(decode) => self.logits.copy_from_slice(decode.read(tokens)),
            Streams::Tensors(_) => self.read_window(tokens)?,
        }
        Ok(&self.logits)
    }

    /// Reads T tokens of each lane, `[B, T]`, and returns the logits of the token after the last, `[B, V]`.
    ///
    /// # Errors
    /// If there are no tokens, their number is not a multiple of the lanes, or a token is outside the vocabulary; the
    /// streams then stay as before.
    pub fn read(&mut self, tokens: &[u32]) -> Result<&[f32], DecoderError> {
        let lanes = self.lanes();
        self.check(tokens, !tokens.is_empty() && tokens.len().is_multiple_of(lanes))?;
        let length = tokens.len() / lanes;
        if let Streams::Device(decode) = &mut self.streams
            && length < WINDOW
        {
            self.logits.copy_from_slice(decode.read(tokens));
        } else if matches!(self.streams, Streams::Processor { .. }) && length < WINDOW {
            let mut step = vec![0; lanes];
            for t in 0..length {
                let lanes = tokens.chunks_exact(length);
                step.iter_mut()
                    .zip(lanes)
                    .for_each(|(token, lane)| *token = lane[t]);
                self.step(&step)?;
            }
        } else {
            self.read_window(tokens)?;
        }
        Ok(&self.logits)
    }

    /// Reads one token of each lane, then draws what follows on the device, up to `ahead.count` tokens of each lane, each
    /// read before the next is drawn; all but the last of them are read. The logits are then those after the last token
    /// read. `None`, with nothing read, where the streams are not on a device that draws.
    ///
    /// The tokens are those that [steps](Self::step) and draws on the processor give, but where f32 and f64 disagree on
    /// which of two tokens a number falls to.
    ///
    /// # Errors
    /// If there is not one token for each lane, or a token is outside the vocabulary; the streams then stay as before.
    ///
    /// # Panics
    /// If `ahead` has too few uniform numbers, or more tokens than [`MOST_AHEAD`](Self::MOST_AHEAD).
    pub fn draw_ahead(
        &mut self,
        tokens: &[u32],
        ahead: &Ahead<'_>,
    ) -> Result<Option<Vec<Drawn>>, DecoderError> {
        self.check(tokens, tokens.len() == self.lanes())?;
        let Streams::Device(decode) = &mut self.streams else {
            return Ok(None);
        };
        let drawn = decode.draw(tokens, ahead);
        self.logits.copy_from_slice(decode.logits());
        Ok(Some(drawn))
    }

    /// Largest number of tokens that are drawn at once.
    pub const MOST_AHEAD: usize = DeviceDecode::MOST_AHEAD;

    /// Whether the streams are on a device that draws tokens.
    pub fn draws_on_device(&self) -> bool {
        matches!(self.streams, Streams::Device(_))
    }

    /// Goes back within the last [`draw_ahead`](Self::draw_ahead): each lane has then read the first `read` of the tokens
    /// that it read there, the given one included, and is where it was then, bit for bit.
    ///
    /// # Panics
    /// If the last call was not a draw that kept the memory, or a lane had not read so many tokens.
    pub fn rewind(&mut self, read: &[usize]) {
        let Streams::Device(decode) = &mut self.streams else {
            panic!("Decoder::rewind: nothing was drawn on a device");
        };
        decode.rewind(read);
        self.logits.copy_from_slice(decode.logits());
    }

    /// Copy of the state of the streams, in f32. A decoder that continues from it goes on with the same bits if the
    /// memory is in f32, and within rounding otherwise.
    pub fn state(&self) -> DragonState {
        match &self.streams {
            Streams::Tensors(state)
            | Streams::Processor {
                read: Some(state), ..
            } => state.clone(),
            Streams::Device(decode) => {
                let rho = (0..self.dragon.config().n_levels).map(|level| decode.memory(level));
                DragonState::from_parts(rho.collect(), decode.positions().to_vec())
            }
            Streams::Processor { decode, read: None } => {
                let (trunk, device) = (&self.dragon.trunk, self.dragon.device().inner());
                let shape = trunk.config().memory();
                let of = |level| TensorData::new(decode.memory(level), shape.of(decode.lanes()));
                let rho = (0..shape.levels).map(|level| Tensor::from_data(of(level), &device));
                let rho = rho.collect();
                DragonState::from_parts(rho, decode.positions().to_vec())
            }
        }
    }

    /// Position of each lane: the number of tokens it has read.
    pub fn positions(&self) -> &[u64] {
        match &self.streams {
            Streams::Processor { decode, read: None } => decode.positions(),
            Streams::Device(decode) => decode.positions(),
            Streams::Tensors(state)
            | Streams::Processor {
                read: Some(state), ..
            } => state.positions(),
        }
    }

    /// Number of streams.
    pub fn lanes(&self) -> usize {
        self.positions().len()
    }

    /// Logits of the last [`step`](Self::step) or [`read`](Self::read), `[B, V]`; zeros before the first.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Precision of the weights and the memory.
    pub fn precision(&self) -> InferencePrecision {
        self.precision
    }

    /// The model.
    pub fn dragon(&self) -> &Dragon {
        &self.dragon
    }

    /// Shares of active neurons in the last [`step`](Self::step), over all lanes; `None` if they are not counted.
    pub fn density(&self) -> Option<Density> {
        let Streams::Processor { decode, .. } = &self.streams else {
            return None;
        };
        let activity = decode.activity();
        let share = |active: fn(&Activity) -> usize| {
            activity
                .iter()
                .map(|level| active(level) as f64 / level.entries as f64)
                .collect()
        };
        Some(Density {
            x: share(|level| level.x),
            y: share(|level| level.y),
        })
    }

    /// Limits the number of threads, including the caller's. Without a limit, the decoder uses as many as speed it up.
    /// The logits do not depend on it.
    pub fn limit_threads(&mut self, threads: usize) {
        if let Streams::Processor { decode, .. } = &mut self.streams {
            decode.limit_threads(threads);
        }
    }

    fn check(&self, tokens: &[u32], fits: bool) -> Result<(), DecoderError> {
        if !fits {
            return Err(DecoderError::Tokens {
                given: tokens.len(),
                lanes: self.lanes(),
            });
        }
        let vocab_size = self.dragon.config().vocab_size;
        match tokens.iter().find(|&&token| token as usize >= vocab_size) {
            Some(&token) => Err(DecoderError::Vocabulary { token, vocab_size }),
            None => Ok(()),
        }
    }

    /// Reads tokens `[B, T]` with the model's form for windows.
    fn read_window(&mut self, tokens: &[u32]) -> Result<(), DecoderError> {
        let (lanes, length) = (self.lanes(), tokens.len() / self.lanes());
        let ids: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
        let ids = TensorData::new(ids, [lanes, length]);
        let ids = Tensor::<2, Int>::from_data(ids, &self.dragon.device());
        let mut levels = 0;
        let mut ends = |exit: Exit, level: usize, output: Tensor<4>| {
            levels = level + 1;
            levels >= exit.least_levels && confidence(self.dragon.read_out(output)) >= exit.confidence
        };
        let exit = self.exit.filter(|_| length == 1);
        let mut ends = exit.map(|exit| move |level, output| ends(exit, level, output));
        let pass = Pass {
            precision: self.precision.weights,
            exit: ends
                .as_mut()
                .map(|ends| ends as &mut dyn FnMut(usize, Tensor<4>) -> bool),
            ..Pass::default()
        };
        let (logits, state) = self.dragon.forward_pass_with_state(ids, self.state(), pass)?;
        if exit.is_some() {
            self.passes.count += 1;
            self.passes.levels += levels as u64;
        }
        self.logits = numbers(logits.narrow(1, length - 1, 1));
        match &mut self.streams {
            Streams::Tensors(streams) => *streams = state,
            Streams::Device(decode) => {
                let (rho, positions) = state.into_parts();
                decode.restore(rho, &positions);
            }
            Streams::Processor { read, .. } => *read = Some(state),
        }
        Ok(())
    }
}

/// Least probability of the likeliest token of a lane, for logits `[B, 1, V]`.
fn confidence(logits: Tensor<3>) -> f64 {
    activation::softmax(logits, 2)
        .max_dim(2)
        .min()
        .into_scalar::<f64>()
}

/// Error of a decoder: tokens or a state that it cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecoderError {
    /// A number of tokens that does not fit the lanes.
    #[error(
        "{given} tokens were given for {lanes} lanes; give one token a lane for a step, or the same number above 0 \
         for every lane of a window"
    )]
    Tokens {
        /// Number of tokens given.
        given: usize,
        /// Number of lanes of the decoder.
        lanes: usize,
    },
    /// A token outside the vocabulary.
    #[error("token {token} is outside the model's vocabulary of {vocab_size} (0 to {})", vocab_size - 1)]
    Vocabulary {
        /// The token.
        token: u32,
        /// Number of tokens in the vocabulary.
        vocab_size: usize,
    },
    /// A state that does not fit the model or the lanes.
    #[error(transparent)]
    State(#[from] StateError),
}
