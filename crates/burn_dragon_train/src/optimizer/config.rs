//! Table `[optimizer]`: the method, its keys, and groups.

use super::{AdamW, Lion, Muon, Optimizer, Parameter, ParameterGroup, ScheduleFreeAdamW, Sgd, schedule_free};
use crate::error::TrainError;
use schemars::JsonSchema;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::{self, Formatter};
use toml::{Table, Value};

/// Table `[optimizer]`: `method` (AdamW by default), the keys of the method, and groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct OptimizerConfig {
    /// Method with its keys.
    #[serde(flatten)]
    pub method: Method,
    /// Groups of parameters with other rates. If several groups name a parameter, the last one counts.
    #[schemars(default)]
    pub groups: Vec<ParameterGroup>,
}

/// Method of optimisation. In TOML: `method = "adamw"` and the keys of the variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Method {
    /// AdamW: moments of the gradient and of its square, decoupled decay.
    #[serde(rename = "adamw")]
    AdamW(AdamW),
    /// Muon: orthogonalised momentum for matrices.
    Muon(Muon),
    /// Schedule-free AdamW: an average of the weights replaces a schedule.
    #[serde(rename = "schedule_free_adamw")]
    ScheduleFreeAdamW(ScheduleFreeAdamW),
    /// Lion: the sign of an interpolated momentum.
    Lion(Lion),
    /// Stochastic gradient descent, with or without momentum.
    Sgd(Sgd),
}

impl Default for Method {
    fn default() -> Self {
        Self::AdamW(AdamW::default())
    }
}

impl Method {
    /// Names of all methods, in the order of the variants.
    pub const NAMES: [&'static str; 5] = ["adamw", "muon", "schedule_free_adamw", "lion", "sgd"];

    /// Name of the method in a configuration.
    pub fn name(&self) -> &'static str {
        let place = match self {
            Self::AdamW(_) => 0,
            Self::Muon(_) => 1,
            Self::ScheduleFreeAdamW(_) => 2,
            Self::Lion(_) => 3,
            Self::Sgd(_) => 4,
        };
        Self::NAMES[place]
    }

    /// Optimiser of this method, before its first step.
    pub fn build(&self) -> Box<dyn Optimizer> {
        match self.clone() {
            Self::AdamW(method) => Box::new(method),
            Self::Muon(method) => Box::new(method),
            Self::ScheduleFreeAdamW(method) => Box::new(schedule_free::Running::new(method)),
            Self::Lion(method) => Box::new(method),
            Self::Sgd(method) => Box::new(method),
        }
    }

    fn validate(&self) -> Result<(), TrainError> {
        match self {
            Self::AdamW(method) => method.validate(""),
            Self::Muon(method) => method.validate(),
            Self::ScheduleFreeAdamW(method) => method.validate(),
            Self::Lion(method) => method.validate(),
            Self::Sgd(method) => method.validate(),
        }
    }

    /// Learning rate before the schedule's factor; for Muon, that of matrices.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::AdamW(method) => method.learning_rate,
            Self::Muon(method) => method.learning_rate,
            Self::ScheduleFreeAdamW(method) => method.learning_rate,
            Self::Lion(method) => method.learning_rate,
            Self::Sgd(method) => method.learning_rate,
        }
    }
}

impl From<Method> for OptimizerConfig {
    fn from(method: Method) -> Self {
        Self {
            method,
            groups: Vec::new(),
        }
    }
}

impl OptimizerConfig {
    /// Refuses numbers that vanish or overflow in f32.
    ///
    /// # Errors
    /// If a value is out of range; with the key, the value, and the allowed range.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.method.validate()?;
        let learning_rate = self.method.learning_rate();
        let mut groups = self.groups.iter().enumerate();
        groups.try_for_each(|(index, group)| group.validate(index, learning_rate))
    }

    /// Refuses names that no parameter has.
    pub(super) fn check_names(&self, names: &[&str]) -> Result<(), TrainError> {
        let of_groups = self.groups.iter().flat_map(|group| &group.parameters);
        let named = of_groups.map(|name| ("groups", name));
        let of_method = match &self.method {
            Method::Muon(muon) => muon.others.as_deref().unwrap_or_default(),
            _ => &[],
        };
        for (key, name) in named.chain(of_method.iter().map(|name| ("others", name))) {
            if !names.contains(&name.as_str()) {
                return Err(TrainError::UnknownParameter {
                    key,
                    name: name.clone(),
                    known: names.join(", "),
                });
            }
        }
        Ok(())
    }

    /// Names of the tensors that a checkpoint may store for a parameter.
    pub fn slots(&self, name: &str, shape: &[usize]) -> &'static [&'static str] {
        self.method.build().slots(Parameter { name, shape })
    }
}

impl<'de> Deserialize<'de> for OptimizerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

/// Deserialiser of the table. Groups are read directly, so that an error has their path. The method defines the other
/// keys, at whatever place it stands.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = OptimizerConfig;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OptimizerConfig, A::Error> {
        let (mut table, mut groups) = (Table::new(), Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "groups" => groups = map.next_value()?,
                _ => drop(table.insert(key, map.next_value::<Value>()?)),
            }
        }
        let name = table.entry("method").or_insert_with(|| Method::NAMES[0].into());
        if !name.is_str() {
            return Err(A::Error::custom(
                "`method` should be the name of a method, in quotes",
            ));
        }
        let method = table.try_into().map_err(|error: toml::de::Error| {
            let complaint = error.message();
            match complaint.starts_with("unknown field") {
                true => A::Error::custom(format_args!("{complaint}, `groups`")),
                false => A::Error::custom(complaint),
            }
        })?;
        Ok(OptimizerConfig { method, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_method_is_adamw_and_every_method_reads_what_it_writes() {
        let read = |text: &str| toml::from_str::<OptimizerConfig>(text);
        assert_eq!(read("").unwrap(), OptimizerConfig::default());
        let old = read("learning_rate = 4e-3\nbeta_2 = 0.99\ngroups = [{ parameters = ['embed'] }]").unwrap();
        let expected = AdamW {
            learning_rate: 4e-3,
            beta_2: 0.99,
            ..AdamW::default()
        };
        assert_eq!(old.method, Method::AdamW(expected));
        assert_eq!(old.groups[0].parameters, ["embed"]);
        for name in Method::NAMES {
            let config = read(&format!("method = '{name}'")).unwrap();
            assert_eq!(config.method.name(), name);
            config.validate().unwrap();
            assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<OptimizerConfig>(&json).unwrap(), config);
        }
    }

    #[test]
    fn a_key_of_another_method_is_refused_with_those_that_this_one_has() {
        let refused = |text: &str| {
            let error = toml::from_str::<OptimizerConfig>(text).unwrap_err();
            error.message().to_string()
        };
        let text = refused("method = 'sgd'\nbeta_2 = 0.9");
        for part in ["unknown field `beta_2`", "`nesterov`", "`groups`"] {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        assert!(refused("method = 'adam'").contains("unknown variant `adam`"));
        assert!(refused("method = 3").contains("`method`"));
        assert!(refused("[[groups]]\nlearning_rate_factor = 0.5").contains("missing field `parameters`"));
    }

    #[test]
    fn numbers_that_no_step_can_use_are_refused_by_their_key() {
        for (text, key) in [
            ("learning_rate = 0.0", "optimizer.learning_rate"),
            ("eps = 1e-30", "optimizer.eps"),
            ("method = 'muon'\nmomentum = 1.0", "optimizer.momentum"),
            ("method = 'muon'\niterations = 0", "optimizer.iterations"),
            ("method = 'muon'\n[adamw]\nbeta_1 = 2.0", "optimizer.adamw.beta_1"),
            ("method = 'schedule_free_adamw'\nbeta_1 = 1.5", "optimizer.beta_1"),
            ("method = 'schedule_free_adamw'\npower = -1.0", "optimizer.power"),
            ("method = 'lion'\nbeta_2 = nan", "optimizer.beta_2"),
            ("method = 'sgd'\nweight_decay = inf", "optimizer.weight_decay"),
            (
                "method = 'sgd'\nmomentum = 0.0\nnesterov = true",
                "optimizer.nesterov",
            ),
            (
                "groups = [{ parameters = [], weight_decay = -1.0 }]",
                "optimizer.groups[0].weight_decay",
            ),
        ] {
            let config: OptimizerConfig = toml::from_str(text).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
