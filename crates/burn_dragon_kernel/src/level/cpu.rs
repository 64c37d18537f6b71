//! The forward pass of a level on the processor.

use super::elementwise::{add, count_active, gate};
use super::tile::{Head, Operands, Scratch, Sizes, sized};
use super::{LevelInput, LevelOutput, plain};
use crate::matrix::{Matrix, multiply};
use burn::backend::Flex;
use burn::tensor::{DType, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs with this thread's buffers.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(work)
}

/// A level's tensors in plain memory.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) v: FlexTensor,
    pub(super) decoder_x: FlexTensor,
    pub(super) decoder_y: FlexTensor,
    pub(super) encoder: FlexTensor,
    pub(super) cos: FlexTensor,
    pub(super) sin: FlexTensor,
}

impl Memory {
    /// The sizes and slices of a level.
    pub(super) fn operands(&self, input: &Settings) -> Operands<'_> {
        Operands {
            sizes: input.sizes,
            v: self.v.storage(),
            decoder_x: self.decoder_x.storage(),
            decoder_y: self.decoder_y.storage(),
            encoder: self.encoder.storage(),
            cos: self.cos.storage(),
            sin: self.sin.storage(),
            eps: input.eps,
            dropout: input.dropout,
        }
    }
}

/// What a level is beside its tensors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) sizes: Sizes,
    pub(super) eps: f32,
    pub(super) dropout: Option<crate::dropout::DropoutMask>,
}

impl Settings {
    pub(super) fn of(input: &LevelInput) -> Self {
        let [lanes, _, tokens, width] = input.v.dims();
        let [heads, _, neurons] = input.decoder_x.dims();
        let sizes = Sizes {
            lanes,
            heads,
            tokens,
            neurons,
            width,
        };
        Self {
            sizes,
            eps: input.eps as f32,
            dropout: input.dropout,
        }
    }
}

/// The level, where its tensors are on the processor and without autodiff.
pub(super) fn untracked(input: &LevelInput) -> Option<LevelOutput> {
    let memory = Memory {
        v: plain(&input.v)?,
        decoder_x: plain(&input.decoder_x)?,
        decoder_y: plain(&input.decoder_y)?,
        encoder: plain(&input.encoder)?,
        cos: plain(&input.rotation.cos)?,
        sin: plain(&input.rotation.sin)?,
    };
    let settings = Settings::of(input);
    let Forward { u, active } = forward(&memory.operands(&settings));
    let Sizes {
        lanes,
        heads,
        tokens,
        neurons,
        ..
    } = settings.sizes;
    let entries = (lanes * heads * tokens * neurons) as f64;
    Some(LevelOutput {
        u: Tensor::from_primitive::<Flex>(tensor(u, input.v.dims())),
        x_density: active[0] as f64 / entries,
        y_density: active[1] as f64 / entries,
    })
}

/// A tensor from plain memory.
pub(super) fn tensor<const R: usize>(values: Vec<f32>, shape: [usize; R]) -> FlexTensor {
    debug_assert_eq!(values.len(), shape.iter().product::<usize>());
    let data = TensorData::new(values, Shape::from(shape));
    debug_assert_eq!(data.dtype(), DType::F32);
    FlexTensor::from_data(data)
}

/// What the forward pass gives.
pub(super) struct Forward {
    /// `[B, T, D]`.
    pub(super) u: Vec<f32>,
    /// Entries of x and of y above zero.
    active: [u64; 2],
}

/// All heads of all lanes, in parallel; heads are summed in their order, so the bits do not depend on the threads.
pub(super) fn forward(operands: &Operands<'_>) -> Forward {
    let Sizes {
        lanes,
        heads,
        tokens,
        width,
        ..
    } = operands.sizes;
    let size = tokens * width;
    let parts: Vec<(Vec<f32>, [u64; 2])> = (0..lanes * heads)
        .into_par_iter()
        .map(|index| {
            let head = operands.head(index / heads, index % heads);
            let mut u = vec![0.0; size];
            let active = with_scratch(|scratch| contribute(&head, scratch, &mut u));
            (u, active)
        })
        .collect();
    let mut active = [0; 2];
    for (_, part) in &parts {
        active[0] += part[0];
        active[1] += part[1];
    }
    let parts = parts.into_iter().map(|(u, _)| u);
    Forward {
        u: sum_heads(parts, lanes, heads, size),
        active,
    }
}

/// Parts lane by lane, head by head, summed over the heads of each lane.
pub(super) fn sum_heads(
    parts: impl Iterator<Item = Vec<f32>>,
    lanes: usize,
    heads: usize,
    size: usize,
) -> Vec<f32> {
    let mut sum = vec![0.0; lanes * size];
    for (index, part) in parts.enumerate() {
        let lane = index / heads;
        add(&mut sum[lane * size..(lane + 1) * size], &part);
    }
    sum
}

/// One head of one lane: its `[T, D]` part of u, and how many neurons were active.
fn contribute(head: &Head<'_>, scratch: &mut Scratch, u: &mut [f32]) -> [u64; 2] {
    let Sizes { tokens, width, .. } = head.sizes;
    head.first_half(scratch);
    let mut active = [0; 2];
    for tile in head.sizes.tiles() {
        let x = &scratch.x[head.place(&tile)];
        let y = sized(&mut scratch.gate, x.len());
        let a = Matrix::new(&scratch.a, tokens, width, width);
        multiply(y, tile.len(), a, head.columns(head.decoder_y, &tile), false);
        active[0] += count_active(x);
        gate(y, x);
        active[1] += count_active(y);
        if head.drops() {
            drop_out(head, &tile, y);
        }
        let y = Matrix::new(y, tokens, tile.len(), tile.len());
        multiply(u, width, y, head.encoder_rows(&tile), true);
    }
    active
}

/// Multiplies a tile by its dropout factors.
pub(super) fn drop_out(head: &Head<'_>, tile: &std::ops::Range<usize>, y: &mut [f32]) {
    for (t, row) in y.chunks_exact_mut(tile.len()).enumerate() {
        for (neuron, y) in tile.clone().zip(row) {
            *y *= head.kept(t, neuron);
        }
    }
}
