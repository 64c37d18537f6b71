//! Operations on single rows of the model's width.

use super::simd::{Kernel, LINE, Line, Simd};

/// Stream after a level: `norm(v + norm(u))`, with u already summed over the chunks.
pub(super) struct Join<'a> {
    pub(super) v: &'a mut [Line],
    pub(super) u: &'a mut [Line],
    pub(super) width: usize,
    pub(super) eps: f32,
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { v, u, width, eps } = self;
        norm(u, width, eps).run(simd);
        add(v, u).run(simd);
        norm(v, width, eps).run(simd);
    }
}

/// `sum += part`.
pub(super) fn add<'a>(sum: &'a mut [Line], part: &'a [Line]) -> Add<'a> {
    Add { sum, part }
}

pub(super) struct Add<'a> {
    sum: &'a mut [Line],
    part: &'a [Line],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (sum, part) in self.sum.iter_mut().zip(self.part) {
            let both = simd.add(simd.load(sum), simd.load(part));
            simd.store(sum, both);
        }
    }
}

/// The layer norm of one row of `width` numbers.
pub(super) fn norm(row: &mut [Line], width: usize, eps: f32) -> Norm<'_> {
    Norm { row, width, eps }
}

pub(super) struct Norm<'a> {
    row: &'a mut [Line],
    width: usize,
    eps: f32,
}

impl Kernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { row, width, eps } = self;
        let one = simd.splat(1.0);
        let sum = row
            .iter()
            .fold(simd.splat(0.0), |sum, v| simd.fma(one, simd.load(v), sum));
        let shift = simd.splat(-simd.sum(sum) / width as f32);
        let end = (row.len() - 1) * LINE;
        for v in row.iter_mut() {
            let centred = simd.add(simd.load(v), shift);
            simd.store(v, centred);
        }
        row[row.len() - 1].0[width - end..].fill(0.0); // what fills the last line is not part of the row
        let squares = row.iter().fold(simd.splat(0.0), |sum, v| {
            let v = simd.load(v);
            simd.fma(v, v, sum)
        });
        let scale = simd.splat((simd.sum(squares) / width as f32 + eps).sqrt().recip());
        let zero = simd.splat(0.0);
        for v in row.iter_mut() {
            let scaled = simd.fma(simd.load(v), scale, zero);
            simd.store(v, scaled);
        }
    }
}

/// The scalar product of two rows.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, a: &[Line], b: &[Line]) -> f32 {
    let mut sums = [simd.splat(0.0); 2];
    let (a, last_a) = a.as_chunks::<2>();
    let (b, last_b) = b.as_chunks::<2>();
    for (a, b) in a.iter().zip(b) {
        for i in 0..2 {
            sums[i] = simd.fma(simd.load(&a[i]), simd.load(&b[i]), sums[i]);
        }
    }
    for (a, b) in last_a.iter().zip(last_b) {
        sums[0] = simd.fma(simd.load(a), simd.load(b), sums[0]);
    }
    simd.sum(simd.add(sums[0], sums[1]))
}
