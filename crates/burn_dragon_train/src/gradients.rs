//! Gradients by parameter name: summed over micro-batches, averaged, clipped by their global norm.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use burn_dragon_core::api::expert::ParameterPath;
use burn_dragon_kernel::api::sum_of_squares;
use std::collections::BTreeMap;

/// Gradients of all parameters, flattened, by dotted parameter name.
#[derive(Clone, Debug)]
pub struct GradientSet {
    sums: BTreeMap<String, Tensor<1>>,
    losses: u32,
    /// Factor that is not yet applied to the sums. The optimiser applies it in its own pass over them.
    scale: f64,
}

impl Default for GradientSet {
    /// No gradients yet.
    fn default() -> Self {
        Self {
            sums: BTreeMap::new(),
            losses: 0,
            scale: 1.0,
        }
    }
}

impl GradientSet {
    /// Adds the gradients of one loss.
    pub fn add<M: Module>(&mut self, mut gradients: Gradients, module: &M) {
        module.visit(&mut Collect {
            path: ParameterPath::default(),
            gradients: &mut gradients,
            sums: &mut self.sums,
        });
        self.losses += 1;
    }

    /// Turns the sum over losses into their mean.
    pub fn mean(self) -> Self {
        let losses = self.losses.max(1);
        Self {
            losses: 1,
            scale: self.scale / f64::from(losses),
            ..self
        }
    }

    /// The Euclidean norm of all gradients together.
    pub fn norm(&self) -> f64 {
        let squares = self.sums.values().map(|sum| sum_of_squares(sum.clone()));
        self.scale * squares.sum::<f64>().sqrt()
    }

    /// Scales all gradients together so that their norm, given, does not exceed `limit`.
    pub fn clip(self, norm: f64, limit: f64) -> Self {
        let scale = if norm <= limit {
            self.scale
        } else {
            self.scale * limit / norm
        };
        Self { scale, ..self }
    }

    /// Takes the gradient of a parameter.
    pub fn take(&mut self, name: &str) -> Option<Tensor<1>> {
        self.take_unscaled(name).map(ScaledGradient::value)
    }

    /// Takes the gradient of a parameter as a sum over losses, with the factor that is not yet applied.
    pub fn take_unscaled(&mut self, name: &str) -> Option<ScaledGradient> {
        let scale = self.scale;
        self.sums.remove(name).map(|sum| ScaledGradient { sum, scale })
    }

    /// Gradient of a parameter, flattened.
    pub fn get(&self, name: &str) -> Option<Tensor<1>> {
        self.sums.get(name).map(|sum| sum.clone() * self.scale)
    }
}

/// Gradient of a parameter, `[P]`, with a factor that is not yet applied: for the mean, and for clipping.
#[derive(Clone, Debug)]
pub struct ScaledGradient {
    /// Sum before the factor.
    pub sum: Tensor<1>,
    /// Factor.
    pub scale: f64,
}

impl ScaledGradient {
    /// Gradient with the factor applied.
    pub fn value(self) -> Tensor<1> {
        self.sum * self.scale
    }
}

struct Collect<'a> {
    path: ParameterPath,
    gradients: &'a mut Gradients,
    sums: &'a mut BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
        let value = param.val();
        if !value.is_require_grad() {
            return;
        }
        let Some(gradient) = value.grad_remove(self.gradients) else {
            return;
        };
        let size = gradient.shape().num_elements();
        let flat: Tensor<1> = gradient.reshape([size]);
        let name = self.path.name();
        let sum = match self.sums.remove(&name) {
            Some(sum) => sum + flat,
            None => flat,
        };
        self.sums.insert(name, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Two {
        a: Param<Tensor<1>>,
        b: Param<Tensor<2>>,
    }

    fn two() -> Two {
        let device = Device::flex().autodiff();
        Two {
            a: Param::from_tensor(Tensor::from_data([1.0, 2.0], &device)),
            b: Param::from_tensor(Tensor::from_data([[3.0], [4.0]], &device)),
        }
    }

    /// Gradients 3 for each of a, 4 for each of b.
    fn loss(two: &Two) -> Tensor<1> {
        two.a.val().sum() * 3.0 + two.b.val().sum() * 4.0
    }

    #[test]
    fn the_norm_is_over_all_parameters_together_and_clipping_keeps_the_direction() {
        let two = two();
        let mut set = GradientSet::default();
        set.add(loss(&two).backward(), &two);
        let norm = set.norm();
        assert!((norm - 50f64.sqrt()).abs() < 1e-5);
        let clipped = set.clip(norm, 1.0);
        assert!((clipped.norm() - 1.0).abs() < 1e-5);
        let values = clipped.get("a").unwrap().to_data().try_to_vec::<f32>().unwrap();
        assert!((f64::from(values[0]) - 3.0 / norm).abs() < 1e-6);
    }

    #[test]
    fn clipping_is_by_the_norm_of_all_not_of_each() {
        let device = Device::flex().autodiff();
        let two = Two {
            a: Param::from_tensor(Tensor::from_data([0.0, 0.0], &device)),
            b: Param::from_tensor(Tensor::from_data([[0.0], [0.0]], &device)),
        };
        let (a, b) = (two.a.val(), two.b.val());
        let of_a = (a * Tensor::from_data([3.0, 4.0], &device)).sum();
        let of_b = (b * Tensor::from_data([[12.0], [0.0]], &device)).sum();
        let mut set = GradientSet::default();
        set.add((of_a + of_b).backward(), &two);
        let norm = set.norm();
        let mut clipped = set.clip(norm, 1.0);
        let mut values = |name| clipped.take(name).unwrap().to_data().try_to_vec::<f32>().unwrap();
        let given = [values("a"), values("b")].concat();
        for (given, expected) in given.iter().zip([0.230_769, 0.307_692, 0.923_077, 0.0]) {
            assert!((given - expected).abs() < 1e-6, "{given}, expected {expected}");
        }
    }

    #[test]
    fn accumulation_is_a_mean_not_a_sum() {
        let two = two();
        let mut set = GradientSet::default();
        set.add(loss(&two).backward(), &two);
        set.add((loss(&two) * 3.0).backward(), &two);
        let mean = set.mean();
        assert_eq!(
            mean.get("b").unwrap().to_data().try_to_vec::<f32>().unwrap(),
            [8.0, 8.0]
        );
    }
}
