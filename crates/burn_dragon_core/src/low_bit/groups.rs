//! Groups of numbers that share a scale.

use burn::tensor::Tensor;

/// What a scale is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Statistic {
    /// Mean.
    Mean,
    /// Largest.
    Largest,
}

impl Statistic {
    /// Of an axis, which stays with the size 1.
    pub(crate) fn over<const R: usize>(self, x: Tensor<R>, axis: usize) -> Tensor<R> {
        match self {
            Self::Mean => x.mean_dim(axis),
            Self::Largest => x.max_dim(axis),
        }
    }

    /// Of each group of `size` numbers along the last axis, in the place of each of them; a last group may be smaller.
    pub(crate) fn of_groups<const R: usize>(self, x: Tensor<R>, size: usize) -> Tensor<R> {
        let dims = x.dims();
        let last = dims[R - 1];
        let rows = dims.iter().product::<usize>() / last;
        let flat: Tensor<2> = x.reshape([rows, last]);
        let part = |first: usize, length: usize, size: usize| {
            let groups = length / size;
            let numbers: Tensor<3> = flat
                .clone()
                .narrow(1, first, length)
                .reshape([rows, groups, size]);
            let each = self.over(numbers, 2).expand([rows, groups, size]);
            each.reshape([rows, length])
        };
        let (whole, rest) = (last / size * size, last % size);
        let equal = (whole > 0).then(|| part(0, whole, size));
        let smaller = (rest > 0).then(|| part(whole, rest, rest));
        let parts: Vec<Tensor<2>> = equal.into_iter().chain(smaller).collect();
        Tensor::cat(parts, 1).reshape(dims)
    }
}
