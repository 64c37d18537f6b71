//! AdamW over named parameters; the equation is the kernel's ([`burn_dragon_kernel::api::adamw`]).
//!
//! Ours rather than Burn's because the moments are kept and saved under parameter names, which survive a change of
//! the program, and because learning rate and decay differ by group.

use crate::error::TrainError;
use crate::gradients::GradientSet;
use crate::settings::check;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burn_dragon_checkpoint::CheckpointError;
use burn_dragon_checkpoint::tensors::TensorFile;
use burn_dragon_core::Range;
use burn_dragon_core::api::expert::ParameterPath;
use burn_dragon_kernel::api::{AdamWStep, Moments, adamw};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// `[optimizer]`: AdamW.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Step size before the schedule's factor.
    pub learning_rate: f64,
    /// Memory of the first moment.
    pub beta_1: f64,
    /// Memory of the second moment.
    pub beta_2: f64,
    /// What is added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay of matrices; vectors, for which zero means nothing special, have none unless a group
    /// says so.
    pub weight_decay: f64,
    /// Parameters that are treated otherwise; the last group that names a parameter counts.
    pub groups: Vec<ParameterGroup>,
}

impl OptimizerConfig {
    /// Refuses numbers that vanish in f32, or are none there.
    ///
    /// # Errors
    /// Naming the key, the value, and what it may be.
    pub fn validate(&self) -> Result<(), TrainError> {
        let within = |key: String, value: f64, range: Range| check(format!("optimizer.{key}"), value, range);
        within("learning_rate".into(), self.learning_rate, Range::POSITIVE)?;
        within("beta_1".into(), self.beta_1, Range::BELOW_ONE)?;
        within("beta_2".into(), self.beta_2, Range::BELOW_ONE)?;
        // Below, a gradient whose square vanishes would be divided by less than itself.
        within("eps".into(), self.eps, Range::SQUARED)?;
        within("weight_decay".into(), self.weight_decay, Range::FROM_ZERO)?;
        for (index, group) in self.groups.iter().enumerate() {
            let key = |name| format!("groups[{index}].{name}");
            let factor = group.learning_rate_factor;
            within(key("learning_rate_factor"), factor, Range::FROM_ZERO)?;
            if factor != 0.0 {
                let product = format!("learning_rate * groups[{index}].learning_rate_factor");
                within(product, self.learning_rate * factor, Range::POSITIVE)?;
            }
            if let Some(decay) = group.weight_decay {
                within(key("weight_decay"), decay, Range::FROM_ZERO)?;
            }
        }
        Ok(())
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            eps: 1e-8,
            weight_decay: 0.1,
            groups: Vec::new(),
        }
    }
}

/// `[[optimizer.groups]]`: some parameters by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    /// Names: `embed`, `decoder_x`, `decoder_y`, `encoder`, `lm_head`, and `decay` where it is learnt.
    pub parameters: Vec<String>,
    /// Factor on the learning rate; 0 freezes, decay included.
    #[serde(default = "one")]
    pub learning_rate_factor: f64,
    /// Weight decay of the group, where it differs.
    #[serde(default)]
    pub weight_decay: Option<f64>,
}

fn one() -> f64 {
    1.0
}

/// The value of the metadata key `format`.
pub(crate) const FORMAT: &str = "burn_dragon.adamw/1";

/// AdamW and its moments.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: OptimizerConfig,
    steps: i32,
    moments: BTreeMap<String, Moments>,
    /// Numbers in each parameter.
    sizes: BTreeMap<String, usize>,
}

impl AdamW {
    /// A fresh optimiser.
    ///
    /// # Errors
    /// If a value is out of range, or a group names a parameter that the model does not have.
    pub fn new<M: Module>(config: &OptimizerConfig, module: &M) -> Result<Self, TrainError> {
        config.validate()?;
        let names = burn_dragon_core::parameters::snapshot(module);
        for name in config.groups.iter().flat_map(|group| &group.parameters) {
            if !names.contains_key(name) {
                let known: Vec<&str> = names.keys().map(String::as_str).collect();
                return Err(TrainError::UnknownParameter {
                    name: name.clone(),
                    known: known.join(", "),
                });
            }
        }
        Ok(Self {
            config: config.clone(),
            steps: 0,
            moments: BTreeMap::new(),
            sizes: names
                .iter()
                .map(|(name, data)| (name.clone(), data.num_elements()))
                .collect(),
        })
    }

    /// One update of every parameter that has a gradient; `factor` is the schedule's.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientSet, factor: f64) -> M {
        self.steps += 1;
        let learning_rate = self.config.learning_rate * factor;
        module.map(&mut Update {
            path: ParameterPath::default(),
            optimizer: self,
            gradients,
            learning_rate,
        })
    }

    /// The moments and the count of steps, as they stand in a checkpoint.
    pub fn snapshot(&self) -> TensorFile {
        let mut file = TensorFile::default();
        file.metadata.insert("format".into(), FORMAT.into());
        file.metadata.insert("steps".into(), self.steps.to_string());
        for (name, moments) in &self.moments {
            file.tensors
                .insert(format!("{name}.first"), moments.first.to_data());
            file.tensors
                .insert(format!("{name}.second"), moments.second.to_data());
        }
        file
    }

    /// Reads the moments back.
    ///
    /// # Errors
    /// If the file is damaged, or is no optimiser's, or is that of another model; nothing has changed then.
    pub fn restore(&mut self, path: &Path, device: &Device) -> Result<(), TrainError> {
        let TensorFile {
            mut tensors,
            metadata,
        } = TensorFile::read(path)?;
        let refuse = |reason: String| CheckpointError::corrupt(path, reason);
        let format = metadata.get("format").map(String::as_str);
        if format != Some(FORMAT) {
            return Err(refuse(format!("its format is {format:?}, expected `{FORMAT}`")).into());
        }
        let steps = metadata.get("steps").and_then(|steps| steps.parse().ok());
        let steps = steps.filter(|steps: &i32| *steps >= 0);
        let steps = steps.ok_or_else(|| refuse("it does not say how many steps were taken".into()))?;
        let mut moments = BTreeMap::new();
        for (name, &size) in &self.sizes {
            let mut take = |which: &str| {
                let data = tensors.remove(&format!("{name}.{which}"))?;
                let sound = data.shape().to_vec() == [size]
                    && data
                        .as_slice::<f32>()
                        .is_ok_and(|values| values.iter().all(|value| value.is_finite()));
                Some(sound.then(|| Tensor::from_data(data, device)))
            };
            match (take("first"), take("second")) {
                (None, None) => {}
                (Some(Some(first)), Some(Some(second))) => {
                    moments.insert(name.clone(), Moments { first, second });
                }
                _ => {
                    let reason = format!("the moments of `{name}` are not two lists of {size} finite f32");
                    return Err(refuse(reason).into());
                }
            }
        }
        if let Some(name) = tensors.keys().next() {
            return Err(refuse(format!("`{name}` belongs to no parameter of the model")).into());
        }
        (self.steps, self.moments) = (steps, moments);
        Ok(())
    }

    fn group(&self, name: &str) -> Option<&ParameterGroup> {
        self.config
            .groups
            .iter()
            .rev()
            .find(|group| group.parameters.iter().any(|parameter| parameter == name))
    }

    /// The rates of a parameter of so many axes.
    fn rates(&self, name: &str, axes: usize, learning_rate: f64) -> Rates {
        let usual = if axes > 1 { self.config.weight_decay } else { 0.0 };
        let group = self.group(name);
        Rates {
            learning: learning_rate * group.map_or(1.0, |group| group.learning_rate_factor),
            decay: group.and_then(|group| group.weight_decay).unwrap_or(usual),
        }
    }

    /// The new value of one parameter, flattened, from its gradient and a factor on it.
    fn update(
        &mut self,
        name: &str,
        value: Tensor<1>,
        (gradient, scale): (Tensor<1>, f64),
        Rates { learning, decay }: Rates,
    ) -> Tensor<1> {
        let step = AdamWStep {
            count: self.steps,
            rate: learning,
            beta_1: self.config.beta_1,
            beta_2: self.config.beta_2,
            eps: self.config.eps,
            decay,
            scale,
        };
        let moments = self.moments.remove(name);
        let moments = moments.unwrap_or_else(|| Moments::zeros_like(&value));
        let (value, moments) = adamw(value, gradient, moments, &step);
        self.moments.insert(name.to_string(), moments);
        value
    }
}

/// How far one parameter moves, and how fast it forgets.
#[derive(Clone, Copy)]
struct Rates {
    learning: f64,
    decay: f64,
}

struct Update<'a> {
    path: ParameterPath,
    optimizer: &'a mut AdamW,
    gradients: GradientSet,
    learning_rate: f64,
}

impl ModuleMapper for Update<'_> {
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
        let rates = self.optimizer.rates(&name, R, self.learning_rate);
        param.map(|tensor| {
            let shape = tensor.shape();
            let flat: Tensor<1> = tensor.inner().reshape([shape.num_elements()]);
            let updated = self.optimizer.update(&name, flat, gradient, rates);
            Tensor::from_inner(updated.reshape(shape)).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use burn_dragon_core::{Dragon, DragonConfig};

    /// A file after an edit, and whether it is taken by the optimiser of a small model.
    fn restored(edit: impl FnOnce(&mut TensorFile)) -> Result<(), TrainError> {
        let config = DragonConfig {
            n_neurons: 8,
            d_model: 4,
            n_heads: 1,
            vocab_size: 4,
            ..DragonConfig::tiny()
        };
        let device = Device::flex();
        let dragon = Dragon::new(&config, 1, &device).unwrap();
        let mut optimizer = AdamW::new(&OptimizerConfig::default(), &dragon).unwrap();
        let moment = || TensorData::new(vec![0.5f32; 32], [32]);
        let mut file = TensorFile::default();
        file.metadata.insert("format".into(), FORMAT.into());
        file.metadata.insert("steps".into(), "3".into());
        file.tensors.insert("encoder.first".into(), moment());
        file.tensors.insert("encoder.second".into(), moment());
        edit(&mut file);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.bpk");
        file.write(&path).unwrap();
        optimizer.restore(&path, &device)
    }

    #[test]
    fn moments_of_another_model_are_refused_when_they_are_read() {
        restored(|_| ()).unwrap();
        let text = |key: &'static str, text: &'static str| {
            move |file: &mut TensorFile| drop(file.metadata.insert(key.into(), text.into()))
        };
        let tensor = |name: &'static str, data: TensorData| {
            move |file: &mut TensorFile| drop(file.tensors.insert(name.into(), data))
        };
        let floats = |value: f32, count: usize| TensorData::new(vec![value; count], [count]);
        for (result, said) in [
            (restored(text("format", "burn_dragon.model/1")), "its format"),
            (restored(text("steps", "-1")), "how many steps"),
            (restored(text("steps", "99999999999")), "how many steps"),
            (
                restored(tensor("encoder.first", floats(0.5, 31))),
                "two lists of 32",
            ),
            (
                restored(tensor("encoder.first", floats(f32::NAN, 32))),
                "two lists of 32",
            ),
            (
                restored(tensor("encoder.first", TensorData::new(vec![1i32; 32], [32]))),
                "two lists of 32",
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
}
