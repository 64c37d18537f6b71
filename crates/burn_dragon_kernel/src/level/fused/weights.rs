//! Weights packed for the products of a pass.

use crate::backend::level::{Sizes, WeightsOn};
use crate::flex::contiguous;
use crate::matrix::{Matrix, Packing, Precision};
use crate::parallel::*;
use burn::backend::Flex;
use std::sync::Arc;

/// Weights of all heads.
#[derive(Debug)]
pub(in crate::level) struct Panels(Vec<HeadPanels>);

/// Weights of one head, each as the right factor of two products.
#[derive(Debug, Default)]
pub(in crate::level) struct HeadPanels {
    /// From the width to neurons, `[D, N]`: decoder_x, decoder_y, encoder transposed.
    pub(super) in_x: Packing,
    pub(super) in_y: Packing,
    pub(super) in_encoder: Packing,
    /// From neurons to the width, `[N, D]`: decoder_x transposed, decoder_y transposed, encoder.
    pub(super) out_x: Packing,
    pub(super) out_y: Packing,
    pub(super) out_encoder: Packing,
}

impl Panels {
    /// Panels of the given weights, packed on first use.
    pub(in crate::level) fn of(weights: WeightsOn<Flex>, sizes: Sizes) -> Arc<Self> {
        let WeightsOn {
            decoder_x,
            decoder_y,
            encoder,
            laid_out,
        } = weights;
        laid_out.get(|| {
            let [x, y, encoder] = [decoder_x, decoder_y, encoder].map(contiguous);
            let size = sizes.neurons * sizes.width;
            let heads = x
                .storage::<f32>()
                .par_chunks_exact(size)
                .zip(y.storage::<f32>().par_chunks_exact(size))
                .zip(encoder.storage::<f32>().par_chunks_exact(size));
            Self(
                heads
                    .map(|((x, y), encoder)| HeadPanels::of([x, y, encoder], sizes))
                    .collect(),
            )
        })
    }

    /// Those of a head.
    pub(in crate::level) fn head(&self, head: usize) -> &HeadPanels {
        &self.0[head]
    }
}

impl HeadPanels {
    fn of([x, y, encoder]: [&[f32]; 3], sizes: Sizes) -> Self {
        let Sizes { neurons, width, .. } = sizes;
        let mut panels = Self::default();
        let decoder = |matrix| Matrix::new(matrix, width, neurons, neurons);
        let encoder = Matrix::new(encoder, neurons, width, width);
        for (packing, matrix) in [
            (&mut panels.in_x, decoder(x)),
            (&mut panels.in_y, decoder(y)),
            (&mut panels.in_encoder, encoder.transposed()),
            (&mut panels.out_x, decoder(x).transposed()),
            (&mut panels.out_y, decoder(y).transposed()),
            (&mut panels.out_encoder, encoder),
        ] {
            packing.right(Precision::Bf16, matrix);
        }
        panels
    }
}
