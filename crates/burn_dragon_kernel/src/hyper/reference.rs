//! Definition of the steps of hyper-connections.

use burn::tensor::Tensor;

/// `(vec(x) P) / rms(vec(x)) + bias`.
///
/// # Shapes
/// - `x`: `[M, n, D]`
/// - `projection`: `[n D, K]`
/// - `bias`: `[1, K]`
/// - output: `[M, K]`
pub fn hyper_logits(x: Tensor<3>, projection: Tensor<2>, bias: Tensor<2>, eps: f64) -> Tensor<2> {
    let rows: Tensor<2> = x.flatten(1, 2);
    let length = (rows.clone().square().mean_dim(1) + eps).sqrt();
    rows.matmul(projection) / length + bias
}

/// `sum over s of pre_s x_s`.
///
/// # Shapes
/// - `x`: `[M, n, D]`
/// - `pre`: `[M, n]`
/// - output: `[M, D]`
pub fn hyper_read(x: Tensor<3>, pre: Tensor<2>) -> Tensor<2> {
    pre.unsqueeze_dim::<3>(1).matmul(x).squeeze_dim(1)
}

/// `sum over s of res_rs x_s + post_r y`.
///
/// # Shapes
/// - `x`, output: `[M, n, D]`
/// - `res`: `[M, n, n]`
/// - `post`: `[M, n]`
/// - `y`: `[M, D]`
pub fn hyper_write(x: Tensor<3>, res: Tensor<3>, post: Tensor<2>, y: Tensor<2>) -> Tensor<3> {
    res.matmul(x) + post.unsqueeze_dim::<3>(2) * y.unsqueeze_dim::<3>(1)
}
