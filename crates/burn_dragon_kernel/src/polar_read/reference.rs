//! Definition of polar scores.

use crate::rotation::Rotation;
use burn::tensor::Tensor;

/// `sum over c of l_tc l_sc cos(a_sc - a_tc + phase_c)` for `s < t`, else 0.
///
/// # Shapes
/// - `lengths`: `[B, H, T, N]`
/// - `phase`: `[1, H, 1, N]`
/// - output: `[B, H, T, T]`
pub fn polar_scores(lengths: Tensor<4>, phase: Tensor<4>, rotation: &Rotation) -> Tensor<4> {
    let table = |table: &Tensor<4>| match lengths.is_autodiff() && !table.is_autodiff() {
        true => table.clone().autodiff(),
        false => table.clone(),
    };
    let (cos, sin) = (table(&rotation.cos), table(&rotation.sin)); // [1 or B, 1, T, N]
    let (c, s) = (phase.clone().cos(), phase.sin());
    let further = cos.clone() * c.clone() - sin.clone() * s.clone(); // cos of the sum
    let keys = vectors(&lengths, further, sin.clone() * c + cos.clone() * s);
    let queries = vectors(&lengths, cos, sin);
    queries.matmul(keys.swap_dims(2, 3)).tril(-1)
}

/// Vectors of these lengths in these directions, `[B, H, T, 2 N]`: first numbers, then second ones.
fn vectors(lengths: &Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![lengths.clone() * cos, lengths.clone() * sin], 3)
}
