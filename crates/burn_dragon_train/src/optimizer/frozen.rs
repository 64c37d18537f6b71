//! Parameters that are not trained: `training.freeze`.

use super::names::{check, means};
use crate::error::TrainError;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::{ParameterPath, named_shapes};
use std::collections::BTreeSet;

/// Full key of the list.
const KEY: &str = "training.freeze";

/// Parameters of a model that are not trained.
///
/// They have no gradient. So they are no part of the gradient norm, have no state in the optimiser and do not decay: their
/// bits stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frozen {
    names: BTreeSet<String>,
    trained: u64,
    all: u64,
}

impl Frozen {
    /// Parameters of `module` that are meant by `entries`: names, or patterns in which `*` stands for any text.
    ///
    /// # Errors
    /// If an entry means no parameter, or no parameter is left to be trained.
    pub fn of<M: Module>(entries: &[String], module: &M) -> Result<Self, TrainError> {
        let known = named_shapes(module);
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        check(KEY, entries, &names)?;
        let mut frozen = Self::default();
        for (name, shape) in &known {
            let size: u64 = shape.iter().map(|&axis| axis as u64).product();
            frozen.all += size;
            match entries.iter().any(|entry| means(entry, name)) {
                true => drop(frozen.names.insert(name.clone())),
                false => frozen.trained += size,
            }
        }
        if !known.is_empty() && frozen.trained == 0 {
            return Err(TrainError::Setting {
                key: KEY.into(),
                given: format!("{entries:?}"),
                expected: "a list that leaves a parameter to be trained; all of them are frozen",
            });
        }
        Ok(frozen)
    }

    /// Whether the parameter of this name is frozen.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Names of the frozen parameters, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Number of values that are trained, and number of all values.
    pub fn amounts(&self) -> (u64, u64) {
        (self.trained, self.all)
    }

    /// The module with no gradients for its frozen parameters. Values stay as they are.
    pub fn apply<M: Module>(&self, module: M) -> M {
        if self.names.is_empty() {
            return module;
        }
        module.map(&mut Freeze {
            path: ParameterPath::default(),
            frozen: self,
        })
    }
}

struct Freeze<'a> {
    path: ParameterPath,
    frozen: &'a Frozen,
}

impl ModuleMapper for Freeze<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const R: usize>(&mut self, param: Param<Tensor<R>>) -> Param<Tensor<R>> {
        match self.frozen.has(&self.path.name()) {
            true => param.set_require_grad(false),
            false => param,
        }
    }
}
