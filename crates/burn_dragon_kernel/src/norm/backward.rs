//! The gradient of the norm, by hand: `scale (d - mean(d) - a mean(d a))` with `a` the normed row.

use super::cpu;
use crate::flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Float, Tensor};
use burn_flex::FlexTensor;

/// The norm of a tensor on the processor with autodiff; the tensor again where it is another one.
pub(super) fn tracked<const R: usize>(v: Tensor<R>, eps: f64) -> Result<Tensor<R>, Tensor<R>> {
    let (v, node) = flex::tracked(v)?;
    let (a, scales) = cpu::norm(v, eps);
    let output = match NormBackward
        .prepare::<NoCheckpointing>([node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish((a.clone(), scales), a),
        OpsKind::UnTracked(prepared) => prepared.finish(a),
    };
    Ok(Tensor::<R, Float>::from_primitive::<Autodiff<Flex>>(output))
}

#[derive(Debug)]
struct NormBackward;

impl Backward<Flex, 1> for NormBackward {
    type State = (FlexTensor, Vec<f32>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let (a, scales) = ops.state;
        let d = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let dv = cpu::norm_back(d, &a, &scales);
        for parent in ops.parents.into_iter().flatten() {
            gradients.register::<Flex>(parent.id, dv.clone());
        }
    }
}
