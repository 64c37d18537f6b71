//! Parameters that are treated otherwise than the rest.

use super::{Rates, within};
use crate::error::TrainError;
use burn_dragon_core::api::expert::Range;
use serde::{Deserialize, Serialize};

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

impl ParameterGroup {
    /// Refuses numbers that vanish in f32, or are none there; `index` is its place in the list, `learning_rate` the
    /// optimiser's.
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

/// The rates of a parameter of so many axes, of what they usually are: vectors do not decay, for zero means nothing special
/// to them, and the last group that names the parameter has the last word.
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
