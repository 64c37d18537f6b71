//! Sinkhorn normalisation: nonnegative matrices whose rows and columns sum to 1, from logits.
//!
//! ```text
//! rows last       M = exp(x - max x);       `rounds` times: columns / their sums, then rows / their sums
//! columns last    M = softmax(x) + eps;     columns / (their sums + eps), then `rounds` - 1 times: rows, then columns
//! ```
//!
//! The first form is that of the paper of manifold-constrained hyper-connections (arXiv:2512.24880), whose rows sum to
//! 1 exactly and columns nearly. The second is that of DeepSeek's kernels for them.
//!
//! On the processor in f32, sixteen matrices are normalised side by side, and the gradient is written by hand: it repeats the
//! rounds and goes back through them (`cpu.rs`). Elsewhere it is a composition of tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::backend::on_backends;
use backward::on_backend;
use burn::tensor::Tensor;

/// Form of the normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkhornForm {
    /// Rows are normalised last, without an epsilon.
    RowsLast,
    /// Columns are normalised last, with [`SINKHORN_EPS`].
    ColumnsLast,
}

/// Epsilon that [`SinkhornForm::ColumnsLast`] adds to the first matrix and to the sums.
pub const SINKHORN_EPS: f64 = 1e-6;

/// What is normalised in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Rows,
    Columns,
}

impl SinkhornForm {
    /// Steps of so many rounds, in their order.
    fn steps(self, rounds: usize) -> impl DoubleEndedIterator<Item = Axis> {
        let count = match self {
            Self::RowsLast => 2 * rounds,
            Self::ColumnsLast => (2 * rounds).saturating_sub(1),
        };
        (0..count).map(|step| if step % 2 == 0 { Axis::Columns } else { Axis::Rows })
    }

    /// Epsilon of the sums.
    fn eps(self) -> f64 {
        match self {
            Self::RowsLast => 0.0,
            Self::ColumnsLast => SINKHORN_EPS,
        }
    }
}

/// Each matrix after so many rounds.
///
/// # Shapes
/// - `logits`, output: `[M, n, n]`
///
/// # Panics
/// If the matrices are not square, or there is no round.
pub fn sinkhorn(logits: Tensor<3>, form: SinkhornForm, rounds: usize) -> Tensor<3> {
    let [_, rows, columns] = logits.dims();
    assert!(
        rows == columns && rounds > 0,
        "sinkhorn: {rounds} rounds on matrices of {rows} x {columns}; expected square ones, and at least 1 round"
    );
    on_backends!(B, input = (logits, form, rounds) => on_backend::<B>(input))
        .unwrap_or_else(|(logits, form, rounds)| reference::sinkhorn(logits, form, rounds))
}

#[cfg(test)]
mod tests;
