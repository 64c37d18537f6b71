//! Summary memory: a fading mean of earlier chunks, added to the input of a level.
//!
//! ```text
//! input of token t of chunk c = h_t + scale carry_c
//! carry_c+1 = decay carry_c + update mean of the h of chunk c             0 before a reset
//! ```
//!
//! It is a fixed linear map over tokens, whose factors are made on the host:
//!
//! ```text
//! seen_t = sum over s of earlier chunks of update / C decay^(c(t) - 1 - c(s)) h_s,   0 across a reset
//! ```
//!
//! The public implementation adds it to the stream as well, and can gate it by surprise, which would be no linear map.

use super::{MOST_TOKENS, check};
use crate::config::ConfigError;
use crate::tracking::{alike, constant_as};
use burn::tensor::{DType, Tensor, TensorData};
use burn_dragon_kernel::api::Resets;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Number of rows that are carried: the sum of earlier chunks, and the tokens of a chunk that is not finished.
pub(super) const ROWS: usize = 2;

/// Summary memory, `[model.summary_memory]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SummaryMemory {
    /// Number of tokens in a chunk, 1 to 1,048,576.
    pub chunk_tokens: usize,
    /// Factor of what is added to a level's input, 0 to 100.
    pub scale: f64,
    /// Factor of the older sum at each chunk, 0 to 1.
    pub decay: f64,
    /// Factor of the mean of a chunk, 0 to 100.
    pub update: f64,
}

impl Default for SummaryMemory {
    fn default() -> Self {
        Self {
            chunk_tokens: 32,
            scale: 0.25,
            decay: 0.75,
            update: 0.5,
        }
    }
}

impl SummaryMemory {
    /// Checks the keys.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let (tokens, factor) = ("a whole number from 1 to 1048576", "a number from 0 to 100");
        let most = [1.0, MOST_TOKENS as f64];
        check(
            "summary_memory.chunk_tokens",
            self.chunk_tokens as f64,
            most,
            tokens,
        )?;
        check("summary_memory.scale", self.scale, [0.0, 100.0], factor)?;
        check(
            "summary_memory.decay",
            self.decay,
            [0.0, 1.0],
            "a number from 0 to 1",
        )?;
        check("summary_memory.update", self.update, [0.0, 100.0], factor)
    }
}

/// Writer of a summary: what was carried, or a token of the window.
#[derive(Clone, Copy)]
enum Writer {
    Carry,
    Part,
    Token(usize),
}

/// Map of a window.
pub(super) struct Summary {
    /// Factors of what tokens 0 to T read, of carry, part and tokens 0 to T - 1: `[B or 1, 1, T + 1, T + 2]`.
    read: Tensor<4>,
    /// Factors of the unfinished chunk after the window, `[B or 1, 1, 1, T + 2]`.
    part: Tensor<4>,
    scale: f64,
}

impl Summary {
    /// Map of a window of `like`, `[B, 1, T, D]`, whose lanes begin at these positions.
    pub(super) fn new(config: &SummaryMemory, positions: &[u64], resets: &Resets, like: &Tensor<4>) -> Self {
        let tokens = like.dims()[2];
        let together = resets.is_empty() && positions.iter().all(|position| *position == positions[0]);
        let lanes = if together { 1 } else { positions.len() };
        let [mut read, mut part] = [Vec::new(), Vec::new()];
        for (lane, &start) in positions.iter().enumerate().take(lanes) {
            let lane = Lane {
                config,
                start,
                resets: resets.of_lane(lane),
            };
            let writers: Vec<Writer> = [Writer::Carry, Writer::Part]
                .into_iter()
                .chain((0..tokens).map(Writer::Token))
                .collect();
            for t in 0..=tokens {
                read.extend(writers.iter().map(|&writer| lane.read(t, writer)));
            }
            part.extend(writers.iter().map(|&writer| lane.part(tokens, writer)));
        }
        let table = |values: Vec<f64>, rows: usize| {
            let data = TensorData::new(values, [lanes, 1, rows, tokens + ROWS]);
            let dtype = if like.dtype() == DType::F64 {
                DType::F64
            } else {
                DType::F32
            };
            let table = Tensor::<4>::from_data(data.convert_dtype(dtype), (&like.device(), dtype));
            table.cast(like.dtype())
        };
        Self {
            read: table(read, tokens + 1),
            part: table(part, 1),
            scale: config.scale,
        }
    }

    /// Input of a level with its summary, `[B, 1, T, D]`, and the rows after the window, `[B, H, 2, D]`, if there were some
    /// before it.
    pub(super) fn add(&self, h: &Tensor<4>, rows: Option<Tensor<4>>) -> (Tensor<4>, Option<Tensor<4>>) {
        let [lanes, _, tokens, width] = h.dims();
        let before = match &rows {
            Some(rows) => alike(rows.clone().narrow(1, 0, 1), h), // [B, 1, 2, D]
            None => Tensor::zeros([lanes, 1, ROWS, width], (&h.device(), h.dtype())),
        };
        let writers = Tensor::cat(vec![before, h.clone()], 2); // [B, 1, T + 2, D]
        let seen = alike(self.read.clone(), h).matmul(writers.clone()); // [B, 1, T + 1, D]
        let input = h.clone() + seen.clone().narrow(2, 0, tokens) * self.scale;
        let rows = rows.map(|rows| {
            let part = alike(self.part.clone(), &writers).matmul(writers);
            let first = Tensor::cat(vec![seen.narrow(2, tokens, 1), part], 2);
            let first = constant_as(first, &rows);
            match rows.dims()[1] {
                1 => first,
                heads => Tensor::cat(vec![first, rows.narrow(1, 1, heads - 1)], 1),
            }
        });
        (input, rows)
    }
}

/// A lane of a window.
struct Lane<'a> {
    config: &'a SummaryMemory,
    start: u64,
    resets: &'a [usize],
}

impl Lane<'_> {
    fn chunk(&self, token: usize) -> u64 {
        (self.start + token as u64) / self.config.chunk_tokens as u64
    }

    /// Whether no reset lies between a writer and a reader.
    fn open(&self, reader: usize, writer: Writer) -> bool {
        let after = |reset: usize| match writer {
            Writer::Token(s) => reset > s,
            Writer::Carry | Writer::Part => true,
        };
        !self.resets.iter().any(|&reset| reset <= reader && after(reset))
    }

    /// Factor of a writer in what the chunk of a token sees.
    fn read(&self, t: usize, writer: Writer) -> f64 {
        if !self.open(t, writer) {
            return 0.0;
        }
        let power = |chunks: u64| self.config.decay.powi(i32::try_from(chunks).unwrap_or(i32::MAX));
        let written = self.config.update / self.config.chunk_tokens as f64;
        let of = match writer {
            Writer::Carry => return power(self.chunk(t) - self.chunk(0)),
            Writer::Part => self.chunk(0),
            Writer::Token(s) => self.chunk(s.min(t)),
        };
        match self.chunk(t) > of {
            true => written * power(self.chunk(t) - 1 - of),
            false => 0.0,
        }
    }

    /// Factor of a writer in the unfinished chunk that a token is of.
    fn part(&self, t: usize, writer: Writer) -> f64 {
        let same = match writer {
            Writer::Carry => false,
            Writer::Part => self.chunk(0) == self.chunk(t),
            Writer::Token(s) => self.chunk(s) == self.chunk(t),
        };
        f64::from(u8::from(same && self.open(t, writer)))
    }
}
