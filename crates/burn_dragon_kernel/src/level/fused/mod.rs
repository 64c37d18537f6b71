//! Level in bf16 whose elementwise work is part of its products.
//!
//! A product is computed in blocks of 32 tokens and 32 neurons. While a block is in the first-level cache, the
//! elementwise work on it is done in f32, and the result is packed in bf16 as the factor that the next product reads.
//! So no neuron-wide number is written or read in f32:
//!
//! ```text
//! forward    x block = v decoder_x   -> relu, rotate          -> x, q
//!            y block = a decoder_y   -> relu, times x, drop    -> y
//! backward   x block, g block = a decoder_y, dy block = du encoder^T
//!                                    -> as above, gate backward -> q, y, dg, dx
//!            dq block = M q          -> unrotate, add, where x  -> dx
//! ```
//!
//! The tile products read these factors: scores from q, u from y, and the gradients of v, a and the weights. Sums are f32
//! throughout. Compared with the general form (`cpu.rs`, `backward.rs`), only x and the part of dx through the gate are
//! rounded to bf16 as well, on their way from one half to the other. Zeros are not skipped: at the speed of these
//! products that does not pay.
//!
//! It is for processors with products of bf16 and causal reads. If gradients of slopes are wanted, the general form
//! is used.

mod backward;
mod block;
mod forward;
mod weights;

pub(super) use block::{Angles, Kept};
pub(super) use weights::{HeadPanels, Panels};

use super::between::Around;
use super::gradients::HeadGradients;
use super::head::Head;
use super::read::Read;
use super::rho::Rho;
use super::scratch::Scratch;
use crate::backend::level::Sizes;
use crate::matrix::native::{amx, dot};
use crate::matrix::{DEPTH, PANEL, Packing, Precision};
use std::ops::Range;

/// Calls a function with the type of the processor's products in bf16.
macro_rules! with_products {
    ($B:ident => $call:expr) => {
        if amx::available() {
            type $B = amx::Tiles;
            $call
        } else {
            type $B = dot::Vectors;
            $call
        }
    };
}

/// One head of one lane in one window: its tokens, and its weights.
#[derive(Clone, Copy)]
pub(super) struct Fused<'a> {
    head: &'a Head<'a>,
    weights: &'a HeadPanels,
}

impl<'a> Fused<'a> {
    /// The head, if its products are fused.
    pub(super) fn of(head: &'a Head<'a>) -> Option<Self> {
        head.panels.map(|weights| Self { head, weights })
    }

    /// Computes x, scores and the normed read. The tokens read `rho`, and write to it after that.
    pub(super) fn first_half(&self, scratch: &mut Scratch, read: &mut Read, rho: &mut Rho<'_>, write: bool) {
        with_products!(B => forward::first_half::<B>(self, scratch, read, rho, write));
    }

    /// From the read to `[T, D]` of u, and the numbers of active x and y; x is in the buffers.
    pub(super) fn second_half(&self, scratch: &mut Scratch, read: &Read, u: &mut [f32]) -> [u64; 2] {
        with_products!(B => forward::second_half::<B>(self, scratch, read, u))
    }

    /// The memory after the window from the memory before it, `[N, D]` each.
    pub(super) fn remember(&self, scratch: &mut Scratch, before: Option<&[f32]>, after: &mut [f32]) {
        with_products!(B => forward::remember::<B>(self, scratch, before, after));
    }

    /// Gradients from `du` to v, the weights and the memories around the window.
    pub(super) fn back(
        &self,
        scratch: &mut Scratch,
        read: &Read,
        du: &[f32],
        around: Around<'_, '_>,
        dv: &mut [f32],
        part: &mut HeadGradients<'_>,
    ) {
        let memories = around.any();
        with_products!(B => {
            backward::through_gate::<B>(self, scratch, read, du, memories, part);
            backward::through_read::<B>(self, scratch, read, around, dv, part);
        });
        part.is_begun = true;
    }
}

/// Whether products in this precision are fused with the work between them.
pub(super) fn available(precision: Precision) -> bool {
    precision == Precision::Bf16 && crate::matrix::native::Unit::of(precision).is_some()
}

/// Neurons of a tile: whole blocks of the packed layout, as many as stay in the second-level cache.
const TILE: usize = DEPTH;

impl Sizes {
    /// Neurons of the tiles.
    pub(super) fn fused_tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let neurons = self.neurons;
        (0..neurons)
            .step_by(TILE)
            .map(move |start| start..neurons.min(start + TILE))
    }

    /// First token and first neuron of the blocks of a tile, neurons first.
    fn blocks_of(&self, tile: &Range<usize>) -> impl Iterator<Item = [usize; 2]> + use<> {
        let tokens = self.tokens;
        let neurons = tile.clone().step_by(PANEL);
        neurons.flat_map(move |n| (0..tokens).step_by(PANEL).map(move |t| [t, n]))
    }
}

/// Active neurons of one head of one lane, block by block.
#[derive(Default)]
struct Marks {
    blocks: Vec<block::Active>, // [N / 32, T / 32]
    columns: usize,
}

impl Marks {
    /// Room for these sizes, whatever it holds.
    fn begin(&mut self, tokens: usize, neurons: usize) {
        self.columns = tokens.div_ceil(PANEL);
        self.blocks
            .resize(self.columns * neurons.div_ceil(PANEL), [0; PANEL]);
    }

    /// Those of the block with these first token and neuron.
    fn of(&mut self, [t, n]: [usize; 2]) -> &mut block::Active {
        &mut self.blocks[n / PANEL * self.columns + t / PANEL]
    }
}

/// Reused buffers of one head of one lane: factors in bf16.
#[derive(Default)]
pub(super) struct Room {
    x: Packing,        // forward: [T, N], left
    active: Marks,     // backward: of x
    dx: Packing,       // [T, N], left: the part through the gate
    q_keys: Packing,   // forward: q^T of a tile, right; backward: q, [T, N], right
    q_left: Packing,   // [T, C] or [T, N], left
    q_turned: Packing, // q^T, [C, T] or [N, T], left
    left: Packing,     // [T, C], left: a tile of y, of its gate's gradient, of dx
    right: Packing,    // [T, C], right
    encoded: Packing,  // [C, T], left: a tile of y, transposed
    v_turned: Packing, // v^T, [D, T], left
    v_keys: Packing,   // v^T, [D, T], right
    a_turned: Packing, // a^T
    before: Packing,   // [D, C], right: a tile of a memory, transposed
    later: Packing,    // the same of the gradient of one
}
