//! Log-probabilities of numbers that were drawn from normal distributions.

use burn::tensor::Tensor;

/// Log-density of each sample under its normal distribution. The sample is a constant: gradients are those of
/// `log pi(sample)` by mean and deviation, whatever expression the sample came from.
///
/// # Shapes
/// - all, and the output: the same
pub fn normal_log_probs<const R: usize>(
    samples: Tensor<R>,
    mean: Tensor<R>,
    deviation: Tensor<R>,
) -> Tensor<R> {
    let offset = (samples.detach() - mean) / deviation.clone();
    let normaliser = 0.5 * std::f64::consts::TAU.ln();
    offset.powi_scalar(2) * -0.5 - deviation.log() - normaliser
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn numbers(tensor: &Tensor<1>) -> Vec<f64> {
        tensor
            .clone()
            .into_data()
            .convert::<f64>()
            .iter::<f64>()
            .collect()
    }

    fn leaf(value: f32, device: &Device) -> Tensor<1> {
        Tensor::<1>::from_data([value], device).require_grad()
    }

    /// The public implementation differentiates the density of the expression `mean + deviation noise`, in which the mean cancels.
    #[test]
    fn a_sample_is_a_constant_and_its_mean_has_a_gradient() {
        let device = Device::flex().autodiff();
        let (mean, deviation) = (leaf(0.4, &device), leaf(0.5, &device));
        let sample = mean.clone() + deviation.clone() * 1.2;
        let density = normal_log_probs(sample.clone(), mean.clone(), deviation.clone());
        let expected = -0.5 * 1.44 - 0.5f64.ln() - 0.5 * std::f64::consts::TAU.ln();
        assert!((numbers(&density)[0] - expected).abs() < 1e-6);
        let gradients = density.backward();
        // (x - mean) / deviation^2, and ((x - mean)^2 / deviation^2 - 1) / deviation.
        let of = |leaf: &Tensor<1>| numbers(&leaf.grad(&gradients).unwrap())[0];
        assert!((of(&mean) - 1.2 / 0.5).abs() < 1e-5);
        assert!((of(&deviation) - (1.44 - 1.0) / 0.5).abs() < 1e-5);

        let offset = (sample - mean.clone()) / deviation.clone();
        let undetached = offset.powi_scalar(2) * -0.5 - deviation.log();
        let gradients = undetached.backward();
        let of_mean = mean
            .grad(&gradients)
            .map_or(0.0, |gradient| numbers(&gradient)[0]);
        assert!(
            of_mean.abs() < 1e-6,
            "the sample's own gradient cancels: {of_mean}"
        );
    }

    /// The expected reward of `r(x) = x^3` under N(mean, deviation) is `mean^3 + 3 mean deviation^2`. A sum over a fine grid is its
    /// expectation, and the gradient of the surrogate over that grid is its gradient.
    #[test]
    fn the_surrogate_s_gradient_is_that_of_the_expected_reward() {
        use crate::policy::{Taken, surrogate};
        let device = Device::flex().autodiff();
        let (mean, deviation, step) = (0.3f64, 0.6f64, 0.01f64);
        let points: Vec<f64> = (-500..=500).map(|i| mean + f64::from(i) * step).collect();
        let density = |x: &f64| {
            let offset = (x - mean) / deviation;
            (-0.5 * offset * offset).exp() / (deviation * std::f64::consts::TAU.sqrt())
        };
        let count = points.len();
        let data: Vec<f32> = points.iter().map(|&x| x as f32).collect();
        let samples = Tensor::<2>::from_data(TensorData::new(data, [count, 1]), &device);
        let (m, d) = (leaf(mean as f32, &device), leaf(deviation as f32, &device));
        let wide = |leaf: &Tensor<1>| leaf.clone().reshape([1, 1]).expand([count, 1]);
        let log_probs = normal_log_probs(samples, wide(&m), wide(&d));
        let taken = Taken {
            stored: log_probs.clone().into_data().iter::<f32>().collect(),
            mask: vec![true; count],
            advantages: points
                .iter()
                .map(|x| x.powi(3) * density(x) * step * count as f64)
                .collect(),
        };
        let gradients = surrogate(log_probs, &taken, 0.2).backward();
        let of = |leaf: &Tensor<1>| -numbers(&leaf.grad(&gradients).unwrap())[0];
        let expected = |mean: f64, deviation: f64| mean.powi(3) + 3.0 * mean * deviation.powi(2);
        let h = 1e-5;
        let by_mean = (expected(mean + h, deviation) - expected(mean - h, deviation)) / (2.0 * h);
        let by_deviation = (expected(mean, deviation + h) - expected(mean, deviation - h)) / (2.0 * h);
        assert!((of(&m) - by_mean).abs() < 1e-3, "{} {by_mean}", of(&m));
        assert!((of(&d) - by_deviation).abs() < 1e-3, "{} {by_deviation}", of(&d));
    }
}
