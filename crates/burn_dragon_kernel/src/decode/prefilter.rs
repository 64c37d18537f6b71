//! Prefilter of inactive neurons: int8 products, with a quarter of the bytes, rule most of them out.
//!
//! A matrix of neurons has a coarse copy, one byte a number, and a limit for each neuron. If the coarse product is not
//! above the limit, the product in f32 cannot be positive, however it is rounded. Only the other products are computed,
//! so the result is the same to the last bit.
//!
//! ```text
//! w = s c + r, c whole within 127;   v = t z + e, z whole, t = |v| / 32767
//! v . w = s t (z . c)  +  s (e . c)  +  v . r
//!      <= |v| ( s (z . c) / 32767  +  s |c|_1 / 32767  +  |r| )                    as |e_d| < t
//! ```
//!
//! `z . c` is exact in i32 up to [`WIDEST`]: it is at most `127 sqrt(D) 32767` and a little for the rounding of z. The
//! last two terms make the limit. To these is added a bound on the error of a sum of D products in f32,
//! `(D + 16) 2^-23 |v| |w|`: twice the bound on D roundings of partial sums within `|v| |w|`. (For rows of less than
//! some 4,000 numbers, the margin of `|e_d| < t` would be enough for the roundings, since z is the nearest whole
//! number; wider rows need the addition.)
//!
//! This holds for numbers whose products and sums neither underflow nor overflow in f32. So no row with a length
//! outside [`LENGTHS`] is ruled out. Nor does a stream rule out any row if its squares sum to less than
//! [`LEAST_SQUARES`] or overflow: its z is then zero, and every limit is below zero. Between these bounds `|v| |w|` is
//! within 2^-100 and 2^124. There no partial sum overflows, and the loss by underflow, 2^-150 of a product, is far less
//! than the addition. t is computed from a sum of squares in f32, whose error is less than the thousandth by which the
//! limit is enlarged. If that makes t too small for the largest entry, which z then clips, the loss is less than half
//! of the addition.

use super::simd::{Bytes, COARSE, Kernel, LINE, Line, Shorts, Simd};
use super::stored::Stored;
use std::ops::RangeInclusive;

/// Largest whole number in the coarse copy of a stream.
const UNIT: f32 = 32767.0;

/// Largest width of a row whose coarse product fits i32.
const WIDEST: usize = 1 << 17;

/// Lengths of rows that can be ruled out.
const LENGTHS: RangeInclusive<f64> = 1.0 / (1u64 << 60) as f64..=(1u64 << 60) as f64;

/// Smallest sum of a stream's squares with which it can rule out a row: 2^-80.
const LEAST_SQUARES: f32 = 1.0 / (1u128 << 80) as f32;

/// A matrix of neurons, `[count, D]`, with its coarse copy.
#[derive(Clone, Debug)]
pub(super) struct Neurons<R> {
    rows: Vec<R>,
    coarse: Vec<Bytes>,
    limits: Vec<i32>,
}

/// Some consecutive neurons of a matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct NeuronSlice<'a, R> {
    /// One row of the model's width each.
    pub(super) rows: &'a [R],
    coarse: &'a [Bytes],
    limits: &'a [i32],
}

impl<R: Stored> Neurons<R> {
    /// The matrix with these rows, of `width` numbers and whole lines. The coarse copy is that of the stored rows.
    pub(super) fn new(rows: Vec<Line>, width: usize) -> Self {
        let (size, row) = (width.div_ceil(COARSE), width.div_ceil(LINE));
        let count = rows.len() / row;
        let rows = R::pack(rows, row);
        let mut coarse = vec![Bytes::default(); count * size];
        let rows_of = rows.chunks_exact(R::size(row));
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
    pub(super) fn part(&self, range: std::ops::Range<usize>) -> NeuronSlice<'_, R> {
        let count = self.limits.len();
        let (row, size) = (self.rows.len() / count, self.coarse.len() / count);
        NeuronSlice {
            rows: &self.rows[range.start * row..range.end * row],
            coarse: &self.coarse[range.start * size..range.end * size],
            limits: &self.limits[range],
        }
    }
}

/// Fills the coarse copy of a row, and returns its limit.
fn coarsen<R: Stored>(row: &[R], width: usize, coarse: &mut [Bytes]) -> i32 {
    let weights = || R::numbers(row).take(width).map(f64::from);
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
    let size = size.sqrt();
    if width > WIDEST || !LENGTHS.contains(&size) {
        return i32::MIN; // whatever the coarse product, it is not ruled out
    }
    let unit = f64::from(UNIT);
    let rounding = (width + 16) as f64 * f64::from(f32::EPSILON);
    let doubt = coarse_size / unit + residue.sqrt() + rounding * size;
    // A thousandth more, for |v| itself is rounded. The cast saturates.
    (-doubt * 1.001 * unit / scale).floor() as i32
}

impl<R: Stored> NeuronSlice<'_, R> {
    /// Number of neurons.
    pub(super) fn len(&self) -> usize {
        self.limits.len()
    }

    /// Whether a neuron may have a positive product with the stream that `z` is the coarse copy of.
    #[inline(always)]
    pub(super) fn may_fire<S: Simd>(&self, simd: S, neuron: usize, z: &[Shorts]) -> bool {
        simd.coarse_dot(&self.coarse[neuron * z.len()..][..z.len()], z) > self.limits[neuron]
    }

    /// A neuron's row; `size` cache lines.
    #[inline(always)]
    pub(super) fn row(&self, neuron: usize, size: usize) -> &[R] {
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
        let squares = simd.sum(squares);
        let scale = if squares >= LEAST_SQUARES {
            UNIT / squares.sqrt()
        } else {
            0.0
        };
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
    fn no_positive_product_is_filtered_out_and_most_negative_ones_are() {
        for width in [1, 3, 16, 33, 128, 300] {
            let draw = |seed: usize| ((seed * 2_654_435_761) % 1_000_003) as f32 / 500_000.0 - 1.0;
            let count = 2000;
            let size = usize::div_ceil(width, LINE);
            let mut rows = vec![Line::default(); count * size];
            for n in 0..count {
                (0..width).for_each(|d| rows[n * size + d / LINE].0[d % LINE] = draw(n * width + d));
            }
            let neurons = Neurons::<Line>::new(rows.clone(), width);
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

    /// A row of whole lines.
    fn lines(row: &[f32]) -> Vec<Line> {
        let mut lines = vec![Line::default(); row.len().div_ceil(LINE)];
        for (line, numbers) in lines.iter_mut().zip(row.chunks(LINE)) {
            line.0[..numbers.len()].copy_from_slice(numbers);
        }
        lines
    }

    /// Whether the prefilter lets a row pass for a stream, and their product in f32.
    fn judged(isa: Isa, v: &[f32], w: &[f32]) -> (bool, f32) {
        struct Dot<'a>(&'a [Line], &'a [Line]);
        impl Kernel for Dot<'_> {
            type Output = f32;
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) -> f32 {
                crate::decode::row::dot(simd, self.0, self.1)
            }
        }
        let (row, neurons) = (lines(v), Neurons::<Line>::new(lines(w), w.len()));
        let mut z = vec![Shorts::default(); v.len().div_ceil(COARSE)];
        isa.run(Coarsen { row: &row, z: &mut z });
        let part = neurons.part(0..1);
        let may = simd_dot(&part.coarse[..z.len()], &z) > part.limits[0];
        (may, isa.run(Dot(&row, &neurons.rows)))
    }

    #[track_caller]
    fn is_not_ruled_out_if_positive(v: &[f32], w: &[f32]) -> bool {
        let judged = Isa::all().into_iter().map(|isa| (isa, judged(isa, v, w)));
        let passed = judged.map(|(isa, (may, product))| {
            let ruled_out = !may && product > 0.0;
            assert!(
                !ruled_out,
                "{isa:?}, width {}: ruled out with {product:e}",
                v.len()
            );
            may
        });
        passed.filter(|may| *may).count() > 0
    }

    /// Two large terms that leave a little less than nothing, and between them thousands of small ones, each a little
    /// more than half of the sum's last place, so that each counts twice in f32. `over` is how far below zero the large
    /// ones are, in what is at most certain without rounding: the limit's first two terms.
    fn ramp(width: usize, over: f64) -> [Vec<f32>; 2] {
        const GAIN: f64 = 1.02 / (1u64 << 24) as f64;
        let small = width / 32 - 2; // lines of one of two sums
        let size = 0.55 * GAIN * (small as f64).sqrt();
        let [mut v, mut w] = [vec![0.0f32; width], vec![0.0f32; width]];
        for line in 1..=small {
            (v[line * 32], w[line * 32]) = ((GAIN / size) as f32, size as f32);
        }
        let square: f64 = 2.0 + v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let residue = w.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let below = square.sqrt() * (2.0 / f64::from(UNIT) + residue);
        let last = (small + 1) * 32;
        (v[0], w[0], w[last]) = (1.0, 1.0, 1.0);
        v[last] = -(1.0 + over * below) as f32;
        [v, w]
    }

    /// Where the proof is tight: all that it allows for happens at once.
    #[test]
    fn a_product_that_rounding_makes_positive_is_not_ruled_out() {
        let mut beyond = 0;
        for width in [1 << 14, WIDEST] {
            for step in 0..16 {
                let over = 0.95 + 0.01 * f64::from(step);
                let [v, w] = ramp(width, over);
                is_not_ruled_out_if_positive(&v, &w);
                let positive = Isa::all().into_iter().all(|isa| judged(isa, &v, &w).1 > 0.0);
                beyond += usize::from(positive && over > 1.005);
            }
        }
        assert!(
            beyond >= 5,
            "{beyond} were positive beyond what is certain without rounding"
        );
    }

    /// Pairs of large terms that cancel but for what is left to the small ones, of either sign, over many sizes.
    #[test]
    fn products_near_zero_of_any_size_are_not_ruled_out_if_positive() {
        let mut draw = 1u64;
        let mut unit = || {
            draw = crate::mix::mix(draw.wrapping_add(0x9E37_79B9_7F4A_7C15));
            (draw >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let (mut passed, mut all) = (0, 0);
        for case in 0..6000 {
            let width = [1, 2, 7, 16, 33, 64, 300, 1024][case % 8];
            let [stream, weight] = [0, 1].map(|_| 2.0f32.powi((unit() * 75.0) as i32));
            let mut v: Vec<f32> = (0..width).map(|_| unit() * stream).collect();
            let mut w: Vec<f32> = (0..width).map(|_| unit() * unit().powi(2) * weight).collect();
            // A row is turned until its product is as little above zero, or below, as f32 shows.
            let product = |v: &[f32], w: &[f32]| -> f64 {
                v.iter().zip(w).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let (along, square) = (product(&v, &w), product(&v, &v));
            let shift = if square > 0.0 { along / square } else { 0.0 };
            w.iter_mut()
                .zip(&v)
                .for_each(|(w, v)| *w -= (shift * f64::from(*v)) as f32);
            v[0] += v[0] * unit() * 1e-4;
            all += 1;
            passed += usize::from(is_not_ruled_out_if_positive(&v, &w));
        }
        assert!(passed < all && passed > all / 4, "{passed} of {all} passed");
    }

    /// Where products underflow or overflow, f32 can be positive whatever the exact product is.
    #[test]
    fn no_row_is_ruled_out_whose_products_f32_cannot_hold() {
        let tiny = f32::from_bits(1);
        // Of these the squares of one entry alone show in the length: the others are more than that together.
        let mut faint = vec![2.6e-23f32; 1024];
        faint[0] = 3e-23;
        let mut against = vec![-1e-3f32; 1024];
        against[0] = -1.0;
        against[1..].iter_mut().step_by(2).for_each(|w| *w = 1e-3);
        let cases: [[Vec<f32>; 2]; 6] = [
            [vec![0.6, -0.4, -0.4, -0.4], vec![tiny; 4]],
            [vec![0.6 * 1e-30, -0.4 * 1e-30, -0.4 * 1e-30], vec![1e-15; 3]],
            [vec![1.0, -1.0], vec![f32::INFINITY, 1.0]],
            [vec![1.0, -1.0, -1.0], vec![f32::MAX; 3]],
            [vec![1e19, -1e19, -1e19], vec![1e25; 3]],
            [faint, against],
        ];
        for [v, w] in cases {
            assert!(
                is_not_ruled_out_if_positive(&v, &w),
                "{:?} {:?}",
                &v[..2],
                &w[..2]
            );
        }
        let [v, w] = [vec![-1.0; 1 << 18], vec![1.0; 1 << 18]];
        assert_eq!(Neurons::<Line>::new(lines(&w), w.len()).limits, [i32::MIN]);
        assert!(Neurons::<Line>::new(lines(&v[..64]), 64).limits[0] > i32::MIN);
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
