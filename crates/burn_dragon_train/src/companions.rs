//! What the trainer writes beside a model in a checkpoint, as `verify` needs to know it.

use crate::optimizer;
use burn_dragon_checkpoint::api::{Companion, CompanionTensor, Layout, TensorSpec};

/// The trainer's files beside a model of these tensors, whatever its family: the optimiser's state.
pub fn of(tensors: &[TensorSpec]) -> Vec<Companion> {
    let moments = |spec: &TensorSpec| ["first", "second"].map(|which| CompanionTensor::row_of(spec, which));
    let adamw = Layout {
        format: optimizer::FORMAT,
        tensors: tensors.iter().flat_map(moments).collect(),
    };
    vec![Companion {
        file: "optimizer.bpk",
        absent: Some("none: a run cannot go on from here"),
        layouts: vec![adamw],
    }]
}
