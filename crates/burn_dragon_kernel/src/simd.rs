//! Functions compiled for every vector width and selected at run time.
//!
//! No operation is contracted or reordered, so the bits do not depend on the width.

/// Defines a function that is compiled for AVX-512, for AVX2 and portably, and selects one at run time.
macro_rules! vectorized {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn portable($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $type),*) $(-> $out)? {
                    portable($($arg),*)
                }

                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $out)? {
                    portable($($arg),*)
                }

                if $crate::instructions::Instructions::Avx512.usable() {
                    // SAFETY: the processor has the four features that the function is compiled for.
                    return unsafe { avx512($($arg),*) };
                }
                if $crate::instructions::Instructions::Avx2.usable() {
                    // SAFETY: the processor has the feature that the function is compiled for.
                    return unsafe { avx2($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    )*};
}
pub(crate) use vectorized;

/// Number of sums or maxima that run side by side, with any vectors, so that they have the same order everywhere.
pub(crate) const LANES: usize = 16;

/// The sum of a row.
#[inline(always)]
pub(crate) fn sum(row: &[f32]) -> f32 {
    let (lanes, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(sum, x)| *sum += x);
    }
    fold(sums, |a, b| a + b) + rest.iter().sum::<f32>()
}

/// The sum of the products of two rows.
#[inline(always)]
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let ((lefts, left), (rights, right)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (left, right) in lefts.iter().zip(rights) {
        sums.iter_mut()
            .zip(left.iter().zip(right))
            .for_each(|(sum, (a, b))| *sum += a * b);
    }
    fold(sums, |a, b| a + b) + left.iter().zip(right).map(|(a, b)| a * b).sum::<f32>()
}

/// The largest entry of a row.
#[inline(always)]
pub(crate) fn largest(row: &[f32]) -> f32 {
    let (lanes, rest) = row.as_chunks::<LANES>();
    let mut tops = [f32::NEG_INFINITY; LANES];
    for lane in lanes {
        tops.iter_mut().zip(lane).for_each(|(top, x)| *top = top.max(*x));
    }
    rest.iter().fold(fold(tops, f32::max), |top, x| top.max(*x))
}

/// The lanes folded in halves: one order, whatever the vectors.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = join(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// `e^x` for `x <= 0` within two units in the last place, 0 below -87.7; from operations that every vector unit has.
///
/// `x = k ln 2 + r` with `|r| <= ln 2 / 2`; Taylor's series of `e^r` to the seventh power errs by 5e-9; `2^k` is put
/// together from its bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -88.0;
    /// Added and subtracted, it rounds to the nearest integer, which stands in the last bits of the sum.
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    const LN_2_HIGH: f32 = 0.693_359_4; // 355 / 512: its products with small integers are exact
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < LOWEST { LOWEST } else { x }; // not `max`, which would lose a NaN
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = x - k * LN_2_HIGH - k * LN_2_LOW;
    let mut series = 1.0 / 5040.0;
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        series = series * r + 1.0 / factorial;
    }
    let exponent = (shifted.to_bits().wrapping_sub(ROUND.to_bits())).wrapping_add(127);
    series * f32::from_bits(exponent << 23)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let small = exp(-x.abs());
    let numerator = if x < 0.0 { small } else { 1.0 };
    numerator / (1.0 + small)
}

/// `ln(1 + e^x)`.
///
/// `ln(1 + y) = 2 artanh(y / (2 + y))` for `y = e^-|x|`; the series of artanh to the fifteenth power errs by 2e-9.
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    let small = exp(-x.abs());
    let ratio = small / (2.0 + small);
    let square = ratio * ratio;
    let mut series = 1.0 / 15.0;
    for odd in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series * square + 1.0 / odd;
    }
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + 2.0 * ratio * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_and_softplus_are_right_to_a_few_units_in_the_last_place() {
        let mut x = -80.0f32;
        while x < 80.0 {
            let precise = f64::from(x);
            let expected = [
                1.0 / (1.0 + (-precise).exp()),
                precise.max(0.0) + (-precise.abs()).exp().ln_1p(),
            ];
            for (given, expected) in [sigmoid(x), softplus(x)].into_iter().zip(expected) {
                let error = (f64::from(given) / expected - 1.0).abs();
                assert!(error < 5e-7, "{x}: {expected}, not {given}");
            }
            x += 1.37e-3;
        }
        assert!(sigmoid(f32::NAN).is_nan() && softplus(f32::NAN).is_nan());
        assert_eq!(
            [sigmoid(-1e9), softplus(-1e9), sigmoid(1e9), softplus(1e9)],
            [0.0, 0.0, 1.0, 1e9]
        );
    }

    #[test]
    fn the_exponential_is_right_to_two_units_in_the_last_place() {
        let mut x = 0.0f32;
        while x > -87.3 {
            let (given, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (given / expected - 1.0).abs() < 2.4e-7,
                "e^{x} = {expected}, not {given}"
            );
            x -= 1.37e-3;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!([exp(-88.5), exp(-1e9), exp(f32::NEG_INFINITY)], [0.0; 3]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn reductions_see_every_entry() {
        for size in 1..70usize {
            let row: Vec<f32> = (0..size).map(|i| ((i * 37 + 11) % 64) as f32 - 40.0).collect();
            let squares: f32 = row.iter().map(|x| x * x).sum();
            assert_eq!(sum(&row), row.iter().sum::<f32>()); // small integers: exact in any order
            assert_eq!(dot(&row, &row), squares);
            assert_eq!(Some(largest(&row)), row.iter().copied().reduce(f32::max));
        }
    }
}
