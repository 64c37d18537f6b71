//! Groups of parameters with other rates.

use super::names::means;
use super::{Parameter, Rates, within};
use crate::error::TrainError;
use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Table `[[optimizer.groups]]`: some parameters by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    /// Names of the parameters: `embed`, `decoder_x`, `decoder_y`, `encoder`, `lm_head`, and `decay` if it is learnt; or
    /// patterns in which `*` stands for any text: `decoder_*`.
    pub parameters: Vec<String>,
    /// Factor on the learning rate. With 0 the parameters do not change, not even by decay.
    #[serde(default = "one")]
    pub learning_rate_factor: f64,
    /// Weight decay of the group, if it differs.
    #[serde(default)]
    pub weight_decay: Option<f64>,
}

fn one() -> f64 {
    1.0
}

impl ParameterGroup {
    /// Refuses numbers that vanish or overflow in f32. `index` is the place of the group in the list, `learning_rate`
    /// that of the optimiser.
    pub(super) fn validate(&self, index: usize, learning_rate: f64) -> Result<(), TrainError> {
        let factor = self.learning_rate_factor;
        within(
            &format!("groups[{index}].learning_rate_factor"),
            factor,
            Range::FROM_ZERO,
        )?;
        if factor != 0.0 {
            let product = format!("learning_rate * groups[{index}].learning_rate_factor");
            within(&product, learning_rate * factor, Range::POSITIVE)?;
        }
        let decay = self.weight_decay.unwrap_or(0.0);
        within(&format!("groups[{index}].weight_decay"), decay, Range::FROM_ZERO)
    }
}

/// Rates of a parameter, from the usual rates. Only linear maps decay by default, since zero is no natural value for others. If several groups name the parameter, the last one counts.
pub(super) fn rates(groups: &[ParameterGroup], parameter: Parameter<'_>, usual: Rates) -> Rates {
    let (name, decay) = (parameter.name, if parameter.is_map() { usual.decay } else { 0.0 });
    let group = groups
        .iter()
        .rev()
        .find(|group| group.parameters.iter().any(|parameter| means(parameter, name)));
    Rates {
        learning: usual.learning * group.map_or(1.0, |group| group.learning_rate_factor),
        decay: group.and_then(|group| group.weight_decay).unwrap_or(decay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_linear_maps_decay_unless_a_group_says_so() {
        let usual = Rates {
            learning: 1.0,
            decay: 0.1,
        };
        let of = |groups: &[ParameterGroup], name, shape: &[usize]| {
            rates(groups, Parameter { name, shape }, usual).decay
        };
        for (name, shape, decay) in [
            ("decoder_x", &[2, 3, 4][..], 0.1),
            ("mixer.in_proj", &[3, 4], 0.1),
            ("mixer.dt_bias", &[4], 0.0),
            ("mixer.log_rates", &[3, 4], 0.0),
            ("connector.bias", &[2, 8], 0.0),
        ] {
            assert_eq!(of(&[], name, shape), decay, "{name}");
        }
        let group = ParameterGroup {
            parameters: vec!["mixer.log_*".into()],
            learning_rate_factor: 1.0,
            weight_decay: Some(0.5),
        };
        assert_eq!(of(&[group], "mixer.log_rates", &[3, 4]), 0.5);
    }
}
