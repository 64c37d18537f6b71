//! A step of AdamW on the processor: one pass, in parallel over chunks.

use super::AdamWStep;
use crate::parallel::*;
use crate::simd::vectorized;
use burn_flex::FlexTensor;

/// Entries of a chunk: about 100 us of work, so that small parameters wake no thread.
const CHUNK: usize = 1 << 16;

/// The step on contiguous numbers: value, gradient and moments to value and moments.
pub(crate) fn adamw(
    [mut value, gradient, mut first, mut second]: [FlexTensor; 4],
    step: &AdamWStep,
) -> [FlexTensor; 3] {
    let numbers = Numbers::of(step);
    value
        .storage_mut()
        .par_chunks_mut(CHUNK)
        .zip(first.storage_mut().par_chunks_mut(CHUNK))
        .zip(second.storage_mut().par_chunks_mut(CHUNK))
        .zip(gradient.storage().par_chunks(CHUNK))
        .for_each(|(((value, first), second), gradient)| update(value, first, second, gradient, &numbers));
    [value, first, second]
}

/// The factors of a step, rounded as tensor operations round them.
pub(crate) struct Numbers {
    pub(super) scale: f32,
    pub(super) keep_1: f32,
    pub(super) take_1: f32,
    pub(super) keep_2: f32,
    pub(super) take_2: f32,
    pub(super) unbias_2: f32,
    pub(super) eps: f32,
    pub(super) rate: f32,
    pub(super) shrink: f32,
}

impl Numbers {
    pub(super) fn of(step: &AdamWStep) -> Self {
        Self {
            scale: step.scale as f32,
            keep_1: step.beta_1 as f32,
            take_1: (1.0 - step.beta_1) as f32,
            keep_2: step.beta_2 as f32,
            take_2: (1.0 - step.beta_2) as f32,
            unbias_2: step.unbias(step.beta_2) as f32,
            eps: step.eps as f32,
            rate: (step.rate * step.unbias(step.beta_1)) as f32,
            shrink: (1.0 - step.rate * step.decay) as f32,
        }
    }
}

vectorized! {
    /// The step of one chunk.
    update(value: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32], by: &Numbers) {
        for (((value, first), second), gradient) in value.iter_mut().zip(first).zip(second).zip(gradient) {
            let gradient = gradient * by.scale;
            *first = *first * by.keep_1 + gradient * by.take_1;
            *second = *second * by.keep_2 + gradient * gradient * by.take_2;
            let root = (*second * by.unbias_2).sqrt() + by.eps;
            *value = *value * by.shrink - *first * by.rate / root;
        }
    }
}
