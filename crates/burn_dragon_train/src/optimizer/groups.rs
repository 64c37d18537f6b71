//! Groups of parameters with other rates.

use super::{Rates, within};
use crate::error::TrainError;
use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Table `[[optimizer.groups]]`: some parameters by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    /// Names of the parameters: `embed`, `decoder_x`, `decoder_y`, `encoder`, `lm_head`, and `decay` if it is learnt.
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

/// Rates of a parameter with `axes` axes, from the usual rates. Vectors do not decay by default, since zero is no
/// natural value for them. If several groups name the parameter, the last one counts.
pub(super) fn rates(groups: &[ParameterGroup], name: &str, axes: usize, usual: Rates) -> Rates {
    let decay = if axes > 1 { usual.decay } else { 0.0 };
    let group = groups
        .iter()
        .rev()
        .find(|group| group.parameters.iter().any(|parameter| parameter == name));
    Rates {
        learning: usual.learning * group.map_or(1.0, |group| group.learning_rate_factor),
        decay: group.and_then(|group| group.weight_decay).unwrap_or(decay),
    }
}
