//! Halves of a level on a GPU, each a separate operation with its gradient.

use super::backward::{Back, OfWeights};
use super::forward::active;
use super::{Place, Prepared, activity, factor_type, width};
use crate::backend::level::{HalfOn, LevelRun, SpeakOn};
use crate::gpu::array::{cast, contiguous, empty, shaped, swapped};
use crate::gpu::product::product;
use crate::norm::cube::{Normed, norm, norm_back};
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

/// Data that the gradient of x needs.
#[derive(Clone, Debug)]
pub(crate) struct Perceived(Prepared);

impl Prepared {
    /// All tokens of the stream.
    fn whole(&self) -> Place {
        Place {
            sizes: self.sizes,
            tokens: 0..self.sizes.tokens,
        }
    }
}

/// x, `[B, H, T, N]`.
pub(crate) fn perceive(input: HalfOn<CubeBackend>) -> (CubeTensor, Perceived) {
    let dtype = factor_type(&input);
    let prepared = Prepared::tokens(input, dtype);
    let (sizes, decoder_x) = (prepared.sizes, prepared.weights.decoder_x.clone());
    let decoder_x = shaped(decoder_x, [1, sizes.heads, sizes.width, sizes.neurons]);
    let x = product(cast(prepared.v.clone(), dtype), decoder_x, DType::F32);
    activity::relu(&x, &prepared.whole());
    (x, Perceived(prepared))
}

/// The gradients of v and decoder_x from that of x.
pub(crate) fn perceive_back(Perceived(prepared): &Perceived, d: CubeTensor) -> [CubeTensor; 2] {
    let (place, mut weights) = (prepared.whole(), OfWeights::default());
    let back = Back::new(prepared, &place);
    let dx = activity::relu_back(&back.drive, d, &place);
    let of_x = back.through_x(dx, &mut weights);
    let dv = empty(&prepared.v, prepared.sizes.stream(), DType::F32);
    width::put_sum([Some(of_x), None], &dv, &place);
    [dv, weights.of_x()]
}

/// Data that the gradient of the second half needs.
#[derive(Clone, Debug)]
pub(crate) struct Spoken {
    prepared: Prepared,
    a: CubeTensor, // the normed read, [H, B, T, D]
    /// None if the read came normed.
    normed: Option<Normed>,
}

/// Contribution of a level, from its read.
pub(crate) fn speak(input: SpeakOn<CubeBackend>, keep: bool) -> LevelRun<CubeBackend, Spoken> {
    let dtype = factor_type(&input.half);
    let prepared = Prepared {
        dropout: input.dropout,
        count: input.count,
        ..Prepared::tokens(input.half, dtype)
    };
    let (place, mut counts) = (prepared.whole(), Vec::new());
    let read = contiguous(swapped(contiguous(input.read), [0, 1])); // [H, B, T, D]
    let (a, normed) = match input.norm {
        Some(eps) => {
            let normed = norm(read, eps);
            (normed.a.clone(), Some(normed))
        }
        None => (read, None),
    };
    let [_, factors] = prepared.stream(&place);
    let drive = prepared.drive(&factors, &place);
    let u = prepared.speak(&drive, &a, &mut counts, &place);
    LevelRun {
        u: shaped(u, prepared.sizes.stream()),
        memory: None,
        active: active(counts),
        kept: keep.then_some(Spoken { prepared, a, normed }),
    }
}

/// The gradients of the read, v, decoder_x, decoder_y and encoder from that of the contribution.
pub(crate) fn speak_back(Spoken { prepared, a, normed }: &Spoken, du: CubeTensor) -> [CubeTensor; 5] {
    let (place, mut weights) = (prepared.whole(), OfWeights::default());
    let back = Back::new(prepared, &place);
    let du = contiguous(du);
    let (dx, dr) = back.through_gate(a, du, &mut weights, |da| match normed {
        Some(normed) => norm_back(normed.clone(), da),
        None => da,
    });
    activity::keep_active(&back.drive, &dx, &place);
    let of_x = back.through_x(dx, &mut weights);
    let dv = empty(&prepared.v, prepared.sizes.stream(), DType::F32);
    width::put_sum([Some(of_x), None], &dv, &place);
    let [decoder_x, decoder_y, encoder] = weights.all();
    [contiguous(swapped(dr, [0, 1])), dv, decoder_x, decoder_y, encoder]
}
