//! A level with reads of parts on the processor: lane by lane, part by part, head by head.
//!
//! A lane is one task. Gradients of the weights are summed in each lane by itself, and then over the lanes in their order: no
//! sum depends on the number of threads. Rows are padded with zeros to whole vectors.

mod part;
mod product;
mod weights;

use crate::backend::partition::PartitionLevelOn;
use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use burn::backend::Flex;
use burn_flex::FlexTensor;
use part::{Back, Gradients, Part};
use weights::Packed;

/// The contribution of the level.
pub(crate) fn level(input: &PartitionLevelOn<Flex>) -> FlexTensor {
    let sizes = input.sizes;
    let (packed, v) = (Packed::new(input), contiguous(input.v.clone()));
    let lane = sizes.tokens * sizes.width;
    let mut u = vec![0.0; sizes.lanes * lane];
    u.par_chunks_mut(lane.max(1))
        .zip(v.storage::<f32>().par_chunks(lane.max(1)))
        .for_each(|(u, v)| {
            let mut part = Part::new(&packed);
            for (kind, partition) in input.partitions.iter().enumerate() {
                partition
                    .parts()
                    .for_each(|tokens| part::forward(&packed, &mut part, tokens, kind, v, u));
            }
        });
    tensor(u, sizes.stream())
}

/// The gradients of v, decoder_x, decoder_y and the encoder.
pub(crate) fn level_back(input: &PartitionLevelOn<Flex>, d: &FlexTensor) -> [FlexTensor; 4] {
    let sizes = input.sizes;
    let (packed, v) = (Packed::new(input), contiguous(input.v.clone()));
    let lane = (sizes.tokens * sizes.width).max(1);
    let mut dv = vec![0.0; sizes.lanes * sizes.tokens * sizes.width];
    let mut of_lanes: Vec<Gradients> = (0..sizes.lanes).map(|_| Gradients::new(&packed)).collect();
    dv.par_chunks_mut(lane)
        .zip(of_lanes.par_chunks_mut(1))
        .zip(v.storage::<f32>().par_chunks(lane))
        .zip(d.storage::<f32>().par_chunks(lane))
        .for_each(|(((dv, gradients), v), d)| {
            let mut part = Part::new(&packed);
            let mut lane = Back {
                v,
                d,
                dv,
                gradients: &mut gradients[0],
            };
            for (kind, partition) in input.partitions.iter().enumerate() {
                partition
                    .parts()
                    .for_each(|tokens| part::backward(&packed, &mut part, tokens, kind, &mut lane));
            }
        });
    let [decoder_x, decoder_y, encoder] = Gradients::sum(of_lanes, &packed);
    [
        tensor(dv, sizes.stream()),
        tensor(decoder_x, sizes.decoder()),
        tensor(decoder_y, sizes.decoder()),
        tensor(encoder, sizes.encoder()),
    ]
}
