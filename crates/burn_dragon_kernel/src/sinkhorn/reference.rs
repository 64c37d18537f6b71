//! Definition of the normalisation.

use super::{Axis, SINKHORN_EPS, SinkhornForm};
use burn::tensor::{Tensor, activation};

/// Each matrix after so many rounds.
///
/// # Shapes
/// - `logits`, output: `[M, n, n]`
pub fn sinkhorn(logits: Tensor<3>, form: SinkhornForm, rounds: usize) -> Tensor<3> {
    let start = match form {
        SinkhornForm::RowsLast => {
            let largest = logits.clone().detach().max_dim(2).max_dim(1);
            (logits - largest).exp()
        }
        SinkhornForm::ColumnsLast => activation::softmax(logits, 2) + SINKHORN_EPS,
    };
    form.steps(rounds).fold(start, |matrix, axis| {
        let sums = match axis {
            Axis::Rows => matrix.clone().sum_dim(2),
            Axis::Columns => matrix.clone().sum_dim(1),
        };
        matrix / (sums + form.eps())
    })
}
