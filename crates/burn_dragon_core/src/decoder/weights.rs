//! Weights of a model in the layouts for single tokens, where there is one.
//!
//! | model | layout |
//! |---|---|
//! | on the processor, in f32, with keys of pairs or polar ones of identity lengths | rows of neurons, in f32 or bf16 |
//! | the same, low-bit | packed rows; activities in whole numbers |
//! | on a GPU with kernels for it, keys of pairs, activities that are not quantised | the model's own tensors |

use crate::dragon::Dragon;
use crate::positions::{Keys, Magnitude};
use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};
use burn_dragon_kernel::api::{
    DecodeKeys, DeviceDecode, DeviceParameters, Parameters, Precision, Sizes, Weights,
};

/// Weights in the layout for single tokens; `None` unless the model is on the processor, in f32 and of the kinds that
/// `decode` computes.
pub(super) fn weights(dragon: &Dragon, precision: Precision) -> Option<Weights> {
    let (embed, trunk) = (dragon.embed.val(), &dragon.trunk);
    if embed.device() != Device::flex() || embed.dtype() != DType::F32 || !trunk.config().is_plain_within() {
        return None;
    }
    let low_bit = trunk.config().low_bit();
    let packed = low_bit.filter(|low_bit| low_bit.decodes_packed);
    if packed.is_none() && low_bit.is_some_and(|low_bit| low_bit.has_activities()) {
        return None;
    }
    let config = dragon.config();
    let phases; // [H, N]
    let keys = match trunk.keys() {
        Keys::Pairs => DecodeKeys::Pairs,
        Keys::Polar {
            magnitude: Magnitude::Identity,
            phase,
        } => {
            phases = phase.map_or_else(Vec::new, numbers);
            DecodeKeys::Polar { phases: &phases }
        }
        Keys::Polar { .. } => return None, // no neuron is silent
    };
    let in_whole_numbers = match packed {
        None => None,
        Some(low_bit) => Some(low_bit.decoding(trunk.low_bit_matrices().ok()?)),
    };
    let [decoder_x, decoder_y, encoder] = match &in_whole_numbers {
        None => {
            let matrices = trunk.weights(); // of low-bit weights, the numbers that they stand for
            let decoders =
                [matrices.decoder_x(), matrices.decoder_y()].map(|decoder| numbers(decoder.clone()));
            let [decoder_x, decoder_y] = decoders;
            [decoder_x, decoder_y, numbers(matrices.encoder().clone())]
        }
        // Those in whole numbers stand apart; the others are not quantised.
        Some(parts) => [
            floats(parts.decoder_x.is_none(), &trunk.decoder_x),
            floats(parts.decoder_y.is_none(), &trunk.decoder_y),
            floats(parts.encoder.is_none(), &trunk.encoder),
        ],
    };
    let parameters = Parameters {
        sizes: sizes(dragon),
        embed: &numbers(embed),
        decoder_x: &decoder_x,
        decoder_y: &decoder_y,
        encoder: &encoder,
        lm_head: &numbers(dragon.lm_head.val()),
        frequencies: &config.frequencies(),
        keys,
        slopes: &trunk.slopes(),
        eps: config.norm_eps,
    };
    Some(match in_whole_numbers {
        None => Weights::new(&parameters, precision),
        Some(parts) => Weights::low_bit(&parameters, parts, precision),
    })
}

/// Streams on the model's device; `None` unless it is a GPU with kernels for them, the model in f32 and of the kinds that
/// `decode` computes.
pub(super) fn device(dragon: &Dragon, lanes: usize) -> Option<DeviceDecode> {
    let (trunk, config) = (&dragon.trunk, dragon.config());
    let low_bit = trunk.config().low_bit();
    let rounds = low_bit.is_some_and(|low_bit| low_bit.has_activities());
    if rounds || !trunk.config().is_plain_within() || !trunk.keys().are_pairs() {
        return None;
    }
    let matrices = trunk.weights();
    let parameters = DeviceParameters {
        sizes: sizes(dragon),
        embed: dragon.embed.val(),
        decoder_x: matrices.decoder_x().clone(),
        decoder_y: matrices.decoder_y().clone(),
        encoder: matrices.encoder().clone(),
        lm_head: dragon.lm_head.val(),
        frequencies: config.frequencies(),
        slopes: trunk.slopes(),
        eps: config.norm_eps,
    };
    DeviceDecode::new(parameters, lanes)
}

fn sizes(dragon: &Dragon) -> Sizes {
    let config = dragon.config();
    Sizes {
        levels: config.n_levels,
        heads: config.n_heads,
        neurons: config.neurons_per_head(),
        width: config.d_model,
        vocab: config.vocab_size,
    }
}

/// Values of a matrix, if they are used.
fn floats<const R: usize>(are_used: bool, matrix: &Param<Tensor<R>>) -> Vec<f32> {
    match are_used {
        true => numbers(matrix.val()),
        false => Vec::new(),
    }
}

/// Values of a tensor.
pub(super) fn numbers<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    match tensor.into_data().convert::<f32>().try_into_vec() {
        Ok(values) => values,
        Err(error) => unreachable!("data converted to f32 is f32: {error}"),
    }
}
