//! Values of a module's parameters by name, flattened and without autodiff.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::ParameterPath;

/// Calls `visit` with the dotted name and the value of every float parameter.
pub(super) fn visit<M: Module>(module: &M, visit: impl FnMut(&str, Tensor<1>)) {
    module.visit(&mut Visit {
        path: ParameterPath::default(),
        visit,
    });
}

/// The module with new values where `value` returns one. Parameters tracked by autodiff remain so.
pub(super) fn replace<M: Module>(module: M, value: impl FnMut(&str) -> Option<Tensor<1>>) -> M {
    module.map(&mut Replace {
        path: ParameterPath::default(),
        value,
    })
}

struct Visit<F> {
    path: ParameterPath,
    visit: F,
}

impl<F: FnMut(&str, Tensor<1>)> ModuleVisitor for Visit<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
        let value = param.val();
        let value = if value.is_autodiff() { value.inner() } else { value };
        let size = value.shape().num_elements();
        (self.visit)(&self.path.name(), value.reshape([size]));
    }
}

struct Replace<F> {
    path: ParameterPath,
    value: F,
}

impl<F: FnMut(&str) -> Option<Tensor<1>>> ModuleMapper for Replace<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const R: usize>(&mut self, param: Param<Tensor<R>>) -> Param<Tensor<R>> {
        let Some(value) = (self.value)(&self.path.name()) else {
            return param;
        };
        param.map(|old| {
            let value: Tensor<R> = value.reshape(old.shape());
            match old.is_autodiff() {
                true => Tensor::from_inner(value).set_require_grad(old.is_require_grad()),
                false => value,
            }
        })
    }
}
