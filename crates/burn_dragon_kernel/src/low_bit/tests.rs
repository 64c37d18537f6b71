//! Quantisers and packed formats against published values, and what is no packed matrix.

use super::*;
use crate::decode::simd::{Isa, Kernel, Simd};
use crate::mix::mix;

/// Whole numbers from `least` to `most`, a function of a seed.
pub(super) fn draw(seed: u64, count: usize, least: i32, most: i32) -> Vec<i8> {
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
pub(super) struct Dot<'a>(pub(super) &'a [Trits], pub(super) &'a [Codes]);

impl Kernel for Dot<'_> {
    type Output = i32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> i32 {
        simd.code_dot(self.0, self.1)
    }
}

pub(super) fn blocks(numbers: &[i8]) -> Vec<Codes> {
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
