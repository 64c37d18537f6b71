//! Decayed means on the processor. A head of a lane is a task, which takes its neurons in tiles.

mod backward;
mod forward;
mod tile;

use super::{DecayedMeanForm, EPS};
use crate::backend::recurrence::OutputGradients;
use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use crate::simd::{LANES, vectorized};
use burn::backend::Flex;
use burn_flex::FlexTensor;
use std::borrow::Cow;
use std::ops::Range;
use tile::WIDE;

/// Sizes of the tensors.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    lanes: usize,
    heads: usize,
    tokens: usize,
    neurons: usize,
    width: usize,
    /// Width in whole vectors.
    padded: usize,
}

impl Sizes {
    fn of([q, v, ..]: &[FlexTensor; 4]) -> Self {
        let (q, v) = (q.layout().shape(), v.layout().shape());
        let width = v[3];
        Self {
            lanes: q[0],
            heads: q[1],
            tokens: q[2],
            neurons: q[3],
            width,
            padded: width.next_multiple_of(LANES),
        }
    }

    /// Numbers in the memory of a head.
    fn memory(&self) -> usize {
        self.neurons * (self.width + 1)
    }

    fn all_heads(&self) -> usize {
        self.lanes * self.heads
    }
}

/// One head of one lane.
#[derive(Debug)]
struct Head<'a> {
    sizes: Sizes,
    q: &'a [f32],         // [T, N]
    v: &'a [f32],         // [T, padded]
    log_decay: &'a [f32], // [N]
    memory: &'a [f32],    // [N, D + 1]
    /// Reciprocals of the sums of queries, `[T]`.
    scales: Vec<f32>,
    /// The window, cut before each reset.
    pieces: Vec<Range<usize>>,
    /// Whether the memory before the window is emptied at its first token.
    starts_empty: bool,
}

/// The operands in contiguous memory.
struct Operands<'a> {
    sizes: Sizes,
    q: FlexTensor,
    log_decay: FlexTensor,
    memory: FlexTensor,
    v: FlexTensor,
    form: &'a DecayedMeanForm,
}

impl<'a> Operands<'a> {
    fn new(operands: &[FlexTensor; 4], form: &'a DecayedMeanForm) -> Self {
        let sizes = Sizes::of(operands);
        let [q, v, log_decay, memory] = operands.clone().map(contiguous);
        Self {
            sizes,
            q,
            log_decay,
            memory,
            v,
            form,
        }
    }

    /// Heads of all lanes, in order; `v` has padded rows.
    fn heads<'b>(&'b self, v: &'b [f32]) -> impl Iterator<Item = Head<'b>> {
        let sizes = self.sizes;
        let (q, log_decay) = (self.q.storage::<f32>(), self.log_decay.storage::<f32>());
        let memory = self.memory.storage::<f32>();
        (0..sizes.all_heads()).map(move |index| {
            let (lane, head) = (index / sizes.heads, index % sizes.heads);
            let of = |data: &'b [f32], index: usize, size: usize| &data[index * size..][..size];
            let q = of(q, index, sizes.tokens * sizes.neurons);
            Head {
                sizes,
                q,
                v: of(v, lane, sizes.tokens * sizes.padded),
                log_decay: of(log_decay, head, sizes.neurons),
                memory: of(memory, index, sizes.memory()),
                scales: scales(q, sizes.neurons),
                pieces: self.form.resets.pieces(lane, sizes.tokens).collect(),
                starts_empty: self.form.resets.of_lane(lane).first() == Some(&0),
            }
        })
    }
}

vectorized! {
    /// Reciprocals of the sums of queries, none below 0.
    scales(q: &[f32], neurons: usize) -> Vec<f32> {
        let of_token = |q: &[f32]| {
            let (rows, rest) = q.as_chunks::<WIDE>();
            let mut sums = [0.0; WIDE];
            for row in rows {
                for column in 0..WIDE {
                    sums[column] += row[column].max(0.0);
                }
            }
            let rest = rest.iter().map(|q| q.max(0.0));
            (sums.into_iter().chain(rest).sum::<f32>() + EPS as f32).recip()
        };
        q.chunks_exact(neurons).map(of_token).collect()
    }
}

/// Rows of `width` numbers as rows of `padded`, the rest zeros.
fn padded(rows: &[f32], width: usize, padded: usize) -> Cow<'_, [f32]> {
    if width == padded {
        return Cow::Borrowed(rows);
    }
    let mut wide = vec![0.0; rows.len() / width * padded];
    for (wide, row) in wide.chunks_exact_mut(padded).zip(rows.chunks_exact(width)) {
        wide[..width].copy_from_slice(row);
    }
    Cow::Owned(wide)
}

/// The inverse of [`padded`].
fn cut(rows: Vec<f32>, width: usize, padded: usize) -> Vec<f32> {
    if width == padded {
        return rows;
    }
    rows.chunks_exact(padded)
        .flat_map(|row| &row[..width])
        .copied()
        .collect()
}

/// The reads and the memory after the window.
pub(crate) fn decayed_mean(operands: &[FlexTensor; 4], form: &DecayedMeanForm) -> [FlexTensor; 2] {
    let operands = Operands::new(operands, form);
    let sizes = operands.sizes;
    let v = padded(operands.v.storage(), sizes.width, sizes.padded);
    let mut read = vec![0.0; sizes.all_heads() * sizes.tokens * sizes.padded];
    let mut memory = vec![0.0; sizes.all_heads() * sizes.memory()];
    let tasks: Vec<_> = operands
        .heads(&v)
        .zip(read.chunks_exact_mut(sizes.tokens * sizes.padded))
        .zip(memory.chunks_exact_mut(sizes.memory()))
        .collect();
    tasks
        .into_par_iter()
        .for_each(|((head, read), memory)| forward::head(&head, read, memory));
    let shape = [sizes.lanes, sizes.heads, sizes.tokens, sizes.width];
    [
        tensor(cut(read, sizes.width, sizes.padded), shape),
        tensor(memory, operands.memory.layout().shape().clone()),
    ]
}

/// The gradients of q, v, the logarithms of decay and the memory; the last if it is wanted.
pub(crate) fn decayed_mean_back(
    operands: &[FlexTensor; 4],
    read: &FlexTensor,
    form: &DecayedMeanForm,
    d: OutputGradients<Flex>,
    wants_memory: bool,
) -> [Option<FlexTensor>; 4] {
    let operands = Operands::new(operands, form);
    let sizes = operands.sizes;
    let v = padded(operands.v.storage(), sizes.width, sizes.padded);
    let (d_read, d_memory) = (contiguous(d.read), d.memory.map(contiguous));
    let along = dots(read.storage(), d_read.storage(), sizes.width);
    let d_read = padded(d_read.storage(), sizes.width, sizes.padded);
    let d_memory = d_memory.as_ref().map(|d| d.storage::<f32>());

    let mut dq = vec![0.0; sizes.all_heads() * sizes.tokens * sizes.neurons];
    let mut dv = vec![0.0; sizes.all_heads() * sizes.tokens * sizes.padded];
    let mut of_decay = vec![0.0; sizes.all_heads() * sizes.neurons];
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
        .heads(&v)
        .zip(dq.chunks_exact_mut(sizes.tokens * sizes.neurons))
        .zip(dv.chunks_exact_mut(sizes.tokens * sizes.padded))
        .zip(of_decay.chunks_exact_mut(sizes.neurons))
        .enumerate()
        .map(|(index, (((head, dq), dv), of_decay))| {
            let tokens = index * sizes.tokens..(index + 1) * sizes.tokens;
            let outputs = backward::Outputs {
                read: &d_read[tokens.start * sizes.padded..tokens.end * sizes.padded],
                along: &along[tokens],
                memory: d_memory.map(|d| &d[index * sizes.memory()..][..sizes.memory()]),
                credit: form.credit,
            };
            let gradients = backward::Gradients {
                q: dq,
                v: dv,
                decay: of_decay,
                memory: memories.next(),
            };
            (head, outputs, gradients)
        })
        .collect();
    tasks
        .into_par_iter()
        .for_each(|(head, outputs, mut gradients)| backward::head(&head, &outputs, &mut gradients));

    let shape = |index: usize| match index {
        0 => operands.q.layout().shape().clone(),
        1 => operands.v.layout().shape().clone(),
        2 => operands.log_decay.layout().shape().clone(),
        _ => operands.memory.layout().shape().clone(),
    };
    let dv = sum_of_parts(&dv, sizes.heads, sizes.tokens * sizes.padded);
    let of_decay = sum_of_parts(&of_decay, sizes.lanes, sizes.heads * sizes.neurons);
    [
        Some(tensor(dq, shape(0))),
        Some(tensor(cut(dv, sizes.width, sizes.padded), shape(1))),
        Some(tensor(of_decay, shape(2))),
        wants_memory.then(|| tensor(of_memory, shape(3))),
    ]
}

/// Product of each row with its gradient.
fn dots(rows: &[f32], d: &[f32], width: usize) -> Vec<f32> {
    let rows = rows.chunks_exact(width).zip(d.chunks_exact(width));
    rows.map(|(row, d)| crate::simd::dot(row, d)).collect()
}
