//! Optimiser of a whole model: a method, and the state of each parameter by name.

use super::file::Saved;
use super::groups::rates;
use super::values::replace;
use super::{Optimizer, OptimizerConfig, Parameter, Rates, ScaledGradient, Slots, StepAt};
use crate::error::TrainError;
use crate::gradients::GradientSet;
use crate::schedule::Factors;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_core::api::expert::ParameterPath;
use std::collections::BTreeMap;
use std::path::Path;

/// Optimiser of a whole model.
#[derive(Debug)]
pub struct ModelOptimizer {
    config: OptimizerConfig,
    method: Box<dyn Optimizer>,
    steps: i32,
    states: BTreeMap<String, Slots>,
    /// Shape of each parameter.
    shapes: BTreeMap<String, Vec<usize>>,
}

impl ModelOptimizer {
    /// A fresh optimiser.
    ///
    /// # Errors
    /// If a value is out of range, or a name is not that of a parameter of the model.
    pub fn new<M: Module>(config: &OptimizerConfig, module: &M) -> Result<Self, TrainError> {
        config.validate()?;
        let shapes = burn_dragon_core::api::expert::named_shapes(module);
        config.check_names(&shapes.keys().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self {
            config: config.clone(),
            method: config.method.build(),
            steps: 0,
            states: BTreeMap::new(),
            shapes,
        })
    }

    /// Updates every parameter that has a gradient, with the factors of the schedule, or its factor on the learning rate alone.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientSet, factors: impl Into<Factors>) -> M {
        let factors = factors.into();
        self.steps += 1;
        self.method.advance(self.steps, factors.learning);
        module.map(&mut Step {
            path: ParameterPath::default(),
            optimizer: self,
            gradients,
            factors,
        })
    }

    /// Learning rate before the schedule's factor.
    pub fn learning_rate(&self) -> f64 {
        self.config.method.learning_rate()
    }

    /// The model with the evaluated weights, if they differ from the trained weights.
    pub fn evaluated<M: Module>(&self, module: M) -> M {
        if !self.method.averages() {
            return module;
        }
        replace(module, |name| self.method.evaluated(self.states.get(name)?))
    }

    /// The model with the trained weights, if they differ from the evaluated weights.
    pub fn trained<M: Module>(&self, module: M) -> M {
        if !self.method.averages() {
            return module;
        }
        replace(module, |name| self.method.trained(self.states.get(name)?))
    }

    /// States and the number of steps, as a file for a checkpoint.
    pub fn snapshot(&self) -> TensorFile {
        let states = self.states.iter().map(|(name, state)| {
            let slots = self.method.slots(self.parameter(name));
            (name, slots, state)
        });
        let method = self.config.method.name();
        let all = self.states.is_empty() || self.states.len() == self.shapes.len();
        Saved::of(method, self.steps, self.method.scalars(), states).into_file(all)
    }

    /// Reads states. Those of another method are ignored, and a note says that the method starts anew.
    ///
    /// # Errors
    /// If the file is damaged, is not that of an optimiser, or is of another model. The optimiser is then unchanged.
    pub fn restore(&mut self, path: &Path, device: &Device) -> Result<Option<String>, TrainError> {
        let mut saved = Saved::read(path)?;
        let method = self.config.method.name();
        if saved.method != method {
            return Ok(Some(format!(
                "the optimiser is {method} now, not {}: it starts without a state of earlier steps",
                saved.method
            )));
        }
        let refuse = |reason: String| TrainError::from(CheckpointError::corrupt(path, reason));
        let mut states = BTreeMap::new();
        for (name, shape) in &self.shapes {
            let slots = self.method.slots(Parameter { name, shape });
            let state = saved.take(name, shape.iter().product(), slots, device);
            if let Some(state) = state.map_err(refuse)? {
                states.insert(name.clone(), state);
            }
        }
        if let Some(name) = saved.left() {
            let reason = format!("`{name}` belongs to no parameter of the model for which {method} keeps it");
            return Err(refuse(reason));
        }
        let recalled = self.method.recall(&saved.scalars);
        recalled.ok_or_else(|| refuse(format!("its scalars are not those of {method}")))?;
        (self.steps, self.states) = (saved.steps, states);
        Ok(None)
    }

    fn parameter<'a>(&'a self, name: &'a str) -> Parameter<'a> {
        let shape = self.shapes.get(name).map_or(&[][..], Vec::as_slice);
        Parameter { name, shape }
    }

    /// New value of one parameter, flattened.
    fn update(
        &mut self,
        name: &str,
        value: Tensor<1>,
        gradient: ScaledGradient,
        factors: Factors,
    ) -> Tensor<1> {
        let state = self.states.remove(name);
        let parameter = self.parameter(name);
        let state = state.unwrap_or_else(|| self.method.initial(parameter, &value));
        let usual = self.method.rates(parameter);
        let usual = Rates {
            learning: usual.learning * factors.learning,
            ..usual
        };
        let of_group = rates(&self.config.groups, parameter, usual);
        let at = StepAt {
            count: self.steps,
            rates: Rates {
                decay: of_group.decay * factors.decay,
                ..of_group
            },
        };
        let (value, state) = self.method.step(parameter, value, gradient, state, at);
        self.states.insert(name.to_string(), state);
        value
    }
}

struct Step<'a> {
    path: ParameterPath,
    optimizer: &'a mut ModelOptimizer,
    gradients: GradientSet,
    factors: Factors,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const R: usize>(&mut self, param: Param<Tensor<R>>) -> Param<Tensor<R>> {
        let name = self.path.name();
        let Some(gradient) = self.gradients.take_unscaled(&name) else {
            return param;
        };
        param.map(|tensor| {
            let shape = tensor.shape();
            let flat: Tensor<1> = tensor.inner().reshape([shape.num_elements()]);
            let updated = self.optimizer.update(&name, flat, gradient, self.factors);
            Tensor::from_inner(updated.reshape(shape)).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use burn_dragon_core::api::{Dragon, DragonConfig};

    /// A file after an edit, and whether it is taken by the optimiser of a small model.
    fn restored(edit: impl FnOnce(&mut TensorFile)) -> Result<Option<String>, TrainError> {
        let config = DragonConfig {
            n_neurons: 8,
            d_model: 4,
            n_heads: 1,
            vocab_size: 4,
            ..DragonConfig::tiny()
        };
        let device = Device::flex();
        let dragon = Dragon::new(&config, 1, &device).unwrap();
        let mut optimizer = ModelOptimizer::new(&OptimizerConfig::default(), &dragon).unwrap();
        let moment = || TensorData::new(vec![0.5f32; 32], [32]);
        let mut file = TensorFile::default();
        file.metadata
            .insert("format".into(), "burn_dragon.adamw/1".into());
        file.metadata.insert("steps".into(), "3".into());
        file.tensors.insert("encoder.first".into(), moment());
        file.tensors.insert("encoder.second".into(), moment());
        edit(&mut file);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.bpk");
        file.write(&path).unwrap();
        let note = optimizer.restore(&path, &device)?;
        let (steps, states) = if note.is_none() { (3, 1) } else { (0, 0) };
        assert_eq!((optimizer.steps, optimizer.states.len()), (steps, states));
        Ok(note)
    }

    #[test]
    fn moments_of_another_model_are_refused_when_they_are_read() {
        assert_eq!(restored(|_| ()).unwrap(), None);
        let text = |key: &'static str, text: &'static str| {
            move |file: &mut TensorFile| drop(file.metadata.insert(key.into(), text.into()))
        };
        let tensor = |name: &'static str, data: TensorData| {
            move |file: &mut TensorFile| drop(file.tensors.insert(name.into(), data))
        };
        let floats = |value: f32, count: usize| TensorData::new(vec![value; count], [count]);
        for (result, said) in [
            (restored(text("format", "burn_dragon.model/1")), "its format"),
            (restored(text("format", "burn_dragon.optimizer/1")), "its method"),
            (restored(text("steps", "-1")), "how many steps"),
            (restored(text("steps", "99999999999")), "how many steps"),
            (restored(text("scalar.sum", "many")), "no number"),
            (restored(text("scalar.sum", "1.0")), "not those of adamw"),
            (
                restored(tensor("encoder.first", floats(0.5, 31))),
                "2 lists of 32",
            ),
            (
                restored(tensor("encoder.first", floats(f32::NAN, 32))),
                "2 lists of 32",
            ),
            (
                restored(tensor("encoder.first", TensorData::new(vec![1i32; 32], [32]))),
                "2 lists of 32",
            ),
            (restored(tensor("embed.first", floats(0.5, 16))), "`embed`"),
            (
                restored(tensor("gate.first", floats(0.5, 16))),
                "belongs to no parameter",
            ),
        ] {
            let error = result.unwrap_err();
            let TrainError::Checkpoint(refusal) = &error else {
                panic!("{error}")
            };
            assert!(
                refusal.is_bad_input() && error.to_string().contains(said),
                "{error}"
            );
        }
    }

    #[test]
    fn what_another_method_remembered_is_left_and_said() {
        let note = restored(|file| {
            file.metadata
                .insert("format".into(), "burn_dragon.optimizer/1".into());
            file.metadata.insert("method".into(), "lion".into());
        });
        let note = note.unwrap().unwrap();
        assert!(note.contains("adamw now, not lion"), "{note}");
    }
}
