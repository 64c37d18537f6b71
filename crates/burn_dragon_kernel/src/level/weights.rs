//! Weights of a level, and their copy for the processor.

use super::elementwise::transpose;
use super::fused::Panels;
use crate::backend::level::{LaidOut, Sizes, WeightsOn};
use crate::buffer::Buffer;
use crate::flex::contiguous;
use crate::parallel::*;
use burn::backend::Flex;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use std::sync::Arc;

/// Three weight matrices that all levels share.
///
/// Make it once for all levels of a pass, so that the processor's copy of the weights is made once.
#[derive(Clone, Debug)]
pub struct LevelWeights {
    decoder_x: Tensor<3>,
    decoder_y: Tensor<3>,
    encoder: Tensor<2>,
    laid_out: LaidOut,
}

impl LevelWeights {
    /// The matrices of a level.
    ///
    /// # Shapes
    /// - `decoder_x`: `[H, D, N]`, from model width to neurons, for x
    /// - `decoder_y`: `[H, D, N]`, from the read to neurons, for y
    /// - `encoder`: `[H*N, D]`, from neurons to model width, rows head by head
    ///
    /// # Panics
    /// If the shapes do not fit together.
    pub fn new(decoder_x: Tensor<3>, decoder_y: Tensor<3>, encoder: Tensor<2>) -> Self {
        let [heads, width, neurons] = decoder_x.dims();
        crate::assert_shape("level", "decoder_y", decoder_y.dims(), [heads, width, neurons]);
        crate::assert_shape("level", "encoder", encoder.dims(), [heads * neurons, width]);
        Self {
            decoder_x,
            decoder_y,
            encoder,
            laid_out: LaidOut::default(),
        }
    }

    /// Matrix from model width to neurons, for x, `[H, D, N]`.
    pub fn decoder_x(&self) -> &Tensor<3> {
        &self.decoder_x
    }

    /// Matrix from the read to neurons, for y, `[H, D, N]`.
    pub fn decoder_y(&self) -> &Tensor<3> {
        &self.decoder_y
    }

    /// Matrix from neurons to model width, `[H*N, D]`.
    pub fn encoder(&self) -> &Tensor<2> {
        &self.encoder
    }

    /// A stream and the weights, all with autodiff if one of them has it. What had none is a constant.
    pub(crate) fn alike(&self, v: Tensor<4>) -> (Tensor<4>, Self) {
        let Self {
            decoder_x,
            decoder_y,
            encoder,
            ..
        } = self;
        let of_weights = [
            decoder_x.is_autodiff(),
            decoder_y.is_autodiff(),
            encoder.is_autodiff(),
        ];
        if of_weights == [v.is_autodiff(); 3] {
            return (v, self.clone());
        }
        let [decoder_x, decoder_y] = [decoder_x, decoder_y].map(|decoder| decoder.clone().autodiff());
        (
            v.autodiff(),
            Self::new(decoder_x, decoder_y, encoder.clone().autodiff()),
        )
    }

    /// Copy of the weights in a backend's layout.
    pub(super) fn laid_out(&self) -> LaidOut {
        self.laid_out.clone()
    }
}

/// Weights as the processor's products read them.
#[derive(Clone, Debug)]
pub(super) enum LaidOutWeights {
    /// Neuron by neuron, in f32.
    Rows(Arc<NeuronRows>),
    /// Packed in bf16, for fused products.
    Panels(Arc<Panels>),
}

impl LaidOutWeights {
    /// The layout of the given weights, made on first use.
    pub(super) fn of(weights: WeightsOn<Flex>, sizes: Sizes, fused: bool) -> Self {
        match fused {
            false => Self::Rows(NeuronRows::of(weights, sizes)),
            true => Self::Panels(Panels::of(weights, sizes)),
        }
    }
}

/// Weights neuron by neuron, `[H, N, D]` each: a neuron's numbers are contiguous, and start at cache lines if D allows.
#[derive(Debug)]
pub(super) struct NeuronRows {
    pub(super) decoder_x: Buffer,
    pub(super) decoder_y: Buffer,
    pub(super) encoder: Buffer,
}

impl NeuronRows {
    /// Rows of the given weights, copied on first use.
    pub(super) fn of(weights: WeightsOn<Flex>, sizes: Sizes) -> Arc<Self> {
        let WeightsOn {
            decoder_x,
            decoder_y,
            encoder,
            laid_out,
        } = weights;
        laid_out.get(|| {
            let matrices = [decoder_x, decoder_y, encoder].map(contiguous);
            Self::new(matrices.each_ref(), sizes)
        })
    }

    fn new([decoder_x, decoder_y, encoder]: [&FlexTensor; 3], sizes: Sizes) -> Self {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = sizes;
        let mut rows = Self {
            decoder_x: Buffer::zeros(heads * neurons * width),
            decoder_y: Buffer::zeros(heads * neurons * width),
            encoder: Buffer::default(),
        };
        let size = neurons * width;
        rows.encoder.copied(encoder.storage());
        for (from, to) in [(decoder_x, &mut rows.decoder_x), (decoder_y, &mut rows.decoder_y)] {
            let heads = from
                .storage::<f32>()
                .par_chunks_exact(size)
                .zip(to.par_chunks_exact_mut(size));
            heads.for_each(|(from, to)| transpose(from, neurons, neurons, to));
        }
        rows
    }
}
