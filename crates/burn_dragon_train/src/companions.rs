//! Files that the trainer writes beside a model in a checkpoint, described for `verify`.

use crate::optimizer::{ema, file};
use burn_dragon_checkpoint::api::{Companion, CompanionTensor, Layout, TensorSpec};

/// Tensors that an optimiser may store for a parameter. Frozen parameters have none.
const SLOTS: [&str; 5] = ["average", "base", "first", "momentum", "second"];

/// Trainer files beside a model with these tensors, for every family: the state of the optimiser, and the trained
/// weights if the model file holds their average.
pub fn of(tensors: &[TensorSpec]) -> Vec<Companion> {
    let moments = |spec: &TensorSpec| ["first", "second"].map(|which| CompanionTensor::row_of(spec, which));
    let slots = |spec: &TensorSpec| {
        SLOTS.map(|slot| CompanionTensor {
            optional: true,
            ..CompanionTensor::row_of(spec, slot)
        })
    };
    let weights = tensors
        .iter()
        .map(|spec| CompanionTensor::of(spec.name.as_str(), &spec.shape));
    let optimizer = vec![
        Layout {
            format: file::ADAMW,
            tensors: tensors.iter().flat_map(moments).collect(),
        },
        Layout {
            format: file::ANY,
            tensors: tensors.iter().flat_map(slots).collect(),
        },
    ];
    vec![
        Companion {
            file: file::FILE,
            absent: Some("none: a run cannot go on from here"),
            layouts: optimizer,
        },
        Companion {
            file: ema::FILE,
            absent: None,
            layouts: vec![Layout {
                format: ema::FORMAT,
                tensors: weights.collect(),
            }],
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::{Method, OptimizerConfig};

    #[test]
    fn whatever_a_method_remembers_is_known_here() {
        for name in Method::NAMES {
            let config: OptimizerConfig = toml::from_str(&format!("method = '{name}'")).unwrap();
            for (parameter, shape) in [("w", &[2, 3][..]), ("embed", &[2, 3]), ("v", &[3])] {
                for slot in config.slots(parameter, shape) {
                    assert!(SLOTS.contains(slot), "{slot} of {name}");
                }
            }
        }
    }
}
