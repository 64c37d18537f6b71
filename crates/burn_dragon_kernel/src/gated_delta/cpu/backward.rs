//! Gradients of a head.
//!
//! With Y the gradient of a read, directly and by what was written because of it, X = q dS', S' the memory after the chunk:
//!
//! ```text
//! du_s   = written_s X_s + sum over t > s of P_ts Y_t;      Y_t = d_read_t - beta_t du_t
//! dv_t   = beta_t du_t;      dbeta_t = du_t . (v_t - read_t);      dP_ts = Y_t . u_s
//! dS     = kept dS' + q^T (recalled Y)
//! dq     = (W + W^T) q + (recalled Y) S^T + (written U) dS'^T, and along q for its length; W = left dP
//! ```
//!
//! Gradients of the logarithms of decay follow from products that are there: of P with dP, of reads with Y, of updates with
//! X, and of the memory with its gradient, `S . dS = S' . dS' - sum of written_s u_s . X_s + sum of before_t . Y_t`.

use super::Head;
use super::chunk::{
    CHUNK, Factors, OfChunk, add_rows, left, multiply, multiply_each, rows, scale, scale_rows, square,
};
use super::forward::write;
use crate::buffer::Buffer;
use crate::matrix::Precision;
use crate::simd::{dot, vectorized};
use std::ops::Range;

/// Gradients of the outputs of a head, and what the forward pass kept.
#[derive(Debug)]
pub(super) struct Outputs<'a> {
    pub(super) d_read: &'a [f32],           // [T, D]
    pub(super) d_memory: Option<&'a [f32]>, // [K, D]
    pub(super) read: &'a [f32],             // [T, D]
    pub(super) updates: &'a [f32],          // [T, D]
    pub(super) scores: &'a [f32],           // [T, C]
    pub(super) lengths: &'a [f32],          // [T]
}

/// Gradients of the operands of a head, to be written.
#[derive(Debug)]
pub(super) struct Gradients<'a> {
    pub(super) q: &'a mut [f32],     // [T, K]
    pub(super) v: &'a mut [f32],     // [T, D]
    pub(super) beta: &'a mut [f32],  // [T]
    pub(super) decay: &'a mut [f32], // [T]
    pub(super) memory: Option<&'a mut [f32]>,
}

/// Room for the rows of a chunk.
#[derive(Debug, Default)]
struct Room {
    scaled: Buffer,     // [C, D]
    of_updates: Buffer, // X, then du: [C, D]
    of_reads: Buffer,   // Y: [C, D]
    of_scores: Buffer,  // dP, then W: [C, C]
    left: Buffer,       // [C, C]
}

/// Gradient of the memory after a chunk, on the way back.
#[derive(Debug, Default)]
struct Back {
    d: Buffer, // [K, D]
    /// Whether it is 0.
    is_zero: bool,
    /// Its product with the memory.
    along: f64,
}

/// Writes all gradients.
pub(super) fn head(head: &Head<'_>, outputs: &Outputs<'_>, gradients: &mut Gradients<'_>) {
    let chunks = head.chunks();
    let mut room = Room::default();
    let memories = memories(head, outputs, &chunks, &mut room.scaled);
    let size = head.sizes.memory();
    let mut back = Back::default();
    back.d.sized(size).fill(0.0);
    back.is_zero = true;
    if let Some(d) = outputs.d_memory {
        back.d.sized(size).copy_from_slice(d);
        back.along = f64::from(dot(d, &memories[chunks.len() * size..]));
        back.is_zero = false;
    }
    for (number, (tokens, empty)) in chunks.iter().enumerate().rev() {
        let memory = &memories[number * size..(number + 1) * size];
        chunk(head, outputs, tokens, memory, &mut back, (gradients, &mut room));
        if *empty {
            back.d.sized(size).fill(0.0);
            (back.is_zero, back.along) = (true, 0.0);
        }
    }
    if let Some(memory) = &mut gradients.memory {
        memory.copy_from_slice(&back.d[..size]);
    }
}

/// Memories before each chunk, and after the window, if its gradient is given.
fn memories(
    head: &Head<'_>,
    outputs: &Outputs<'_>,
    chunks: &[(Range<usize>, bool)],
    scaled: &mut Buffer,
) -> Buffer {
    let (size, width, keys) = (head.sizes.memory(), head.sizes.width, head.sizes.keys);
    let count = chunks.len() + usize::from(outputs.d_memory.is_some());
    let mut memories = Buffer::zeros(count * size);
    memories[..size].copy_from_slice(head.memory);
    for (number, (tokens, empty)) in chunks.iter().enumerate() {
        let (before, after) = memories.split_at_mut((number + 1) * size);
        let before = &mut before[number * size..];
        if *empty {
            before.fill(0.0);
        }
        if after.is_empty() {
            break;
        }
        let after = &mut after[..size];
        after.copy_from_slice(before);
        let q = rows(
            &head.q[tokens.start * keys..tokens.end * keys],
            tokens.len(),
            keys,
        );
        let updates = &outputs.updates[tokens.start * width..tokens.end * width];
        let factors = Factors::new(head, tokens, lengths(outputs, tokens));
        write(after, q, updates, &factors, scaled.sized(updates.len()));
    }
    memories
}

fn lengths(outputs: &Outputs<'_>, tokens: &Range<usize>) -> OfChunk {
    let mut lengths = [0.0; CHUNK];
    lengths[..tokens.len()].copy_from_slice(&outputs.lengths[tokens.clone()]);
    lengths
}

/// Sums for each token of a chunk, from which the gradients of lengths and decay follow.
#[derive(Debug)]
struct Sums {
    /// Of P times dP, over the tokens before, and over those after.
    earlier: [f64; CHUNK],
    later: [f64; CHUNK],
    /// Of what is read of the memory before the chunk, with its gradient.
    recalled: [f64; CHUNK],
    /// Of what is written, with the gradient of the memory.
    written: [f64; CHUNK],
}

/// A chunk: gradients of its operands, and of the memory before it in place of that after it.
fn chunk(
    head: &Head<'_>,
    outputs: &Outputs<'_>,
    tokens: &Range<usize>,
    memory: &[f32],
    back: &mut Back,
    (gradients, room): (&mut Gradients<'_>, &mut Room),
) {
    let (size, width, keys) = (tokens.len(), head.sizes.width, head.sizes.keys);
    let wide = tokens.start * width..tokens.end * width;
    let narrow = tokens.start * keys..tokens.end * keys;
    let q = rows(&head.q[narrow.clone()], size, keys);
    let factors = Factors::new(head, tokens, lengths(outputs, tokens));
    let [scaled, of_updates, of_reads] =
        [&mut room.scaled, &mut room.of_updates, &mut room.of_reads].map(|room| room.sized(size * width));
    let part = Part {
        scores: &outputs.scores[tokens.start * CHUNK..tokens.end * CHUNK],
        v: &head.v[wide.clone()],
        beta: &head.beta[tokens.clone()],
        read: &outputs.read[wide.clone()],
        d_read: &outputs.d_read[wide.clone()],
        updates: &outputs.updates[wide.clone()],
    };
    let mut sums = Sums {
        earlier: [0.0; CHUNK],
        later: [0.0; CHUNK],
        recalled: [0.0; CHUNK],
        written: [0.0; CHUNK],
    };
    if back.is_zero {
        of_updates.fill(0.0);
    } else {
        multiply(scaled, q, rows(&back.d, keys, width), false);
        scale_rows(scaled, &factors.written, width, of_updates);
        products(part.updates, of_updates, width, &mut sums.written);
    }
    let (dv, of_beta) = (&mut gradients.v[wide], &mut gradients.beta[tokens.clone()]);
    substitute(&part, of_updates, of_reads, dv, of_beta);

    let of_scores = room.of_scores.sized(CHUNK * CHUNK);
    let [by_reads, by_updates] = [&*of_reads, part.updates].map(|data| rows(data, size, width));
    Precision::F32.multiply(of_scores, CHUNK, by_reads, by_updates.transposed(), false);
    products(part.read, of_reads, width, &mut sums.recalled);
    let left_room = room.left.sized(CHUNK * CHUNK);
    left(&factors, left_room);
    of_pairs(&part, of_scores, &mut sums, size);
    multiply_each(of_scores, left_room);
    symmetric(of_scores, &factors, &sums);
    let dq = &mut gradients.q[narrow];
    multiply(dq, square(of_scores, size), q, false);
    decays(&sums, size, back, &mut gradients.decay[tokens.clone()]);

    if !back.is_zero {
        scale_rows(part.updates, &factors.written, width, scaled);
        multiply(
            dq,
            rows(scaled, size, width),
            rows(&back.d, keys, width).transposed(),
            true,
        );
    }
    scale_rows(of_reads, &factors.recalled, width, scaled);
    let scaled = rows(scaled, size, width);
    multiply(dq, scaled, rows(memory, keys, width).transposed(), true);
    let d = back.d.sized(keys * width);
    if factors.kept < 1.0 {
        scale(d, factors.kept);
    }
    multiply(d, q.transposed(), scaled, true);
    back.is_zero = false;
}

/// Rows of a chunk.
pub(super) struct Part<'a> {
    scores: &'a [f32],
    v: &'a [f32],
    beta: &'a [f32],
    read: &'a [f32],
    d_read: &'a [f32],
    updates: &'a [f32],
}

/// Gradients of the logarithms of decay, and the product of the memory before the chunk with its gradient.
fn decays(sums: &Sums, size: usize, back: &mut Back, into: &mut [f32]) {
    let mut sum = back.along;
    for t in (0..size).rev() {
        sum += sums.recalled[t] + sums.earlier[t] - sums.later[t] - sums.written[t];
        into[t] = sum as f32;
        back.along += sums.recalled[t] - sums.written[t];
    }
}

/// Products of rows with others, by token.
fn products(left: &[f32], right: &[f32], width: usize, into: &mut [f64; CHUNK]) {
    let rows = left.chunks_exact(width).zip(right.chunks_exact(width));
    for (into, (left, right)) in into.iter_mut().zip(rows) {
        *into = f64::from(dot(left, right));
    }
}

/// Sums of the products of scores with their gradients, and what they leave of the reads' for the memory before the chunk.
fn of_pairs(part: &Part<'_>, of_scores: &[f32], sums: &mut Sums, size: usize) {
    let rows = part.scores.chunks_exact(CHUNK).zip(of_scores.chunks_exact(CHUNK));
    for (t, (scores, of_scores)) in rows.enumerate().take(size) {
        for s in 0..t {
            let product = f64::from(scores[s] * of_scores[s]);
            sums.earlier[t] += product;
            sums.later[s] += product;
        }
        sums.recalled[t] -= sums.earlier[t];
    }
}

/// W and its transpose, and on the diagonal what lengths are owed.
fn symmetric(of_scores: &mut [f32], factors: &Factors, sums: &Sums) {
    for t in 0..factors.size {
        for s in 0..t {
            of_scores[s * CHUNK + t] = of_scores[t * CHUNK + s];
        }
        let of_length = sums.recalled[t] + sums.written[t] + sums.earlier[t] + sums.later[t];
        let length = factors.lengths[t];
        of_scores[t * CHUNK + t] = -length * length * of_length as f32;
    }
}

vectorized! {
    /// Gradients of reads, values and beta, token by token from the last. `of_updates` begins as what the memory after the
    /// chunk is owed.
    substitute(part: &Part<'_>, of_updates: &mut [f32], of_reads: &mut [f32], dv: &mut [f32], of_beta: &mut [f32]) {
        let (size, width) = (part.beta.len(), part.v.len() / part.beta.len());
        for t in (0..size).rev() {
            let row = t * width..(t + 1) * width;
            let update = &mut of_updates[row.clone()];
            let (read, after) = of_reads[row.start..].split_at_mut(width);
            add_rows(update, after, (t + 1..size).map(|later| part.scores[later * CHUNK + t]));
            let beta = part.beta[t];
            let (v, known, d) = (&part.v[row.clone()], &part.read[row.clone()], &part.d_read[row.clone()]);
            let dv = &mut dv[row];
            let mut sum = 0.0;
            for column in 0..width {
                dv[column] = beta * update[column];
                read[column] = d[column] - dv[column];
                sum += update[column] * (v[column] - known[column]);
            }
            of_beta[t] = sum;
        }
    }
}
