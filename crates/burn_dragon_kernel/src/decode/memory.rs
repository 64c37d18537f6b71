//! What goes in and out of a stage at rest: memory, and how many neurons fired.

use super::Activity;
use super::cpu::Chunk;
use super::simd::LINE;
use super::stage::{Stage, lock};
use super::weights::Sizes;
use std::ops::Range;

impl Stage {
    /// Activity of the last token, one entry per level.
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

    /// The memory of a level, `[B, H, N, D]`.
    pub(super) fn memory(&self, level: usize) -> Vec<f32> {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = self.weights().sizes();
        let lanes = lock(&self.chunks()[0]).lanes.len();
        let mut rho = vec![0.0; lanes * heads * neurons * width];
        self.each_memory(level, |chunk, place, at| {
            let row = width.div_ceil(LINE);
            let rows = rho[at..].chunks_exact_mut(width);
            for (to, from) in rows.zip(chunk.rho[place].chunks_exact(row)) {
                for (to, from) in to.chunks_mut(LINE).zip(from) {
                    to.copy_from_slice(&from.0[..to.len()]);
                }
            }
        });
        rho
    }

    /// Takes over the memory of a level, `[B, H, N, D]`.
    pub(super) fn restore(&self, level: usize, rho: &[f32]) {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = self.weights().sizes();
        let lanes = lock(&self.chunks()[0]).lanes.len();
        crate::assert_shape("decode", "rho", [rho.len()], [lanes * heads * neurons * width]);
        self.each_memory(level, |chunk, place, at| {
            let row = width.div_ceil(LINE);
            let rows = rho[at..].chunks_exact(width);
            for (to, from) in chunk.rho[place].chunks_exact_mut(row).zip(rows) {
                for (to, from) in to.iter_mut().zip(from.chunks(LINE)) {
                    to.0[..from.len()].copy_from_slice(from);
                }
            }
        });
    }

    /// Each chunk with the rows of one lane's memory in it, and where they begin in `[B, H, N, D]`.
    fn each_memory(&self, level: usize, mut visit: impl FnMut(&mut Chunk, Range<usize>, usize)) {
        let Sizes {
            levels,
            heads,
            neurons,
            width,
            ..
        } = self.weights().sizes();
        assert!(level < levels, "decode: level {level} of {levels}");
        for chunk in self.chunks() {
            let mut chunk = lock(chunk);
            for lane in 0..chunk.lanes.len() {
                let place = chunk.memory(level, lane);
                let first = (lane * heads + chunk.head) * neurons + chunk.neurons.start;
                visit(&mut chunk, place, first * width);
            }
        }
    }
}
