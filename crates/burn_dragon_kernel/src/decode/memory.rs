//! Data read and written between the steps of tokens: memory, and counts of active neurons.

use super::cpu::Chunk;
use super::token_step::{TokenStep, lock};
use super::weights::Sizes;
use crate::activity::Activity;

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
        let stream = self.read();
        self.each_memory(level, |chunk, lane, at| {
            let into = &mut rho[at..][..chunk.neurons.len() * width];
            chunk.memory.copy(level, lane, &stream.recent, into);
        });
        rho
    }

    /// Replaces the memory of a level by `rho`, `[B, H, N, D]`.
    pub(super) fn restore(&self, level: usize, rho: &[f32]) {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = self.weights().sizes();
        let lanes = lock(&self.chunks()[0]).lanes.len();
        crate::assert_shape("decode", "rho", [rho.len()], [lanes * heads * neurons * width]);
        self.each_memory(level, |chunk, lane, at| {
            let from = &rho[at..][..chunk.neurons.len() * width];
            chunk.memory.replace(level, lane, width, from);
        });
        self.write().recent.clear(level);
    }

    /// Each chunk and lane, and where the rows of the lane's memory in it begin in `[B, H, N, D]`.
    fn each_memory(&self, level: usize, mut visit: impl FnMut(&mut Chunk, usize, usize)) {
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
        for chunk in self.chunks() {
            let mut chunk = lock(chunk);
            for lane in 0..chunk.lanes.len() {
                let first = (lane * heads + chunk.head) * neurons + chunk.neurons.start;
                visit(&mut chunk, lane, first * width);
            }
        }
    }
}
