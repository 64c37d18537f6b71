//! The state space in chunks of tokens, by products of matrices.
//!
//! With `A_t`, the sum of the logarithms of alpha from the chunk's first token to t, and `m`, the memory before the chunk:
//!
//! ```text
//! read_t = e^(A_t) c_t m + sum over s < t of e^(A_t - A_s) (c_t . b_s) x_s
//! m'     = e^(A_C) m + sum over s of e^(A_C - A_s) b_s (outer) x_s
//! ```
//!
//! No exponent is above 0. A pair of tokens with a reset between them counts 0 by a mask, and so does a memory behind a reset.

use super::StateSpace;
use crate::retention::Resets;
use burn::tensor::{Tensor, TensorData};

/// Tokens of a chunk.
const CHUNK: usize = 64;

/// Reads and the memory after the window; shapes as in [`state_space`](super::state_space()).
pub(super) fn state_space(operands: StateSpace) -> (Tensor<4>, Tensor<4>) {
    let StateSpace {
        c,
        b,
        x,
        log_decay,
        memory,
        resets,
    } = operands;
    let [lanes, heads, tokens, width] = x.dims();
    let cut = Cut::new(tokens, lanes, &resets);
    let [c, b] = [c, b].map(|directions| cut.chunks(directions));
    let x = cut.chunks(x);
    let sums: Tensor<5> = cut.chunks(log_decay.unsqueeze_dim(3)).cumsum(3); // [B, H, n, C, 1]
    let last = sums.clone().narrow(3, cut.size - 1, 1);

    let pairs = cut.mask(&x, Mask::Pairs);
    let left = ((sums.clone() - sums.clone().swap_dims(3, 4)) * pairs.clone()).exp() * pairs; // [B, H, n, C, C]
    let scores = c.clone().matmul(b.clone().swap_dims(3, 4)) * left;
    let within = scores.matmul(x.clone()); // [B, H, n, C, P]

    let kept = cut.masked((last.clone() - sums.clone()).exp(), Mask::End);
    let written = (b * kept).swap_dims(3, 4).matmul(x); // [B, H, n, S, P]
    let passed = cut.masked(last.exp(), Mask::Whole);
    let (before, memory) = between(written, passed, memory);

    let begun = cut.masked(sums.exp(), Mask::Begin);
    let reads = within + (c * begun).matmul(before);
    let reads: Tensor<4> = reads.reshape([lanes, heads, cut.count * cut.size, width]);
    (reads.narrow(2, 0, tokens), memory)
}

/// Memory before each chunk, `[B, H, n, S, P]`, and after the last, from what the chunks write and the shares that they leave.
fn between(written: Tensor<5>, passed: Tensor<5>, memory: Tensor<4>) -> (Tensor<5>, Tensor<4>) {
    let mut memory: Tensor<5> = memory.unsqueeze_dim(2);
    let before: Vec<_> = (0..written.dims()[2])
        .map(|chunk| {
            let [written, passed] = [&written, &passed].map(|all| all.clone().narrow(2, chunk, 1));
            let next = memory.clone() * passed + written;
            std::mem::replace(&mut memory, next)
        })
        .collect();
    (Tensor::cat(before, 2), memory.squeeze_dim(2))
}

/// A window cut into chunks of one size; the last is filled up with tokens that write nothing and fade nothing.
struct Cut {
    tokens: usize,
    count: usize,
    size: usize,
    /// Number of resets up to each token, lane by lane; `None` if there is none.
    segments: Option<Vec<Vec<usize>>>,
}

/// What a reset parts.
#[derive(Clone, Copy)]
enum Mask {
    /// A token of a chunk and an earlier one, which the mask also parts from later ones: `[C, C]`.
    Pairs,
    /// The memory before a chunk and a token of it: `[C, 1]`.
    Begin,
    /// A token of a chunk and the memory after it: `[C, 1]`.
    End,
    /// The memories before and after a chunk: `[1, 1]`.
    Whole,
}

impl Cut {
    fn new(tokens: usize, lanes: usize, resets: &Resets) -> Self {
        let size = tokens.clamp(1, CHUNK);
        let of_lane = |lane| {
            let up_to = |t: usize| resets.of_lane(lane).partition_point(|&reset| reset <= t);
            (0..tokens.div_ceil(size) * size)
                .map(|t| up_to(t.min(tokens - 1)))
                .collect()
        };
        Self {
            tokens,
            count: tokens.div_ceil(size),
            size,
            segments: (!resets.is_empty()).then(|| (0..lanes).map(of_lane).collect()),
        }
    }

    /// Tokens in chunks: `[B, H, T, S]` to `[B, H, n, C, S]`.
    fn chunks(&self, all: Tensor<4>) -> Tensor<5> {
        let [lanes, heads, _, width] = all.dims();
        let missing = self.count * self.size - self.tokens;
        let all = if missing > 0 {
            let zeros = Tensor::zeros([lanes, heads, missing, width], (&all.device(), all.dtype()));
            Tensor::cat(vec![all, zeros], 2)
        } else {
            all
        };
        all.reshape([lanes, heads, self.count, self.size, width])
    }

    /// A tensor behind a mask of resets; as it is if there is none.
    fn masked(&self, all: Tensor<5>, mask: Mask) -> Tensor<5> {
        match self.segments {
            Some(_) => {
                let mask = self.mask(&all, mask);
                all * mask
            }
            None => all,
        }
    }

    /// 1 where nothing parts, 0 elsewhere: `[B, 1, n, ...]`, or 1 for lanes and chunks if there is no reset.
    fn mask(&self, like: &Tensor<5>, mask: Mask) -> Tensor<5> {
        let (size, none) = (self.size, vec![vec![0; self.size]]);
        let lanes = self.segments.as_ref().unwrap_or(&none);
        let chunks = lanes[0].len() / size;
        let [rows, columns] = match mask {
            Mask::Pairs => [size, size],
            Mask::Begin | Mask::End => [size, 1],
            Mask::Whole => [1, 1],
        };
        let mut numbers = Vec::with_capacity(lanes.len() * chunks * rows * columns);
        for segments in lanes {
            for (chunk, within) in segments.chunks_exact(size).enumerate() {
                let before = (chunk * size).checked_sub(1).map_or(0, |t| segments[t]);
                let after = within[size - 1];
                for t in 0..rows {
                    numbers.extend((0..columns).map(|s| {
                        let whole = match mask {
                            Mask::Pairs => s < t && within[s] == within[t],
                            Mask::Begin => within[t] == before,
                            Mask::End => within[t] == after,
                            Mask::Whole => before == after,
                        };
                        f64::from(u8::from(whole))
                    }));
                }
            }
        }
        let data = TensorData::new(numbers, [lanes.len(), 1, chunks, rows, columns]);
        Tensor::from_data(data.convert_dtype(like.dtype()), (&like.device(), like.dtype()))
    }
}
