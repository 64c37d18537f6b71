//! Data read and written between the steps of tokens: memory, and counts of active neurons.

use super::cpu::Chunk;
use super::token_step::{TokenStep, lock};
use super::weights::Sizes;
use crate::activity::Activity;
use crate::matrix::Precision;
use std::ops::Range;

/// Precision of the numbers of a carried memory; sums are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryPrecision {
    /// f32, not rounded.
    #[default]
    F32,
    /// bf16: 8 significant bits and half the bytes, rounded at random once in 16 tokens.
    Bf16,
    /// Blocks of 32 whole numbers within 127 and a scale in f32: 9 bits a number, rounded as often.
    Int8,
}

impl From<Precision> for MemoryPrecision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

impl std::fmt::Display for MemoryPrecision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl TokenStep {
    /// Counts of active neurons of the last token, one entry for each level.
    pub(super) fn activity(&self) -> Vec<Activity> {
        let sizes = self.weights().sizes();
        let mut levels = vec![
            Activity {
                x: 0,
                y: 0,
                entries: 0
            };
            sizes.levels
        ];
        for chunk in self.chunks() {
            let chunk = lock(chunk);
            for (level, [x, y]) in levels.iter_mut().zip(&chunk.active) {
                level.x += x;
                level.y += y;
                level.entries += chunk.lanes.len() * chunk.neurons.len();
            }
        }
        levels
    }

    /// The memory of a level, `[B, H, K, D]`.
    pub(super) fn memory(&self, level: usize) -> Vec<f32> {
        let mut rho = vec![0.0; self.memory_size()];
        let stream = self.read();
        self.each_memory(level, |chunk, lane, place| {
            chunk.memory.copy(level, lane, &stream.recent, &mut rho[place]);
        });
        rho
    }

    /// Replaces the memory of a level by `rho`, `[B, H, K, D]`.
    pub(super) fn restore(&self, level: usize, rho: &[f32]) {
        crate::assert_shape("decode", "rho", [rho.len()], [self.memory_size()]);
        let width = self.weights().sizes().width;
        self.each_memory(level, |chunk, lane, place| {
            chunk.memory.replace(level, lane, width, &rho[place]);
        });
        self.write().recent.clear(level);
    }

    /// Number of entries of the memory of a level, of all lanes.
    fn memory_size(&self) -> usize {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = self.weights().sizes();
        let lanes = lock(&self.chunks()[0]).lanes.len();
        lanes * heads * neurons * self.weights().rows_of_neuron() * width
    }

    /// Each chunk and lane, and the place of the lane's rows in it in `[B, H, K, D]`.
    fn each_memory(&self, level: usize, mut visit: impl FnMut(&mut Chunk, usize, Range<usize>)) {
        let Sizes {
            levels,
            heads,
            neurons,
            width,
            ..
        } = self.weights().sizes();
        assert!(
            level < levels,
            "decode: level {level} does not exist; there are {levels}, counted from 0"
        );
        let row = self.weights().rows_of_neuron() * width; // entries of a neuron
        for chunk in self.chunks() {
            let mut chunk = lock(chunk);
            for lane in 0..chunk.lanes.len() {
                let first = (lane * heads + chunk.head) * neurons + chunk.neurons.start;
                let place = first * row..(first + chunk.neurons.len()) * row;
                visit(&mut chunk, lane, place);
            }
        }
    }
}
