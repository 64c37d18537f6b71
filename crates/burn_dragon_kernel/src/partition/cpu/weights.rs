//! Weights of a level with reads of parts, head by head, and their transposes, in rows of whole vectors.

use super::product::{Vector, vectors};
use crate::backend::partition::PartitionLevelOn;
use crate::flex::contiguous;
use crate::simd::LANES;
use burn::backend::Flex;
use burn_flex::FlexTensor;

/// Numbers of a level that its parts need.
pub(super) struct Packed {
    pub(super) heads: Vec<Head>,
    /// Heads of a partition.
    each: usize,
    /// Tokens of the largest part.
    pub(super) most_tokens: usize,
    pub(super) shape: Shape,
    pub(super) eps: f32,
}

/// Sizes of a head's matrices.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// D.
    pub(super) width: usize,
    /// N.
    pub(super) neurons: usize,
    /// Vectors of D entries.
    pub(super) wide: usize,
    /// Vectors of N entries.
    pub(super) long: usize,
}

/// Weights of a head.
pub(super) struct Head {
    /// D rows of N.
    pub(super) decoder_x: Vec<Vector>,
    /// N rows of D.
    pub(super) decoder_x_turned: Vec<Vector>,
    /// D rows of N.
    pub(super) decoder_y: Vec<Vector>,
    /// N rows of D.
    pub(super) decoder_y_turned: Vec<Vector>,
    /// N rows of D.
    pub(super) encoder: Vec<Vector>,
    /// D rows of N.
    pub(super) encoder_turned: Vec<Vector>,
}

impl Packed {
    pub(super) fn new(input: &PartitionLevelOn<Flex>) -> Self {
        let sizes = input.sizes;
        let (d, n) = (sizes.width, sizes.neurons);
        let matrices = [&input.decoder_x, &input.decoder_y, &input.encoder];
        let [decoder_x, decoder_y, encoder] = matrices.map(|matrix| contiguous(matrix.clone()));
        let of = |matrix: &FlexTensor, head: usize, columns: usize, turned: bool| {
            let matrix = &matrix.storage::<f32>()[head * d * n..(head + 1) * d * n];
            padded(matrix, columns, turned)
        };
        let head = |head| Head {
            decoder_x: of(&decoder_x, head, n, false),
            decoder_x_turned: of(&decoder_x, head, n, true),
            decoder_y: of(&decoder_y, head, n, false),
            decoder_y_turned: of(&decoder_y, head, n, true),
            encoder: of(&encoder, head, d, false),
            encoder_turned: of(&encoder, head, d, true),
        };
        let parts = input.partitions.iter().flat_map(|partition| partition.parts());
        Self {
            heads: (0..sizes.heads).map(head).collect(),
            each: input.heads_of_each(),
            most_tokens: parts.map(<[u32]>::len).max().unwrap_or(0),
            shape: Shape {
                width: d,
                neurons: n,
                wide: vectors(d),
                long: vectors(n),
            },
            eps: input.eps as f32,
        }
    }

    /// Numbers of the heads of a partition.
    pub(super) fn heads_of(&self, kind: usize) -> std::ops::Range<usize> {
        kind * self.each..(kind + 1) * self.each
    }
}

/// The rows of a matrix of `columns` columns, or of its transpose, with zeros up to whole vectors.
fn padded(matrix: &[f32], columns: usize, turned: bool) -> Vec<Vector> {
    let rows = matrix.len() / columns;
    let (rows, columns, row, column) = match turned {
        false => (rows, columns, columns, 1),
        true => (columns, rows, 1, columns),
    };
    let mut padded = vec![[0.0; LANES]; rows * vectors(columns)];
    for (i, out) in padded.chunks_exact_mut(vectors(columns)).enumerate() {
        let entries = out.as_flattened_mut()[..columns].iter_mut().enumerate();
        entries.for_each(|(j, out)| *out = matrix[i * row + j * column]);
    }
    padded
}

/// A matrix of `columns` columns without the padding of its rows, added to `into`.
pub(super) fn add_unpadded(padded: &[Vector], columns: usize, into: &mut [f32]) {
    let rows = padded.chunks_exact(vectors(columns));
    for (row, into) in rows.zip(into.chunks_exact_mut(columns)) {
        into.iter_mut()
            .zip(row.as_flattened())
            .for_each(|(into, entry)| *into += entry);
    }
}
