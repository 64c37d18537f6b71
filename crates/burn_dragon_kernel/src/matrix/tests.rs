use super::layout::{STEP, Side};
use super::portable::nearest;
use super::unit::Unit;
use super::*;

/// The units that this machine has, and whether they round.
fn units() -> Vec<(Unit, bool)> {
    let portable = [(Unit::Gemm, false), (Unit::Rounded, true)];
    portable.into_iter().chain(native_units()).collect()
}

#[cfg(target_arch = "x86_64")]
fn native_units() -> impl Iterator<Item = (Unit, bool)> {
    use super::native::{Unit::*, amx, dot, wide};
    [
        (wide::available(), Wide, false),
        (amx::available(), Amx, true),
        (dot::available(), Dot, true),
    ]
    .into_iter()
    .filter_map(|(available, unit, rounds)| available.then_some((Unit::Native(unit), rounds)))
}

#[cfg(not(target_arch = "x86_64"))]
fn native_units() -> impl Iterator<Item = (Unit, bool)> {
    std::iter::empty()
}

/// Numbers from a seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// At most `most`; small, and at the edges of blocks, more often than not.
    fn size(&mut self, most: usize) -> usize {
        let edges = [
            0, 1, 2, 3, 12, 15, 16, 17, 31, 32, 33, 64, 65, 96, 256, 257, 512, 513,
        ];
        let size = match self.next() % 3 {
            0 => self.next() as usize % (most + 1),
            1 => self.next() as usize % 20,
            _ => edges[self.next() as usize % edges.len()],
        };
        size.min(most)
    }

    fn coin(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    /// Within (-1, 1), away from multiples of 2^-8.
    fn number(&mut self) -> f32 {
        self.next() as f32 / (1_u64 << 30) as f32 - 1.0
    }
}

/// A matrix in memory of its own, with gaps that hold NaN.
struct Stored {
    data: Vec<f32>,
    rows: usize,
    columns: usize,
    stride: usize,
    turned: bool,
}

impl Stored {
    fn random(numbers: &mut Numbers, rows: usize, columns: usize) -> Self {
        let turned = numbers.coin();
        let [lines, length] = if turned { [columns, rows] } else { [rows, columns] };
        let stride = length + numbers.size(20);
        let mut data = vec![f32::NAN; lines * stride];
        for line in data.chunks_mut(stride.max(1)) {
            line[..length].fill_with(|| numbers.number());
        }
        Self {
            data,
            rows,
            columns,
            stride,
            turned,
        }
    }

    fn matrix(&self) -> Matrix<'_> {
        if self.turned {
            Matrix::new(&self.data, self.columns, self.rows, self.stride).transposed()
        } else {
            Matrix::new(&self.data, self.rows, self.columns, self.stride)
        }
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        let [line, place] = if self.turned { [column, row] } else { [row, column] };
        self.data[line * self.stride + place]
    }
}

/// A product in f64: each entry, and the sum of its terms' magnitudes.
fn product(left: &Stored, right: &Stored, map: fn(f32) -> f32) -> Vec<[f64; 2]> {
    let entry = |i: usize, j: usize| {
        (0..left.columns).fold([0.0, 0.0], |[sum, size], k| {
            let term = f64::from(map(left.at(i, k))) * f64::from(map(right.at(k, j)));
            [sum + term, size + term.abs()]
        })
    };
    (0..left.rows * right.columns)
        .map(|index| entry(index / right.columns, index % right.columns))
        .collect()
}

#[test]
fn every_unit_computes_the_product() {
    let mut numbers = Numbers(5);
    for case in 0..150 {
        let [rows, inner, columns] = [numbers.size(130), numbers.size(700), numbers.size(130)];
        let left = Stored::random(&mut numbers, rows, inner);
        let right = Stored::random(&mut numbers, inner, columns);
        let (stride, add) = (columns + numbers.size(9), numbers.coin());
        let before: Vec<f32> = (0..rows * stride).map(|_| numbers.number()).collect();
        let [exact, rounded] = [|number| number, nearest].map(|map| product(&left, &right, map));
        for (unit, rounds) in units() {
            let mut into = before.clone();
            unit.multiply(
                &mut into,
                stride,
                left.matrix().into(),
                right.matrix().into(),
                add,
            );
            let what = || format!("{unit:?}, case {case}: {rows} x {inner} x {columns}, add {add}");
            for (place, (now, before)) in into.iter().zip(&before).enumerate() {
                let (i, j) = (place / stride, place % stride);
                if j >= columns {
                    assert_eq!(now, before, "{}: wrote beside its place", what());
                    continue;
                }
                let start = if add { f64::from(*before) } else { 0.0 };
                let close = |[sum, size]: [f64; 2], tolerance: f64| {
                    let (error, size) = ((f64::from(*now) - start - sum).abs(), size + start.abs());
                    assert!(error <= tolerance * size, "{}: {error:e} of {size:e}", what());
                };
                let entry = i * columns + j;
                close(if rounds { rounded[entry] } else { exact[entry] }, 1e-6);
                close(exact[entry], if rounds { 1.0 / 127.0 } else { 1e-6 });
            }
        }
    }
}

#[test]
fn a_packed_factor_gives_the_same_bits_whole_or_cut() {
    let mut numbers = Numbers(6);
    for _ in 0..60 {
        let [rows, inner, columns] = [
            numbers.size(100) + 1,
            numbers.size(700) + 1,
            numbers.size(100) + 1,
        ];
        let left = Stored::random(&mut numbers, rows, inner);
        let right = Stored::random(&mut numbers, inner, columns);
        let cut = if numbers.coin() {
            inner
        } else {
            inner / STEP * STEP
        };
        let some = 1 + numbers.next() as usize % columns;
        for (unit, _) in units() {
            let [mut left_room, mut right_room] = [Packing::default(), Packing::default()];
            let packed_left = left_room.pack(unit, Side::Left, left.matrix());
            let packed_right = right_room.pack(unit, Side::Right, right.matrix());
            let product = |left: Factor<'_>, right: Factor<'_>| {
                let mut into = vec![0.0; rows * some];
                unit.multiply(
                    &mut into,
                    some,
                    left.leading(rows, cut),
                    right.leading(cut, some),
                    false,
                );
                into
            };
            let plain = product(left.matrix().into(), right.matrix().into());
            assert_eq!(plain, product(packed_left, packed_right), "{unit:?}");
            assert_eq!(plain, product(left.matrix().into(), packed_right), "{unit:?}");
        }
    }
}

/// Factors of more panels, and of more inner blocks, than are packed at a time.
#[test]
fn wide_and_deep_packed_factors_are_where_they_belong() {
    let mut numbers = Numbers(8);
    for [rows, inner, columns] in [[3, 40, 1100], [2, 300, 2081], [1100, 33, 2], [35, 1030, 1057]] {
        let left = Stored::random(&mut numbers, rows, inner);
        let right = Stored::random(&mut numbers, inner, columns);
        let [exact, rounded] = [|number| number, nearest].map(|map| product(&left, &right, map));
        for (unit, rounds) in units() {
            let [mut left_room, mut right_room] = [Packing::default(), Packing::default()];
            let [left, right] = [left.matrix(), right.matrix()];
            let packed_right = right_room.pack(unit, Side::Right, right);
            for left in [left.into(), left_room.pack(unit, Side::Left, left)] {
                let mut into = vec![f32::NAN; rows * columns];
                unit.multiply(&mut into, columns, left, packed_right, false);
                let expected = if rounds { &rounded } else { &exact };
                for (entry, (now, [sum, size])) in into.iter().zip(expected).enumerate() {
                    let error = (f64::from(*now) - sum).abs();
                    assert!(
                        error <= 1e-6 * size,
                        "{unit:?}, {rows} x {inner} x {columns}, entry {entry}: {error:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn special_numbers_are_themselves() {
    let special = [0.0, -0.0, 1e-42, 1e30, -1e30, f32::INFINITY, f32::NAN];
    let left: Vec<f32> = special.into_iter().flat_map(|number| [number, 1.0]).collect(); // [7, 2]
    let right = [1.0, 0.5]; // [2, 1]
    for (unit, _) in units() {
        let mut into = [7.0; 7];
        let left = Matrix::new(&left, 7, 2, 2);
        unit.multiply(
            &mut into,
            1,
            left.into(),
            Matrix::new(&right, 2, 1, 1).into(),
            false,
        );
        let large = if units().contains(&(unit, true)) {
            nearest(1e30)
        } else {
            1e30
        };
        assert_eq!(
            into[..6],
            [0.5, 0.5, 0.5, large, -large, f32::INFINITY],
            "{unit:?}"
        );
        assert!(into[6].is_nan(), "{unit:?}");
    }
}

#[test]
fn the_nearest_bf16_is_even_in_a_tie() {
    let ulp = 2.0_f32.powi(-7);
    assert_eq!(nearest(1.0 + ulp / 2.0), 1.0);
    assert_eq!(nearest(1.0 + 1.5 * ulp), 1.0 + 2.0 * ulp);
    assert_eq!(nearest(1.0 + ulp / 2.0 + f32::EPSILON), 1.0 + ulp);
    assert_eq!(nearest(-f32::MAX), f32::NEG_INFINITY);
    assert!(nearest(f32::NAN).is_nan());
}

#[test]
#[should_panic(expected = "inner sizes")]
fn sizes_that_do_not_fit_are_refused() {
    let data = [0.0; 6];
    let [left, right] = [Matrix::new(&data, 2, 3, 3), Matrix::new(&data, 2, 3, 3)];
    Precision::F32.multiply(&mut [0.0; 6], 3, left, right, false);
}

#[test]
fn threads_do_not_share_their_units_state() {
    let product = || {
        let mut numbers = Numbers(7);
        let (left, right) = (
            Stored::random(&mut numbers, 70, 300),
            Stored::random(&mut numbers, 300, 90),
        );
        let mut into = vec![0.0; 70 * 90];
        for _ in 0..200 {
            Precision::Bf16.multiply(&mut into, 90, left.matrix(), right.matrix(), false);
        }
        into
    };
    let alone = product();
    let others: Vec<_> = (0..4).map(|_| std::thread::spawn(product)).collect();
    for other in others {
        assert_eq!(alone, other.join().unwrap());
    }
}

#[cfg(target_arch = "x86_64")]
mod blocks {
    use super::super::native::bf16::{Blocks, Products};
    use super::super::native::{self, amx, dot};
    use super::super::{Block, DEPTH, PANEL, Packing};
    use super::*;

    /// Blocks and the lower blocks of a product have the bits of the whole product, with zeros beyond it. Where there is more
    /// than one block of inner entries, the whole product adds the sums of each at its edges, so they are near.
    fn are_parts_of_the_product<B: Blocks>() {
        let mut numbers = Numbers(23);
        for (rows, inner) in [(1, 1), (31, 33), (64, 32), (70, 300), (97, 513)] {
            let (left, right) = (
                Stored::random(&mut numbers, rows, inner),
                Stored::random(&mut numbers, inner, rows),
            );
            let mut whole = vec![0.0; rows * rows];
            let products = Products::<B>::new();
            products.multiply(&mut whole, rows, left.matrix(), right.matrix(), false);
            let mut packings = [Packing::default(), Packing::default()];
            packings[0].left(Precision::Bf16, left.matrix());
            packings[1].right(Precision::Bf16, right.matrix());
            let factors = [packings[0].packed(), packings[1].packed()];
            let mut lower = vec![f32::NAN; rows * rows];
            products.lower(&mut lower, factors, false);
            let mut block = Block::default();
            for row in (0..rows).step_by(PANEL) {
                for column in (0..rows).step_by(PANEL) {
                    products.block(factors, [row, column], &mut block, false);
                    for (i, j) in (0..PANEL).flat_map(|i| (0..PANEL).map(move |j| (i, j))) {
                        let (t, s) = (row + i, column + j);
                        let is_within = t < rows && s < rows;
                        let expected = if is_within { whole[t * rows + s] } else { 0.0 };
                        let near = if inner > DEPTH { 1e-5 * inner as f32 } else { 0.0 };
                        let is_near = |found: f32| (found - expected).abs() <= near;
                        assert!(is_near(block.0[i][j]), "{t}, {s} of {rows}");
                        if is_within && column <= row {
                            assert!(is_near(lower[t * rows + s]), "lower {t}, {s} of {rows}");
                        } else if is_within {
                            assert!(lower[t * rows + s].is_nan(), "{t}, {s} is above the diagonal");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn blocks_are_parts_of_the_product() {
        match native::Unit::of(Precision::Bf16) {
            Some(native::Unit::Amx) => are_parts_of_the_product::<amx::Tiles>(),
            Some(native::Unit::Dot) => are_parts_of_the_product::<dot::Vectors>(),
            _ => println!("skipped: this processor has no products of bf16 that are worth their use"),
        }
    }
}
