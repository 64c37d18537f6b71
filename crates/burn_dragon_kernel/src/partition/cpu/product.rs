//! Products of small matrices whose rows are whole vectors, padded with zeros.

use crate::simd::LANES;

/// Entries of a row that are computed at once.
pub(super) type Vector = [f32; LANES];

/// Rows of sums that are held in registers.
const ROWS: usize = 4;

/// Number of vectors that hold a row.
pub(super) fn vectors(columns: usize) -> usize {
    columns.div_ceil(LANES)
}

/// `out = left right`, where left has `inner` columns; rows of out and of right have as many vectors as `right_vectors`.
#[inline(always)]
pub(super) fn product(
    out: &mut [Vector],
    left: Rows<'_>,
    right: &[Vector],
    right_vectors: usize,
    inner: usize,
) {
    blocks::<false, false>(out, left, right, right_vectors, inner);
}

/// `out += left right`.
#[inline(always)]
pub(super) fn add_product(
    out: &mut [Vector],
    left: Rows<'_>,
    right: &[Vector],
    right_vectors: usize,
    inner: usize,
) {
    blocks::<true, false>(out, left, right, right_vectors, inner);
}

/// `out = left^T right`, where left and right have `inner` rows.
#[inline(always)]
pub(super) fn turned_product(
    out: &mut [Vector],
    left: Rows<'_>,
    right: &[Vector],
    right_vectors: usize,
    inner: usize,
) {
    blocks::<false, true>(out, left, right, right_vectors, inner);
}

/// `out += left^T right`.
#[inline(always)]
pub(super) fn add_turned_product(
    out: &mut [Vector],
    left: Rows<'_>,
    right: &[Vector],
    right_vectors: usize,
    inner: usize,
) {
    blocks::<true, true>(out, left, right, right_vectors, inner);
}

/// Left factor of a product: rows of some vectors each.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    entries: &'a [f32],
    stride: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub(super) fn new(rows: &'a [Vector], vectors: usize) -> Self {
        Self {
            entries: rows.as_flattened(),
            stride: vectors * LANES,
        }
    }
}

#[inline(always)]
fn blocks<const ADD: bool, const TURNED: bool>(
    out: &mut [Vector],
    left: Rows<'_>,
    right: &[Vector],
    vectors: usize,
    inner: usize,
) {
    let right = &right[..inner * vectors];
    let mut first = 0;
    let mut whole = out.chunks_exact_mut(ROWS * vectors);
    for out in &mut whole {
        rows::<ROWS, ADD, TURNED>(out, left, first, right, vectors);
        first += ROWS;
    }
    for out in whole.into_remainder().chunks_exact_mut(vectors) {
        rows::<1, ADD, TURNED>(out, left, first, right, vectors);
        first += 1;
    }
}

/// R rows of out, from number `first` on. The loops have fixed lengths where they must, so that the sums stay in registers.
#[inline(always)]
fn rows<const R: usize, const ADD: bool, const TURNED: bool>(
    out: &mut [Vector],
    left: Rows<'_>,
    first: usize,
    right: &[Vector],
    vectors: usize,
) {
    let inner = right.len() / vectors;
    for vector in 0..vectors {
        let mut sums = [[0.0; LANES]; R];
        if ADD {
            for row in 0..R {
                sums[row] = out[row * vectors + vector];
            }
        }
        if TURNED {
            for k in 0..inner {
                let start = k * left.stride + first;
                if let Some(factors) = left.entries[start..].first_chunk::<R>() {
                    add_rows(&mut sums, *factors, &right[k * vectors + vector]);
                }
            }
        } else {
            let lefts: [&[f32]; R] =
                std::array::from_fn(|row| &left.entries[(first + row) * left.stride..][..inner]);
            for k in 0..inner {
                add_rows(&mut sums, lefts.map(|left| left[k]), &right[k * vectors + vector]);
            }
        }
        for row in 0..R {
            out[row * vectors + vector] = sums[row];
        }
    }
}

#[inline(always)]
fn add_rows<const R: usize>(sums: &mut [Vector; R], factors: [f32; R], right: &Vector) {
    for row in 0..R {
        for lane in 0..LANES {
            sums[row][lane] += factors[row] * right[lane];
        }
    }
}
