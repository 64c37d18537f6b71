//! The level on a GPU: products of the library, and one launch for each work between them.
//!
//! Neuron-wide tensors are `[H, B C, N]`, the C tokens of a window of each lane, so that the gradient of a head's
//! weights is one product; only y is `[B C, H N]`, so that `u = y encoder` is one product over all heads. Nothing
//! neuron-wide outlives a window of a pass: the backward pass computes x and q again.
//!
//! Factors of products are f32, or bf16 where that was asked for and the device has it; then neuron-wide tensors and
//! scores are bf16 as well, and sums, norms, memories and everything as wide as the model f32.

mod activity;
mod backward;
mod fading;
mod forward;
mod halves;
mod kernels;
mod scores;
mod width;

pub(crate) use backward::level_back;
pub(crate) use forward::{Kept, level};
pub(crate) use halves::{Perceived, Spoken, perceive, perceive_back, speak, speak_back};

use crate::backend::level::{HalfOn, LevelOn, Sizes, WeightsOn};
use crate::causal_read::Credit;
use crate::dropout::DropoutMask;
use crate::gpu::array::{cast, contiguous, shaped};
use crate::gpu::product::product;
use crate::level::gpu_chunk_length;
use crate::matrix::Precision;
use crate::norm::cube::Normed;
use crate::reach::Reach;
use crate::retention::Resets;
use activity::Angles;
use burn::backend::Backend;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use fading::{Fading, windows};
use std::ops::Range;
use std::sync::Arc;

/// Type of the factors of products: that of the precision, where the device computes in it.
fn factor_type(half: &HalfOn<CubeBackend>) -> DType {
    let bf16 = || CubeBackend::supports_dtype(&half.v.device, DType::BF16);
    match half.precision {
        Precision::Bf16 if bf16() => DType::BF16,
        _ => DType::F32,
    }
}

/// Tokens of the longest window.
pub(crate) fn window_length(sizes: Sizes, chunk: Option<usize>) -> usize {
    let tokens = sizes.tokens;
    let length = chunk.unwrap_or_else(|| gpu_chunk_length(tokens, sizes.width));
    length.clamp(1, tokens)
}

/// The tokens of a window.
#[derive(Clone, Debug)]
struct Place {
    sizes: Sizes,
    tokens: Range<usize>,
}

impl Place {
    /// Rows of neurons: tokens of all heads and lanes.
    fn rows(&self) -> usize {
        self.sizes.heads * self.sizes.lanes * self.tokens.len()
    }

    /// The shape of what is as wide as the model and apart for each head.
    fn of_heads(&self) -> [usize; 4] {
        let sizes = self.sizes;
        [sizes.heads, sizes.lanes, self.tokens.len(), sizes.width]
    }

    /// The shape of neuron-wide tensors, lane by lane.
    fn of_neurons(&self) -> [usize; 4] {
        let sizes = self.sizes;
        [sizes.heads, sizes.lanes, self.tokens.len(), sizes.neurons]
    }

    /// A tensor of heads, lanes, tokens as heads, rows.
    fn in_rows(&self, tensor: CubeTensor) -> CubeTensor {
        let shape = tensor.meta.shape();
        let (heads, last) = (shape[0], shape[shape.len() - 1]);
        shaped(tensor, [heads, self.sizes.lanes * self.tokens.len(), last])
    }
}

/// The weights in the type of the factors.
#[derive(Debug)]
struct Weights {
    decoder_x: CubeTensor, // [H, D, N]
    decoder_y: CubeTensor, // [H, D, N]
    encoder: CubeTensor,   // [H*N, D]
}

impl Weights {
    /// The weights in a type, made once for all levels of a pass.
    fn of(weights: WeightsOn<CubeBackend>, dtype: DType) -> Arc<Self> {
        let WeightsOn {
            decoder_x,
            decoder_y,
            encoder,
            laid_out,
        } = weights;
        let make = || {
            let [decoder_x, decoder_y, encoder] =
                [&decoder_x, &decoder_y, &encoder].map(|weight| cast(contiguous(weight.clone()), dtype));
            Self {
                decoder_x,
                decoder_y,
                encoder,
            }
        };
        let made = laid_out.get(make);
        if made.encoder.dtype == dtype {
            made
        } else {
            Arc::new(make())
        }
    }
}

/// A level, or half of one, and how its stream is cut.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    sizes: Sizes,
    v: CubeTensor, // [B, 1, T, D], f32
    weights: Arc<Weights>,
    /// None for halves, which turn nothing.
    angles: Option<Angles>,
    eps: f64,
    dropout: Option<DropoutMask>,
    windows: Vec<Range<usize>>,
    fading: Fading,
    credit: Credit,
    reach: Reach,
    learns_slopes: bool,
    count: bool,
    dtype: DType,
}

impl Prepared {
    fn level(input: LevelOn<CubeBackend>, dtype: DType) -> Self {
        let sizes = input.half.sizes;
        let longest = match input.reach {
            Reach::Causal => window_length(sizes, input.chunk),
            Reach::Full => sizes.tokens, // one window: all read all
        };
        let fading = Fading::new(
            &input.half.v,
            sizes,
            input.slopes.as_deref(),
            &input.resets,
            longest,
        );
        Self {
            angles: Some(Angles::new(input.angles)),
            eps: input.eps,
            dropout: input.dropout,
            windows: windows(sizes.tokens, longest),
            credit: input.credit,
            reach: input.reach,
            learns_slopes: input.learns_slopes,
            count: input.count,
            ..Self::half(input.half, dtype, fading)
        }
    }

    /// The half before or after the read, in one window: its tokens do not depend on each other.
    fn tokens(half: HalfOn<CubeBackend>, dtype: DType) -> Self {
        let fading = Fading::new(&half.v, half.sizes, None, &Resets::default(), 0);
        Self::half(half, dtype, fading)
    }

    fn half(half: HalfOn<CubeBackend>, dtype: DType, fading: Fading) -> Self {
        let sizes = half.sizes;
        Self {
            sizes,
            v: contiguous(half.v),
            weights: Weights::of(half.weights, dtype),
            angles: None,
            eps: 0.0,
            dropout: None,
            windows: windows(sizes.tokens, sizes.tokens),
            fading,
            credit: Credit::Full,
            reach: Reach::Causal,
            learns_slopes: false,
            count: false,
            dtype,
        }
    }

    fn places(&self) -> impl DoubleEndedIterator<Item = Place> + ExactSizeIterator {
        let sizes = self.sizes;
        self.windows
            .clone()
            .into_iter()
            .map(move |tokens| Place { sizes, tokens })
    }

    /// The tokens of a window, `[1, B, C, D]`, in f32 and in the type of the factors.
    fn stream(&self, place: &Place) -> [CubeTensor; 2] {
        let v = width::window(&self.v, place);
        [v.clone(), cast(v, self.dtype)]
    }

    /// The drive of x, `[H, B C, N]`, from the tokens of a window.
    fn drive(&self, v: &CubeTensor, place: &Place) -> CubeTensor {
        product(
            place.in_rows(v.clone()),
            self.weights.decoder_x.clone(),
            self.dtype,
        )
    }

    /// q of a window, `[H, B, C, N]`, from the drive of x.
    fn queries(&self, drive: &CubeTensor, place: &Place) -> CubeTensor {
        let Some(angles) = &self.angles else {
            unreachable!("a whole level has angles");
        };
        shaped(activity::rotate(drive, angles, place), place.of_neurons())
    }
}

/// Result of the read of a window: all that the gradient needs of the level up to there.
#[derive(Clone, Debug)]
struct Read {
    /// `[H, B, C, D]`, normed, in f32.
    normed: Normed,
    /// Masked, `[H, B, C, C]`; none where all tokens read all.
    scores: Option<CubeTensor>,
}

#[cfg(test)]
mod tests;
