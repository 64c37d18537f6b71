//! Targets of a window with a loss, of a text in which not all tokens have one.

use crate::data::Tokens;
use burn::tensor::{Device, Tensor, TensorData};
use std::ops::Range;

/// Targets of a window with a loss.
#[derive(Debug)]
pub(crate) struct CountedTargets {
    /// 1 for each of them, and 0 for the others, `[B, T]`.
    pub(crate) mask: Tensor<2>,
    /// Number of them.
    pub(crate) number: usize,
}

impl CountedTargets {
    /// Targets with a loss, row by row: `counts` is whether each has one.
    pub(super) fn new(counts: &[bool], shape: [usize; 2], device: &Device) -> Self {
        let mask: Vec<f32> = counts.iter().map(|&counts| f32::from(u8::from(counts))).collect();
        Self {
            number: counts.iter().filter(|&&counts| counts).count(),
            mask: Tensor::from_data(TensorData::new(mask, shape), device),
        }
    }

    /// Targets with a loss of windows that are these ranges of tokens, each one longer than its targets; `None` if all
    /// tokens have a loss.
    pub(crate) fn of(tokens: &Tokens, windows: &[Range<usize>], device: &Device) -> Option<Self> {
        let counted = tokens.counted.as_ref()?;
        let length = windows.first()?.len() - 1;
        let targets = windows.iter().flat_map(|window| window.start + 1..window.end);
        let counts: Vec<bool> = targets.map(|at| counted.has(at)).collect();
        Some(Self::new(&counts, [windows.len(), length], device))
    }
}
