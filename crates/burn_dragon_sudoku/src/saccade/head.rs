//! Head of the policy: a logit for each cell.

use crate::constraint::SudokuState;
use crate::model::SudokuModel;
use crate::units::CELLS;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

/// Number of digits.
const DIGITS: usize = 9;

/// What the policy sees of the cells, `[B, 81, 2 D]`: the mean state of a cell's candidates with the digits' probabilities as weights,
/// and their plain mean.
pub(super) fn features(model: &SudokuModel, state: &SudokuState) -> Tensor<3> {
    let [lanes, _, tokens, width] = state.stream.dims();
    debug_assert_eq!(tokens, CELLS * DIGITS);
    let v = state.stream.clone().reshape([lanes, CELLS, DIGITS, width]);
    let p = softmax(model.logits(state), 2).reshape([lanes, CELLS, DIGITS, 1]);
    let weighted = (v.clone() * p).sum_dim(2);
    let of = |mean: Tensor<4>| mean.reshape([lanes, CELLS, width]);
    Tensor::cat(vec![of(weighted), of(v.mean_dim(2))], 2)
}

/// Logits of cells, `[R, 81]`, from what the policy sees, `[R, 81, 2 D]`.
///
/// # Panics
/// If the model has no policy.
pub(super) fn cell_logits(model: &SudokuModel, features: Tensor<3>) -> Tensor<2> {
    let Some(policy) = &model.policy else {
        panic!("cell_logits: the model has no policy, expected one with type = \"saccade\"")
    };
    let [rows, cells, width] = features.dims();
    let logits = features.reshape([rows * cells, width]).matmul(policy.val());
    logits.reshape([rows, cells])
}
