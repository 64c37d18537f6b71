//! Patches by the coarse cell that they lie in.

use crate::local_grid::Grid;
use burn::tensor::Tensor;

/// Pyramid of patches, coarse cells and hubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pyramid {
    /// Grid of patches.
    pub patches: Grid,
    /// Number of patches along a side of a coarse cell.
    pub stride: usize,
    /// Number of hubs.
    pub hubs: usize,
}

impl Pyramid {
    /// Grid of coarse cells: patch `(y, x)` lies in cell `(y / stride, x / stride)`. Cells at the lower and right border
    /// have fewer patches if the stride does not divide the grid.
    pub fn coarse(&self) -> Grid {
        let cells = |patches: usize| patches.div_ceil(self.stride.max(1));
        Grid::new(cells(self.patches.height), cells(self.patches.width))
    }

    /// Number of the coarse cell that a patch lies in.
    pub fn cell_of(&self, patch: usize) -> usize {
        let (y, x) = (patch / self.patches.width, patch % self.patches.width);
        y / self.stride * self.coarse().width + x / self.stride
    }
}

/// Tokens of the patches, `[B, H, P, N]`, by cell: `[B, H, C, S, N]` with S patches in a cell, and zeros where a cell at the
/// border has fewer.
pub(super) fn by_cell(tokens: Tensor<4>, pyramid: &Pyramid) -> Tensor<5> {
    let [lanes, heads, _, size] = tokens.dims();
    let (Grid { height, width }, coarse, side) = (pyramid.patches, pyramid.coarse(), pyramid.stride);
    let picture: Tensor<4> = tokens.reshape([lanes * heads, height, width, size]);
    let picture = extended(extended(picture, 1, coarse.height * side), 2, coarse.width * side);
    let blocks: Tensor<6> = picture.reshape([lanes * heads, coarse.height, side, coarse.width, side, size]);
    let cells: Tensor<6> = blocks.swap_dims(2, 3); // [B*H, rows, columns, s, s, N]
    cells.reshape([lanes, heads, coarse.places(), side * side, size])
}

/// Tokens by cell, `[B, H, C, S, N]`, patch by patch again: `[B, H, P, N]`.
pub(super) fn by_patch(cells: Tensor<5>, pyramid: &Pyramid) -> Tensor<4> {
    let [lanes, heads, _, _, size] = cells.dims();
    let (Grid { height, width }, coarse, side) = (pyramid.patches, pyramid.coarse(), pyramid.stride);
    let cells: Tensor<6> = cells.reshape([lanes * heads, coarse.height, coarse.width, side, side, size]);
    let blocks: Tensor<6> = cells.swap_dims(2, 3); // [B*H, rows, s, columns, s, N]
    let picture: Tensor<4> = blocks.reshape([lanes * heads, coarse.height * side, coarse.width * side, size]);
    let picture = picture.narrow(1, 0, height).narrow(2, 0, width);
    picture.reshape([lanes, heads, height * width, size])
}

/// The tensor with zeros behind an axis, up to a size.
fn extended(tensor: Tensor<4>, axis: usize, size: usize) -> Tensor<4> {
    let mut shape = tensor.dims();
    if shape[axis] == size {
        return tensor;
    }
    shape[axis] = size - shape[axis];
    let zeros = Tensor::<4>::zeros(shape, (&tensor.device(), tensor.dtype()));
    Tensor::cat(vec![tensor, zeros], axis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{numbers, values};
    use burn::tensor::Device;

    #[test]
    fn a_patch_lies_in_the_cell_of_its_region() {
        let pyramid = Pyramid {
            patches: Grid::new(3, 5),
            stride: 2,
            hubs: 1,
        };
        assert_eq!(pyramid.coarse(), Grid::new(2, 3));
        let cells: Vec<usize> = (0..15).map(|patch| pyramid.cell_of(patch)).collect();
        assert_eq!(cells, [0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 3, 3, 4, 4, 5]);
    }

    #[test]
    fn patches_by_cell_are_those_that_lie_in_it() {
        for (height, width, stride) in [(4, 4, 2), (3, 5, 2), (5, 7, 3), (2, 3, 1), (2, 2, 9)] {
            let pyramid = Pyramid {
                patches: Grid::new(height, width),
                stride,
                hubs: 1,
            };
            let tokens = numbers([2, 3, height * width, 4], 1, 2.0, &Device::flex());
            let cells = by_cell(tokens.clone(), &pyramid);
            assert_eq!(values(by_patch(cells.clone(), &pyramid)), values(tokens.clone()));
            let sums = values(cells.sum_dim(3)); // of each cell
            let tokens = values(tokens);
            for plane in 0..6 {
                for cell in 0..pyramid.coarse().places() {
                    let here = (0..height * width).filter(|&patch| pyramid.cell_of(patch) == cell);
                    let sum: f32 = here
                        .map(|patch| tokens[(plane * height * width + patch) * 4])
                        .sum();
                    let given = sums[(plane * pyramid.coarse().places() + cell) * 4];
                    assert!((given - sum).abs() < 1e-5, "{given} in place of {sum}");
                }
            }
        }
    }
}
