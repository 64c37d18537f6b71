//! Change of numbers with a straight-through gradient.

use burn::tensor::Tensor;

/// `change(x)`, exactly, with the gradient of x: `x + stop(change(x) - x)` (Bengio et al. 2013, arXiv:1308.3432).
///
/// Written as `change(x) + (x - stop(x))`, whose second term is 0 in any precision; the other form would leave a rounding
/// error of x on the value.
pub(crate) fn straight_through<const R: usize>(
    x: Tensor<R>,
    change: impl FnOnce(Tensor<R>) -> Tensor<R>,
) -> Tensor<R> {
    if !x.is_autodiff() {
        return change(x);
    }
    let value = change(x.clone().inner()).autodiff();
    value + (x.clone() - x.detach())
}
