//! Gradients by parameter name: summed over micro-steps, averaged, clipped by their global norm.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use std::collections::BTreeMap;

/// The gradient of every parameter, flattened, under the parameter's dotted name.
#[derive(Clone, Debug, Default)]
pub struct GradientSet {
    by_name: BTreeMap<String, Tensor<1>>,
    losses: u32,
}

impl GradientSet {
    /// Adds the gradients of one loss.
    pub fn add<M: Module>(&mut self, mut gradients: Gradients, module: &M) {
        module.visit(&mut Collect {
            path: Vec::new(),
            gradients: &mut gradients,
            sums: &mut self.by_name,
        });
        self.losses += 1;
    }

    /// Turns the sum over losses into their mean.
    pub fn mean(self) -> Self {
        if self.losses <= 1 {
            return self;
        }
        let factor = 1.0 / f64::from(self.losses);
        Self {
            losses: 1,
            ..self.scale(factor)
        }
    }

    /// The Euclidean norm of all gradients together.
    pub fn norm(&self) -> f64 {
        let squares: Vec<Tensor<1>> = self
            .by_name
            .values()
            .map(|gradient| gradient.clone().square().sum())
            .collect();
        if squares.is_empty() {
            return 0.0;
        }
        Tensor::cat(squares, 0).sum().sqrt().into_scalar::<f64>()
    }

    /// Scales all gradients together so that their norm, given, does not exceed `limit`.
    pub fn clip(self, norm: f64, limit: f64) -> Self {
        if norm <= limit {
            self
        } else {
            self.scale(limit / norm)
        }
    }

    /// Takes the gradient of a parameter.
    pub fn take(&mut self, name: &str) -> Option<Tensor<1>> {
        self.by_name.remove(name)
    }

    /// The gradient of a parameter, flattened.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.by_name.get(name)
    }

    fn scale(self, factor: f64) -> Self {
        let by_name = self
            .by_name
            .into_iter()
            .map(|(name, gradient)| (name, gradient * factor))
            .collect();
        Self {
            by_name,
            losses: self.losses,
        }
    }
}

struct Collect<'a> {
    path: Vec<String>,
    gradients: &'a mut Gradients,
    sums: &'a mut BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
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
        let name = self.path.join(".");
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
