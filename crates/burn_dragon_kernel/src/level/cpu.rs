//! The forward pass of a level on the processor.

use super::chunked::{Carry, Rho};
use super::elementwise::{add, gate};
use super::retention::{Before, Powers, Window, Windows};
use super::tile::{Head, Operands, Read, Scratch, Sizes};
use super::weights::NeuronRows;
use super::{LevelInput, LevelOutput};
use crate::buffer::Buffer;
use crate::causal_read::Credit;
use crate::dropout::DropoutMask;
use crate::flex::{plain, tensor};
use crate::matrix::Precision;
use burn::backend::Flex;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs with this thread's buffers.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(work)
}

/// A level in plain memory.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) sizes: Sizes,
    v: FlexTensor,
    rows: Arc<NeuronRows>,
    cos: FlexTensor,
    sin: FlexTensor,
    eps: f32,
    dropout: Option<DropoutMask>,
    precision: Precision,
    windows: Arc<Windows>,
    powers: Option<Arc<Powers>>,
    pub(super) credit: Credit,
    slopes: bool,
}

/// How a stream is cut and what goes through it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Tokens of a window at most; None: as many as take least work.
    pub(super) chunk: Option<usize>,
    /// Whether a memory goes through.
    pub(super) carried: bool,
}

impl Memory {
    /// The level of an input, from its stream and its weights (decoder_x, decoder_y, encoder) on the processor.
    pub(super) fn new(
        input: &LevelInput,
        v: FlexTensor,
        weights: [&FlexTensor; 3],
        form: Form,
    ) -> Option<Self> {
        let [lanes, _, tokens, width] = input.v.dims();
        let [heads, _, neurons] = input.weights.decoder_x().dims();
        let sizes = Sizes {
            lanes,
            heads,
            tokens,
            neurons,
            width,
        };
        let windows = Windows::new(sizes, &input.retention.resets, form.chunk, form.carried);
        Some(Self {
            sizes,
            v,
            rows: input.weights.rows(weights),
            cos: plain(&input.rotation.cos)?,
            sin: plain(&input.rotation.sin)?,
            eps: input.eps as f32,
            dropout: input.dropout,
            precision: input.precision,
            powers: Powers::new(&input.retention, &windows).map(Arc::new),
            windows: Arc::new(windows),
            credit: input.credit,
            slopes: input.retention.is_learnt(),
        })
    }

    /// The level of an input without autodiff.
    pub(super) fn untracked(input: &LevelInput, form: Form) -> Option<Self> {
        if input.retention.is_learnt() {
            return None; // what is computed with slopes that have autodiff has it too
        }
        let weights = &input.weights;
        let weights = [
            plain(weights.decoder_x())?,
            plain(weights.decoder_y())?,
            plain(weights.encoder())?,
        ];
        Self::new(input, plain(&input.v)?, weights.each_ref(), form)
    }

    /// Its sizes and slices.
    pub(super) fn operands(&self) -> Operands<'_> {
        Operands {
            sizes: self.sizes,
            v: self.v.storage(),
            rows: &self.rows,
            cos: self.cos.storage(),
            sin: self.sin.storage(),
            eps: self.eps,
            dropout: self.dropout,
            precision: self.precision,
            windows: &self.windows,
            powers: self.powers.as_deref(),
            credit: self.credit,
            slopes: self.slopes,
        }
    }
}

/// The level, where its tensors are on the processor and without autodiff.
pub(super) fn untracked(input: &LevelInput, chunk: Option<usize>) -> Option<LevelOutput> {
    let form = Form {
        chunk,
        carried: false,
    };
    let memory = Memory::untracked(input, form)?;
    let Forward { u, active, .. } = forward(&memory.operands(), None, false);
    let Sizes {
        lanes,
        heads,
        tokens,
        neurons,
        ..
    } = memory.sizes;
    let entries = (lanes * heads * tokens * neurons) as f64;
    Some(LevelOutput {
        u: Tensor::from_primitive::<Flex>(tensor(u, input.v.dims())),
        x_density: active[0] as f64 / entries,
        y_density: active[1] as f64 / entries,
    })
}

/// What the forward pass gives.
pub(super) struct Forward {
    /// `[B, T, D]`.
    pub(super) u: Vec<f32>,
    /// What memory answered, lane by lane and head by head, window by window each: all that the gradient needs. None
    /// unless it is kept.
    pub(super) reads: Vec<Vec<Read>>,
    /// Entries of x and of y above zero.
    active: [u64; 2],
}

/// All heads of all lanes, in parallel; heads are summed in their order, so the bits do not depend on the threads.
///
/// `rho`, `[B, H, N, D]`, is read, and becomes the memory after the stream.
pub(super) fn forward(operands: &Operands<'_>, rho: Option<Carry<'_>>, keep: bool) -> Forward {
    let Sizes {
        lanes,
        heads,
        tokens,
        neurons,
        width,
    } = operands.sizes;
    let size = tokens * width;
    let memories: Vec<Option<Carry<'_>>> = match rho {
        Some(rho) => rho.split(neurons * width).map(Some).collect(),
        None => (0..lanes * heads).map(|_| None).collect(),
    };
    let parts: Vec<(Buffer, Vec<Read>, [u64; 2])> = memories
        .into_par_iter()
        .enumerate()
        .map(|(index, rho)| {
            let head = operands.head(index / heads, index % heads);
            let (mut u, mut reads) = (Buffer::zeros(size), Vec::new());
            let keep = keep.then_some(&mut reads);
            let windows = operands.windows(index / heads);
            let active = with_scratch(|scratch| contribute(&head, windows, rho, scratch, keep, &mut u));
            (u, reads, active)
        })
        .collect();
    let mut forward = Forward {
        u: vec![0.0; lanes * size],
        reads: Vec::new(),
        active: [0; 2],
    };
    for (index, (u, reads, active)) in parts.into_iter().enumerate() {
        let lane = index / heads;
        add(&mut forward.u[lane * size..(lane + 1) * size], &u);
        forward.reads.push(reads);
        forward.active[0] += active[0];
        forward.active[1] += active[1];
    }
    forward
}

/// One head of one lane, window by window: its `[T, D]` part of u, and how many neurons were active. What was read
/// goes to `keep`.
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
        part.first_half(scratch, &mut read, &mut rho, window.writes);
        let counts = second_half(&part, scratch, &read, &mut u[head.sizes.rows_of(&window.tokens)]);
        (0..2).for_each(|which| active[which] += counts[which]);
        if let Some(reads) = &mut keep {
            reads.push(std::mem::take(&mut read));
        }
    }
    scratch.rho = own;
    active
}

/// From what was read to `[T, D]` of u, and how many neurons were active.
fn second_half(head: &Head<'_>, scratch: &mut Scratch, read: &Read, u: &mut [f32]) -> [u64; 2] {
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
        if head.drop_out(&tile, y) {
            scratch.kept.mark(y, tile.len());
        }
        head.add_to_width(y, &scratch.kept, head.rows(head.encoder, &tile), u);
    }
    active
}
