//! What the trainer writes beside a model in a checkpoint, as `verify` needs to know it.

use crate::optimizer::{self, AdamW, Lion, Method, Muon, OptimizerConfig, ScheduleFreeAdamW};
use burn_dragon_checkpoint::api::{Companion, CompanionTensor, Layout, TensorSpec};
use std::collections::BTreeSet;

/// The trainer's files beside a model of these tensors, whatever its family: the optimiser's state, and the weights that are
/// trained where the model holds their mean.
pub fn of(tensors: &[TensorSpec]) -> Vec<Companion> {
    let layout = |format, tensors| Layout { format, tensors };
    let weights = tensors
        .iter()
        .map(|spec| CompanionTensor::of(&spec.name, &spec.shape));
    vec![
        Companion {
            file: optimizer::FILE,
            absent: Some("none: a run cannot go on from here"),
            layouts: vec![
                layout(optimizer::ADAMW, adamw(tensors)),
                layout(optimizer::ANY, any(tensors)),
            ],
        },
        Companion {
            file: optimizer::WEIGHTS,
            absent: None,
            layouts: vec![layout(optimizer::WEIGHTS_FORMAT, weights.collect())],
        },
    ]
}

/// AdamW remembers the same of every parameter.
fn adamw(tensors: &[TensorSpec]) -> Vec<CompanionTensor> {
    let moments = |spec| {
        AdamW::SLOTS
            .iter()
            .map(move |slot| CompanionTensor::row_of(spec, slot))
    };
    tensors.iter().flat_map(moments).collect()
}

/// What any other method may remember of a parameter; which of it, the settings say.
fn any(tensors: &[TensorSpec]) -> Vec<CompanionTensor> {
    let of = |spec| {
        slots(spec).into_iter().map(move |slot| CompanionTensor {
            optional: true,
            ..CompanionTensor::row_of(spec, slot)
        })
    };
    tensors.iter().flat_map(of).collect()
}

/// Everything that some method remembers of a parameter.
fn slots(spec: &TensorSpec) -> BTreeSet<&'static str> {
    let methods: [OptimizerConfig; 4] = [
        Method::AdamW(AdamW::default()).into(),
        Method::Muon(Muon::default()).into(),
        Method::ScheduleFreeAdamW(ScheduleFreeAdamW::default()).into(),
        Method::Lion(Lion::default()).into(), // as SGD
    ];
    let slots = methods
        .iter()
        .flat_map(|method| method.slots(&spec.name, &spec.shape));
    slots.copied().collect()
}
