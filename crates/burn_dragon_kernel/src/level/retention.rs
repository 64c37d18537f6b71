//! Retention on the processor: windows without a reset inside, and powers of the decay factor `lambda` of a token.
//!
//! Within a window of C tokens, counted from 0, a head's `lambda^k` appears in four places (`S` is the memory before
//! the window, `R` the gradient of the one after it):
//!
//! ```text
//! read_t = lambda^t q_t S + sum over s < t of lambda^(t-s) (q_t . q_s) v_s        S <- lambda^C S + q^T v'
//! dq    += (dr' S^T) + (v' R^T) + M q,  M symmetric with lambda^|t-s|             R <- lambda^C R + q^T dr'
//! dv_s  += lambda^(C-s) q_s R + ...     with  v'_s = lambda^(C-s) v_s  and  dr'_t = lambda^t dr_t
//! ```
//!
//! A term written at s and read at t has the factor `lambda^(t-s)`; its part in the gradient of `ln lambda` is `t - s`
//! times the term. The sum of these needs no further matrix products, since all factors are already computed:
//!
//! ```text
//! d/d ln lambda = sum over s < t of (t-s) score(t, s) <dr_t, v_s>         from token to token
//!               + sum of t <q_t, dr'_t S^T>                               from the memory before
//!               + sum of (C-s) lambda^(C-s) <v_s, q_s R>                  to the memory after
//!               + C lambda^C <S, R>                                       from the one to the other
//! ```
//!
//! No term is larger than its part in the gradient. The sum `sum of t <dr_t, read_t> - sum of s <v_s, dv_s>` is the
//! same in exact arithmetic, but it has large terms that cancel, for tokens far apart, whose influence has decayed to
//! nothing. With a steep slope their rounding errors would be larger than the gradient.

use super::elementwise::{add_scaled, dot, fade, scale, scaled, weighted_dot};
use super::head::Head;
use crate::buffer::Buffer;

impl Head<'_> {
    /// Decay factor of k tokens.
    pub(super) fn left(&self, k: usize) -> f32 {
        self.powers.map_or(1.0, |powers| powers[k])
    }

    /// Decay factor from a token to the end of the window.
    pub(super) fn left_at_end(&self, token: usize) -> f32 {
        self.left(self.sizes.tokens - token)
    }

    /// Multiplies the entries below the diagonal of `[T, T]` by the decay factor of their distance from it.
    pub(super) fn fade_below_diagonal(&self, square: &mut [f32]) {
        let Some(powers) = self.powers else { return };
        let tokens = self.sizes.tokens;
        for t in 1..tokens {
            fade(&mut square[t * tokens..t * tokens + t], &powers[1..=t]);
        }
    }

    /// Adds the read from the memory before the window, decayed, to the read within it, `[T, D]` each.
    pub(super) fn add_recalled(&self, recalled: &[f32], a: &mut [f32]) {
        let width = self.sizes.width;
        let rows = a.chunks_exact_mut(width).zip(recalled.chunks_exact(width));
        for (t, (a, recalled)) in rows.enumerate() {
            add_scaled(a, recalled, self.left(t));
        }
    }

    /// Gradient of the reads, decayed from each token back to the start of the window, `[T, D]`; in `room` if there is
    /// decay.
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

    /// Multiplies each token's row of `[T, D]` by the decay factor to the end of the window.
    pub(super) fn fade_to_end(&self, rows: &mut [f32]) {
        for (s, row) in rows.chunks_exact_mut(self.sizes.width).enumerate() {
            scale(row, self.left_at_end(s));
        }
    }

    /// Part of the scores in the gradient of `ln lambda`; `felt`, `[T, T]`, is their gradient, `<dr_t, v_s>` below the
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
