//! Neuron recurrence: an activity that a chunk leaves to the next.
//!
//! ```text
//! x   = relu(v decoder_x) + carry_in s                    in all tokens of a chunk
//! s'  = cap(decay s + update y of the chunk's last token)  0 before a reset
//! cap(s) = s / max(1, rms(s) / most)                       rms over the neurons of a head
//! ```
//!
//! Chunks are read one after the other, with the memory carried between them, so a window takes as many passes as it has
//! chunks. They run by the definition of the level in plain tensor operations.

use super::{MOST_TOKENS, check};
use crate::config::ConfigError;
use crate::level::{Contribution, Level, Seen};
use crate::tracking::{alike, constant_as};
use burn::tensor::{Tensor, TensorData};
use burn_dragon_kernel::api::{DropoutMask, Resets, Rotation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Neuron recurrence, `[model.neuron_recurrence]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NeuronRecurrence {
    /// Number of tokens in a chunk, 1 to 1,048,576. A window takes as many passes as it has chunks.
    pub chunk_tokens: usize,
    /// Factor of what is added to x, 0 to 100.
    pub carry_in: f64,
    /// Factor of the older activity at each chunk, 0 to 1.
    pub decay: f64,
    /// Factor of a chunk's last y, 0 to 100.
    pub update: f64,
    /// Largest root mean square of what a head carries, above 0, at most 1e6.
    pub most: f64,
}

impl Default for NeuronRecurrence {
    fn default() -> Self {
        Self {
            chunk_tokens: 32,
            carry_in: 0.125,
            decay: 0.5,
            update: 1.0,
            most: 1.0,
        }
    }
}

impl NeuronRecurrence {
    /// Checks the keys.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let (tokens, factor) = ("a whole number from 1 to 1048576", "a number from 0 to 100");
        let most = [1.0, MOST_TOKENS as f64];
        check(
            "neuron_recurrence.chunk_tokens",
            self.chunk_tokens as f64,
            most,
            tokens,
        )?;
        check("neuron_recurrence.carry_in", self.carry_in, [0.0, 100.0], factor)?;
        check(
            "neuron_recurrence.decay",
            self.decay,
            [0.0, 1.0],
            "a number from 0 to 1",
        )?;
        check("neuron_recurrence.update", self.update, [0.0, 100.0], factor)?;
        let words = "a number above 0, at most 1e6";
        check(
            "neuron_recurrence.most",
            self.most,
            [f64::MIN_POSITIVE, 1e6],
            words,
        )
    }

    /// The carried activity after a chunk whose last token has `y`; both `[B, H, 1, N]`.
    fn after(&self, s: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
        let s = s * self.decay + y * self.update;
        let rms = (s.clone().square().mean_dim(3) + 1e-30).sqrt();
        s / (rms / self.most).clamp_min(1.0)
    }
}

/// Where the lanes of a window leave and lose what neurons carry.
pub(super) struct Carrying<'a> {
    config: &'a NeuronRecurrence,
    positions: &'a [u64],
    resets: &'a Resets,
}

/// A part of a window within which nothing changes.
struct Piece {
    start: usize,
    end: usize,
    /// Lanes that are emptied before it; `None` for none.
    emptied: Option<Vec<bool>>,
    /// Lanes that end a chunk with it; `None` for none.
    leaves: Option<Vec<bool>>,
}

impl<'a> Carrying<'a> {
    /// Of a window whose lanes begin at these positions.
    pub(super) fn new(config: &'a NeuronRecurrence, positions: &'a [u64], resets: &'a Resets) -> Self {
        Self {
            config,
            positions,
            resets,
        }
    }

    /// The pieces of a window of `tokens`.
    fn pieces(&self, tokens: usize) -> Vec<Piece> {
        let chunk = self.config.chunk_tokens as u64;
        let lanes = 0..self.positions.len();
        let ends_chunk = |lane: usize, end: usize| (self.positions[lane] + end as u64).is_multiple_of(chunk);
        let empties = |lane: usize, start: usize| self.resets.of_lane(lane).contains(&start);
        let some = |flags: Vec<bool>| flags.contains(&true).then_some(flags);
        let mut pieces = Vec::new();
        let mut start = 0;
        for end in 1..=tokens {
            let left = some(lanes.clone().map(|lane| ends_chunk(lane, end)).collect());
            let cut = end == tokens || lanes.clone().any(|lane| empties(lane, end));
            if left.is_none() && !cut {
                continue;
            }
            pieces.push(Piece {
                start,
                end,
                emptied: some(lanes.clone().map(|lane| empties(lane, start)).collect()),
                leaves: left,
            });
            start = end;
        }
        pieces
    }

    /// Output of a level for a window, and the columns after it. `before` are the memory and the columns before it, if they are
    /// carried.
    pub(super) fn run(
        &self,
        level: &Level,
        v: &Tensor<4>,
        before: (Option<Tensor<4>>, Option<Tensor<4>>),
        dropout: &dyn Fn(usize) -> Option<DropoutMask>,
    ) -> (Contribution, Option<Tensor<4>>) {
        let [lanes, _, tokens, width] = v.dims();
        let [heads, _, neurons] = level.weights.decoder_x().dims();
        let zeros = |rows, columns| Tensor::zeros([lanes, heads, rows, columns], (&v.device(), v.dtype()));
        let (memory, columns) = before;
        let mut rho = match &memory {
            Some(memory) => alike(memory.clone(), v),
            None => zeros(level.keys.numbers_per_neuron() * neurons, width),
        };
        let mut s = match &columns {
            Some(columns) => alike(columns.clone().narrow(2, 0, neurons).swap_dims(2, 3), v), // [B, H, 1, N]
            None => zeros(1, neurons),
        };
        let mut outputs = [Vec::new(), Vec::new(), Vec::new()];
        for piece in self.pieces(tokens) {
            let (part, after) = self.piece(level, v, (&piece, dropout(piece.start)), (rho, &mut s));
            rho = after;
            outputs
                .iter_mut()
                .zip(part)
                .for_each(|(all, part)| all.push(part));
        }
        let [u, x, y] = outputs.map(|parts| Tensor::cat(parts, 2));
        let contribution = Contribution {
            u,
            rho: memory.map(|memory| constant_as(rho, &memory)),
            seen: Seen::Activities { x, y },
        };
        let columns = columns.map(|columns| {
            let s = constant_as(s.swap_dims(2, 3), &columns);
            let rows = columns.dims()[2];
            match rows - neurons {
                0 => s,
                rest => Tensor::cat(vec![s, columns.narrow(2, neurons, rest)], 2),
            }
        });
        (contribution, columns)
    }

    /// u, x and y of a piece, and the memory after it; `s` becomes what is carried after it.
    fn piece(
        &self,
        level: &Level,
        v: &Tensor<4>,
        (piece, dropout): (&Piece, Option<DropoutMask>),
        (rho, s): (Tensor<4>, &mut Tensor<4>),
    ) -> ([Tensor<4>; 3], Tensor<4>) {
        let length = piece.end - piece.start;
        if let Some(emptied) = &piece.emptied {
            *s = s.clone() * flags(emptied, [0.0, 1.0], s);
        }
        let level = level.at(piece.start, length);
        let v = v.clone().narrow(2, piece.start, length);
        let x = level.perceived(v.clone()) + s.clone() * self.config.carry_in;
        let (read, after) = level.read_between(&|| x.clone(), v, Some(rho));
        let (u, y) = level.spoken(read, x.clone(), dropout.as_ref());
        if let Some(leaves) = &piece.leaves {
            let left = self.config.after(s.clone(), y.clone().narrow(2, length - 1, 1));
            let leaving = flags(leaves, [1.0, 0.0], s);
            *s = left * leaving.clone() + s.clone() * (leaving.neg() + 1.0);
        }
        match after {
            Some(after) => ([u, x, y], after),
            None => unreachable!("a memory was given"),
        }
    }
}

/// A number for each lane, `[B, 1, 1, 1]`: the first where the flag is set, else the second.
fn flags(lanes: &[bool], [set, unset]: [f64; 2], like: &Tensor<4>) -> Tensor<4> {
    let values: Vec<f64> = lanes.iter().map(|&flag| if flag { set } else { unset }).collect();
    let data = TensorData::new(values, [lanes.len(), 1, 1, 1]).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

impl Level {
    /// The level for `length` tokens of the window from `start` on.
    fn at(&self, start: usize, length: usize) -> Self {
        let part = |table: &Tensor<4>| table.clone().narrow(2, start, length);
        Self {
            rotation: Rotation {
                cos: part(&self.rotation.cos),
                sin: part(&self.rotation.sin),
            },
            retention: self.retention.window(start..start + length),
            ..self.clone()
        }
    }
}
