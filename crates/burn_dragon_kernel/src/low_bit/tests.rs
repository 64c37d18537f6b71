//! Quantisers and packed formats against published values, and integer products against their definition.

use super::*;
use crate::decode::simd::{Bytes, COARSE, Isa, Kernel, LINE, Shorts, Simd, Sums};
use crate::mix::mix;

/// Whole numbers from `least` to `most`, a function of a seed.
fn draw(seed: u64, count: usize, least: i32, most: i32) -> Vec<i8> {
    let span = (most - least + 1) as u64;
    let number = |i: usize| (mix(seed << 32 | i as u64) % span) as i32 + least;
    (0..count).map(|i| number(i) as i8).collect()
}

const WEIGHTS: [f32; 8] = [0.3, -0.05, 0.8, -1.2, 0.0, 0.6, -0.4, 0.1];
const INPUT: [f32; 4] = [0.5, -1.0, 0.25, 0.9];

fn of_weights(format: LowBitFormat, groups: ScaleGroups) -> LowBitMatrix {
    LowBitMatrix::quantise(&WEIGHTS, [2, 1, 4], format, groups)
}

/// Whether two numbers are the same but for rounding.
fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6 * b.abs().max(1.0)
}

#[test]
fn weights_become_the_published_whole_numbers() {
    let ternary = of_weights(LowBitFormat::Ternary, ScaleGroups::All);
    assert_eq!(ternary.numbers(), [1, 0, 1, -1, 0, 1, -1, 0]);
    assert!(near(ternary.scales()[0], 0.43125), "{:?}", ternary.scales());
    assert!(near(ternary.dequantised()[3], -0.43125));
    let sign = of_weights(LowBitFormat::Sign, ScaleGroups::All);
    assert_eq!(sign.numbers(), [1, -1, 1, -1, -1, 1, -1, 1]);
    assert!(
        near(sign.scales()[0], 0.43125),
        "the mean magnitude: {:?}",
        sign.scales()
    );
    let int8 = of_weights(LowBitFormat::Int8, ScaleGroups::All);
    assert_eq!(int8.numbers(), [32, -5, 85, -127, 0, 64, -42, 11]); // 63.5 is a tie
    assert!(near(int8.scales()[0], 1.2 / 127.0));
}

#[test]
fn a_group_of_rows_has_the_scale_of_its_own_numbers() {
    let by_head = of_weights(LowBitFormat::Ternary, ScaleGroups::Head);
    assert!(near(by_head.scales()[0], 0.5875) && near(by_head.scales()[1], 0.275));
    assert_eq!(by_head.numbers(), [1, 0, 1, -1, 0, 1, -1, 0]);
    // 130 neurons of a head are three groups, the last of two.
    let rows: Vec<f32> = (0..2 * 130)
        .map(|n| [1.0, 2.0, 3.0, 4.0, 5.0, 6.0][n / 130 * 3 + n % 130 / 64])
        .collect();
    let grouped = LowBitMatrix::quantise(&rows, [2, 130, 1], LowBitFormat::Int8, ScaleGroups::Neurons);
    let steps: Vec<f32> = grouped
        .scales()
        .iter()
        .map(|scale| (scale * 127.0).round())
        .collect();
    assert_eq!(steps, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert!(grouped.dequantised().iter().zip(&rows).all(|(a, b)| near(*a, *b)));
}

#[test]
fn activations_become_the_published_whole_numbers() {
    let (codes, scale) = quantise_row(&INPUT, Levels::Int8);
    assert_eq!((codes, scale), (vec![64, -127, 32, 114], 127.0)); // 63.5 is a tie
    let (codes, scale) = quantise_row(&INPUT, Levels::Int4);
    assert_eq!(codes, [2, -4, 1, 4]);
    let expected = [0.5008029, -1.0016059, 0.2504015, 1.0016059];
    assert!(
        codes
            .iter()
            .zip(expected)
            .all(|(&q, x)| near(f32::from(q) / scale, x))
    );
    assert_eq!(quantise_row(&[1.0, 100.0, -100.0], Levels::Int4).0, [0, 4, -4]);
    assert_eq!(
        quantise_row(&[30.0, -30.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], Levels::Int4).0[..2],
        [7, -8]
    );
    for levels in [Levels::Int8, Levels::Int4] {
        assert_eq!(quantise_row(&[0.0; 3], levels).0, [0; 3]);
    }
    let scale = scale_of_neurons(255, 2.0);
    let codes = [2.0, 1.0, 0.0, 0.5 / 127.5, 1.5 / 127.5].map(|y| quantise_neuron(y, scale));
    assert_eq!(codes, [255, 128, 0, 0, 2], "127.5, 0.5 and 1.5 are ties");
    assert_eq!(quantise_neuron(0.0, scale_of_neurons(7, 0.0)), 0);
}

#[test]
fn the_hadamard_transform_is_the_published_one_and_its_own_inverse() {
    for (given, expected) in [
        ([4.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0]),
        ([1.0, 2.0, 3.0, 4.0], [5.0, -1.0, -2.0, 0.0]),
        ([10.0, 0.1, -0.1, 0.2], [5.1, 4.8, 5.0, 5.1]),
    ] {
        let mut row: [f32; 4] = given;
        hadamard(&mut row);
        assert!(row.iter().zip(expected).all(|(a, b)| near(*a, b)), "{row:?}");
        hadamard(&mut row);
        assert!(row.iter().zip(given).all(|(a, b)| near(*a, b)), "{row:?}");
    }
}

/// A product over every kind of processor.
struct Dot<'a>(&'a [Trits], &'a [Codes]);

impl Kernel for Dot<'_> {
    type Output = i32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> i32 {
        simd.code_dot(self.0, self.1)
    }
}

fn blocks(numbers: &[i8]) -> Vec<Codes> {
    let block = |numbers: &[i8]| {
        let mut block = Codes::ZERO;
        block.0[..numbers.len()].copy_from_slice(numbers);
        block
    };
    numbers.chunks(128).map(block).collect()
}

fn rows_of(matrix: &LowBitMatrix) -> &[Trits] {
    match matrix.rows() {
        WholeRows::Trits(rows) => rows,
        WholeRows::Bytes(_) => panic!("trits were stored as bytes"),
    }
}

#[test]
fn a_product_is_the_published_one_in_whole_numbers_on_every_processor() {
    let ternary = of_weights(LowBitFormat::Ternary, ScaleGroups::All);
    let (q, scale) = quantise_row(&INPUT, Levels::Int8);
    let (sum, q) = (q.iter().map(|&q| i32::from(q)).sum::<i32>(), blocks(&q));
    for isa in Isa::all() {
        let rows = rows_of(&ternary).chunks_exact(1);
        let products: Vec<i32> = rows.map(|row| isa.run(Dot(row, &q)) - sum).collect();
        assert_eq!(products, [-18, -159], "{isa:?}");
        let y = products
            .iter()
            .map(|&product| product as f32 * ternary.scales()[0] / scale);
        assert!(y.zip([-0.061122, -0.5399114]).all(|(a, b)| near(a, b)), "{isa:?}");
    }
}

#[test]
fn packed_bytes_are_the_published_ones() {
    for (trits, byte) in [
        ([1, 0, -1, 1, 1], 208),
        ([-1; 5], 0),
        ([0; 5], 128),
        ([1; 5], 255),
    ] {
        assert_eq!(base_three::byte(trits.into_iter()), byte, "{trits:?}");
    }
    let mut trits = [0; 128];
    (trits[3], trits[35], trits[67], trits[99]) = (1, 0, -1, 1);
    assert_eq!(Trits::pack(&trits).0[3], 146);
    assert_eq!(
        signs::encode(&[1, -1, -1, 1, 1, 1, -1, -1, 1]).unwrap(),
        [0b0011_1001, 1]
    );
}

#[test]
fn every_byte_of_five_trits_and_of_four_comes_back() {
    let mut seen = [0; 256];
    for q in 0..243 {
        let trits: [i8; 5] = std::array::from_fn(|n| (q / 3i32.pow(4 - n as u32) % 3 - 1) as i8);
        let five = base_three::byte(trits.into_iter());
        assert_eq!(std::array::from_fn(|n| base_three::trit(five, n)), trits, "{q}");
        seen[usize::from(five)] += 1;
        let four = base_three::byte(trits[..4].iter().copied());
        assert!((0..4).all(|n| base_three::trit(four, n) == trits[n]), "{q}");
    }
    assert_eq!(seen.iter().filter(|&&count| count == 1).count(), 243);
}

#[test]
fn every_packing_gives_back_what_it_holds_at_any_width() {
    for (case, shape) in [
        [1, 1, 1],
        [2, 3, 5],
        [1, 2, 127],
        [3, 4, 128],
        [1, 5, 129],
        [2, 7, 300],
    ]
    .into_iter()
    .enumerate()
    {
        let count = shape.into_iter().product();
        let scales = || vec![0.5; ScaleGroups::Head.count(shape[0], shape[1])];
        let trits = draw(case as u64, count, -1, 1);
        let signs: Vec<i8> = trits.iter().map(|&trit| if trit > 0 { 1 } else { -1 }).collect();
        let bytes = draw(99 + case as u64, count, -127, 127);
        for (packing, numbers) in [
            (Packing::TwoBits, &trits),
            (Packing::BaseThree, &trits),
            (Packing::Signs, &signs),
            (Packing::Bytes, &trits),
            (Packing::Bytes, &bytes),
        ] {
            let matrix = LowBitMatrix::new(numbers, shape, ScaleGroups::Head, scales()).unwrap();
            assert_eq!(&matrix.numbers(), numbers, "{shape:?}");
            let packed = matrix.pack(packing).unwrap();
            assert_eq!(packed.len(), packing.length(count), "{packing} {shape:?}");
            let unpacked =
                LowBitMatrix::unpack(&packed, packing, shape, ScaleGroups::Head, scales()).unwrap();
            assert_eq!(unpacked, matrix, "{packing} {shape:?}");
        }
    }
}

#[test]
fn a_large_matrix_has_the_bits_of_its_packing() {
    let count = 1 << 20;
    for (packing, bits) in [
        (Packing::TwoBits, 2.0),
        (Packing::BaseThree, 1.6875),
        (Packing::Signs, 1.0),
    ] {
        assert_eq!(packing.length(count) as f64 * 8.0 / count as f64, bits);
    }
}

#[track_caller]
fn refused(bytes: &[u8], packing: Packing, width: usize) -> LowBitError {
    LowBitMatrix::unpack(bytes, packing, [1, 1, width], ScaleGroups::All, vec![1.0]).unwrap_err()
}

/// Bytes that packing makes: reading takes those alone.
#[test]
fn every_byte_that_packing_does_not_make_is_refused() {
    for (packing, legal) in [
        (Packing::TwoBits, 81),
        (Packing::BaseThree, 243),
        (Packing::Bytes, 255),
    ] {
        let full = LowBitMatrix::new(&[1; 256], [1, 1, 256], ScaleGroups::All, vec![1.0]).unwrap();
        let mut packed = full.pack(packing).unwrap();
        let taken = (0..=255).filter(|&byte| {
            packed[5] = byte;
            let read = LowBitMatrix::unpack(&packed, packing, [1, 1, 256], ScaleGroups::All, vec![1.0]);
            read.is_ok_and(|matrix| matrix.pack(packing).unwrap() == packed)
        });
        assert_eq!(taken.count(), legal, "{packing}");
    }
}

#[test]
fn what_is_no_matrix_is_refused_with_the_reason() {
    let packed = |packing, width| {
        let matrix = LowBitMatrix::new(&vec![1; width], [1, 1, width], ScaleGroups::All, vec![1.0]).unwrap();
        matrix.pack(packing).unwrap()
    };
    for packing in Packing::ALL {
        let mut bytes = packed(packing, 100);
        bytes.push(0);
        assert!(matches!(
            refused(&bytes, packing, 100),
            LowBitError::Length { .. }
        ));
        assert!(matches!(
            refused(&[], packing, 100),
            LowBitError::Length { given: 0, .. }
        ));
        assert!(
            packing == Packing::Bytes || {
                let last = bytes.len() - if packing == Packing::BaseThree { 5 } else { 2 };
                bytes[last] = !bytes[last];
                bytes.pop();
                matches!(
                    refused(&bytes, packing, 100),
                    LowBitError::Padding { .. } | LowBitError::Byte { .. }
                )
            }
        );
    }
    let mut bytes = packed(Packing::TwoBits, 128);
    bytes[7] |= 0b1100;
    let error = refused(&bytes, Packing::TwoBits, 128);
    assert!(matches!(error, LowBitError::Byte { at: 7, .. }), "{error}");
    let mut bytes = packed(Packing::BaseThree, 256);
    bytes[53] = 0;
    assert!(matches!(
        refused(&bytes, Packing::BaseThree, 256),
        LowBitError::Padding { block: 0, .. }
    ));
    bytes[53] = 0x3C;
    bytes[50] = 1; // as four trits it has a fifth digit
    assert!(matches!(
        refused(&bytes, Packing::BaseThree, 256),
        LowBitError::Byte { at: 50, .. }
    ));
    assert!(matches!(
        refused(&[0x80], Packing::Bytes, 1),
        LowBitError::Number { given: -128, .. }
    ));
    let new = |numbers: &[i8], shape, scales| {
        LowBitMatrix::new(numbers, shape, ScaleGroups::Head, scales).unwrap_err()
    };
    assert!(matches!(new(&[], [0, 1, 1], vec![]), LowBitError::Shape { .. }));
    assert!(matches!(
        new(&[], [1, 2, usize::MAX], vec![]),
        LowBitError::Shape { .. }
    ));
    assert!(matches!(
        new(&[1], [1, 1, 2], vec![1.0]),
        LowBitError::Numbers { .. }
    ));
    assert!(matches!(
        new(&[1, 1], [1, 1, 2], vec![]),
        LowBitError::Scales { expected: 1, .. }
    ));
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(matches!(
            new(&[1, 1], [1, 1, 2], vec![scale]),
            LowBitError::Scale { at: 0, .. }
        ));
    }
    let bytes = LowBitMatrix::new(&[2, 0], [1, 1, 2], ScaleGroups::All, vec![1.0]).unwrap();
    assert!(matches!(
        bytes.pack(Packing::TwoBits).unwrap_err(),
        LowBitError::Number { given: 2, .. }
    ));
    let trits = LowBitMatrix::new(&[1, 0], [1, 1, 2], ScaleGroups::All, vec![1.0]).unwrap();
    assert!(matches!(
        trits.pack(Packing::Signs).unwrap_err(),
        LowBitError::Number { at: 1, given: 0, .. }
    ));
}

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
