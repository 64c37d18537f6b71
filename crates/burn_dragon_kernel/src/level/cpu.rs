//! The forward pass of a level on the processor.

use super::elementwise::{add, gate};
use super::fused::{self, Fused};
use super::head::{Angles, Head, Operands};
use super::powers::Powers;
use super::read::Read;
use super::rho::{Carry, Rho};
use super::scratch::{Scratch, with_scratch};
use super::weights::LaidOutWeights;
use super::window::{Before, Window, Windows, chunk_length};
use crate::backend::level::{HalfOn, LevelOn, LevelRun, MemoryOn, Sizes};
use crate::buffer::Buffer;
use crate::causal_read::Credit;
use crate::dropout::DropoutMask;
use crate::flex::{contiguous, tensor};
use crate::matrix::Precision;
use crate::parallel::*;
use crate::reach::Reach;
use crate::retention::Resets;
use burn::backend::Flex;
use burn_flex::FlexTensor;
use std::sync::Arc;

/// A level, or half of one, in plain memory, and how its stream is cut.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(super) sizes: Sizes,
    v: FlexTensor,
    weights: LaidOutWeights,
    /// Cosines and sines; none for halves, which turn nothing.
    angles: Option<[FlexTensor; 2]>,
    /// Epsilon of the norm of reads; `None` if they are normed already.
    norm: Option<f32>,
    /// Steps in a unit of y, `[B, H, T]`, if it is rounded.
    pub(super) per_unit: Option<Arc<[f32]>>,
    dropout: Option<DropoutMask>,
    precision: Precision,
    windows: Arc<Windows>,
    powers: Option<Arc<Powers>>,
    credit: Credit,
    pub(super) reach: Reach,
    learns_slopes: bool,
}

impl Prepared {
    /// The whole of a level; `carried` is whether a memory goes through its stream.
    pub(super) fn level(input: LevelOn<Flex>, carried: bool) -> Self {
        let sizes = input.half.sizes;
        let chunk = match input.reach {
            Reach::Causal => input.chunk,
            Reach::Full => Some(sizes.tokens), // one window: all read all
        };
        let windows = Windows::new(sizes, &input.resets, chunk, carried);
        let powers = input.slopes.as_ref().map(|slopes| Powers::new(slopes, &windows));
        let fused =
            fused::available(input.half.precision) && input.reach == Reach::Causal && !input.learns_slopes;
        Self {
            angles: Some(input.angles.map(contiguous)),
            norm: Some(input.eps as f32),
            dropout: input.dropout,
            powers: powers.map(Arc::new),
            credit: input.credit,
            reach: input.reach,
            learns_slopes: input.learns_slopes,
            ..Self::half(input.half, windows, fused)
        }
    }

    /// Part of a level after the read.
    pub(super) fn speak(half: HalfOn<Flex>, norm: Option<f64>, dropout: Option<DropoutMask>) -> Self {
        Self {
            norm: norm.map(|eps| eps as f32),
            dropout,
            ..Self::perceive(half)
        }
    }

    /// Part of a level before the read. Here tokens do not depend on each other; windows only keep the working set in
    /// cache.
    pub(super) fn perceive(half: HalfOn<Flex>) -> Self {
        let sizes = half.sizes;
        let chunk = chunk_length(sizes.tokens, sizes.width, true);
        let windows = Windows::new(sizes, &Resets::default(), Some(chunk), false);
        Self::half(half, windows, false)
    }

    fn half(half: HalfOn<Flex>, windows: Windows, fused: bool) -> Self {
        Self {
            sizes: half.sizes,
            v: contiguous(half.v),
            weights: LaidOutWeights::of(half.weights, half.sizes, fused),
            angles: None,
            norm: None,
            per_unit: None,
            dropout: None,
            precision: half.precision,
            windows: Arc::new(windows),
            powers: None,
            credit: Credit::Full,
            reach: Reach::Causal,
            learns_slopes: false,
        }
    }

    /// Its sizes and slices.
    pub(super) fn operands(&self) -> Operands<'_> {
        Operands {
            sizes: self.sizes,
            v: self.v.storage(),
            weights: &self.weights,
            angles: self.angles.as_ref().map(|[cos, sin]| Angles {
                cos: cos.storage(),
                sin: sin.storage(),
            }),
            norm: self.norm,
            per_unit: self.per_unit.as_deref(),
            dropout: self.dropout,
            precision: self.precision,
            windows: &self.windows,
            powers: self.powers.as_deref(),
            credit: self.credit,
            slopes: self.learns_slopes,
        }
    }
}

/// Data that the gradient of a level needs.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(super) prepared: Prepared,
    /// Reads, lane by lane and head by head, each window by window.
    pub(super) reads: Arc<[Vec<Read>]>,
    /// The memory before the stream.
    pub(super) rho: Option<FlexTensor>,
    /// Whether the memory after the stream is part of the output, behind u, and the one before it a parent in the
    /// graph.
    pub(super) passes: bool,
}

/// A level on the processor.
pub(crate) fn level(input: LevelOn<Flex>, memory: MemoryOn<Flex>, keep: bool) -> LevelRun<Flex, Kept> {
    let prepared = Prepared::level(input, !matches!(memory, MemoryOn::None));
    let operands = prepared.operands();
    let (mut passes, mut memory_after, mut before) = (false, None, None);
    let found = match memory {
        MemoryOn::None => forward(&operands, prepared.reach, None, keep),
        MemoryOn::Extended(rho) => {
            let mut rho = contiguous(rho);
            let carry = Carry {
                before: None,
                after: rho.storage_mut(),
            };
            let found = forward(&operands, prepared.reach, Some(carry), keep);
            memory_after = Some(rho);
            found
        }
        MemoryOn::Constant(rho) => {
            let rho = contiguous(rho);
            let (found, after) = beside(&prepared, &rho, keep);
            memory_after = Some(tensor(after, rho.layout().shape().clone()));
            before = Some(rho);
            found
        }
        MemoryOn::Passed(rho) => {
            let rho = contiguous(rho);
            let (mut found, mut after) = beside(&prepared, &rho, keep);
            found.u.append(&mut after);
            (passes, before) = (true, Some(rho));
            found
        }
    };
    let Forward { u, reads, active } = found;
    let shape = match passes {
        true => vec![u.len()],
        false => prepared.sizes.stream().to_vec(),
    };
    LevelRun {
        u: tensor(u, shape),
        memory: memory_after,
        active,
        kept: keep.then(|| Kept {
            prepared,
            reads: reads.into(),
            rho: before,
            passes,
        }),
    }
}

/// The forward pass with a memory that stays as it is, and the memory after it.
fn beside(prepared: &Prepared, rho: &FlexTensor, keep: bool) -> (Forward, Vec<f32>) {
    let before: &[f32] = rho.storage();
    let mut after = vec![0.0; before.len()];
    let carry = Carry {
        before: Some(before),
        after: &mut after,
    };
    let found = forward(&prepared.operands(), prepared.reach, Some(carry), keep);
    (found, after)
}

/// Output of the forward pass.
pub(super) struct Forward {
    /// `[B, T, D]`.
    pub(super) u: Vec<f32>,
    /// Reads, lane by lane and head by head, each window by window: all that the gradient needs. Empty unless kept.
    pub(super) reads: Vec<Vec<Read>>,
    /// Entries of x and of y above zero.
    pub(super) active: [u64; 2],
}

/// Output of one head of one lane: its `[T, D]` part of u, its reads, and the numbers of active x and y.
pub(super) type OfHead = (Buffer, Vec<Read>, [u64; 2]);

impl Forward {
    /// The sum of all heads of all lanes, in their order, so that the bits do not depend on the threads.
    pub(super) fn sum(heads: Vec<OfHead>, sizes: Sizes) -> Self {
        let size = sizes.tokens * sizes.width;
        let mut forward = Self {
            u: vec![0.0; sizes.lanes * size],
            reads: Vec::new(),
            active: [0; 2],
        };
        for (index, (u, reads, active)) in heads.into_iter().enumerate() {
            let lane = index / sizes.heads;
            add(&mut forward.u[lane * size..(lane + 1) * size], &u);
            forward.reads.push(reads);
            forward.active[0] += active[0];
            forward.active[1] += active[1];
        }
        forward
    }
}

/// All heads of all lanes, in parallel.
///
/// `rho`, `[B, H, N, D]`, is read, and becomes the memory after the stream.
fn forward(operands: &Operands<'_>, reach: Reach, rho: Option<Carry<'_>>, keep: bool) -> Forward {
    let Sizes {
        lanes,
        heads,
        tokens,
        neurons,
        width,
    } = operands.sizes;
    let memories: Vec<Option<Carry<'_>>> = match rho {
        Some(rho) => rho.split(neurons * width).map(Some).collect(),
        None => (0..lanes * heads).map(|_| None).collect(),
    };
    let parts: Vec<OfHead> = memories
        .into_par_iter()
        .enumerate()
        .map(|(index, rho)| {
            let head = operands.head(index / heads, index % heads);
            let (mut u, mut reads) = (Buffer::zeros(tokens * width), Vec::new());
            let keep = keep.then_some(&mut reads);
            let windows = operands.windows(index / heads);
            let active = with_scratch(|scratch| match reach {
                Reach::Causal => contribute(&head, windows, rho, scratch, keep, &mut u),
                Reach::Full => contribute_whole(&head, rho, scratch, keep, &mut u),
            });
            (u, reads, active)
        })
        .collect();
    Forward::sum(parts, operands.sizes)
}

/// One head of one lane, window by window: its `[T, D]` part of u, and the numbers of active x and y. The reads go to
/// `keep`.
fn contribute(
    head: &Head<'_>,
    windows: &[Window],
    carried: Option<Carry<'_>>,
    scratch: &mut Scratch,
    mut keep: Option<&mut Vec<Read>>,
    u: &mut [f32],
) -> [u64; 2] {
    let Sizes { neurons, width, .. } = head.sizes;
    let mut own = std::mem::take(&mut scratch.rho);
    let mut rho = match carried {
        Some(carry) => Rho::carried(carry),
        None if windows.iter().any(|window| window.writes) => Rho::empty(own.sized(neurons * width)),
        None => Rho::none(),
    };
    let (mut read, mut active) = (Read::default(), [0; 2]);
    for window in windows {
        let part = head.window(&window.tokens);
        if window.before == Before::Empty {
            rho.clear();
        }
        let u = &mut u[head.sizes.rows_of(&window.tokens)];
        let counts = match Fused::of(&part) {
            Some(fused) => {
                fused.first_half(scratch, &mut read, &mut rho, window.writes);
                fused.second_half(scratch, &read, u)
            }
            None => {
                part.first_half(scratch, &mut read, &mut rho, window.writes);
                second_half(&part, scratch, &read, u)
            }
        };
        (0..2).for_each(|which| active[which] += counts[which]);
        if let Some(reads) = &mut keep {
            reads.push(std::mem::take(&mut read));
        }
    }
    scratch.rho = own;
    active
}

/// [`contribute`] for full reach.
fn contribute_whole(
    head: &Head<'_>,
    carried: Option<Carry<'_>>,
    scratch: &mut Scratch,
    keep: Option<&mut Vec<Read>>,
    u: &mut [f32],
) -> [u64; 2] {
    let mut read = Read::default();
    head.read_whole(scratch, &mut read, carried);
    let active = second_half(head, scratch, &read, u);
    if let Some(reads) = keep {
        reads.push(read);
    }
    active
}

/// From the read to `[T, D]` of u, and the numbers of active x and y; x is in the buffers.
pub(super) fn second_half(head: &Head<'_>, scratch: &mut Scratch, read: &Read, u: &mut [f32]) -> [u64; 2] {
    let Sizes { tokens, width, .. } = head.sizes;
    let a = scratch.a.share(head.precision, &read.a[..tokens * width], width);
    let mut active = [0; 2];
    for tile in head.sizes.tiles() {
        let x = &scratch.x[head.place(&tile)];
        let y = scratch.y.sized(x.len());
        scratch.fired.mark(x, tile.len());
        head.open(&tile, a, &scratch.fired, y);
        gate(y, x);
        scratch.kept.mark(y, tile.len());
        active[0] += scratch.fired.active();
        active[1] += scratch.kept.active();
        // Both make zeros, which products skip.
        if head.round(&tile, y) | head.drop_out(&tile, y) {
            scratch.kept.mark(y, tile.len());
        }
        head.add_to_width(y, &scratch.kept, head.rows(head.encoder, &tile), u);
    }
    active
}
