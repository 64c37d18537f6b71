//! Builder of parameters from weights by name.

use crate::shapes::TensorShape;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

/// Builder of a module's parameters, in the shapes that its configuration lists.
pub struct ParameterBuilder<'a, F> {
    tensors: Vec<TensorShape>,
    device: &'a Device,
    weight: F,
}

impl<'a, F: FnMut(&str, &[usize]) -> TensorData> ParameterBuilder<'a, F> {
    /// A builder of the listed tensors on a device. `weight` is called with the name and shape of each.
    pub fn new(tensors: Vec<TensorShape>, device: &'a Device, weight: F) -> Self {
        Self {
            tensors,
            device,
            weight,
        }
    }

    /// Parameter called `name`.
    ///
    /// # Panics
    /// If no such tensor is listed, or its weight has another shape.
    pub fn parameter<const R: usize>(&mut self, name: &str) -> Param<Tensor<R>> {
        self.optional(name)
            .unwrap_or_else(|| panic!("ParameterBuilder: the configuration lists no tensor `{name}`"))
    }

    /// Parameter called `name`; `None` if no such tensor is listed.
    ///
    /// # Panics
    /// If its weight has another shape.
    pub fn optional<const R: usize>(&mut self, name: &str) -> Option<Param<Tensor<R>>> {
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name)?;
        let data = (self.weight)(name, &tensor.shape);
        assert_eq!(
            **data.shape(),
            *tensor.shape,
            "ParameterBuilder: the weight `{name}` does not have the listed shape"
        );
        Some(Param::from_data(data, self.device))
    }
}
