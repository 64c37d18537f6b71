//! Rounding of y to whole numbers of steps, for low-bit models, with a straight-through gradient.
//!
//! ```text
//! y^ = round(y s) / s        s = count / max(largest y, 1e-5), half to even; the largest of those that share a scale
//! ```
//!
//! On the processor [`speak`](super::speak()) rounds y between its products; elsewhere this is tensor operations.

use burn::tensor::Tensor;

/// Whole numbers from 0 to `count`, of which the largest y is the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// The largest number, at least 1.
    pub count: u32,
    /// Neurons that share a scale.
    pub shared: SharedScale,
}

/// Neurons of a token that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedScale {
    /// All.
    Token,
    /// Those of a head.
    Head,
    /// 64 of a head.
    Group,
}

impl Levels {
    /// Least of what a scale is made of, for numbers that are all 0, as in BitNet.
    pub const LEAST: f32 = 1e-5;

    /// Neurons, or dimensions, of a group that shares a scale.
    pub const GROUP: usize = crate::low_bit::GROUP;

    /// y after rounding; the gradient of y is that of what it is rounded to.
    ///
    /// # Shapes
    /// - `y`, output: `[B, H, T, N]`, non-negative
    pub fn round(self, y: Tensor<4>) -> Tensor<4> {
        straight_through(y, |y| {
            let most = self.shared.most(y.clone()).clamp_min(Self::LEAST);
            let per_unit = most.recip() * f64::from(self.count);
            (y * per_unit.clone()).round() / per_unit
        })
    }
}

impl SharedScale {
    /// The largest of the neurons that share a scale, in a shape that expands to `[B, H, T, N]`.
    fn most(self, y: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Token => y.max_dim(3).max_dim(1),
            Self::Head => y.max_dim(3),
            Self::Group => {
                let neurons = y.dims()[3];
                let groups = (0..neurons).step_by(Levels::GROUP).map(|first| {
                    let size = Levels::GROUP.min(neurons - first);
                    let group = y.clone().narrow(3, first, size);
                    group.max_dim(3).repeat_dim(3, size)
                });
                Tensor::cat(groups.collect(), 3)
            }
        }
    }
}

/// `change(x)`, exactly, with the gradient of x: `x + stop(change(x) - x)` (Bengio et al. 2013, arXiv:1308.3432).
///
/// Written as `change(x) + (x - stop(x))`, whose second term is 0 in any precision; the other form would leave a rounding error of
/// x on the value.
pub fn straight_through<const R: usize>(
    x: Tensor<R>,
    change: impl FnOnce(Tensor<R>) -> Tensor<R>,
) -> Tensor<R> {
    if !x.is_autodiff() {
        return change(x);
    }
    let value = change(x.clone().inner()).autodiff();
    value + (x.clone() - x.detach())
}
