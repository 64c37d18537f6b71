//! Draw of a token from logits: repetition penalty, then temperature, then top-k, then top-p.
//!
//! ```text
//! l_i = logit_i / penalty  where logit_i > 0 and i was seen;  logit_i * penalty  where it is not positive and was seen
//! w_i = exp((l_i - max l) / temperature)          of the top_k largest l, equal ones in the order of their ids
//! kept: the largest, until their w are at least top_p of the sum;   drawn: the first whose running sum is above r sum
//! ```
//!
//! r is a uniform number in `[0, 1)`. At temperature 0 the largest l is drawn; of equals, the one with the smallest id.
//! `reference.rs` is the definition, in f64; `cube.rs` is the same on a GPU in f32, where logits need not leave it.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
pub mod reference;
#[cfg(test)]
mod tests;

/// Settings of a draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Temperature, at least 0.
    pub temperature: f64,
    /// Number of likeliest tokens to draw from, at least 1; `None` for all.
    pub top_k: Option<usize>,
    /// Probability mass of the likeliest tokens to draw from, above 0; `None` for all of it.
    pub top_p: Option<f64>,
    /// Repetition penalty of tokens that were seen, above 0; `None` for none.
    pub penalty: Option<f64>,
}

/// A value that is not finite, so that no token can be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotFinite {
    /// The kind of value: a logit, or what was computed from it.
    pub what: &'static str,
    /// The first token with such a value.
    pub id: u32,
    /// The value.
    pub value: f64,
}
