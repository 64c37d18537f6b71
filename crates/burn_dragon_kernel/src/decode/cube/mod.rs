//! Decoding on a GPU: a token of all lanes in four launches a level and two more, and nothing read back.
//!
//! | launch | work |
//! |---|---|
//! | `perceive` | the stream (embedding, or join of the last level), x, q, then the memory's rows: read, fade, write |
//! | `sum_parts` | the read, from the parts of the chunks of neurons |
//! | `speak` | its norm, the gate, y, `y encoder` |
//! | `sum_parts` | the contribution, likewise |
//! | `read_out` | the last join, logits |
//! | `draw_tokens` or `advance` | the next token, or the place of the one that was given |
//!
//! Every number that changes from token to token is in the memory of the device, so all launches of a token are the same
//! for the next one: they are captured as a graph where the device can (CUDA; in software with wgpu), and replayed. A
//! lane has a tape: its place, its limit, and its tokens from there on. At the limit it writes nothing more. The angle of
//! a position is that of its block of 16, made on the host in f64, and that of its place there, from a table; so it does
//! not depend on what was read together.
//!
//! Sums have a fixed order, and so do the bits on a device.

mod kernels;
mod parts;
mod streams;
#[cfg(test)]
mod tests;

use super::device::{CAPACITY, DeviceStreams, ParametersOn};
use super::weights::Sizes;
use crate::draw::cube::MOST_TOKENS;
use crate::gpu::array::{UNITS, contiguous, upload};
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::CubeElement;
use kernels::ModelLaunch;
use std::f64::consts::TAU;
use std::sync::Arc;
use streams::Streams;

/// Largest model width: a row of it is in shared memory.
const WIDEST: usize = 2048;

/// Cubes that keep a device busy.
const BUSY: usize = 512;

/// Streams with an empty memory; none if a row has no room in shared memory, or a tensor is too large to be indexed.
pub(crate) fn streams(parameters: ParametersOn<CubeBackend>, lanes: usize) -> Option<Box<dyn DeviceStreams>> {
    let sizes = parameters.sizes;
    let of = |shape: &[usize]| shape.iter().map(|&size| size as u128).product::<u128>();
    let memory = of(&[lanes, sizes.heads, sizes.neurons, sizes.width]);
    let largest = memory.max(of(&[sizes.vocab, sizes.width.max(lanes)]));
    if sizes.width > WIDEST || sizes.vocab > MOST_TOKENS || largest > u128::from(u32::MAX) {
        return None;
    }
    Some(Box::new(Streams::new(Arc::new(Weights::new(parameters)), lanes)))
}

/// Weights of a model on the device, and tables.
#[derive(Debug)]
struct Weights {
    sizes: Sizes,
    embed: CubeTensor,     // [V, D]
    decoder_x: CubeTensor, // [H, D, N]
    decoder_y: CubeTensor, // [H, D, N]
    encoder: CubeTensor,   // [H*N, D]
    lm_head: CubeTensor,   // [D, V]
    /// What is left of a memory after a token, `[H]`, then cosines and sines of the places' angles, `[places, N/2, 2]`.
    tables: CubeTensor,
    turns: Vec<f64>, // [N/2]
    fades: bool,
    eps: f32,
}

impl Weights {
    fn new(parameters: ParametersOn<CubeBackend>) -> Self {
        let (sizes, turns) = (parameters.sizes, parameters.frequencies.turns().to_vec());
        let left = (0..sizes.heads).map(|head| {
            parameters
                .slopes
                .get(head)
                .map_or(1.0, |slope| (-slope).exp() as f32)
        });
        let places = (0..CAPACITY).flat_map(|place| {
            turns.iter().flat_map(move |turns| {
                let (sin, cos) = ((place as f64 * turns).fract() * TAU).sin_cos();
                [cos as f32, sin as f32]
            })
        });
        let tables: Vec<f32> = left.chain(places).collect();
        let embed = contiguous(parameters.embed);
        Self {
            sizes,
            tables: upload(&embed, f32::as_bytes(&tables), tables.len(), DType::F32),
            embed,
            decoder_x: contiguous(parameters.decoder_x),
            decoder_y: contiguous(parameters.decoder_y),
            encoder: contiguous(parameters.encoder),
            lm_head: contiguous(parameters.lm_head),
            turns,
            fades: !parameters.slopes.is_empty(),
            eps: parameters.eps as f32,
        }
    }

    /// Numbers of a row of neurons, of the model's width, and of the vocabulary, that a unit reads at once.
    fn vectors(&self) -> [usize; 3] {
        [self.sizes.neurons, self.sizes.width, self.sizes.vocab].map(|size| match size {
            size if size.is_multiple_of(4) => 4,
            size if size.is_multiple_of(2) => 2,
            _ => 1,
        })
    }

    /// Entries of shared memory for a row of the model's width.
    fn space(&self) -> usize {
        self.sizes.width.next_multiple_of(UNITS as usize)
    }

    /// How the neurons of a head are cut.
    fn neurons(&self, lanes: usize) -> Cut {
        Cut::new(self.sizes.neurons, lanes * self.sizes.heads)
    }

    /// How the vocabulary is cut.
    fn vocab(&self, lanes: usize) -> Cut {
        Cut::new(self.sizes.vocab, lanes)
    }

    /// A launch on neurons, or on the vocabulary, which is one head of that many.
    fn launch(&self, lanes: usize, vocab: bool) -> ModelLaunch {
        let (heads, neurons, cut) = match vocab {
            true => (1, self.sizes.vocab, self.vocab(lanes)),
            false => (self.sizes.heads, self.sizes.neurons, self.neurons(lanes)),
        };
        let tape = streams::TAPE;
        ModelLaunch::new(
            heads,
            lanes,
            neurons,
            self.sizes.width,
            cut.chunk,
            cut.chunks,
            tape,
            self.eps,
        )
    }
}

/// Chunks of columns, each for a cube.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    chunk: usize,
    chunks: usize,
}

impl Cut {
    /// `count` columns of each of `rows`: chunks of 32 to 256, as small as keep a device busy.
    fn new(count: usize, rows: usize) -> Self {
        let chunk = [32, 64, 128]
            .into_iter()
            .find(|&chunk| rows * count.div_ceil(chunk) <= BUSY)
            .unwrap_or(UNITS as usize);
        Self {
            chunk,
            chunks: count.div_ceil(chunk),
        }
    }
}
