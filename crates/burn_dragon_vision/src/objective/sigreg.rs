//! Losses of LeJEPA (arXiv:2511.08544): invariance of views, and sketched isotropic Gaussian regularisation.
//!
//! ```text
//! invariance = mean over v, n, k of (z_vnk - mean over v of z_vnk)^2
//! u_vns      = z_vn . a_s                                     a_s a random unit direction, fresh at every step
//! T_vs       = N sum over j of w_j [(mean_n cos(t_j u) - phi_j)^2 + (mean_n sin(t_j u))^2]
//! SIGReg     = mean over v, s of T_vs
//! phi_j = exp(-t_j^2 / 2),  t_j = j dt from 0 to `reach`,  w_j = (2 dt inside, dt at both ends) phi_j
//! ```
//!
//! `T` compares the characteristic function of a projection with that of the standard normal distribution (test of Epps and
//! Pulley). It is 0 if these agree at all knots. The weights are those of the official release: twice the trapezoid rule.
//!
//! `T` grows with the number of samples: its weight in a loss holds for a size of the batch.

use crate::error::VisionError;
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sketched isotropic Gaussian regularisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SigReg {
    /// Number of random directions a step (S), at least 1.
    pub directions: usize,
    /// Number of knots of the characteristic function, at least 2.
    pub knots: usize,
    /// Largest knot: the characteristic function is compared from 0 to it. Above 0, at most 100.
    pub reach: f64,
}

impl Default for SigReg {
    fn default() -> Self {
        Self {
            directions: 256,
            knots: 17,
            reach: 3.0,
        }
    }
}

/// A knot of the characteristic function.
struct Knot {
    t: f64,
    weight: f64,
    phi: f64,
}

impl SigReg {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        let refuse = |key, reason| Err(VisionError::Config { key, reason });
        if self.directions == 0 {
            return refuse("objective.sigreg.directions", "is 0; expected at least 1".into());
        }
        if self.knots < 2 {
            let reason = format!("is {}; expected at least 2", self.knots);
            return refuse("objective.sigreg.knots", reason);
        }
        if !(self.reach > 0.0 && self.reach <= 100.0) {
            let reason = format!("is {}; expected a number above 0, at most 100", self.reach);
            return refuse("objective.sigreg.reach", reason);
        }
        Ok(())
    }

    /// Random unit directions, `[K, S]`: a function of seed and step.
    pub fn directions(&self, width: usize, (seed, step): (u64, u64), device: &Device) -> Tensor<2> {
        let mut values = vec![0f32; width * self.directions]; // [K, S]
        for direction in 0..self.directions {
            let mut rng = Rng::new(derive(seed, "sigreg.direction", step, direction as u64));
            let draws: Vec<f64> = (0..width).map(|_| rng.normal()).collect();
            let length = draws.iter().map(|draw| draw * draw).sum::<f64>().sqrt();
            for (k, draw) in draws.iter().enumerate() {
                values[k * self.directions + direction] = (draw / length) as f32;
            }
        }
        Tensor::from_data(TensorData::new(values, [width, self.directions]), device)
    }

    /// Statistic of embeddings: 0 at best, about [`null_mean`](Self::null_mean) for standard normal samples.
    ///
    /// The gradient is computed beside the value, knot by knot, so no tensor of a knot is kept for the backward pass:
    ///
    /// ```text
    /// dT/du_n = sum over j of 2 w_j t_j [(mean sin) cos(t_j u_n) - (mean cos - phi_j) sin(t_j u_n)]
    /// ```
    ///
    /// # Shapes
    /// - `z`: `[V, N, K]`, V views of N samples
    /// - `directions`: `[K, S]`
    /// - output: `[1]`
    pub fn statistic(&self, z: Tensor<3>, directions: Tensor<2>) -> Tensor<1> {
        let ([views, samples, width], [_, slices]) = (z.dims(), directions.dims());
        let u = z.reshape([views * samples, width]).matmul(directions);
        let u = u.reshape([views, samples, slices]); // [V, N, S]
        let fixed = u.clone().detach();
        let spacing = self.spacing();
        let mut value = Tensor::zeros([views, 1, slices], (&u.device(), u.dtype()));
        let mut slope = fixed.zeros_like(); // dT/du
        for (knot, (cos, sin)) in self.knots().zip(harmonics(&fixed, spacing)) {
            let real = cos.clone().mean_dim(1) - knot.phi; // [V, 1, S]
            let imaginary = sin.clone().mean_dim(1);
            slope = slope + (imaginary.clone() * cos - real.clone() * sin) * (2.0 * knot.weight * knot.t);
            value = value + (real.powi_scalar(2) + imaginary.powi_scalar(2)) * knot.weight;
        }
        let value = (value * samples as f64).mean();
        let tangent = (u * (slope / (views * slices) as f64)).sum();
        tangent.clone() - tangent.detach() + value
    }

    /// Mean of the statistic over standard normal samples: the sum of `w_j (1 - exp(-t_j^2))`.
    pub fn null_mean(&self) -> f64 {
        self.knots()
            .map(|knot| knot.weight * (1.0 - (-knot.t * knot.t).exp()))
            .sum()
    }

    fn spacing(&self) -> f64 {
        self.reach / (self.knots - 1) as f64
    }

    /// Knots above 0. At 0 every characteristic function is 1.
    fn knots(&self) -> impl Iterator<Item = Knot> {
        let (last, spacing) = (self.knots - 1, self.spacing());
        (1..=last).map(move |j| {
            let t = j as f64 * spacing;
            let phi = (-0.5 * t * t).exp();
            let width = if j == last { spacing } else { 2.0 * spacing };
            Knot {
                t,
                weight: width * phi,
                phi,
            }
        })
    }
}

/// Cosine and sine of `dt u`, `2 dt u`, `3 dt u`, ... by the addition theorem.
fn harmonics(u: &Tensor<3>, spacing: f64) -> impl Iterator<Item = (Tensor<3>, Tensor<3>)> {
    let angle = u.clone() * spacing;
    let (cos, sin) = (angle.clone().cos(), angle.sin());
    std::iter::successors(Some((cos.clone(), sin.clone())), move |(c, s)| {
        let next_cos = c.clone() * cos.clone() - s.clone() * sin.clone();
        let next_sin = s.clone() * cos.clone() + c.clone() * sin.clone();
        Some((next_cos, next_sin))
    })
}

/// Mean square of the distance of every view's embedding from the mean of the views, per dimension.
///
/// # Shapes
/// - `z`: `[V, N, K]`
/// - output: `[1]`
pub fn invariance(z: Tensor<3>) -> Tensor<1> {
    (z.clone() - z.mean_dim(0)).powi_scalar(2).mean()
}

#[cfg(test)]
#[path = "sigreg_tests.rs"]
mod tests;
