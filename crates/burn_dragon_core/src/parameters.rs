//! Parameters of a module by name, for files, optimisers and tests.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use std::collections::BTreeMap;

/// Path of a parameter in a module; its name is dotted, such as `head.weight`.
///
/// A field called `trunk` adds nothing to the name. So the tensors of a trunk have the same names in every family, and
/// the names in files from before there was a trunk stay valid.
#[derive(Clone, Debug, Default)]
pub struct ParameterPath(Vec<String>);

impl ParameterPath {
    /// Enters a field.
    pub fn enter(&mut self, field: &str) {
        self.0.push(field.to_string());
    }

    /// Leaves the field entered last.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// Dotted name of the parameter at this path.
    pub fn name(&self) -> String {
        let fields = self.0.iter().map(String::as_str);
        let named: Vec<&str> = fields.filter(|&field| field != "trunk").collect();
        named.join(".")
    }
}

/// Calls `visit` with the dotted name, shape and value of every float parameter, in the module's order.
pub fn named<M: Module>(module: &M, visit: impl FnMut(&str, &[usize], TensorData)) {
    struct Named<F> {
        path: ParameterPath,
        visit: F,
    }
    impl<F: FnMut(&str, &[usize], TensorData)> ModuleVisitor for Named<F> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
            let value = param.val();
            (self.visit)(&self.path.name(), &value.dims(), value.into_data());
        }
    }
    module.visit(&mut Named {
        path: ParameterPath::default(),
        visit,
    });
}

/// Shapes of all float parameters, by dotted name. No value is read.
pub fn named_shapes<M: Module>(module: &M) -> BTreeMap<String, Vec<usize>> {
    struct Shapes {
        path: ParameterPath,
        shapes: BTreeMap<String, Vec<usize>>,
    }
    impl ModuleVisitor for Shapes {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
            self.shapes.insert(self.path.name(), param.val().dims().to_vec());
        }
    }
    let mut shapes = Shapes {
        path: ParameterPath::default(),
        shapes: BTreeMap::new(),
    };
    module.visit(&mut shapes);
    shapes.shapes
}

/// Values of all float parameters, by dotted name.
pub fn snapshot<M: Module>(module: &M) -> BTreeMap<String, TensorData> {
    let mut values = BTreeMap::new();
    named(module, |name, _, value| {
        values.insert(name.to_string(), value);
    });
    values
}

/// Replaces every float parameter by `value(name, shape)`; a parameter stays if that is `None`.
///
/// # Panics
/// If a value has another shape than its parameter; check shapes before the call.
pub fn load<M: Module>(module: M, value: impl FnMut(&str, &[usize]) -> Option<TensorData>) -> M {
    struct Load<F> {
        path: ParameterPath,
        value: F,
    }
    impl<F: FnMut(&str, &[usize]) -> Option<TensorData>> ModuleMapper for Load<F> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn map_float<const R: usize>(&mut self, param: Param<Tensor<R>>) -> Param<Tensor<R>> {
            let Some(data) = (self.value)(&self.path.name(), &param.val().dims()) else {
                return param;
            };
            let tracked = param.val().is_require_grad();
            param.map(|old| {
                let dtype: DType = data.dtype();
                Tensor::from_data(data, (&old.device(), dtype)).set_require_grad(tracked)
            })
        }
    }
    module.map(&mut Load {
        path: ParameterPath::default(),
        value,
    })
}
