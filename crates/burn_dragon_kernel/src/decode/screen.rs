//! Most neurons stay silent, and a quarter of the bytes is enough to know it.
//!
//! A matrix of neurons has a coarse copy, one byte a number, and for each neuron a limit: where the coarse product is
//! not above it, the product in f32 cannot be positive, however it is rounded. Only the others are computed, so what
//! comes out is the same to the last bit.
//!
//! ```text
//! w = s c + r, c whole within 127;   v = t z + e, z whole, t = |v| / 32767
//! v . w = s t (z . c)  +  s (e . c)  +  v . r
//!      <= |v| ( s (z . c) / 32767  +  s |c|_1 / 32767  +  |r| )                    as |e_d| < t
//! ```
//!
//! `z . c` is exact in i32: at most `127 sqrt(D) 32767`. To the last two terms, which make the limit, is added what a sum
//! of D products in f32 can be off.

use super::simd::{Bytes, COARSE, Kernel, LINE, Line, Shorts, Simd};

/// The largest whole number that the coarse copy of a stream has.
const UNIT: f32 = 32767.0;

/// A matrix of neurons, `[count, D]`, with its coarse copy.
#[derive(Clone, Debug)]
pub(super) struct Neurons {
    pub(super) rows: Vec<Line>,
    coarse: Vec<Bytes>,
    limits: Vec<i32>,
}

/// Some consecutive neurons of a matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// One row of the model's width each.
    pub(super) rows: &'a [Line],
    coarse: &'a [Bytes],
    limits: &'a [i32],
}

impl Neurons {
    /// The matrix with these rows, of `width` numbers and whole lines.
    pub(super) fn new(rows: Vec<Line>, width: usize) -> Self {
        let size = width.div_ceil(COARSE);
        let count = rows.len() / width.div_ceil(LINE);
        let mut coarse = vec![Bytes::default(); count * size];
        let rows_of = rows.chunks_exact(width.div_ceil(LINE));
        let limits = rows_of
            .zip(coarse.chunks_exact_mut(size))
            .map(|(row, coarse)| coarsen(row, width, coarse));
        Self {
            limits: limits.collect(),
            coarse,
            rows,
        }
    }

    /// The neurons of a range.
    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Part<'_> {
        let count = self.limits.len();
        let (row, size) = (self.rows.len() / count, self.coarse.len() / count);
        Part {
            rows: &self.rows[range.start * row..range.end * row],
            coarse: &self.coarse[range.start * size..range.end * size],
            limits: &self.limits[range],
        }
    }
}

/// Fills the coarse copy of a row, and gives its limit.
fn coarsen(row: &[Line], width: usize, coarse: &mut [Bytes]) -> i32 {
    let weights = || row.iter().flat_map(|line| line.0).take(width).map(f64::from);
    let scale = weights().fold(0.0, |most: f64, w| most.max(w.abs())) / 127.0;
    if scale == 0.0 {
        return i32::MAX; // its product is 0
    }
    let (mut residue, mut size, mut coarse_size) = (0.0, 0.0, 0.0);
    for (d, w) in weights().enumerate() {
        let whole = (w / scale).round();
        coarse[d / COARSE].0[d % COARSE] = whole as i8;
        residue += (w - scale * whole).powi(2);
        size += w * w;
        coarse_size += scale * whole.abs();
    }
    let unit = f64::from(UNIT);
    let rounding = (width + 16) as f64 * f64::from(f32::EPSILON);
    let doubt = coarse_size / unit + residue.sqrt() + rounding * size.sqrt();
    // A thousandth more, for |v| itself is rounded. Casts saturate, and a NaN gives 0.
    (-doubt * 1.001 * unit / scale).floor() as i32
}

impl Part<'_> {
    /// Number of neurons.
    pub(super) fn len(&self) -> usize {
        self.limits.len()
    }

    /// Whether a neuron may have a positive product with the stream that `z` is the coarse copy of.
    #[inline(always)]
    pub(super) fn may_fire<S: Simd>(&self, simd: S, neuron: usize, z: &[Shorts]) -> bool {
        simd.coarse_dot(&self.coarse[neuron * z.len()..][..z.len()], z) > self.limits[neuron]
    }

    /// A neuron's row; `size` lines.
    #[inline(always)]
    pub(super) fn row(&self, neuron: usize, size: usize) -> &[Line] {
        &self.rows[neuron * size..][..size]
    }
}

/// The coarse copy `z` of one row.
pub(super) struct Coarsen<'a> {
    pub(super) row: &'a [Line],
    pub(super) z: &'a mut [Shorts],
}

impl Kernel for Coarsen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let squares = self.row.iter().fold(simd.splat(0.0), |sum, v| {
            let v = simd.load(v);
            simd.fma(v, v, sum)
        });
        let length = simd.sum(squares).sqrt();
        let scale = if length > 0.0 { UNIT / length } else { 0.0 };
        for (z, lines) in self.z.iter_mut().zip(self.row.chunks(2)) {
            for (z, v) in z.0.chunks_exact_mut(LINE).zip(lines) {
                // Half away from zero, then cut off: `round` would be a call on older processors.
                z.iter_mut()
                    .zip(v.0)
                    .for_each(|(z, v)| *z = (v * scale + 0.5f32.copysign(v)) as i16);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::simd::Isa;

    #[test]
    fn no_positive_product_is_screened_out_and_most_negative_ones_are() {
        for width in [1, 3, 16, 33, 128, 300] {
            let draw = |seed: usize| ((seed * 2_654_435_761) % 1_000_003) as f32 / 500_000.0 - 1.0;
            let count = 2000;
            let size = usize::div_ceil(width, LINE);
            let mut rows = vec![Line::default(); count * size];
            for n in 0..count {
                (0..width).for_each(|d| rows[n * size + d / LINE].0[d % LINE] = draw(n * width + d));
            }
            let neurons = Neurons::new(rows.clone(), width);
            let part = neurons.part(0..count);
            let v: Vec<f32> = (0..width).map(|d| draw(d * 7919 + 13) * 3.0).collect();
            let mut row = vec![Line::default(); size];
            v.iter()
                .enumerate()
                .for_each(|(d, v)| row[d / LINE].0[d % LINE] = *v);
            let mut z = vec![Shorts::default(); width.div_ceil(COARSE)];
            Isa::best().run(Coarsen { row: &row, z: &mut z });
            let (mut passed, mut positive) = (0, 0);
            for n in 0..count {
                let exact: f64 = (0..width)
                    .map(|d| f64::from(v[d]) * f64::from(rows[n * size + d / LINE].0[d % LINE]))
                    .sum();
                let product = simd_dot(&part.coarse[n * z.len()..][..z.len()], &z);
                let may = product > part.limits[n];
                assert!(may || exact <= 0.0, "width {width}, neuron {n}: {exact}");
                passed += usize::from(may);
                positive += usize::from(exact > 0.0);
            }
            assert!(
                passed < positive + count / 8,
                "width {width}: {passed} passed, {positive} are positive"
            );
        }
    }

    /// The coarse product, which every kind of processor must agree on.
    fn simd_dot(a: &[Bytes], b: &[Shorts]) -> i32 {
        struct Dot<'a>(&'a [Bytes], &'a [Shorts]);
        impl Kernel for Dot<'_> {
            type Output = i32;
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) -> i32 {
                simd.coarse_dot(self.0, self.1)
            }
        }
        let products: Vec<i32> = Isa::all().into_iter().map(|isa| isa.run(Dot(a, b))).collect();
        assert!(
            products.iter().all(|product| *product == products[0]),
            "{products:?}"
        );
        products[0]
    }
}
