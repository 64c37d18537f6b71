//! Masks on a grid of patches: which patches an encoder sees, and which it is asked for.
//!
//! Multi-block masks are those of V-JEPA 2 (arXiv:2506.09985), random masks those of masked autoencoders (arXiv:2111.06377).
//! Context is what is not masked. Tokens are numbered frame by frame, row by row.

mod blocks;
mod distance;

pub use blocks::BlockMasks;

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive};

/// Grid of the patches of a picture or of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchGrid {
    /// Number of frames (or of tubes of frames); 1 for a picture.
    pub frames: usize,
    /// Number of rows of patches.
    pub height: usize,
    /// Number of columns of patches.
    pub width: usize,
}

impl PatchGrid {
    /// Number of tokens (T).
    pub fn tokens(&self) -> usize {
        self.frames * self.height * self.width
    }

    /// Sizes, slowest first.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.frames, self.height, self.width]
    }
}

/// Mask of one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    grid: PatchGrid,
    masked: Vec<bool>, // [T]
}

impl Mask {
    /// A mask of given tokens, `[T]`.
    ///
    /// # Panics
    /// If their number is not that of the grid.
    pub fn new(grid: PatchGrid, masked: Vec<bool>) -> Self {
        let (given, expected) = (masked.len(), grid.tokens());
        assert!(
            given == expected,
            "a mask of {given} tokens, expected {expected}: {grid:?}"
        );
        Self { grid, masked }
    }

    /// Grid.
    pub fn grid(&self) -> PatchGrid {
        self.grid
    }

    /// Whether each token is masked, `[T]`.
    pub fn flags(&self) -> &[bool] {
        &self.masked
    }

    /// Masked tokens, rising.
    pub fn masked(&self) -> Vec<usize> {
        self.tokens(true)
    }

    /// Tokens that are not masked, rising.
    pub fn context(&self) -> Vec<usize> {
        self.tokens(false)
    }

    fn tokens(&self, masked: bool) -> Vec<usize> {
        let is_of = |&token: &usize| self.masked[token] == masked;
        (0..self.masked.len()).filter(is_of).collect()
    }

    /// Weights of the loss of the context, `[T]`: `1 / sqrt(max(d, 1))`, d the Euclidean distance on (frame, row, column) to
    /// the nearest masked token. A masked token has 0. If no token is masked, all have 0.
    pub fn distance_weights(&self) -> Vec<f32> {
        distance::weights(self)
    }
}

/// Random masks of single tokens, one a sample. Each masks the same number of tokens: the share rounded, at least one, and
/// at least one stays.
///
/// # Panics
/// If the grid has fewer than two tokens.
pub fn random_masks(grid: PatchGrid, share: f64, samples: usize, (seed, step): (u64, u64)) -> Vec<Mask> {
    let tokens = grid.tokens();
    assert!(tokens >= 2, "a mask of {grid:?}: expected at least two tokens");
    let count = ((share * tokens as f64).round() as usize).clamp(1, tokens - 1);
    let of = |sample| {
        let order = shuffled(tokens, derive(seed, "masks.random", step, sample as u64));
        let mut masked = vec![false; tokens];
        order[..count].iter().for_each(|&token| masked[token] = true);
        Mask { grid, masked }
    };
    (0..samples).map(of).collect()
}

/// Order of random numbers.
fn shuffled(length: usize, seed: u64) -> Vec<usize> {
    let mut rng = Rng::new(seed);
    let noise: Vec<u64> = (0..length).map(|_| rng.next_u64()).collect();
    let mut order: Vec<usize> = (0..length).collect();
    order.sort_by_key(|&index| (noise[index], index));
    order
}

/// 1 for a masked token, `[B, T, 1]`.
pub(crate) fn hidden(masks: &[Mask], device: &Device) -> Tensor<3> {
    let flags = masks.iter().flat_map(Mask::flags);
    let values: Vec<f32> = flags.map(|&masked| f32::from(u8::from(masked))).collect();
    let tokens = values.len() / masks.len().max(1);
    Tensor::from_data(TensorData::new(values, [masks.len(), tokens, 1]), device)
}

/// Tokens of the samples of a batch, the same number of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexLists {
    /// Number of tokens of a sample.
    pub length: usize,
    /// Tokens, `[B, length]`, rising in each sample.
    pub tokens: Vec<usize>,
}

impl IndexLists {
    /// Tokens of a sample.
    pub fn of(&self, sample: usize) -> &[usize] {
        &self.tokens[sample * self.length..(sample + 1) * self.length]
    }

    /// Tokens as a tensor, `[B, length]`.
    pub fn tensor(&self, device: &Device) -> Tensor<2, Int> {
        let samples = self.tokens.len().checked_div(self.length).unwrap_or(0);
        let tokens: Vec<i32> = self.tokens.iter().map(|&token| token as i32).collect();
        Tensor::from_data(TensorData::new(tokens, [samples, self.length]), device)
    }
}

/// Context and masked tokens of a batch. Samples with more than the smallest number of the batch lose random ones, so that
/// the lists stack.
pub fn stacked(masks: &[Mask], (seed, step): (u64, u64)) -> [IndexLists; 2] {
    [("masks.context", false), ("masks.masked", true)].map(|(purpose, masked)| {
        let lists: Vec<Vec<usize>> = masks.iter().map(|mask| mask.tokens(masked)).collect();
        let length = lists.iter().map(Vec::len).min().unwrap_or(0);
        let cut = |(sample, list): (usize, &Vec<usize>)| {
            let order = shuffled(list.len(), derive(seed, purpose, step, sample as u64));
            let mut kept: Vec<usize> = order[..length].iter().map(|&index| list[index]).collect();
            kept.sort_unstable();
            kept
        };
        IndexLists {
            length,
            tokens: lists.iter().enumerate().flat_map(cut).collect(),
        }
    })
}

#[cfg(test)]
mod tests;
