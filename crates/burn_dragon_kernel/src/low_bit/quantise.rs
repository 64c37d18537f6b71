//! Quantisers of weights and activations, in f32.

/// Least largest number, or mean, of what is quantised: so a row of zeros has a scale.
const LEAST: f32 = 1e-5;

/// Whole numbers that the entries of a row of the width become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    /// -128 to 127, such that the largest magnitude is 127.
    Int8,
    /// -8 to 7, such that the mean magnitude is the square root of 7; larger numbers are clipped.
    Int4,
}

impl Levels {
    /// Least and largest whole number.
    fn range(self) -> [f32; 2] {
        match self {
            Self::Int8 => [-128.0, 127.0],
            Self::Int4 => [-8.0, 7.0],
        }
    }

    /// The scale s of numbers, of which padding with zeros is not counted.
    #[inline(always)]
    fn scale(self, numbers: impl Iterator<Item = f32>, count: usize) -> f32 {
        match self {
            Self::Int8 => 127.0 / numbers.fold(0.0, |most: f32, x| most.max(x.abs())).max(LEAST),
            Self::Int4 => {
                let sum = numbers.fold(0.0, |sum, x| sum + f64::from(x.abs()));
                7.0f32.sqrt() / ((sum / count as f64) as f32).max(LEAST)
            }
        }
    }
}

/// Whole numbers of a row, `q = clip(round(x s))`, and their scale s; the row is then about `q / s`.
pub fn quantise_row(row: &[f32], levels: Levels) -> (Vec<i8>, f32) {
    let mut codes = vec![0; row.len()];
    let scale = Quantise { row, levels }.into(&mut codes);
    (codes, scale)
}

/// A row to quantise.
pub(crate) struct Quantise<'a> {
    pub(crate) row: &'a [f32],
    pub(crate) levels: Levels,
}

impl Quantise<'_> {
    /// Writes the whole numbers, and returns their scale.
    #[inline(always)]
    pub(crate) fn into(self, codes: &mut [i8]) -> f32 {
        let scale = self.levels.scale(self.row.iter().copied(), self.row.len());
        let [least, most] = self.levels.range();
        for (code, x) in codes.iter_mut().zip(self.row) {
            *code = nearest(within(x * scale, [least, most])) as i8;
        }
        scale
    }
}

/// The scale s of numbers that are not negative, of which the largest becomes `levels`.
#[inline(always)]
pub(crate) fn scale_of_neurons(levels: u8, largest: f32) -> f32 {
    f32::from(levels) / largest.max(LEAST)
}

/// The whole number of a neuron's y, `round(y s)`.
#[inline(always)]
pub(crate) fn quantise_neuron(y: f32, scale: f32) -> u8 {
    nearest((y * scale).min(255.0)) as u8
}

/// The nearest whole number, ties to even, of one within 2^21 of 0: adding 1.5 * 2^23 leaves no other bits. Unlike
/// `round_ties_even` this is no call on older processors.
#[inline(always)]
pub(crate) fn nearest(x: f32) -> i32 {
    const ROUND: f32 = 12_582_912.0;
    (x + ROUND).to_bits() as i32 - ROUND.to_bits() as i32
}

/// The number, or the bound that it is beyond; a bound for NaN, where `clamp` has NaN.
#[inline(always)]
pub(crate) fn within(x: f32, [least, most]: [f32; 2]) -> f32 {
    x.max(least).min(most)
}

/// Quantised weights: whole numbers and their scale.
pub(super) type Quantised = (Vec<i8>, f32);

/// Trits of `W / gamma`, with gamma the mean magnitude.
pub(super) fn ternary(weights: &[f32]) -> Quantised {
    let gamma = mean(weights, f32::abs).max(LEAST);
    let trit = |w: &f32| nearest(within(w / gamma, [-1.0, 1.0])) as i8;
    (weights.iter().map(trit).collect(), gamma)
}

/// Signs about the mean, scaled by the mean magnitude.
pub(super) fn sign(weights: &[f32]) -> Quantised {
    let middle = mean(weights, |w| w);
    let sign = |w: &f32| if w - middle > 0.0 { 1 } else { -1 };
    let scale = mean(weights, f32::abs).max(LEAST);
    (weights.iter().map(sign).collect(), scale)
}

/// Whole numbers within 127, of which the largest magnitude is 127.
pub(super) fn int8(weights: &[f32]) -> Quantised {
    let most = weights
        .iter()
        .fold(0.0, |most: f32, w| most.max(w.abs()))
        .max(LEAST);
    let scale = 127.0 / most;
    let whole = |w: &f32| nearest(within(w * scale, [-127.0, 127.0])) as i8;
    (weights.iter().map(whole).collect(), most / 127.0)
}

/// Mean of a function of the numbers, summed in f64.
fn mean(numbers: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let sum: f64 = numbers.iter().map(|&x| f64::from(of(x))).sum();
    (sum / numbers.len() as f64) as f32
}

/// The orthonormal Walsh-Hadamard transform of a row, in place.
///
/// # Panics
/// If the length is not a power of two.
#[inline(always)]
pub fn hadamard(row: &mut [f32]) {
    assert!(
        row.len().is_power_of_two(),
        "hadamard: {} numbers, expected a power of two",
        row.len()
    );
    let mut apart = row.len() / 2;
    while apart > 0 {
        for both in row.chunks_exact_mut(2 * apart) {
            let (first, second) = both.split_at_mut(apart);
            for (first, second) in first.iter_mut().zip(second) {
                (*first, *second) = (*first + *second, *first - *second);
            }
        }
        apart /= 2;
    }
    let scale = (row.len() as f32).sqrt().recip();
    row.iter_mut().for_each(|x| *x *= scale);
}
