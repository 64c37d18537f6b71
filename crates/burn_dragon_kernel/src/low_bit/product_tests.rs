//! Integer products of every instruction set against their definition.

use super::tests::{Dot, blocks, draw};
use super::*;
use crate::decode::simd::{Bytes, COARSE, Isa, Kernel, LINE, Shorts, Simd, Sums};

/// Products of sixteen rows of trits, in any order.
struct Dots<'a>(&'a [Trits], [usize; LINE], &'a [Codes], i32);

impl Kernel for Dots<'_> {
    type Output = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Sums {
        simd.code_dots(self.0, self.1, self.2, self.3)
    }
}

/// `sum y t` of rows of trits, and `sum y w` of rows of bytes.
struct Add<'a>(&'a [u8], &'a WholeRows, usize, &'a mut [Sums]);

impl Kernel for Add<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(y, rows, size, sum) = self;
        for (n, &y) in y.iter().enumerate() {
            match rows {
                WholeRows::Trits(rows) => simd.add_codes(y, &rows[n * size..][..size], sum),
                WholeRows::Bytes(rows) => simd.add_bytes(y, &rows[n * size..][..size], sum),
            }
        }
    }
}

/// The definition in whole numbers: rows `[16, D]` times q, and y times rows.
fn exact(numbers: &[i8], width: usize, q: &[i8], y: &[u8]) -> [Vec<i32>; 2] {
    let rows = || numbers.chunks_exact(width);
    let dot = |row: &[i8]| {
        row.iter()
            .zip(q)
            .map(|(t, q)| i32::from(*t) * i32::from(*q))
            .sum()
    };
    let mut sum = vec![0; width];
    for (row, y) in rows().zip(y) {
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, t)| *sum += i32::from(*y) * i32::from(*t));
    }
    [rows().map(dot).collect(), sum]
}

fn check(numbers: &[i8], width: usize, q: &[i8], y: &[u8]) {
    let matrix = LowBitMatrix::new(numbers, [1, LINE, width], ScaleGroups::All, vec![1.0]).unwrap();
    let [dots, sums] = exact(numbers, width, q, y);
    let total: i32 = q.iter().map(|&q| i32::from(q)).sum();
    let of_y: i32 = y.iter().map(|&y| i32::from(y)).sum();
    let codes = blocks(q);
    for isa in Isa::all() {
        let (size, padded, offset) = match matrix.rows() {
            WholeRows::Trits(rows) => {
                let row = |n: usize| isa.run(Dot(&rows[n * codes.len()..][..codes.len()], &codes)) - total;
                assert_eq!(
                    (0..LINE).map(row).collect::<Vec<_>>(),
                    dots,
                    "{isa:?}, width {width}"
                );
                let order: [usize; LINE] = std::array::from_fn(|n| n * 7 % LINE);
                let given = isa
                    .run(Dots(rows, order.map(|n| n * codes.len()), &codes, -total))
                    .0;
                assert_eq!(given, order.map(|n| dots[n]), "{isa:?}, width {width}");
                (codes.len(), codes.len() * 128, of_y)
            }
            WholeRows::Bytes(_) => (width.div_ceil(COARSE), width.next_multiple_of(COARSE), 0),
        };
        let mut sum = vec![Sums::default(); padded / LINE];
        isa.run(Add(y, matrix.rows(), size, &mut sum));
        let given: Vec<i32> = sum
            .iter()
            .flat_map(|line| line.0)
            .take(width)
            .map(|sum| sum - offset)
            .collect();
        assert_eq!(given, sums, "{isa:?}, width {width}");
    }
}

#[test]
fn products_are_exact_on_every_processor_at_any_width() {
    for (case, width) in [1, 2, 16, 31, 33, 64, 127, 128, 129, 256, 300, 1000]
        .into_iter()
        .enumerate()
    {
        let (seed, count) = (case as u64, LINE * width);
        let q = draw(seed + 50, width, -128, 127);
        let y: Vec<u8> = draw(seed + 70, LINE, -128, 127)
            .iter()
            .map(|y| y.cast_unsigned())
            .collect();
        check(&draw(seed, count, -1, 1), width, &q, &y);
        check(&draw(seed + 90, count, -127, 127), width, &q, &y);
    }
}

#[test]
fn products_of_the_largest_numbers_do_not_overflow() {
    let width = 1 << 16;
    for trit in [-1, 1] {
        for q in [-128, 127] {
            check(&vec![trit; LINE * width], width, &vec![q; width], &[255; LINE]);
        }
    }
    for byte in [-127, 127] {
        check(&vec![byte; LINE * 96], 96, &[-128; 96], &[255; LINE]);
    }
}

/// Rows of bytes use the product of the prefilter, with activations of two bytes.
#[test]
fn rows_of_bytes_have_exact_products_with_activations() {
    struct Coarse<'a>(&'a [Bytes], &'a [Shorts]);
    impl Kernel for Coarse<'_> {
        type Output = i32;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> i32 {
            simd.coarse_dot(self.0, self.1)
        }
    }
    for (w, q) in [(127, -128), (-127, 127), (127, 127)] {
        for isa in Isa::all() {
            let product = isa.run(Coarse(&[Bytes([w; COARSE]); 2048], &[Shorts([q; COARSE]); 2048]));
            assert_eq!(product, i32::from(w) * i32::from(q) * 65536, "{isa:?}");
        }
    }
}
