//! Retention of memory from token to token: decay with distance, and resets, which nothing crosses.
//!
//! What token s wrote has this factor when token t reads it:
//!
//! ```text
//! left(t, s) = exp(-slope_h (t - s)), and 0 where a reset lies in s+1 ..= t
//! ```
//!
//! Tokens of a window are counted from 0. A reset at r empties memory before token r is read. The memory that a window
//! begins with counts as written at 0 and not reset there: its factor for token t is `exp(-slope_h t)`, and 0 after a
//! reset in `0 ..= t`. The memory after T tokens is the one that token T would read.
//!
//! Decay multiplies the scores of a linear read: it is ALiBi, `U = lambda I`, of the paper's section 6.1, where
//! `lambda_h = exp(-slope_h)`.

pub mod reference;

use burn::tensor::Tensor;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Decay and resets of memory; by default memory is kept forever.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    /// Decay with distance; `None` for none.
    pub decay: Option<Decay>,
    /// Tokens before which memory is emptied.
    pub resets: Resets,
}

/// Decay of memory: it is multiplied by `exp(-slope)` of its head at every token.
#[derive(Clone, Debug)]
pub struct Decay {
    slopes: Tensor<1>,
    /// The slopes as numbers, read from the device once for all clones.
    numbers: Arc<OnceLock<Vec<f64>>>,
}

/// Order of the decay of a memory and of a write into it, for memories of places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WriteOrder {
    /// `rho' = lambda rho + q (outer) v`: what was written is read undiminished after the write.
    #[default]
    DecayThenWrite,
    /// `rho' = lambda (rho + q (outer) v)`: what was written has faded once when it is read, as in the
    /// [causal read](crate::api::causal_read).
    WriteThenDecay,
}

impl Decay {
    /// Decay with the slopes of the heads, `[H]`, in 1/tokens, finite and at least 0, on the device of the stream.
    /// Gradients flow to tracked slopes.
    pub fn new(slopes: Tensor<1>) -> Self {
        Self {
            slopes,
            numbers: Arc::default(),
        }
    }

    /// Slopes of the heads, `[H]`.
    pub fn slopes(&self) -> &Tensor<1> {
        &self.slopes
    }

    /// The slopes as numbers. The first call, of this value or a clone, waits for the device.
    pub(crate) fn numbers(&self) -> &[f64] {
        self.numbers.get_or_init(|| {
            let slopes = self.slopes.clone();
            let slopes = if slopes.is_autodiff() {
                slopes.inner()
            } else {
                slopes
            };
            match slopes.into_data().convert::<f64>().try_into_vec() {
                Ok(numbers) => numbers,
                Err(error) => unreachable!("data converted to f64 is f64: {error}"),
            }
        })
    }
}

impl Retention {
    /// Whether there is neither decay nor a reset.
    pub fn keeps_all(&self) -> bool {
        self.decay.is_none() && self.resets.is_empty()
    }

    /// Whether gradients flow to the slopes.
    pub(crate) fn is_learnt(&self) -> bool {
        self.decay.as_ref().is_some_and(|decay| decay.slopes.is_tracked())
    }

    /// Retention within a range of a window's tokens, counted from the first of them.
    pub fn window(&self, tokens: Range<usize>) -> Self {
        Self {
            decay: self.decay.clone(),
            resets: self.resets.window(tokens),
        }
    }

    /// Panics unless there is a slope for each head (if there is decay) and a list of resets for each lane (if there
    /// are resets), all of them before the window's end.
    #[track_caller]
    pub(crate) fn check(&self, operation: &str, lanes: usize, heads: usize, tokens: usize) {
        if let Some(decay) = &self.decay {
            crate::assert_shape(operation, "the decay", decay.slopes.dims(), [heads]);
        }
        if let Some(lists) = &self.resets.0 {
            crate::assert_shape(operation, "the resets", [lists.len()], [lanes]);
            let last = lists.iter().filter_map(|list| list.last()).max();
            if let Some(last) = last.filter(|&&last| last >= tokens) {
                panic!("{operation}: a reset at token {last} of {tokens}");
            }
        }
    }
}

/// Tokens of a window before which a lane's memory is emptied; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resets(Option<Arc<[Vec<usize>]>>);

impl Resets {
    /// Resets of each lane, ascending; the first token of a window is 0.
    ///
    /// # Panics
    /// If a list is not strictly ascending.
    pub fn new(lanes: Vec<Vec<usize>>) -> Self {
        for list in &lanes {
            assert!(
                list.is_sorted_by(|a, b| a < b),
                "resets: {list:?} is not ascending"
            );
        }
        let some = lanes.iter().any(|list| !list.is_empty());
        Self(some.then(|| lanes.into()))
    }

    /// Whether no memory is ever emptied.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Resets of a lane.
    ///
    /// # Panics
    /// If there are lists of resets, but none of that lane.
    pub fn of_lane(&self, lane: usize) -> &[usize] {
        self.0.as_ref().map_or(&[], |lists| &lists[lane])
    }

    /// Resets of the first lane alone.
    pub fn first_lane(&self) -> Self {
        match &self.0 {
            Some(lists) => Self::new(lists[..1].to_vec()),
            None => Self::default(),
        }
    }

    /// Resets within a range of a window's tokens, counted from the first of them.
    pub fn window(&self, tokens: Range<usize>) -> Self {
        let Some(lists) = &self.0 else {
            return Self::default();
        };
        let within = |list: &Vec<usize>| {
            let within = list.iter().filter(|reset| tokens.contains(reset));
            within.map(|reset| reset - tokens.start).collect()
        };
        Self::new(lists.iter().map(within).collect())
    }

    /// A window of `tokens` of a lane, cut before each reset, so that no piece has a reset inside.
    pub(crate) fn pieces(&self, lane: usize, tokens: usize) -> impl Iterator<Item = Range<usize>> {
        let inner = self.of_lane(lane).iter().filter(|&&reset| reset > 0).copied();
        let ends = inner.clone().chain([tokens]);
        [0].into_iter()
            .chain(inner)
            .zip(ends)
            .map(|(start, end)| start..end)
    }
}

#[cfg(test)]
mod tests;
