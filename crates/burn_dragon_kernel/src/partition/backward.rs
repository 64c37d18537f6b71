//! A level with reads of parts on the backend that computes it, and in that backend's graph of gradients.

use super::Partition;
use crate::backend::level::Sizes;
use crate::backend::partition::PartitionLevelOn;
use crate::backend::{DragonBackend, Operation, record};
use crate::level::LevelWeights;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use std::sync::Arc;

/// The level on a backend that takes all tensors, which have autodiff, or none of which has.
pub(super) fn level<B: DragonBackend>(
    v: &Tensor<4>,
    weights: &LevelWeights,
    partitions: &Arc<[Partition]>,
    eps: f64,
) -> Option<Tensor<4>> {
    let ([lanes, _, tokens, width], [heads, _, neurons]) = (v.dims(), weights.decoder_x().dims());
    let (decoder_x, decoder_y, encoder) = (weights.decoder_x(), weights.decoder_y(), weights.encoder());
    let dtypes = [v.dtype(), decoder_x.dtype(), decoder_y.dtype(), encoder.dtype()];
    if !dtypes
        .into_iter()
        .all(|dtype| B::computes(Operation::PartitionLevel, dtype))
    {
        return None;
    }
    let v = B::take(v.clone()).ok()?;
    let (decoder_x, decoder_y) = (B::take(decoder_x.clone()).ok()?, B::take(decoder_y.clone()).ok()?);
    let encoder = B::take(encoder.clone()).ok()?;
    let input = PartitionLevelOn {
        sizes: Sizes {
            lanes,
            heads,
            tokens,
            neurons,
            width,
        },
        v: v.numbers,
        decoder_x: decoder_x.numbers,
        decoder_y: decoder_y.numbers,
        encoder: encoder.numbers,
        partitions: partitions.clone(),
        eps,
    };
    match (v.node, decoder_x.node, decoder_y.node, encoder.node) {
        (None, None, None, None) => Some(B::give(B::partition_level(&input))),
        (Some(v), Some(decoder_x), Some(decoder_y), Some(encoder)) => {
            let u = B::partition_level(&input);
            let nodes = [v, decoder_x, decoder_y, encoder];
            Some(B::give_tracked(record::<B, _, 4>(LevelBackward, nodes, input, u)))
        }
        _ => None,
    }
}

#[derive(Debug)]
struct LevelBackward;

impl<B: DragonBackend> Backward<B, 4> for LevelBackward {
    type State = PartitionLevelOn<B>;

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let found = B::partition_level_back(&ops.state, d);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
