//! Coefficients of hyper-connections.
//!
//! ```text
//! z = (vec(x) projection) / rms(vec(x)) * scale + bias        parts of n, n and n^2 logits, a scale for each
//! paper           pre = sigmoid(z_pre),  post = 2 sigmoid(z_post),  res = Sinkhorn(z_res), 20 rounds, rows last
//! lite            res = sum over permutations P of softmax(z_res)_P P
//! tilekernels     pre = sigmoid(z_pre) + 1e-6,  res = the transpose of Sinkhorn(z_res), 10 rounds, columns last
//! static          pre = softmax(b_pre),  post = softmax(b_post),  res = the transpose of Sinkhorn(b_res / 0.05), 10 rounds
//! ```

use super::super::Setting;
use super::config::{HyperCoefficients, HyperConfig};
use burn::tensor::{Tensor, TensorData, activation};
use burn_dragon_kernel::api::{SINKHORN_EPS, SinkhornForm, hyper_logits, sinkhorn};

/// Rounds of Sinkhorn in the paper.
const PAPER_ROUNDS: usize = 20;

/// Rounds of Sinkhorn in the other two forms.
const ROUNDS: usize = 10;

/// Temperature of the mixture of the public implementation.
const TEMPERATURE: f64 = 0.05;

/// Coefficients of a level, of each token.
pub(super) struct Coefficients {
    /// Share of each stream in the input, `[M, n]`.
    pub(super) pre: Tensor<2>,
    /// Share of the output in each stream, `[M, n]`.
    pub(super) post: Tensor<2>,
    /// Mixture: what a stream (row) gets from another (column), `[M, n, n]`.
    pub(super) res: Tensor<3>,
}

/// What coefficients are made with.
pub(super) struct Mapping {
    config: HyperConfig,
    /// `[L, n D, K]`; `None` for coefficients that do not know the streams.
    projection: Option<Tensor<3>>,
    /// `[L, K]`.
    bias: Tensor<2>,
    /// `[L, 3]`.
    scale: Option<Tensor<2>>,
}

impl Mapping {
    /// # Panics
    /// If the weights are not there.
    pub(super) fn new(config: &HyperConfig, setting: Setting<'_>) -> Self {
        let knows_streams = config.knows_streams();
        Self {
            config: config.clone(),
            projection: knows_streams.then(|| {
                setting.learnt("projection", |weights| {
                    weights.projection.as_ref().map(|projection| projection.val())
                })
            }),
            bias: setting.learnt("bias", |weights| weights.bias.as_ref().map(|bias| bias.val())),
            scale: knows_streams
                .then(|| setting.learnt("scale", |weights| weights.scale.as_ref().map(|scale| scale.val()))),
        }
    }

    /// Coefficients of a level for streams `[M, n, D]`. A pass with more levels than in training goes on with the last
    /// ones.
    pub(super) fn coefficients(&self, x: &Tensor<3>, level: usize, eps: f64) -> Coefficients {
        let [tokens, streams, _] = x.dims();
        let level = level.min(self.bias.dims()[0] - 1);
        let bias = self.bias.clone().narrow(0, level, 1); // [1, K]
        let logits = match (&self.projection, &self.scale) {
            (Some(projection), Some(scale)) => {
                let projection: Tensor<2> = projection.clone().narrow(0, level, 1).squeeze_dim(0);
                let projection = projection * self.of_logits(&scale.clone().narrow(0, level, 1));
                hyper_logits(x.clone(), projection, bias, eps)
            }
            _ => bias,
        };
        let rows = logits.dims()[0];
        let part = |first: usize, count: usize| logits.clone().narrow(1, first, count); // [M or 1, count]
        let (pre, post) = (part(0, streams), part(streams, streams));
        let mixture = part(2 * streams, self.config.mixture());
        let (pre, post) = match self.config.coefficients {
            HyperCoefficients::Paper | HyperCoefficients::Lite => {
                (activation::sigmoid(pre), activation::sigmoid(post) * 2.0)
            }
            HyperCoefficients::Tilekernels => (
                activation::sigmoid(pre) + SINKHORN_EPS,
                activation::sigmoid(post) * 2.0,
            ),
            HyperCoefficients::Static => (activation::softmax(pre, 1), activation::softmax(post, 1)),
        };
        let of_each = |shares: Tensor<2>| match rows {
            1 => shares.repeat_dim(0, tokens),
            _ => shares,
        };
        let square = |mixture: Tensor<2>| mixture.reshape([rows, streams, streams]);
        let res = match self.config.coefficients {
            HyperCoefficients::Paper => sinkhorn(square(mixture), SinkhornForm::RowsLast, PAPER_ROUNDS),
            HyperCoefficients::Lite => {
                let shares = activation::softmax(mixture, 1);
                square(shares.matmul(permutations(streams, &self.bias)))
            }
            HyperCoefficients::Tilekernels => {
                sinkhorn(square(mixture), SinkhornForm::ColumnsLast, ROUNDS).transpose()
            }
            HyperCoefficients::Static => {
                sinkhorn(square(mixture) / TEMPERATURE, SinkhornForm::RowsLast, ROUNDS).transpose()
            }
        };
        let res = match rows {
            1 => res.repeat_dim(0, tokens),
            _ => res,
        };
        Coefficients {
            pre: of_each(pre),
            post: of_each(post),
            res,
        }
    }

    /// Factor of each logit, `[1, K]`, from the three of its parts.
    fn of_logits(&self, scale: &Tensor<2>) -> Tensor<2> {
        let streams = self.config.streams;
        let counts = [streams, streams, self.config.mixture()];
        let parts = counts.into_iter().enumerate();
        let factors = parts.map(|(part, count)| scale.clone().narrow(1, part, 1).repeat_dim(1, count));
        Tensor::cat(factors.collect(), 1)
    }
}

/// All permutations of n as matrices, `[n!, n n]`, the identity first; constants of the kind of `like`.
fn permutations(n: usize, like: &Tensor<2>) -> Tensor<2> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..n {
        let longer = all.into_iter().flat_map(|begun| {
            let rest = (0..n).filter(|next| !begun.contains(next)).collect::<Vec<_>>();
            rest.into_iter().map(move |next| {
                let mut longer = begun.clone();
                longer.push(next);
                longer
            })
        });
        all = longer.collect();
    }
    let mut values = vec![0f32; all.len() * n * n];
    for (matrix, permutation) in values.chunks_exact_mut(n * n).zip(&all) {
        for (row, column) in permutation.iter().enumerate() {
            matrix[row * n + column] = 1.0;
        }
    }
    let data = TensorData::new(values, [all.len(), n * n]).convert_dtype(like.dtype());
    let matrices = Tensor::from_data(data, (&like.device().inner(), like.dtype()));
    if like.is_autodiff() {
        matrices.autodiff()
    } else {
        matrices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device};

    #[test]
    fn permutations_are_all_and_the_identity_is_the_first() {
        let like = Tensor::<2>::zeros([1, 1], (&Device::flex(), DType::F64));
        let matrices = permutations(3, &like);
        assert_eq!(matrices.dims(), [6, 9]);
        let values: Vec<f64> = matrices.clone().into_data().try_to_vec().unwrap();
        assert_eq!(values[..9], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        let rows = matrices.clone().reshape([6, 3, 3]);
        for axis in [1, 2] {
            let sums: Vec<f64> = rows.clone().sum_dim(axis).into_data().try_to_vec().unwrap();
            assert!(sums.into_iter().all(|sum| sum == 1.0));
        }
        let mut different: Vec<&[f64]> = values.chunks(9).collect();
        different.sort_by(|a, b| a.partial_cmp(b).unwrap());
        different.dedup();
        assert_eq!(different.len(), 6);
    }
}
