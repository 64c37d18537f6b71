//! Stem: a picture to a grid of patches, each a vector of the model's width.
//!
//! ```text
//! linear     patch_size x patch_size pixels of a patch, times one matrix
//! conv       convolutions of 4 x 4 pixels, stride 2, padding 1, with norm and GELU between them
//! identity   the pixels of a patch themselves, without weights
//! ```
//!
//! A convolution of 4 x 4 pixels with stride 2 is a product of blocks: a picture that is cut into blocks of 2 x 2 pixels has
//! for each output the block there and its three neighbours to the right and below.

use super::config::{ModelConfig, StemKind};
use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};
use burn_dragon_core::api::TensorShape;
use burn_dragon_core::api::expert::{ParameterBuilder, norm};

/// Largest number of convolutions of a stem: patches of 64 x 64 pixels.
pub(super) const MOST_STAGES: usize = 6;

/// Smallest number of channels between convolutions.
const LEAST_CHANNELS: usize = 16;

/// Weights of a stem: one matrix of a linear stem, one for each convolution, none of an identity stem.
#[derive(Module, Debug)]
pub struct Stem {
    /// Matrices, in the order of their use, `[inputs, outputs]`.
    pub stages: Vec<Param<Tensor<2>>>,
}

/// Names and shapes of the matrices of a stem.
pub(super) fn tensors(config: &ModelConfig) -> Vec<TensorShape> {
    let (d, channels) = (config.d_model, config.colours.channels());
    let named = |index: usize, shape| TensorShape::new(name(index), shape);
    match config.stem {
        StemKind::Identity => Vec::new(),
        StemKind::Linear => vec![named(0, [config.patch_size * config.patch_size * channels, d])],
        StemKind::Conv => {
            let stages = stages(config.patch_size);
            let mut before = channels;
            let shape = |stage: usize| {
                let after = (d >> (stages - 1 - stage)).max(LEAST_CHANNELS.min(d));
                let inputs = 16 * std::mem::replace(&mut before, after);
                [inputs, after]
            };
            (0..stages)
                .map(shape)
                .enumerate()
                .map(|(index, shape)| named(index, shape))
                .collect()
        }
    }
}

/// Number of halvings that make a patch one place.
pub(super) fn stages(patch_size: usize) -> usize {
    patch_size.ilog2() as usize
}

/// Name of matrix number `index` in files.
fn name(index: usize) -> String {
    format!("stem.stages.{index}")
}

impl Stem {
    pub(super) fn build<F: FnMut(&str, &[usize]) -> burn::tensor::TensorData>(
        config: &ModelConfig,
        build: &mut ParameterBuilder<'_, F>,
    ) -> Self {
        let count = tensors(config).len();
        Self {
            stages: (0..count).map(|index| build.parameter(&name(index))).collect(),
        }
    }

    /// Patches of pictures, row by row.
    ///
    /// # Shapes
    /// - `pixels`: `[B, S, S, C]`
    /// - output: `[B, P, D]`
    pub(super) fn patches(&self, pixels: Tensor<4>, config: &ModelConfig) -> Tensor<3> {
        match config.stem {
            StemKind::Identity => patchify(pixels, config.patch_size),
            StemKind::Linear => product(patchify(pixels, config.patch_size), self.stages[0].val()),
            StemKind::Conv => {
                let last = self.stages.len() - 1;
                let mut x = pixels;
                for (index, weight) in self.stages.iter().enumerate() {
                    x = convolve(x, weight.val());
                    if index < last {
                        x = activation::gelu(norm(x, config.norm_eps));
                    }
                }
                let [lanes, height, width, d] = x.dims();
                x.reshape([lanes, height * width, d])
            }
        }
    }
}

/// Pixels of each patch in one row, `[B, P, patch * patch * C]`, from `[B, S, S, C]`.
pub(crate) fn patchify(pixels: Tensor<4>, patch: usize) -> Tensor<3> {
    let [lanes, height, width, channels] = pixels.dims();
    let (rows, columns) = (height / patch, width / patch);
    pixels
        .reshape([lanes, rows, patch, columns, patch * channels])
        .swap_dims(2, 3)
        .reshape([lanes, rows * columns, patch * patch * channels])
}

/// Inverse of [`patchify`] on a square grid.
#[cfg(test)]
fn unpatchify(patches: Tensor<3>, patch: usize) -> Tensor<4> {
    let [lanes, count, numbers] = patches.dims();
    let (side, channels) = (count.isqrt(), numbers / (patch * patch));
    patches
        .reshape([lanes, side, side, patch, patch * channels])
        .swap_dims(2, 3)
        .reshape([lanes, side * patch, side * patch, channels])
}

/// `x` times a matrix, for rows in three axes.
pub(crate) fn product(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [lanes, rows, inputs] = x.dims();
    let outputs = weight.dims()[1];
    x.reshape([lanes * rows, inputs])
        .matmul(weight)
        .reshape([lanes, rows, outputs])
}

/// Convolution of 4 x 4 pixels with stride 2 and padding 1: `[B, S, S, C]` to `[B, S/2, S/2, outputs]`.
///
/// A row of the weight is that of `(block row, block column, row, column, channel)`, blocks of 2 x 2 pixels.
fn convolve(x: Tensor<4>, weight: Tensor<2>) -> Tensor<4> {
    let [lanes, height, width, channels] = x.dims();
    let outputs = weight.dims()[1];
    let (rows, columns) = (height / 2 + 1, width / 2 + 1);
    let padded = pad(pad(x, 1), 2); // [B, S + 2, S + 2, C]
    let blocks = padded
        .reshape([lanes, rows, 2, columns, 2 * channels])
        .swap_dims(2, 3)
        .reshape([lanes, rows, columns, 4 * channels]);
    let part = |row: usize, column: usize| {
        let part = blocks.clone().narrow(1, row, rows - 1);
        part.narrow(2, column, columns - 1)
    };
    let around = Tensor::cat(vec![part(0, 0), part(0, 1), part(1, 0), part(1, 1)], 3);
    around
        .reshape([lanes * (rows - 1) * (columns - 1), 16 * channels])
        .matmul(weight)
        .reshape([lanes, rows - 1, columns - 1, outputs])
}

/// One row of zeros before and one after, along an axis.
fn pad(x: Tensor<4>, axis: usize) -> Tensor<4> {
    let mut shape = x.dims();
    shape[axis] = 1;
    let edge = Tensor::zeros(shape, (&x.device(), x.dtype()));
    Tensor::cat(vec![edge.clone(), x, edge], axis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, TensorData};

    fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn patches_are_rows_of_pixels_and_come_back() {
        let pixels: Vec<f32> = (0..2 * 4 * 4 * 3).map(|i| i as f32).collect();
        let pixels = Tensor::<4>::from_data(TensorData::new(pixels, [2, 4, 4, 3]), &Device::flex());
        let patches = patchify(pixels.clone(), 2);
        assert_eq!(patches.dims(), [2, 4, 12]);
        // The second patch of the first picture: rows 0 and 1, columns 2 and 3.
        let second = values(patches.clone().narrow(0, 0, 1).narrow(1, 1, 1));
        let expected: Vec<f32> = (6..12).chain(18..24).map(|i| i as f32).collect();
        assert_eq!(second, expected);
        assert_eq!(values(unpatchify(patches, 2)), values(pixels));
    }

    #[test]
    fn a_product_of_blocks_is_the_convolution() {
        let device = Device::flex();
        device.seed(3);
        let (channels, outputs) = (3, 5);
        let x = Tensor::<4>::random([2, 8, 8, channels], Distribution::Normal(0.0, 1.0), &device);
        let weight = Tensor::<2>::random([16 * channels, outputs], Distribution::Normal(0.0, 1.0), &device);
        // (block row, block column, row, column, channel, output) to [output, channel, row, column].
        let kernel = weight
            .clone()
            .reshape([2, 2, 2, 2, channels, outputs])
            .permute([5, 4, 0, 2, 1, 3])
            .reshape([outputs, channels, 4, 4]);
        let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
        let expected = conv2d(x.clone().permute([0, 3, 1, 2]), kernel, None, options).permute([0, 2, 3, 1]);
        let found = convolve(x, weight);
        assert_eq!(found.dims(), [2, 4, 4, outputs]);
        let off = (found - expected).abs().max().into_scalar::<f32>();
        assert!(off < 1e-4, "{off}");
    }
}
