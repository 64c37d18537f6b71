//! Masks of several blocks.

use super::{Mask, PatchGrid};
use crate::error::VisionError;
use burn_dragon_core::api::expert::{Rng, derive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Draws of the positions of all blocks, before a sample is masked by its first block alone.
const TRIES: usize = 32;

/// Masks of several blocks: the same part of some frames in a row (a tube), or of a picture.
///
/// The size of the blocks is drawn once a batch, their positions for each sample. A block never fills the grid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BlockMasks {
    /// Number of blocks of a sample, 1 to 64. They may overlap.
    pub blocks: usize,
    /// Smallest and largest area of a block as a share of a frame, above 0, at most 1.
    pub spatial_scale: [f64; 2],
    /// Smallest and largest duration of a block as a share of the frames, above 0, at most 1.
    pub temporal_scale: [f64; 2],
    /// Smallest and largest height of a block divided by its width, 0.01 to 100.
    pub aspect: [f64; 2],
}

impl Default for BlockMasks {
    fn default() -> Self {
        Self {
            blocks: 8,
            spatial_scale: [0.15, 0.15],
            temporal_scale: [1.0, 1.0],
            aspect: [0.75, 1.5],
        }
    }
}

impl BlockMasks {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        let refuse = |key, reason| Err(VisionError::Config { key, reason });
        if !(1..=64).contains(&self.blocks) {
            let reason = format!("is {}; expected a number from 1 to 64", self.blocks);
            return refuse("objective.masks.blocks", reason);
        }
        for (key, range, least, most) in [
            ("objective.masks.spatial_scale", self.spatial_scale, 1e-6, 1.0),
            ("objective.masks.temporal_scale", self.temporal_scale, 1e-6, 1.0),
            ("objective.masks.aspect", self.aspect, 0.01, 100.0),
        ] {
            let [low, high] = range;
            if !(least <= low && low <= high && high <= most) {
                let reason = format!("is {range:?}; expected [smallest, largest] from {least} to {most}");
                return refuse(key, reason);
            }
        }
        Ok(())
    }

    /// Masks of a batch, one a sample: a function of seed and step. Each masks at least one token, and at least one stays.
    ///
    /// # Panics
    /// If the grid has fewer than two tokens.
    pub fn draw(&self, grid: PatchGrid, samples: usize, (seed, step): (u64, u64)) -> Vec<Mask> {
        assert!(
            grid.tokens() >= 2,
            "a mask of {grid:?}: expected at least two tokens"
        );
        let size = self.size(grid, &mut Rng::new(derive(seed, "masks.size", step, 0)));
        let of = |sample| {
            let mut rng = Rng::new(derive(seed, "masks.position", step, sample as u64));
            self.sample(grid, size, &mut rng)
        };
        (0..samples).map(of).collect()
    }

    /// Frames, rows and columns of a block.
    pub(super) fn size(&self, grid: PatchGrid, rng: &mut Rng) -> [usize; 3] {
        let mut within = |[low, high]: [f64; 2]| low + (high - low) * rng.uniform();
        let duration = within(self.temporal_scale) * grid.frames as f64;
        let area = within(self.spatial_scale) * (grid.height * grid.width) as f64;
        let aspect = within(self.aspect);
        let sides = [duration, (area * aspect).sqrt(), (area / aspect).sqrt()];
        let mut size = [0, 1, 2].map(|axis| (sides[axis].round() as usize).clamp(1, grid.sizes()[axis]));
        if size == grid.sizes() {
            // A patch row or column stays, or a frame where a frame is one patch.
            let axis = [1, 2, 0].into_iter().find(|&axis| size[axis] > 1);
            axis.into_iter().for_each(|axis| size[axis] -= 1);
        }
        size
    }

    fn sample(&self, grid: PatchGrid, size: [usize; 3], rng: &mut Rng) -> Mask {
        for _ in 0..TRIES {
            let mut masked = vec![false; grid.tokens()];
            (0..self.blocks).for_each(|_| place(grid, size, rng, &mut masked));
            if masked.contains(&false) {
                return Mask { grid, masked };
            }
        }
        let mut masked = vec![false; grid.tokens()];
        place(grid, size, rng, &mut masked);
        Mask { grid, masked }
    }
}

/// Masks a block at a random position.
fn place(grid: PatchGrid, size: [usize; 3], rng: &mut Rng, masked: &mut [bool]) {
    let sizes = grid.sizes();
    let start = [0, 1, 2].map(|axis| rng.below(sizes[axis] - size[axis] + 1));
    for frame in start[0]..start[0] + size[0] {
        for row in start[1]..start[1] + size[1] {
            let first = (frame * grid.height + row) * grid.width + start[2];
            masked[first..first + size[2]].fill(true);
        }
    }
}
