//! The gated delta rule on the processor, in chunks of tokens. A head of a lane is a task.
//!
//! Lengths of queries are factors of scores and of rows that are as wide as the model, so nothing but products touches what is
//! as wide as a key. Chunks end where memory is emptied. With `P_ts = left_ts (k_t . k_s)`, and queries that are the keys:
//!
//! ```text
//! read_t = before_t + sum over s < t of P_ts u_s        before_t: what is read of the memory before the chunk
//! u_t    = beta_t (v_t - read_t)
//! ```
//!
//! The way back keeps reads, updates, scores and lengths; the memories before the chunks are computed again.

mod backward;
mod chunk;
mod forward;

use super::EPS;
use crate::backend::recurrence::{OutputGradients, Ran};
use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use crate::retention::Resets;
use burn::backend::Flex;
use burn_flex::FlexTensor;
use chunk::CHUNK;
use std::ops::Range;

/// Sizes of the tensors.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    lanes: usize,
    heads: usize,
    tokens: usize,
    keys: usize,
    width: usize,
}

impl Sizes {
    fn of([q, v, ..]: &[FlexTensor; 5]) -> Self {
        let (q, v) = (q.layout().shape(), v.layout().shape());
        Self {
            lanes: q[0],
            heads: q[1],
            tokens: q[2],
            keys: q[3],
            width: v[3],
        }
    }

    /// Heads of all lanes.
    fn all_heads(&self) -> usize {
        self.lanes * self.heads
    }

    /// Numbers in the memory of a head.
    fn memory(&self) -> usize {
        self.keys * self.width
    }

    fn reads(&self) -> [usize; 4] {
        [self.lanes, self.heads, self.tokens, self.width]
    }

    fn scores(&self) -> [usize; 4] {
        [self.lanes, self.heads, self.tokens, CHUNK]
    }

    fn gates(&self) -> [usize; 3] {
        [self.lanes, self.heads, self.tokens]
    }
}

/// Numbers of a shape.
fn count<const R: usize>(shape: [usize; R]) -> usize {
    shape.into_iter().product()
}

/// One head of one lane.
#[derive(Debug)]
struct Head<'a> {
    sizes: Sizes,
    q: &'a [f32],         // [T, K]
    v: &'a [f32],         // [T, D]
    beta: &'a [f32],      // [T]
    log_decay: &'a [f32], // [T]
    memory: &'a [f32],    // [K, D]
    /// The window, cut before each reset.
    pieces: Vec<Range<usize>>,
    /// Whether the memory before the window is emptied at its first token.
    starts_empty: bool,
}

impl Head<'_> {
    /// Chunks in order, and whether the memory before each is empty.
    fn chunks(&self) -> Vec<(Range<usize>, bool)> {
        let starts = |piece: &Range<usize>| {
            let (end, is_first) = (piece.end, piece.start == 0);
            let empty = !is_first || self.starts_empty;
            let first = piece.start;
            piece
                .clone()
                .step_by(CHUNK)
                .map(move |start| (start..end.min(start + CHUNK), empty && start == first))
        };
        self.pieces.iter().flat_map(starts).collect()
    }
}

/// The operands in contiguous memory: q, v, beta, the logarithms of decay, and the memory.
struct Operands<'a> {
    sizes: Sizes,
    tensors: [FlexTensor; 5],
    resets: &'a Resets,
}

impl<'a> Operands<'a> {
    fn new(operands: &[FlexTensor; 5], resets: &'a Resets) -> Self {
        Self {
            sizes: Sizes::of(operands),
            tensors: operands.clone().map(contiguous),
            resets,
        }
    }

    /// Heads of all lanes, in order.
    fn heads(&self) -> impl Iterator<Item = Head<'_>> {
        let sizes = self.sizes;
        let [q, v, beta, log_decay, memory] = self.tensors.each_ref().map(FlexTensor::storage::<f32>);
        (0..sizes.all_heads()).map(move |index| {
            let lane = index / sizes.heads;
            Head {
                sizes,
                q: part(q, index, sizes.tokens * sizes.keys),
                v: part(v, lane, sizes.tokens * sizes.width),
                beta: part(beta, index, sizes.tokens),
                log_decay: part(log_decay, index, sizes.tokens),
                memory: part(memory, index, sizes.memory()),
                pieces: self.resets.pieces(lane, sizes.tokens).collect(),
                starts_empty: self.resets.of_lane(lane).first() == Some(&0),
            }
        })
    }
}

/// Part number `index` of parts of `size` numbers.
fn part(data: &[f32], index: usize, size: usize) -> &[f32] {
    &data[index * size..][..size]
}

/// The reads and the memory after the window, and what the gradient needs: reads, updates, scores and lengths.
pub(crate) fn gated_delta(operands: &[FlexTensor; 5], resets: &Resets) -> ([FlexTensor; 2], Vec<FlexTensor>) {
    let operands = Operands::new(operands, resets);
    let sizes = operands.sizes;
    let [mut read, mut updates] = [(); 2].map(|()| vec![0.0; count(sizes.reads())]);
    let (mut scores, mut lengths) = (vec![0.0; count(sizes.scores())], vec![0.0; count(sizes.gates())]);
    let mut memory = vec![0.0; sizes.all_heads() * sizes.memory()];
    let tasks: Vec<_> = operands
        .heads()
        .zip(read.chunks_exact_mut(sizes.tokens * sizes.width))
        .zip(updates.chunks_exact_mut(sizes.tokens * sizes.width))
        .zip(scores.chunks_exact_mut(sizes.tokens * CHUNK))
        .zip(lengths.chunks_exact_mut(sizes.tokens))
        .zip(memory.chunks_exact_mut(sizes.memory()))
        .map(|(((((head, read), updates), scores), lengths), memory)| {
            let found = forward::Found {
                read,
                updates,
                scores,
                lengths,
                memory,
            };
            (head, found)
        })
        .collect();
    tasks
        .into_par_iter()
        .for_each(|(head, mut found)| forward::head(&head, &mut found));
    let read = tensor(read, sizes.reads());
    let kept = vec![
        read.clone(),
        tensor(updates, sizes.reads()),
        tensor(scores, sizes.scores()),
        tensor(lengths, sizes.gates()),
    ];
    let memory = tensor(memory, operands.tensors[4].layout().shape().clone());
    ([read, memory], kept)
}

/// The gradients of the operands; the memory's if it is wanted.
pub(crate) fn gated_delta_back(
    ran: &Ran<Flex, 5>,
    resets: &Resets,
    d: OutputGradients<Flex>,
    wants_memory: bool,
) -> [Option<FlexTensor>; 5] {
    let operands = Operands::new(&ran.operands, resets);
    let sizes = operands.sizes;
    let (d_read, d_memory) = (contiguous(d.read), d.memory.map(contiguous));
    let kept: Vec<&[f32]> = ran.kept.iter().map(FlexTensor::storage::<f32>).collect();

    let mut dq = vec![0.0; count(sizes.reads()) / sizes.width * sizes.keys];
    let mut dv = vec![0.0; count(sizes.reads())];
    let [mut of_beta, mut of_decay] = [(); 2].map(|()| vec![0.0; count(sizes.gates())]);
    let mut of_memory = vec![
        0.0;
        if wants_memory {
            sizes.all_heads() * sizes.memory()
        } else {
            0
        }
    ];
    let mut memories = of_memory.chunks_exact_mut(sizes.memory());
    let tasks: Vec<_> = operands
        .heads()
        .zip(dq.chunks_exact_mut(sizes.tokens * sizes.keys))
        .zip(dv.chunks_exact_mut(sizes.tokens * sizes.width))
        .zip(of_beta.chunks_exact_mut(sizes.tokens))
        .zip(of_decay.chunks_exact_mut(sizes.tokens))
        .enumerate()
        .map(|(index, ((((head, q), v), beta), decay))| {
            let wide = sizes.tokens * sizes.width;
            let outputs = backward::Outputs {
                d_read: part(d_read.storage(), index, wide),
                d_memory: d_memory
                    .as_ref()
                    .map(|d| part(d.storage(), index, sizes.memory())),
                read: part(kept[0], index, wide),
                updates: part(kept[1], index, wide),
                scores: part(kept[2], index, sizes.tokens * CHUNK),
                lengths: part(kept[3], index, sizes.tokens),
            };
            let gradients = backward::Gradients {
                q,
                v,
                beta,
                decay,
                memory: memories.next(),
            };
            (head, outputs, gradients)
        })
        .collect();
    tasks
        .into_par_iter()
        .for_each(|(head, outputs, mut gradients)| backward::head(&head, &outputs, &mut gradients));

    let dv = sum_of_parts(&dv, sizes.heads, sizes.tokens * sizes.width);
    let shapes = operands
        .tensors
        .each_ref()
        .map(|tensor| tensor.layout().shape().clone());
    let [of_q, of_v, beta, decay, memory] = shapes;
    [
        Some(tensor(dq, of_q)),
        Some(tensor(dv, of_v)),
        Some(tensor(of_beta, beta)),
        Some(tensor(of_decay, decay)),
        wants_memory.then(|| tensor(of_memory, memory)),
    ]
}
