//! What is kept from token to token, on the processor: windows that no reset falls into, and powers of what a token
//! leaves.
//!
//! Within a window of C tokens, counted from 0, a head's `lambda^k` comes in four places (`S` is the memory before the
//! window, `R` the gradient of the one after it):
//!
//! ```text
//! read_t = lambda^t q_t S + sum over s < t of lambda^(t-s) (q_t . q_s) v_s        S <- lambda^C S + q^T v'
//! dq    += (dr' S^T) + (v' R^T) + M q,  M symmetric with lambda^|t-s|             R <- lambda^C R + q^T dr'
//! dv_s  += lambda^(C-s) q_s R + ...     with  v'_s = lambda^(C-s) v_s  and  dr'_t = lambda^t dr_t
//! ```
//!
//! A term written at s and read at t has `lambda^(t-s)`, and `t - s` times itself in the gradient of `ln lambda`. Its
//! sum needs no product of its own, for all that is multiplied is at hand:
//!
//! ```text
//! d/d ln lambda = sum over s < t of (t-s) score(t, s) <dr_t, v_s>         from token to token
//!               + sum of t <q_t, dr'_t S^T>                               from the memory before
//!               + sum of (C-s) lambda^(C-s) <v_s, q_s R>                  to the memory after
//!               + C lambda^C <S, R>                                       from the one to the other
//! ```
//!
//! No term is larger than what it says of the gradient. (With `sum of t <dr_t, read_t> - sum of s <v_s, dv_s>`, which is
//! the same in exact arithmetic, terms far apart cancel that decay has made nothing of: a steep slope's gradient drowns
//! in what rounding left of them.)

use super::chunked::chunk_length;
use super::elementwise::{add_scaled, fade, scale, scaled};
use super::tile::{Head, Sizes};
use crate::buffer::Buffer;
use crate::retention::{Resets, Retention};
use burn::tensor::Tensor;
use std::ops::Range;

/// What a window finds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Empty,
    /// What was carried to the stream.
    Carried,
    /// What the window before it left.
    Earlier,
}

/// Tokens of a lane that are read in the parallel form, and what is around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) tokens: Range<usize>,
    pub(super) before: Before,
    /// Whether the memory after it is ever read.
    pub(super) writes: bool,
}

/// The windows of each lane, or of all, where they are the same.
#[derive(Clone, Debug)]
pub(super) struct Windows(Vec<Vec<Window>>);

impl Windows {
    /// Windows of `chunk` tokens at most, or of as many as take least work; `carried` is whether a memory goes through.
    pub(super) fn new(sizes: Sizes, resets: &Resets, chunk: Option<usize>, carried: bool) -> Self {
        let lanes = if resets.is_empty() { 1 } else { sizes.lanes };
        let of_lane = |lane| {
            let pieces = resets.pieces(lane, sizes.tokens);
            let kept = carried && resets.of_lane(lane).first() != Some(&0);
            let windows = pieces.flat_map(|piece| {
                let read = kept && piece.start == 0;
                let write = carried && piece.end == sizes.tokens;
                let chunk = chunk.unwrap_or_else(|| chunk_length(piece.len(), sizes.width, read || write));
                let end = piece.end;
                piece.clone().step_by(chunk).map(move |start| Window {
                    tokens: start..end.min(start + chunk),
                    before: match (start > piece.start, read) {
                        (true, _) => Before::Earlier,
                        (false, true) => Before::Carried,
                        (false, false) => Before::Empty,
                    },
                    writes: start + chunk < end || write,
                })
            });
            windows.collect()
        };
        Self((0..lanes).map(of_lane).collect())
    }

    /// The windows of a lane.
    pub(super) fn of_lane(&self, lane: usize) -> &[Window] {
        &self.0[lane.min(self.0.len() - 1)]
    }

    /// Tokens of the longest window.
    fn longest(&self) -> usize {
        self.0
            .iter()
            .flatten()
            .map(|window| window.tokens.len())
            .max()
            .unwrap_or(0)
    }
}

/// What is left after 0, 1, 2 ... tokens, head by head, as far as any window goes.
#[derive(Clone, Debug)]
pub(super) struct Powers {
    powers: Vec<f32>, // [H, longest window + 1]
    heads: usize,
}

impl Powers {
    /// The powers of a retention's decay, if it has one.
    pub(super) fn new(retention: &Retention, windows: &Windows) -> Option<Self> {
        let slopes = values(retention.decay.as_ref()?);
        let tokens = 0..=windows.longest();
        let powers = slopes
            .iter()
            .flat_map(|slope| tokens.clone().map(move |k| power(*slope, k)));
        Some(Self {
            powers: powers.collect(),
            heads: slopes.len(),
        })
    }

    /// Those of a head.
    pub(super) fn of_head(&self, head: usize) -> &[f32] {
        let length = self.powers.len() / self.heads;
        &self.powers[head * length..(head + 1) * length]
    }
}

/// `exp(-slope k)`, or nothing where that is less than 2^-80, which no norm shows and some processors are slow with.
fn power(slope: f64, k: usize) -> f32 {
    const LEAST: f64 = 1.0 / (1u128 << 80) as f64;
    // Of an infinite slope the first power would be no number.
    let power = if k == 0 { 1.0 } else { (-slope * k as f64).exp() };
    if power < LEAST { 0.0 } else { power as f32 }
}

/// A tensor's numbers.
fn values(slopes: &Tensor<1>) -> Vec<f64> {
    let data = slopes.clone().inner().into_data().convert::<f64>();
    match data.try_into_vec() {
        Ok(values) => values,
        Err(error) => unreachable!("data converted to f64 is f64: {error}"),
    }
}

impl Head<'_> {
    /// What is left after k tokens.
    pub(super) fn left(&self, k: usize) -> f32 {
        self.powers.map_or(1.0, |powers| powers[k])
    }

    /// What is left of a token's write after the window.
    pub(super) fn left_at_end(&self, token: usize) -> f32 {
        self.left(self.sizes.tokens - token)
    }

    /// Lets what lies below the diagonal of `[T, T]` decay with the distance from it.
    pub(super) fn fade_below_diagonal(&self, square: &mut [f32]) {
        let Some(powers) = self.powers else { return };
        let tokens = self.sizes.tokens;
        for t in 1..tokens {
            fade(&mut square[t * tokens..t * tokens + t], &powers[1..=t]);
        }
    }

    /// Adds what was recalled from the memory before the window to what was read, `[T, D]` each.
    pub(super) fn add_recalled(&self, recalled: &[f32], a: &mut [f32]) {
        let width = self.sizes.width;
        let rows = a.chunks_exact_mut(width).zip(recalled.chunks_exact(width));
        for (t, (a, recalled)) in rows.enumerate() {
            add_scaled(a, recalled, self.left(t));
        }
    }

    /// What reads feel as it is left before the window, `[T, D]`, in `room` if it decays.
    pub(super) fn asked<'b>(&self, dr: &'b [f32], room: &'b mut Buffer) -> &'b [f32] {
        if self.powers.is_none() {
            return dr;
        }
        let (to, width) = (room.sized(dr.len()), self.sizes.width);
        let rows = to.chunks_exact_mut(width).zip(dr.chunks_exact(width));
        rows.enumerate()
            .for_each(|(t, (to, from))| scaled(to, from, self.left(t)));
        to
    }

    /// Multiplies each token's row of `[T, D]` by what is left of it after the window.
    pub(super) fn fade_to_end(&self, rows: &mut [f32]) {
        for (s, row) in rows.chunks_exact_mut(self.sizes.width).enumerate() {
            scale(row, self.left_at_end(s));
        }
    }

    /// The scores' part in the gradient of `ln lambda`; `felt`, `[T, T]`, is what they feel, `<dr_t, v_s>` below the
    /// diagonal.
    pub(super) fn slope_of_scores(&self, scores: &[f32], felt: &[f32]) -> f64 {
        let tokens = self.sizes.tokens;
        let row = |t: usize| t * tokens..t * tokens + t;
        let of_token = |t: usize| weighted_dot(&scores[row(t)], &felt[row(t)], |s| (t - s) as f64);
        (1..tokens).map(of_token).sum()
    }

    /// The sum over tokens of the products of two arrays' rows of `width`, times a token's weight.
    pub(super) fn slope_of_rows(
        &self,
        left: &[f32],
        right: &[f32],
        width: usize,
        weight: impl Fn(usize) -> usize,
    ) -> f64 {
        let rows = left.chunks_exact(width).zip(right.chunks_exact(width));
        let of_token = |(t, (left, right))| weight(t) as f64 * dot(left, right);
        rows.enumerate().map(of_token).sum()
    }
}

/// The sum of the products of two arrays, in f64.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f64 {
    weighted_dot(left, right, |_| 1.0)
}

/// The sum of the products of two arrays, times a weight each, in f64.
#[inline(always)]
fn weighted_dot(left: &[f32], right: &[f32], weight: impl Fn(usize) -> f64) -> f64 {
    const SUMS: usize = 8;
    let term = |i: usize| weight(i) * f64::from(left[i]) * f64::from(right[i]);
    let whole = left.len() / SUMS * SUMS;
    let mut sums = [0.0; SUMS];
    for first in (0..whole).step_by(SUMS) {
        (0..SUMS).for_each(|i| sums[i] += term(first + i));
    }
    sums.iter().sum::<f64>() + (whole..left.len()).map(term).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(lanes: usize, tokens: usize) -> Sizes {
        Sizes {
            lanes,
            heads: 1,
            tokens,
            neurons: 2,
            width: 16,
        }
    }

    #[test]
    fn windows_cover_a_lane_and_end_at_its_resets() {
        let resets = Resets::new(vec![vec![], vec![0], vec![5, 6], vec![19]]);
        for (chunk, carried) in [(1, false), (3, true), (4, false), (100, true), (100, false)] {
            let windows = Windows::new(sizes(4, 20), &resets, Some(chunk), carried);
            for lane in 0..4 {
                let (mut end, windows) = (0, windows.of_lane(lane));
                for (index, window) in windows.iter().enumerate() {
                    let start = window.tokens.start;
                    assert_eq!(start, end);
                    let is_reset = resets.of_lane(lane).contains(&start);
                    let before = match (is_reset, index) {
                        (true, _) => Before::Empty,
                        (false, 0) if carried => Before::Carried,
                        (false, 0) => Before::Empty,
                        (false, _) => Before::Earlier,
                    };
                    assert_eq!(window.before, before);
                    let next = windows.get(index + 1).map(|next| next.before);
                    let read = next.map_or(carried, |before| before == Before::Earlier);
                    assert_eq!(window.writes, read);
                    assert!((1..=chunk).contains(&window.tokens.len()));
                    assert!(
                        !resets
                            .of_lane(lane)
                            .iter()
                            .any(|r| (start + 1..window.tokens.end).contains(r))
                    );
                    end = window.tokens.end;
                }
                assert_eq!(end, 20);
            }
        }
    }

    #[test]
    fn a_document_is_read_in_the_windows_it_would_have_alone() {
        let resets = Resets::new(vec![vec![700]]);
        let packed = Windows::new(sizes(1, 3000), &resets, None, false);
        let alone = |tokens, start: usize| {
            let windows = Windows::new(sizes(1, tokens), &Resets::default(), None, false);
            let shifted = windows.of_lane(0).iter().map(|window| Window {
                tokens: window.tokens.start + start..window.tokens.end + start,
                ..window.clone()
            });
            shifted.collect::<Vec<_>>()
        };
        assert_eq!(packed.of_lane(0), [alone(700, 0), alone(2300, 700)].concat());
    }

    #[test]
    fn powers_are_those_of_what_a_token_leaves() {
        assert_eq!(power(0.0, 1000), 1.0);
        assert_eq!(power(0.7, 0), 1.0);
        assert!((f64::from(power(0.7, 9)) - (-6.3f64).exp()).abs() < 1e-9);
        assert_eq!(power(0.7, 80), 0.0);
    }
}
