//! Powers of the decay factor of a token, head by head.

use super::window::Windows;

/// Decay factors of 0, 1, 2 ... tokens, head by head, up to the longest window.
#[derive(Clone, Debug)]
pub(super) struct Powers {
    powers: Vec<f32>, // [H, longest window + 1]
    heads: usize,
}

impl Powers {
    /// Decay factors of the heads' slopes.
    pub(super) fn new(slopes: &[f64], windows: &Windows) -> Self {
        let tokens = 0..=windows.longest();
        let powers = slopes
            .iter()
            .flat_map(|slope| tokens.clone().map(move |k| power(*slope, k)));
        Self {
            powers: powers.collect(),
            heads: slopes.len(),
        }
    }

    /// Decay factors of a head.
    pub(super) fn of_head(&self, head: usize) -> &[f32] {
        let length = self.powers.len() / self.heads;
        &self.powers[head * length..(head + 1) * length]
    }
}

/// Decay factor `exp(-slope k)`, flushed to 0 below 2^-80: smaller ones cannot change a normalised read, and lead to
/// subnormal numbers, which are slow on some processors.
pub(super) fn power(slope: f64, k: usize) -> f32 {
    const LEAST: f64 = 1.0 / (1u128 << 80) as f64;
    // With an infinite slope, the power 0 would be NaN.
    let power = if k == 0 { 1.0 } else { (-slope * k as f64).exp() };
    if power < LEAST { 0.0 } else { power as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_what_a_token_leaves() {
        assert_eq!(power(0.0, 1000), 1.0);
        assert_eq!(power(0.7, 0), 1.0);
        assert!((f64::from(power(0.7, 9)) - (-6.3f64).exp()).abs() < 1e-9);
        assert_eq!(power(0.7, 80), 0.0);
    }
}
